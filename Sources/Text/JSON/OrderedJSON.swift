// JSON whose objects keep their order: what chat templates print and schemas prescribe depends on it.

/// A JSON value with the members of objects in the order of the text. Two values are equal if their strings
/// have the same bytes, their members the same order, and their numbers the same spelling as integers or not.
package indirect enum OrderedJSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([OrderedJSON])
    case object([Member])

    package struct Member: Sendable, Hashable {
        package var key: String
        package var value: OrderedJSON

        package init(key: String, value: OrderedJSON) {
            self.key = key
            self.value = value
        }
    }

    /// Reads exactly one JSON value, by the rules of `JSONValue.init(parsing:)`. A key given twice has the
    /// last value at the place of the first, as in Python.
    package init(parsing text: String) throws(JSONParseError) {
        try self.init(parsingUTF8: Array(text.utf8))
    }

    package init(parsingUTF8 bytes: [UInt8]) throws(JSONParseError) {
        var parser = JSONParser<OrderedJSON>(bytes: bytes)
        self = try parser.parseDocument()
    }

    /// Members of objects come in the order of their keys' bytes.
    package init(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .double(let number): self = .double(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map { OrderedJSON($0) })
        case .object(let members):
            self = .object(members.sortedByKey.map { Member(key: $0.key, value: OrderedJSON($0.value)) })
        }
    }

    /// The same value without its order.
    package var jsonValue: JSONValue {
        switch self {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .double(let number): .double(number)
        case .string(let text): .string(text)
        case .array(let elements): .array(elements.map(\.jsonValue))
        case .object(let members):
            .object(Dictionary(members.map { ($0.key, $0.value.jsonValue) }) { $1 })
        }
    }
}

extension OrderedJSON {
    /// The member of an object, nil for another kind of value or an absent key. Keys are compared by their
    /// bytes.
    package subscript(key: String) -> OrderedJSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }

    package var stringValue: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    package var boolValue: Bool? {
        if case .bool(let flag) = self { return flag }
        return nil
    }

    /// A whole number, also where it is written like `5.0`.
    package var intValue: Int? {
        switch self {
        case .int(let number): number
        case .double(let number): Int(exactly: number)
        default: nil
        }
    }

    package var doubleValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    package var arrayValue: [OrderedJSON]? {
        if case .array(let elements) = self { return elements }
        return nil
    }

    package var objectValue: [Member]? {
        if case .object(let members) = self { return members }
        return nil
    }

    package var isNull: Bool {
        if case .null = self { return true }
        return false
    }
}

extension OrderedJSON {
    /// Swift finds strings equal that merely look alike; JSON's are equal code point by code point. The hash
    /// that the compiler makes stays valid, since same bytes hash the same.
    package static func == (left: OrderedJSON, right: OrderedJSON) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let one), .bool(let other)): one == other
        case (.int(let one), .int(let other)): one == other
        case (.double(let one), .double(let other)): one == other
        case (.string(let one), .string(let other)): one.utf8.elementsEqual(other.utf8)
        case (.array(let one), .array(let other)): one == other
        case (.object(let one), .object(let other)): one == other
        default: false
        }
    }
}

extension OrderedJSON.Member {
    package static func == (left: Self, right: Self) -> Bool {
        left.key.utf8.elementsEqual(right.key.utf8) && left.value == right.value
    }
}

extension OrderedJSON: JSONTree {
    /// Keys are compared by their bytes, as equal strings may be different keys; larger objects have a table
    /// of them, which would cost more than it saves in the many small ones.
    struct Members {
        static let tableThreshold = 16
        var list: [Member] = []
        var places: [[UInt8]: Int] = [:]

        mutating func place(of key: String) -> Int? {
            if list.count < Self.tableThreshold {
                return list.firstIndex { $0.key.utf8.elementsEqual(key.utf8) }
            }
            if places.isEmpty {
                for (place, member) in list.enumerated() { places[Array(member.key.utf8)] = place }
            }
            return places[Array(key.utf8)]
        }

        mutating func append(_ member: Member) {
            if !places.isEmpty { places[Array(member.key.utf8)] = list.count }
            list.append(member)
        }
    }

    static var noMembers: Members { Members() }

    static func add(_ value: OrderedJSON, for key: String, to members: inout Members) {
        if let place = members.place(of: key) {
            members.list[place].value = value
        } else {
            members.append(Member(key: key, value: value))
        }
    }

    static func tree(of members: Members) -> OrderedJSON { .object(members.list) }
    static func tree(of elements: [OrderedJSON]) -> OrderedJSON { .array(elements) }
    static func tree(of scalar: JSONValue) -> OrderedJSON { OrderedJSON(scalar) }
}
