// Which ended runs are to be deleted: marked by rules, found by the moment at which they may go.

import GRDB
package import Scheduling
package import Text

/// A run that may be deleted.
package struct ExpiredRun: Sendable, Hashable {
    package var uid: String
    package var namespace: String
    package var name: String
    /// Orders those that expire at the same moment; with `expiresAt` the place where the next page begins.
    package var rowID: Int64
    package var expiresAt: Timestamp
}

extension Store {
    /// Runs that are marked in one transaction.
    static let doomBatch = 500

    /// Marks ended runs of one namespace and phase for deletion, the oldest first. The mark stays until the run is
    /// deleted or goes on again, so that a deletion that was cut off is finished also under other rules.
    /// - Parameters:
    ///   - moment: runs that ended before it are marked; nil for no such rule.
    ///   - count: older runs than so many newest ones are marked; nil for no such rule.
    /// - Returns: how many were marked, at most 500; then the call may find more.
    package func doomWorkflows(
        namespace: String, phase: String, endedBefore moment: Timestamp?, keepingNewest count: Int?,
        at now: Timestamp
    ) async throws -> Int {
        try await write { database in
            var marked = 0
            if let moment {
                marked += try database.doom(
                    namespace: namespace, phase: phase, before: (moment.nanoseconds, .min),
                    endedBefore: moment,
                    at: now)
            }
            guard let count, marked < Self.doomBatch else { return marked }
            let oldest = try database.row(
                """
                SELECT created_at, id FROM workflows INDEXED BY workflows_by_namespace_and_phase
                WHERE namespace = ? AND phase = ? AND created_at > ?
                ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ?
                """, [namespace, phase, WorkflowConditions.deletedMoment.nanoseconds, max(count - 1, 0)])
            // With nothing to keep, all are older than the oldest that is kept.
            let kept: (Int64, Int64)? = count <= 0 ? (.max, .max) : oldest.map { ($0[0], $0[1]) }
            guard let kept else { return marked }
            return try marked
                + database.doom(
                    namespace: namespace, phase: phase, before: kept, endedBefore: nil, at: now)
        }
    }

    /// The runs that may be deleted at a moment, those that could go first in front.
    /// - Parameters:
    ///   - run: the last run of the page before.
    ///   - limit: at most 1,000.
    package func expiredWorkflows(at now: Timestamp, after run: ExpiredRun? = nil, limit: Int = 100)
        async throws
        -> [ExpiredRun]
    {
        try await read { database in
            try database.rows(
                """
                SELECT uid, namespace, name, workflows.id, expires_at
                FROM workflow_lifetimes INDEXED BY workflow_lifetimes_ending
                JOIN workflows ON workflows.id = workflow_lifetimes.workflow
                WHERE expires_at <= ? AND (expires_at, workflow) > (?, ?)
                ORDER BY expires_at, workflow LIMIT ?
                """,
                [
                    now.nanoseconds, run?.expiresAt.nanoseconds ?? .min, run?.rowID ?? .min,
                    min(max(limit, 0), 1_000),
                ]
            ).map { row in
                ExpiredRun(
                    uid: row[0], namespace: row[1], name: row[2], rowID: row[3],
                    expiresAt: Timestamp(column: row[4]))
            }
        }
    }

    /// When a run may be deleted; nil for never, or while it has not ended.
    package func expiry(_ uid: String) async throws -> Timestamp? {
        try await read { database in
            try database.row(
                """
                SELECT expires_at FROM workflow_lifetimes JOIN workflows ON workflows.id = workflow
                WHERE uid = ?
                """, [uid])?.timestamp("expires_at")
        }
    }

    /// The nodes of a run that have output artifacts, by id, a page at a time.
    /// - Parameters:
    ///   - id: of the last node of the page before.
    ///   - limit: at most 1,000.
    package func nodesWithArtifacts(_ uid: String, after id: NodeID = "", limit: Int = 200) async throws
        -> [Node]
    {
        let path = path
        return try await read { database in
            try database.rows(
                """
                SELECT sequence, body FROM nodes
                WHERE workflow = (SELECT id FROM workflows WHERE uid = ?) AND node_id > ?
                    AND json_type(body, '$.outputs.artifacts') IS NOT NULL
                ORDER BY node_id LIMIT ?
                """, [uid, id, min(max(limit, 0), 1_000)]
            ).map { row in
                let body = try JSONValue(column: row[1], of: "nodes", path: path)
                guard let node = Node(row: body, sequence: row[0]) else {
                    throw StoreError.corrupt(path: path, detail: "a row of nodes is not a node")
                }
                return node
            }
        }
    }

    /// The nodes whose outputs are in a memoization cache of a namespace: later runs may use their artifacts.
    package func cachedNodes(namespace: String) async throws -> Set<NodeID> {
        try await read { database in
            Set(
                try database.rows(
                    "SELECT DISTINCT node_id FROM cache_entries WHERE namespace = ?", [namespace]
                )
                .map { $0[0] as NodeID })
        }
    }
}

extension Database {
    /// Marks runs that were made before a run and are not marked yet.
    fileprivate func doom(
        namespace: String, phase: String, before place: (createdAt: Int64, id: Int64),
        endedBefore: Timestamp?,
        at now: Timestamp
    ) throws -> Int {
        try run(
            """
            INSERT INTO workflow_lifetimes (workflow, expires_at)
            SELECT id, ?1 FROM workflows INDEXED BY workflows_by_namespace_and_phase
            WHERE namespace = ?2 AND phase = ?3 AND created_at > ?4 AND (created_at, id) < (?5, ?6)
                AND finished_at IS NOT NULL AND finished_at < ?7
                AND NOT EXISTS (SELECT 1 FROM workflow_lifetimes AS other
                    WHERE other.workflow = workflows.id AND other.expires_at <= ?1)
            ORDER BY created_at, id LIMIT ?8
            ON CONFLICT (workflow) DO UPDATE SET expires_at = excluded.expires_at
            """,
            [
                now.nanoseconds, namespace, phase, WorkflowConditions.deletedMoment.nanoseconds,
                place.createdAt,
                place.id, endedBefore?.nanoseconds ?? .max, Store.doomBatch,
            ])
        return changesCount
    }
}
