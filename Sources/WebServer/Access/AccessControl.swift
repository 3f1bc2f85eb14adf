// Who asks: turns the headers of a request into a principal, and decides by a route's access whether it may go on.
// This is the one place where that is decided.

import Logging
import Persistence
import Synchronization
import Text

/// Looks at tokens, sessions and origins.
final class AccessControl: Sendable {
    enum Mode: Sendable, Hashable {
        /// Everyone is an administrator: a loopback address without `--auth token`, or `--auth none`.
        case open
        /// A token is asked for.
        case token
    }

    /// A revoked token opens nothing after this.
    static let cacheSpan = Duration.seconds(1)
    private static let cacheLimit = 1_000
    private static let useNoteSpan = Duration.seconds(60)
    /// Argo's clients may send their token by this cookie.
    static let argoCookie = "authorization"
    static let csrfHeader = "x-martlet-csrf"

    private struct Cached {
        var token: AccessToken?
        var readAt: Timestamp
    }

    let mode: Mode
    let store: Store
    let sessions: SessionTable
    let isSecure: Bool
    private let limiter = AttemptLimiter()
    /// Answers to wrong tokens that wait at a time.
    private let pauses = RequestGate(limit: 64)
    private let origins: OriginCheck
    private let surroundings: ServerSurroundings
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let cache = Mutex<[String: Cached]>([:])
    private let usesNoted = Mutex<[String: Timestamp]>([:])

    init(
        mode: Mode, store: Store, origins: OriginCheck, isSecure: Bool,
        surroundings: ServerSurroundings, now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.mode = mode
        self.store = store
        sessions = SessionTable(store: store)
        self.origins = origins
        self.isSecure = isSecure
        self.surroundings = surroundings
        self.now = now
        self.logger = logger
    }

    // MARK: Deciding

    /// Refuses pages of other origins, and hosts that are not this one, before anything else is looked at.
    func checkOrigin(_ call: HTTPCall) throws(ServiceError) {
        try origins.check(
            origin: call.headers["origin"], host: call.headers["host"],
            showsToken: mode == .token && call.headers["authorization"] != nil)
    }

    /// Decides from a route's access alone, before the body is read.
    /// - Parameter found: told who it is before anything is decided, so that a refusal can be written down with a name.
    /// - Returns: the principal; for an open route whoever it is, or one without any rights.
    func admit(_ call: HTTPCall, _ match: ServiceRouter.Match, found: (Principal) -> Void) async throws
        -> Principal
    {
        let route = match.route
        let principal: Principal?
        do {
            principal = try await self.principal(of: call)
        } catch let error as ServiceError where route.access == .open && error.status != 500 {
            principal = nil
        }
        if route.access == .open { return principal ?? .nobody }
        guard let principal else { throw Self.unauthenticated("this needs a token") }
        found(principal)
        try Self.check(principal, route, namespace: match.parameters["namespace"] ?? "")
        if principal.usesCookie, !Self.isSafe(call.method) { try checkCSRF(call, principal) }
        return principal
    }

    /// - Throws: 403, or 404 for a namespace that the principal may not even see.
    static func check(_ principal: Principal, _ route: ServiceRoute, namespace: String) throws(ServiceError) {
        switch route.access {
        case .open, .signedIn: return
        case .namespaced(let role):
            guard namespace.isEmpty else {
                return try ServiceRequest.require(role, of: principal, in: namespace)
            }
            if route.isWrite { throw .invalid("the path names no namespace") }
        case .run(let role):
            guard principal.mayAnywhere(role) else {
                throw .forbidden("this needs the role \(role.rawValue), which \(principal.name) has nowhere")
            }
        case .cluster(let role):
            guard principal.mayEverywhere(role) else {
                throw .forbidden(
                    "this needs the role \(role.rawValue) in all namespaces; \(principal.name) has not got it"
                )
            }
        }
    }

    static func isSafe(_ method: String) -> Bool { ["GET", "HEAD", "OPTIONS"].contains(method) }

    private func checkCSRF(_ call: HTTPCall, _ principal: Principal) throws(ServiceError) {
        guard let wanted = csrf(of: principal), let given = call.headers[Self.csrfHeader],
            TokenText.areEqual(wanted, given)
        else {
            throw .forbidden(
                "changes by cookie need the header X-Martlet-CSRF with the value `csrf` of "
                    + "GET /api/martlet/v1/session; programs send their token as `Authorization: Bearer` instead"
            )
        }
    }

    /// What a principal that came by cookie must send with writes; nil for others.
    func csrf(of principal: Principal) -> String? {
        guard principal.usesCookie else { return nil }
        switch principal.proof {
        // Whoever can make this value knows the session or the token.
        case .session(let hash), .token(let hash): return TokenText.hash("csrf " + hash)
        case .none: return nil
        }
    }

    static func unauthenticated(_ message: String) -> ServiceError {
        var error = ServiceError.unauthenticated(
            message + "; send the header `Authorization: Bearer TOKEN`, or sign in on the page "
                + "(`martlet token create` makes one)")
        error.headers = [("WWW-Authenticate", "Bearer realm=\"martlet\"")]
        return error
    }

    // MARK: Principals

