// Damaged request bodies, made from good ones by chance: whatever comes must end in an error or an answer.
import Inference
import TestSupport
import Testing
import Text

@testable import WebServer

@Suite("Damaged request bodies")
struct RequestFuzzTests {
    /// Has the fields of every route, so that one body serves all.
    private static let body = Array(
        ##"""
        {"messages":[{"role":"user","content":[{"type":"text","text":"é"}],"tool_calls":[{"id":"1",
        "function":{"name":"f","arguments":"{}"}}]}],"prompt":[[1,2],[3]],"input":"a","tokens":[1],"n":2,
        "stop":["a"],"logit_bias":{"1":2},"tools":[{"type":"function","function":{"name":"f","parameters":
        {"$ref":"#"}}}],"tool_choice":{"function":{"name":"f"}},"response_format":{"type":"json_schema",
        "json_schema":{"schema":{}}},"stream":true,"stream_options":{"include_usage":true},
        "max_tokens":9223372036854775807,"top_k":-9223372036854775808,"chat_template_kwargs":{"a":1},
        "truncate_prompt_tokens":-1,"bad_words":["x"],"allowed_token_ids":[1],"echo":true,"logprobs":1}
        """##.utf8)

    private static let tokens = [
        "null", "-1", "1e999", "{}", "[]", #""""#, "true", "9223372036854775808", "0.5", #""\u0000""#, "[[]]",
    ].map { Array($0.utf8) }

    @Test("Damaged bodies give errors, never traps", arguments: 0..<8)
    func damaged(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let context = try RequestDecodingTests.context()
        let prompt = try ChatPrompt(tokenizer: context.tokenizer, override: nil, trustsRequests: false)
        var (readable, understood) = (0, 0)
        for _ in 0..<150 {
            let bytes = Self.damage(Self.body, &generator)
            guard let json = try? OrderedJSON(parsingUTF8: bytes) else { continue }
            readable += 1
            understood += Self.useEverywhere(json, context, prompt)
        }
        #expect(readable > 10)
        #expect(understood > 10)
    }

    /// Gives the body to every route's reader; returns how many understood it.
    private static func useEverywhere(
        _ json: OrderedJSON, _ context: GenerationOptions.Context, _ prompt: ChatPrompt
    ) -> Int {
        let now = Timestamp(seconds: 0)
        var understood = 0
        if let request = try? ChatRequest(json, context) {
            understood += 1
            _ = try? ChatPlan(request, prompt, context, ServingSettings(), now: now)
            _ = request.tools.callSchema(argumentsKey: "a").compactText
        }
        if let request = try? CompletionRequest(json, context) {
            understood += 1
            _ = try? request.options.sampling(promptTokens: 1, context)
        }
        if (try? EmbeddingRequest(json, context)) != nil { understood += 1 }
        if (try? TokenRequests.tokenize(json, context, prompt, now: now)) != nil { understood += 1 }
        if (try? TokenRequests.detokenize(json, context)) != nil { understood += 1 }
        return understood
    }

    private static func damage(_ body: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = body
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let place = Int.random(in: bytes.indices, using: &generator)
            let token = tokens.randomElement(using: &generator) ?? []
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(contentsOf: token, at: place)
            default: replaceValue(in: &bytes, near: place, with: token)
            }
        }
        return bytes
    }

    /// Puts a token in the place of the value behind the next colon, so that the text stays JSON.
    private static func replaceValue(in bytes: inout [UInt8], near place: Int, with token: [UInt8]) {
        guard let colon = bytes[place...].firstIndex(of: UInt8(ascii: ":")),
            let end = bytes[colon...].firstIndex(where: { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") }
            )
        else { return }
        bytes.replaceSubrange((colon + 1)..<end, with: token)
    }
}
