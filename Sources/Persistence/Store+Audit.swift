// The audit log: who changed what, from where, and how it ended.

import GRDB
package import Text

/// A line of the audit log. Holds no body of a request and no secret.
package struct AuditRow: Sendable, Hashable {
    /// Goes up with time; 0 before it is stored.
    package var id: Int64
    package var at: Timestamp
    /// The token's name.
    package var who: String
    /// The operation.
    package var what: String
    package var namespace: String
    package var target: String
    /// The address that asked.
    package var source: String
    /// The answer's HTTP status.
    package var status: Int

    package init(
        id: Int64 = 0, at: Timestamp, who: String, what: String, namespace: String, target: String,
        source: String, status: Int
    ) {
        self.id = id
        self.at = at
        self.who = who
        self.what = what
        self.namespace = namespace
        self.target = target
        self.source = source
        self.status = status
    }
}

extension Store {
    /// Lines that are kept; the oldest go first.
    static let auditLimit: Int64 = 1_000_000

    /// Adds lines; their ids are given here. Lines of callers that come at the same time wait for the disk together.
    package func appendAudit(_ rows: [AuditRow]) async throws {
        guard !rows.isEmpty else { return }
        try await writeTogether { database in
            for row in rows {
                try database.run(
                    """
                    INSERT INTO audit (at, who, what, namespace, target, source, status)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                    [
                        row.at.nanoseconds, row.who, row.what, row.namespace, row.target, row.source,
                        row.status,
                    ])
            }
            try database.run(
                "DELETE FROM audit WHERE id <= ?", [database.lastInsertedRowID - Self.auditLimit])
        }
    }

    /// The newest lines, newest first.
    /// - Parameters:
    ///   - id: only older ones: the last id of the page before.
    ///   - namespace: only its lines.
    ///   - limit: at most 1,000.
    package func audit(before id: Int64? = nil, namespace: String? = nil, limit: Int = 100) async throws
        -> [AuditRow]
    {
        let condition = namespace == nil ? "" : "AND namespace = ?3"
        let limit = min(max(limit, 0), 1_000)
        return try await read { database in
            var arguments: StatementArguments = [id ?? .max, limit]
            if let namespace { arguments += [namespace] }
            return try database.rows(
                """
                SELECT id, at, who, what, namespace, target, source, status FROM audit
                WHERE id < ?1 \(condition) ORDER BY id DESC LIMIT ?2
                """, arguments
            ).map { row in
                AuditRow(
                    id: row[0], at: Timestamp(column: row[1]), who: row[2], what: row[3], namespace: row[4],
                    target: row[5], source: row[6], status: row[7])
            }
        }
    }
}
