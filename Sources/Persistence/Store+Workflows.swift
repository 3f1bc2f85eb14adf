// Runs: stored, found, taken over and deleted.

import GRDB
package import Scheduling
import Text

extension Store {
    /// Stores a new run. Calls that come at the same time wait for the disk together.
    /// - Throws: `StoreError.nameTaken` if its namespace has a run of that name, archived ones included.
    package func insertWorkflow(_ workflow: WorkflowRow) async throws {
        let prepared = PreparedWorkflow(workflow)
        try await writeTogether { try $0.insert(prepared) }
    }

    /// Stores new runs in one transaction; one that is refused leaves the others.
    /// - Returns: for each run whether it is stored, or why not.
    package func insertWorkflows(_ workflows: [WorkflowRow]) async throws -> [Result<Void, StoreError>] {
        let path = path
        let prepared = workflows.map(PreparedWorkflow.init)
        return try await write { database in
            try prepared.map { workflow in try database.undoable(path: path) { try $0.insert(workflow) } }
        }
    }

    package func workflow(uid: String) async throws -> WorkflowRow? {
        let path = path
        return try await read { try $0.workflow("uid = ?", [uid], path: path) }
    }

    package func workflow(namespace: String, name: String) async throws -> WorkflowRow? {
        let path = path
        return try await read {
            try $0.workflow("namespace = ? AND name = ?", [namespace, name], path: path)
        }
    }

    /// The run that was created last: what `@latest` means. Archived runs do not count.
    package func latestWorkflow(namespace: String) async throws -> WorkflowRow? {
        let path = path
        return try await read {
            try $0.workflow(
                "namespace = ? AND archived = 0 ORDER BY created_at DESC, id DESC LIMIT 1", [namespace],
                path: path)
        }
    }

    /// Deletes a run and everything that hangs on it; a run that is not there is no error.
    /// - Returns: whether there was one.
    @discardableResult
    package func deleteWorkflow(_ uid: String) async throws -> Bool {
        try await write { database in
            guard let key = try database.integer("SELECT id FROM workflows WHERE uid = ?", [uid]) else {
                return false
            }
            try database.noteDeletion(of: key)
            try database.run("DELETE FROM workflows WHERE id = ?", [key])
            return true
        }
    }

    package func setArchived(_ uid: String, _ archived: Bool) async throws {
        try await write { database in
            try database.run(
                "UPDATE workflows SET archived = ?, revision = ? WHERE id = ?",
                [archived, database.next(.runRevision), database.workflowKey(uid)])
        }
    }

    /// Says that the caller drives the run from now on. What an earlier driver still writes with its own
    /// epoch is refused as `StoreError.superseded`.
    /// - Returns: the new epoch.
    package func claimRun(_ uid: String) async throws -> Int {
        try await write { database in
            let epoch = try database.integer(
                "UPDATE workflows SET driver_epoch = driver_epoch + 1 WHERE uid = ? RETURNING driver_epoch",
                [uid])
            guard let epoch else { throw StoreError.notFound(kind: "workflow", name: uid) }
            return Int(epoch)
        }
    }

    /// All that is needed to go on with a run, of one moment; nil if there is no such run.
    package func loadRun(_ uid: String) async throws -> StoredRun? {
        let path = path
        return try await read { database in
            guard let row = try database.workflow("uid = ?", [uid], path: path) else { return nil }
            let key = try database.workflowKey(uid)
            let effects = try database.rows(
                "SELECT key, kind, body FROM effects WHERE workflow = ? ORDER BY key", [key]
            ).map { effect in
                EffectRow(
                    key: effect[0], kind: effect[1],
                    body: try JSONValue(column: effect[2], of: "effects", path: path))
            }
            return StoredRun(row: row, nodes: try database.nodes(of: key, path: path), effects: effects)
        }
    }

