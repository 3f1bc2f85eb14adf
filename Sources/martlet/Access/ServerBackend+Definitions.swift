// Templates and cron workflows of a server, by Argo's routes.

import Controller
import Persistence
import Text
import WorkflowLanguage

extension ServerBackend {
    /// Definitions that a list asks for at a time.
    private static let definitionPage = 500

    /// Where the definitions of a kind are, and what the body's member is called.
    private func door(_ kind: DefinitionKind, _ namespace: String) -> (path: [String], member: String) {
        switch kind {
        case .clusterWorkflowTemplate: (["api", "v1", "cluster-workflow-templates"], "template")
        case .cronWorkflow: (["api", "v1", "cron-workflows", namespace], "cronWorkflow")
        default: (["api", "v1", "workflow-templates", namespace], "template")
        }
    }

    func definitions(_ kind: DefinitionKind, namespace: String?) async throws -> [ShownDefinition] {
        var found: [ShownDefinition] = []
        var query = [("listOptions.limit", "\(Self.definitionPage)")]
        while true {
            // The path of all namespaces ends with a slash.
            let page = try await connection.ask("GET", door(kind, namespace ?? "").path, query)
            found += (page["items"]?.arrayValue ?? []).map { ShownDefinition(kind: kind, document: $0) }
            guard let next = page["metadata"]?["continue"]?.stringValue, !next.isEmpty else { return found }
            query = [("listOptions.limit", "\(Self.definitionPage)"), ("listOptions.continue", next)]
        }
    }

    func definition(_ kind: DefinitionKind, name: String, namespace: String) async throws -> ShownDefinition {
        ShownDefinition(
            kind: kind, document: try await connection.ask("GET", door(kind, namespace).path + [name]))
    }

    func put(_ kind: DefinitionKind, _ document: JSONValue, namespace: String, replaces: Bool) async throws
        -> ShownDefinition
    {
        let door = door(kind, namespace)
        let body = JSONValue.object([door.member: document, "namespace": .string(namespace)])
        guard replaces else {
            return ShownDefinition(
                kind: kind, document: try await connection.ask("POST", door.path, body: body))
        }
        let name = ObjectMetadata(document["metadata"]).name
        return ShownDefinition(
            kind: kind, document: try await connection.ask("PUT", door.path + [name], body: body))
    }

    func deleteDefinition(_ kind: DefinitionKind, name: String, namespace: String) async throws {
        _ = try await connection.ask("DELETE", door(kind, namespace).path + [name])
    }

    func suspendCron(_ name: String, namespace: String, _ suspend: Bool) async throws {
        _ = try await connection.ask(
            "PUT", door(.cronWorkflow, namespace).path + [name, suspend ? "suspend" : "resume"])
    }

    /// Templates for checking manifests here, with lines and columns; ConfigMaps and Secrets stay with the server,
    /// which checks again.
    func catalog(namespace: String) async throws -> TemplateCatalog {
        var catalog = TemplateCatalog()
        for kind in [DefinitionKind.workflowTemplate, .clusterWorkflowTemplate] {
            for definition in try await definitions(kind, namespace: namespace) {
                var members = definition.document.objectValue ?? [:]
                members["kind"] = .string(kind.rawValue)
                catalog.add(.object(members))
            }
        }
        return catalog
    }
}
