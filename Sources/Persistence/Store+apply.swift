// The hot path: what happened in many runs, saved with one wait for the disk.

import GRDB
import Scheduling
import Text

extension Store {
    /// Saves the changes of any number of runs in one transaction: all of them are on the disk when this
    /// returns, or none. Within a change nodes are deleted before others are written.
    /// - Throws: `StoreError`: `notFound` or `superseded` name the run that spoiled the batch: leave it out
    ///   and apply the others again. `full` and `busy`: nothing was written, and the same call may be
    ///   repeated. `nameTaken`: a run that a change would insert; the others can be applied without it.
    package func apply(_ changes: [WorkflowChange]) async throws {
        guard !changes.isEmpty else { return }
        // Texts are made before the database is locked, so that other processes wait for writing only.
        let prepared = changes.map(PreparedChange.init)
        try await write { database in
            for change in prepared { try database.apply(change) }
        }
    }

    /// What happened in a run after the event `id` (0 for the first), oldest first.
    /// - Parameter limit: at most 10,000.
    package func events(_ uid: String, after id: Int64 = 0, limit: Int = 1000) async throws
        -> [(id: Int64, event: EventRow)]
    {
        try await read { database in
            try database.rows(
                """
                SELECT events.id, at, node_id, kind, events.message FROM events
                JOIN workflows ON workflows.id = events.workflow
                WHERE workflows.uid = ? AND events.id > ? ORDER BY events.id LIMIT ?
                """, [uid, id, min(max(limit, 0), 10_000)]
            ).map { row in
                (
                    row[0],
                    EventRow(at: Timestamp(column: row[1]), nodeID: row[2], kind: row[3], message: row[4])
                )
            }
        }
    }
}

/// A change with its JSON written out.
private struct PreparedChange: Sendable {
    var change: WorkflowChange
    var insertion: PreparedWorkflow?
    var nodeBodies: [String]
    var effectBodies: [String]
    var manifest: String?
    var state: String?
    var isSuspended: Bool?
    var labels: String?
    var annotations: String?
    var parameters: [(name: String, value: String)]?
    var lifetime: TimeToLive?

    init(_ change: WorkflowChange) {
        self.change = change
        insertion = change.insertion.map(PreparedWorkflow.init)
        nodeBodies = change.nodes.map(\.rowJSON.compactText)
        effectBodies = change.newEffects.map(\.body.compactText)
        manifest = change.manifest?.compactText
        parameters = change.manifest.map(RunArguments.parameters)
        lifetime = change.manifest.flatMap(TimeToLive.init(manifest:))
        state = change.header?.state?.compactText
        isSuspended = change.header?.state?.saysSuspended
        labels = (change.header?.labels).map { JSONValue(labels: $0).compactText }
        annotations = (change.header?.annotations).map { JSONValue(labels: $0).compactText }
    }
}

/// What of a run's row decides how it is written.
private struct StoredHeader {
    var workflow: Int64
    var phase: String
    var finishedAt: Int64?
    var labels: String
}

extension Database {
    fileprivate func apply(_ prepared: PreparedChange) throws {
        let change = prepared.change
        if let new = prepared.insertion { try insert(new) }
        let found = try row(
            "SELECT id, driver_epoch, phase, finished_at, labels FROM workflows WHERE uid = ?", [change.uid])
        guard let found else { throw StoreError.notFound(kind: "workflow", name: change.uid) }
        let key: Int64 = found[0]
        if let epoch = change.driverEpoch, epoch != found[1] { throw StoreError.superseded(uid: change.uid) }
        if change.isVisible {
            let revision = try next(.runRevision)
            let stored = StoredHeader(workflow: key, phase: found[2], finishedAt: found[3], labels: found[4])
            try write(prepared, over: stored, revision: revision)
            for id in change.deletedNodes {
                try run("DELETE FROM nodes WHERE workflow = ? AND node_id = ?", [key, id])
            }
            for (node, body) in zip(change.nodes, prepared.nodeBodies) {
                try write(node, body: body, workflow: key, revision: revision)
            }
        }
        for effect in change.doneEffects {
            try run("DELETE FROM effects WHERE workflow = ? AND key = ?", [key, effect])
        }
        for (effect, body) in zip(change.newEffects, prepared.effectBodies) {
            try run(
                """
                INSERT INTO effects (workflow, key, kind, body) VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET kind = excluded.kind, body = excluded.body
                """, [key, effect.key, effect.kind, body])
        }
        for event in change.events {
            try run(
                "INSERT INTO events (workflow, node_id, at, kind, message) VALUES (?, ?, ?, ?, ?)",
                [key, event.nodeID, event.at.nanoseconds, event.kind, event.message])
        }
        try enqueue(change.notifications)
        for command in change.finishedCommands { try finishCommand(command.id, error: command.error) }
    }

    private func write(_ node: Node, body: String, workflow: Int64, revision: Int64) throws {
        try run(
            """
            INSERT INTO nodes (workflow, node_id, sequence, name, phase, type, template_name, started_at,
                finished_at, body, revision)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (workflow, node_id) DO UPDATE SET sequence = excluded.sequence, name = excluded.name,
                phase = excluded.phase, type = excluded.type, template_name = excluded.template_name,
                started_at = excluded.started_at, finished_at = excluded.finished_at, body = excluded.body,
                revision = excluded.revision
            """,
            [
                workflow, node.id, node.sequence, node.name, node.phase.rawValue, node.type.rawValue,
                node.templateName, node.startedAt?.nanoseconds, node.finishedAt?.nanoseconds, body, revision,
            ])
    }

    /// Writes the run's own row. SQLite renews the entries of every index that has a column of the statement,
    /// changed or not: a phase that stays is therefore not mentioned.
    private func write(_ prepared: PreparedChange, over stored: StoredHeader, revision: Int64) throws {
        let change = prepared.change
        let key = stored.workflow
        let reset = change.deletedNodes.isEmpty ? nil : revision
        if let header = change.header {
            try run(
                """
                UPDATE workflows SET message = ?, started_at = ?, labels = ifnull(?, labels),
                    annotations = ifnull(?, annotations), progress = ifnull(?, progress), revision = ?,
                    reset_revision = ifnull(?, reset_revision), suspended = ifnull(?, suspended)
                WHERE id = ?
                """,
                [
                    header.message, header.startedAt?.nanoseconds, prepared.labels, prepared.annotations,
                    header.progress ?? change.progress, revision, reset, prepared.isSuspended, key,
                ])
            if header.phase != stored.phase || header.finishedAt?.nanoseconds != stored.finishedAt {
                try run(
                    "UPDATE workflows SET phase = ?, finished_at = ? WHERE id = ?",
                    [header.phase, header.finishedAt?.nanoseconds, key])
                try noteEnd(of: key, phase: header.phase, finishedAt: header.finishedAt)
            }
            if let state = prepared.state {
                try run("UPDATE workflow_states SET state = ? WHERE workflow = ?", [state, key])
            }
            if let labels = header.labels, prepared.labels != stored.labels {
                try replaceLabels(of: key, with: labels)
            }
        } else {
            try run(
                """
                UPDATE workflows SET progress = ifnull(?, progress), revision = ?,
                    reset_revision = ifnull(?, reset_revision)
                WHERE id = ?
                """, [change.progress, revision, reset, key])
        }
        if let manifest = prepared.manifest {
            try run("UPDATE workflow_manifests SET manifest = ? WHERE workflow = ?", [manifest, key])
            if let parameters = prepared.parameters { try replaceParameters(of: key, with: parameters) }
            try replaceLifetime(of: key, with: prepared.lifetime)
        }
    }
}
