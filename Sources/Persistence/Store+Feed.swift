// What changed in which runs, in order: event streams go on from here after a lost connection, without gaps.

import GRDB
package import Scheduling
import Text

/// That a run changed, or was deleted. Every saved change of a run that readers can see, and every deletion, takes
/// the next number of one counter of the database, so that "after revision N" means the same to everyone.
package struct RunChange: Sendable, Hashable {
    package var revision: Int64
    package var uid: String
    package var namespace: String
    package var name: String
    package var labels: [String: String]
    /// Empty for a run that nothing has looked at yet, and for one that was deleted.
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
    /// The nodes written since, as they are now, by sequence.
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
    /// Deletions of runs that are remembered; readers that lag behind more begin anew.
    static let deletionLimit: Int64 = 100_000

    /// The revision of the newest change of any run; 0 in a new database.
    package func latestRevision() async throws -> Int64 {
        try await read { try $0.counter(.runRevision) }
    }

    /// Goes up whenever a definition is written or deleted, its status included.
    package func latestDefinitionRevision() async throws -> Int64 {
        try await read { try $0.counter(.resourceVersion) }
    }

    /// The runs that changed or were deleted after a revision, each once with its newest revision, oldest first.
    /// - Parameter limit: at most 10,000.
    /// - Throws: `StoreError.expired` if deletions after the revision are forgotten, or if the revision is newer than
    ///   the database (which was restored from a backup): the reader begins anew from a list. Who begins at 0 has
    ///   seen no run, and misses nothing by not being told of deletions.
    package func runChanges(after revision: Int64, limit: Int = 1_000) async throws -> [RunChange] {
        let path = path
        let limit = min(max(limit, 0), 10_000)
        return try await read { database in
            if try database.counter(.runRevision) < revision
                || (revision > 0 && database.counter(.forgottenRevision) > revision)
            {
                throw StoreError.expired(revision: revision)
            }
            return try database.rows(
                """
                SELECT * FROM (
                    SELECT revision, uid, namespace, name, labels, phase, 0 FROM workflows
                    WHERE revision > ?1 ORDER BY revision LIMIT ?2)
                UNION ALL
                SELECT * FROM (
                    SELECT revision, uid, namespace, name, labels, '', 1 FROM workflow_deletions
                    WHERE revision > ?1 ORDER BY revision LIMIT ?2)
                ORDER BY 1 LIMIT ?2
                """, [max(revision, 0), limit]
            ).map { row in
                RunChange(
                    revision: row[0], uid: row[1], namespace: row[2], name: row[3],
                    labels: try JSONValue(column: row[4], of: "workflows", path: path).textMembers,
                    phase: row[5], isDeleted: row[6])
            }
        }
    }

    /// What of a run is newer than `revision`; nil if there is no such run.
    package func runDelta(_ uid: String, after revision: Int64) async throws -> RunDelta? {
        let path = path
        return try await read { database in
            let found = try database.row(
                """
                SELECT \(WorkflowSummary.columns), workflows.id AS key, reset_revision FROM workflows
                WHERE uid = ?
                """, [uid])
            guard let found else { return nil }
            let summary = try WorkflowSummary(row: found, path: path)
            let isWhole =
                revision <= 0 || revision < found["reset_revision"] || revision > summary.revision
            let nodes = try database.nodes(
                of: found["key"], after: isWhole ? nil : revision, path: path)
            return RunDelta(summary: summary, nodes: nodes, isWhole: isWhole)
        }
    }
}

/// The numbers that the database counts on across deletions.
enum Counter: String {
    case resourceVersion = "resource_version"
    case runRevision = "run_revision"
    case forgottenRevision = "forgotten_revision"
}

extension Database {
    func counter(_ counter: Counter) throws -> Int64 {
        guard let value = try integer("SELECT value FROM counters WHERE name = ?", [counter.rawValue]) else {
            throw StoreError.invalid(detail: "the counter \(counter.rawValue) is missing")
        }
        return value
    }

    func next(_ counter: Counter) throws -> Int64 {
        let value = try integer(
            "UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value", [counter.rawValue])
        guard let value else {
            throw StoreError.invalid(detail: "the counter \(counter.rawValue) is missing")
        }
        return value
    }

    /// Remembers that a run was deleted, and forgets the oldest deletion of too many.
    func noteDeletion(of workflow: Int64) throws {
        try run(
            """
            INSERT INTO workflow_deletions (revision, uid, namespace, name, labels)
            SELECT ?, uid, namespace, name, labels FROM workflows WHERE id = ?
            """, [next(.runRevision), workflow])
        let oldest = lastInsertedRowID - Store.deletionLimit
        guard oldest > 0 else { return }
        try run(
            """
            UPDATE counters SET value = max(value,
                ifnull((SELECT max(revision) FROM workflow_deletions WHERE id <= ?), 0))
            WHERE name = ?
            """, [oldest, Counter.forgottenRevision.rawValue])
        try run("DELETE FROM workflow_deletions WHERE id <= ?", [oldest])
    }

    /// The nodes of a run by sequence, all or those written after a revision.
    func nodes(of workflow: Int64, after revision: Int64? = nil, path: String) throws -> [Node] {
        let condition = revision == nil ? "" : "AND revision > ?"
        let statement = try cachedStatement(
            sql: "SELECT sequence, body FROM nodes WHERE workflow = ? \(condition) ORDER BY sequence, id")
        let arguments: StatementArguments = revision.map { [workflow, $0] } ?? [workflow]
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        var nodes: [Node] = []
        while let row = try rows.next() {
            let body = try JSONValue(column: row[1], of: "nodes", path: path)
            guard let node = Node(row: body, sequence: row[0]) else {
                throw StoreError.corrupt(path: path, detail: "a row of nodes is not a node")
            }
            nodes.append(node)
        }
        return nodes
    }
}
