// A recorded model as it is shown everywhere.

package import Persistence
package import Text

extension ModelRow {
    /// `NAME`, or `NAMESPACE/NAME`: what Hugging Face's clients ask for.
    package var repository: String { ModelShelf.repository(namespace: model.namespace, name: model.name) }

    package var json: JSONValue {
        let body = model.body.objectValue ?? [:]
        let parents = parents.map { parent -> JSONValue in
            ["id": .int(Int(parent.id)), "role": .string(parent.role)]
        }
        let members: [String: JSONValue] = [
            "id": .int(Int(id)), "namespace": .string(model.namespace), "name": .string(model.name),
            "version": .int(version), "kind": .string(model.kind.rawValue), "step": .string(model.step),
            "sha256": .string(model.sha256), "commit": .string(ModelShelf.commit(model.sha256)),
            "bytes": .int(model.bytes), "repository": .string(repository),
            "tags": .array(tags.map(JSONValue.string)), "parents": .array(parents),
            "run": ["uid": .string(model.workflowUID), "name": .string(model.workflow)],
            "node": .string(model.nodeID), "parameters": body["parameters"] ?? .object([:]),
            "metrics": body["metrics"] ?? .object([:]), "inputs": body["inputs"] ?? .array([]),
            "codeVersion": body["codeVersion"] ?? .null, "createdAt": .string(model.createdAt.rfc3339),
            "deletedAt": model.deletedAt.map { .string($0.rfc3339) } ?? .null,
        ]
        return .object(members)
    }
}
