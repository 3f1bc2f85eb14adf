// Access tokens: who may do what. The database knows only their hashes.

import GRDB
package import Text

/// A token without the token.
package struct TokenRow: Sendable, Hashable {
    package var id: String
    /// For people; several tokens may have the same.
    package var name: String
    /// Role by namespace; `*` stands for all.
    package var roles: [String: String]
    package var createdAt: Timestamp
    /// nil for never.
    package var expiresAt: Timestamp?
    package var revokedAt: Timestamp?
    /// To the minute.
    package var lastUsedAt: Timestamp?

    package init(
        id: String, name: String, roles: [String: String], createdAt: Timestamp, expiresAt: Timestamp? = nil,
        revokedAt: Timestamp? = nil, lastUsedAt: Timestamp? = nil
    ) {
        self.id = id
        self.name = name
        self.roles = roles
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.lastUsedAt = lastUsedAt
    }
}

extension Store {
    /// Tokens that one database holds, revoked ones included.
    static let tokenLimit: Int64 = 10_000
    /// How old the note of a token's last use may be.
    static let tokenUsePrecisionNanoseconds: Int64 = 60_000_000_000

    /// Stores a new token.
    /// - Parameter sha256: of the token's text, 64 hexadecimal digits.
    /// - Throws: `StoreError.nameTaken` if the id or the hash is there already; `invalid` at 10,000 tokens.
    package func insertToken(_ token: TokenRow, sha256: String) async throws {
        let roles = JSONValue(labels: token.roles).compactText
        try await write { database in
            guard try database.integer("SELECT count(*) FROM tokens", []) ?? 0 < Self.tokenLimit else {
                throw StoreError.invalid(
                    detail: "there are \(Self.tokenLimit) tokens already; delete revoked ones first")
            }
            let taken = try database.integer(
                "SELECT 1 FROM tokens WHERE id = ? OR sha256 = ?", [token.id, sha256])
            guard taken == nil else {
                throw StoreError.nameTaken(kind: "token", namespace: "", name: token.id)
            }
            try database.run(
                """
                INSERT INTO tokens (id, name, sha256, roles, created_at, expires_at, revoked_at, last_used_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    token.id, token.name, sha256, roles, token.createdAt.nanoseconds,
                    token.expiresAt?.nanoseconds, token.revokedAt?.nanoseconds, token.lastUsedAt?.nanoseconds,
                ])
        }
    }

    /// The token of a hash, expired and revoked ones too: whoever asks looks at that.
    package func token(sha256: String) async throws -> TokenRow? {
        let path = path
        return try await read { database in
            try database.row("SELECT \(TokenRow.columns) FROM tokens WHERE sha256 = ?", [sha256])
                .map { try TokenRow(row: $0, path: path) }
        }
    }

    /// The token of an id, expired and revoked ones too.
    package func token(id: String) async throws -> TokenRow? {
        let path = path
        return try await read { database in
            try database.row("SELECT \(TokenRow.columns) FROM tokens WHERE id = ?", [id])
                .map { try TokenRow(row: $0, path: path) }
        }
    }

    /// All tokens, newest first.
    package func tokens() async throws -> [TokenRow] {
        let path = path
        return try await read { database in
            try database.rows("SELECT \(TokenRow.columns) FROM tokens ORDER BY created_at DESC, id", [])
                .map { try TokenRow(row: $0, path: path) }
        }
    }

    /// Whether any token can be used at a moment.
    package func hasUsableToken(at now: Timestamp) async throws -> Bool {
        try await read { database in
            try database.integer(
                """
                SELECT 1 FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)
                LIMIT 1
                """, [now.nanoseconds]) != nil
        }
    }

    /// Makes a token worthless; doing it again keeps the first moment.
    /// - Returns: whether there is such a token.
    @discardableResult
    package func revokeToken(_ id: String, at now: Timestamp) async throws -> Bool {
        try await write { database in
            try database.run(
                "UPDATE tokens SET revoked_at = ifnull(revoked_at, ?) WHERE id = ?", [now.nanoseconds, id])
            return database.changesCount > 0
        }
    }

    /// Takes a token out of the list; the audit log keeps its name.
    @discardableResult
    package func deleteToken(_ id: String) async throws -> Bool {
        try await write { database in
            try database.run("DELETE FROM tokens WHERE id = ?", [id])
            return database.changesCount > 0
        }
    }

    /// Notes that a token was used. Writes once a minute at most, and otherwise only reads.
    package func noteTokenUse(_ id: String, at now: Timestamp) async throws {
        let before = now.nanoseconds - Self.tokenUsePrecisionNanoseconds
        let isDue = try await read { database in
            try database.integer(
                "SELECT 1 FROM tokens WHERE id = ? AND ifnull(last_used_at <= ?, 1)", [id, before]) != nil
        }
        guard isDue else { return }
        try await writeTogether { database in
            try database.run(
                "UPDATE tokens SET last_used_at = max(ifnull(last_used_at, 0), ?) WHERE id = ?",
                [now.nanoseconds, id])
        }
    }
}

extension TokenRow {
    fileprivate static let columns = "id, name, roles, created_at, expires_at, revoked_at, last_used_at"

    fileprivate init(row: Row, path: String) throws {
        self.init(
            id: row[0], name: row[1],
            roles: try JSONValue(column: row[2], of: "tokens", path: path).textMembers,
            createdAt: row.moment("created_at"), expiresAt: row.timestamp("expires_at"),
            revokedAt: row.timestamp("revoked_at"), lastUsedAt: row.timestamp("last_used_at"))
    }
}
