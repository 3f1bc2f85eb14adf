// How the next token of one request is chosen, and when its text ends. The fields are those of OpenAI's API
// and the extra ones of vLLM, in camel case.

/// What a request asks of the sampler. The defaults sample from the model's own distribution, as OpenAI's do.
///
/// The real numbers are `Double`, because requests carry them as JSON numbers and 0.7 is not 0.7 as `Float`.
package struct SamplingParameters: Sendable, Hashable {
    /// Divides the logits. 0, and everything below `greedyTemperature`, takes the most probable token.
    package var temperature: Double = 1
    /// Keeps the k most probable tokens, and those as probable as the k-th. 0 and -1 keep all.
    package var topK = 0
    /// Keeps the most probable tokens that together have at least this probability. 1 keeps all.
    package var topP: Double = 1
    /// Drops tokens less probable than this share of the most probable one. 0 drops none.
    package var minP: Double = 0
    /// Divides positive and multiplies negative logits of tokens in the prompt or the output. 1 changes
    /// nothing.
    package var repetitionPenalty: Double = 1
    /// Taken off the logit of every token that is in the output.
    package var presencePenalty: Double = 0
    /// Taken off the logit of a token once for each time it is in the output.
    package var frequencyPenalty: Double = 0
    /// Added to the logits of single tokens.
    package var logitBias: [Int32: Float] = [:]
    /// Same seed, same request, same model: same tokens. Without one the engine draws it.
    package var seed: UInt64?
    /// Tokens to generate at most.
    package var maxTokens: Int
    /// Tokens to generate before the end may come.
    package var minTokens = 0
    /// Texts that end the output.
    package var stop: [String] = []
    /// Tokens that end the output, besides the model's own end tokens.
    package var stopTokenIDs: [Int32] = []
    /// Whether the text that ended the output is part of it.
    package var includeStopString = false
    /// Go on after the model's end tokens.
    package var ignoreEOS = false
    /// Leave special tokens out of the text.
    package var skipSpecialTokens = true
    /// How many alternatives to report for each token; 0 reports the chosen one only, nil nothing.
    package var logprobs: Int?
    /// The same for the tokens of the prompt.
    package var promptLogprobs: Int?
    /// If given, only these tokens may come.
    package var allowedTokenIDs: [Int32]?
    /// Sequences of tokens that must not come.
    package var badWordsIDs: [[Int32]] = []
    /// The form that the whole output must have.
    package var constraint: ConstraintSpecification?

    package init(maxTokens: Int) { self.maxTokens = maxTokens }

    /// Below this a temperature means greedy: the division would leave nothing but the largest logit anyway.
    package static let greedyTemperature = 1e-5

    package var isGreedy: Bool { temperature < Self.greedyTemperature }
}
