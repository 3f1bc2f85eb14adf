// A token that the installation brings along in a file, as a mounted Secret of Kubernetes is one: a server that nobody
// could reach by hand before it runs needs one to begin with.

package import Persistence
package import Text

package enum BroughtToken {
    /// Whose it is in lists and in the audit log.
    package static let name = "admin-token-file"
    /// A file that is longer is no token's.
    package static let limitBytes = 1024

    /// Makes the token an admin's if it is not known yet, and revokes what the file had before. Doing it again
    /// changes nothing.
    /// - Parameters:
    ///   - contents: of the file; white space around the token does not count.
    ///   - path: for messages.
    /// - Throws: `TokenOrderError` when the file has no token, or one that somebody revoked.
    package static func admit(
        _ contents: [UInt8], from path: String, in store: Store, now: Timestamp
    ) async throws {
        let words = String(decoding: contents, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard contents.count <= limitBytes, words.count == 1, let text = words.first.map(String.init),
            TokenText.looksRight(text)
        else {
            throw TokenOrderError(
                "\(path) has no token, which is \(TokenText.prefix) and 40 letters or digits; "
                    + "`echo \(TokenText.prefix)$(LC_ALL=C tr -dc A-Za-z0-9 < /dev/urandom | head -c 40)` makes one"
            )
        }
        let hash = TokenText.hash(text)
        let current: String
        if let known = try await store.token(sha256: hash) {
            guard known.revokedAt == nil else {
                throw TokenOrderError(
                    "the token in \(path) was revoked as \(known.id); put another one into the file")
            }
            current = known.id
        } else {
            let order = try TokenOrder(name: name, roles: ["*": .admin], expiresAt: nil, now: now)
            current = try await order.create(text, in: store, now: now).id
            try await note("token create", current, in: store, at: now)
        }
        for old in try await store.tokens()
        where old.name == name && old.id != current && old.revokedAt == nil {
            try await store.revokeToken(old.id, at: now)
            try await note("token revoke", old.id, in: store, at: now)
        }
    }

    private static func note(_ what: String, _ id: String, in store: Store, at now: Timestamp) async throws {
        let row = AuditRow(
            at: now, who: name, what: what, namespace: "", target: "\(name) \(id)", source: "start", status: 0
        )
        try await store.appendAudit([row])
    }
}
