// Documents that live longer than a run: templates, cron workflows, ConfigMaps, Secrets.

package import Text

/// A stored document's kind; the raw value is the manifest's `kind`.
package enum DefinitionKind: String, Sendable, Hashable, CaseIterable {
    case workflowTemplate = "WorkflowTemplate"
    case clusterWorkflowTemplate = "ClusterWorkflowTemplate"
    case cronWorkflow = "CronWorkflow"
    case workflowEventBinding = "WorkflowEventBinding"
    case configMap = "ConfigMap"
    case secret = "Secret"

    package var isClusterWide: Bool { self == .clusterWorkflowTemplate }
}

/// A stored document and what the store counts of it.
package struct DefinitionRow: Sendable, Hashable {
    package var kind: DefinitionKind
    /// Empty for cluster-wide kinds.
    package var namespace: String
    package var name: String
    /// The whole document. Secrets are encrypted in the database.
    package var body: JSONValue
    /// What the controller notes beside the document: the last schedule of a cron workflow.
    package var status: JSONValue
    /// Counts the changes of the body, from 1.
    package var generation: Int
    /// Goes up at every change, of the status too, and never comes twice in a database.
    package var resourceVersion: Int
    package var createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(
        kind: DefinitionKind, namespace: String, name: String, body: JSONValue, status: JSONValue,
        generation: Int, resourceVersion: Int, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.body = body
        self.status = status
        self.generation = generation
        self.resourceVersion = resourceVersion
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// What must hold for a definition to be written.
package enum WriteCondition: Sendable, Hashable {
    case always
    /// There is none of that name: create.
    case absent
    /// There is one, of whatever version: update.
    case present
    /// There is one with this resource version: nobody has changed it since it was read.
    case version(Int)
}
