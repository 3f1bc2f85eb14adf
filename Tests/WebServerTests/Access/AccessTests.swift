// Tokens, sessions, origins and the audit log, as requests meet them.

import Persistence
import Testing
import Text

@testable import WebServer

@Suite("Access to the service")
struct AccessTests {
    private static let session = "/api/martlet/v1/session"
    private static let tokens = "/api/martlet/v1/tokens"

    /// A service on another address than loopback, where tokens are asked for.
    private static func guarded(_ clock: StandingClock = StandingClock()) throws -> ServiceHarness {
        try ServiceHarness(clock: clock, configure: { $0.authentication = .token })
    }

    @Test("A token opens the service until it expires or is revoked, and not a second longer")
    func tokenLife() async throws {
        let clock = StandingClock()
        let service = try Self.guarded(clock)
        #expect(try await service.get(Self.tokens).status == 401)
        #expect(try await service.get(Self.tokens, token: TokenText.make()).status == 401)
        #expect(try await service.get(Self.tokens, token: "mrt_short").status == 401)
        let token = try await service.token(["*": .admin], ttl: .seconds(60))
        #expect(try await service.get(Self.tokens, token: token).status == 200)
        clock.advance(.seconds(60))
        #expect(try await service.get(Self.tokens, token: token).status == 401)

        let second = try await service.token(["*": .admin])
        #expect(try await service.get(Self.tokens, token: second).status == 200)
        let id = try #require(try await service.store.token(sha256: TokenText.hash(second))?.id)
        // Revoked by another process: nothing tells this one.
        try await service.store.revokeToken(id, at: clock.now)
        clock.advance(AccessControl.cacheSpan)
        #expect(try await service.get(Self.tokens, token: second).status == 401)
    }

