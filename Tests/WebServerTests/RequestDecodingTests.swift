// Bodies of requests: what they mean, and what is said of the wrong ones.
import Inference
import Testing
import Text

@testable import WebServer

@Suite("Request bodies")
struct RequestDecodingTests {
    static func context(_ defaults: SamplingDefaults = SamplingDefaults()) throws -> GenerationOptions.Context
    {
        .init(tokenizer: try ByteTokenizer.make(), defaults: defaults, maxModelLength: 100)
    }

    private static func chat(_ fields: String, _ defaults: SamplingDefaults = .init()) throws -> ChatRequest {
        let body =
            #"{"messages": [{"role": "user", "content": "Hi"}]"# + (fields.isEmpty ? "" : ", ") + fields + "}"
        return try ChatRequest(try OrderedJSON(parsing: body), try context(defaults))
    }

    private static func error(_ body: () throws -> Void) -> APIError? {
        do {
            try body()
            return nil
        } catch {
            return error as? APIError
        }
    }

    @Test("Every field of sampling arrives")
    func sampling() throws {
        let request = try Self.chat(
            """
            "temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.05, "repetition_penalty": 1.1,
            "presence_penalty": 0.2, "frequency_penalty": -0.3, "seed": -1, "max_tokens": 5,
            "max_completion_tokens": 6, "min_tokens": 2, "stop": "x", "stop_token_ids": [3, 4],
            "include_stop_str_in_output": true, "ignore_eos": true, "skip_special_tokens": false,
            "logprobs": true, "top_logprobs": 3, "prompt_logprobs": 2, "allowed_token_ids": [1, 2],
            "bad_words": ["ab"], "logit_bias": {"5": 200, "6": -1.5}, "priority": -3, "cache_salt": "s",
            "n": 2, "best_of": 2, "temperature": 0.7, "mystery": 1
            """)
        var wanted = SamplingParameters(maxTokens: 1)
        wanted.temperature = 0.7
        wanted.topP = 0.9
        wanted.topK = 7
        wanted.minP = 0.05
        wanted.repetitionPenalty = 1.1
        wanted.presencePenalty = 0.2
        wanted.frequencyPenalty = -0.3
        wanted.seed = .max
        wanted.minTokens = 2
        wanted.stop = ["x"]
        wanted.stopTokenIDs = [3, 4]
        wanted.includeStopString = true
        wanted.ignoreEOS = true
        wanted.skipSpecialTokens = false
        wanted.logprobs = 3
        wanted.promptLogprobs = 2
        wanted.allowedTokenIDs = [1, 2]
        wanted.badWordsIDs = [[97, 98]]
        wanted.logitBias = [5: 100, 6: -1.5]
        #expect(request.options.sampling == wanted)
        #expect(request.options.maxTokens == 6)
        #expect(request.options.choices == 2)
        #expect(request.options.priority == -3)
        #expect(request.options.cacheSalt == "s")
        #expect(request.unknownFields == ["mystery"])
    }

