// Signing in and out, tokens, and the audit log, as `/api/martlet/v1` has them.

package import Text

struct AccessRoutes: RouteGroup {
    private static let auditPage = 100
    private static let largestAuditPage = 1_000
    private static let root = "/api/martlet/v1"

    let access: AccessControl
    let now: @Sendable () -> Timestamp

    var routes: [ServiceRoute] {
        [
            ServiceRoute(
                "GET", Self.root + "/session", "AccessService_GetSession", .open,
                summary: "Who is signed in, and whether that is needed.", answer: session),
            ServiceRoute(
                "POST", Self.root + "/session", "AccessService_SignIn", .open,
                summary: "Signs in with a token and sets the session's cookie.", bodyLimitBytes: 4_096,
                answer: signIn),
            ServiceRoute(
                "DELETE", Self.root + "/session", "AccessService_SignOut", .open,
                summary: "Ends the session of the cookie.", bodyLimitBytes: 4_096, answer: signOut),
            ServiceRoute(
                "GET", Self.root + "/tokens", "AccessService_ListTokens", .cluster(.admin),
                summary: "All tokens, without what opens anything.", answer: tokens),
            ServiceRoute(
                "POST", Self.root + "/tokens", "AccessService_CreateToken", .cluster(.admin),
                summary: "Makes a token; the answer is the only place where it is shown.",
                bodyLimitBytes: 64 << 10, answer: createToken),
            ServiceRoute(
                "DELETE", Self.root + "/tokens/{id}", "AccessService_RevokeToken", .cluster(.admin),
                summary: "Revokes a token at once.", bodyLimitBytes: 4_096, answer: revokeToken),
            ServiceRoute(
                "GET", Self.root + "/audit", "AccessService_ListAudit", .cluster(.admin),
                summary: "Who changed what, the newest first.", answer: audit),
        ]
    }

    // MARK: Sessions

    private func session(_ request: ServiceRequest) async throws -> HTTPReply {
        .json(sessionJSON(request.principal))
    }

    private func sessionJSON(_ principal: Principal) -> JSONValue {
        let isSignedIn = principal != .nobody
        return .object([
            "authRequired": .bool(access.mode == .token), "signedIn": .bool(isSignedIn),
            "name": isSignedIn ? .string(principal.name) : .null,
            "roles": .object(principal.roles.mapValues { .string($0.rawValue) }),
            "csrf": access.csrf(of: principal).map(JSONValue.string) ?? .null,
        ])
    }

    private func signIn(_ request: ServiceRequest) async throws -> HTTPReply {
        guard access.mode == .token else { return .json(sessionJSON(request.principal)) }
        guard let token = try await request.json()["token"]?.stringValue else {
            throw ServiceError.invalid("`token` is missing: a text that `martlet token create` printed")
        }
        let (id, principal) = try await access.signIn(token, request.call)
        request.note.target(principal.name)
        let age = Int(SessionTable.ageLimit.inSeconds)
        return .json(sessionJSON(principal), headers: [cookie(id, maxAgeSeconds: age)])
    }

    private func signOut(_ request: ServiceRequest) async throws -> HTTPReply {
        if let id = Cookies.value(SessionTable.cookie, in: request.call.headers["cookie"]) {
            access.sessions.end(hash: TokenText.hash(id))
        }
        return .json(.object([:]), headers: [cookie("", maxAgeSeconds: 0)])
    }

    private func cookie(_ value: String, maxAgeSeconds: Int) -> (name: String, value: String) {
        let secure = access.isSecure ? "; Secure" : ""
        return (
            "Set-Cookie",
            "\(SessionTable.cookie)=\(value); Path=/; Max-Age=\(maxAgeSeconds); HttpOnly; SameSite=Strict\(secure)"
        )
    }

    // MARK: Tokens

    private func tokens(_ request: ServiceRequest) async throws -> HTTPReply {
        let tokens = try await access.store.tokens()
        return .json(.object(["items": .array(tokens.map(\.json)), "next": .null]))
    }

    private func createToken(_ request: ServiceRequest) async throws -> HTTPReply {
        let order = try TokenOrder(try await request.json(), now: now())
        let (text, token) = order.token(now: now())
        try await access.store.insertToken(token)
        access.forgetTokens()
        request.note.target("\(token.name) \(token.id)")
        guard case .object(var members) = token.json else { throw ServiceError.internalError }
        members["token"] = .string(text)
        return .json(.object(members), status: 201)
    }

    private func revokeToken(_ request: ServiceRequest) async throws -> HTTPReply {
        guard try await access.store.revokeToken(id: request["id"], at: now()) else {
            throw ServiceError.notFound("there is no token with the id \"\(request["id"].shortened)\"")
        }
        access.forgetTokens()
        return .json(.object([:]))
    }

    // MARK: Audit

