// Templates and cron workflows of a server, by Argo's routes.

import Controller
import Persistence
import Scheduling
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
        do {
            let document = try await connection.ask("GET", door(kind, namespace).path + [name])
            return ShownDefinition(kind: kind, document: document)
        } catch let error as OperationError where error.reason == .notFound {
            // The words of a data directory; the server's own are for programs.
            guard let all = try? await definitions(kind, namespace: namespace) else { throw error }
            throw OperationError(
                .notFound, WorkflowOperations.missing(kind, name, known: all.prefix(20).map(\.name)))
        }
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

    private func backfill(
        _ cron: String, _ namespace: String, _ start: Timestamp, _ end: Timestamp, _ more: [String: JSONValue]
    ) async throws -> JSONValue {
        let span: [String: JSONValue] = ["start": .string(start.rfc3339), "end": .string(end.rfc3339)]
        return try await connection.ask(
            "POST", ["api", "martlet", "v1", "schedules", namespace, cron, "backfill"],
            body: .object(span.merging(more) { $1 }))
    }

    func backfillPreview(_ cron: String, namespace: String, from start: Timestamp, through end: Timestamp)
        async throws -> [CronOperations.BackfillRun]
    {
        let plan = try await backfill(cron, namespace, start, end, ["preview": true])
        let missing = Set((plan["runs"]?.arrayValue ?? []).compactMap(\.stringValue))
        let moments = (plan["instants"]?.arrayValue ?? []).compactMap(\.stringValue)
        return moments.compactMap { Timestamp(rfc3339: $0) }.map { instant in
            let name = CronMachine.runName(cron, at: instant)
            return CronOperations.BackfillRun(instant: instant, name: name, hadRun: !missing.contains(name))
        }
    }

    func backfill(_ cron: String, namespace: String, at instant: Timestamp, argument: String?) async throws
        -> RunReference?
    {
        let more: [String: JSONValue] = argument.map { ["argument": .string($0)] } ?? [:]
        let made = try await backfill(cron, namespace, instant, instant, more)
        guard let name = made["runs"]?.arrayValue?.first?.stringValue else { return nil }
        return try await reference(name)
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
