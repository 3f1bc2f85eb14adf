// What a manifest may refer to beyond itself: stored templates and named values.

package import Text

/// The stored definitions and values that a workflow of one namespace can see.
package struct TemplateCatalog: Sendable {
    /// WorkflowTemplates by name.
    package var namespaced: [String: Workflow]
    /// ClusterWorkflowTemplates by name.
    package var cluster: [String: Workflow]
    /// ConfigMaps by name.
    package var configMaps: [String: KeyedValues]
    /// Secrets by name.
    package var secrets: [String: KeyedValues]
    /// Names of the time zones that the machine knows; empty when nobody looked.
    package var timeZones: Set<String>

    package init(
        namespaced: [String: Workflow] = [:], cluster: [String: Workflow] = [:],
        configMaps: [String: KeyedValues] = [:], secrets: [String: KeyedValues] = [:],
        timeZones: Set<String> = []
    ) {
        self.namespaced = namespaced
        self.cluster = cluster
        self.configMaps = configMaps
        self.secrets = secrets
        self.timeZones = timeZones
    }

    package func workflowTemplate(_ name: String, clusterScope: Bool) -> Workflow? {
        clusterScope ? cluster[name] : namespaced[name]
    }

    /// Adds a stored definition or named values; other kinds of documents change nothing.
    package mutating func add(_ document: JSONValue) {
        let name = document["metadata"]?["name"]?.stringValue ?? ""
        switch document["kind"]?.stringValue {
        case "WorkflowTemplate": namespaced[name] = Workflow(document)
        case "ClusterWorkflowTemplate": cluster[name] = Workflow(document)
        case "ConfigMap": configMaps[name] = KeyedValues(document)
        case "Secret": secrets[name] = KeyedValues(document)
        default: break
        }
    }
}
