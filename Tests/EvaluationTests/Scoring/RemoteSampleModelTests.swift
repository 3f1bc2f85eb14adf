// Models behind an address: what is asked, how answers are read, and what happens when they do not come.

import Models
import Synchronization
import Testing
import Text

@testable import Evaluation

/// A server that answers by a function of the request, and remembers what it was asked.
private final class FakeServer: CompletionTransport {
    struct Broken: Error {}

    private struct State {
        var requests: [(path: String, body: OrderedJSON)] = []
        var running = 0
        var mostRunning = 0
    }

    private let state = Mutex(State())
    private let answer: @Sendable (String, OrderedJSON, Int) throws -> CompletionReply

    /// - Parameter answer: gets the path, the body and how many requests came before.
    init(_ answer: @escaping @Sendable (String, OrderedJSON, Int) throws -> CompletionReply) {
        self.answer = answer
    }

    var requests: [(path: String, body: OrderedJSON)] { state.withLock { $0.requests } }
    var mostRunning: Int { state.withLock { $0.mostRunning } }

    func send(_ path: String, body: [UInt8]?) async throws -> CompletionReply {
        let json = try body.map { try OrderedJSON(parsingUTF8: $0) } ?? .null
        let number = state.withLock { state in
            state.requests.append((path, json))
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            return state.requests.count - 1
        }
        defer { state.withLock { $0.running -= 1 } }
        await Task.yield()
        return try answer(path, json, number)
    }
}

extension CompletionReply {
    fileprivate static func json(_ text: String, status: Int = 200) -> CompletionReply {
        CompletionReply(status: status, body: Array(text.utf8))
    }
}

@Suite("A model behind an address")
struct RemoteSampleModelTests {
    private static func model(
        _ server: FakeServer, pauses: Pauses = Pauses(),
        _ change: (inout RemoteModelSettings) -> Void = { _ in }
    ) -> RemoteSampleModel {
        var settings = RemoteModelSettings(model: "m")
        settings.retries.attempts = 4
        settings.retries.sleep = { pauses.add($0) }
        change(&settings)
        return RemoteSampleModel(server, settings)
    }

    private final class Pauses: Sendable {
        private let all = Mutex<[Duration]>([])
        var list: [Duration] { all.withLock { $0 } }
        func add(_ pause: Duration) { all.withLock { $0.append(pause) } }
    }

    private static func encoder() throws -> LikelihoodTokenizer {
        LikelihoodTokenizer(
            tokenizer: try RandomModel().loadTokenizer(), prefixID: RandomModel.end, maxLength: 64)
    }

    /// The echo of a prompt of ids: each token has the log-probability minus its own id over 100, and a
    /// better alternative if it is odd. A written token stands behind.
    @Sendable private static func echo(_ body: OrderedJSON) -> CompletionReply {
        let ids = body["prompt"]?.arrayValue?.compactMap(\.intValue) ?? []
        let own = ["null"] + ids.dropFirst().map { "-\(Double($0) / 100)" }
        let tops =
            ["null"]
            + ids.dropFirst().map { id in
                #"{"x": \#(-Double(id) / 100 + (id % 2 == 0 ? 0 : 0.001))}"#
            }
        return .json(
            """
            {"choices": [{"index": 0, "text": "", "logprobs": {
            "token_logprobs": [\(own.joined(separator: ",")), -7],
            "top_logprobs": [\(tops.joined(separator: ",")), {"y": -7}]}}],
            "usage": {"prompt_tokens": \(ids.count)}}
            """)
    }

