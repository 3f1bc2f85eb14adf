// Which runs a list shall show.

package import Text

/// One condition of a label selector, with Kubernetes' meaning: `notEquals` and `notIn` also hold where the
/// label is absent.
package enum LabelRequirement: Sendable, Hashable {
    case equals(key: String, value: String)
    case notEquals(key: String, value: String)
    case isIn(key: String, values: [String])
    case notIn(key: String, values: [String])
    case exists(key: String)
    case absent(key: String)
}

/// The place after a run in a list, newest first. It stays valid when runs come and go.
package struct WorkflowCursor: Sendable, Hashable {
    var createdAt: Timestamp
    var rowID: Int64

    /// For clients, who hand it back as it is.
    package var text: String { "\(createdAt.nanoseconds).\(rowID)" }

    init(createdAt: Timestamp, rowID: Int64) {
        self.createdAt = createdAt
        self.rowID = rowID
    }

    /// - Returns: nil if it is not a text that `text` gave.
    package init?(text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let nanoseconds = Int64(parts[0]), let rowID = Int64(parts[1]) else {
            return nil
        }
        self.init(createdAt: Timestamp(nanoseconds: nanoseconds), rowID: rowID)
    }
}

/// Conditions that must all hold; what is left out is no condition.
package struct WorkflowQuery: Sendable, Hashable {
    /// The most runs that one page holds.
    package static let pageLimit = 10_000
    /// Namespaces that one page takes from: SQLite joins 500 parts at most, of which each namespace has up to six.
    package static let namespaceLimit = 80
    /// Where counting for people ends, in each phase.
    package static let countCap = 10_000
    /// The phases of runs; the empty one is that of runs that nothing has looked at yet.
    package static let allPhases: Set<String> = ["", "Pending", "Running", "Succeeded", "Failed", "Error"]
    /// The labels that say of which template a run is.
    package static let pipelineLabels = [
        "workflows.argoproj.io/workflow-template", "workflows.argoproj.io/cluster-workflow-template",
    ]
    /// The label that says which cron workflow began a run.
    package static let cronLabel = "workflows.argoproj.io/cron-workflow"

    /// An argument of a run.
    package struct Parameter: Sendable, Hashable {
        package var name: String
        /// Of values longer than 1,024 characters only the beginning counts.
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// nil for all namespaces.
    package var namespace: String?
    /// Empty for all phases.
    package var phases: Set<String>
    package var labels: [LabelRequirement]
    package var namePrefix: String?
    package var nameContains: String?
    /// Whether `nameContains` takes upper and lower case of a to z for the same.
    package var ignoresCase = false
    /// The moments themselves are left out.
    package var createdAfter: Timestamp?
    package var createdBefore: Timestamp?
    package var finishedBefore: Timestamp?
    package var finishedAfter: Timestamp?
    package var parameters: [Parameter] = []
    /// Name of a WorkflowTemplate or ClusterWorkflowTemplate that the run is of.
    package var pipeline: String?
    /// Name of the cron workflow that began the run.
    package var cron: String?
    /// Only these; nil for all.
    package var uids: Set<String>?
    /// nil for archived and others.
    package var archived: Bool?
    /// Runs on a page, from 1 to `pageLimit`.
    package var limit: Int
    /// Where the page before ended.
    package var after: WorkflowCursor?

    package init(
        namespace: String? = nil, phases: Set<String> = [], labels: [LabelRequirement] = [],
        namePrefix: String? = nil, nameContains: String? = nil, createdAfter: Timestamp? = nil,
        createdBefore: Timestamp? = nil, finishedBefore: Timestamp? = nil, archived: Bool? = nil,
        uids: Set<String>? = nil, limit: Int = 100, after: WorkflowCursor? = nil
    ) {
        self.uids = uids
        self.namespace = namespace
        self.phases = phases
        self.labels = labels
        self.namePrefix = namePrefix
        self.nameContains = nameContains
        self.createdAfter = createdAfter
        self.createdBefore = createdBefore
        self.finishedBefore = finishedBefore
        self.archived = archived
        self.limit = limit
        self.after = after
    }
}

/// A page of a list, newest first.
package struct WorkflowPage: Sendable, Hashable {
    package var workflows: [WorkflowSummary]
    /// Where the next page begins; nil after the last.
    package var next: WorkflowCursor?

    package init(workflows: [WorkflowSummary], next: WorkflowCursor? = nil) {
        self.workflows = workflows
        self.next = next
    }
}
