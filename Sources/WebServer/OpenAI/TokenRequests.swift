// POST /tokenize and /detokenize, with vLLM's bodies.
import Models
import Text

enum TokenRequests {
    /// Answers /tokenize: `prompt`, or `messages` by the chat template.
    static func tokenize(
        _ body: OrderedJSON, _ context: GenerationOptions.Context, _ prompt: ChatPrompt, now: Timestamp
    ) throws(APIError) -> OrderedJSON {
        var fields = try FieldReader(body)
        fields.ignore(["model"])
        let text: String
        var addsSpecialTokens = try fields.bool("add_special_tokens")
        if fields.value("messages") != nil {
            text = try render(&fields, prompt, now)
            // Templates print the special tokens themselves.
            addsSpecialTokens = addsSpecialTokens ?? false
        } else {
            text = try fields.requiredString("prompt")
        }
        let ids = context.tokenizer.encode(text, addSpecialTokens: addsSpecialTokens ?? true)
        var strings = OrderedJSON.null
        if try fields.bool("return_token_strs") == true {
            strings = .array(ids.map { .string(context.tokenizer.token($0) ?? "") })
        }
        return .object([
            .init("count", .int(ids.count)), .init("max_model_len", .int(context.maxModelLength)),
            .init("tokens", .array(ids.map { .int(Int($0)) })), .init("token_strs", strings),
        ])
    }

    private static func render(
        _ fields: inout FieldReader, _ prompt: ChatPrompt, _ now: Timestamp
    ) throws(APIError) -> String {
        let messages = try ChatMessages.read(&fields, knowsDeveloper: prompt.knowsDeveloper)
        let tools = try ToolDefinitions(&fields)
        let continues = try fields.bool("continue_final_message") ?? false
        let adds = try fields.bool("add_generation_prompt") ?? true
        if adds && continues {
            throw fields.refused("continue_final_message", "needs `\"add_generation_prompt\": false`")
        }
        var arguments: [String: OrderedJSON] = [:]
        for member in try fields.object("chat_template_kwargs")?.objectValue ?? [] {
            arguments[member.key] = member.value
        }
        return try prompt.render(
            messages: messages, tools: tools.json, addsGenerationPrompt: adds,
            continuesFinalMessage: continues, arguments: arguments,
            requestTemplate: try fields.string("chat_template"), now: now)
    }

    /// Answers /detokenize.
    static func detokenize(
        _ body: OrderedJSON, _ context: GenerationOptions.Context
    ) throws(APIError) -> OrderedJSON {
        var fields = try FieldReader(body)
        fields.ignore(["model"])
        guard
            let ids = try fields.tokenIDs(
                "tokens", vocabularySize: context.tokenizer.vocabularySize, limit: .max)
        else { throw fields.missing("tokens", "an array of token ids") }
        return .object([.init("prompt", .string(context.tokenizer.decode(ids, skipSpecialTokens: false)))])
    }
}
