// What the page's frame shows: the state of the server, what of the last day, and the search over everything.

import Controller
import Executors
import Glibc
import Persistence
import Text

extension MartletRoutes {
    var frameRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/overview", "MartletAPI_GetOverview", .signedIn,
                summary: "The server's state, and the runs of the last 24 hours by hour."
            ) { try await getOverview($0) },
            route(
                "GET", "/search", "MartletAPI_Search", .signedIn,
                summary: "Runs, pipelines and schedules whose names hold a text."
            ) { try await search($0) },
        ]
    }

    // MARK: Overview

    private func getOverview(_ reader: APIReader) async throws -> HTTPReply {
        let seen = try namespaces(reader)
        let known = try await context.store.namespaces()
        let visible = reader.request.principal.namespaces(.viewer)
        let names = Set(known + [context.defaultNamespace]).filter { visible?.contains($0) ?? true }
        var pending = 0
        var running = 0
        for namespace in seen.map({ $0.sorted().map(Optional.some) }) ?? [nil] {
            let query = WorkflowQuery(namespace: namespace, phases: ["", "Pending", "Running"])
            let counts = try await context.store.workflowCounts(query)
            running += counts["Running"] ?? 0
            pending += (counts["Pending"] ?? 0) + (counts[""] ?? 0)
        }
        let controller = context.operations.controller
        let problem = await controller?.storageProblem
        return .json(
            .object([
                "version": .string(context.version), "startedAt": .moment(startedAt),
                "executor": .text(controller?.executorName),
                "storageProblem": .text(problem), "namespaces": .texts(names.sorted()),
                "revision": .int(Int(try await context.store.latestRevision())),
                "running": .int(running), "pending": .int(pending),
                "hours": .array(try await hours(seen)),
                "diskFreeBytes": .integer(Self.freeBytes(context.dataDirectory)),
                "slots": controller?.executorUsage.map(Self.slots) ?? .null,
            ]))
    }

    /// What steps hold of the machine, and what there is.
    private static func slots(_ usage: ExecutorUsage) -> JSONValue {
        [
            "running": .int(usage.running), "most": .int(usage.slots), "waiting": .int(usage.waiting),
            "cpuUsed": .double(Double(usage.cpuMillisUsed) / 1_000),
            "cpuAll": .double(Double(usage.cpuMillis) / 1_000),
            "memoryUsedBytes": .int(usage.memoryBytesUsed), "memoryAllBytes": .int(usage.memoryBytes),
            "gpuUsed": .int(usage.gpusUsed), "gpuAll": .int(usage.gpus),
        ]
    }

    /// The last 24 hours, oldest first, each with what ended in it and what began in it and goes on.
    private func hours(_ seen: Set<String>?) async throws -> [JSONValue] {
        var sums: [HourCounts] = []
        for namespace in seen.map({ $0.sorted().map(Optional.some) }) ?? [nil] {
            let counts = try await context.store.hourCounts(namespace: namespace, until: context.now())
            if sums.isEmpty {
                sums = counts
                continue
            }
            for index in sums.indices where counts.indices.contains(index) {
                sums[index].ended.merge(counts[index].ended, uniquingKeysWith: +)
                sums[index].running += counts[index].running
            }
        }
        return sums.map { hour in
            .object([
                "start": .moment(hour.start), "Succeeded": .int(hour.ended["Succeeded"] ?? 0),
                "Failed": .int(hour.ended["Failed"] ?? 0), "Error": .int(hour.ended["Error"] ?? 0),
                "Running": .int(hour.running),
            ])
        }
    }

    /// What may still be written to the file system of a directory.
    private static func freeBytes(_ path: String) -> Int? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    // MARK: Search

    /// Findings of one answer.
    private static let searchLimit = 20

    private func search(_ reader: APIReader) async throws -> HTTPReply {
        let text = try reader.text("q") ?? ""
        let seen = try namespaces(reader)
        guard !text.isEmpty else { return .json(.page([])) }
        func isSeen(_ namespace: String) -> Bool { seen.map { $0.contains(namespace) } ?? true }
        var items: [(at: Timestamp, json: JSONValue)] = []
        if let summary = try await context.store.workflowSummary(uid: text), isSeen(summary.namespace) {
            items.append((summary.createdAt, Self.found(summary)))
        }
        for (kind, word) in [
            (DefinitionKind.workflowTemplate, "pipeline"), (.clusterWorkflowTemplate, "pipeline"),
            (.cronWorkflow, "schedule"),
        ] {
            for row in try await context.store.definitions(kind)
            where (kind.isClusterWide || isSeen(row.namespace)) && Self.holds(row.name, text) {
                items.append((row.updatedAt, Self.found(row, word)))
                if items.count == Self.searchLimit / 2 { break }
            }
        }
        for namespace in seen.map({ $0.sorted().map(Optional.some) }) ?? [nil] {
            var query = WorkflowQuery(namespace: namespace, nameContains: text, limit: Self.searchLimit)
            query.ignoresCase = true
            let runs = try await context.store.workflows(query).workflows
            items += runs.map { ($0.createdAt, Self.found($0)) }
            if items.count > 4 * Self.searchLimit { break }
        }
        return .json(.page(items.prefix(Self.searchLimit).map(\.json)))
    }

    private static func found(_ run: WorkflowSummary) -> JSONValue {
        .object([
            "kind": "run", "namespace": .string(run.namespace), "name": .string(run.name),
            "uid": .string(run.uid), "phase": .string(run.phase.isEmpty ? "Pending" : run.phase),
            "at": .moment(run.createdAt),
        ])
    }

    private static func found(_ row: DefinitionRow, _ kind: String) -> JSONValue {
        .object([
            "kind": .string(kind), "namespace": .string(row.namespace), "name": .string(row.name),
            "cluster": .bool(row.kind.isClusterWide), "at": .moment(row.updatedAt),
        ])
    }

    private static func holds(_ name: String, _ text: String) -> Bool {
        let (name, text) = (Array(name.lowercased().utf8), Array(text.lowercased().utf8))
        guard name.count >= text.count else { return false }
        return (0...(name.count - text.count)).contains { name[$0...].starts(with: text) }
    }
}
