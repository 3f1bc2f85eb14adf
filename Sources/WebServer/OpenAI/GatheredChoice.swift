// The whole of one generation, put together from its updates.
import Inference

/// Everything that one generation said.
struct GatheredChoice: Sendable {
    var ids: [Int32] = []
    var text = ""
    var logprobs: [TokenLogprob] = []
    var finishReason: FinishReason?
    var stopReason: StopReason?
    var promptTokens = 0
    var cachedTokens = 0
    var promptLogprobs: [TokenLogprob?]?

    mutating func add(_ update: GenerationUpdate) {
        ids += update.newIDs
        text += update.text
        logprobs += update.logprobs
        finishReason = update.finishReason ?? finishReason
        stopReason = update.stopReason ?? stopReason
        promptTokens = max(promptTokens, update.promptTokens)
        cachedTokens = max(cachedTokens, update.cachedTokens)
        promptLogprobs = update.promptLogprobs ?? promptLogprobs
    }
}

/// Sums the usage of generations. Choices of one prompt share it, so it counts once.
struct UsageCount: Sendable {
    private let choicesPerPrompt: Int
    private var prompts: [Int]
    private var cached: [Int]
    private var completions: [Int]

    init(choices: Int, choicesPerPrompt: Int) {
        self.choicesPerPrompt = choicesPerPrompt
        let promptCount = choices / choicesPerPrompt
        prompts = Array(repeating: 0, count: promptCount)
        cached = prompts
        completions = Array(repeating: 0, count: choices)
    }

    mutating func add(choice: Int, _ update: GenerationUpdate) {
        add(
            choice: choice, prompt: update.promptTokens, cached: update.cachedTokens, new: update.newIDs.count
        )
    }

    mutating func add(choice: Int, prompt: Int, cached cachedTokens: Int, new: Int) {
        let index = choice / choicesPerPrompt
        prompts[index] = max(prompts[index], prompt)
        // The second choice of a prompt finds the first one's blocks; only what was there before is told.
        if choice % choicesPerPrompt == 0 { cached[index] = max(cached[index], cachedTokens) }
        completions[choice] += new
    }

    var total: TokenUsage {
        TokenUsage(
            promptTokens: prompts.reduce(0, +), completionTokens: completions.reduce(0, +),
            cachedTokens: cached.reduce(0, +))
    }

    /// The usage so far, seen from one choice, as vLLM's continuous statistics have it.
    func usage(ofChoice choice: Int) -> TokenUsage {
        let index = choice / choicesPerPrompt
        return TokenUsage(
            promptTokens: prompts[index], completionTokens: completions[choice], cachedTokens: cached[index])
    }
}
