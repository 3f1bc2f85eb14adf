// What changed in which runs, in order: event streams go on from here after a lost connection, without gaps.

package import Scheduling

/// That a run changed, or was deleted. Every saved change of a run, and every deletion, takes the next number of
/// one counter of the database, so that "after revision N" means the same to everyone.
package struct RunChange: Sendable, Hashable {
    package var revision: Int64
    package var uid: String
    package var namespace: String
    package var name: String
    package var labels: [String: String]
    /// Empty for a run that nothing has looked at yet.
    package var phase: String
    package var isDeleted: Bool

    package init(
        revision: Int64, uid: String, namespace: String, name: String, labels: [String: String] = [:],
        phase: String = "", isDeleted: Bool = false
    ) {
        self.revision = revision
        self.uid = uid
        self.namespace = namespace
        self.name = name
        self.labels = labels
        self.phase = phase
        self.isDeleted = isDeleted
    }
}

/// What of a run is newer than a revision.
package struct RunDelta: Sendable {
    /// The run's line in lists, as it is now; its `revision` is where the next delta begins.
    package var summary: WorkflowSummary
    /// The nodes written since, as they are now.
    package var nodes: [Node]
    /// True when nodes were deleted since (a manual retry), or the revision is 0: `nodes` is all there are, and what
    /// the reader had counts no more.
    package var isWhole: Bool

    package init(summary: WorkflowSummary, nodes: [Node], isWhole: Bool) {
        self.summary = summary
        self.nodes = nodes
        self.isWhole = isWhole
    }
}

extension Store {
    /// The revision of the newest change of any run; 0 in a new database.
    package func latestRevision() async throws -> Int64 {
        throw StoreError.invalid(detail: "revisions are not there yet")
    }

    /// The runs that changed or were deleted after a revision, each once with its newest revision, oldest first.
    /// - Parameter limit: at most 10,000.
    package func runChanges(after revision: Int64, limit: Int = 1_000) async throws -> [RunChange] {
        throw StoreError.invalid(detail: "revisions are not there yet")
    }

    /// What of a run is newer than `revision`; nil if there is no such run.
    package func runDelta(_ uid: String, after revision: Int64) async throws -> RunDelta? {
        throw StoreError.invalid(detail: "revisions are not there yet")
    }
}
