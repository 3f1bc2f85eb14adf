// Signing in and out, tokens, and the audit log, as `/api/martlet/v1` has them.

import Persistence
import Text

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
            try await access.sessions.end(hash: TokenText.hash(id), at: now())
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
        let (text, token) = try await order.create(in: access.store, now: now())
        access.forgetTokens()
        request.note.target("\(token.name) \(token.id)")
        guard case .object(var members) = token.json else { throw ServiceError.internalError }
        members["token"] = .string(text)
        return .json(.object(members), status: 201)
    }

    private func revokeToken(_ request: ServiceRequest) async throws -> HTTPReply {
        guard try await access.store.revokeToken(request["id"], at: now()) else {
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

extension TokenOrder {
    /// As it is asked for: `{name, roles: {namespace: role}, expiresAt | ttlSeconds}`.
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
}

extension TokenRow {
    fileprivate var json: JSONValue {
        func text(_ moment: Timestamp?) -> JSONValue {
            moment.map { .string($0.rfc3339Milliseconds) } ?? .null
        }
        return .object([
            "id": .string(id), "name": .string(name), "roles": .object(roles.mapValues { .string($0) }),
            "createdAt": text(createdAt), "expiresAt": text(expiresAt), "lastUsedAt": text(lastUsedAt),
            "revokedAt": text(revokedAt),
        ])
    }
}

extension AuditRow {
    fileprivate var json: JSONValue {
        .object([
            "id": .string("\(id)"), "at": .string(at.rfc3339Milliseconds), "who": .string(who),
            "what": .string(what),
            "namespace": .string(namespace), "target": .string(target), "from": .string(source),
            "status": .int(status),
        ])
    }
}
