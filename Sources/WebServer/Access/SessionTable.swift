// The sessions of browsers that have signed in on the page. The database keeps them, so that nobody signs in again
// because the server was started anew; of what opens them it has hashes only.

import Persistence
import Synchronization
import Text

/// A signed-in browser.
struct PageSession: Sendable, Hashable {
    /// The hash of the token it was opened with: it ends with that token.
    var tokenHash: String
    var beganAt: Timestamp
    var usedAt: Timestamp
    /// The last use that the database knows of.
    fileprivate var savedUse: Timestamp
}

/// The sessions by the hash of their id, which only the browser's cookie holds.
final class SessionTable: Sendable {
    static let cookie = "martlet_session"
    /// Without a request for so long a session ends.
    static let idleLimit = Duration.seconds(12 * 3_600)
    /// However much it is used, it ends after this.
    static let ageLimit = Duration.seconds(7 * 86_400)
    /// The database learns of a use when it is this much later than what it knows: after a restart a session may
    /// end so much too early.
    static let savePrecision = Duration.seconds(600)
    /// The names under which the database has them.
    private static let settingPrefix = "session."

    private struct State {
        var sessions: [String: PageSession] = [:]
        /// Whether what the database has is here, too.
        var isLoaded = false
    }

    private let store: Store
    /// Beyond this many the one that was not used for the longest time ends.
    private let limit: Int
    private let state = Mutex(State())

    init(store: Store, limit: Int = 10_000) {
        self.store = store
        self.limit = limit
    }

    /// Begins a session.
    /// - Returns: its id, for the cookie.
    func begin(tokenHash: String, at now: Timestamp) async throws -> String {
        try await load(at: now)
        let id = TokenText.make()
        let session = PageSession(tokenHash: tokenHash, beganAt: now, usedAt: now, savedUse: now)
        let hash = TokenText.hash(id)
        let ended = state.withLock { state in
            var ended: [String] = []
            if state.sessions.count >= limit {
                ended = state.sessions.filter { Self.isOver($0.value, at: now) }.map(\.key)
            }
            if state.sessions.count - ended.count >= limit,
                let oldest = state.sessions.min(by: { $0.value.usedAt < $1.value.usedAt })
            {
                ended.append(oldest.key)
            }
            for hash in ended { state.sessions[hash] = nil }
            state.sessions[hash] = session
            return ended
        }
        for hash in ended { try await store.setSetting(Self.settingPrefix + hash, nil) }
        try await store.setSetting(Self.settingPrefix + hash, session.json)
        return id
    }

    /// The session of a cookie, if it goes on.
    func session(hash: String, at now: Timestamp) async throws -> PageSession? {
        try await load(at: now)
        enum Change { case none, used, ended }
        let (found, change) = state.withLock { state -> (PageSession?, Change) in
            guard var session = state.sessions[hash] else { return (nil, .none) }
            if Self.isOver(session, at: now) {
                state.sessions[hash] = nil
                return (nil, .ended)
            }
            session.usedAt = max(session.usedAt, now)
            let isDue = session.usedAt - session.savedUse >= Self.savePrecision
            if isDue { session.savedUse = session.usedAt }
            state.sessions[hash] = session
            return (session, isDue ? .used : .none)
        }
        if change != .none { try await store.setSetting(Self.settingPrefix + hash, found?.json) }
        return found
    }

    /// Whether a session that was used before goes on; asking does not count as use.
    func goesOn(hash: String, at now: Timestamp) -> PageSession? {
        state.withLock { $0.sessions[hash] }.flatMap { Self.isOver($0, at: now) ? nil : $0 }
    }

    func end(hash: String, at now: Timestamp) async throws {
        try await load(at: now)
        guard state.withLock({ $0.sessions.removeValue(forKey: hash) }) != nil else { return }
        try await store.setSetting(Self.settingPrefix + hash, nil)
    }

    var count: Int { state.withLock { $0.sessions.count } }

    /// Reads what an earlier server has kept, once.
    private func load(at now: Timestamp) async throws {
        if state.withLock({ $0.isLoaded }) { return }
        let kept = try await store.settings(prefix: Self.settingPrefix)
        let isFirst = state.withLock { state in
            // Of two who read at a time the first counts: what the second has read may have been ended by now.
            guard !state.isLoaded else { return false }
            for (key, value) in kept {
                guard let session = PageSession(value), !Self.isOver(session, at: now) else { continue }
                state.sessions[String(key.dropFirst(Self.settingPrefix.count))] = session
            }
            state.isLoaded = true
            return true
        }
        guard isFirst else { return }
        for (key, value) in kept where PageSession(value).map({ Self.isOver($0, at: now) }) ?? true {
            try await store.setSetting(key, nil)
        }
    }

    private static func isOver(_ session: PageSession, at now: Timestamp) -> Bool {
        now - session.usedAt > idleLimit || now - session.beganAt > ageLimit
    }
}

extension PageSession {
    fileprivate init?(_ json: JSONValue) {
        guard let token = json["token"]?.stringValue, let began = json["began"]?.intValue,
            let used = json["used"]?.intValue
        else { return nil }
        let usedAt = Timestamp(nanoseconds: Int64(used))
        self.init(
            tokenHash: token, beganAt: Timestamp(nanoseconds: Int64(began)), usedAt: usedAt, savedUse: usedAt)
    }

    fileprivate var json: JSONValue {
        .object([
            "token": .string(tokenHash), "began": .int(Int(beganAt.nanoseconds)),
            "used": .int(Int(usedAt.nanoseconds)),
        ])
    }
}
