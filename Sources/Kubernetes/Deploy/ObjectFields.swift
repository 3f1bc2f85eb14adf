// Objects with a field changed: what is read from the API goes back to it with all that is not known here.

import Text

extension JSONValue {
    /// The object with another value in one of its parts; nil takes the member away.
    func setting(_ part: String, _ key: String, _ value: JSONValue?) -> JSONValue {
        var members = objectValue ?? [:]
        var inner = members[part]?.objectValue ?? [:]
        inner[key] = value
        members[part] = .object(inner)
        return .object(members)
    }

    /// The object with other annotations; those that are nil go.
    func noting(_ notes: [String: String?]) -> JSONValue {
        var known = self["metadata"]?["annotations"]?.objectValue ?? [:]
        for (name, value) in notes { known[name] = value.map(JSONValue.string) }
        return setting("metadata", "annotations", .object(known))
    }
}
