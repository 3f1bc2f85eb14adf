// The outbox: what is to be told to others, kept until it was told or given up.

import GRDB
package import Text

/// Something to be told about a run.
package struct NewNotification: Sendable, Hashable {
    package var workflowUID: String
    /// Unique for the run: noting the same key twice is noting it once.
    package var key: String
    /// Where to, and what: the sender's own words.
    package var target: JSONValue
    package var at: Timestamp

    package init(workflowUID: String, key: String, target: JSONValue, at: Timestamp) {
        self.workflowUID = workflowUID
        self.key = key
        self.target = target
        self.at = at
    }
}

/// A row of the outbox.
package struct NotificationRow: Sendable, Hashable {
    /// Tells repeats apart, for whoever receives it.
    package var id: Int64
    package var workflowUID: String
    package var key: String
    package var target: JSONValue
    package var createdAt: Timestamp
    /// Tries so far.
    package var attempts: Int
    package var nextAttemptAt: Timestamp
    package var lastError: String?
    /// When it was told, or given up: then `lastError` says why.
    package var doneAt: Timestamp?

    package init(
        id: Int64, workflowUID: String, key: String, target: JSONValue, createdAt: Timestamp,
        attempts: Int = 0,
        nextAttemptAt: Timestamp, lastError: String? = nil, doneAt: Timestamp? = nil
    ) {
        self.id = id
        self.workflowUID = workflowUID
        self.key = key
        self.target = target
        self.createdAt = createdAt
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.lastError = lastError
        self.doneAt = doneAt
    }
}

/// The outbox in numbers.
package struct NotificationBacklog: Sendable, Hashable {
    package var waiting: Int
    /// Of those that wait and have failed at least once.
    package var failing: Int
    /// When the next one is due; nil if none waits.
    package var nextAttemptAt: Timestamp?
}

extension Store {
    /// Notifications that are done and kept to look at.
    static let doneNotificationLimit: Int64 = 10_000

    /// Adds notifications that are due at once. To note them with the change that they tell of, use
    /// `WorkflowChange.notifications`.
    package func enqueueNotifications(_ notifications: [NewNotification]) async throws {
        guard !notifications.isEmpty else { return }
        try await writeTogether { try $0.enqueue(notifications) }
    }

    /// Those that are due, the longest waiting first.
    /// - Parameter limit: at most 1,000.
    package func dueNotifications(at now: Timestamp, limit: Int = 100) async throws -> [NotificationRow] {
        try await notifications(
            "done_at IS NULL AND next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT ?",
            [now.nanoseconds, min(max(limit, 0), 1_000)])
    }

    /// All of one run, oldest first.
    package func notifications(of workflowUID: String) async throws -> [NotificationRow] {
        try await notifications("workflow_uid = ? ORDER BY id LIMIT 1000", [workflowUID])
    }

    /// A try failed: another comes at `next`.
    package func postponeNotification(_ id: Int64, to next: Timestamp, error: String) async throws {
        try await writeTogether { database in
            try database.run(
                """
                UPDATE notifications SET attempts = attempts + 1, next_attempt_at = ?, last_error = ?
                WHERE id = ? AND done_at IS NULL
                """, [next.nanoseconds, error, id])
        }
    }

    /// Nothing was tried, and nothing is before that moment.
    package func holdNotifications(_ ids: [Int64], until next: Timestamp) async throws {
        guard !ids.isEmpty else { return }
        try await writeTogether { database in
            for id in ids {
                try database.run(
                    "UPDATE notifications SET next_attempt_at = ? WHERE id = ? AND done_at IS NULL",
                    [next.nanoseconds, id])
            }
        }
    }

    /// Has what waits of a run, and what was given up, tried at once, and again for as long as anew.
    /// - Returns: how many there are.
    package func retryNotifications(of workflowUID: String, at now: Timestamp) async throws -> Int {
        try await write { database in
            try database.run(
                """
                UPDATE notifications SET done_at = NULL, attempts = 0, created_at = ?1, next_attempt_at = ?1
                WHERE workflow_uid = ?2 AND (done_at IS NULL OR last_error IS NOT NULL)
                """, [now.nanoseconds, workflowUID])
            return database.changesCount
        }
    }

    /// It was told, or with an error it is given up.
    package func finishNotification(_ id: Int64, at now: Timestamp, error: String? = nil) async throws {
        try await writeTogether { database in
            try database.run(
                """
                UPDATE notifications SET attempts = attempts + 1, last_error = ?, done_at = ?
                WHERE id = ? AND done_at IS NULL
                """, [error, now.nanoseconds, id])
            try database.run(
                "DELETE FROM notifications WHERE id <= ? AND done_at IS NOT NULL",
                [id - Self.doneNotificationLimit])
        }
    }

    package func notificationBacklog() async throws -> NotificationBacklog {
        try await read { database in
            let row = try database.row(
                """
                SELECT count(*), ifnull(sum(attempts > 0), 0), min(next_attempt_at) FROM notifications
                WHERE done_at IS NULL
                """, [])
            guard let row else { return NotificationBacklog(waiting: 0, failing: 0) }
            return NotificationBacklog(
                waiting: row[0], failing: row[1],
                nextAttemptAt: (row[2] as Int64?).map(Timestamp.init(column:)))
        }
    }

    private func notifications(_ condition: String, _ arguments: StatementArguments) async throws
        -> [NotificationRow]
    {
        let path = path
        return try await read { database in
            try database.rows(
                """
                SELECT id, workflow_uid, key, target, created_at, attempts, next_attempt_at, last_error, done_at
                FROM notifications WHERE \(condition)
                """, arguments
            ).map { row in
                NotificationRow(
                    id: row[0], workflowUID: row[1], key: row[2],
                    target: try JSONValue(column: row[3], of: "notifications", path: path),
                    createdAt: row.moment("created_at"), attempts: row[5],
                    nextAttemptAt: row.moment("next_attempt_at"), lastError: row[7],
                    doneAt: row.timestamp("done_at"))
            }
        }
    }
}

extension Database {
    func enqueue(_ notifications: [NewNotification]) throws {
        for new in notifications {
            try run(
                """
                INSERT OR IGNORE INTO notifications (workflow_uid, key, target, created_at, next_attempt_at)
                VALUES (?, ?, ?, ?, ?)
                """,
                [new.workflowUID, new.key, new.target.compactText, new.at.nanoseconds, new.at.nanoseconds])
        }
    }
}
