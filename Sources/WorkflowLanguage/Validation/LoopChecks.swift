// Loops of steps and tasks: withItems, withParam, withSequence, and what {{item}} is in each.

import Text

extension ValidationContext {
    func checkLoop(of step: Step, at path: FieldPath, into findings: inout Findings) {
        let fields = Fields(step.raw)
        let used = ["withItems", "withParam", "withSequence"].filter { key in
            switch key {
            case "withItems": !fields.list(key).isEmpty
            case "withParam": !(fields.anyText(key) ?? "").isEmpty
            default: fields[key] != nil
            }
        }
        if used.count > 1 {
            findings.error(
                "only one of withItems, withParam, withSequence can be specified", at: path[used[1]],
                remedy: "keep one of " + used.joined(separator: ", "))
        }
        if let text = fields.string("withParam"), !text.isEmpty, !Tag.isIn(text),
            !ASCII.trimmed(text).hasPrefix("[")
        {
            findings.error(
                "withParam '\(text)' is not a JSON list", at: path["withParam"],
                remedy: "write a tag such as \"{{steps.NAME.outputs.result}}\", or a list under withItems")
        }
        for (index, item) in fields.list("withItems").enumerated() where item == .null {
            findings.error("unsupported withItems type: null", at: path["withItems"][index])
        }
        if let sequence = fields["withSequence"] {
            checkSequence(SequenceLoop(sequence), at: path["withSequence"], into: &findings)
        }
    }

    private func checkSequence(_ loop: SequenceLoop, at path: FieldPath, into findings: inout Findings) {
        if loop.count != nil, loop.end != nil {
            findings.error(
                "only one of count or end can be defined in withSequence", at: path["end"],
                remedy: "keep count, the number of items, or end, the last number")
        } else if loop.count == nil, loop.end == nil {
            findings.error(
                "withSequence needs count or end", at: path, remedy: "write count: 3, or start: 1 and end: 3")
        }
        for (key, value) in [("start", loop.start), ("end", loop.end), ("count", loop.count)] {
            guard let value, !Tag.isIn(value), Int(value) == nil else { continue }
            findings.error("\(key) '\(value)' is not a whole number", at: path[key])
        }
        if let count = loop.count.flatMap({ Int($0) }), count < 0 {
            findings.error("count must not be negative", at: path["count"])
        }
        if let format = loop.format, !format.isEmpty, !Tag.isIn(format), !format.contains("%") {
            findings.warning(
                "format '\(format)' does not contain the number", at: path["format"],
                remedy: "write for example \"host-%02d\"")
        }
    }
}

extension Scope {
    /// The scope with {{item}} for a step that loops.
    func addingItems(of step: Step) -> Scope {
        switch step.loop {
        case nil: return self
        case .parameter: return adding(names: ["item"], prefixes: ["item."])
        case .sequence: return adding(names: ["item"])
        case .items(let items):
            var scope = adding(names: ["item"])
            for item in items {
                switch item {
                case .object(let members): scope.names.formUnion(members.keys.map { "item.\($0)" })
                case .array(let elements): scope.names.formUnion(elements.indices.map { "item.[\($0)]" })
                case .string(let text) where Tag.isIn(text): scope.prefixes.insert("item.")
                default: break
                }
            }
            return scope
        }
    }
}