    private func audit(_ request: ServiceRequest) async throws -> HTTPReply {
        var before: Int64?
        if let text = request.query["after"], !text.isEmpty {
            guard let id = Int64(text) else {
                throw ServiceError.invalid("`after` must be the `next` of an earlier answer")
            }
            before = id
        }
        var limit = Self.auditPage
        if let text = request.query["limit"], !text.isEmpty {
            guard let number = Int(text), (1...Self.largestAuditPage).contains(number) else {
                throw ServiceError.invalid("`limit` must be a number from 1 to \(Self.largestAuditPage)")
            }
            limit = number
        }
        let entries = try await access.store.audit(before: before, limit: limit)
        let next = entries.count == limit ? entries.last.map { JSONValue.string("\($0.id)") } : nil
        return .json(.object(["items": .array(entries.map(\.json)), "next": next ?? .null]))
    }
}

/// What a new token shall be.
package struct TokenOrder: Sendable, Hashable {
    private static let longestName = 100

    package var name: String
    package var roles: [String: Role]
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
        guard !roles.isEmpty, roles.count <= 100 else {
            throw TokenOrderError("a token needs a role in 1 to 100 namespaces; `*` stands for all")
        }
        for namespace in roles.keys where namespace != "*" {
            let isName =
                !namespace.isEmpty && namespace.utf8.count <= 63
                && namespace.utf8.allSatisfy { byte in
                    PercentEncoding.isUnreserved(byte) && byte != UInt8(ascii: "~")
                }
            guard isName else {
                throw TokenOrderError(
                    "\"\(namespace.shortened)\" is no name of a namespace; `*` stands for all")
            }
        }
        if let expiresAt, expiresAt <= now { throw TokenOrderError("the token would have expired already") }
        self.name = name
        self.roles = roles
        self.expiresAt = expiresAt
    }

    /// `{name, roles: {namespace: role}, expiresAt | ttlSeconds}`.
    init(_ json: JSONValue, now: Timestamp) throws {
        guard let name = json["name"]?.stringValue else {
            throw ServiceError.invalid("`name` is missing: who or what will use the token")
        }
        guard let words = json["roles"]?.objectValue else {
            throw ServiceError.invalid("`roles` is missing: an object such as {\"default\": \"editor\"}")
        }
        var roles: [String: Role] = [:]
        for (namespace, word) in words {
            guard let role = word.stringValue.flatMap(Role.init(rawValue:)) else {
                throw ServiceError.invalid(
                    "the role in \"\(namespace.shortened)\" must be viewer, editor or admin")
            }
            roles[namespace] = role
        }
        do {
            try self.init(name: name, roles: roles, expiresAt: try Self.expiry(json, now: now), now: now)
        } catch let error as TokenOrderError {
            throw ServiceError.invalid(error.description)
        }
    }

    private static func expiry(_ json: JSONValue, now: Timestamp) throws -> Timestamp? {
        if let text = json["expiresAt"], !text.isNull {
            guard let moment = text.stringValue.flatMap(Timestamp.init(rfc3339:)) else {
                throw ServiceError.invalid("`expiresAt` must be a time such as 2027-01-31T12:00:00Z")
            }
            return moment
        }
        guard let number = json["ttlSeconds"], !number.isNull else { return nil }
        let longest = 100.0 * 366 * 86_400
        guard let seconds = number.doubleValue, seconds > 0, seconds <= longest else {
            throw ServiceError.invalid("`ttlSeconds` must be a number above 0, of at most 100 years")
        }
        return now + .milliseconds(Int64(seconds * 1_000))
    }

    /// A new token, and what of it is stored.
    func token(now: Timestamp) -> (text: String, token: AccessToken) {
        let text = TokenText.make()
        let hash = TokenText.hash(text)
        // The id says nothing of the token beyond what finding its hash would.
        let id = String(TokenText.hash("id " + hash).prefix(16))
        return (
            text,
            AccessToken(id: id, name: name, hash: hash, roles: roles, createdAt: now, expiresAt: expiresAt)
        )
    }
}

/// Why a token cannot be made so, in words for people.
package struct TokenOrderError: Error, Sendable, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }
}

extension AccessToken {
    /// Without the hash, which nobody needs.
    var json: JSONValue {
        func text(_ moment: Timestamp?) -> JSONValue {
            moment.map { .string($0.rfc3339Milliseconds) } ?? .null
        }
        return .object([
            "id": .string(id), "name": .string(name),
            "roles": .object(roles.mapValues { .string($0.rawValue) }), "createdAt": text(createdAt),
            "expiresAt": text(expiresAt), "lastUsedAt": text(lastUsedAt), "revokedAt": text(revokedAt),
        ])
    }
}

extension AuditEntry {
    var json: JSONValue {
        .object([
            "id": .string("\(id)"), "at": .string(at.rfc3339Milliseconds), "who": .string(who),
            "what": .string(what), "namespace": .string(namespace), "target": .string(target),
            "from": .string(from), "status": .int(status),
        ])
    }
}

extension Timestamp {
    /// As the service's own API writes times: `2026-11-21T22:01:02.345Z`.
    var rfc3339Milliseconds: String {
        let milliseconds = String(nanoseconds.flooredRemainder(by: 1_000_000_000) / 1_000_000)
        let fraction = String(repeating: "0", count: 3 - milliseconds.count) + milliseconds
        return rfc3339.dropLast() + ".\(fraction)Z"
    }
}

extension Int64 {
    fileprivate func flooredRemainder(by divisor: Int64) -> Int64 { (self % divisor + divisor) % divisor }
}