    @Test("The model's own defaults stand behind a request, and OpenAI's behind them")
    func defaults() throws {
        let defaults = SamplingDefaults(temperature: 0.6, topK: 20, maxNewTokens: 30)
        let request = try Self.chat(#""top_k": 3, "stop": null, "model": null"#, defaults)
        #expect(request.options.sampling.temperature == 0.6)
        #expect(request.options.sampling.topK == 3)
        #expect(request.options.sampling.topP == 1)
        let context = try Self.context(defaults)
        #expect(try request.options.sampling(promptTokens: 10, context).maxTokens == 30)
        #expect(try request.options.sampling(promptTokens: 90, context).maxTokens == 10)
    }

    @Test(
        "A wrong field is named with its path",
        arguments: [
            (#""temperature": "hot""#, "temperature"), (#""n": 0"#, "n"), (#""n": 1.5"#, "n"),
            (#""best_of": 2"#, "best_of"), (#""stop": [1]"#, "stop[0]"),
            (#""logit_bias": {"x": 1}"#, "logit_bias"),
            (#""logit_bias": {"999999": 1}"#, "logit_bias"),
            (#""stop_token_ids": [-1]"#, "stop_token_ids[0]"),
            (#""guided_regex": "a""#, "guided_regex"), (#""use_beam_search": true"#, "use_beam_search"),
            (#""stream_options": {}"#, "stream_options"), (#""top_logprobs": 2"#, "top_logprobs"),
            (#""max_tokens": 0"#, "max_tokens"), (#""cache_salt": """#, "cache_salt"),
            (#""response_format": {"type": "xml"}"#, "response_format.type"),
            (#""response_format": {"type": "json_schema"}"#, "response_format.json_schema"),
            (
                #""response_format": {"type": "json_schema", "json_schema": {}}"#,
                "response_format.json_schema.schema"
            ),
            (#""structured_outputs": {"grammar": "g"}"#, "structured_outputs.grammar"),
            (#""structured_outputs": {"regex": "a", "choice": ["b"]}"#, "structured_outputs"),
            (#""tools": [{"type": "function"}]"#, "tools[0].function"),
            (#""tools": [{"type": "code", "function": {"name": "f"}}]"#, "tools[0].type"),
            (#""tool_choice": "required""#, "tool_choice"),
            (
                #""tools": [{"type": "function", "function": {"name": "f"}}], "#
                    + #""tool_choice": {"function": {"name": "g"}}"#,
                "tool_choice.function.name"
            ),
            (#""continue_final_message": true"#, "continue_final_message"),
            (#""stream": true, "prompt_logprobs": 1"#, "prompt_logprobs"),
            (#""truncate_prompt_tokens": 0"#, "truncate_prompt_tokens"),
            (
                #""messages": [{"role": "user", "content": [{"type": "image_url"}]}]"#,
                "messages[0].content[0].type"
            ),
            (#""messages": [{"role": "user"}]"#, "messages[0].content"), (#""messages": [3]"#, "messages[0]"),
            (
                #""messages": [{"role": "assistant", "#
                    + #""tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]"#,
                "messages[0].tool_calls[0].function.arguments"
            ),
        ])
    func wrongFields(fields: String, path: String) throws {
        let error = Self.error { _ = try Self.chat(fields) }
        #expect(error?.parameter == path)
        #expect(error?.status == 400)
        #expect(error?.message.contains(path) == true)
    }

    @Test("Messages are brought into the shape of templates")
    func messages() throws {
        let request = try Self.chat(
            """
            "messages": [
              {"role": "developer", "content": "Be brief."},
              {"role": "user", "name": "n", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
              {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\\"x\\": 1}"}}]}]
            """)
        let wanted = try OrderedJSON(
            parsing: """
                [{"role": "system", "content": "Be brief."},
                 {"role": "user", "content": "a\\nb", "name": "n"},
                 {"role": "assistant", "content": "", "tool_calls": [
                   {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]}]
                """)
        #expect(OrderedJSON.array(request.messages) == wanted)
    }

    @Test(
        "The form of answers is read from either field",
        arguments: [
            (#""response_format": {"type": "text"}"#, nil),
            (#""response_format": {"type": "json_object"}"#, .jsonObject),
            (
                #""response_format": {"type": "json_schema", "#
                    + #""json_schema": {"name": "n", "schema": {"type": "null"}}}"#,
                .jsonSchema(#"{"type":"null"}"#)
            ),
            (#""structured_outputs": {"json": {"type": "null"}}"#, .jsonSchema(#"{"type":"null"}"#)),
            (#""structured_outputs": {"regex": "a+"}"#, .regex("a+")),
            (#""structured_outputs": {"choice": ["a", "b"]}"#, .choice(["a", "b"])),
        ] as [(String, ConstraintSpecification?)])
    func constraints(fields: String, wanted: ConstraintSpecification?) throws {
        #expect(try Self.chat(fields).constraint == wanted)
    }

    @Test("A forced call is a schema over the tools, references staying inside their own")
    func callSchema() throws {
        let request = try Self.chat(
            """
            "tools": [
              {"type": "function", "function": {"name": "f", "parameters":
                {"type": "object", "properties": {"p": {"$ref": "#/$defs/P"}},
                 "$defs": {"P": {"type": "integer"}}}}},
              {"type": "function", "function": {"name": "g"}}], "tool_choice": "required"
            """)
        let wanted = try OrderedJSON(
            parsing: """
                {"anyOf": [
                  {"type": "object", "properties": {"name": {"enum": ["f"]},
                    "arguments": {"$ref": "#/$defs/tool0"}},
                   "required": ["name", "arguments"], "additionalProperties": false},
                  {"type": "object", "properties": {"name": {"enum": ["g"]}, "arguments":
                    {"type": "object", "properties": {}, "additionalProperties": false}},
                   "required": ["name", "arguments"], "additionalProperties": false}],
                 "$defs": {"tool0": {"type": "object", "properties": {"p": {"$ref": "#/$defs/tool0/$defs/P"}},
                   "$defs": {"P": {"type": "integer"}}}}}
                """)
        #expect(request.tools.callSchema(argumentsKey: "arguments") == wanted)
    }

    @Test("Schemas as deep as JSON may be are carried over whole")
    func deepSchema() throws {
        let depth = 240
        let parameters =
            String(repeating: #"{"properties": {"x": "#, count: depth) + ##"{"$ref": "#"}"##
            + String(repeating: "}}", count: depth)
        let request = try Self.chat(
            #""tools": [{"type": "function", "function": {"name": "f", "parameters": \#(parameters)}}]"#)
        let text = request.tools.callSchema(argumentsKey: "arguments").compactText
        #expect(text.contains(##"{"$ref":"#/$defs/tool0"}"##))
        #expect(text.split(separator: "properties").count > depth)
    }

    @Test(
        "Prompts come as text or ids, one or many",
        arguments: [
            (#""ab""#, [[97, 98]]), (#"["a", "b"]"#, [[97], [98]]), ("[1, 2]", [[1, 2]]),
            ("[[1], [2, 3]]", [[1], [2, 3]]),
        ] as [(String, [[Int32]])])
    func prompts(prompt: String, ids: [[Int32]]) throws {
        let request = try CompletionRequest(
            try OrderedJSON(parsing: #"{"prompt": \#(prompt)}"#), try Self.context())
        #expect(request.prompts == ids)
        #expect(request.options.maxTokens == 16)
    }

    @Test(
        "A prompt is cut from the left, and one that does not fit is refused",
        arguments: [(-1, 99), (3, 3), (200, 150)])
    func truncation(truncation: Int, count: Int) throws {
        var options = try Self.chat("").options
        options.truncation = truncation
        let ids = options.truncated((0..<150).map { Int32($0) }, maxModelLength: 100)
        #expect(ids.count == count)
        #expect(ids.last == 149)
        let error = Self.error { _ = try options.sampling(promptTokens: ids.count, try Self.context()) }
        #expect((error == nil) == (count < 100))
    }
}
