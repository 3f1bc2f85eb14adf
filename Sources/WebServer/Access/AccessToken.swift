// Tokens as the service sees them, and the making of new ones.

package import Persistence
package import Text

/// A token that was shown, without the token itself.
struct AccessToken: Sendable, Hashable {
    var id: String
    /// For people: whose it is, or what for.
    var name: String
    /// SHA-256 of the token, in lowercase hexadecimal digits.
    var hash: String
    /// Roles by namespace; `*` stands for all. What is no role that this program knows gives no rights.
    var roles: [String: Role]
    var expiresAt: Timestamp?
    var revokedAt: Timestamp?

    init(_ row: TokenRow, hash: String) {
        id = row.id
        name = row.name
        self.hash = hash
        roles = row.roles.compactMapValues(Role.init(rawValue:))
        expiresAt = row.expiresAt
        revokedAt = row.revokedAt
    }

    /// Whether it opens anything at that moment.
    func isValid(at now: Timestamp) -> Bool { revokedAt == nil && expiresAt.map { $0 > now } ?? true }
}

/// What a new token shall be.
package struct TokenOrder: Sendable, Hashable {
    private static let longestName = 100
    private static let namespaceLimit = 100

    package var name: String
    package var roles: [String: Role]
    /// nil for never.
    package var expiresAt: Timestamp?

    /// - Throws: `TokenOrderError` for a name or a namespace that cannot be one, or a moment that is over.
    package init(
        name: String, roles: [String: Role], expiresAt: Timestamp?, now: Timestamp
    ) throws(TokenOrderError) {
        guard !name.isEmpty, name.utf8.count <= Self.longestName,
            name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else {
            throw TokenOrderError(
                "a token's name has 1 to \(Self.longestName) bytes without control characters: who or what uses it"
            )
        }
        guard !roles.isEmpty, roles.count <= Self.namespaceLimit else {
            throw TokenOrderError(
                "a token needs a role in 1 to \(Self.namespaceLimit) namespaces; `*` stands for all")
        }
        for namespace in roles.keys where namespace != "*" && !Self.isNamespace(namespace) {
            throw TokenOrderError("\"\(namespace.shortened)\" is no name of a namespace; `*` stands for all")
        }
        if let expiresAt, expiresAt <= now { throw TokenOrderError("the token would have expired already") }
        self.name = name
        self.roles = roles
        self.expiresAt = expiresAt
    }

    /// Kubernetes' names, and the dots and capitals that local ones may have.
    private static func isNamespace(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 63 && name != "." && name != ".."
            && name.utf8.allSatisfy { PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: "~") }
    }

    /// Makes the token and stores its hash.
    /// - Returns: the token, which cannot be had again, and what is stored of it.
    package func create(in store: Store, now: Timestamp) async throws -> (text: String, row: TokenRow) {
        let text = TokenText.make()
        return (text, try await create(text, in: store, now: now))
    }

    /// Stores the hash of a token that was made elsewhere.
    func create(_ text: String, in store: Store, now: Timestamp) async throws -> TokenRow {
        let hash = TokenText.hash(text)
        // The id says nothing of the token beyond what finding its hash would.
        let id = String(TokenText.hash("id " + hash).prefix(16))
        let row = TokenRow(
            id: id, name: name, roles: roles.mapValues(\.rawValue), createdAt: now, expiresAt: expiresAt)
        try await store.insertToken(row, sha256: hash)
        return row
    }
}

/// Why a token cannot be made so, in words for people.
package struct TokenOrderError: Error, Sendable, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }
}
