// Runs that have ended, by uid: Argo's archive. Here they lie where the others do.

import Controller
import Persistence
import Scheduling
import Text

extension WorkflowRoutes {
    private static let endedPhases: Set<String> = ["Succeeded", "Failed", "Error"]
    /// Runs whose labels are looked through for a reader who may not see all namespaces.
    private static let labelledRuns = 1_000

    var archiveRoutes: [ServiceRoute] {
        let service = "ArchivedWorkflowService_"
        return [
            ServiceRoute(
                "GET", "/api/v1/archived-workflows", service + "ListArchivedWorkflows", .signedIn,
                answer: listArchived),
            ServiceRoute(
                "GET", "/api/v1/archived-workflows/{uid}", service + "GetArchivedWorkflow", .run(.viewer)
            ) { request in
                let row = try await ended(request, .viewer)
                return .json(try await document(row.uid))
            },
            ServiceRoute(
                "DELETE", "/api/v1/archived-workflows/{uid}", service + "DeleteArchivedWorkflow",
                .run(.editor)
            ) { request in
                let row = try await ended(request, .editor)
                try await context.operations.delete(row.uid, force: false)
                return .json([:])
            },
            ServiceRoute(
                "PUT", "/api/v1/archived-workflows/{uid}/retry", service + "RetryArchivedWorkflow",
                .run(.editor)
            ) { request in
                let row = try await ended(request, .editor)
                return try await retry(row, try await request.json())
            },
            ServiceRoute(
                "PUT", "/api/v1/archived-workflows/{uid}/resubmit", service + "ResubmitArchivedWorkflow",
                .run(.editor)
            ) { request in
                let row = try await ended(request, .editor)
                return try await resubmit(row, try await request.json(), request)
            },
            ServiceRoute(
                "GET", "/api/v1/archived-workflows-label-keys", service + "ListArchivedWorkflowLabelKeys",
                .signedIn
            ) { request in .json(Self.list(try await labelKeys(request))) },
            ServiceRoute(
                "GET", "/api/v1/archived-workflows-label-values", service + "ListArchivedWorkflowLabelValues",
                .signedIn
            ) { request in .json(Self.list(try await labelValues(request))) },
        ]
    }

    private static func list(_ texts: [String]) -> JSONValue {
        .object(["items": .array(texts.map(JSONValue.string))])
    }

    private func listArchived(_ request: ServiceRequest) async throws -> HTTPReply {
        var selection = try RunSelection(request, namespace: request.query["namespace"] ?? "")
        selection.allowedPhases = (selection.allowedPhases ?? Self.endedPhases).intersection(Self.endedPhases)
        return .json(text: try await listText(request, selection))
    }

    /// The run that a path names by `{uid}`, which must have ended.
    private func ended(_ request: ServiceRequest, _ role: Role) async throws -> WorkflowRow {
        let row = try await row(uid: request["uid"], request, role)
        guard row.finishedAt != nil else {
            throw ServiceError.notFound(
                "workflow \"\(row.name)\" has not ended, so that it is not in the archive; "
                    + "GET /api/v1/workflows/\(row.namespace)/\(row.name) shows it")
        }
        return row
    }

    // MARK: Labels

    private func labelKeys(_ request: ServiceRequest) async throws -> [String] {
        guard let visible = try Self.visible(request) else { return try await context.store.labelKeys() }
        return Set(try await labels(visible).flatMap(\.keys)).sorted()
    }

    private func labelValues(_ request: ServiceRequest) async throws -> [String] {
        let key = request.query["listOptions.labelSelector"] ?? ""
        guard !key.isEmpty else {
            throw ServiceError.invalid("listOptions.labelSelector is missing; give the key of a label")
        }
        if key == RunSelection.phaseLabel { return Self.endedPhases.sorted() }
        guard let visible = try Self.visible(request) else { return try await context.store.labelValues(key) }
        return Set(try await labels(visible).compactMap { $0[key] }).sorted()
    }

    /// The namespaces whose labels are asked for and may be seen; nil for all.
    private static func visible(_ request: ServiceRequest) throws -> Set<String>? {
        if let namespace = request.query["namespace"], !namespace.isEmpty {
            try request.require(.viewer, in: namespace)
            return [namespace]
        }
        return request.principal.namespaces(.viewer)
    }

    private func labels(_ namespaces: Set<String>) async throws -> [[String: String]] {
        var found: [[String: String]] = []
        for namespace in namespaces.sorted() {
            let query = WorkflowQuery(namespace: namespace, limit: Self.labelledRuns)
            found += try await context.store.workflows(query).workflows.map(\.labels)
        }
        return found
    }
}