    /// - Returns: nil for who shows nothing.
    /// - Throws: 401 for a token that is wrong, expired or revoked, 429 after too many of them.
    func principal(of call: HTTPCall) async throws -> Principal? {
        if mode == .open { return .local }
        if let header = call.headers["authorization"], !header.isEmpty {
            return try await principal(ofToken: TokenText.token(inHeader: header), call)
        }
        let cookies = call.headers["cookie"]
        if let id = Cookies.value(SessionTable.cookie, in: cookies), let found = try await session(id: id) {
            return found
        }
        guard let header = Cookies.value(Self.argoCookie, in: cookies), !header.isEmpty else { return nil }
        var principal = try await principal(ofToken: TokenText.token(inHeader: header), call)
        principal.usesCookie = true
        return principal
    }

    private func session(id: String) async throws -> Principal? {
        guard TokenText.looksRight(id) else { return nil }
        let hash = TokenText.hash(id)
        guard let session = try await sessions.session(hash: hash, at: now()) else { return nil }
        guard let token = try await token(hash: session.tokenHash), token.isValid(at: now()) else {
            try await sessions.end(hash: hash, at: now())
            return nil
        }
        return Principal(
            name: token.name, roles: token.roles, usesCookie: true, proof: .session(hash: hash))
    }

    private func principal(ofToken text: String?, _ call: HTTPCall) async throws -> Principal {
        guard let token = try await validToken(text) else { throw await wrongToken(call) }
        await noteUse(of: token)
        return Principal(name: token.name, roles: token.roles, proof: .token(hash: token.hash))
    }

    /// The token of a text, if it opens anything now.
    private func validToken(_ text: String?) async throws -> AccessToken? {
        guard let text, TokenText.looksRight(text) else { return nil }
        let hash = TokenText.hash(text)
        guard let token = try await token(hash: hash), TokenText.areEqual(token.hash, hash) else {
            return nil
        }
        return token.isValid(at: now()) ? token : nil
    }

    /// Opens a session for a token.
    /// - Returns: the session's id, for the cookie; nil for a wrong token, whose answer has been slowed then.
    func signIn(_ text: String, _ call: HTTPCall) async throws -> (id: String, principal: Principal) {
        guard let token = try await validToken(text.trimmedOfBlanks) else { throw await wrongToken(call) }
        await noteUse(of: token)
        let id = try await sessions.begin(tokenHash: token.hash, at: now())
        let proof = Principal.Proof.session(hash: TokenText.hash(id))
        return (id, Principal(name: token.name, roles: token.roles, usesCookie: true, proof: proof))
    }

    /// What to answer to a wrong token, after a pause that grows with the attempts of its address.
    private func wrongToken(_ call: HTTPCall) async -> ServiceError {
        switch limiter.failed(call.peer, at: now()) {
        case .refuse(let seconds):
            var error = ServiceError.exhausted(
                "too many wrong tokens came from your address; wait \(seconds) seconds")
            error.headers = [("Retry-After", "\(seconds)")]
            return error
        case .pause(let span):
            // Who cannot wait for want of a place is answered at once: waiting must not use up all places.
            if let slot = pauses.enter() {
                try? await surroundings.sleep(span)
                withExtendedLifetime(slot) {}
            }
            return Self.unauthenticated("the token is not valid: it is unknown, has expired, or was revoked")
        }
    }

    /// Whether a principal may still do what it could: its token is valid, its session goes on.
    func stillCounts(_ principal: Principal) async -> Bool {
        do {
            switch principal.proof {
            case .none: return true
            case .token(let hash):
                let token = try await token(hash: hash)
                return token.map { $0.isValid(at: now()) && $0.roles == principal.roles } ?? false
            case .session(let hash):
                guard let session = sessions.goesOn(hash: hash, at: now()) else { return false }
                return try await token(hash: session.tokenHash)?.isValid(at: now()) ?? false
            }
        } catch {
            // A database that does not answer for a moment is no reason to end what was allowed.
            return true
        }
    }

    // MARK: The store

    /// Forgets what is known of tokens, so that a change of this process counts at once.
    func forgetTokens() { cache.withLock { $0 = [:] } }

    private func token(hash: String) async throws -> AccessToken? {
        let moment = now()
        if let known = cache.withLock({ $0[hash] }), moment - known.readAt < Self.cacheSpan,
            known.readAt <= moment
        {
            return known.token
        }
        let token = try await store.token(sha256: hash).map { AccessToken($0, hash: hash) }
        cache.withLock { cache in
            if cache.count >= Self.cacheLimit { cache = [:] }
            cache[hash] = Cached(token: token, readAt: moment)
        }
        return token
    }

    private func noteUse(of token: AccessToken) async {
        let moment = now()
        let isDue = usesNoted.withLock { noted in
            if let last = noted[token.id], moment - last < Self.useNoteSpan {
                return false
            }
            if noted.count >= Self.cacheLimit { noted = [:] }
            noted[token.id] = moment
            return true
        }
        guard isDue else { return }
        do {
            try await store.noteTokenUse(token.id, at: moment)
        } catch {
            logger.warning("use of a token not noted", metadata: ["cause": "\(error)"])
        }
    }
}

extension Principal {
    /// Who asks an open route without showing anything.
    static let nobody = Principal(name: "anonymous", roles: [:])
}

extension String {
    /// Without blanks and line ends around it, as they come along when a token is copied.
    var trimmedOfBlanks: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
        return String(drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
