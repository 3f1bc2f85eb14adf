// The server over real sockets with a scripted engine.
import Inference
import Testing
import Text

@testable import WebServer

@Suite("OpenAI server", .timeLimit(.minutes(30)))
struct OpenAIServerTests {
    private static let chat = #"{"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}]}"#
    private static let streamedChat =
        #"{"messages": [{"role": "user", "content": "Hi"}], "stream": true, "#
        + #""stream_options": {"include_usage": true}}"#

    @Test("A chat is answered with the model's text, why it ended, and what it cost")
    func chatIsAnswered() async throws {
        let service = try FakeService(saying: "Héllo!")
        try await RunningServer.with(service) { port in
            let answer = try await RawClient.request(port, "POST", "/v1/chat/completions", body: Self.chat)
            let json = try OrderedJSON(parsing: answer.body)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json")
            #expect(answer.headers["date"]?.hasSuffix(" GMT") == true)
            let choice = json["choices"]?.arrayValue?.first
            #expect(choice?["message"]?["content"] == .string("Héllo!"))
            #expect(choice?["finish_reason"] == .string("stop"))
            #expect(json["usage"]?["completion_tokens"] == .int(7))
            #expect(json["usage"]?["prompt_tokens_details"]?["cached_tokens"] == .int(2))
            #expect(json["id"]?.stringValue?.hasPrefix("chatcmpl-") == true)
        }
        #expect(service.requests.first?.sampling.maxTokens ?? 0 > 1_900)
    }

    @Test(
        "A streamed chat says its role, its text in pieces, its reason, its usage, and that it is done"
    )
    func chatIsStreamed() async throws {
        try await RunningServer.with(try FakeService(saying: "Hello there")) { port in
            let answer = try await RawClient.request(
                port, "POST", "/v1/chat/completions", body: Self.streamedChat)
            #expect(answer.headers["content-type"] == "text/event-stream; charset=utf-8")
            #expect(answer.events.last == "[DONE]")
            let chunks = try answer.events.dropLast().map { try OrderedJSON(parsing: $0) }
            let choices = chunks.compactMap { $0["choices"]?.arrayValue?.first }
            #expect(choices.first?["delta"]?["role"] == .string("assistant"))
            #expect(choices.compactMap { $0["delta"]?["content"]?.stringValue }.joined() == "Hello there")
            #expect(choices.last?["finish_reason"] == .string("stop"))
            #expect(choices.last?["delta"] == .object([]))
            #expect(chunks.last?["choices"] == .array([]))
            #expect(chunks.last?["usage"]?["completion_tokens"] == .int(11))
        }
    }

    @Test("Several choices get seeds of their own, and are told apart by index", arguments: [true, false])
    func severalChoices(streams: Bool) async throws {
        let service = try FakeService { .text("choice \($0.sampling.seed ?? 0)", for: $0) }
        try await RunningServer.with(service) { port in
            let body = #"{"prompt": "a", "n": 3, "seed": 5, "stream": \#(streams)}"#
            let answer = try await RawClient.request(port, "POST", "/v1/completions", body: body)
            var texts = ["", "", ""]
            for text in streams ? Array(answer.events.dropLast()) : [answer.body] {
                for choice in try OrderedJSON(parsing: text)["choices"]?.arrayValue ?? [] {
                    texts[choice["index"]?.intValue ?? 0] += choice["text"]?.stringValue ?? ""
                }
            }
            #expect(texts == ["choice 5", "choice 6", "choice 7"])
        }
    }

