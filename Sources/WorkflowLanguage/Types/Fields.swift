// Reading typed fields out of a JSON object. The schema check has reported wrong kinds before these types are
// made, so a field of the wrong kind reads as absent here.

package import Text

/// The members of one manifest object.
package struct Fields: Sendable {
    package let members: [String: JSONValue]

    package init(_ value: JSONValue?) { members = value?.objectValue ?? [:] }

    package subscript(_ key: String) -> JSONValue? {
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    package func string(_ key: String) -> String? { self[key]?.stringValue }

    /// A string, number or boolean as text: Kubernetes' IntOrString, Argo's AnyString and Amount.
    package func text(_ key: String) -> String? { self[key]?.scalarText }

    /// Like `text`, and lists and maps as their JSON: what Argo accepts as a parameter's value.
    package func anyText(_ key: String) -> String? {
        guard let value = self[key] else { return nil }
        return value.scalarText ?? value.compactText
    }

    package func int(_ key: String) -> Int? {
        guard let value = self[key] else { return nil }
        return value.intValue ?? value.stringValue.flatMap { Int($0) }
    }

    package func bool(_ key: String) -> Bool? { self[key]?.boolValue }

    package func object(_ key: String) -> Fields? {
        guard let value = self[key], value.objectValue != nil else { return nil }
        return Fields(value)
    }

    package func list(_ key: String) -> [JSONValue] { self[key]?.arrayValue ?? [] }

    package func strings(_ key: String) -> [String] { list(key).compactMap(\.scalarText) }

    package func textMap(_ key: String) -> [String: String] {
        (self[key]?.objectValue ?? [:]).compactMapValues(\.scalarText)
    }
}

/// A builder of JSON objects that leaves out what is absent, as Go's `omitempty` does.
package struct ObjectBuilder: Sendable {
    package private(set) var members: [String: JSONValue] = [:]

    package init() {}

    package mutating func set(_ key: String, _ value: JSONValue?) {
        if let value, value != .null { members[key] = value }
    }

    package mutating func set(_ key: String, _ text: String?) {
        if let text, !text.isEmpty { members[key] = .string(text) }
    }

    package mutating func set(_ key: String, _ list: [JSONValue]) {
        if !list.isEmpty { members[key] = .array(list) }
    }

    package mutating func set(_ key: String, _ flag: Bool) {
        if flag { members[key] = .bool(true) }
    }

    package mutating func set(_ key: String, _ map: [String: String]) {
        if !map.isEmpty { members[key] = .object(map.mapValues(JSONValue.string)) }
    }

    package var json: JSONValue { .object(members) }
}
