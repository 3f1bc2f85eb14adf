// A run's line in lists: the summary with what people look for in it, loaded for a whole page at once.

import Persistence
import Text

enum RunLabels {
    static let template = "workflows.argoproj.io/workflow-template"
    static let clusterTemplate = "workflows.argoproj.io/cluster-workflow-template"
    static let cron = "workflows.argoproj.io/cron-workflow"
    static let creator = "workflows.argoproj.io/creator"
    static let resubmittedFrom = "workflows.argoproj.io/resubmitted-from-workflow"
}

struct RunSummaries: Sendable {
    /// Parameters in a line; more are in the run itself.
    static let parameterLimit = 20
    /// Characters of a value in a line.
    static let valueLimit = 200

    let store: Store
    let medians: PipelineMedians

    /// The lines of runs, in their order.
    func json(_ summaries: [WorkflowSummary]) async throws -> [JSONValue] {
        let uids = summaries.map(\.uid)
        let notes = try await store.runNotes(uids)
        let parameters = try await store.workflowParameters(uids, limit: Self.parameterLimit)
        let medians = try await medians.seconds(of: Set(summaries.compactMap(PipelineName.init)))
        return summaries.map { summary in
            let median = PipelineName(summary).flatMap { medians[$0] }
            let own = parameters[summary.uid] ?? []
            let members = Self.members(summary, notes[summary.uid] ?? RunNotes(), own, medianSeconds: median)
            return .object(members)
        }
    }

    func json(_ summary: WorkflowSummary) async throws -> [String: JSONValue] {
        try await json([summary]).first?.objectValue ?? [:]
    }

    static func members(
        _ summary: WorkflowSummary, _ notes: RunNotes, _ parameters: [(name: String, value: String)],
        medianSeconds: Double?
    ) -> [String: JSONValue] {
        let parameters = parameters.prefix(parameterLimit).map { parameter in
            (parameter.name, JSONValue.string(String(parameter.value.prefix(valueLimit))))
        }
        var metric = JSONValue.null
        if let name = notes.metricName {
            metric = .object(["name": .string(name), "value": .finite(notes.metricValue)])
        }
        return [
            "uid": .string(summary.uid), "namespace": .string(summary.namespace),
            "name": .string(summary.name),
            "phase": .string(summary.phase.isEmpty ? "Pending" : summary.phase),
            "message": .string(summary.message), "createdAt": .moment(summary.createdAt),
            "startedAt": .moment(summary.startedAt), "finishedAt": .moment(summary.finishedAt),
            "revision": .int(Int(summary.revision)), "progress": .string(summary.progress),
            "suspended": .bool(notes.isSuspended), "pipeline": .text(summary.pipeline),
            "cron": .text(summary.labels[RunLabels.cron]),
            "creator": .text(summary.labels[RunLabels.creator]),
            "labels": .map(summary.labels), "annotations": .map(summary.annotations),
            "parameters": .object(Dictionary(parameters, uniquingKeysWith: { $1 })),
            "priority": .int(summary.priority), "medianSeconds": .finite(medianSeconds), "metric": metric,
            "archived": .bool(summary.archived),
        ]
    }
}

/// A stored template by which runs are told apart.
struct PipelineName: Sendable, Hashable {
    var namespace: String
    var name: String

    init?(_ summary: WorkflowSummary) {
        guard let name = summary.pipeline else { return nil }
        namespace = summary.namespace
        self.name = name
    }
}

extension WorkflowSummary {
    /// The stored template that the run was made from.
    var pipeline: String? { labels[RunLabels.template] ?? labels[RunLabels.clusterTemplate] }
}

/// How long the succeeded runs of pipelines usually take, looked up anew after some seconds.
actor PipelineMedians {
    private static let freshness = Duration.seconds(10)
    /// Pipelines that are remembered.
    private static let limit = 1_000

    private let store: Store
    private let clock: @Sendable () -> Duration
    private var known: [PipelineName: (seconds: Double?, at: Duration)] = [:]

    init(store: Store, clock: @escaping @Sendable () -> Duration) {
        self.store = store
        self.clock = clock
    }

    func seconds(of names: Set<PipelineName>) async throws -> [PipelineName: Double] {
        let now = clock()
        let missing = names.filter { name in known[name].map { now - $0.at > Self.freshness } ?? true }
        if !missing.isEmpty {
            let asked = Array(missing)
            let queries = asked.map { name in
                var query = WorkflowQuery(namespace: name.namespace)
                query.pipeline = name.name
                return query
            }
            let found = try await store.recentRuns(queries, limit: 1)
            if known.count + asked.count > Self.limit { known = [:] }
            for (name, recent) in zip(asked, found) { known[name] = (recent.medianSeconds, now) }
        }
        return names.reduce(into: [:]) { seconds, name in
            if let median = known[name]?.seconds { seconds[name] = median }
        }
    }
}
