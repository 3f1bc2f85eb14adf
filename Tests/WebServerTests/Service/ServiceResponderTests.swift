// What every request passes before and behind its route: limits, errors, headers, streams.

import Persistence
import Synchronization
import Testing
import Text

@testable import WebServer

/// Routes that do what a test needs.
private struct TrialRoutes: RouteGroup {
    /// Told when the endless stream's writer has ended.
    let ended: @Sendable () -> Void

    var routes: [ServiceRoute] {
        [
            ServiceRoute("GET", "/trial/broken", "Trial_Broken", .signedIn) { _ in throw Broken() },
            ServiceRoute("GET", "/trial/run/{uid}", "Trial_Forgetful", .run(.viewer)) { _ in HTTPReply() },
            ServiceRoute("GET", "/trial/asked/{uid}", "Trial_Asked", .run(.viewer)) { request in
                try request.require(.viewer, in: "a")
                return HTTPReply()
            },
            ServiceRoute("POST", "/trial/body", "Trial_Body", .signedIn, bodyLimitBytes: 10) { request in
                .json(try await request.json())
            },
            ServiceRoute("GET", "/trial/stream", "Trial_Stream", .signedIn) { _ in
                HTTPReply(headers: ServerSentEvents.headers, body: .stream { try await writeForEver($0) })
            },
            ServiceRoute("GET", "/trial/file", "Trial_File", .signedIn) { _ in
                HTTPReply(
                    headers: [("Content-Type", "text/plain")], body: .stream { try await $0.write([65, 66]) })
            },
        ]
    }

    private struct Broken: Error {}

    private func writeForEver(_ sink: any ReplySink) async throws {
        defer { ended() }
        try await sink.write(ServerSentEvents.data("first"))
        let (never, end) = AsyncStream<Void>.makeStream()
        defer { end.finish() }
        for await _ in never {}
    }
}

@Suite("What every request passes")
struct ServiceResponderTests {
    private static func service(
        _ authentication: ServiceSettings.Authentication = .none, ended: @escaping @Sendable () -> Void = {},
        configure: (inout ServiceSettings) -> Void = { _ in }
    ) throws -> ServiceHarness {
        try ServiceHarness(
            configure: {
                $0.authentication = authentication
                configure(&$0)
            }, groups: { _ in [TrialRoutes(ended: ended)] })
    }

    @Test("Our own mistakes are told without their details, and with the request's id")
    func mistakes() async throws {
        let answer = try await Self.service().get("/trial/broken")
        #expect(answer.status == 500)
        #expect(answer.json["message"]?.stringValue?.contains("Broken") == false)
        #expect(answer.headers["x-request-id"]?.count == 32)
    }

    @Test("A body beyond the limit is refused before it is read, announced or not")
    func bodies() async throws {
        let service = try Self.service()
        let long = Array(repeating: UInt8(ascii: "1"), count: 11)
        #expect(try await service.call("POST", "/trial/body", body: long).status == 413)
        let unannounced = try await service.call(
            "POST", "/trial/body", body: long, headers: ["content-length": "3"])
        #expect(unannounced.status == 413)
        #expect(try await service.call("POST", "/trial/body", body: Array("{\"a\":1}".utf8)).status == 200)
        for wrong in ["-1", "x", "99999999999999999999"] {
            let answer = try await service.call(
                "POST", "/trial/body", body: [], headers: ["content-length": wrong])
            #expect(answer.status == 400)
        }
    }

    @Test("A route that forgets to look at a run's namespace answers only those who may see all")
    func forgetful() async throws {
        let service = try Self.service(.token)
        let (all, some) = (try await service.token(["*": .viewer]), try await service.token(["a": .viewer]))
        #expect(try await service.get("/trial/run/x", token: all).status == 200)
        #expect(try await service.get("/trial/run/x", token: some).status == 500)
        #expect(try await service.get("/trial/asked/x", token: some).status == 200)
        let other = try await service.token(["b": .admin])
        #expect(try await service.get("/trial/asked/x", token: other).status == 404)
    }

