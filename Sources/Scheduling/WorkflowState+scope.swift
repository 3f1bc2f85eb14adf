// The variables that text in a run may use.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// Fills in the workflow's own variables.
    mutating func buildGlobals() {
        let definition = definition
        func put(_ name: String, _ text: String) { globals["workflow.\(name)"] = .text(text) }
        put("name", name)
        put("namespace", definition.namespace)
        put("uid", uid)
        put("mainEntrypoint", definition.spec.entrypoint)
        put("serviceAccountName", definition.spec.serviceAccountName ?? "default")
        put("priority", String(definition.spec.priority ?? 0))
        put("creationTimestamp", definition.createdAt.rfc3339)
        put("creationTimestamp.RFC3339", definition.createdAt.rfc3339)
        put("creationTimestamp.s", String(definition.createdAt.seconds))
        for character in "aAbBcCdDeFHIjkLlmMnpRrSTtUuVvWwXxYyZ" {
            if let text = GoTime.strftime(definition.createdAt, character) {
                put("creationTimestamp.\(character)", text)
            }
        }
        if let scheduled = metadata.annotations["workflows.argoproj.io/scheduled-time"] {
            put("scheduledTime", scheduled)
        }
        mentionsDuration = definition.spec.raw.mentions("duration")
        putParameters()
        putMetadata()
        for parameter in outputs.parameters {
            put("outputs.parameters.\(parameter.name)", parameter.value ?? "")
        }
        for artifact in outputs.artifacts {
            globals["workflow.outputs.artifacts.\(artifact.name)"] = .structure(artifact.json)
        }
        refreshDynamicGlobals()
    }

    private mutating func putParameters() {
        var list: [JSONValue] = []
        for parameter in definition.spec.arguments.parameters {
            guard let value = parameter.valueOrDefault ?? configMapValue(parameter) else { continue }
            let scope = VariableScope(base: globals, context: context)
            let text = (try? scope.replace(in: value)) ?? value
            globals["workflow.parameters.\(parameter.name)"] = .text(text)
            list.append(.object(["name": .string(parameter.name), "value": .string(text)]))
        }
        let json = JSONValue.array(list).compactText
        globals["workflow.parameters"] = .text(json)
        globals["workflow.parameters.json"] = .text(json)
        for artifact in definition.spec.arguments.artifacts {
            globals["workflow.artifacts.\(artifact.name)"] = .structure(artifact.json)
        }
    }

    mutating func putMetadata() {
        for (kind, values) in [("labels", metadata.labels), ("annotations", metadata.annotations)] {
            for (key, value) in values { globals["workflow.\(kind).\(key)"] = .text(value) }
            let json = JSONValue.object(values.mapValues(JSONValue.string)).compactText
            globals["workflow.\(kind).json"] = .text(json)
            globals["workflow.\(kind)"] = .text(json)
        }
    }

    /// Variables that change while the run goes on.
    mutating func refreshDynamicGlobals() {
        if globals["workflow.failures"] == nil {
            globals["workflow.status"] = .text((phase ?? .pending).rawValue)
        }
        let span = startedAt.map { (finishedAt ?? now) - $0 } ?? .zero
        globals["workflow.duration"] = .text(GoFormat.sprintf("%f", [.double(span.inSeconds)]))
    }

    /// What expressions need besides variables. The seed depends on nothing but the run, so that a new driver
    /// computes the same.
    var context: ExpressionContext {
        ExpressionContext(now: now, seed: definition.seed, zones: definition.zones)
    }

    /// The scope of a node's own template: the workflow's variables and the node's inputs and outputs; of the
    /// workflow alone for nil.
    func scope(for id: NodeID?) -> VariableScope {
        var scope = VariableScope(base: globals, context: context)
        guard let id, let entry = live[id] else { return scope }
        scope.entries = inputEntries(entry.template)
        return scope
    }

    /// The variables of a template's inputs and of the places of its outputs.
    func inputEntries(_ template: Template) -> [String: ScopeEntry] {
        var entries: [String: ScopeEntry] = [:]
        for parameter in template.inputs.parameters {
            entries["inputs.parameters.\(parameter.name)"] = .text(parameter.value ?? "")
        }
        if !template.inputs.parameters.isEmpty {
            let list = template.inputs.parameters.map { parameter -> JSONValue in
                .object(["name": .string(parameter.name), "value": .string(parameter.value ?? "")])
            }
            entries["inputs.parameters"] = .text(JSONValue.array(list).compactText)
        }
        for artifact in template.inputs.artifacts {
            if artifact.location != nil || artifact.path == nil {
                entries["inputs.artifacts.\(artifact.name)"] =
                    artifact.location == nil && artifact.optional ? .absent : .structure(artifact.json)
            } else {
                entries["inputs.artifacts.\(artifact.name)"] = .absent
            }
            if let path = artifact.path { entries["inputs.artifacts.\(artifact.name).path"] = .text(path) }
        }
        for artifact in template.outputs.artifacts {
            if let path = artifact.path { entries["outputs.artifacts.\(artifact.name).path"] = .text(path) }
        }
        for parameter in template.outputs.parameters {
            if let path = parameter.valueFrom?.path {
                entries["outputs.parameters.\(parameter.name).path"] = .text(path)
            }
        }
        return entries
    }

    /// The scope in which a steps or dag node's steps are resolved: inputs, and those steps that the text
    /// mentions.
    func stepScope(_ frame: NodeID, _ references: TagReferences) -> VariableScope {
        var scope = scope(for: frame)
        guard let entry = live[frame] else { return scope }
        let prefix = entry.dag == nil ? "steps" : "tasks"
        scope.strictPrefixes = ["\(prefix)."]
        for name in references.steps(below: prefix) where Self.knows(name, entry) {
            for (key, value) in stepEntries(name, frame: frame) {
                scope.entries["\(prefix).\(name).\(key)"] = value
            }
        }
        return scope
    }

    private static func knows(_ step: String, _ entry: LiveNode) -> Bool {
        entry.steps?.groupOfStep[step] != nil || entry.dag?.tasks[step] != nil
    }

    /// The value of a parameter that a ConfigMap holds.
    func configMapValue(_ parameter: Parameter) -> String? {
        guard var reference = parameter.valueFrom?.configMapKeyRef else {
            return parameter.valueFrom?.default
        }
        let scope = VariableScope(base: globals, context: context)
        reference.name = (try? scope.replace(in: reference.name)) ?? reference.name
        reference.key = (try? scope.replace(in: reference.key)) ?? reference.key
        return definition.catalog.configMaps[reference.name]?.values[reference.key]
            ?? parameter.valueFrom?.default
    }

    /// Sets labels and annotations that `workflowMetadata` asks for.
    mutating func applyWorkflowMetadata() {
        guard let wanted = definition.spec.workflowMetadata, startedAt == nil else { return }
        let fields = Fields(wanted)
        let scope = scope(for: nil)
        for (key, value) in fields.textMap("labels") {
            metadata.labels[key] = (try? scope.replace(in: value)) ?? value
        }
        for (key, value) in fields.textMap("annotations") {
            metadata.annotations[key] = (try? scope.replace(in: value)) ?? value
        }
        for (key, source) in fields["labelsFrom"]?.objectValue ?? [:] {
            guard let text = source["expression"]?.stringValue, let expression = try? Expression(text) else {
                continue
            }
            var context = context
            if let value = try? expression.evaluate(scope.environment(for: expression.words), &context) {
                metadata.labels[key] = value.text
            }
        }
        putMetadata()
        isHeaderChanged = true
    }
}

extension TagReferences {
    /// Names that may be those of steps: what stands after the prefix in tags, and any word of an expression
    /// that uses the prefix.
    func steps(below prefix: String) -> Set<String> {
        var names: Set<String> = words.contains(prefix) ? words : []
        for tag in tags {
            // An inner tag of a nested one counts too.
            let name = tag.split(separator: "{").last.map(String.init) ?? tag
            let parts = name.trimmed.dotted
            if parts.count > 1, parts[0] == prefix { names.insert(parts[1]) }
        }
        return names
    }
}
