// The memoization cache: outputs of earlier nodes by the key that their templates gave.

import GRDB
package import Scheduling
package import Text

/// What a node left for later nodes with the same key.
package struct CacheEntry: Sendable, Hashable {
    package var key: String
    package var nodeID: NodeID
    package var outputs: JSONValue
    package var createdAt: Timestamp
    package var lastHitAt: Timestamp

    package init(key: String, nodeID: NodeID, outputs: JSONValue, createdAt: Timestamp, lastHitAt: Timestamp)
    {
        self.key = key
        self.nodeID = nodeID
        self.outputs = outputs
        self.createdAt = createdAt
        self.lastHitAt = lastHitAt
    }
}

extension Store {
    /// The entry of a key; whether it is too old is for the caller to say.
    package func cacheEntry(namespace: String, cache: String, key: String) async throws -> CacheEntry? {
        let path = path
        return try await read { database in
            try database.row(
                """
                SELECT key, node_id, outputs, created_at, last_hit_at FROM cache_entries
                WHERE namespace = ? AND cache = ? AND key = ?
                """, [namespace, cache, key]
            ).map { try CacheEntry(row: $0, path: path) }
        }
    }

    /// Keeps an entry; an older one of the same key is replaced.
    package func saveCacheEntry(_ entry: CacheEntry, namespace: String, cache: String) async throws {
        let outputs = entry.outputs.compactText
        try await write { database in
            try database.run(
                """
                INSERT INTO cache_entries (namespace, cache, key, node_id, outputs, created_at, last_hit_at)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET node_id = excluded.node_id, outputs = excluded.outputs,
                    created_at = excluded.created_at, last_hit_at = excluded.last_hit_at
                """,
                [
                    namespace, cache, entry.key, entry.nodeID, outputs, entry.createdAt.nanoseconds,
                    entry.lastHitAt.nanoseconds,
                ])
        }
    }

    /// Notes that an entry was used; one that is gone by now is no error.
    package func touchCacheEntry(namespace: String, cache: String, key: String, at now: Timestamp)
        async throws
    {
        try await write { database in
            try database.run(
                """
                UPDATE cache_entries SET last_hit_at = max(last_hit_at, ?)
                WHERE namespace = ? AND cache = ? AND key = ?
                """, [now.nanoseconds, namespace, cache, key])
        }
    }

    /// The caches of a namespace, by name.
    package func cacheNames(namespace: String) async throws -> [String] {
        try await read { database in
            try String.fetchAll(
                database, sql: "SELECT DISTINCT cache FROM cache_entries WHERE namespace = ? ORDER BY cache",
                arguments: [namespace])
        }
    }

    /// The entries of a cache, by key.
    package func cacheEntries(namespace: String, cache: String) async throws -> [CacheEntry] {
        let path = path
        return try await read { database in
            try database.rows(
                """
                SELECT key, node_id, outputs, created_at, last_hit_at FROM cache_entries
                WHERE namespace = ? AND cache = ? ORDER BY key
                """, [namespace, cache]
            ).map { try CacheEntry(row: $0, path: path) }
        }
    }

    /// Deletes one entry, or with a nil key the whole cache.
    /// - Returns: how many there were.
    @discardableResult
    package func deleteCacheEntries(namespace: String, cache: String, key: String? = nil) async throws -> Int
    {
        try await write { database in
            try database.run(
                "DELETE FROM cache_entries WHERE namespace = ?1 AND cache = ?2 AND (?3 IS NULL OR key = ?3)",
                [namespace, cache, key])
            return database.changesCount
        }
    }

    /// Deletes the entries of all caches that nobody has used since a moment.
    /// - Returns: how many there were.
    @discardableResult
    package func deleteCacheEntries(notHitSince moment: Timestamp) async throws -> Int {
        try await write { database in
            try database.run("DELETE FROM cache_entries WHERE last_hit_at < ?", [moment.nanoseconds])
            return database.changesCount
        }
    }
}

extension CacheEntry {
    fileprivate init(row: Row, path: String) throws {
        self.init(
            key: row[0], nodeID: row[1],
            outputs: try JSONValue(column: row[2], of: "cache_entries", path: path),
            createdAt: Timestamp(column: row[3]), lastHitAt: Timestamp(column: row[4]))
    }
}
