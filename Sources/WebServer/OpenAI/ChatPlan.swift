// From a chat request to the prompt's ids and the sampling: where template, tools and constraints meet.
import Inference
import Models
import Text

/// What the engine is asked for, and how its text is to be read.
struct ChatPlan: Sendable {
    var promptIDs: [Int32]
    var sampling: SamplingParameters
    var format: ChatAnswerFormat

    init(
        _ request: ChatRequest, _ prompt: ChatPrompt, _ context: GenerationOptions.Context,
        _ settings: ServingSettings, now: Timestamp
    ) throws(APIError) {
        let text = try prompt.render(
            messages: request.messages, tools: request.tools.json, documents: request.documents,
            addsGenerationPrompt: request.addsGenerationPrompt,
            continuesFinalMessage: request.continuesFinalMessage, arguments: request.templateArguments,
            requestTemplate: request.chatTemplate, now: now)
        var ids = context.tokenizer.encode(text, addSpecialTokens: request.addsSpecialTokens)
        format = ChatAnswerFormat(
            splitsReasoning: settings.splitsReasoning, prompt: text,
            includesReasoning: request.includesReasoning)
        var options = request.options
        options.sampling.constraint = request.constraint
        try Self.addTools(request.tools, prompt, settings, to: &format)
        ids = options.truncated(ids, maxModelLength: context.maxModelLength)
        if format.mustCall, let toolFormat = format.toolFormat {
            // The answer is JSON by constraint; what stands in front of it in the model's own format is put
            // into the prompt, so that the model is where its training has it.
            ids += context.tokenizer.encode(toolFormat.callPrefix, addSpecialTokens: false)
            options.sampling.constraint = .jsonSchema(
                request.tools.callSchema(argumentsKey: toolFormat.argumentsKey).compactText)
        }
        promptIDs = ids
        sampling = try options.sampling(promptTokens: ids.count, context)
    }

    private static func addTools(
        _ tools: ToolDefinitions, _ prompt: ChatPrompt, _ settings: ServingSettings,
        to format: inout ChatAnswerFormat
    ) throws(APIError) {
        if tools.choice == .none { return }
        switch settings.toolParsing {
        case .format(let chosen): format.toolFormat = chosen
        case .auto: format.toolFormat = ToolCallFormat.detect(inTemplate: prompt.source)
        }
        guard format.toolFormat != nil else {
            throw .badRequest(
                "this model's chat template knows no tools; send `\"tool_choice\": \"none\"`, or start the "
                    + "server with `--tool_call_parser`",
                parameter: "tools")
        }
        format.toolNames = Set(tools.functions.map(\.name))
        format.mustCall = tools.mustCall
        format.allowsParallelCalls = tools.allowsParallelCalls
    }
}
