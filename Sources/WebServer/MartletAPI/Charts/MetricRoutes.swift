// Charts: the numbers that a run's steps wrote into their metrics files, thinned to what a screen can show.

import Artifacts
import Executors
import Persistence
import Scheduling
import Text

extension MartletRoutes {
    var metricRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/runs/{uid}/metrics", "MartletAPI_GetMetrics", .run(.viewer),
                summary: "The curves of a run, thinned so that peaks stay."
            ) { try await getMetrics($0) },
            route(
                "GET", "/compare", "MartletAPI_CompareRuns", .signedIn,
                summary: "Runs side by side: parameters, metrics, artifacts, evaluations."
            ) { try await compareRuns($0) },
        ]
    }

    /// Curves of one answer.
    private static let seriesLimit = 500

    private func getMetrics(_ reader: APIReader) async throws -> HTTPReply {
        let summary = try await summary(reader)
        let nodes = Set(try reader.list("nodes"))
        let names = Set(try reader.list("names"))
        let maxPoints = try reader.integer("maxPoints", or: 1_000)
        let all = try await context.store.metricSeries(summary.uid)
        let wanted = all.filter { series in
            (nodes.isEmpty || nodes.contains(series.nodeID)) && (names.isEmpty || names.contains(series.name))
        }
        let titles = try await displayNames(summary.uid, Set(wanted.prefix(Self.seriesLimit).map(\.nodeID)))
        var found: [JSONValue] = []
        for series in wanted.prefix(Self.seriesLimit) {
            let points = try await MetricReading.points(
                of: series, run: summary.uid, limit: maxPoints, store: context.store)
            found.append(Self.json(series, title: titles[series.nodeID], points))
        }
        let checkpoints = try await checkpoints(of: summary.uid, Set(all.map(\.nodeID)))
        return .json(
            .object([
                "series": .array(found), "names": .texts(Set(all.map(\.name)).sorted()),
                "checkpoints": .array(checkpoints), "truncated": .bool(wanted.count > Self.seriesLimit),
            ]))
    }

    private static func json(_ series: MetricSeries, title: String?, _ points: [MetricPoint]) -> JSONValue {
        .object([
            "node": .string(series.nodeID), "nodeName": .string(title ?? series.nodeID),
            "attempt": .int(series.attempt), "name": .string(series.name),
            "steps": .array(points.map { JSONValue.finite($0.step) }),
            "values": .array(points.map { JSONValue.finite($0.value) }),
            "times": .array(points.map { JSONValue.int($0.at.milliseconds) }),
        ])
    }

    /// What people call nodes.
    private func displayNames(_ uid: String, _ nodes: Set<NodeID>) async throws -> [NodeID: String] {
        var names: [NodeID: String] = [:]
        for id in nodes { names[id] = try await context.store.node(uid, id)?.displayName }
        return names
    }

    /// The checkpoints that training steps have kept: directories named `checkpoint-STEP`.
    private func checkpoints(of uid: String, _ nodes: Set<NodeID>) async throws -> [JSONValue] {
        let dataDirectory = context.dataDirectory
        return try await onThread {
            nodes.sorted().flatMap { node in
                let directory = AttemptPaths.checkpoints(
                    dataDirectory, workflowUID: uid, checkpointNodeID: node)
                let steps = (Disk.list(directory) ?? []).compactMap { name in
                    name.hasPrefix("checkpoint-") ? Int(name.dropFirst("checkpoint-".count)) : nil
                }
                return steps.sorted().map { JSONValue.object(["node": .string(node), "step": .int($0)]) }
            }
        }
    }
}

enum MetricReading {
    /// Points read at one time.
    private static let pageLimit = 50_000
    /// Points held at one time; more are thinned before more are read.
    private static let heldLimit = 100_000

    /// A curve with at most so many points, however long it is.
    static func points(of series: MetricSeries, run uid: String, limit: Int, store: Store) async throws
        -> [MetricPoint]
    {
        var held: [MetricPoint] = []
        var query = MetricQuery(
            nodeID: series.nodeID, attempt: series.attempt, name: series.name, limit: pageLimit)
        while true {
            let page = try await store.metrics(uid, query)
            held += page
            if held.count > heldLimit { held = MetricThinning.thinned(held, limit: heldLimit / 4) }
            guard page.count == pageLimit, let last = page.last, last.step < .infinity else { break }
            query.steps = last.step.nextUp ... .infinity
        }
        return MetricThinning.thinned(held, limit: limit)
    }
}
