// What generates text, as the HTTP server and the command line see it.

package import Models

/// A text to generate.
package struct GenerationRequest: Sendable {
    /// The client's name for it, for logs; not necessarily unique.
    package var id: String
    package var promptIDs: [Int32]
    package var sampling: SamplingParameters
    /// The name of a loaded adapter; nil for the model itself.
    package var adapter: String?
    /// Lower ones go first.
    package var priority: Int
    /// Prompts are shared through the prefix cache only among requests of equal salt.
    package var cacheSalt: String?

    package init(
        id: String, promptIDs: [Int32], sampling: SamplingParameters, adapter: String? = nil,
        priority: Int = 0,
        cacheSalt: String? = nil
    ) {
        self.id = id
        self.promptIDs = promptIDs
        self.sampling = sampling
        self.adapter = adapter
        self.priority = priority
        self.cacheSalt = cacheSalt
    }
}

/// Why a text ended. The raw value is OpenAI's.
package enum FinishReason: String, Sendable, Hashable {
    case stop, length, abort
}

/// What of the request's own stops ended a text; nil where it was the model's end token.
package enum StopReason: Sendable, Hashable {
    case string(String)
    case token(Int32)
}

/// What a generation has to tell since the update before.
package struct GenerationUpdate: Sendable, Hashable {
    package var newIDs: [Int32]
    /// Whole characters, none of which may turn out to be part of a stop string.
    package var text: String
    /// One for each new id, if the request asks for them.
    package var logprobs: [TokenLogprob]
    /// Set in the last update, and only there.
    package var finishReason: FinishReason?
    package var stopReason: StopReason?
    package var promptTokens: Int
    /// Tokens of the prompt that came from the prefix cache.
    package var cachedTokens: Int
    /// With the first update, if the request asks for them: one for each token of the prompt, nil for the first.
    package var promptLogprobs: [TokenLogprob?]?

    package init(
        newIDs: [Int32] = [], text: String = "", logprobs: [TokenLogprob] = [],
        finishReason: FinishReason? = nil,
        stopReason: StopReason? = nil, promptTokens: Int = 0, cachedTokens: Int = 0,
        promptLogprobs: [TokenLogprob?]? = nil
    ) {
        self.newIDs = newIDs
        self.text = text
        self.logprobs = logprobs
        self.finishReason = finishReason
        self.stopReason = stopReason
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.promptLogprobs = promptLogprobs
    }
}

/// Why the engine does not take a request.
package enum EngineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// As many requests wait as may; try again.
    case queueFull
    case tooLong(String)
    case unknownAdapter(String)
    case badRequest(String)

    package var description: String {
        switch self {
        case .queueFull: "too many requests wait already; try again in a moment"
        case .tooLong(let text), .badRequest(let text): text
        case .unknownAdapter(let name): "no adapter \"\(name)\" is loaded; load it first, or name the model"
        }
    }
}

/// What an engine is doing, for metrics.
package struct EngineStatistics: Sendable, Hashable {
    package var runningRequests = 0
    package var waitingRequests = 0
    /// Used blocks of the KV cache as a share of all, from 0 to 1.
    package var kvCacheUsage = 0.0
    /// Tokens in a block of the KV cache.
    package var blockSize = 16
    package var totalBlocks = 0
    /// Since the start: sequences that had to give up their blocks and were computed again.
    package var preemptions = 0
    /// Since the start: prompt tokens looked up in the prefix cache, and found there.
    package var prefixCacheQueries = 0
    package var prefixCacheHits = 0

    package init() {}
}

/// An engine with one model.
package protocol InferenceService: Sendable {
    var modelName: String { get }
    /// Tokens of a sequence, prompt and output.
    var maxModelLength: Int { get }
    var tokenizer: Tokenizer { get }
    /// Begins to generate. Ending the iteration aborts the request.
    /// - Throws: `EngineError` or `ConstraintError`.
    func generate(_ request: GenerationRequest) async throws -> AsyncThrowingStream<
        GenerationUpdate, any Error
    >
    /// The final hidden state of the last token, not normalized to unit length.
    func embed(_ ids: [Int32], adapter: String?) async throws -> [Float]
    func loadAdapter(name: String, path: String) async throws
    func unloadAdapter(name: String) async throws
    func adapterNames() async -> [String]
    func statistics() async -> EngineStatistics
    /// Returns when nothing runs or waits.
    func drain() async
}
