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

    /// nil for all namespaces.
    package var namespace: String?
    /// Empty for all phases.
    package var phases: Set<String>
    package var labels: [LabelRequirement]
    package var namePrefix: String?
    package var nameContains: String?
    /// The moments themselves are left out.
    package var createdAfter: Timestamp?
    package var createdBefore: Timestamp?
    package var finishedBefore: Timestamp?
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
        limit: Int = 100, after: WorkflowCursor? = nil
    ) {
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
