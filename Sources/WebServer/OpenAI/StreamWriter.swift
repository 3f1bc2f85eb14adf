// From the engine's updates to the chunks of a stream. Pure: what goes where is decided here, and sent
// elsewhere.
import Inference
import Text

/// Makes the chunks of one streamed answer.
protocol StreamWriter {
    /// The chunks for one update of one choice.
    mutating func chunks(_ update: GenerationUpdate, choice index: Int) -> [OrderedJSON]
    /// The chunks behind the last update of all choices.
    mutating func ending() -> [OrderedJSON]
}

/// Chunks of a chat answer.
struct ChatStreamWriter: StreamWriter {
    private struct Choice {
        var answer: ChatAnswerStream
        var hasBegun = false
        /// Tokens whose text is still held back.
        var tokens = ChatResponse.NewTokens()
    }

    private let response: ChatResponse
    private var choices: [Choice]
    private var usage: UsageCount

    init(_ response: ChatResponse, choices count: Int) {
        self.response = response
        choices = (0..<count).map { _ in Choice(answer: ChatAnswerStream(response.format)) }
        usage = UsageCount(choices: count, choicesPerPrompt: count)
    }

    private func usage(ofChoice index: Int) -> TokenUsage? {
        response.request.options.usageInEveryChunk ? usage.usage(ofChoice: index) : nil
    }

    mutating func chunks(_ update: GenerationUpdate, choice index: Int) -> [OrderedJSON] {
        usage.add(choice: index, update)
        var chunks: [OrderedJSON] = []
        if !choices[index].hasBegun {
            choices[index].hasBegun = true
            chunks.append(response.opening(choice: index, usage: usage(ofChoice: index)))
        }
        choices[index].tokens.ids += update.newIDs
        choices[index].tokens.logprobs += update.logprobs
        var pieces = choices[index].answer.feed(update.text)
        if update.finishReason != nil { pieces += choices[index].answer.finish() }
        for piece in pieces {
            chunks.append(
                response.piece(
                    piece, choice: index, tokens: takeTokens(index), usage: usage(ofChoice: index)))
        }
        if let reason = update.finishReason {
            chunks.append(
                response.closing(
                    choice: index, reason, update.stopReason, hasCalls: choices[index].answer.hasCalls,
                    tokens: takeTokens(index), usage: usage(ofChoice: index)))
        }
        return chunks
    }

    private mutating func takeTokens(_ index: Int) -> ChatResponse.NewTokens {
        defer { choices[index].tokens = ChatResponse.NewTokens() }
        return choices[index].tokens
    }

    mutating func ending() -> [OrderedJSON] {
        response.request.options.includesUsage ? [response.usageChunk(usage.total)] : []
    }
}

/// Chunks of a completion answer.
struct CompletionStreamWriter: StreamWriter {
    private let response: CompletionResponse
    private var choices: [CompletionResponse.StreamedChoice]
    private var usage: UsageCount

    init(_ response: CompletionResponse, choices count: Int) {
        self.response = response
        choices = Array(repeating: CompletionResponse.StreamedChoice(), count: count)
        usage = UsageCount(choices: count, choicesPerPrompt: response.request.options.choices)
    }

    mutating func chunks(_ update: GenerationUpdate, choice index: Int) -> [OrderedJSON] {
        var counted = update
        if response.request.promptOnly { counted.newIDs = [] }
        usage.add(choice: index, counted)
        let options = response.request.options
        let now = options.usageInEveryChunk ? usage.usage(ofChoice: index) : nil
        return response.chunk(update, choice: index, &choices[index], usage: now).map { [$0] } ?? []
    }

    mutating func ending() -> [OrderedJSON] {
        response.request.options.includesUsage ? [response.usageChunk(usage.total)] : []
    }
}
