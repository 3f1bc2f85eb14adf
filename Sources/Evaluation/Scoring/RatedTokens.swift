// A row of tokens whose last ones are rated, and how long texts are cut into such rows.

/// Token ids of which a model rates the last ones: it reads all but the very last, and says how probable
/// each rated one is after those before it.
package struct RatedTokens: Sendable, Hashable {
    /// What is read and what is rated, in this order.
    package var ids: [Int32]
    /// How many of the last ids are rated; at least 1 and fewer than there are ids.
    package var ratedCount: Int

    package init(ids: [Int32], ratedCount: Int) {
        precondition(ratedCount > 0 && ratedCount < ids.count, "a rated token stands behind another one")
        self.ids = ids
        self.ratedCount = ratedCount
    }

    /// Where the first rated id is.
    var firstRated: Int { ids.count - ratedCount }
    /// How many ids the model reads.
    var inputCount: Int { ids.count - 1 }
}

/// What a model says of the rated tokens of one row.
package struct TokenRating: Sendable, Hashable {
    /// The sum of their natural log-probabilities, in fp64 of fp32 logits.
    package var sum = 0.0
    /// Whether each of them is the most probable one at its place, of equals the lowest id.
    package var isGreedy = true
    package var tokens = 0

    package init(sum: Double = 0, isGreedy: Bool = true, tokens: Int = 0) {
        self.sum = sum
        self.isGreedy = isGreedy
        self.tokens = tokens
    }

    /// The rating of two parts of one text.
    package mutating func add(_ other: TokenRating) {
        sum += other.sum
        isGreedy = isGreedy && other.isGreedy
        tokens += other.tokens
    }
}

/// How a text that may be longer than a model reads is cut.
package enum PerplexityWindows: Sendable, Hashable {
    /// Windows of `length` tokens, none rated twice, the first after `prefix`. A last window that is short
    /// reads as many tokens as the others. Agrees with `get_rolling_token_windows` of lm-evaluation-harness
    /// with one token of context.
    case rolling(length: Int, prefix: Int32)
    /// Windows of `length` tokens that begin every `stride` ones; each rates what those before it did not.
    /// The first token of the text is not rated. Agrees with the guide to perplexity in the documentation
    /// of transformers. One window that holds the text is the plain perplexity of a model.
    case strided(length: Int, stride: Int)

    /// The rows to rate, in the order of the text. Texts of too few tokens have none.
    package func rows(of ids: [Int32]) -> [RatedTokens] {
        switch self {
        case .rolling(let length, let prefix): Self.rolling(ids, length: max(1, length), prefix: prefix)
        case .strided(let length, let stride):
            Self.strided(ids, length: max(2, length), stride: max(1, stride))
        }
    }

    private static func rolling(_ ids: [Int32], length: Int, prefix: Int32) -> [RatedTokens] {
        guard !ids.isEmpty else { return [] }
        let first = min(length, ids.count)
        var rows = [RatedTokens(ids: [prefix] + ids[..<first], ratedCount: first)]
        var rated = first
        while rated < ids.count {
            let count = min(ids.count - rated, length)
            let end = rated + count
            rows.append(RatedTokens(ids: Array(ids[(end - length - 1)..<end]), ratedCount: count))
            rated = end
        }
        return rows
    }

    private static func strided(_ ids: [Int32], length: Int, stride: Int) -> [RatedTokens] {
        var rows: [RatedTokens] = []
        var (start, rated) = (0, 1)
        while rated < ids.count {
            let end = min(start + length, ids.count)
            // A token that no window has before it, as with strides beyond the window, cannot be rated.
            let first = max(rated, start + 1)
            if end > first { rows.append(RatedTokens(ids: Array(ids[start..<end]), ratedCount: end - first)) }
            rated = max(rated, end)
            start += stride
        }
        return rows
    }
}
