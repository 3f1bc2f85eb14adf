// The values of a running template, which are those of Python as far as chat templates can see them.

enum TemplateValue {
    case undefined(TemplateUndefined)
    case none
    case bool(Bool)
    /// Python's integers have no limit; these end at 64 bits with an error.
    case int(Int)
    case float(Double)
    case string(PythonString)
    case list(TemplateList)
    case tuple(TemplateList)
    case dictionary(TemplateDictionary)
    /// What `keys()`, `values()` and `items()` give.
    case view(TemplateDictionary, TemplateDictionary.View)
    case range(TemplateRange)
    /// A Python generator or iterator: can be read once.
    case iterator(TemplateIterator)
    case namespace(TemplateNamespace)
    case macro(TemplateClosure)
    case loop(LoopState)
    /// A global function, by its name.
    case function(String)
    /// A method of a value, not yet called.
    indirect case method(TemplateValue, PythonString)
    case cycler(TemplateCycler)
    case joiner(TemplateJoiner)
}

extension TemplateValue {
    static func text(_ text: String) -> TemplateValue { .string(PythonString(text)) }

    var isUndefined: Bool {
        if case .undefined = self { return true }
        return false
    }

    var isNone: Bool {
        if case .none = self { return true }
        return false
    }

    /// The text of an argument that may be left out or be none.
    var givenText: PythonString? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// How many values are inside each other here. Namespaces and macros count as none: a rendering holds all
    /// of them to its end, so that they are never freed through each other.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .dictionary(let dictionary), .view(let dictionary, _): dictionary.depth
        case .iterator(let iterator): iterator.depth
        case .loop(let loop): loop.depth
        case .method(let receiver, _): receiver.depth + 1
        case .cycler(let cycler): cycler.depth
        case .joiner(let joiner): joiner.depth
        default: 0
        }
    }

    /// How deep a list of these values is nested.
    /// - Throws: if deeper than `TemplateLimits.valueDepth`.
    static func depth(around elements: [TemplateValue]) throws(TemplateFailure) -> Int {
        var deepest = 0
        for element in elements { deepest = max(deepest, element.depth) }
        guard deepest < TemplateLimits.valueDepth else {
            throw .limit("lists and dictionaries are more than \(TemplateLimits.valueDepth) deep")
        }
        return deepest + 1
    }

    /// The name of the type in Python's messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int: "int"
        case .float: "float"
        case .string(let text): text.isMarkup ? "Markup" : "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dict"
        case .view(_, let view): "dict_\(view.rawValue)"
        case .range: "range"
        case .iterator(let iterator): iterator.typeName
        case .namespace: "Namespace"
        case .macro: "Macro"
        case .loop: "LoopContext"
        case .function: "function"
        case .method: "builtin_function_or_method"
        case .cycler: "Cycler"
        case .joiner: "Joiner"
        }
    }

    /// How messages about missing members name the owner.
    var ownerName: String { isNone ? "None" : typeName + " object" }
}

/// Why a value is missing. The text is made only when someone asks for it.
final class TemplateUndefined {
    enum Origin {
        case variable(String)
        case attribute(PythonString, of: String)
        case element(TemplateValue, of: String)
        case reason(String)
    }

    let origin: Origin

    init(_ origin: Origin) { self.origin = origin }

    var problem: String {
        switch origin {
        case .variable(let name): "'\(name)' is undefined"
        case .attribute(let name, let owner): "'\(owner)' has no attribute \(name.repr.swift)"
        case .element(let key, let owner): "\(owner) has no element \(key.shortText)"
        case .reason(let reason): reason
        }
    }

    var failure: TemplateFailure { .undefined(problem) }
}
