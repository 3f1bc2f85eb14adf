// What steps give to those after them, and what steps and dag templates give as their own.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// The variables of a step by their names below `steps.NAME`; none while it has no node.
    func stepEntries(_ name: String, frame: NodeID) -> [String: ScopeEntry] {
        guard let entry = live[frame], let parent = nodes[frame] else { return [:] }
        let nodeName: String
        var reference: TemplateReference?
        if let steps = entry.steps, let index = steps.groupOfStep[name] {
            nodeName = "\(parent.name)[\(index)].\(name)"
            reference = steps.groups[index].first { $0.name == name }?.reference
            if nodes[nodeID(nodeName)] == nil {
                let group = nodes[nodeID("\(parent.name)[\(index)]")]
                let items = (group?.children ?? []).compactMap { nodes[$0] }.filter {
                    !$0.isHook && $0.name.hasPrefix("\(nodeName)(")
                }
                return items.isEmpty || !items.allSatisfy(\.isFulfilled) ? [:] : aggregated(items)
            }
        } else {
            nodeName = "\(parent.name).\(name)"
            reference = entry.dag?.tasks[name]?.task.step.reference
        }
        guard let node = nodes[nodeID(nodeName)] else { return [:] }
        var result = entries(of: node)
        if node.type == .taskGroup {
            result.merge(aggregated(node.children.compactMap { nodes[$0] }.filter { !$0.isHook })) { $1 }
        }
        if node.phase == .skipped || node.phase == .omitted, let reference {
            result.merge(absentEntries(reference, entry.scope, node)) { own, _ in own }
        }
        return result
    }

    /// The variables of one node.
    func entries(of node: Node) -> [String: ScopeEntry] {
        var entries: [String: ScopeEntry] = [
            "id": .text(node.id), "status": .text(node.phase.rawValue),
            "startedAt": .text(node.startedAt?.rfc3339 ?? ""),
            "finishedAt": .text(node.finishedAt?.rfc3339 ?? ""),
            "hostNodeName": .text(node.hostNodeName), "name": .text(node.name),
        ]
        if !node.podIP.isEmpty { entries["ip"] = .text(node.podIP) }
        if let result = node.outputs.result { entries["outputs.result"] = .text(result) }
        if let code = node.outputs.exitCode { entries["exitCode"] = .text(code) }
        for parameter in node.outputs.parameters {
            if let value = parameter.value { entries["outputs.parameters.\(parameter.name)"] = .text(value) }
        }
        for artifact in node.outputs.artifacts where artifact.location != nil {
            entries["outputs.artifacts.\(artifact.name)"] = .structure(artifact.json)
        }
        return entries
    }

    /// What the outputs of a step that did not run stand for: its declared defaults, else nothing.
    private func absentEntries(_ reference: TemplateReference, _ scope: TemplateScope, _ node: Node)
        -> [String: ScopeEntry]
    {
        var templates = templates
        guard let template = templates.resolve(reference, from: scope)?.template else { return [:] }
        var entries: [String: ScopeEntry] = ["outputs.result": .absent, "exitCode": .absent]
        for parameter in template.outputs.parameters {
            let value = parameter.valueFrom?.default ?? parameter.default
            entries["outputs.parameters.\(parameter.name)"] = value.map(ScopeEntry.text) ?? .absent
        }
        for artifact in template.outputs.artifacts { entries["outputs.artifacts.\(artifact.name)"] = .absent }
        return entries
    }

    /// The outputs of a loop: lists over the items that succeeded, in their order.
    private func aggregated(_ items: [Node]) -> [String: ScopeEntry] {
        // A person's retry makes items anew, so the order of making is not that of the list.
        // An item that a memoized resubmit took over is Skipped and has its outputs.
        let done = items.filter { $0.phase == .succeeded || ($0.phase == .skipped && !$0.outputs.isEmpty) }
            .sorted { (Self.itemIndex($0), $0.sequence) < (Self.itemIndex($1), $1.sequence) }
        var entries: [String: ScopeEntry] = [:]
        let results = done.compactMap(\.outputs.result)
        if results.count == done.count {
            entries["outputs.result"] = .text(Self.list(results, parsingAll: true).compactText)
        }
        var names: [String] = []
        var values: [String: [String]] = [:]
        var maps: [JSONValue] = []
        for node in done {
            var map: [String: JSONValue] = [:]
            for parameter in node.outputs.parameters {
                guard let value = parameter.value else { continue }
                if values[parameter.name] == nil { names.append(parameter.name) }
                values[parameter.name, default: []].append(value)
                map[parameter.name] = .string(value)
            }
            if !map.isEmpty { maps.append(.object(map)) }
        }
        for name in names {
            entries["outputs.parameters.\(name)"] =
                .text(Self.list(values[name] ?? [], parsingAll: false).compactText)
        }
        entries["outputs.parameters"] = .text(JSONValue.array(maps).compactText)
        return entries
    }

    /// The place of an item in its list, from the node's name: `name(3:value)`; values have no brackets.
    private static func itemIndex(_ node: Node) -> Int {
        guard let bracket = node.name.lastIndex(of: "(") else { return 0 }
        return Int(node.name[node.name.index(after: bracket)...].prefix { $0.isNumber }) ?? 0
    }

    /// Values as a JSON list: results that are JSON are embedded as such; parameters only when all are maps
    /// or lists.
    private static func list(_ texts: [String], parsingAll: Bool) -> JSONValue {
        let parsed = texts.map { try? JSONValue(parsing: $0) }
        if parsingAll {
            return .array(zip(texts, parsed).map { text, value in value ?? .string(text) })
        }
        let areStructures = parsed.allSatisfy { $0?.arrayValue != nil || $0?.objectValue != nil }
        return .array(areStructures ? parsed.compactMap { $0 } : texts.map(JSONValue.string))
    }

    // MARK: Outputs of steps and dag templates

    /// Ends a steps or dag node well, with the outputs that its template declares.
    mutating func finishComposite(_ id: NodeID) {
        guard let entry = live[id] else { return }
        do throws(SubstitutionError) {
            let outputs = try compositeOutputs(entry.template.outputs, id)
            update(id) { $0.outputs = outputs }
            finish(id, .succeeded)
        } catch {
            finish(id, .error, error.message)
        }
    }

    private func compositeOutputs(_ declared: Outputs, _ id: NodeID) throws(SubstitutionError) -> Outputs {
        guard !declared.isEmpty else { return Outputs() }
        var references = TagReferences(in: declared.json)
        for source in declared.parameters.compactMap(\.valueFrom?.expression)
            + declared.artifacts.compactMap(\.fromExpression)
        {
            references.formUnion(TagReferences(expression: source))
        }
        // `valueFrom.parameter` may be written without braces.
        for text in declared.parameters.compactMap(\.valueFrom?.parameter) {
            references.insert(tag: Self.tagName(text))
        }
        for text in declared.artifacts.compactMap(\.from) { references.insert(tag: Self.tagName(text)) }
        let scope = stepScope(id, references)
        var outputs = Outputs()
        for parameter in declared.parameters {
            var parameter = parameter
            parameter.value = try outputValue(parameter, scope)
            parameter.valueFrom = nil
            outputs.parameters.append(parameter)
        }
        for artifact in declared.artifacts {
            if let located = try located(artifact, scope, artifact.optional) {
                outputs.artifacts.append(located)
            }
        }
        return outputs
    }

    private func outputValue(_ parameter: Parameter, _ scope: VariableScope) throws(SubstitutionError)
        -> String
    {
        if let value = parameter.value { return try scope.replace(in: value) }
        let fallback = parameter.valueFrom?.default ?? parameter.default
        do throws(SubstitutionError) {
            if let source = parameter.valueFrom?.expression {
                return try expressionText(source, scope)
            }
            let source = parameter.valueFrom?.parameter ?? ""
            let tag = Self.tagName(source)
            switch scope.entry(tag) {
            case .text(let text): return text
            case .absent: throw .absent(tag: tag)
            case .structure, nil:
                guard Tag.isIn(source) else { throw .unresolved(tag: tag) }
                return try scope.replace(in: source)
            }
        } catch {
            if let fallback { return try scope.replace(in: fallback) }
            throw error
        }
    }

    private func expressionText(_ source: String, _ scope: VariableScope) throws(SubstitutionError) -> String
    {
        do throws(ExpressionError) {
            let expression = try Expression(source)
            var context = scope.context
            let value = try expression.evaluate(scope.environment(for: expression.words), &context)
            if case .none = value { throw ExpressionError("the result is nil, absent optional") }
            return value.text
        } catch {
            throw .expression(source: source, message: error.message)
        }
    }
}

extension TagReferences {
    mutating func insert(tag: String) { tags.insert(tag) }
}
