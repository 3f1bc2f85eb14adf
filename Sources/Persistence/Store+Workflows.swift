// Runs: stored, found, taken over and deleted.

import GRDB
package import Scheduling
import Text

extension Store {
    /// Stores a new run.
    /// - Throws: `StoreError.nameTaken` if its namespace has a run of that name, archived ones included.
    package func insertWorkflow(_ workflow: WorkflowRow) async throws {
        let summary = workflow.summary
        let labels = JSONValue(labels: summary.labels).compactText
        let annotations = JSONValue(labels: summary.annotations).compactText
        let (manifest, state) = (workflow.manifest.compactText, workflow.state.compactText)
        try await write { database in
            let taken = try database.integer(
                "SELECT id FROM workflows WHERE namespace = ? AND name = ?",
                [summary.namespace, summary.name])
            if taken != nil {
                throw StoreError.nameTaken(
                    kind: "workflow", namespace: summary.namespace, name: summary.name)
            }
            try database.run(
                """
                INSERT INTO workflows (uid, namespace, name, phase, message, created_at, started_at,
                    finished_at, priority, labels, annotations, driver_epoch, archived, progress, revision)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    summary.uid, summary.namespace, summary.name, summary.phase, summary.message,
                    summary.createdAt.nanoseconds, summary.startedAt?.nanoseconds,
                    summary.finishedAt?.nanoseconds, summary.priority, labels, annotations,
                    summary.driverEpoch, summary.archived, summary.progress,
                    database.next(.runRevision),
                ])
            let key = database.lastInsertedRowID
            try database.run(
                "INSERT INTO workflow_manifests (workflow, manifest) VALUES (?, ?)", [key, manifest])
            try database.run("INSERT INTO workflow_states (workflow, state) VALUES (?, ?)", [key, state])
            try database.replaceLabels(of: key, with: summary.labels)
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

    func replaceLabels(of workflow: Int64, with labels: [String: String]) throws {
        try run("DELETE FROM workflow_labels WHERE workflow = ?", [workflow])
        for (key, value) in labels {
            try run(
                "INSERT INTO workflow_labels (key, value, workflow) VALUES (?, ?, ?)", [key, value, workflow])
        }
    }
}
