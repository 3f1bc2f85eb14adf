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

    /// The lines of runs, in their order.
    func json(_ summaries: [WorkflowSummary]) async throws -> [JSONValue] {
        let uids = summaries.map(\.uid)
        let notes = try await store.runNotes(uids)
        let parameters = try await store.workflowParameters(uids, limit: Self.parameterLimit)
        var medians: [PipelineName: Double] = [:]
        for name in Set(summaries.compactMap(PipelineName.init)) {
            medians[name] = try await store.medianSeconds(ofPipeline: name.name, namespace: name.namespace)
        }
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
private struct PipelineName: Hashable {
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
