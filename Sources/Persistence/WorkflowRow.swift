// A run as the database keeps it.

package import Scheduling
package import Text

/// What lists show of a run.
package struct WorkflowSummary: Sendable, Hashable {
    package var uid: String
    package var namespace: String
    package var name: String
    /// "" before anything has looked at the run, else Pending, Running, Succeeded, Failed or Error.
    package var phase: String
    package var message: String
    package var createdAt: Timestamp
    package var startedAt: Timestamp?
    package var finishedAt: Timestamp?
    package var priority: Int
    package var labels: [String: String]
    package var annotations: [String: String]
    /// Goes up when a process takes the run over; see `Store.claimRun`.
    package var driverEpoch: Int
    package var archived: Bool
    /// Of the newest change; see `Store.runChanges`. The store gives it: what an insert says is left aside.
    package var revision: Int64
    /// Nodes done and nodes in all, such as "3/5"; empty before the run's driver has said so.
    package var progress: String

    package init(
        uid: String, namespace: String, name: String, phase: String = "", message: String = "",
        createdAt: Timestamp, startedAt: Timestamp? = nil, finishedAt: Timestamp? = nil, priority: Int = 0,
        labels: [String: String] = [:], annotations: [String: String] = [:], driverEpoch: Int = 0,
        archived: Bool = false, revision: Int64 = 0, progress: String = ""
    ) {
        self.uid = uid
        self.namespace = namespace
        self.name = name
        self.phase = phase
        self.message = message
        self.createdAt = createdAt
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.priority = priority
        self.labels = labels
        self.annotations = annotations
        self.driverEpoch = driverEpoch
        self.archived = archived
        self.revision = revision
        self.progress = progress
    }
}

/// A run without its nodes. The members of `summary` can be reached directly: `row.uid`.
@dynamicMemberLookup
package struct WorkflowRow: Sendable, Hashable {
    package var summary: WorkflowSummary
    /// As it was submitted.
    package var manifest: JSONValue
    /// What the scheduler keeps of the run beside its nodes.
    package var state: JSONValue

    package init(summary: WorkflowSummary, manifest: JSONValue, state: JSONValue = .null) {
        self.summary = summary
        self.manifest = manifest
        self.state = state
    }

    package subscript<Value>(dynamicMember member: WritableKeyPath<WorkflowSummary, Value>) -> Value {
        get { summary[keyPath: member] }
        set { summary[keyPath: member] = newValue }
    }
}

/// Everything that is needed to go on with a run.
package struct StoredRun: Sendable, Hashable {
    package var row: WorkflowRow
    /// By sequence. `children` is empty: it follows from `parents`.
    package var nodes: [Node]
    /// Saved but not known to be done, in the order of their keys.
    package var effects: [EffectRow]

    package init(row: WorkflowRow, nodes: [Node] = [], effects: [EffectRow] = []) {
        self.row = row
        self.nodes = nodes
        self.effects = effects
    }
}
