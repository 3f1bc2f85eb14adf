// Runs side by side, gathered from what each has.

import Artifacts
import Glibc
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// What of one run is compared.
struct ComparedRun: Sendable {
    var parameters: [(name: String, value: String)] = []
    /// By node as people call it, and name.
    var metrics: [ComparedMetric: (last: Double, best: Double)] = [:]
    /// SHA-256 by `node/name`.
    var artifacts: [String: String] = [:]
    /// By task and metric.
    var evaluations: [ComparedEvaluation: (value: Double, error: Double?)] = [:]
}

struct ComparedMetric: Sendable, Hashable, Comparable {
    var node: String
    var name: String

    static func < (left: Self, right: Self) -> Bool { (left.node, left.name) < (right.node, right.name) }

    /// Of these the lowest is the best.
    var isLowerBetter: Bool {
        let words = ["loss", "error", "perplexity", "ppl", "wer", "cer", "latency", "seconds", "time"]
        let parts = name.lowercased().split { !$0.isLetter }.map(String.init)
        return parts.contains { words.contains($0) }
    }
}

struct ComparedEvaluation: Sendable, Hashable, Comparable {
    var task: String
    var metric: String

    static func < (left: Self, right: Self) -> Bool { (left.task, left.metric) < (right.task, right.metric) }
}

extension MartletRoutes {
    func compareRuns(_ reader: APIReader) async throws -> HTTPReply {
        let uids = try reader.list("runs")
        guard (2...10).contains(uids.count), Set(uids).count == uids.count else {
            throw ServiceError.invalid("`runs` must be 2 to 10 different uids with commas between them")
        }
        var rows: [WorkflowSummary] = []
        var runs: [ComparedRun] = []
        for uid in uids {
            guard let view = try await RunView.load(uid, from: context.store, at: context.now()),
                reader.request.principal.may(.viewer, in: view.summary.namespace)
            else { throw Self.noRun(uid) }
            rows.append(view.summary)
            runs.append(try await compared(view))
        }
        let lines = try await summaries.json(rows)
        return .json(.object(RunComparison.members(runs).merging(["runs": .array(lines)]) { $1 }))
    }

    private func compared(_ view: RunView) async throws -> ComparedRun {
        var run = ComparedRun()
        run.parameters = view.definition.spec.arguments.parameters.map { ($0.name, $0.valueOrDefault ?? "") }
        let titles = view.state.nodes.mapValues(\.displayName)
        for series in try await context.store.metricSeries(view.summary.uid).prefix(500) {
            let points = try await MetricReading.points(
                of: series, run: view.summary.uid, limit: 2_000, store: context.store)
            let numbers = points.map(\.value).filter(\.isFinite)
            let key = ComparedMetric(node: titles[series.nodeID] ?? series.nodeID, name: series.name)
            guard let last = numbers.last, let low = numbers.min(), let high = numbers.max() else { continue }
            let best = key.isLowerBetter ? low : high
            // Series come by attempt: the last attempt's end counts, and the best of all.
            let old = run.metrics[key]?.best ?? best
            run.metrics[key] = (last, key.isLowerBetter ? min(old, best) : max(old, best))
        }
        let shelf = ArtifactShelf(store: context.artifacts, namespace: view.summary.namespace)
        let nodes = view.nodes
        let (artifacts, evaluations) = try await onThread { EvaluationShelf.gather(nodes, shelf) }
        run.artifacts = artifacts
        run.evaluations = evaluations
        return run
    }
}

enum RunComparison {
    static func members(_ runs: [ComparedRun]) -> [String: JSONValue] {
        [
            "parameters": .array(parameters(runs)), "metrics": .array(metrics(runs)),
            "artifacts": .array(artifacts(runs)), "evaluations": .array(evaluations(runs)),
        ]
    }

