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
    var isSuspended: Bool
    var parameters: [(name: String, value: String)]
    var lifetime: TimeToLive?

    init(_ row: WorkflowRow) {
        summary = row.summary
        labels = JSONValue(labels: row.labels).compactText
        annotations = JSONValue(labels: row.annotations).compactText
        manifest = row.manifest.compactText
        state = row.state.compactText
        isSuspended = row.state.saysSuspended
        parameters = RunArguments.parameters(of: row.manifest)
        lifetime = TimeToLive(manifest: row.manifest)
    }
}

extension JSONValue {
    /// Whether a run's stored state says that a person has suspended it.
    var saysSuspended: Bool { self["suspended"]?.boolValue ?? false }
}

extension WorkflowSummary {
    /// The columns that `init(row:path:)` reads.
    static let columns = columns(time: "workflows.created_at")
    static let columnCount = 15

    /// - Parameter time: where the moment of creation is read: a list's order must be that of the index it walks.
    static func columns(time: String) -> String {
        """
        workflows.uid, workflows.namespace, workflows.name, workflows.phase, workflows.message, \(time),
        workflows.started_at, workflows.finished_at, workflows.priority, workflows.labels,
        workflows.annotations, workflows.driver_epoch, workflows.archived, workflows.revision,
        workflows.progress
        """
    }

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
                priority, labels, annotations, driver_epoch, archived, progress, revision, suspended)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                summary.uid, summary.namespace, summary.name, summary.phase, summary.message,
                summary.createdAt.nanoseconds, summary.startedAt?.nanoseconds,
                summary.finishedAt?.nanoseconds, summary.priority, new.labels, new.annotations,
                summary.driverEpoch, summary.archived, summary.progress, next(.runRevision),
                new.isSuspended,
            ])
        let key = lastInsertedRowID
        try run("INSERT INTO workflow_manifests (workflow, manifest) VALUES (?, ?)", [key, new.manifest])
        try run("INSERT INTO workflow_states (workflow, state) VALUES (?, ?)", [key, new.state])
        try run("INSERT INTO workflow_names (rowid, name) VALUES (?, ?)", [key, summary.name])
        try replaceLabels(of: key, with: summary.labels)
        try replaceParameters(of: key, with: new.parameters)
        try replaceLifetime(of: key, with: new.lifetime)
    }

    func replaceLabels(of workflow: Int64, with labels: [String: String]) throws {
        try run("DELETE FROM workflow_labels WHERE workflow = ?", [workflow])
        for (key, value) in labels {
            try run(
                """
                INSERT INTO workflow_labels (key, value, created_at, workflow)
                SELECT ?, ?, created_at, id FROM workflows WHERE id = ?
                """, [key, value, workflow])
        }
    }

    func replaceParameters(of workflow: Int64, with parameters: [(name: String, value: String)]) throws {
        try run("DELETE FROM workflow_parameters WHERE workflow = ?", [workflow])
        for (position, parameter) in parameters.enumerated() {
            try run(
                """
                INSERT INTO workflow_parameters (name, value, created_at, workflow, position)
                SELECT ?, ?, created_at, id, ? FROM workflows WHERE id = ?
                """, [parameter.name, parameter.value, position, workflow])
        }
    }

    func replaceLifetime(of workflow: Int64, with lifetime: TimeToLive?) throws {
        try run("DELETE FROM workflow_lifetimes WHERE workflow = ?", [workflow])
        guard let lifetime else { return }
        try run(
            "INSERT INTO workflow_lifetimes (workflow, after_success, after_failure) VALUES (?, ?, ?)",
            [workflow, lifetime.secondsAfterSuccess, lifetime.secondsAfterFailure])
        guard let row = try row("SELECT phase, finished_at FROM workflows WHERE id = ?", [workflow]) else {
            return
        }
        try noteEnd(of: workflow, phase: row[0], finishedAt: row.timestamp("finished_at"))
    }

    /// Decides when a run with a lifetime may go; a run that goes on again may not.
    func noteEnd(of workflow: Int64, phase: String, finishedAt: Timestamp?) throws {
        let found = try row(
            "SELECT after_success, after_failure FROM workflow_lifetimes WHERE workflow = ?", [workflow])
        guard let found else { return }
        let lifetime = TimeToLive(secondsAfterSuccess: found[0], secondsAfterFailure: found[1])
        let expiry = finishedAt.flatMap { lifetime.expiry(phase: phase, finishedAt: $0) }
        try run(
            "UPDATE workflow_lifetimes SET expires_at = ? WHERE workflow = ?",
            [expiry?.nanoseconds, workflow])
    }

    /// Fills the tables of arguments and lifetimes from the definitions of runs that are older than these tables.
    func fillArguments() throws {
        let rows = try Row.fetchCursor(self, sql: "SELECT workflow, manifest FROM workflow_manifests")
        while let row = try rows.next() {
            // A definition that cannot be read keeps the database from being opened no more than before.
            guard let manifest = try? JSONValue(parsing: row[1] as String) else { continue }
            try replaceParameters(of: row[0], with: RunArguments.parameters(of: manifest))
            try replaceLifetime(of: row[0], with: TimeToLive(manifest: manifest))
        }
    }
}
