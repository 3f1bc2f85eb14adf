// Log-probabilities of a prompt's tokens, read from the answers of servers.

import Text

/// The log-probability of each token of a prompt as a server reports it.
struct PromptRating: Sendable {
    struct Token: Sendable {
        /// nil for the first token, which nothing predicts.
        var logProb: Double?
        var isBest: Bool
        /// Where it begins in the text, in Unicode scalars; nil where the server does not say.
        var offset: Int?
    }

    var tokens: [Token]

    /// Reads `logprobs` of a completion with `echo`.
    /// - Parameter promptTokens: how many of the tokens are the prompt's; nil for all but what begins
    ///   behind `length`.
    init?(echo choice: OrderedJSON, promptTokens: Int?, length: Int?) {
        guard let logprobs = choice["logprobs"], let values = logprobs["token_logprobs"]?.arrayValue else {
            return nil
        }
        let tops = logprobs["top_logprobs"]?.arrayValue ?? []
        let offsets = logprobs["text_offset"]?.arrayValue ?? []
        tokens = values.enumerated().map { index, value in
            let best = index < tops.count ? Self.best(tops[index]) : nil
            let logProb = value.doubleValue
            return Token(
                logProb: logProb, isBest: (logProb ?? -.infinity) >= (best ?? .infinity),
                offset: index < offsets.count ? offsets[index].intValue : nil)
        }
        if let promptTokens {
            guard tokens.count >= promptTokens else { return nil }
            tokens.removeLast(tokens.count - promptTokens)
        } else if let length {
            while let offset = tokens.last?.offset, offset >= length { tokens.removeLast() }
        }
    }

    /// Reads vLLM's `prompt_logprobs`: an object by token id for each token.
    init?(promptLogprobs choice: OrderedJSON, ids: [Int32]) {
        guard let entries = choice["prompt_logprobs"]?.arrayValue, entries.count >= ids.count else {
            return nil
        }
        tokens = zip(entries, ids).map { entry, id in
            let own = entry["\(id)"]
            let value = own?["logprob"]?.doubleValue ?? own?.doubleValue
            let best = entry.objectValue?.compactMap {
                $0.value["logprob"]?.doubleValue ?? $0.value.doubleValue
            }
            .max()
            return Token(
                logProb: value, isBest: (value ?? -.infinity) >= (best ?? .infinity), offset: nil)
        }
    }

    /// The largest of alternatives, which are an object by text or, in newer APIs, a list.
    private static func best(_ alternatives: OrderedJSON) -> Double? {
        if let members = alternatives.objectValue { return members.compactMap(\.value.doubleValue).max() }
        return alternatives.arrayValue?.compactMap { $0["logprob"]?.doubleValue }.max()
    }

    /// The rating of the tokens from `first` on; nil if one of them has none.
    /// - Parameter allowsUnrated: the very first token counts as nothing rather than as a failure.
    func rating(from first: Int, allowsUnrated: Bool = false) -> TokenRating? {
        var whole = TokenRating()
        for (index, token) in tokens.enumerated().dropFirst(first) {
            guard let logProb = token.logProb else {
                if allowsUnrated, index == 0 { continue }
                return nil
            }
            whole.add(TokenRating(sum: logProb, isGreedy: token.isBest, tokens: 1))
        }
        return whole
    }

    /// The first token that reaches beyond a place in the text; nil where offsets are missing.
    func firstToken(beyond length: Int) -> Int? {
        guard tokens.allSatisfy({ $0.offset != nil }) else { return nil }
        for index in tokens.indices {
            let end = index + 1 < tokens.count ? tokens[index + 1].offset : nil
            if (end ?? .max) > length { return index }
        }
        return tokens.count
    }
}