    /// Those that differ first, each part by name.
    private static func parameters(_ runs: [ComparedRun]) -> [JSONValue] {
        let byRun = runs.map {
            Dictionary($0.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        }
        let rows = Set(byRun.flatMap(\.keys)).map {
            name -> (name: String, values: [String?], differs: Bool) in
            let values = byRun.map { $0[name] }
            return (name, values, Set(values).count > 1)
        }
        let sorted = rows.sorted { ($0.differs ? 0 : 1, $0.name) < ($1.differs ? 0 : 1, $1.name) }
        return sorted.map { row in
            .object([
                "name": .string(row.name), "values": .array(row.values.map(JSONValue.text)),
                "differs": .bool(row.differs),
            ])
        }
    }

    private static func metrics(_ runs: [ComparedRun]) -> [JSONValue] {
        Set(runs.flatMap(\.metrics.keys)).sorted().map { key in
            .object([
                "name": .string(key.name), "node": .string(key.node),
                "values": .array(runs.map { JSONValue.finite($0.metrics[key]?.last) }),
                "best": .array(runs.map { JSONValue.finite($0.metrics[key]?.best) }),
                "lowerIsBetter": .bool(key.isLowerBetter),
            ])
        }
    }

    private static func artifacts(_ runs: [ComparedRun]) -> [JSONValue] {
        Set(runs.flatMap(\.artifacts.keys)).sorted().map { name in
            .object([
                "name": .string(name), "sha256": .array(runs.map { JSONValue.text($0.artifacts[name]) }),
            ])
        }
    }

    private static func evaluations(_ runs: [ComparedRun]) -> [JSONValue] {
        Set(runs.flatMap(\.evaluations.keys)).sorted().map { key in
            .object([
                "task": .string(key.task), "metric": .string(key.metric),
                "values": .array(runs.map { JSONValue.finite($0.evaluations[key]?.value) }),
                "errors": .array(runs.map { JSONValue.finite($0.evaluations[key]?.error) }),
            ])
        }
    }
}

/// The reports of `martlet evaluate` among the artifacts of a run.
enum EvaluationShelf {
    private static let reportLimit = 8 << 20

    /// Blocks: reads the store.
    static func gather(_ nodes: [Node], _ shelf: ArtifactShelf) -> (
        artifacts: [String: String], evaluations: [ComparedEvaluation: (value: Double, error: Double?)]
    ) {
        var artifacts: [String: String] = [:]
        var evaluations: [ComparedEvaluation: (value: Double, error: Double?)] = [:]
        for node in nodes where node.type != .retry {
            for artifact in node.outputs.artifacts.prefix(1_000) {
                guard let tree = try? shelf.tree(artifact) else { continue }
                artifacts["\(node.displayName)/\(artifact.name)"] = tree.hash
                guard artifact.name == "report", let report = report(tree, shelf.store) else { continue }
                evaluations.merge(figures(report)) { $1 }
            }
        }
        return (artifacts, evaluations)
    }

    /// `report.json`, alone or in the directory of an evaluation.
    private static func report(_ tree: StoredTree, _ store: LocalArtifactStore) -> JSONValue? {
        var descriptor: Int32?
        if tree.isDirectory {
            let entry = (try? store.manifest(of: tree))?.entries.first { $0.path == "report.json" }
            if case .file(let hash, _) = entry?.content { descriptor = try? store.openBlob(hash) }
        } else {
            descriptor = try? store.openFile(tree)
        }
        guard let descriptor else { return nil }
        defer { close(descriptor) }
        let bytes = try? Disk.read(descriptor: descriptor, path: "report.json", limitBytes: reportLimit)
        return bytes.flatMap { try? JSONValue(parsingUTF8: $0) }
    }

    /// Each metric of the report: `{"task": ..., "metrics": {NAME: {"value": ..., "stderr": ...}}}`.
    static func figures(_ report: JSONValue) -> [ComparedEvaluation: (value: Double, error: Double?)] {
        guard let task = report["task"]?.stringValue, let metrics = report["metrics"]?.objectValue else {
            return [:]
        }
        var found: [ComparedEvaluation: (value: Double, error: Double?)] = [:]
        for (name, figure) in metrics {
            guard let value = figure["value"]?.doubleValue else { continue }
            found[ComparedEvaluation(task: task, metric: name)] = (value, figure["stderr"]?.doubleValue)
        }
        return found
    }
}
