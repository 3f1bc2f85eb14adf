// What answers look like: calls of tools, log-probabilities and usage, whole and streamed.
import Inference
import Testing
import Text

@testable import WebServer

@Suite("Answers", .timeLimit(.minutes(30)))
struct AnswerTests {
    private static let call = #"{"name": "f", "arguments": {"a": 1}}"#
    private static let tools =
        #""tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#

    /// Sends a chat with more fields; gives its choice, or the sum of its chunks in the shape of a choice.
    private static func chat(_ fields: String, saying text: String, streams: Bool) async throws -> Choice {
        let service = try FakeService(saying: text)
        let body = """
            {"messages": [{"role": "user", "content": "Hi"}], "stream": \(streams), \(fields)}
            """
        let (choices, deliver) = AsyncStream<Choice>.makeStream()
        try await RunningServer.with(service, configure: { $0.splitsReasoning = true }) { port in
            let answer = try await RawClient.request(port, "POST", "/v1/chat/completions", body: body)
            #expect(answer.status == 200, "\(answer.body)")
            var choice = Choice()
            for text in streams ? Array(answer.events.dropLast()) : [answer.body] {
                choice.add(try OrderedJSON(parsing: text)["choices"]?.arrayValue?.first ?? .null)
            }
            choice.request = service.requests.first
            deliver.yield(choice)
        }
        var iterator = choices.makeAsyncIterator()
        return try #require(await iterator.next())
    }

    /// What one choice says, however it came.
    struct Choice: Sendable {
        var content = ""
        var reasoning = ""
        var calls: [ToolCall] = []
        var finish = ""
        var tokens: [String] = []
        var ids: [Int] = []
        var request: GenerationRequest?

        mutating func add(_ json: OrderedJSON) {
            let said = json["message"] ?? json["delta"]
            content += said?["content"]?.stringValue ?? ""
            reasoning += said?["reasoning_content"]?.stringValue ?? ""
            for (place, call) in (said?["tool_calls"]?.arrayValue ?? []).enumerated() {
                let index = call["index"]?.intValue ?? place
                if index == calls.count { calls.append(ToolCall(name: "", arguments: "")) }
                calls[index].name += call["function"]?["name"]?.stringValue ?? ""
                calls[index].arguments += call["function"]?["arguments"]?.stringValue ?? ""
            }
            finish = json["finish_reason"]?.stringValue ?? finish
            tokens += json["logprobs"]?["content"]?.arrayValue?.compactMap { $0["token"]?.stringValue } ?? []
            ids += json["token_ids"]?.arrayValue?.compactMap(\.intValue) ?? []
        }
    }

