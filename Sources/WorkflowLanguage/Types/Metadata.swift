// Kubernetes' object metadata, as far as Martlet reads it; the rest is carried in `raw`.

package import Text

/// `metadata` of a document.
package struct ObjectMetadata: Sendable, Hashable {
    package var name: String
    package var generateName: String
    package var namespace: String
    package var uid: String
    package var labels: [String: String]
    package var annotations: [String: String]
    package var raw: JSONValue

    package init(_ json: JSONValue?) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        generateName = fields.string("generateName") ?? ""
        namespace = fields.string("namespace") ?? ""
        uid = fields.string("uid") ?? ""
        labels = fields.textMap("labels")
        annotations = fields.textMap("annotations")
        raw = json ?? .object([:])
    }

    /// The metadata with the typed fields written over what was carried.
    package var json: JSONValue {
        var members = raw.objectValue ?? [:]
        func put(_ key: String, _ text: String) { members[key] = text.isEmpty ? nil : .string(text) }
        put("name", name)
        put("generateName", generateName)
        put("namespace", namespace)
        put("uid", uid)
        members["labels"] = labels.isEmpty ? nil : .object(labels.mapValues(JSONValue.string))
        members["annotations"] = annotations.isEmpty ? nil : .object(annotations.mapValues(JSONValue.string))
        return .object(members)
    }
}
