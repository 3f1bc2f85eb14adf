// Locks across runs and processes: taken and released in transactions, waited for in a queue in the database.

import GRDB
package import Scheduling
import Text

extension Store {
    /// Takes all locks of a request, or none of them and a place in the queue of each. Asking again is how
    /// one waits: after `releaseLocks` in this process, or when `dataVersion` has changed. A holder that asks
    /// again for what it holds gets the same answer, and a waiter keeps its place.
    ///
    /// Every queue has the same order (priority, age, sequence, uid, node), so whoever is first of all is
    /// first in each of its queues and waits for holders only. Of a lock with n free places the first n may
    /// take it: a place is kept for whoever waits in front, even while that one waits for another lock too.
    /// - Throws: `StoreError.notFound` if the holder's workflow is not stored.
    package func requestLocks(_ request: LockRequest) async throws -> LockAnswer {
        try await write { database in
            _ = try database.workflowKey(request.holder.workflowUID)
            let missing = try request.keys.filter { try !database.holds(request.holder, $0.key) }
            for wanted in missing {
                let held = try database.integer(
                    "SELECT count(*) FROM lock_holders WHERE key = ?", [wanted.key])
                let free = max(0, wanted.limit - Int(held ?? 0))
                let inFront = try database.waiters(inFrontOf: request, key: wanted.key, limit: free + 1)
                if inFront.count < free { continue }
                try database.enqueue(request, keys: missing)
                return .waiting(
                    key: wanted.key,
                    message: "Waiting for \(wanted.key) lock. Lock status: \(free)/\(wanted.limit)",
                    inFront: inFront.first)
            }
            for wanted in missing {
                try database.run(
                    "INSERT OR IGNORE INTO lock_holders (key, workflow_uid, node_id) VALUES (?, ?, ?)",
                    [wanted.key, request.holder.workflowUID, request.holder.nodeID])
            }
            try database.leaveQueues(request.holder)
            return .acquired
        }
    }

    /// Releases what a node holds, and its places in queues. Releasing nothing is no error.
    /// - Returns: the keys of the locks that are free now, for those of this process that wait for them.
    @discardableResult
    package func releaseLocks(workflowUID: String, nodeID: NodeID) async throws -> [String] {
        try await write { database in
            try database.leaveQueues(LockHolder(workflowUID: workflowUID, nodeID: nodeID))
            return try String.fetchAll(
                database.cachedStatement(
                    sql: "DELETE FROM lock_holders WHERE workflow_uid = ? AND node_id = ? RETURNING key"),
                arguments: [workflowUID, nodeID])
        }
    }

    /// Releases everything that a workflow and its nodes hold, and their places in queues.
    /// - Returns: the keys of the locks that are free now.
    @discardableResult
    package func releaseAllLocks(_ workflowUID: String) async throws -> [String] {
        try await write { database in
            try database.run("DELETE FROM lock_waiters WHERE workflow_uid = ?", [workflowUID])
            return try String.fetchAll(
                database.cachedStatement(
                    sql: "DELETE FROM lock_holders WHERE workflow_uid = ? RETURNING key"),
                arguments: [workflowUID])
        }
    }

    /// Takes a workflow's requests out of all queues; what it holds stays. For runs whose driver is dead:
    /// they would keep their place for ever. Since places follow age, a run that goes on later gets its place
    /// back.
    package func withdrawLockRequests(_ workflowUID: String) async throws {
        try await write { database in
            try database.run("DELETE FROM lock_waiters WHERE workflow_uid = ?", [workflowUID])
        }
    }

    /// Who holds a lock now.
    package func lockHolders(_ key: String) async throws -> [LockHolder] {
        try await read { database in
            try database.rows(
                """
                SELECT workflow_uid, node_id FROM lock_holders WHERE key = ? ORDER BY workflow_uid, node_id
                """, [key]
            ).map { LockHolder(workflowUID: $0[0], nodeID: $0[1]) }
        }
    }

    /// Who waits for a lock now, first come first.
    package func lockWaiters(_ key: String) async throws -> [LockHolder] {
        try await read { database in
            try database.rows(
                """
                SELECT workflow_uid, node_id FROM lock_waiters WHERE key = ?
                ORDER BY priority DESC, created_at, sequence, workflow_uid, node_id
                """, [key]
            ).map { LockHolder(workflowUID: $0[0], nodeID: $0[1]) }
        }
    }