    @Test("A model that calls a tool is understood", arguments: [true, false])
    func automaticCalls(streams: Bool) async throws {
        let text = "Look:\n<tool_call>\n\(Self.call)\n</tool_call>\n<tool_call>\(Self.call)</tool_call>"
        let choice = try await Self.chat(Self.tools, saying: text, streams: streams)
        let wanted = ToolCall(name: "f", arguments: #"{"a": 1}"#)
        #expect(choice.content == "Look:")
        #expect(choice.calls == [wanted, wanted])
        #expect(choice.finish == "tool_calls")
        #expect(choice.request?.sampling.constraint == nil)
        let single = try await Self.chat(
            Self.tools + #", "parallel_tool_calls": false"#, saying: text, streams: streams)
        #expect(single.calls == [wanted])
    }

    @Test(
        "A forced call is constrained, begun in the prompt, and read without its tag",
        arguments: [
            (#""required""#, "tool_calls", true), (#""required""#, "tool_calls", false),
            (#"{"type": "function", "function": {"name": "f"}}"#, "stop", true),
            (#"{"type": "function", "function": {"name": "f"}}"#, "stop", false),
        ])
    func forcedCalls(choice: String, finish: String, streams: Bool) async throws {
        let answer = try await Self.chat(
            Self.tools + #", "tool_choice": "# + choice, saying: Self.call, streams: streams)
        #expect(answer.calls == [ToolCall(name: "f", arguments: #"{"a": 1}"#)])
        #expect(answer.content.isEmpty)
        #expect(answer.finish == finish)
        guard case .jsonSchema(let schema)? = answer.request?.sampling.constraint else {
            Issue.record("the call was not constrained")
            return
        }
        #expect(schema.contains(#""enum":["f"]"#))
        #expect(answer.request?.promptIDs.suffix(12) == Array("<tool_call>\n".utf8).map { Int32($0) })
    }

    @Test("Without tools, or told to call none, tags stay text", arguments: [true, false])
    func noCalls(streams: Bool) async throws {
        let text = "<tool_call>\(Self.call)</tool_call>"
        let choice = try await Self.chat(
            Self.tools + #", "tool_choice": "none""#, saying: text, streams: streams)
        #expect(choice.content == text)
        #expect(choice.calls.isEmpty)
        #expect(choice.finish == "stop")
    }

    @Test("Thoughts are told apart, and every token is reported once", arguments: [true, false])
    func tokens(streams: Bool) async throws {
        let text = "<think>\nHm <é\n</think>\n\nYes."
        let choice = try await Self.chat(
            #""logprobs": true, "top_logprobs": 1, "return_token_ids": true"#, saying: text, streams: streams)
        #expect(choice.reasoning == "Hm <é")
        #expect(choice.content == "Yes.")
        #expect(choice.ids == text.utf8.map { Int($0) })
        #expect(choice.tokens.count == text.utf8.count)
    }

    @Test("A completion echoes its prompt with the log-probabilities of both", arguments: [true, false])
    func echo(streams: Bool) async throws {
        try await RunningServer.with(try FakeService(saying: "cd")) { port in
            let body = #"{"prompt": "ab", "echo": true, "logprobs": 1, "stream": \#(streams)}"#
            let answer = try await RawClient.request(port, "POST", "/v1/completions", body: body)
            let texts = streams ? Array(answer.events.dropLast()) : [answer.body]
            var (text, tokens, offsets, logprobs) = ("", [String](), [Int](), [Double?]())
            for json in try texts.map({ try OrderedJSON(parsing: $0)["choices"]?.arrayValue?.first }) {
                text += json?["text"]?.stringValue ?? ""
                tokens += json?["logprobs"]?["tokens"]?.arrayValue?.compactMap(\.stringValue) ?? []
                offsets += json?["logprobs"]?["text_offset"]?.arrayValue?.compactMap(\.intValue) ?? []
                logprobs += json?["logprobs"]?["token_logprobs"]?.arrayValue?.map(\.doubleValue) ?? []
            }
            #expect(text == "abcd")
            #expect(tokens == ["a", "b", "c", "d"])
            #expect(offsets == [0, 1, 2, 3])
            #expect(logprobs == [nil, -0.5, -0.5, -0.5])
        }
    }

    @Test("A prompt alone is rated without telling the token that had to be generated")
    func promptOnly() async throws {
        try await RunningServer.with(try FakeService(saying: "x")) { port in
            let body = #"{"prompt": [97, 98], "echo": true, "logprobs": 1, "max_tokens": 0}"#
            let answer = try await RawClient.request(port, "POST", "/v1/completions", body: body)
            let json = try OrderedJSON(parsing: answer.body)
            let choice = json["choices"]?.arrayValue?.first
            #expect(choice?["text"] == .string("ab"))
            #expect(choice?["logprobs"]?["tokens"] == .array([.string("a"), .string("b")]))
            #expect(choice?["logprobs"]?["top_logprobs"]?.arrayValue?.first == .null)
            #expect(json["usage"]?["completion_tokens"] == .int(0))
        }
    }

    @Test(
        "An answer that takes too long is given up, with a status or in the stream", arguments: [true, false])
    func timeout(streams: Bool) async throws {
        let service = try FakeService { request in
            var script = FakeService.Script.text("Hello", for: request)
            script.updates.removeLast()
            script.isEndless = true
            return script
        }
        var surroundings = ServerSurroundings.system
        // Only the request's own limit passes; everything else takes longer than the test.
        surroundings.sleep = { duration in
            if duration != .seconds(7) { try await Task.sleep(for: .seconds(3_600)) }
        }
        try await RunningServer.with(
            service, surroundings: surroundings, configure: { $0.requestTimeout = .seconds(7) }
        ) { port in
            let body = #"{"prompt": "a", "stream": \#(streams)}"#
            let answer = try await RawClient.request(port, "POST", "/v1/completions", body: body)
            #expect(answer.status == (streams ? 200 : 504))
            let text = streams ? answer.events.dropLast().last ?? "null" : answer.body
            #expect(try OrderedJSON(parsing: text)["error"]?["type"] == .string("TimeoutError"))
            var ends = service.givenUp.makeAsyncIterator()
            #expect(await ends.next() == service.requests.first?.id)
        }
    }

    @Test("Embeddings, tokens and cross-origin questions are answered")
    func otherRoutes() async throws {
        let service = try FakeService(saying: "x")
        try await RunningServer.with(service, configure: { $0.allowedOrigins = ["https://a.example"] }) {
            port in
            func post(_ path: String, _ body: String) async throws -> OrderedJSON {
                try OrderedJSON(parsing: try await RawClient.request(port, "POST", path, body: body).body)
            }
            let embeddings = try await post(
                "/v1/embeddings", #"{"input": ["a", [98, 99]], "normalize": false}"#)
            let vectors = embeddings["data"]?.arrayValue?.compactMap { $0["embedding"]?.arrayValue }
            #expect(vectors?.map { $0.compactMap(\.doubleValue) } == [[97, 1, 0, 0], [98, 2, 0, 0]])
            #expect(embeddings["usage"]?["prompt_tokens"] == .int(3))
            let tokens = try await post("/tokenize", #"{"prompt": "ab"}"#)
            #expect(tokens["tokens"] == .array([.int(97), .int(98)]))
            #expect(tokens["max_model_len"] == .int(2_048))
            let text = try await post("/detokenize", #"{"tokens": [97, 98]}"#)
            #expect(text["prompt"] == .string("ab"))
            let preflight = try await RawClient.request(
                port, "OPTIONS", "/v1/models", headers: ["Origin: https://a.example"])
            #expect(preflight.status == 204)
            #expect(preflight.headers["access-control-allow-origin"] == "https://a.example")
            let foreign = try await RawClient.request(
                port, "GET", "/v1/models", headers: ["Origin: https://b.example"])
            #expect(foreign.status == 403)
            let form = try await RawClient.request(
                port, "POST", "/v1/completions", body: #"{"prompt": "a"}"#,
                headers: ["Content-Type: text/plain"])
            #expect(form.status == 415)
        }
    }
}
