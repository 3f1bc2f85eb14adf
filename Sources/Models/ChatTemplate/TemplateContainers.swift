// Lists, dictionaries, ranges and iterators of a running template.

/// A list or a tuple. Templates cannot change them.
final class TemplateList {
    let elements: [TemplateValue]
    /// What the elements of a named tuple are called, in their order; empty for others.
    let names: [PythonString]
    let depth: Int

    /// - Throws: if it has too many elements, or is nested too deep.
    init(
        _ elements: [TemplateValue], names: [PythonString] = [], budget: TemplateBudget
    ) throws(TemplateFailure) {
        try budget.allow(elements: elements.count)
        self.elements = elements
        self.names = names
        depth = try TemplateValue.depth(around: elements)
    }
}

/// Members in the order in which their keys were first given.
final class TemplateDictionary {
    enum View: String {
        case keys, values, items
    }

    typealias Entry = (key: TemplateValue, value: TemplateValue)

    let entries: [Entry]
    let depth: Int
    private let keys: [TemplateKey]
    /// Where to find each key; empty for small dictionaries, which are searched.
    private let places: [TemplateKey: Int]

    /// Of keys given twice, the last value counts, at the place of the first.
    /// - Throws: if a key is a list or dictionary, or the limits are exceeded.
    init(_ entries: [Entry], budget: TemplateBudget) throws(TemplateFailure) {
        try budget.allow(elements: entries.count)
        var places: [TemplateKey: Int] = [:]
        var kept: [Entry] = []
        var keys: [TemplateKey] = []
        let isSmall = entries.count <= 8
        for entry in entries {
            let key = try TemplateKey(entry.key, budget)
            if let place = isSmall ? keys.firstIndex(of: key) : places[key] {
                kept[place].value = entry.value
            } else {
                if !isSmall { places[key] = kept.count }
                keys.append(key)
                kept.append(entry)
            }
        }
        self.entries = kept
        self.places = places
        self.keys = keys
        depth = max(
            try TemplateValue.depth(around: kept.map(\.key)),
            try TemplateValue.depth(around: kept.map(\.value)))
    }

    subscript(key: TemplateKey) -> TemplateValue? {
        let place = places.isEmpty ? keys.firstIndex(of: key) : places[key]
        return place.map { entries[$0].value }
    }

    subscript(name: PythonString) -> TemplateValue? { self[.string(name)] }

    /// What a view shows: keys, values, or tuples of both.
    func elements(_ view: View, _ budget: TemplateBudget) throws(TemplateFailure) -> [TemplateValue] {
        try budget.charge(entries.count)
        switch view {
        case .keys: return entries.map(\.key)
        case .values: return entries.map(\.value)
        case .items:
            var items: [TemplateValue] = []
            for entry in entries {
                items.append(.tuple(try TemplateList([entry.key, entry.value], budget: budget)))
            }
            return items
        }
    }
}

/// A value as a key: what is equal in Python is equal here, so that 1, 1.0 and True are one key.
enum TemplateKey: Hashable {
    case none
    case undefined
    case int(Int)
    case float(Double)
    case string(PythonString)
    case tuple([TemplateKey])
    case range(TemplateRange)
    case function(String)
    case object(ObjectIdentifier)

    /// - Throws: if the value is a list or dictionary, which may not be keys.
    init(_ value: TemplateValue, _ budget: TemplateBudget) throws(TemplateFailure) {
        try budget.charge()
        switch value {
        case .none: self = .none
        case .undefined: self = .undefined
        case .bool(let flag): self = .int(flag ? 1 : 0)
        case .int(let number): self = .int(number)
        case .float(let number): self = Int(exactly: number).map { .int($0) } ?? .float(number)
        case .string(let text):
            try budget.charge(bytes: text.utf8.count)
            self = .string(text)
        case .tuple(let list):
            // Nested tuples that share their parts grow when they are written out as a key.
            try budget.charge(16 * list.elements.count)
            var keys: [TemplateKey] = []
            for element in list.elements { keys.append(try TemplateKey(element, budget)) }
            self = .tuple(keys)
        case .list, .dictionary, .view: throw .wrongValue("unhashable type: '\(value.typeName)'")
        case .range(let range): self = .range(range)
        case .function(let name): self = .function(name)
        case .method(_, let name): self = .function(name.swift)
        case .iterator(let object): self = .object(ObjectIdentifier(object))
        case .namespace(let object): self = .object(ObjectIdentifier(object))
        case .macro(let object): self = .object(ObjectIdentifier(object))
        case .loop(let object): self = .object(ObjectIdentifier(object))
        case .cycler(let object): self = .object(ObjectIdentifier(object))
        case .joiner(let object): self = .object(ObjectIdentifier(object))
        }
    }
}

struct TemplateRange: Hashable {
    var start: Int
    var stop: Int
    /// Not 0.
    var step: Int

    var count: Int {
        let (distance, overflow) = stop.subtractingReportingOverflow(start)
        if overflow { return (stop > start) == (step > 0) ? .max : 0 }
        guard distance != 0, (distance > 0) == (step > 0) else { return 0 }
        let (whole, rest) = distance.quotientAndRemainder(dividingBy: step)
        return rest == 0 ? whole : whole + 1
    }

    /// - Parameter index: 0 to below `count`.
    func element(_ index: Int) -> Int { start &+ index &* step }

    var description: String { step == 1 ? "range(\(start), \(stop))" : "range(\(start), \(stop), \(step))" }
}

/// Gives values one after another, each once.
final class TemplateIterator {
    typealias Advance = () throws(TemplateFailure) -> TemplateValue?

    /// What Python calls the type.
    let typeName: String
    let depth: Int
    private let advance: Advance
    private var isDone = false

    /// - Parameter values: all that the closure holds, for the depth.
    init(
        _ typeName: String, over values: [TemplateValue], _ advance: @escaping Advance
    ) throws(TemplateFailure) {
        self.typeName = typeName
        self.advance = advance
        depth = try TemplateValue.depth(around: values)
    }

    convenience init(_ typeName: String, _ elements: [TemplateValue]) throws(TemplateFailure) {
        var index = 0
        try self.init(typeName, over: elements) { () throws(TemplateFailure) in
            guard index < elements.count else { return nil }
            index += 1
            return elements[index - 1]
        }
    }

    func next() throws(TemplateFailure) -> TemplateValue? {
        guard !isDone else { return nil }
        let value = try advance()
        isDone = value == nil
        return value
    }
}

/// The one kind of object that a template may change.
final class TemplateNamespace {
    var members: [(name: PythonString, value: TemplateValue)] = []

    subscript(name: PythonString) -> TemplateValue? {
        get { members.first { $0.name == name }?.value }
        set {
            guard let newValue else { return }
            if let place = members.firstIndex(where: { $0.name == name }) {
                members[place].value = newValue
            } else {
                members.append((name, newValue))
            }
        }
    }
}

final class TemplateCycler {
    let items: [TemplateValue]
    let depth: Int
    var position = 0

    init(_ items: [TemplateValue]) throws(TemplateFailure) {
        self.items = items
        depth = try TemplateValue.depth(around: items)
    }
}

final class TemplateJoiner {
    let separator: TemplateValue
    let depth: Int
    var isUsed = false

    init(_ separator: TemplateValue) throws(TemplateFailure) {
        self.separator = separator
        depth = try TemplateValue.depth(around: [separator])
    }
}
