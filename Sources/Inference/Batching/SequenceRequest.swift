// What the batcher is told about a request, its limits, and why it may refuse one.

/// Names a sequence for as long as it lives. The engine numbers them; a request with several choices is
/// several.
package struct RequestID: Sendable, Hashable, CustomStringConvertible {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    package var description: String { "#\(number)" }
}

/// A sequence to generate: token ids and what decides where and when it is computed. Text and sampling are
/// the engine's.
package struct SequenceRequest: Sendable, Hashable {
    package var id: RequestID
    package var promptIDs: [Int32]
    /// Tokens to generate at most; at least 1, also where only the prompt's hidden states are wanted.
    package var maxTokens: Int
    package var adapter: String?
    /// Tells weights apart that were loaded under the same adapter's name one after another.
    package var adapterVersion: Int
    /// Lower ones go first, as vLLM has it.
    package var priority: Int
    package var cacheSalt: String?
    /// Logits of the prompt's own tokens are wanted, so that none of it can be taken from the cache.
    package var needsPromptLogits: Bool

    package init(
        id: RequestID, promptIDs: [Int32], maxTokens: Int, adapter: String? = nil, adapterVersion: Int = 0,
        priority: Int = 0, cacheSalt: String? = nil, needsPromptLogits: Bool = false
    ) {
        self.id = id
        self.promptIDs = promptIDs
        self.maxTokens = maxTokens
        self.adapter = adapter
        self.adapterVersion = adapterVersion
        self.priority = priority
        self.cacheSalt = cacheSalt
        self.needsPromptLogits = needsPromptLogits
    }
}

/// The limits of a batcher.
package struct BatchLimits: Sendable, Hashable {
    /// Sequences in a step.
    package var maxRunning: Int
    /// Tokens in a step, at least `maxRunning`, so that a step which decodes has room for some prefill.
    package var maxBatchedTokens: Int
    /// Tokens of one sequence in a step, so that a long prompt leaves something to shorter ones.
    package var maxPrefillChunk: Int
    /// Requests that have arrived and not begun. Preempted ones come on top.
    package var maxWaiting: Int
    /// Tokens of a sequence, prompt and output.
    package var maxModelLength: Int

    package init(
        maxRunning: Int, maxBatchedTokens: Int, maxPrefillChunk: Int? = nil, maxWaiting: Int,
        maxModelLength: Int
    ) {
        self.maxRunning = maxRunning
        self.maxBatchedTokens = maxBatchedTokens
        self.maxPrefillChunk = maxPrefillChunk ?? maxBatchedTokens
        self.maxWaiting = maxWaiting
        self.maxModelLength = maxModelLength
    }
}

/// Why a request is refused on arrival.
package enum AdmissionError: Error, Hashable, CustomStringConvertible {
    case emptyPrompt
    case duplicate(RequestID)
    /// As many requests are waiting as may.
    case queueFull(limit: Int)
    /// Prompt and output together are longer than a sequence may be.
    case tooLong(promptTokens: Int, maxTokens: Int, limit: Int)
    /// Even alone the sequence would not fit into the KV cache, which has room for `capacity` tokens.
    case neverFits(tokens: Int, capacity: Int)

    package var description: String {
        switch self {
        case .emptyPrompt:
            "the prompt has no tokens: send at least one"
        case .duplicate(let id):
            "request \(id) is already here"
        case .queueFull(let limit):
            "\(limit) requests are waiting already: try again later"
        case .tooLong(let promptTokens, let maxTokens, let limit):
            """
            this model's maximum context length is \(limit) tokens, but the request has \(promptTokens) in \
            the prompt and asks for \(maxTokens) more: shorten the prompt, or lower max_tokens
            """
        case .neverFits(let tokens, let capacity):
            """
            the request may need \(tokens) tokens of KV cache, and there is room for \(capacity): lower \
            max_tokens, or start the server with more memory for the cache
            """
        }
    }
}
