// From a step as written to the calls that it makes: `when`, loops, and arguments with their values.

package import Text
package import WorkflowLanguage

/// One call of a step: the step itself, or one item of its loop.
struct ExpandedStep: Sendable {
    /// The step's name, with `(i:VALUE)` for an item.
    var name: String
    var stepName: String
    var step: Step
    /// Set when the call ends without being made.
    var ending: (phase: Phase, message: String)?
}

extension WorkflowState {
    /// How many items one loop may have.
    package static var loopLimit: Int { 1_000_000 }

    /// The calls that a step makes now. An empty loop gives one call that is skipped.
    func expand(_ step: Step, frame: NodeID) throws(SubstitutionError) -> [ExpandedStep] {
        var references = TagReferences(in: step.raw)
        if let when = step.when { references.formUnion(TagReferences(in: when)) }
        let scope = stepScope(frame, references)
        if let when = step.when, step.loop == nil || !Self.mentionsItem(when) {
            if let message = try skipMessage(when, scope) {
                return [
                    ExpandedStep(
                        name: step.name, stepName: step.name, step: step, ending: (.skipped, message))
                ]
            }
        }
        guard let loop = step.loop else {
            return [
                ExpandedStep(
                    name: step.name, stepName: step.name, step: try resolved(step, scope, frame), ending: nil)
            ]
        }
        let items = try Self.items(of: loop, scope)
        if items.isEmpty {
            return [
                ExpandedStep(
                    name: step.name, stepName: step.name, step: step,
                    ending: (.skipped, "Skipped, empty params"))
            ]
        }
        var calls: [ExpandedStep] = []
        calls.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            calls.append(try call(step, item, index, scope, frame))
        }
        return calls
    }

    private func call(_ step: Step, _ item: JSONValue, _ index: Int, _ scope: VariableScope, _ frame: NodeID)
        throws(SubstitutionError) -> ExpandedStep
    {
        var scope = scope
        for (name, entry) in Self.itemEntries(item) { scope.entries[name] = entry }
        let name = "\(step.name)(\(index):\(Self.itemName(item)))"
        if let when = step.when, let message = try skipMessage(when, scope) {
            return ExpandedStep(name: name, stepName: step.name, step: step, ending: (.skipped, message))
        }
        return ExpandedStep(
            name: name, stepName: step.name, step: try resolved(step, scope, frame), ending: nil)
    }

    /// Why a step is skipped; nil if its condition holds.
    private func skipMessage(_ when: String, _ scope: VariableScope) throws(SubstitutionError) -> String? {
        let text = try scope.replace(in: when)
        do throws(ExpressionError) {
            return try WhenExpression.evaluate(text) ? nil : "when '\(text)' evaluated false"
        } catch {
            throw .expression(source: when, message: error.message)
        }
    }

    private static func mentionsItem(_ text: String) -> Bool {
        let references = TagReferences(in: text)
        return references.words.contains("item")
            || references.tags.contains { $0 == "item" || $0.hasPrefix("item.") || $0.contains("{{item") }
    }

    /// The step with its arguments resolved. Hooks are resolved when they fire, and an inline template when
    /// it is called.
    private func resolved(_ step: Step, _ scope: VariableScope, _ frame: NodeID) throws(SubstitutionError)
        -> Step
    {
        guard var members = step.raw.objectValue else { return step }
        for key in [
            "hooks", "onExit", "when", "inline", "withItems", "withParam", "withSequence", "arguments",
        ] {
            members[key] = nil
        }
        var replaced = try scope.replace(in: .object(members)).objectValue ?? [:]
        var lenient = scope
        lenient.strictPrefixes = []
        for key in ["hooks", "onExit", "inline"] {
            guard let value = step.raw[key] else { continue }
            // Only the loop's item is put in now; the rest waits.
            var itemScope = VariableScope(context: scope.context)
            itemScope.entries = scope.entries.filter { $0.key == "item" || $0.key.hasPrefix("item.") }
            replaced[key] =
                key == "inline" ? try lenient.replace(in: value) : try itemScope.replace(in: value)
        }
        var result = Step(.object(replaced))
        let from = live[frame]?.scope ?? .workflow
        result.arguments = try resolvedArguments(
            step.arguments, in: scope, consumer: (result.reference, from))
        return result
    }

    // MARK: Arguments

    /// Arguments with their values and locations. An argument that is only a reference to an absent output is
    /// left out when the consumer's input has a default (or is optional).
    func resolvedArguments(
        _ arguments: Arguments, in scope: VariableScope, consumer: (TemplateReference, TemplateScope)?
    ) throws(SubstitutionError) -> Arguments {
        var result = Arguments()
        var inputs: Inputs?
        if let consumer {
            var templates = templates
            inputs = templates.resolve(consumer.0, from: consumer.1)?.template.inputs
        }
        for parameter in arguments.parameters {
            var parameter = parameter
            do throws(SubstitutionError) {
                parameter.value = try parameter.value.map { text throws(SubstitutionError) in
                    try scope.replace(in: text)
                }
                parameter.default = try parameter.default.map { text throws(SubstitutionError) in
                    try scope.replace(in: text)
                }
            } catch {
                guard case .absent = error, Self.isOnlyATag(parameter.value ?? ""),
                    inputs?.parameter(parameter.name)?.valueOrDefault != nil
                        || inputs?.parameter(parameter.name)?.valueFrom?.default != nil
                else { throw error }
                continue
            }
            result.parameters.append(parameter)
        }
        for artifact in arguments.artifacts {
            let isOptional = artifact.optional || inputs?.artifact(artifact.name)?.optional == true
            if let located = try located(artifact, scope, isOptional) { result.artifacts.append(located) }
        }
        return result
    }

    private static func isOnlyATag(_ text: String) -> Bool {
        let pieces = Tag.pieces(of: text.trimmed)
        if pieces.count == 1, case .tag = pieces[0] { return true }
        return false
    }

    /// An artifact argument with its location; nil for an optional one that is not there.
    func located(_ artifact: Artifact, _ scope: VariableScope, _ isOptional: Bool)
        throws(SubstitutionError) -> Artifact?
    {
        if let source = artifact.fromExpression, !source.isEmpty {
            let value = try artifactValue(of: source, scope)
            guard let found = value else {
                if isOptional { return nil }
                throw .absent(tag: "=\(source)")
            }
            return artifact.located(as: Artifact(found))
        }
        guard let from = artifact.from, !from.isEmpty else {
            return Artifact(try scope.replace(in: artifact.raw))
        }
        let tag = Self.tagName(from)
        switch scope.entry(tag) {
        case .structure(let json):
            let found = Artifact(json)
            guard found.location != nil else {
                if isOptional { return nil }
                throw .unresolved(tag: tag)
            }
            var located = artifact.located(as: found)
            if let subPath = artifact.subPath {
                located = located.with("subPath", .string(try scope.replace(in: subPath)))
            }
            return located
        case .absent, .text, nil:
            if isOptional { return nil }
            if scope.entry(tag) == .absent { throw .absent(tag: tag) }
            throw .unresolved(tag: tag)
        }
    }

    private func artifactValue(of source: String, _ scope: VariableScope) throws(SubstitutionError)
        -> JSONValue?
    {
        do throws(ExpressionError) {
            let expression = try Expression(source)
            var context = scope.context
            let value = try expression.evaluate(scope.environment(for: expression.words), &context).json
            return value.objectValue == nil ? nil : value
        } catch {
            throw .expression(source: source, message: error.message)
        }
    }

    /// What stands in a `from`: with braces or without.
    static func tagName(_ text: String) -> String {
        let pieces = Tag.pieces(of: text.trimmed)
        if pieces.count == 1, case .tag(let content) = pieces[0] { return content.trimmed }
        return text.trimmed
    }

    // MARK: Loops

    /// The items of a loop, its tags replaced.
    package static func items(of loop: Loop, _ scope: VariableScope) throws(SubstitutionError) -> [JSONValue]
    {
        switch loop {
        case .items(let items):
            guard items.contains(where: \.holdsTag) else { return items }
            var result: [JSONValue] = []
            for item in items { result.append(try scope.replace(in: item)) }
            return result
        case .parameter(let text):
            let replaced = try scope.replace(in: text)
            guard let list = (try? JSONValue(parsing: replaced))?.arrayValue else {
                throw .expression(
                    source: text,
                    message: "withParam value could not be parsed as a JSON list: \(replaced.prefix(200))")
            }
            guard list.count <= loopLimit else {
                throw .expression(source: text, message: "a loop may have \(Self.loopLimit) items at most")
            }
            return list
        case .sequence(let sequence):
            return try numbers(sequence, scope)
        }
    }

    private static func numbers(_ sequence: SequenceLoop, _ scope: VariableScope) throws(SubstitutionError)
        -> [JSONValue]
    {
        func number(_ text: String?, _ field: String) throws(SubstitutionError) -> Int? {
            guard let text else { return nil }
            let replaced = try scope.replace(in: text).trimmed
            guard let number = Int(replaced) else {
                throw .expression(
                    source: text, message: "withSequence.\(field) \"\(replaced)\" is not a whole number")
            }
            return number
        }
        let start = try number(sequence.start, "start") ?? 0
        var numbers: [Int] = []
        if let count = try number(sequence.count, "count") {
            guard count <= Self.loopLimit else {
                throw .expression(
                    source: sequence.count ?? "", message: "a loop may have \(Self.loopLimit) items at most")
            }
            numbers = count > 0 ? (0..<count).map { start &+ $0 } : []
        } else if let end = try number(sequence.end, "end") {
            let (span, overflow) = end.subtractingReportingOverflow(start)
            guard !overflow, span.magnitude < UInt(Self.loopLimit) else {
                throw .expression(
                    source: sequence.end ?? "", message: "a loop may have \(Self.loopLimit) items at most")
            }
            numbers = start <= end ? Array(start...end) : Array((end...start).reversed())
        }
        let format = try sequence.format.map { text throws(SubstitutionError) in try scope.replace(in: text) }
        return numbers.map { number in
            .string(format.map { GoFormat.sprintf($0, [.int(number)]) } ?? String(number))
        }
    }

    /// The variables of a loop's item.
    package static func itemEntries(_ item: JSONValue) -> [String: ScopeEntry] {
        switch item {
        case .object(let members):
            var entries: [String: ScopeEntry] = ["item": .text(item.compactText)]
            for (key, value) in members {
                entries["item.\(key)"] = .text(value.scalarText ?? (value.isNull ? "" : value.compactText))
            }
            return entries
        default:
            return ["item": .text(item.scalarText ?? (item.isNull ? "" : item.compactText))]
        }
    }

    /// How an item is shown in a node's name.
    package static func itemName(_ item: JSONValue) -> String {
        let text: String
        switch item {
        case .object(let members):
            text = members.map { "\($0.key):\(goText($0.value))" }.sorted().joined(separator: ",")
        default: text = goText(item)
        }
        return String(text.unicodeScalars.filter { $0 != "(" && $0 != ")" })
    }

    private static func goText(_ value: JSONValue) -> String {
        switch value {
        case .array, .object: GoFormat.sprintf("%v", [value])
        case .null: ""
        default: value.scalarText ?? ""
        }
    }
}

extension JSONValue {
    /// Whether any text in the value has a tag.
    var holdsTag: Bool {
        switch self {
        case .string(let text): return Tag.isIn(text)
        case .array(let elements): return elements.contains(where: \.holdsTag)
        case .object(let members): return members.contains { Tag.isIn($0.key) || $0.value.holdsTag }
        default: return false
        }
    }
}
