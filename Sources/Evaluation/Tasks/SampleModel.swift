// What tasks ask of a model, whether it runs in this process or behind an OpenAI address.

/// The likelihood of a continuation after a context.
package struct LikelihoodRequest: Sendable, Hashable {
    package var context: PromptText
    package var continuation: String

    package init(context: PromptText, continuation: String) {
        self.context = context
        self.continuation = continuation
    }
}

/// The likelihood of one continuation.
package struct LikelihoodResult: Sendable, Hashable {
    /// The sum of the tokens' natural log-probabilities.
    package var sum: Double
    /// Whether greedy decoding would have written exactly this.
    package var isGreedy: Bool
    /// How many tokens the continuation has.
    package var tokens: Int

    package init(sum: Double, isGreedy: Bool, tokens: Int) {
        self.sum = sum
        self.isGreedy = isGreedy
        self.tokens = tokens
    }
}

/// The likelihood of a whole text, each token once, in windows as long as the model allows.
package struct RollingLikelihood: Sendable, Hashable {
    /// The sum of the tokens' natural log-probabilities.
    package var sum: Double
    package var tokens: Int

    package init(sum: Double, tokens: Int) {
        self.sum = sum
        self.tokens = tokens
    }
}

/// Text that a model writes on from a prompt, `count` times.
package struct CompletionRequest: Sendable, Hashable {
    package var request: GenerationRequest
    package var sampling: CompletionSampling
    /// How many completions, at least 1.
    package var count: Int

    package init(
        request: GenerationRequest, sampling: CompletionSampling = CompletionSampling(), count: Int = 1
    ) {
        self.request = request
        self.sampling = sampling
        self.count = count
    }
}

/// How completions are drawn; greedy unless told otherwise.
package struct CompletionSampling: Sendable, Hashable {
    /// 0 takes the likeliest token always.
    package var temperature: Double
    package var topP: Double
    /// nil for no limit.
    package var topK: Int?
    package var seed: UInt64

    package init(temperature: Double = 0, topP: Double = 1, topK: Int? = nil, seed: UInt64 = 42) {
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.seed = seed
    }
}

/// One completion.
package struct Completion: Sendable, Hashable {
    /// Without the prompt and without the stop string.
    package var text: String
    package var tokens: Int
    /// `stop` if the model ended by itself or at a stop string, `length` if it was cut.
    package var finishReason: String

    package init(text: String, tokens: Int, finishReason: String) {
        self.text = text
        self.tokens = tokens
        self.finishReason = finishReason
    }
}

/// A model that can be evaluated. Each function answers all requests; `each` is called once a request with
/// its index, in any order, as soon as the answer is known, from one task at a time. What `each` throws ends
/// the whole call.
package protocol SampleModel: Sendable {
    /// The likelihood of each continuation. Trailing spaces of the context belong to the continuation: the
    /// model moves them before it encodes.
    func logLikelihoods(
        _ requests: [LikelihoodRequest], each: (Int, LikelihoodResult) throws -> Void
    ) async throws

    /// The likelihood of each text from its first token on.
    func rollingLogLikelihoods(
        _ texts: [String], each: (Int, RollingLikelihood) throws -> Void
    ) async throws

    /// As many completions of each request as it asks for.
    func complete(_ requests: [CompletionRequest], each: (Int, [Completion]) throws -> Void) async throws
}
