// The sessions of browsers that have signed in on the page. They live in memory: after a restart of the server
// everyone signs in again.

import Synchronization
import Text

/// A signed-in browser.
struct PageSession: Sendable, Hashable {
    /// The hash of the token it was opened with: it ends with that token.
    var tokenHash: String
    /// What writes must send in the header `X-Martlet-CSRF`.
    var csrf: String
    var beganAt: Timestamp
    var usedAt: Timestamp
}

/// The sessions by the hash of their id, which only the browser's cookie holds.
final class SessionTable: Sendable {
    static let cookie = "martlet_session"
    /// Without a request for so long a session ends.
    static let idleLimit = Duration.seconds(12 * 3_600)
    /// However much it is used, it ends after this.
    static let ageLimit = Duration.seconds(7 * 86_400)
    /// Beyond this many the one that was not used for the longest time ends.
    private let limit: Int

    private let sessions = Mutex<[String: PageSession]>([:])

    init(limit: Int = 10_000) { self.limit = limit }

    /// Begins a session.
    /// - Returns: its id, for the cookie.
    func begin(tokenHash: String, at now: Timestamp) -> (id: String, session: PageSession) {
        let id = TokenText.make()
        let session = PageSession(tokenHash: tokenHash, csrf: TokenText.make(), beganAt: now, usedAt: now)
        let hash = TokenText.hash(id)
        sessions.withLock { sessions in
            if sessions.count >= limit {
                sessions = sessions.filter { !Self.isOver($0.value, at: now) }
            }
            if sessions.count >= limit, let oldest = sessions.min(by: { $0.value.usedAt < $1.value.usedAt }) {
                sessions[oldest.key] = nil
            }
            sessions[hash] = session
        }
        return (id, session)
    }

    /// The session of a cookie, if it goes on.
    func session(hash: String, at now: Timestamp) -> PageSession? {
        sessions.withLock { sessions in
            guard var session = sessions[hash] else { return nil }
            if Self.isOver(session, at: now) {
                sessions[hash] = nil
                return nil
            }
            session.usedAt = max(session.usedAt, now)
            sessions[hash] = session
            return session
        }
    }

    /// Whether a session goes on; asking does not count as use.
    func goesOn(hash: String, at now: Timestamp) -> PageSession? {
        sessions.withLock { $0[hash] }.flatMap { Self.isOver($0, at: now) ? nil : $0 }
    }

    func end(hash: String) { sessions.withLock { $0[hash] = nil } }

    var count: Int { sessions.withLock { $0.count } }

    private static func isOver(_ session: PageSession, at now: Timestamp) -> Bool {
        now - session.usedAt > idleLimit || now - session.beganAt > ageLimit
    }
}
