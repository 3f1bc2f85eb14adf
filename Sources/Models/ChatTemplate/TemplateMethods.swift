// The methods of texts, dictionaries, lists and the other values.

enum TemplateMethods {
    /// The methods that a value has: those that may be called, and those that would change it. The
    /// reference's sandbox takes the latter for undefined, even where a member has the same name.
    static func names(of value: TemplateValue) -> (allowed: Set<String>, refused: Set<String>) {
        switch value {
        case .string: (textNames, [])
        case .dictionary: (dictionaryNames, ["clear", "pop", "popitem", "setdefault", "update"])
        case .list:
            (
                ["copy", "count", "index"],
                ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"]
            )
        case .tuple, .range: (["count", "index"], [])
        case .int: (["bit_length", "conjugate"], [])
        case .float: (["is_integer", "conjugate"], [])
        case .loop: (["cycle", "changed"], [])
        case .cycler: (["next", "reset"], [])
        case .function("dict"): (["fromkeys"], [])
        default: ([], [])
        }
    }

    /// Whether Python has the name on every object; the reference's sandbox hides it.
    static func isInternal(_ name: PythonString) -> Bool {
        name.hasPrefix("__") && internalNames.contains(name.swift)
    }

    private static let internalNames: Set = [
        "__class__", "__delattr__", "__dict__", "__dir__", "__doc__", "__eq__", "__format__", "__ge__",
        "__getattribute__", "__getitem__", "__getstate__", "__gt__", "__hash__", "__init__",
        "__init_subclass__",
        "__iter__", "__le__", "__len__", "__lt__", "__module__", "__ne__", "__new__", "__reduce__",
        "__reduce_ex__",
        "__repr__", "__setattr__", "__sizeof__", "__str__", "__subclasshook__",
    ]

    private static let dictionaryNames: Set = ["copy", "fromkeys", "get", "items", "keys", "values"]

    private static let textNames: Set = [
        "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format",
        "format_map", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier",
        "islower",
        "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip",
        "maketrans",
        "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition",
        "rsplit",
        "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper",
        "zfill",
    ]
}

extension TemplateEvaluator {
    func callMethod(
        _ name: String, of receiver: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        switch receiver {
        case .string(let text):
            try budget.charge(bytes: text.utf8.count)
            return try callMethod(name, of: text, arguments)
        case .dictionary(let dictionary): return try callMethod(name, of: dictionary, arguments)
        case .list, .tuple, .range:
            return try callMethod(name, of: receiver, elements: receiver.elements(budget), arguments)
        case .int(let number):
            _ = try arguments.bound(name, [])
            return name == "conjugate" ? receiver : .int(Int.bitWidth - number.magnitude.leadingZeroBitCount)
        case .float(let number):
            _ = try arguments.bound(name, [])
            return name == "conjugate" ? receiver : .bool(number.isFinite && number == number.rounded())
        case .loop(let loop):
            if name == "changed" {
                try keep(loop)
                return .bool(try loop.changed(arguments.positional))
            }
            guard !arguments.positional.isEmpty else { throw .wrongArguments("no items for cycling given") }
            return arguments.positional[(loop.index - 1) % arguments.positional.count]
        case .cycler(let cycler):
            _ = try arguments.bound(name, [])
            defer { cycler.position = name == "next" ? (cycler.position + 1) % cycler.items.count : 0 }
            return name == "next" ? cycler.items[cycler.position] : .none
        case .function: return try makeDictionary(fromKeys: arguments)
        default: throw .wrongValue("'\(receiver.typeName)' object has no method '\(name)'")
        }
    }

    // MARK: Dictionaries and lists

    private func callMethod(
        _ name: String, of dictionary: TemplateDictionary, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        switch name {
        case "get":
            guard arguments.named.isEmpty else { throw .wrongArguments("get() takes no keyword arguments") }
            let values = try arguments.bound("get", ["key", "default"], required: 1)
            return dictionary[try TemplateKey(values[0] ?? .none, budget)] ?? values[1] ?? .none
        case "fromkeys": return try makeDictionary(fromKeys: arguments)
        default:
            _ = try arguments.bound(name, [])
            if let view = TemplateDictionary.View(rawValue: name) { return .view(dictionary, view) }
            return .dictionary(try TemplateDictionary(dictionary.entries, budget: budget))
        }
    }

    private func makeDictionary(fromKeys arguments: CallArguments) throws(TemplateFailure) -> TemplateValue {
        let values = try arguments.bound("fromkeys", ["iterable", "value"], required: 1)
        let keys = try (values[0] ?? .none).elements(budget)
        let entries: [TemplateDictionary.Entry] = keys.map { ($0, values[1] ?? .none) }
        return .dictionary(try TemplateDictionary(entries, budget: budget))
    }

    private func callMethod(
        _ name: String, of receiver: TemplateValue, elements: [TemplateValue], _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        if name == "copy" {
            _ = try arguments.bound(name, [])
            return .list(try TemplateList(elements, budget: budget))
        }
        let values = try arguments.bound(name, ["value", "start", "stop"], required: 1)
        let wanted = values[0] ?? .none
        if name == "count" {
            var count = 0
            for element in elements where try element.isEqual(to: wanted, budget) { count += 1 }
            return .int(count)
        }
        let range = try TemplateValue.range(elements.count, values[1], values[2], nil)
        for index in range.start..<range.start + range.count
        where try elements[index].isEqual(to: wanted, budget) {
            return .int(index)
        }
        throw .wrongValue("\(wanted.shortText) is not in \(receiver.typeName)")
    }

    func textList(_ pieces: [PythonString]) throws(TemplateFailure) -> TemplateValue {
        .list(try TemplateList(pieces.map { .string($0) }, budget: budget))
    }
}
