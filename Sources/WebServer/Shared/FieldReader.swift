// Reads the fields of a JSON object one by one, so that every error names the field's path and what is
// wanted.
import Text

/// The fields of one JSON object. `null` counts as absent, as OpenAI's clients send it for what is not set.
struct FieldReader {
    /// Where the object stands: empty for the body, otherwise such as `messages[2]`.
    let path: String
    private var members: [String: OrderedJSON] = [:]
    private var order: [String] = []
    private var asked: Set<String> = []

    /// Throws if the value is not an object.
    init(_ value: OrderedJSON, path: String = "") throws(APIError) {
        self.path = path
        guard let object = value.objectValue else {
            throw .badRequest(
                "\(path.isEmpty ? "the body" : "`\(path)`") must be a JSON object, not \(value.kind)",
                parameter: path.isEmpty ? nil : path)
        }
        members.reserveCapacity(object.count)
        for member in object {
            if members.updateValue(member.value, forKey: member.key) == nil { order.append(member.key) }
        }
    }

    /// The path of a field, for errors.
    func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Names of fields that nobody asked for, at most 20, each cut short.
    var unknown: [String] {
        Array(order.lazy.filter { !asked.contains($0) }.prefix(20)).map(\.shortened)
    }

    /// Marks fields as known that are accepted and have no effect here.
    mutating func ignore(_ keys: [String]) { asked.formUnion(keys) }

    /// The value as it is; nil when absent or null.
    mutating func value(_ key: String) -> OrderedJSON? {
        asked.insert(key)
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    mutating func string(_ key: String) throws(APIError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.stringValue else { throw wrong(key, "a string", value) }
        return text
    }

    mutating func requiredString(_ key: String) throws(APIError) -> String {
        guard let text = try string(key) else { throw missing(key, "a string") }
        return text
    }

    mutating func bool(_ key: String) throws(APIError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.boolValue else { throw wrong(key, "true or false", value) }
        return flag
    }

    mutating func int(_ key: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let value = value(key) else { return nil }
        let wanted = "an integer \(Self.words(range))"
        guard let number = value.intValue, value.boolValue == nil else { throw wrong(key, wanted, value) }
        guard range.contains(number) else { throw wrong(key, wanted, value) }
        return number
    }

    /// A finite number. Its range is checked where its meaning is known.
    mutating func number(_ key: String) throws(APIError) -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value.doubleValue, value.boolValue == nil, number.isFinite else {
            throw wrong(key, "a number", value)
        }
        return number
    }

    /// An array of strings; a single string counts as an array of one.
    mutating func strings(_ key: String, limit: Int) throws(APIError) -> [String]? {
        guard let value = value(key) else { return nil }
        if let text = value.stringValue { return [text] }
        guard let elements = value.arrayValue else {
            throw wrong(key, "a string or an array of strings", value)
        }
        guard elements.count <= limit else { throw tooMany(key, limit) }
        var strings: [String] = []
        for (index, element) in elements.enumerated() {
            guard let text = element.stringValue else { throw wrong("\(key)[\(index)]", "a string", element) }
            strings.append(text)
        }
        return strings
    }

    /// An array of token ids below `vocabularySize`.
    mutating func tokenIDs(_ key: String, vocabularySize: Int, limit: Int) throws(APIError) -> [Int32]? {
        guard let value = value(key) else { return nil }
        return try tokenIDs(value, named: key, vocabularySize: vocabularySize, limit: limit)
    }

    /// As above, for an array that stands inside another one.
    func tokenIDs(
        _ value: OrderedJSON, named key: String, vocabularySize: Int, limit: Int
    ) throws(APIError) -> [Int32] {
        guard let elements = value.arrayValue else { throw wrong(key, "an array of token ids", value) }
        guard elements.count <= limit else { throw tooMany(key, limit) }
        var ids: [Int32] = []
        ids.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard let id = element.intValue, id >= 0, id < vocabularySize, let id = Int32(exactly: id) else {
                throw wrong("\(key)[\(index)]", "a token id from 0 to \(vocabularySize - 1)", element)
            }
            ids.append(id)
        }
        return ids
    }

    mutating func array(_ key: String, limit: Int) throws(APIError) -> [OrderedJSON]? {
        guard let value = value(key) else { return nil }
        guard let elements = value.arrayValue else { throw wrong(key, "an array", value) }
        guard elements.count <= limit else { throw tooMany(key, limit) }
        return elements
    }

    mutating func object(_ key: String) throws(APIError) -> OrderedJSON? {
        guard let value = value(key) else { return nil }
        guard value.objectValue != nil else { throw wrong(key, "an object", value) }
        return value
    }

    // MARK: Errors

    func wrong(_ key: String, _ wanted: String, _ value: OrderedJSON) -> APIError {
        .badRequest(
            "`\(path(of: key))` must be \(wanted), not \(value.summary)", parameter: path(of: key))
    }

    func missing(_ key: String, _ wanted: String) -> APIError {
        .badRequest("`\(path(of: key))` is missing; give \(wanted)", parameter: path(of: key))
    }

    func refused(_ key: String, _ message: String) -> APIError {
        .badRequest("`\(path(of: key))` \(message)", parameter: path(of: key))
    }

    private func tooMany(_ key: String, _ limit: Int) -> APIError {
        .badRequest("`\(path(of: key))` must have at most \(limit) elements", parameter: path(of: key))
    }

    private static func words(_ range: ClosedRange<Int>) -> String {
        switch (range.lowerBound, range.upperBound) {
        case (.min, .max): return "of 64 bits"
        case (let low, .max): return "of at least \(low)"
        case (let low, let high): return "from \(low) to \(high)"
        }
    }
}

extension OrderedJSON {
    /// What kind of value it is, in words.
    var kind: String {
        switch self {
        case .null: return "null"
        case .bool: return "a boolean"
        case .int, .double: return "a number"
        case .string: return "a string"
        case .array: return "an array"
        case .object: return "an object"
        }
    }

    /// The value if it is short enough for a message and can hold nothing secret, otherwise its kind.
    fileprivate var summary: String {
        switch self {
        case .null, .bool, .int, .double: return compactText
        case .string, .array, .object: return kind
        }
    }
}