    /// The locks that a workflow and its nodes hold, by key.
    package func locks(heldBy workflowUID: String) async throws -> [(key: String, nodeID: NodeID)] {
        try await read { database in
            try database.rows(
                "SELECT key, node_id FROM lock_holders WHERE workflow_uid = ? ORDER BY key, node_id",
                [workflowUID]
            ).map { ($0[0], $0[1]) }
        }
    }
}

extension Store {
    /// The size of a semaphore that is kept in the database; nil if there is none.
    package func syncLimit(namespace: String, key: String) async throws -> Int? {
        try await read { database in
            try database.integer(
                "SELECT size FROM lock_limits WHERE namespace = ? AND key = ?", [namespace, key]
            ).map { Int($0) }
        }
    }

    /// The semaphores of a namespace, by key.
    package func syncLimits(namespace: String) async throws -> [(key: String, limit: Int)] {
        try await read { database in
            try database.rows(
                "SELECT key, size FROM lock_limits WHERE namespace = ? ORDER BY key", [namespace]
            )
            .map { ($0[0], $0[1]) }
        }
    }

    /// Sets a semaphore's size, 0 or more; holders beyond a smaller size keep what they hold.
    package func setSyncLimit(namespace: String, key: String, limit: Int) async throws {
        guard limit >= 0 else {
            throw StoreError.invalid(detail: "the limit of semaphore \"\(key)\" is \(limit); give 0 or more")
        }
        try await write { database in
            try database.run(
                """
                INSERT INTO lock_limits (namespace, key, size) VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET size = excluded.size
                """, [namespace, key, limit])
        }
    }

    /// - Returns: whether there was one.
    @discardableResult
    package func deleteSyncLimit(namespace: String, key: String) async throws -> Bool {
        try await write { database in
            try database.run("DELETE FROM lock_limits WHERE namespace = ? AND key = ?", [namespace, key])
            return database.changesCount > 0
        }
    }
}

extension Database {
    fileprivate func holds(_ holder: LockHolder, _ key: String) throws -> Bool {
        try integer(
            "SELECT 1 FROM lock_holders WHERE key = ? AND workflow_uid = ? AND node_id = ?",
            [key, holder.workflowUID, holder.nodeID]) != nil
    }

    /// The waiters that come before a request, first come first, at most `limit` of them.
    fileprivate func waiters(inFrontOf request: LockRequest, key: String, limit: Int) throws -> [LockHolder] {
        try rows(
            """
            SELECT workflow_uid, node_id FROM lock_waiters
            WHERE key = ?1 AND (workflow_uid, node_id) <> (?5, ?6)
                AND (-priority, created_at, sequence, workflow_uid, node_id) < (-?2, ?3, ?4, ?5, ?6)
            ORDER BY priority DESC, created_at, sequence, workflow_uid, node_id LIMIT ?7
            """,
            [
                key, request.priority, request.createdAt.nanoseconds, request.sequence,
                request.holder.workflowUID, request.holder.nodeID, limit,
            ]
        ).map { LockHolder(workflowUID: $0[0], nodeID: $0[1]) }
    }

    /// Notes the places of a request. Asking again writes nothing, so that waiting costs the disk nothing.
    fileprivate func enqueue(_ request: LockRequest, keys: [LockRequest.Key]) throws {
        for wanted in keys {
            try run(
                """
                INSERT INTO lock_waiters (key, priority, created_at, sequence, workflow_uid, node_id)
                VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET priority = excluded.priority, created_at = excluded.created_at,
                    sequence = excluded.sequence
                WHERE (priority, created_at, sequence)
                    <> (excluded.priority, excluded.created_at, excluded.sequence)
                """,
                [
                    wanted.key, request.priority, request.createdAt.nanoseconds, request.sequence,
                    request.holder.workflowUID, request.holder.nodeID,
                ])
        }
    }

    fileprivate func leaveQueues(_ holder: LockHolder) throws {
        try run(
            "DELETE FROM lock_waiters WHERE workflow_uid = ? AND node_id = ?",
            [holder.workflowUID, holder.nodeID])
    }
}
