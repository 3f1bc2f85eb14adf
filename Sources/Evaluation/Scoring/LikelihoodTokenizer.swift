// From a context and a continuation to token ids, as lm-evaluation-harness makes them.

package import Models

/// Turns texts into rows of tokens. Agrees with `TemplateLM.loglikelihood` and `HFLM.tok_encode` of
/// lm-evaluation-harness 0.4: trailing blanks of a context belong to the continuation, both are tokenized
/// together and cut where the context alone ends, and what is too long loses tokens from the left.
package struct LikelihoodTokenizer: Sendable {
    private let tokenizer: Tokenizer
    /// What stands before a text that has no context: the beginning token, else the end token.
    package let prefixID: Int32
    /// Tokens that the model reads at most.
    package let maxLength: Int
    /// How the prefix reads in a text: a text that begins so brings its own beginning.
    private let prefixText: String

    package init(tokenizer: Tokenizer, prefixID: Int32, maxLength: Int) {
        self.tokenizer = tokenizer
        self.prefixID = prefixID
        self.maxLength = maxLength
        prefixText = tokenizer.decode([prefixID], skipSpecialTokens: false)
    }

    /// The ids of a text with what the tokenizer puts around texts.
    package func encode(_ text: String) -> [Int32] {
        let hasPrefix = !prefixText.isEmpty && text.utf8.starts(with: prefixText.utf8)
        return tokenizer.encode(text, addSpecialTokens: !hasPrefix)
    }

    /// The row of one continuation.
    /// - Throws: `ScoringError` for a continuation without a token of its own, or longer than the model
    ///   reads.
    package func row(context: String, continuation: String) throws(ScoringError) -> RatedTokens {
        var cache = ContextCache()
        return try row(context: context, continuation: continuation, &cache)
    }

    /// The ids of the context that was encoded last: the continuations of a question follow each other.
    package struct ContextCache {
        fileprivate var text: String?
        fileprivate var count = 0

        package init() {}
    }

    package func row(
        context: String, continuation: String, _ cache: inout ContextCache
    ) throws(ScoringError) -> RatedTokens {
        var ids: [Int32]
        var contextCount: Int
        if context.isEmpty {
            ids = tokenizer.encode(continuation, addSpecialTokens: false)
            if ids.first != prefixID { ids.insert(prefixID, at: 0) }
            contextCount = 1
        } else {
            let (context, continuation) = Self.movingBlanks(context, continuation)
            if cache.text != context {
                cache.text = context
                cache.count = encode(context).count
            }
            contextCount = cache.count
            ids = encode(context + continuation)
        }
        guard contextCount > 0, ids.count > contextCount else {
            throw ScoringError(
                "the continuation \(Self.shown(continuation)) has no token of its own after its context",
                remedy: "let continuations begin with a blank and contexts end without one")
        }
        let rated = ids.count - contextCount
        guard rated <= maxLength else {
            throw ScoringError(
                "the continuation \(Self.shown(continuation)) has \(rated) tokens, and the model reads "
                    + "\(maxLength)",
                remedy: "shorten it, or raise --max_length if the model can read more")
        }
        ids.removeFirst(max(0, ids.count - maxLength - 1))
        return RatedTokens(ids: ids, ratedCount: rated)
    }

    /// The windows of a whole text, each rated token once.
    package func rollingRows(_ text: String) -> [RatedTokens] {
        PerplexityWindows.rolling(length: maxLength, prefix: prefixID).rows(of: encode(text))
    }

    /// Moves the blanks at the end of a context to the beginning of its continuation. Blanks are those of
    /// Python's `str.rstrip`.
    static func movingBlanks(_ context: String, _ continuation: String) -> (String, String) {
        let scalars = context.unicodeScalars
        var end = scalars.endIndex
        while end > scalars.startIndex {
            let before = scalars.index(before: end)
            guard isBlank(scalars[before]) else { break }
            end = before
        }
        guard end < scalars.endIndex else { return (context, continuation) }
        return (String(scalars[..<end]), String(scalars[end...]) + continuation)
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }

    static func shown(_ text: String) -> String {
        let start = text.unicodeScalars.prefix(40)
        return String(start).debugDescription + (start.count < text.unicodeScalars.count ? "..." : "")
    }
}
