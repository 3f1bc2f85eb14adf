// Verbs that one process asks of the process that drives a run: stop, suspend, resume, set a node's outputs.

import GRDB
package import Text

/// A verb that waits for the run's driver.
package struct Command: Sendable, Hashable {
    /// Goes up with the order in which commands came.
    package var id: Int64
    package var workflowUID: String
    package var verb: String
    package var payload: JSONValue
}

/// What became of a command.
package struct CommandResult: Sendable, Hashable {
    package var done: Bool
    /// Why it was refused or failed; nil while it waits and when it was done.
    package var error: String?
}

extension Store {
    /// Commands that may wait for one run; more mean that nobody drives it.
    static let waitingCommandLimit = 256
    /// Answers that are kept for whoever asks late.
    static let finishedCommandLimit: Int64 = 10_000

    /// Leaves a verb for the driver of a run.
    /// - Returns: the id under which `commandResult` tells what became of it.
    /// - Throws: `StoreError.notFound`; `invalid` if 256 commands wait for this run already.
    package func enqueueCommand(_ uid: String, verb: String, payload: JSONValue) async throws -> Int64 {
        let text = payload.compactText
        return try await write { database in
            _ = try database.workflowKey(uid)
            let waiting = try database.integer(
                "SELECT count(*) FROM commands WHERE workflow_uid = ? AND done = 0", [uid])
            guard waiting ?? 0 < Self.waitingCommandLimit else {
                throw StoreError.invalid(
                    detail: """
                        \(Self.waitingCommandLimit) commands wait for workflow \(uid) already; \
                        no process drives it: go on with it by `martlet run --resume`
                        """)
            }
            try database.run(
                "INSERT INTO commands (workflow_uid, verb, payload) VALUES (?, ?, ?)", [uid, verb, text])
            let id = database.lastInsertedRowID
            try database.run(
                "DELETE FROM commands WHERE done = 1 AND id <= ?", [id - Self.finishedCommandLimit])
            return id
        }
    }

    /// The commands of a run that are not finished, oldest first. They come again until they are finished: a
    /// driver that was killed in between has lost nothing. Finish them in the same transaction as their
    /// result, with `WorkflowChange.finishedCommands`.
    /// - Parameter uid: nil for those of all runs.
    package func takeCommands(_ uid: String?) async throws -> [Command] {
        let path = path
        return try await read { database in
            let rows =
                if let uid {
                    try database.rows(
                        """
                        SELECT id, workflow_uid, verb, payload FROM commands
                        WHERE workflow_uid = ? AND done = 0 ORDER BY id
                        """, [uid])
                } else {
                    try database.rows(
                        "SELECT id, workflow_uid, verb, payload FROM commands WHERE done = 0 ORDER BY id", [])
                }
            return try rows.map { row in
                Command(
                    id: row[0], workflowUID: row[1], verb: row[2],
                    payload: try JSONValue(column: row[3], of: "commands", path: path))
            }
        }
    }

    /// Says that a command was carried out, or why not. Finishing one twice changes nothing.
    package func finishCommand(_ id: Int64, error: String? = nil) async throws {
        try await write { try $0.finishCommand(id, error: error) }
    }

    /// What became of a command; nil if it is unknown, or finished so long ago that it was forgotten.
    package func commandResult(_ id: Int64) async throws -> CommandResult? {
        try await read { database in
            try database.row("SELECT done, error FROM commands WHERE id = ?", [id]).map { row in
                CommandResult(done: row[0], error: row[1])
            }
        }
    }
}

extension Database {
    func finishCommand(_ id: Int64, error: String?) throws {
        try run("UPDATE commands SET done = 1, error = ? WHERE id = ? AND done = 0", [error, id])
    }
}
