// What the engine computes in one step.

/// A step: sequences with the tokens to run for each.
package struct BatchPlan: Sendable, Hashable {
    /// One sequence's part of a step.
    package struct Entry: Sendable, Hashable {
        package var id: RequestID
        package var adapter: String?
        package var adapterVersion: Int
        /// The tokens to run.
        package var tokenIDs: [Int32]
        /// The position of the first of them in the sequence; the others follow.
        package var start: Int
        /// Where keys and values of each token are to be stored: block * 16 + offset.
        package var slots: [Int32]
        /// The blocks of the sequence's first `contextLength` tokens, and perhaps more.
        package var blockTable: [Int32]
        /// Tokens that are cached when this step is done: `start + tokenIDs.count`.
        package var contextLength: Int
        /// Which of `tokenIDs`, by index, need logits because the prompt's token after them is to be rated.
        package var promptLogits: Range<Int>
        /// Whether the last token's logits choose the next token of the sequence.
        package var samples: Bool
        /// Tokens of the prompt that came from the cache when the sequence began.
        package var cachedTokens: Int
    }

    /// Numbers the steps.
    package var step: UInt64
    package var entries: [Entry]
    /// Sequences that had to give up their blocks and will be computed again.
    package var preempted: [RequestID]

    /// Nothing to compute: wait for a request. Sequences may have been preempted all the same.
    package var isEmpty: Bool { entries.isEmpty }
    package var tokenCount: Int { entries.reduce(0) { $0 + $1.tokenIDs.count } }
}

/// What a batcher is doing, for metrics.
package struct BatchStatistics: Sendable, Hashable {
    package var running: Int
    package var waiting: Int
    package var blockCount: Int
    package var usedBlocks: Int
    /// Since the start: sequences that had to give up their blocks.
    package var preemptions: Int
    /// Since the start: prompt tokens looked up in the prefix cache, and found there.
    package var prefixQueriedTokens: Int
    package var prefixHitTokens: Int

    /// Used blocks as a share of all, from 0 to 1.
    package var cacheUsage: Double { blockCount > 0 ? Double(usedBlocks) / Double(blockCount) : 0 }
}
