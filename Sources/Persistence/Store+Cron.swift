// Runs of cron workflows: one an instant at most, whatever crashes and however many processes try.

import GRDB
package import Text

/// An instant of a cron workflow's schedule.
package struct CronInstant: Sendable, Hashable {
    package var namespace: String
    /// The cron workflow's name.
    package var cron: String
    package var at: Timestamp

    package init(namespace: String, cron: String, at: Timestamp) {
        self.namespace = namespace
        self.cron = cron
        self.at = at
    }
}

/// What became of a run that cron wanted to begin.
package enum CronInsertion: Sendable, Hashable {
    /// The run is stored; the version is the cron workflow's after its status was written.
    case inserted(resourceVersion: Int)
    /// The instant had a run already, which may be deleted by now. Nothing was written.
    case known(uid: String)
}

extension Store {
    /// Instants that are remembered of one cron workflow; older ones may be given out again.
    static let instantLimit = 100_000

    /// Stores a new run for an instant and the cron workflow's status, both or neither.
    /// - Parameters:
    ///   - status: of the cron workflow; nil leaves it, as a backfill does.
    ///   - version: the resource version under which the caller read the cron workflow.
    /// - Throws: `StoreError`: `notFound` if there is no such cron workflow; `conflict` if it was changed since
    ///   `version`; `nameTaken` if another run has the name.
    package func insertCronRun(
        _ row: WorkflowRow, for instant: CronInstant, status: JSONValue?, ifVersion version: Int? = nil
    ) async throws -> CronInsertion {
        let prepared = PreparedWorkflow(row)
        let text = status?.compactText
        return try await writeTogether { database in
            if let uid = try database.cronRun(instant) { return .known(uid: uid) }
            let found = try database.integer(
                """
                SELECT resource_version FROM definitions
                WHERE kind = 'CronWorkflow' AND namespace = ? AND name = ?
                """, [instant.namespace, instant.cron])
            guard let found = found.map({ Int($0) }) else {
                throw StoreError.notFound(kind: "CronWorkflow", name: instant.cron)
            }
            if let version, version != found {
                throw StoreError.conflict(
                    kind: "CronWorkflow", name: instant.cron, expected: version, found: found)
            }
            try database.insert(prepared)
            try database.run(
                "INSERT INTO cron_instants (namespace, cron, instant, workflow_uid) VALUES (?, ?, ?, ?)",
                [instant.namespace, instant.cron, instant.at.nanoseconds, prepared.summary.uid])
            guard let text else { return .inserted(resourceVersion: found) }
            let next = try database.next(.resourceVersion)
            try database.run(
                """
                UPDATE definitions SET status = ?, resource_version = ?
                WHERE kind = 'CronWorkflow' AND namespace = ? AND name = ?
                """, [text, next, instant.namespace, instant.cron])
            return .inserted(resourceVersion: Int(next))
        }
    }

    /// The run that was begun for an instant, which may be deleted by now.
    package func cronRun(for instant: CronInstant) async throws -> String? {
        try await read { try $0.cronRun(instant) }
    }

    /// The instants of a cron workflow that had a run, oldest first; at most 10,000.
    package func cronInstants(
        namespace: String, cron: String, from start: Timestamp, through end: Timestamp
    ) async throws -> [(at: Timestamp, uid: String)] {
        try await read { database in
            try database.rows(
                """
                SELECT instant, workflow_uid FROM cron_instants
                WHERE namespace = ? AND cron = ? AND instant >= ? AND instant <= ?
                ORDER BY instant LIMIT 10000
                """, [namespace, cron, start.nanoseconds, end.nanoseconds]
            ).map { (Timestamp(column: $0[0]), $0[1]) }
        }
    }

    /// Forgets the oldest instants of cron workflows that have too many; made for asking once a day.
    package func forgetOldInstants(keeping limit: Int = Store.instantLimit) async throws {
        let crons = try await read { database in
            try database.rows("SELECT DISTINCT namespace, cron FROM cron_instants", [])
                .map { ($0[0] as String, $0[1] as String) }
        }
        for (namespace, cron) in crons {
            try await write { database in
                try database.run(
                    """
                    DELETE FROM cron_instants WHERE namespace = ?1 AND cron = ?2 AND instant <= (
                        SELECT instant FROM cron_instants WHERE namespace = ?1 AND cron = ?2
                        ORDER BY instant DESC LIMIT 1 OFFSET ?3)
                    """, [namespace, cron, limit])
            }
        }
    }
}

extension Database {
    fileprivate func cronRun(_ instant: CronInstant) throws -> String? {
        try row(
            "SELECT workflow_uid FROM cron_instants WHERE namespace = ? AND cron = ? AND instant = ?",
            [instant.namespace, instant.cron, instant.at.nanoseconds])?[0]
    }
}
