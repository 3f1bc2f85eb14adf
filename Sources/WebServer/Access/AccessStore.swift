// What access control keeps: tokens, of which only a hash is stored, and the audit log.

import Synchronization
import Text

/// A token, without the token itself.
struct AccessToken: Sendable, Hashable {
    var id: String
    /// For people: whose it is, or what for.
    var name: String
    /// SHA-256 of the token, in lowercase hexadecimal digits.
    var hash: String
    /// Roles by namespace; `*` stands for all.
    var roles: [String: Role]
    var createdAt: Timestamp
    var expiresAt: Timestamp?
    var revokedAt: Timestamp?
    var lastUsedAt: Timestamp?

    /// Whether it opens anything at that moment.
    func isValid(at now: Timestamp) -> Bool {
        revokedAt == nil && expiresAt.map { $0 > now } ?? true
    }
}

/// A line of the audit log. It holds no bodies and no secrets.
struct AuditEntry: Sendable, Hashable {
    /// Ascending; 0 until it is stored.
    var id: Int64 = 0
    var at: Timestamp
    /// The principal's name; `anonymous` for who showed no valid token.
    var who: String
    /// The operation of the route, such as `WorkflowService_DeleteWorkflow`.
    var what: String
    /// Empty where there is none.
    var namespace: String
    var target: String
    /// The client's address.
    var from: String
    /// The HTTP status of the answer.
    var status: Int
}

/// Where tokens and the audit log are kept.
protocol AccessStore: Sendable {
    /// The token with that hash, valid or not.
    func token(hash: String) async throws -> AccessToken?
    /// All tokens, the newest first; at most 10,000.
    func tokens() async throws -> [AccessToken]
    func insertToken(_ token: AccessToken) async throws
    /// - Returns: false if there is no such token. One that is revoked already stays as it is.
    func revokeToken(id: String, at moment: Timestamp) async throws -> Bool
    /// Notes that a token was used; called at most once a minute for each.
    func noteTokenUse(id: String, at moment: Timestamp) async throws
    /// Appends in order, in one transaction.
    func appendAudit(_ entries: [AuditEntry]) async throws
    /// Entries older than an id, the newest first; nil for the newest of all.
    func audit(before id: Int64?, limit: Int) async throws -> [AuditEntry]
}

/// Keeps them in memory: for tests, and where nothing is to be kept.
final class MemoryAccessStore: AccessStore {
    private struct State {
        var tokens: [AccessToken] = []
        var audit: [AuditEntry] = []
    }

    private let state = Mutex(State())

    func token(hash: String) -> AccessToken? { state.withLock { $0.tokens.first { $0.hash == hash } } }

    func tokens() -> [AccessToken] { state.withLock { $0.tokens.reversed() } }

    func insertToken(_ token: AccessToken) { state.withLock { $0.tokens.append(token) } }

    func revokeToken(id: String, at moment: Timestamp) -> Bool {
        state.withLock { state in
            guard let index = state.tokens.firstIndex(where: { $0.id == id }) else { return false }
            if state.tokens[index].revokedAt == nil { state.tokens[index].revokedAt = moment }
            return true
        }
    }

    func noteTokenUse(id: String, at moment: Timestamp) {
        state.withLock { state in
            guard let index = state.tokens.firstIndex(where: { $0.id == id }) else { return }
            state.tokens[index].lastUsedAt = moment
        }
    }

    func appendAudit(_ entries: [AuditEntry]) {
        state.withLock { state in
            for var entry in entries {
                entry.id = Int64(state.audit.count + 1)
                state.audit.append(entry)
            }
        }
    }

    func audit(before id: Int64?, limit: Int) -> [AuditEntry] {
        state.withLock { state in
            Array(state.audit.reversed().lazy.filter { $0.id < id ?? .max }.prefix(limit))
        }
    }
}
