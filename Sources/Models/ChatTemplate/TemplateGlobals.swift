// The functions that a chat template finds without being given them.
import Text

enum TemplateGlobals {
    static let names: Set = [
        "range", "dict", "namespace", "cycler", "joiner", "raise_exception", "strftime_now", "lipsum",
    ]

    /// Names with an underscore in front are refused in namespaces, as transformers does.
    static func checkName(_ name: PythonString) throws(TemplateFailure) {
        if name.hasPrefix("_") {
            throw .wrongArguments("the attribute \(name.repr.swift) of a namespace begins with an underscore")
        }
    }
}

extension TemplateEvaluator {
    func callGlobal(_ name: String, _ arguments: CallArguments) throws(TemplateFailure) -> TemplateValue {
        switch name {
        case "range": return .range(try makeRange(arguments))
        case "dict": return .dictionary(try TemplateDictionary(try members(name, arguments), budget: budget))
        case "namespace":
            let namespace = try makeNamespace()
            for (key, value) in try members(name, arguments) {
                guard case .string(let name) = key else { continue }
                try TemplateGlobals.checkName(name)
                namespace[name] = value
            }
            return .namespace(namespace)
        case "cycler":
            guard !arguments.positional.isEmpty else {
                throw .wrongArguments("at least one item has to be provided")
            }
            return .cycler(try TemplateCycler(arguments.positional))
        case "joiner":
            return .joiner(try TemplateJoiner(try arguments.bound(name, ["sep"])[0] ?? .string(", ")))
        case "raise_exception":
            let message = try arguments.bound(name, ["message"], required: 1)[0] ?? .none
            throw .raised(try message.text(budget).swift)
        case "strftime_now":
            let format = try requiredText(arguments.bound(name, ["format"], required: 1)[0], name)
            try budget.charge(format.utf8.count)
            return .string(try PythonString(Strftime.format(format.swift, now, budget)))
        default: throw .unsupported("the function '\(name)' is not supported")
        }
    }

    private func makeRange(_ arguments: CallArguments) throws(TemplateFailure) -> TemplateRange {
        guard arguments.named.isEmpty else { throw .wrongArguments("range() takes no keyword arguments") }
        var numbers: [Int] = []
        for value in try arguments.bound("range", ["start", "stop", "step"], required: 1) {
            guard let value else { continue }
            if case .undefined(let missing) = value { throw missing.failure }
            guard let number = value.index else {
                throw .wrongArguments("'\(value.typeName)' object cannot be interpreted as an integer")
            }
            numbers.append(number)
        }
        let range = TemplateRange(
            start: numbers.count > 1 ? numbers[0] : 0, stop: numbers.count > 1 ? numbers[1] : numbers[0],
            step: numbers.count > 2 ? numbers[2] : 1)
        guard range.step != 0 else { throw .wrongArguments("range() arg 3 must not be zero") }
        guard range.count <= TemplateLimits.rangeLength else {
            throw .limit("Range too big: ranges have at most \(TemplateLimits.rangeLength) elements")
        }
        return range
    }

    /// The members for a new dictionary: from a mapping or from pairs, then the named ones.
    private func members(
        _ name: String, _ arguments: CallArguments
    ) throws(TemplateFailure) -> [TemplateDictionary.Entry] {
        guard arguments.positional.count <= 1 else {
            throw .wrongArguments("\(name) expected at most 1 argument, got \(arguments.positional.count)")
        }
        var entries: [TemplateDictionary.Entry] = []
        switch arguments.positional.first {
        case nil: break
        case .dictionary(let dictionary)?: entries = dictionary.entries
        case let pairs?:
            for pair in try pairs.elements(budget) {
                let parts = try pair.elements(budget)
                guard parts.count == 2 else {
                    throw .wrongValue("\(name) wants pairs, but an element has length \(parts.count)")
                }
                entries.append((parts[0], parts[1]))
            }
        }
        return entries + arguments.named.map { (.string($0.name), $0.value) }
    }
}