    /// The nodes of a run by sequence, without `children`; none if there is no such run.
    package func nodes(_ uid: String) async throws -> [Node] {
        let path = path
        return try await read { database in
            guard let key = try database.integer("SELECT id FROM workflows WHERE uid = ?", [uid]) else {
                return []
            }
            return try database.nodes(of: key, path: path)
        }
    }
}

/// A new run with its JSON written out.
struct PreparedWorkflow: Sendable {
    var summary: WorkflowSummary
    var labels: String
    var annotations: String
    var manifest: String
    var state: String

    init(_ row: WorkflowRow) {
        summary = row.summary
        labels = JSONValue(labels: row.labels).compactText
        annotations = JSONValue(labels: row.annotations).compactText
        manifest = row.manifest.compactText
        state = row.state.compactText
    }
}

extension WorkflowSummary {
    /// The columns that `init(row:path:)` reads.
    static let columns = """
        workflows.uid, namespace, name, phase, message, created_at, started_at, finished_at, priority, labels,
        annotations, driver_epoch, archived, workflows.revision, progress
        """

    init(row: Row, path: String) throws {
        self.init(
            uid: row[0], namespace: row[1], name: row[2], phase: row[3], message: row[4],
            createdAt: Timestamp(column: row[5]), startedAt: (row[6] as Int64?).map(Timestamp.init(column:)),
            finishedAt: (row[7] as Int64?).map(Timestamp.init(column:)), priority: row[8],
            labels: try JSONValue(column: row[9], of: "workflows", path: path).textMembers,
            annotations: try JSONValue(column: row[10], of: "workflows", path: path).textMembers,
            driverEpoch: row[11], archived: row[12], revision: row[13], progress: row[14])
    }
}

extension Database {
    fileprivate func workflow(_ condition: String, _ arguments: StatementArguments, path: String) throws
        -> WorkflowRow?
    {
        let found = try row(
            """
            SELECT \(WorkflowSummary.columns), manifest, state FROM workflows
            JOIN workflow_manifests ON workflow_manifests.workflow = workflows.id
            JOIN workflow_states ON workflow_states.workflow = workflows.id
            WHERE \(condition)
            """, arguments)
        return try found.map { row in
            WorkflowRow(
                summary: try WorkflowSummary(row: row, path: path),
                manifest: try JSONValue(column: row["manifest"], of: "workflow_manifests", path: path),
                state: try JSONValue(column: row["state"], of: "workflow_states", path: path))
        }
    }

    func insert(_ new: PreparedWorkflow) throws {
        let summary = new.summary
        let taken = try integer(
            "SELECT id FROM workflows WHERE namespace = ? AND name = ?", [summary.namespace, summary.name])
        if taken != nil {
            throw StoreError.nameTaken(kind: "workflow", namespace: summary.namespace, name: summary.name)
        }
        try run(
            """
            INSERT INTO workflows (uid, namespace, name, phase, message, created_at, started_at, finished_at,
                priority, labels, annotations, driver_epoch, archived, progress, revision)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                summary.uid, summary.namespace, summary.name, summary.phase, summary.message,
                summary.createdAt.nanoseconds, summary.startedAt?.nanoseconds,
                summary.finishedAt?.nanoseconds, summary.priority, new.labels, new.annotations,
                summary.driverEpoch, summary.archived, summary.progress, next(.runRevision),
            ])
        let key = lastInsertedRowID
        try run("INSERT INTO workflow_manifests (workflow, manifest) VALUES (?, ?)", [key, new.manifest])
        try run("INSERT INTO workflow_states (workflow, state) VALUES (?, ?)", [key, new.state])
        try replaceLabels(of: key, with: summary.labels)
    }

    func replaceLabels(of workflow: Int64, with labels: [String: String]) throws {
        try run("DELETE FROM workflow_labels WHERE workflow = ?", [workflow])
        for (key, value) in labels {
            try run(
                "INSERT INTO workflow_labels (key, value, workflow) VALUES (?, ?, ?)", [key, value, workflow])
        }
    }
}
