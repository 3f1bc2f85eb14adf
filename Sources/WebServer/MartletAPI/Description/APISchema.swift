// The shapes of what Martlet's own API takes and gives: written into its document, and checked against by the same
// value, so that the two cannot differ.

import Text

/// The part of JSON Schema that the API needs.
indirect enum APISchema: Sendable {
    case any
    case text(maxLength: Int? = nil, minLength: Int = 0)
    /// RFC 3339 in UTC.
    case moment
    case integer(ClosedRange<Int>? = nil)
    case number(ClosedRange<Double>? = nil)
    case flag
    case choice([String])
    case list(APISchema, limit: Int? = nil)
    /// An object with any keys and values of one shape.
    case map(APISchema)
    /// - Parameter open: whether further members may be there; always so in answers, which may grow.
    case object([APIMember], open: Bool)
    /// Another shape with further members.
    case extended(String, [APIMember])
    /// A shape by its name in the document.
    case named(String)
    /// The value, or null.
    case optional(APISchema)

    /// An object of an answer.
    static func answer(_ members: [APIMember]) -> APISchema { .object(members, open: true) }
    /// An object of a request, in which nothing unknown may stand.
    static func request(_ members: [APIMember]) -> APISchema { .object(members, open: false) }
}

/// A member of an object.
struct APIMember: Sendable {
    var name: String
    var schema: APISchema
    /// Whether it may be left out.
    var isOptional: Bool

    init(_ name: String, _ schema: APISchema, isOptional: Bool = false) {
        self.name = name
        self.schema = schema
        self.isOptional = isOptional
    }
}

extension APISchema {
    /// As the document has it.
    var json: JSONValue {
        switch self {
        case .any: return .object([:])
        case .text(let maxLength, let minLength):
            var members: [String: JSONValue] = ["type": "string"]
            if let maxLength { members["maxLength"] = .int(maxLength) }
            if minLength > 0 { members["minLength"] = .int(minLength) }
            return .object(members)
        case .moment: return ["type": "string", "format": "date-time"]
        case .integer(let range):
            var members: [String: JSONValue] = ["type": "integer"]
            if let range {
                members["minimum"] = .int(range.lowerBound)
                members["maximum"] = .int(range.upperBound)
            }
            return .object(members)
        case .number(let range):
            var members: [String: JSONValue] = ["type": "number"]
            if let range {
                members["minimum"] = .double(range.lowerBound)
                members["maximum"] = .double(range.upperBound)
            }
            return .object(members)
        case .flag: return ["type": "boolean"]
        case .choice(let words): return ["type": "string", "enum": .array(words.map(JSONValue.string))]
        case .list(let element, let limit):
            var members: [String: JSONValue] = ["type": "array", "items": element.json]
            if let limit { members["maxItems"] = .int(limit) }
            return .object(members)
        case .map(let value): return ["type": "object", "additionalProperties": value.json]
        case .object(let members, let open):
            var object = Self.json(members)
            if !open { object["additionalProperties"] = false }
            return .object(object)
        case .extended(let name, let members):
            return ["allOf": [APISchema.named(name).json, .object(Self.json(members))]]
        case .named(let name): return ["$ref": .string("#/components/schemas/\(name)")]
        case .optional(let schema): return ["anyOf": [schema.json, ["type": "null"]]]
        }
    }

    private static func json(_ members: [APIMember]) -> [String: JSONValue] {
        var object: [String: JSONValue] = [
            "type": "object",
            "properties": .object(
                Dictionary(members.map { ($0.name, $0.schema.json) }, uniquingKeysWith: { $1 })),
        ]
        let required = members.filter { !$0.isOptional }.map { JSONValue.string($0.name) }
        if !required.isEmpty { object["required"] = .array(required) }
        return object
    }

    /// What of a value does not fit; nil if all does.
    func problem(in value: JSONValue, at path: String = "") -> String? {
        func wrong(_ wanted: String) -> String {
            "\(path.isEmpty ? "the body" : "`\(path)`") must be \(wanted), not \(value.kindInWords)"
        }
        switch self {
        case .any: return nil
        case .text(let maxLength, let minLength):
            guard let text = value.stringValue else { return wrong("a string") }
            let length = text.unicodeScalars.count
            if let maxLength, length > maxLength { return "`\(path)` is longer than \(maxLength) characters" }
            return length < minLength ? "`\(path)` must not be empty" : nil
        case .moment:
            let isMoment = value.stringValue.flatMap(Timestamp.init(rfc3339:)) != nil
            return isMoment ? nil : wrong("a moment such as 2026-01-31T12:00:00Z")
        case .integer(let range):
            guard let number = value.intValue else { return wrong("an integer") }
            if let range, !range.contains(number) {
                return "`\(path)` must be from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .number(let range):
            guard let number = value.doubleValue else { return wrong("a number") }
            if let range, !range.contains(number) {
                return wrong("a number from \(Int(range.lowerBound)) to \(Int(range.upperBound))")
            }
            return nil
        case .flag: return value.boolValue == nil ? wrong("true or false") : nil
        case .choice(let words):
            let isKnown = value.stringValue.map(words.contains) ?? false
            return isKnown ? nil : wrong("one of \(words.joined(separator: ", "))")
        case .optional(let schema): return value.isNull ? nil : schema.problem(in: value, at: path)
        case .named(let name): return APISchemas.named[name]?.problem(in: value, at: path)
        case .list, .map, .object, .extended: return problemInside(value, at: path, wrong)
        }
    }

    private func problemInside(
        _ value: JSONValue, at path: String, _ wrong: (String) -> String
    ) -> String? {
        switch self {
        case .list(let element, let limit):
            guard let elements = value.arrayValue else { return wrong("an array") }
            if let limit, elements.count > limit { return "`\(path)` has more than \(limit) elements" }
            for (index, inner) in elements.enumerated() {
                if let problem = element.problem(in: inner, at: "\(path)[\(index)]") { return problem }
            }
            return nil
        case .map(let schema):
            guard let members = value.objectValue else { return wrong("an object") }
            for (key, inner) in members.sortedByKey {
                if let problem = schema.problem(in: inner, at: Self.path(path, key)) { return problem }
            }
            return nil
        case .object(let members, let open):
            guard let object = value.objectValue else { return wrong("an object") }
            if !open,
                let key = object.keys.sorted().first(where: { key in !members.contains { $0.name == key } })
            {
                return "`\(Self.path(path, key.shortened))` is not known here; there are "
                    + members.map(\.name).joined(separator: ", ")
            }
            for member in members {
                let place = Self.path(path, member.name)
                guard let inner = object[member.name] else {
                    if member.isOptional { continue }
                    return "`\(place)` is missing"
                }
                if let problem = member.schema.problem(in: inner, at: place) { return problem }
            }
            return nil
        case .extended(let name, let members):
            return APISchema.named(name).problem(in: value, at: path)
                ?? APISchema.answer(members).problem(in: value, at: path)
        default: return nil
        }
    }

    private static func path(_ path: String, _ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }
}

extension JSONValue {
    /// What kind of value it is, in words.
    var kindInWords: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .double: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