    @Test(
        "What is wrong is told with a status and in OpenAI's shape",
        arguments: [
            ("POST", "/v1/chat/completions", "{", 400, "BadRequestError"),
            ("POST", "/v1/chat/completions", #"{"messages": []}"#, 400, "BadRequestError"),
            ("POST", "/v1/completions", #"{"prompt": "a", "model": "other"}"#, 404, "NotFoundError"),
            ("POST", "/v1/nothing", "{}", 404, "NotFoundError"),
            ("GET", "/v1/chat/completions", nil, 405, "MethodNotAllowedError"),
            (
                "POST", "/v1/completions", String(repeating: " ", count: 5_000), 413,
                "RequestEntityTooLargeError"
            ),
            ("GET", "/v1/models/other", nil, 404, "NotFoundError"),
        ] as [(String, String, String?, Int, String)])
    func errors(method: String, path: String, body: String?, status: Int, type: String) async throws {
        try await RunningServer.with(
            try FakeService(saying: "a"), configure: { $0.maxRequestBytes = 4_000 }
        ) { port in
            let answer = try await RawClient.request(port, method, path, body: body)
            let error = try OrderedJSON(parsing: answer.body)["error"]
            #expect(answer.status == status)
            #expect(error?["type"] == .string(type))
            #expect(error?["code"] == .int(status))
            #expect(error?["message"]?.stringValue?.isEmpty == false)
        }
    }

    @Test("Without one of the keys nothing but probes and metrics is answered")
    func keys() async throws {
        try await RunningServer.with(
            try FakeService(saying: "a"), configure: { $0.apiKeys = ["secret", "other"] }
        ) { port in
            #expect(try await RawClient.request(port, "GET", "/v1/models").status == 401)
            for (key, status) in [("other", 200), ("secret", 200), ("secre", 401), ("secret1", 401)] {
                let answer = try await RawClient.request(
                    port, "GET", "/v1/models", headers: ["Authorization: Bearer \(key)"])
                #expect(answer.status == status)
            }
            #expect(try await RawClient.request(port, "GET", "/health").status == 200)
            #expect(try await RawClient.request(port, "GET", "/metrics").status == 200)
        }
    }

    @Test("A full queue is told with 429 and when to come back, and takes the next when it has room")
    func fullQueue() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let service = try HeldService(gate)
        try await RunningServer.with(service, configure: { $0.maxQueue = 1 }) { port in
            let first = try RawClient(port: port)
            try await first.send(RawClient.text("POST", "/v1/chat/completions", body: Self.chat))
            var beginnings = service.begun.makeAsyncIterator()
            await beginnings.next()
            let second = try await RawClient.request(port, "POST", "/v1/chat/completions", body: Self.chat)
            #expect(second.status == 429)
            #expect(second.headers["retry-after"] == "1")
            open.finish()
            #expect(try await first.receive(until: "Hello!").contains("200 OK"))
            let third = try await RawClient.request(port, "POST", "/v1/chat/completions", body: Self.chat)
            #expect(third.status == 200)
            #expect(
                try await RawClient.request(port, "GET", "/metrics").body
                    .contains(#"vllm:admission_rejections_total{engine="0",model_name="fake-model"} 1.0"#))
        }
    }

    @Test("An engine's failure is a status before the stream, and a data line in it")
    func failures() async throws {
        let early = try FakeService { _ in throw EngineError.queueFull }
        try await RunningServer.with(early) { port in
            let answer = try await RawClient.request(
                port, "POST", "/v1/chat/completions", body: Self.streamedChat)
            #expect(answer.status == 429)
        }
        let late = try FakeService { request in
            var script = FakeService.Script.text("Hello", for: request)
            script.updates.removeLast()
            script.failure = EngineError.badRequest("broken")
            return script
        }
        try await RunningServer.with(late) { port in
            let answer = try await RawClient.request(
                port, "POST", "/v1/chat/completions", body: Self.streamedChat)
            #expect(answer.status == 200)
            #expect(answer.events.last == "[DONE]")
            let error = try OrderedJSON(parsing: answer.events.dropLast().last ?? "null")
            #expect(error["error"]?["message"] == .string("broken"))
        }
    }

    @Test("Connections are kept for the next request")
    func keepAlive() async throws {
        try await RunningServer.with(try FakeService(saying: "kept")) { port in
            let client = try RawClient(port: port)
            for _ in 0..<3 {
                try await client.send(RawClient.text("POST", "/v1/chat/completions", body: Self.chat))
                #expect(try await client.receive(until: "kept").contains("200 OK"))
            }
            try await client.send(
                RawClient.text("POST", "/v1/chat/completions", body: Self.streamedChat))
            #expect(try await client.receive(until: "[DONE]").contains("kep"))
            try await client.send(RawClient.text("GET", "/health"))
            #expect(try await client.receive(until: "200 OK").contains("200 OK"))
        }
    }

    @Test("Adapters are loaded, served under their name, and unloaded")
    func adapters() async throws {
        let service = try FakeService(saying: "a")
        try await RunningServer.with(service) { port in
            let steps: [(path: String, body: String, status: Int)] = [
                ("/v1/load_lora_adapter", #"{"lora_name": "x", "lora_path": "missing"}"#, 400),
                ("/v1/load_lora_adapter", #"{"lora_name": "x", "lora_path": "dir"}"#, 200),
                ("/v1/load_lora_adapter", #"{"lora_name": "x", "lora_path": "dir"}"#, 400),
                ("/v1/completions", #"{"model": "x", "prompt": "a"}"#, 200),
                ("/v1/unload_lora_adapter", #"{"lora_name": "x"}"#, 200),
                ("/v1/unload_lora_adapter", #"{"lora_name": "x"}"#, 404),
                ("/v1/completions", #"{"model": "x", "prompt": "a"}"#, 404),
            ]
            for (index, step) in steps.enumerated() {
                let answer = try await RawClient.request(port, "POST", step.path, body: step.body)
                #expect(answer.status == step.status, "step \(index): \(answer.body)")
            }
        }
        #expect(service.requests.first?.adapter == "x")
    }
}
