// The door for pods: whom it hears out, how much it holds, and that nobody waits for another's large input.

import Artifacts
import Glibc
import Synchronization
import Testing

@testable import WebServer

@Suite("The door for steps", .timeLimit(.minutes(5)))
struct StepGatewayTests {
    /// Lets answers wait until they are let go, and tells when they do.
    private final class Gate: Sendable {
        private let state = Mutex((isOpen: false, entered: 0))
        private let signal: AsyncStream<Void>
        private let inlet: AsyncStream<Void>.Continuation

        init() { (signal, inlet) = AsyncStream.makeStream(of: Void.self) }

        /// Called on a thread that may wait.
        func pass() {
            state.withLock { $0.entered += 1 }
            inlet.yield()
            while !state.withLock({ $0.isOpen }) { sched_yield() }
        }

        func open() { state.withLock { $0.isOpen = true } }

        func wait(for count: Int) async {
            var iterator = signal.makeAsyncIterator()
            while state.withLock({ $0.entered }) < count { _ = await iterator.next() }
        }
    }

    private func with(
        heldLimitBytes: Int = 1 << 20,
        answer: @escaping @Sendable (StepGateway.Request) -> StepGateway.Answer,
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let gateway = StepGateway(
            host: "127.0.0.1", port: 0, bodyLimitBytes: 1 << 20, heldLimitBytes: heldLimitBytes,
            admits: { $0 == "Bearer good" }, answer: answer)
        let (ports, found) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await gateway.run { found.yield($0) }
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { return try await group.waitForAll() }
            defer { group.cancelAll() }
            try await body(port)
        }
    }

    private static let token = ["Authorization: Bearer good"]

    @Test("Who shows no good token is answered before anything of a body has come")
    func admission() async throws {
        try await with(answer: { _ in .init(status: 200) }) { port in
            for header in [[], ["Authorization: Bearer bad"]] {
                let client = try RawClient(port: port)
                try await client.send(
                    RawClient.text("PUT", "/steps/v1/outputs/a", headers: header + ["Content-Length: 900000"])
                )
                #expect(
                    RawClient.parse(Array(try await client.receive(until: "\r\n\r\n").utf8)).status == 401)
            }
            let good = try await RawClient.request(
                port, "PUT", "/steps/v1/outputs/a", body: "x", headers: Self.token)
            #expect(good.status == 200)
        }
    }

    @Test("Bodies beyond what may be held together are to come again, and find room when the others are done")
    func heldBodies() async throws {
        let gate = Gate()
        let body = String(repeating: "x", count: 700_000)
        try await with(answer: { request in
            if request.path.hasSuffix("/slow") { gate.pass() }
            return .init(status: 200)
        }) { port in
            async let first = RawClient.request(
                port, "PUT", "/steps/v1/slow", body: body, headers: Self.token)
            await gate.wait(for: 1)
            let second = try await RawClient.request(
                port, "PUT", "/steps/v1/outputs/b", body: body, headers: Self.token)
            #expect(second.status == 503)
            gate.open()
            #expect(try await first.status == 200)
            // The room is there a moment after the first one's answer.
            var status = 503
            for _ in 0..<1000 where status == 503 {
                status = try await RawClient.request(
                    port, "PUT", "/steps/v1/outputs/b", body: body, headers: Self.token
                ).status
            }
            #expect(status == 200)
        }
    }

    @Test("What a program writes is sent as it comes, and breaks off where the program fails")
    func pipes() async throws {
        try await with(answer: { request in
            let end = request.path.hasSuffix("/bad") ? "exit 3" : "exit 0"
            let script = CommandRun(["sh", "-c", "printf %02000000d 7; \(end)"])
            return (try? CommandPipe(script)).map { .init(status: 200, pipe: $0) } ?? .init(status: 500)
        }) { port in
            let whole = try await RawClient.request(port, "GET", "/steps/v1/inputs/a", headers: Self.token)
            #expect(whole.status == 200 && whole.body.utf8.count == 2_000_000 && whole.body.hasSuffix("07"))
            let client = try RawClient(port: port)
            try await client.send(
                RawClient.text("GET", "/steps/v1/inputs/bad", headers: Self.token + ["Connection: close"]))
            let text = String(decoding: try await client.receiveAll(), as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.1 200") && !text.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test("Results are taken while inputs are being packed, however many")
    func packing() async throws {
        let gate = Gate()
        try await with(answer: { request in
            if request.method == "GET" { gate.pass() }
            return .init(status: 200)
        }) { port in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await RawClient.request(
                            port, "GET", "/steps/v1/inputs/a", headers: Self.token
                        ).status
                    }
                }
                await gate.wait(for: 2)
                let result = try await RawClient.request(
                    port, "PUT", "/steps/v1/result", body: "{}", headers: Self.token)
                #expect(result.status == 200)
                gate.open()
                for try await status in group { #expect(status == 200) }
            }
        }
    }
}
