// The body of POST /v1/chat/completions, field by field.
import Inference
import Text

/// A chat request as the client meant it, before its prompt is rendered.
struct ChatRequest: Sendable {
    var options: GenerationOptions
    /// In the shape that chat templates expect.
    var messages: [OrderedJSON]
    var tools: ToolDefinitions
    var constraint: ConstraintSpecification?
    /// How many alternatives to report for each token, nil for no log-probabilities.
    var topLogprobs: Int?
    var addsGenerationPrompt = true
    var continuesFinalMessage = false
    var addsSpecialTokens = false
    /// Begin the answer with the text of the last message, if it is of the same role.
    var echoes = false
    var documents: OrderedJSON?
    /// More variables for the template, such as `enable_thinking`.
    var templateArguments: [String: OrderedJSON] = [:]
    /// A template of the request's own.
    var chatTemplate: String?
    /// False leaves the text between think tags out of the answer.
    var includesReasoning = true
    /// Fields that were not understood.
    var unknownFields: [String] = []

    init(
        _ body: OrderedJSON, _ context: GenerationOptions.Context, knowsDeveloper: Bool = false
    ) throws(APIError) {
        var fields = try FieldReader(body)
        messages = try ChatMessages.read(&fields, knowsDeveloper: knowsDeveloper)
        options = try GenerationOptions(&fields, context)
        tools = try ToolDefinitions(&fields)
        constraint = try StructuredOutput.read(&fields)
        options.maxTokens = try fields.int("max_tokens", in: 1 ... .max)
        if let limit = try fields.int("max_completion_tokens", in: 1 ... .max) { options.maxTokens = limit }
        try readLogprobs(&fields)
        try readTemplate(&fields)
        if tools.mustCall && constraint != nil {
            throw fields.refused(
                "tool_choice",
                "forces a call and cannot be combined with `response_format` or "
                    + "`structured_outputs`; leave one of them out")
        }
        for key in ["audio", "web_search_options"] where fields.value(key) != nil {
            throw fields.refused(key, "is not supported by this server; leave it out")
        }
        unknownFields = fields.unknown
    }

    private mutating func readLogprobs(_ fields: inout FieldReader) throws(APIError) {
        let wanted = try fields.bool("logprobs") ?? false
        let top = try fields.int("top_logprobs", in: 0...SamplingParameters.maxLogprobs)
        if let top, top > 0, !wanted {
            throw fields.refused("top_logprobs", "needs `\"logprobs\": true`")
        }
        topLogprobs = wanted ? top ?? 0 : nil
        options.sampling.logprobs = topLogprobs
    }

    private mutating func readTemplate(_ fields: inout FieldReader) throws(APIError) {
        addsGenerationPrompt = try fields.bool("add_generation_prompt") ?? true
        continuesFinalMessage = try fields.bool("continue_final_message") ?? false
        if addsGenerationPrompt && continuesFinalMessage {
            throw fields.refused(
                "continue_final_message",
                "needs `\"add_generation_prompt\": false`: an answer either begins or "
                    + "continues a message")
        }
        addsSpecialTokens = try fields.bool("add_special_tokens") ?? false
        echoes = try fields.bool("echo") ?? false
        documents = try fields.array("documents", limit: 1_000).map { .array($0) }
        chatTemplate = try fields.string("chat_template")
        includesReasoning = try fields.bool("include_reasoning") ?? true
        if let effort = try fields.string("reasoning_effort") {
            templateArguments["reasoning_effort"] = .string(effort)
            // Templates of the Qwen3 kind know only on and off.
            if effort == "none" { templateArguments["enable_thinking"] = .bool(false) }
        }
        for member in try fields.object("chat_template_kwargs")?.objectValue ?? [] {
            templateArguments[member.key] = member.value
        }
    }

    /// The role of the answer.
    var answerRole: String {
        addsGenerationPrompt ? "assistant" : messages.last?["role"]?.stringValue ?? "assistant"
    }

    /// The text that the answer begins with.
    var echoedText: String {
        guard echoes, let last = messages.last, last["role"]?.stringValue == answerRole else { return "" }
        return last["content"]?.stringValue ?? ""
    }
}
