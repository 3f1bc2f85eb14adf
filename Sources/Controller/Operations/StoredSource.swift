// A stored template or cron workflow as something to run.

package import Persistence
package import Text

/// What `submit --from KIND/NAME` and the API's submit name.
package struct StoredSource: Sendable, Hashable {
    package let kind: DefinitionKind
    package let name: String
    package let namespace: String

    package init(_ kind: DefinitionKind, name: String, namespace: String) {
        self.kind = kind
        self.name = name
        self.namespace = namespace
    }

    /// The kind by the words that people and Argo's clients use for it; nil for one that cannot be run.
    package static func kind(named word: String) -> DefinitionKind? {
        switch word.lowercased() {
        case "workflowtemplate", "workflowtemplates", "wftmpl": .workflowTemplate
        case "clusterworkflowtemplate", "clusterworkflowtemplates", "cwft": .clusterWorkflowTemplate
        case "cronworkflow", "cronworkflows", "cronwf", "cwf": .cronWorkflow
        default: nil
        }
    }

    /// A workflow that runs what is stored.
    /// - Throws: `OperationError` (`notFound`) with the names there are.
    package func manifest(in store: Store) async throws -> JSONValue {
        guard let row = try await store.definition(kind, namespace: namespace, name: name) else {
            let known = try await store.definitions(kind, namespace: namespace).prefix(20).map(\.name)
            throw OperationError(
                .notFound,
                "there is no \(kind.rawValue) \"\(name)\""
                    + (known.isEmpty ? "; none is stored" : "; there are \(known.joined(separator: ", "))"))
        }
        return manifest(of: row.body)
    }

    package func manifest(of body: JSONValue) -> JSONValue {
        var spec: JSONValue = ["workflowTemplateRef": ["name": .string(name)]]
        var metadata: [String: JSONValue] = ["generateName": .string(name + "-")]
        var labels: [String: JSONValue] = [:]
        switch kind {
        case .clusterWorkflowTemplate:
            spec = ["workflowTemplateRef": ["name": .string(name), "clusterScope": true]]
            labels["workflows.argoproj.io/cluster-workflow-template"] = .string(name)
        case .cronWorkflow:
            let own = body["spec"]?["workflowMetadata"]
            spec = body["spec"]?["workflowSpec"] ?? [:]
            labels = own?["labels"]?.objectValue ?? [:]
            labels["workflows.argoproj.io/cron-workflow"] = .string(name)
            metadata["annotations"] = own?["annotations"]
        default: labels["workflows.argoproj.io/workflow-template"] = .string(name)
        }
        metadata["labels"] = .object(labels)
        return [
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": .object(metadata),
            "spec": spec,
        ]
    }
}
