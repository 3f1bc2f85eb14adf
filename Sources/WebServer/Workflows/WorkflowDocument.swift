// A stored run as the workflow object that Argo's clients read, in as much detail as they ask for.

import Persistence
import Scheduling
import Text

/// How much of a run is read from the database for an answer.
enum DocumentDetail: Int, Sendable, Comparable {
    /// Its line in lists.
    case summary
    /// Its definition, without nodes.
    case definition
    /// Everything.
    case whole

    static func < (left: DocumentDetail, right: DocumentDetail) -> Bool { left.rawValue < right.rawValue }

    /// What an answer needs of each run.
    /// - Parameter prefix: where runs lie in the answer, such as `items`.
    init(_ mask: FieldMask, below prefix: [String] = []) {
        guard let paths = mask.wantedPaths(below: prefix) else {
            self = mask.wants(prefix + ["status", "nodes"]) ? .whole : .definition
            return
        }
        self = paths.map(Self.needed).max() ?? .summary
    }

    private static let summaryMembers: [[String]] = [
        ["metadata"], ["status", "phase"], ["status", "message"], ["status", "startedAt"],
        ["status", "finishedAt"], ["status", "progress"], ["apiVersion"], ["kind"],
    ]

    private static func needed(_ path: [String]) -> DocumentDetail {
        if summaryMembers.contains(where: { path.starts(with: $0) }) { return .summary }
        // Estimates are not made; asking for them must not cost a look at the definition.
        if path == ["status", "estimatedDuration"] { return .summary }
        if path.first == "spec" || path.starts(with: ["status", "outputs"]) { return .definition }
        return .whole
    }
}

enum WorkflowDocument {
    /// A run before anything has looked at it is shown as running: it was taken, and clients that wait for its end
    /// take any other word for the end.
    static func shownPhase(_ summary: WorkflowSummary) -> String {
        summary.phase.isEmpty ? Phase.running.rawValue : summary.phase
    }

    /// The run as its line in lists has it.
    static func json(_ summary: WorkflowSummary) -> JSONValue {
        var status: [String: JSONValue] = ["phase": .string(shownPhase(summary))]
        if !summary.message.isEmpty { status["message"] = .string(summary.message) }
        status["startedAt"] = summary.startedAt.map { .string($0.rfc3339) }
        status["finishedAt"] = summary.finishedAt.map { .string($0.rfc3339) }
        status["progress"] = .string(summary.progress.isEmpty ? "0/0" : summary.progress)
        return .object([
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata(summary, [:]),
            "spec": [:], "status": .object(status),
        ])
    }

    /// The run without its nodes.
    /// - Throws: `ServiceError` when the stored definition cannot be read.
    static func json(_ row: WorkflowRow) throws -> JSONValue {
        let state = try state(row, nodes: [])
        var members = state.documentJSON.objectValue ?? [:]
        var status = members["status"]?.objectValue ?? [:]
        status["progress"] = .string(row.summary.progress.isEmpty ? "0/0" : row.summary.progress)
        members["status"] = .object(status)
        return finished(members, row.summary)
    }

    /// The whole run.
    static func json(_ run: StoredRun) throws -> JSONValue {
        let state = try state(run.row, nodes: run.nodes)
        return finished(state.documentJSON.objectValue ?? [:], run.row.summary)
    }

    /// What is told of a run that is gone.
    static func json(deleted change: RunChange) -> JSONValue {
        .object([
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": .object([
                "name": .string(change.name), "namespace": .string(change.namespace),
                "uid": .string(change.uid),
                "labels": .object(change.labels.mapValues(JSONValue.string)),
                "resourceVersion": .string("\(change.revision)"),
            ]),
            "spec": [:], "status": [:],
        ])
    }

    static func state(_ row: WorkflowRow, nodes: [Node]) throws -> WorkflowState {
        guard let definition = RunDefinition(stored: row.manifest) else {
            throw ServiceError(
                500, 13,
                "the stored definition of workflow \"\(row.name)\" cannot be read; `martlet restore` a backup"
            )
        }
        return WorkflowState(
            definition: definition, header: row.state, nodes: nodes, at: row.createdAt)
    }

    private static func finished(_ document: [String: JSONValue], _ summary: WorkflowSummary) -> JSONValue {
        var members = document
        members["metadata"] = metadata(summary, members["metadata"]?.objectValue ?? [:])
        var status = members["status"]?.objectValue ?? [:]
        status["phase"] = .string(shownPhase(summary))
        if status["message"] == nil, !summary.message.isEmpty { status["message"] = .string(summary.message) }
        members["status"] = .object(status)
        return .object(members)
    }

    private static func metadata(_ summary: WorkflowSummary, _ known: [String: JSONValue]) -> JSONValue {
        var members = known
        members["name"] = .string(summary.name)
        members["namespace"] = .string(summary.namespace)
        members["uid"] = .string(summary.uid)
        members["creationTimestamp"] = .string(summary.createdAt.rfc3339)
        members["resourceVersion"] = .string("\(summary.revision)")
        members["generation"] = .int(max(1, Int(summary.revision)))
        var labels = known["labels"]?.objectValue ?? summary.labels.mapValues(JSONValue.string)
        let phase = shownPhase(summary)
        labels[RunSelection.phaseLabel] = .string(phase)
        labels[RunSelection.completedLabel] = .string(summary.finishedAt == nil ? "false" : "true")
        members["labels"] = .object(labels)
        if known["annotations"] == nil, !summary.annotations.isEmpty {
            members["annotations"] = .object(summary.annotations.mapValues(JSONValue.string))
        }
        return .object(members)
    }
}
