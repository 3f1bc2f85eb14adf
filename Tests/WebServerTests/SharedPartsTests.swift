// The parts below the routes: metrics text, keys, origins, queues and prompts.
import Inference
import Testing
import Text

@testable import WebServer

@Suite("Shared parts of the web server")
struct SharedPartsTests {
    @Test("Metrics are text as Prometheus reads it")
    func metricsText() {
        var text = MetricsText(labels: [("model_name", "a\"b\\\n")])
        text.gauge("g", "A gauge.", 0.5)
        text.counter("c", "A counter.", 3)
        var histogram = Histogram(bounds: [0.1, 1])
        for value in [0.1, 0.5, 7, Double.nan] { histogram.observe(value) }
        text.histogram("h", "A histogram.", histogram)
        let labels = #"model_name="a\"b\\\n""#
        #expect(
            text.text == """
                # HELP g A gauge.
                # TYPE g gauge
                g{\(labels)} 0.5
                # HELP c_total A counter.
                # TYPE c_total counter
                c_total{\(labels)} 3.0
                # HELP h A histogram.
                # TYPE h histogram
                h_bucket{\(labels),le="0.1"} 1.0
                h_bucket{\(labels),le="1.0"} 2.0
                h_bucket{\(labels),le="+Inf"} 3.0
                h_sum{\(labels)} 7.6
                h_count{\(labels)} 3.0

                """)
    }

    @Test("Bounds of token counts are 1, 2, 5 and so on")
    func bounds() {
        #expect(Histogram.oneTwoFive(upTo: 60) == [1, 2, 5, 10, 20, 50])
        #expect(Histogram.oneTwoFive(upTo: 0) == [])
        #expect(Histogram.oneTwoFive(upTo: .max).count > 50)
    }

    @Test("A generation's times are counted from the moments of its tokens")
    func timing() {
        var counts = ServingCounts(maxModelLength: 100)
        var timing = GenerationTiming(start: .seconds(10))
        func update(_ ids: [Int32]) -> GenerationUpdate {
            GenerationUpdate(
                newIDs: ids, text: "", logprobs: [], finishReason: nil, stopReason: nil, promptTokens: 5,
                cachedTokens: 0, promptLogprobs: nil)
        }
        timing.record(update([1]), at: .seconds(11), in: &counts)
        timing.record(update([]), at: .seconds(12), in: &counts)
        timing.record(update([2, 3]), at: .seconds(13), in: &counts)
        timing.finish(.length, at: .seconds(14), in: &counts)
        #expect(counts.timeToFirstToken.sum == 1)
        #expect(counts.interTokenLatency.sum == 2)
        #expect(counts.interTokenLatency.count == 2)
        #expect(counts.endToEndLatency.sum == 4)
        #expect(counts.decodeTime.sum == 3)
        #expect(counts.promptTokens == 5)
        #expect(counts.generationTokens == 3)
        #expect(counts.finished["length"] == 1)
    }

    @Test(
        "A loopback server without keys is closed to foreign hosts and pages",
        arguments: [
            (nil, "127.0.0.1:8000", true), (nil, "localhost", true), (nil, "[::1]:80", true),
            (nil, "evil.example", false), (nil, "127.evil.example", false),
            ("http://evil.example", "localhost:1", false),
            ("http://localhost:1", "localhost:1", true), ("https://good.example", "localhost:1", true),
            ("null", "localhost", false),
        ] as [(String?, String, Bool)])
    func origins(origin: String?, host: String, isAllowed: Bool) {
        let policy = OriginPolicy(
            allowedOrigins: ["https://good.example"], host: "127.0.0.1", hasKeys: false)
        #expect((policy.refusal(origin: origin, host: host) == nil) == isAllowed)
    }

    @Test("Cross-origin headers go to allowed pages only")
    func crossOrigin() {
        let policy = OriginPolicy(allowedOrigins: ["https://a.example"], host: "0.0.0.0", hasKeys: true)
        #expect(policy.headers(origin: "https://a.example").first?.value == "https://a.example")
        #expect(policy.headers(origin: "https://b.example").isEmpty)
        #expect(policy.preflightHeaders(origin: "https://b.example", requestedHeaders: nil) == nil)
        let headers = policy.preflightHeaders(origin: "https://a.example", requestedHeaders: "x-a\r\nEvil: 1")
        #expect(headers?.contains { $0.value.contains("Evil") } == false)
        #expect(
            OriginPolicy(allowedOrigins: ["*"], host: "::", hasKeys: true).headers(origin: "x").first?.value
                == "*")
    }

    @Test(
        "Keys are taken as bearer tokens",
        arguments: [
            ("Bearer key", true), ("bearer  key ", true), ("Bearer keys", false), ("Basic key", false),
            ("key", false),
            ("Bearer", false), (nil, false),
        ] as [(String?, Bool)])
    func keys(header: String?, isAccepted: Bool) {
        #expect(APIKeys(["other", "key"]).accept(authorization: header) == isAccepted)
        #expect(APIKeys([]).accept(authorization: header))
    }

    @Test("A mailbox holds no more than its capacity, and keeps the order")
    func mailbox() async throws {
        let mailbox = Mailbox<Int>(capacity: 3)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<100 { try await mailbox.put(number) }
                mailbox.close(ClientGone())
            }
            var taken: [Int] = []
            await #expect(throws: ClientGone.self) {
                while true {
                    let elements = try await mailbox.take()
                    #expect(elements.count <= 3)
                    taken += elements
                }
            }
            #expect(taken == Array(0..<100))
            try await group.waitForAll()
        }
        await #expect(throws: ClientGone.self) { try await mailbox.put(1) }
    }

    @Test("Cancelling a task that waits at a mailbox ends it for all")
    func mailboxCancellation() async throws {
        let mailbox = Mailbox<Int>(capacity: 1)
        let taker = Task { try await mailbox.take() }
        taker.cancel()
        await #expect(throws: CancellationError.self) { try await taker.value }
        await #expect(throws: CancellationError.self) { try await mailbox.put(1) }
    }

    @Test("A gate gives its places back")
    func gate() {
        let gate = RequestGate(limit: 2)
        var slots = [gate.enter(), gate.enter()]
        #expect(gate.enter() == nil)
        slots.removeLast()
        #expect(gate.enter() != nil)
        #expect(gate.current == 1)
        slots = []
        #expect(gate.current == 0)
    }

    @Test(
        "Dates are HTTP's",
        arguments: [(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT")])
    func dates(seconds: Int, text: String) { #expect(HTTPDate.text(seconds: seconds) == text) }

    @Test(
        "Paths are found, and others told from wrong methods",
        arguments: [
            ("GET", "/v1/models", .models), ("HEAD", "/health", .health), ("POST", "/ping", .ping),
            ("GET", "/v1/models/org/na%6De%20x", .model("org/name x")),
            ("POST", "/v1/completions/", .completions),
            ("PUT", "/v1/completions", 405), ("POST", "/metrics", 405), ("GET", "/v2", 404),
            ("GET", "/v1/models/", .models),
        ] as [(String, String, Expected)])
    func routes(method: String, path: String, expected: Expected) {
        do throws(APIError) {
            #expect(Expected.route(try OpenAIRoute.find(method: method, path: path)) == expected)
        } catch {
            #expect(Expected.status(error.status) == expected)
        }
    }

    enum Expected: Equatable, Sendable, ExpressibleByIntegerLiteral {
        case route(OpenAIRoute)
        case status(Int)
        init(integerLiteral value: Int) { self = .status(value) }
        static let models = Expected.route(.models)
        static let health = Expected.route(.health)
        static let ping = Expected.route(.ping)
        static let completions = Expected.route(.completions)
        static func model(_ name: String) -> Expected { .route(.model(name)) }
    }

    @Test(
        "A message is continued behind its text",
        arguments: [
            ("<u>Hi</u><a>Well, </a>", "Well, ", "<u>Hi</u><a>Well, "),
            ("<a>Well,</a>", "Well, ", "<a>Well,"), ("<a>x</a><a>x</a>", "x", "<a>x</a><a>x"),
            ("<a>x</a>", "y", nil),
        ] as [(String, String, String?)])
    func continuation(text: String, message: String, wanted: String?) {
        #expect((try? ChatPrompt.cutBehindFinalMessage(text, message)) == wanted)
    }

    @Test("Vectors are scaled to length 1 and written as little-endian floats")
    func embeddings() {
        var vector: [Float] = [3, 4]
        OpenAIRoutes.normalize(&vector)
        #expect(vector == [0.6, 0.8])
        #expect(OpenAIRoutes.embedding([1, -2], base64: true) == .string("AACAPwAAAMA="))
        #expect(OpenAIRoutes.embedding([1], base64: false) == .array([.double(1)]))
        var zero: [Float] = [0, 0]
        OpenAIRoutes.normalize(&zero)
        #expect(zero == [0, 0])
    }
}
