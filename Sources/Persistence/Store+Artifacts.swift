// The artifacts that runs have made: where each lies, and when it was deleted.

import GRDB
package import Scheduling
package import Text

/// An output artifact of a node.
package struct ArtifactRow: Sendable, Hashable {
    package var nodeID: NodeID
    package var name: String
    /// Where it lies, as an artifact location of a manifest.
    package var location: JSONValue
    package var bytes: Int64?
    /// Of the contents, in hexadecimal; nil where the store does not know it.
    package var sha256: String?
    package var createdAt: Timestamp
    /// When garbage collection deleted it.
    package var deletedAt: Timestamp?

    package init(
        nodeID: NodeID, name: String, location: JSONValue, bytes: Int64? = nil, sha256: String? = nil,
        createdAt: Timestamp, deletedAt: Timestamp? = nil
    ) {
        self.nodeID = nodeID
        self.name = name
        self.location = location
        self.bytes = bytes
        self.sha256 = sha256
        self.createdAt = createdAt
        self.deletedAt = deletedAt
    }
}

extension Store {
    /// Notes artifacts of a run; a later row of the same node and name replaces the earlier.
    /// - Throws: `StoreError.notFound`.
    package func saveArtifacts(_ uid: String, _ artifacts: [ArtifactRow]) async throws {
        let locations = artifacts.map(\.location.compactText)
        try await write { database in
            let key = try database.workflowKey(uid)
            for (artifact, location) in zip(artifacts, locations) {
                try database.run(
                    """
                    INSERT INTO artifacts
                        (workflow, node_id, name, location, bytes, sha256, created_at, deleted_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET location = excluded.location, bytes = excluded.bytes,
                        sha256 = excluded.sha256, created_at = excluded.created_at,
                        deleted_at = excluded.deleted_at
                    """,
                    [
                        key, artifact.nodeID, artifact.name, location, artifact.bytes, artifact.sha256,
                        artifact.createdAt.nanoseconds, artifact.deletedAt?.nanoseconds,
                    ])
            }
        }
    }

    /// The artifacts of a run, deleted ones included, by node and name.
    package func artifacts(_ uid: String) async throws -> [ArtifactRow] {
        let path = path
        return try await read { database in
            try database.rows(
                """
                SELECT node_id, artifacts.name, location, bytes, sha256, artifacts.created_at, deleted_at
                FROM artifacts JOIN workflows ON workflows.id = artifacts.workflow
                WHERE uid = ? ORDER BY node_id, artifacts.name
                """, [uid]
            ).map { row in
                ArtifactRow(
                    nodeID: row[0], name: row[1],
                    location: try JSONValue(column: row[2], of: "artifacts", path: path), bytes: row[3],
                    sha256: row[4], createdAt: Timestamp(column: row[5]),
                    deletedAt: row.timestamp("deleted_at"))
            }
        }
    }

    /// Notes that an artifact's bytes are gone; the row stays, for lineage.
    package func markArtifactDeleted(_ uid: String, nodeID: NodeID, name: String, at now: Timestamp)
        async throws
    {
        try await write { database in
            try database.run(
                """
                UPDATE artifacts SET deleted_at = ?
                WHERE workflow = ? AND node_id = ? AND name = ? AND deleted_at IS NULL
                """, [now.nanoseconds, database.workflowKey(uid), nodeID, name])
        }
    }

    /// How many artifacts that are not deleted have these contents: at 0 the store may drop them.
    package func artifactReferences(sha256: String) async throws -> Int {
        try await read { database in
            let count = try database.integer(
                "SELECT count(*) FROM artifacts WHERE sha256 = ? AND deleted_at IS NULL", [sha256])
            return Int(count ?? 0)
        }
    }
}