    @Test("A token that is revoked by a request opens nothing afterwards, nor does its session")
    func revoking() async throws {
        let service = try Self.guarded()
        let admin = try await service.token(["*": .admin])
        let made = try await service.send(
            "POST", Self.tokens, ["name": "ci", "roles": ["default": "editor"], "ttlSeconds": 3600],
            token: admin)
        #expect(made.status == 201)
        let token = try #require(made.json["token"]?.stringValue)
        let id = try #require(made.json["id"]?.stringValue)
        let signedIn = try await service.send("POST", Self.session, ["token": .string(token)])
        let cookie = try #require(
            signedIn.headers["set-cookie"]?.split(separator: ";").first.map(String.init))
        #expect(try await service.get(Self.session, headers: ["cookie": cookie]).json["signedIn"] == true)
        #expect(try await service.send("DELETE", "\(Self.tokens)/\(id)", token: admin).status == 200)
        #expect(try await service.get(Self.session, headers: ["cookie": cookie]).json["signedIn"] == false)
        #expect(try await service.get("/api/v1/info", token: token).status == 401)
        #expect(try await service.send("DELETE", "\(Self.tokens)/nobody", token: admin).status == 404)
    }

    @Test("Neither lists nor the database show what opens anything")
    func secrecy() async throws {
        let service = try Self.guarded()
        let admin = try await service.token(["*": .admin])
        let list = try await service.get(Self.tokens, token: admin)
        #expect(!list.text.contains(admin.dropFirst(4)))
        #expect(!list.text.contains(TokenText.hash(admin)))
        let row = try #require(try await service.store.tokens().first)
        #expect(!"\(row)".contains(admin.dropFirst(4)))
    }

    @Test("The page's cookie is for this site only, and changes need the session's word")
    func cookies() async throws {
        let service = try Self.guarded()
        let token = try await service.token(["*": .admin], name: "alice")
        #expect(try await service.send("POST", Self.session, ["token": "wrong"]).status == 401)
        let signedIn = try await service.send("POST", Self.session, ["token": .string(" \(token)\n")])
        #expect(signedIn.status == 200)
        let attributes = try #require(signedIn.headers["set-cookie"])
        for word in ["HttpOnly", "SameSite=Strict", "Path=/"] { #expect(attributes.contains(word)) }
        #expect(!attributes.contains(token))
        let csrf = try #require(signedIn.json["csrf"]?.stringValue)
        let cookie = String(attributes.prefix { $0 != ";" })
        let body: JSONValue = ["name": "x", "roles": ["*": "viewer"]]
        #expect(try await service.send("POST", Self.tokens, body, headers: ["cookie": cookie]).status == 403)
        for (word, status) in [(String(csrf.dropLast()) + "?", 403), (csrf, 201)] {
            let answer = try await service.send(
                "POST", Self.tokens, body, headers: ["cookie": cookie, "X-Martlet-CSRF": word])
            #expect(answer.status == status)
        }
        let shown = try await service.get(Self.session, headers: ["cookie": cookie])
        #expect(shown.json["name"] == "alice" && shown.json["csrf"] == .string(csrf))
        _ = try await service.send(
            "DELETE", Self.session, headers: ["cookie": cookie, "X-Martlet-CSRF": csrf])
        #expect(try await service.get(Self.tokens, headers: ["cookie": cookie]).status == 401)
    }

    @Test("A session ends when it is idle, and when it is old however busy")
    func sessionLife() async throws {
        let service = try Self.guarded()
        let clock = service.clock
        let table = SessionTable(store: service.store, limit: 2)
        func begin() async throws -> String {
            TokenText.hash(try await table.begin(tokenHash: "t", at: clock.now))
        }
        func goesOn(_ hash: String) async throws -> Bool {
            let found = try await table.session(hash: hash, at: clock.now) != nil
            // Another server on the same database says the same.
            let other = try await SessionTable(store: service.store).session(hash: hash, at: clock.now) != nil
            #expect(found == other)
            return found
        }
        let hash = try await begin()
        for _ in 0..<14 {
            clock.advance(SessionTable.idleLimit)
            #expect(try await goesOn(hash))
        }
        clock.advance(.seconds(1))
        #expect(try await !goesOn(hash))
        let idle = try await begin()
        clock.advance(SessionTable.idleLimit + .seconds(1))
        #expect(try await !goesOn(idle))
        let first = try await begin()
        for _ in 0..<2 {
            clock.advance(.seconds(1))
            _ = try await begin()
        }
        #expect(table.count == 2)
        #expect(try await !goesOn(first))
        #expect(try await service.store.settings(prefix: "session.").count == 2)
    }

    @Test("A session outlives the server, but not its token, its end, or the browser's leave")
    func sessionsAreKept() async throws {
        let service = try Self.guarded()
        let token = try await service.token(["*": .admin], name: "alice")
        var cookies: [String] = []
        for _ in 0..<2 {
            let signedIn = try await service.send("POST", Self.session, ["token": .string(token)])
            cookies.append(String(try #require(signedIn.headers["set-cookie"]).prefix { $0 != ";" }))
        }
        let kept = try await service.store.settings(prefix: "session.")
        #expect(kept.count == 2)
        for cookie in cookies {
            #expect(!"\(kept)".contains(try #require(cookie.split(separator: "=").last)))
        }
        let next = try service.restarted { $0.authentication = .token }
        _ = try await next.send("DELETE", Self.session, headers: ["cookie": cookies[0]])
        #expect(try await next.get(Self.tokens, headers: ["cookie": cookies[0]]).status == 401)
        #expect(try await next.get(Self.tokens, headers: ["cookie": cookies[1]]).status == 200)
        let last = try service.restarted { $0.authentication = .token }
        #expect(try await last.get(Self.tokens, headers: ["cookie": cookies[0]]).status == 401)
        #expect(try await last.get(Self.session, headers: ["cookie": cookies[1]]).json["name"] == "alice")
        let id = try #require(try await service.store.tokens().first?.id)
        try await service.store.revokeToken(id, at: service.clock.now)
        service.clock.advance(.seconds(2))
        #expect(try await last.get(Self.session, headers: ["cookie": cookies[1]]).json["signedIn"] == false)
        #expect(try await service.store.settings(prefix: "session.").isEmpty)
    }

    @Test("Argo's cookie is a token, too, and is held to the same rules")
    func argoCookie() async throws {
        let service = try Self.guarded()
        let token = try await service.token(["*": .admin])
        let cookie = "other=1; authorization=Bearer%20\(token)"
        #expect(try await service.get(Self.tokens, headers: ["cookie": cookie]).status == 200)
        let body: JSONValue = ["name": "x", "roles": ["*": "viewer"]]
        #expect(try await service.send("POST", Self.tokens, body, headers: ["cookie": cookie]).status == 403)
    }

    @Test(
        "On loopback without tokens, pages of other origins and other hosts are refused",
        arguments: [
            (["host": "127.0.0.1:2746"], 200), (["host": "localhost"], 200), (["host": "[::1]:2746"], 200),
            (["host": "evil.example"], 403), (["host": "127.0.0.1.evil.example"], 403), (["host": ""], 403),
            (["host": "10.0.0.1:2746"], 403), (["host": "proxy.example:80"], 200),
            (["origin": "http://127.0.0.1:2746"], 200), (["origin": "https://127.0.0.1:2746"], 200),
            (["origin": "http://127.0.0.1:8888"], 403), (["origin": "http://localhost:2746"], 403),
            (["origin": "null"], 403), (["origin": "http://evil.example"], 403),
            (["origin": "http://evil.example", "authorization": "Bearer x"], 403),
        ] as [([String: String], Int)])
    func origins(headers: [String: String], status: Int) async throws {
        let service = try ServiceHarness(configure: { $0.allowedHosts = ["proxy.example"] })
        #expect(try await service.get("/healthz", headers: headers).status == status)
    }

    @Test(
        "What is no JSON changes nothing",
        arguments: [
            (nil, 415), ("text/plain", 415), ("application/x-www-form-urlencoded", 415),
            ("multipart/form-data; boundary=x", 415), ("text/plain; application/json", 415),
            ("application/json", 201), ("Application/JSON; charset=utf-8", 201),
        ] as [(String?, Int)])
    func contentTypes(type: String?, status: Int) async throws {
        let service = try ServiceHarness()
        let body = Array(#"{"name": "x", "roles": {"*": "viewer"}}"#.utf8)
        let answer = try await service.call(
            "POST", Self.tokens, body: body, headers: ["content-type": type ?? ""])
        #expect(answer.status == status)
    }

    @Test(
        "A token that cannot be is refused with the reason",
        arguments: [
            "{}", #"{"name": "x"}"#, #"{"name": "", "roles": {"*": "viewer"}}"#,
            #"{"name": "x", "roles": {}}"#, #"{"name": "x", "roles": {"*": "root"}}"#,
            #"{"name": "x", "roles": {"a/b": "viewer"}}"#,
            #"{"name": "x", "roles": {"*": "viewer"}, "ttlSeconds": -1}"#,
            #"{"name": "x", "roles": {"*": "viewer"}, "ttlSeconds": 1e300}"#,
            #"{"name": "x", "roles": {"*": "viewer"}, "expiresAt": "tomorrow"}"#,
            #"{"name": "x", "roles": {"*": "viewer"}, "expiresAt": "2001-01-01T00:00:00Z"}"#, "[1]", "{",
        ])
    func wrongTokens(body: String) async throws {
        let service = try ServiceHarness()
        let answer = try await service.call("POST", Self.tokens, body: Array(body.utf8))
        #expect(answer.status == 400)
        #expect(answer.json["message"]?.stringValue?.isEmpty == false)
        #expect(try await service.store.tokens().isEmpty)
    }

    @Test("Wrong tokens of one address are held up and then refused; a right one still counts")
    func guessing() async throws {
        let service = try Self.guarded()
        let token = try await service.token(["*": .viewer])
        var statuses: [Int] = []
        for _ in 0..<(AttemptLimiter.limit + 2) {
            let answer = try await service.get("/api/v1/info", token: TokenText.make())
            statuses.append(answer.status)
            if answer.status == 429 { #expect(answer.headers["retry-after"] != nil) }
        }
        #expect(statuses == Array(repeating: 401, count: AttemptLimiter.limit) + [429, 429])
        #expect(try await service.get("/api/v1/info", token: token).status != 401)
        let other = try await service.call("GET", "/api/v1/info", token: TokenText.make(), peer: "192.0.2.7")
        #expect(other.status == 401)
    }

    @Test("Addresses that guess are forgotten, and only so many remembered")
    func limiterBounds() {
        let clock = StandingClock()
        let limiter = AttemptLimiter(addressLimit: 10)
        for number in 0..<100 { _ = limiter.failed("10.0.0.\(number)", at: clock.now) }
        #expect(limiter.count <= 10)
        #expect(limiter.failed("a", at: clock.now) == .pause(.milliseconds(50)))
        #expect(limiter.failed("a", at: clock.now) == .pause(.milliseconds(100)))
        clock.advance(.seconds(61))
        #expect(limiter.failed("a", at: clock.now) == .pause(.milliseconds(50)))
    }

    @Test("Every change is in the audit log, refused ones too, and no secret with it")
    func audit() async throws {
        let service = try Self.guarded()
        let admin = try await service.token(["*": .admin], name: "root")
        let viewer = try await service.token(["*": .viewer], name: "eve")
        let body: JSONValue = ["name": "ci", "roles": ["*": "viewer"]]
        let made = try await service.send("POST", Self.tokens, body, token: admin)
        _ = try await service.send("POST", Self.tokens, body, token: viewer)
        _ = try await service.send("POST", Self.tokens, body)
        _ = try await service.get(Self.tokens, token: admin)
        _ = try await service.send("POST", Self.session, ["token": .string(admin)])
        let rows = try await service.store.audit()
        #expect(rows.map(\.who) == ["anonymous", "anonymous", "eve", "root"])
        #expect(rows.map(\.status) == [200, 401, 403, 201])
        #expect(rows.allSatisfy { $0.source == "127.0.0.1" })
        #expect(rows.last?.what == "AccessService_CreateToken")
        let answer = try await service.get("/api/martlet/v1/audit?limit=3", token: admin)
        #expect(answer.json["items"]?.arrayValue?.count == 3)
        let next = try #require(answer.json["next"]?.stringValue)
        let rest = try await service.get("/api/martlet/v1/audit?limit=3&after=\(next)", token: admin)
        #expect(rest.json["items"]?.arrayValue?.count == 1)
        #expect(rest.json["next"]?.isNull == true)
        let secret = try #require(made.json["token"]?.stringValue)
        #expect(!rest.text.contains(secret) && !answer.text.contains(admin))
        for wrong in ["limit=0", "limit=x", "limit=99999", "after=x"] {
            #expect(try await service.get("/api/martlet/v1/audit?\(wrong)", token: admin).status == 400)
        }
    }

    @Test(
        "Tokens are found in headers",
        arguments: [
            ("Bearer abc", "abc"), ("bearer   abc ", "abc"), ("abc", "abc"), ("Basic abc", nil), ("", nil),
            ("Bearer ", "Bearer"),
        ] as [(String, String?)])
    func headers(value: String, token: String?) { #expect(TokenText.token(inHeader: value) == token) }
}