    @Test("Likelihoods come from the echo of ids; the written token does not count")
    func echo() async throws {
        let server = FakeServer { path, body, _ in
            #expect(path == "completions")
            #expect(
                body["echo"] == .bool(true) && body["logprobs"] == .int(1) && body["max_tokens"] == .int(1))
            return Self.echo(body)
        }
        let encoder = try Self.encoder()
        let model = Self.model(server) { $0.encoder = encoder }
        let requests = [("ab", " d"), ("ab", " e"), ("", "b")].map {
            LikelihoodRequest(context: .raw($0.0), continuation: $0.1)
        }
        var results: [Int: LikelihoodResult] = [:]
        try await model.logLikelihoods(requests) { results[$0] = $1 }
        // Ids of " d" are 32 and 100, all even; of " e" 32 and 101.
        #expect(results[0] == LikelihoodResult(sum: -1.32, isGreedy: true, tokens: 2))
        #expect(abs((results[1]?.sum ?? 0) + 1.33) < 1e-9 && results[1]?.isGreedy == false)
        #expect(results[2]?.tokens == 1 && abs((results[2]?.sum ?? 0) + 0.98) < 1e-9)
        #expect(server.requests.contains { $0.body["prompt"] == .array([.int(256), .int(98)]) })
    }

    @Test("A server that knows no echo is asked for prompt_logprobs, and from then on for nothing else")
    func fallback() async throws {
        let server = FakeServer { _, body, _ in
            guard body["echo"] == nil else {
                return .json(#"{"error": {"message": "echo is not supported"}}"#, status: 400)
            }
            let ids = body["prompt"]?.arrayValue?.compactMap(\.intValue) ?? []
            let entries = ids.dropFirst().map {
                #"{"\#($0)": {"logprob": -0.5, "rank": 2}, "7": {"logprob": -0.1}}"#
            }
            return .json(
                #"{"choices": [{"prompt_logprobs": [null, \#(entries.joined(separator: ","))]}]}"#)
        }
        let encoder = try Self.encoder()
        let model = Self.model(server) {
            $0.encoder = encoder
            $0.concurrency = 1
        }
        let requests = (0..<3).map { _ in LikelihoodRequest(context: .raw("ab"), continuation: " d") }
        var results: [LikelihoodResult] = []
        try await model.logLikelihoods(requests) { results.append($1) }
        #expect(
            results == [LikelihoodResult](repeating: .init(sum: -1, isGreedy: false, tokens: 2), count: 3))
        #expect(server.requests.count == 4)
    }

    @Test("Without a tokenizer the text's offsets tell where the continuation begins")
    func offsets() async throws {
        let server = FakeServer { _, body, _ in
            // "héllo wörld": tokens "hé", "llo w", "örld"; the second reaches into the continuation.
            #expect(body["prompt"] == .string("héllo wörld"))
            return .json(
                """
                {"choices": [{"logprobs": {
                "token_logprobs": [null, -1.5, -0.25, -9], "text_offset": [0, 2, 7, 11],
                "tokens": ["hé", "llo w", "örld", "!"],
                "top_logprobs": [null, {"a": -1.5}, {"b": -0.25}, {}]}}]}
                """)
        }
        let model = Self.model(server)
        var results: [LikelihoodResult] = []
        try await model.logLikelihoods(
            [LikelihoodRequest(context: .raw("héllo"), continuation: " wörld")]
        ) { results.append($1) }
        #expect(results == [LikelihoodResult(sum: -1.75, isGreedy: true, tokens: 2)])
        var whole: [RollingLikelihood] = []
        try await model.rollingLogLikelihoods(["héllo wörld"]) { whole.append($1) }
        #expect(whole == [RollingLikelihood(sum: -1.75, tokens: 2)])
    }

    @Test("A busy or broken server is asked again after growing pauses, as long as it asks for")
    func retries() async throws {
        let server = FakeServer { _, _, number in
            switch number {
            case 0: throw FakeServer.Broken()
            case 1: return CompletionReply(status: 429, body: [], retryAfter: .seconds(7))
            case 2: return .json("starting", status: 503)
            default: return .json(#"{"choices": [{"text": "done", "finish_reason": "stop"}]}"#)
            }
        }
        let pauses = Pauses()
        let model = Self.model(server, pauses: pauses)
        var texts: [String] = []
        let request = GenerationRequest(prompt: .raw("p"), stop: [], maxNewTokens: 4)
        try await model.complete([CompletionRequest(request: request)]) { texts += $1.map(\.text) }
        #expect(texts == ["done"])
        #expect(pauses.list == [.milliseconds(500), .seconds(7), .seconds(2)])
    }

    @Test(
        "What does not mend is told, with what to do",
        arguments: [
            (
                status: 401, body: #"{"error": {"message": "no key"}}"#, times: 1,
                words: ["no key", "--api_key"]
            ),
            (404, #"{"message": "unknown model"}"#, 1, ["unknown model", "--api_url"]),
            (503, "", 4, ["503", "asked 4 times"]),
            (200, "<html>", 1, ["not JSON", "--api_url"]),
            (200, "{}", 1, ["no choices"]),
        ])
    func failures(status: Int, body: String, times: Int, words: [String]) async throws {
        let server = FakeServer { _, _, _ in .json(body, status: status) }
        let model = Self.model(server)
        let request = GenerationRequest(prompt: .raw("p"), stop: [], maxNewTokens: 4)
        let error = await #expect(throws: (any Error).self) {
            try await model.complete([CompletionRequest(request: request)]) { _, _ in }
        }
        let text = error.map { "\($0)" } ?? ""
        for word in words { #expect(text.contains(word), "\(text)") }
        #expect(server.requests.count == times)
    }

    @Test("Messages go to the chat route, texts to the other; stops beyond the fourth are found here")
    func generation() async throws {
        let server = FakeServer { path, body, _ in
            #expect((body["stop"]?.arrayValue?.count ?? 0) == 4)
            #expect(body["max_tokens"] == .int(9) && body["model"] == .string("m"))
            if path == "chat/completions" {
                #expect(body["messages"]?.arrayValue?.count == 2)
                return .json(
                    #"{"choices": [{"message": {"content": "one FIVE two"}, "finish_reason": "length"}]}"#)
            }
            #expect(body["prompt"] == .string("raw"))
            return .json(
                """
                {"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a", "finish_reason": "length"}],
                "usage": {"completion_tokens": 6}}
                """)
        }
        let stops = ["1", "2", "3", "4", "FIVE"]
        let turns = [ChatTurn(role: "system", content: "s"), ChatTurn(role: "user", content: "u")]
        let requests = [
            CompletionRequest(
                request: .init(prompt: .messages(turns), stop: stops, maxNewTokens: 9), count: 2),
            CompletionRequest(
                request: .init(prompt: .raw("raw"), stop: stops, maxNewTokens: 9),
                sampling: CompletionSampling(temperature: 0.5), count: 3),
        ]
        var results: [Int: [Completion]] = [:]
        try await Self.model(server).complete(requests) { results[$0] = $1 }
        #expect(results[0]?.map(\.text) == ["one ", "one "] && results[0]?[0].finishReason == "stop")
        // A server that gives two where three are asked for is asked again.
        #expect(results[1]?.map(\.text) == ["a", "b", "a"])
        #expect(results[1]?.map(\.tokens) == [3, 3, 3])
        #expect(server.requests.count == 3)
    }

    @Test("No more requests run at once than were asked for")
    func concurrency() async throws {
        let server = FakeServer { _, _, _ in .json(#"{"choices": [{"text": "x"}]}"#) }
        let model = Self.model(server) { $0.concurrency = 3 }
        let request = CompletionRequest(
            request: GenerationRequest(prompt: .raw("p"), stop: [], maxNewTokens: 4))
        var count = 0
        try await model.complete([CompletionRequest](repeating: request, count: 40)) { _, _ in count += 1 }
        #expect(count == 40 && server.mostRunning <= 3)
    }

    @Test("The server's own word on its model's length is asked for")
    func length() async throws {
        let server = FakeServer { path, _, _ in
            #expect(path == "models")
            return .json(
                #"{"data": [{"id": "other", "max_model_len": 1}, {"id": "m", "max_model_len": 4096}]}"#)
        }
        #expect(try await RemoteSampleModel.maxLength(server, model: "m") == 4096)
        #expect(try await RemoteSampleModel.maxLength(server, model: "none") == nil)
    }
}
