// Runs: found, counted, looked into.

import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension MartletRoutes {
    var runRoutes: [ServiceRoute] {
        [
            route("GET", "/runs", "MartletAPI_ListRuns", .signedIn, summary: "Lists runs, newest first.") {
                try await listRuns($0)
            },
            route("GET", "/runs/counts", "MartletAPI_CountRuns", .signedIn, summary: "Counts runs by phase.")
            {
                try await countRuns($0)
            },
            route("GET", "/runs/{uid}", "MartletAPI_GetRun", .run(.viewer), summary: "A run with its nodes.")
            {
                try await getRun($0)
            },
            route(
                "GET", "/runs/{uid}/manifest", "MartletAPI_GetRunManifest", .run(.viewer),
                summary: "What a run was made from, as it was submitted."
            ) { reader in
                let view = try await view(reader)
                let manifest = view.definition.manifest
                let yaml = try await onThread { ManifestPrinter.yaml(manifest) }
                return .json(["manifest": manifest, "yaml": .string(yaml)])
            },
            route(
                "GET", "/runs/{uid}/events", "MartletAPI_ListRunEvents", .run(.viewer),
                summary: "What happened in a run, oldest first."
            ) { try await listEvents($0) },
            route(
                "GET", "/runs/{uid}/notifications", "MartletAPI_ListNotifications", .run(.viewer),
                summary: "Who is told of a run's end, and whether that has worked."
            ) { reader in
                let uid = try await summary(reader).uid
                return .json(.page(try await context.store.notifications(of: uid).map(NotificationJSON.json)))
            },
            route(
                "POST", "/runs/{uid}/notifications/retry", "MartletAPI_RetryNotifications", .run(.editor),
                summary: "Tells again who could not be told of a run's end."
            ) { reader in
                let uid = try await summary(reader, .editor).uid
                _ = try await reader.body()
                let count = try await context.store.retryNotifications(of: uid, at: context.now())
                return .json(["retried": .int(count)])
            },
            route(
                "GET", "/runs/{uid}/state", "MartletAPI_GetRunState", .run(.viewer),
                summary: "Everything that is stored of a run, for Martlet's own command line."
            ) { try await getState($0) },
        ]
    }

    // MARK: Lists

    private func listRuns(_ reader: APIReader) async throws -> HTTPReply {
        let revision = try await context.store.latestRevision()
        var query = try RunFilters.query(reader)
        let limit = try reader.integer("limit", or: 50)
        if let text = try reader.text("after") {
            guard let cursor = WorkflowCursor(text: text) else {
                throw ServiceError.invalid(
                    "`after` is no cursor of this list; take `next` of the page before")
            }
            query.after = cursor
        }
        let page = try await page(query, limit: limit, seen: namespaces(reader))
        let items = try await summaries.json(page.workflows)
        return .json(.page(items, next: page.next?.text, ["revision": .int(Int(revision))]))
    }

    /// A page of the runs of some namespaces. Of more than the store takes at once it may be short although more
    /// follow.
    private func page(_ query: WorkflowQuery, limit: Int, seen: Set<String>?) async throws -> WorkflowPage {
        var query = query
        guard let seen, seen.count != 1 else {
            query.namespace = seen?.first
            query.limit = limit
            return try await context.store.workflows(query)
        }
        var found = WorkflowPage(workflows: [])
        guard !seen.isEmpty else { return found }
        if seen.count <= WorkflowQuery.namespaceLimit {
            query.limit = limit
            return try await context.store.workflows(query, of: seen)
        }
        for _ in 0..<RunFilters.roundLimit {
            // Never more than are still wanted, so that the cursor stands behind the last one given.
            query.limit = limit - found.workflows.count
            let page = try await context.store.workflows(query)
            found.workflows += page.workflows.filter { seen.contains($0.namespace) }
            found.next = page.next
            query.after = page.next
            if page.next == nil || found.workflows.count >= limit { break }
        }
        return found
    }

    private func countRuns(_ reader: APIReader) async throws -> HTTPReply {
        let query = try RunFilters.query(reader)
        var found: [String: Int] = [:]
        for namespace in try namespaces(reader).map({ $0.sorted().map(Optional.some) }) ?? [nil] {
            var part = query
            part.namespace = namespace
            found.merge(try await context.store.workflowCounts(part), uniquingKeysWith: +)
        }
        found["Pending", default: 0] += found.removeValue(forKey: "") ?? 0
        var counts = Dictionary(RunFilters.phases.map { ($0, JSONValue.int(found[$0] ?? 0)) }) { $1 }
        counts["total"] = .int(found.values.reduce(0, +))
        if found.values.contains(where: { $0 >= WorkflowQuery.countCap }) { counts["capped"] = true }
        return .json(.object(counts))
    }

    // MARK: One run

    private func getRun(_ reader: APIReader) async throws -> HTTPReply {
        let view = try await view(reader)
        let line = try await summaries.json(view.summary)
        let members = line.merging(view.members(medianSeconds: line["medianSeconds"]?.doubleValue)) { $1 }
        return .json(.object(members))
    }

    private func listEvents(_ reader: APIReader) async throws -> HTTPReply {
        let summary = try await summary(reader)
        let limit = try reader.integer("limit", or: 100)
        let after = try reader.integer("after", or: 0)
        let events = try await context.store.events(summary.uid, after: Int64(after), limit: limit + 1)
        let items = events.prefix(limit).map { id, event in
            JSONValue.object([
                "id": .int(Int(id)), "at": .moment(event.at), "node": .text(event.nodeID),
                "kind": .string(event.kind), "message": .string(event.message),
            ])
        }
        let next = events.count > limit ? events[limit - 1].id : nil
        return .json(.object(["items": .array(Array(items)), "next": .integer(next.map { Int($0) })]))
    }

    private func getState(_ reader: APIReader) async throws -> HTTPReply {
        let summary = try await summary(reader)
        return .json(StoredRunJSON.json(try await context.operations.state(summary.uid)))
    }
}

/// Filters of lists and counts, as parameters of a request.
enum RunFilters {
    /// The phases of a run on this API; Pending also stands for runs that nothing has looked at.
    static let phases = ["Pending", "Running", "Succeeded", "Failed", "Error"]
    /// Pages that are read to fill one page of the namespaces that may be seen.
    static let roundLimit = 10

    static func query(_ reader: APIReader) throws -> WorkflowQuery {
        var query = WorkflowQuery()
        for phase in try reader.list("phase") {
            query.phases.formUnion(phase == "Pending" ? ["", phase] : [phase])
        }
        if let text = try reader.text("label") { query.labels = try LabelSelector.parse(text) }
        query.nameContains = try reader.text("q")
        query.ignoresCase = true
        query.pipeline = try reader.text("pipeline")
        query.cron = try reader.text("cron")
        query.parameters = try reader.texts("parameter").map(parameter)
        query.createdAfter = try reader.moment("createdAfter")
        query.createdBefore = try reader.moment("createdBefore")
        query.finishedAfter = try reader.moment("finishedAfter")
        query.finishedBefore = try reader.moment("finishedBefore")
        return query
    }

    private static func parameter(_ text: String) throws -> WorkflowQuery.Parameter {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw ServiceError.invalid("`parameter` must be NAME=VALUE, not \(text.shortened)")
        }
        return WorkflowQuery.Parameter(
            name: String(text[..<equals]), value: String(text[text.index(after: equals)...]))
    }
}