    @Test("Answers carry headers that keep browsers in bounds")
    func headers() async throws {
        let service = try ServiceHarness()
        let answer = try await service.get("/healthz")
        #expect(answer.headers["x-content-type-options"] == "nosniff")
        #expect(answer.headers["content-security-policy"]?.contains("default-src 'none'") == true)
        #expect(answer.headers["cache-control"] == "no-store")
        let page = try await service.get("/")
        let policy = try #require(page.headers["content-security-policy"])
        #expect(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"))
        #expect(!policy.contains("unsafe"))
    }

    @Test("HEAD of a stream is its head, and OPTIONS says what there is")
    func otherMethods() async throws {
        let service = try Self.service()
        let head = try await service.call("HEAD", "/trial/stream")
        #expect(head.status == 200 && head.bytes.isEmpty)
        #expect(head.headers["content-type"]?.hasPrefix("text/event-stream") == true)
        let options = try await service.call("OPTIONS", "/trial/body")
        #expect(options.status == 204 && options.headers["allow"] == "OPTIONS, POST")
        #expect(try await service.get("/trial/file").text == "AB")
    }

    @Test("A stream's writer ends when its client goes, and when the server drains")
    func streamEnds() async throws {
        let count = Mutex(0)
        let service = try Self.service(ended: { count.withLock { $0 += 1 } })
        let answer = try await service.call("GET", "/trial/stream", stopWhen: { $0.contains("first") })
        #expect(answer.events == ["first"])
        #expect(count.withLock { $0 } == 1)
        #expect(service.responder.streams.count == 0)
        let responder = service.responder
        // The server drains as soon as the stream has begun to be read.
        _ = try await service.call(
            "GET", "/trial/stream",
            stopWhen: { _ in
                responder.streams.drain()
                return false
            })
        #expect(count.withLock { $0 } == 2)
        let late = try await service.call("GET", "/trial/stream")
        #expect(late.status == 200 && late.bytes.isEmpty)
    }

    @Test("The stream of a revoked token ends at the next look")
    func revokedStream() async throws {
        let service = try Self.service(.token)
        let token = try await service.token(["*": .viewer])
        let (begun, begin) = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let answer = try await service.call(
                    "GET", "/trial/stream", token: token,
                    stopWhen: { _ in
                        begin.yield()
                        return false
                    })
                #expect(answer.events == ["first"])
            }
            for await _ in begun { break }
            let responder = service.responder
            await responder.streams.check { await responder.access.stillCounts($0) }
            #expect(service.responder.streams.count == 1)
            let id = try #require(try await service.store.tokens().first?.id)
            try await service.store.revokeToken(id, at: service.clock.now)
            service.clock.advance(.seconds(2))
            await responder.streams.check { await responder.access.stillCounts($0) }
            try await group.waitForAll()
        }
        #expect(service.responder.streams.count == 0)
    }

    @Test("Readiness tells what does not work, and a check that hangs does not hang it")
    func readiness() async throws {
        let checks = [
            ReadinessCheck("good") { nil }, ReadinessCheck("bad") { "is broken" },
        ]
        let service = try ServiceHarness(checks: checks)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.readiness.run() }
            let answer = try await service.get("/readyz")
            #expect(answer.status == 503)
            #expect(answer.json["problems"] == ["bad": "is broken"])
            group.cancelAll()
        }
        // Nobody looks, so that the answer comes of the limit.
        var surroundings = ServerSurroundings.system
        surroundings.sleep = { _ in }
        let stuck = ReadinessWatch(checks: checks, surroundings: surroundings)
        #expect(await stuck.problems()["service"]?.contains("no answer") == true)
    }

    @Test("More requests than there are places are told to come back")
    func places() async throws {
        let service = try Self.service(configure: { $0.maxStreams = 1 })
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let responder = service.responder
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = try await service.call(
                    "GET", "/trial/stream",
                    stopWhen: { _ in
                        begin.yield()
                        return false
                    })
            }
            for await _ in begun { break }
            let refused = try await service.get("/trial/stream")
            #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
            responder.streams.drain()
            try await group.waitForAll()
        }
    }
}
