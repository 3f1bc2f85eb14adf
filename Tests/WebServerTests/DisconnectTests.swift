// Clients that vanish, read slowly or never send, and servers that are told to stop.
import Inference
import Models
import Synchronization
import Testing
import Text

@testable import WebServer

@Suite("Connections that end", .timeLimit(.minutes(30)))
struct DisconnectTests {
    private static func endless(_ request: GenerationRequest) -> FakeService.Script {
        var script = FakeService.Script.text("Hello", for: request)
        script.updates.removeLast()
        script.isEndless = true
        return script
    }

    private static func body(streams: Bool) -> String {
        #"{"messages": [{"role": "user", "content": "Hi"}], "n": 2, "stream": \#(streams)}"#
    }

    @Test("The work for a client that vanished is given up, streamed or not", arguments: [true, false])
    func vanishedClient(streams: Bool) async throws {
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let service = try FakeService { request in
            begin.yield()
            return Self.endless(request)
        }
        try await RunningServer.with(service) { port in
            let client = try RawClient(port: port)
            try await client.send(
                RawClient.text("POST", "/v1/chat/completions", body: Self.body(streams: streams)))
            if streams { #expect(try await client.receive(until: "Hel").contains("Hel")) }
            var beginnings = begun.makeAsyncIterator()
            for _ in 0..<2 { await beginnings.next() }
            client.vanish()
            var ends = service.givenUp.makeAsyncIterator()
            var ended: Set<String> = []
            for _ in 0..<2 { if let id = await ends.next() { ended.insert(id) } }
            #expect(ended == Set(service.requests.map(\.id)))
            #expect(ended.count == 2)
            let metrics = try await RawClient.request(port, "GET", "/metrics").body
            #expect(metrics.contains(#"finished_reason="abort"} 2.0"#))
        }
    }

    @Test("A silent stream sends comments")
    func heartbeat() async throws {
        let service = try FakeService { Self.endless($0) }
        try await RunningServer.with(service, configure: { $0.heartbeat = .milliseconds(1) }) { port in
            let client = try RawClient(port: port)
            try await client.send(
                RawClient.text("POST", "/v1/chat/completions", body: Self.body(streams: true)))
            #expect(try await client.receive(until: ": still working").contains(": still working"))
            client.vanish()
        }
    }

    @Test("A client that does not read is cut off, and holds no more than its connection's buffers")
    func slowReader() async throws {
        let service = try FakeService { request in
            let update = GenerationUpdate(
                newIDs: [65], text: String(repeating: "A", count: 10_000), logprobs: [], finishReason: nil,
                stopReason: nil, promptTokens: 1, cachedTokens: 0, promptLogprobs: nil)
            return .init(updates: Array(repeating: update, count: 2_000), isEndless: true)
        }
        try await RunningServer.with(
            service,
            configure: {
                $0.heartbeat = .milliseconds(10)
                $0.writeTimeout = .milliseconds(100)
            }
        ) { port in
            let client = try RawClient(port: port, receiveBytes: 4_096)
            let body = #"{"prompt": "a", "stream": true}"#
            try await client.send(RawClient.text("POST", "/v1/completions", body: body))
            var ends = service.givenUp.makeAsyncIterator()
            #expect(await ends.next() == service.requests.first?.id)
            let received = try await client.receiveAll().count
            #expect(received < 12_000_000)
        }
    }

    @Test("A body that does not arrive in time closes its connection")
    func slowBody() async throws {
        try await RunningServer.with(
            try FakeService(saying: "a"), configure: { $0.bodyTimeout = .milliseconds(50) }
        ) { port in
            let client = try RawClient(port: port)
            try await client.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Content-Length: 1000\r\n\r\n{")
            #expect(try await client.receiveAll().isEmpty)
        }
    }

    @Test("A connection without a request is closed")
    func idleConnection() async throws {
        try await RunningServer.with(
            try FakeService(saying: "a"), configure: { $0.idleTimeout = .milliseconds(50) }
        ) { port in
            let client = try RawClient(port: port)
            #expect(try await client.receiveAll().isEmpty)
        }
    }

    @Test("A server that is told to stop finishes what runs and accepts nothing new")
    func drainFinishes() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let service = try HeldService(gate)
        try await stop(service, drainTimeout: .seconds(20)) { client, port in
            // Give the signal only when the server no longer listens.
            while let another = try? RawClient(port: port) { another.vanish() }
            open.finish()
            let answer = RawClient.parse(try await client.receiveAll())
            #expect(answer.status == 200)
            #expect(answer.body.contains("Hello!"))
        }
    }

    @Test("What is not finished in time is given up")
    func drainGivesUp() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let service = try HeldService(gate)
        try await stop(service, drainTimeout: .milliseconds(50)) { client, _ in
            let received = try await client.receiveAll()
            #expect(received.isEmpty)
        }
        open.finish()
    }

    /// Begins a request, tells the server to stop, and calls `body` while it does.
    private func stop(
        _ service: HeldService, drainTimeout: Duration,
        _ body: @escaping @Sendable (RawClient, Int) async throws -> Void
    ) async throws {
        var settings = ServingSettings()
        settings.port = 0
        settings.logLevel = .critical
        settings.drainTimeout = drainTimeout
        let server = try OpenAIServer(service: service, settings: settings)
        let (ports, found) = AsyncStream<Int>.makeStream()
        let running = Task { try await server.run { found.yield($0) } }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        let client = try RawClient(port: port)
        try await client.send(
            RawClient.text("POST", "/v1/chat/completions", body: Self.body(streams: false)))
        var beginnings = service.begun.makeAsyncIterator()
        await beginnings.next()
        running.cancel()
        try await body(client, port)
        try await running.value
    }
}

/// An engine whose answers wait for a signal.
final class HeldService: InferenceService {
    private let inner: FakeService
    private let gate: AsyncStream<Void>
    let begun: AsyncStream<Void>
    private let begin: AsyncStream<Void>.Continuation

    init(_ gate: AsyncStream<Void>) throws {
        inner = try FakeService(saying: "Hello!")
        self.gate = gate
        (begun, begin) = AsyncStream.makeStream()
    }

    var modelName: String { inner.modelName }
    var maxModelLength: Int { inner.maxModelLength }
    var tokenizer: Tokenizer { inner.tokenizer }

    func generate(
        _ request: GenerationRequest
    ) async throws -> AsyncThrowingStream<GenerationUpdate, any Error> {
        begin.yield()
        for await _ in gate {}
        try Task.checkCancellation()
        return try await inner.generate(request)
    }

    func embed(_ ids: [Int32], adapter: String?) async throws -> [Float] { [] }
    func loadAdapter(name: String, path: String) async throws {}
    func unloadAdapter(name: String) async throws {}
    func adapterNames() async -> [String] { [] }
    func statistics() async -> EngineStatistics { await inner.statistics() }
    func drain() async {}
}
