// Log-probabilities, token ids and usage, in the shapes of OpenAI's answers and of vLLM's additions.
import Inference
import Models
import Text

/// Numbers of tokens that an answer cost.
struct TokenUsage: Sendable, Hashable {
    var promptTokens = 0
    var completionTokens = 0
    /// Tokens of the prompt that were in the cache.
    var cachedTokens = 0

    var json: OrderedJSON {
        .object([
            .init("prompt_tokens", .int(promptTokens)),
            .init("total_tokens", .int(promptTokens + completionTokens)),
            .init("completion_tokens", .int(completionTokens)),
            .init("prompt_tokens_details", .object([.init("cached_tokens", .int(cachedTokens))])),
        ])
    }
}

/// Writes tokens as a request wants to see them.
struct TokenReport: Sendable {
    let tokenizer: Tokenizer
    let showsTokensAsIDs: Bool

    /// Probability 0 has no logarithm in JSON; vLLM and OpenAI write this instead.
    private static let leastLogprob = -9_999.0

    static func number(_ logprob: Float) -> OrderedJSON {
        logprob.isFinite ? .double(max(Double(logprob), leastLogprob)) : .double(leastLogprob)
    }

    static func ids(_ ids: [Int32]) -> OrderedJSON { .array(ids.map { .int(Int($0)) }) }

    /// The bytes that a token stands for; those of its name if it is a special one.
    func bytes(_ id: Int32) -> [UInt8] {
        let bytes = tokenizer.tokenBytes(id)
        return bytes.isEmpty ? Array((tokenizer.token(id) ?? "").utf8) : bytes
    }

    func text(_ id: Int32) -> String {
        showsTokensAsIDs ? "token_id:\(id)" : String(decoding: bytes(id), as: UTF8.self)
    }

    // MARK: Chat

    /// `logprobs` of a chat choice.
    func chat(_ tokens: [TokenLogprob], top: Int) -> OrderedJSON {
        .object([
            .init("content", .array(tokens.map { chatToken($0, top: top) })), .init("refusal", .null),
        ])
    }

    private func chatToken(_ token: TokenLogprob, top: Int) -> OrderedJSON {
        let alternatives = token.top.prefix(top).map { OrderedJSON.object(entry($0.id, $0.logprob)) }
        return .object(entry(token.id, token.logprob) + [.init("top_logprobs", .array(Array(alternatives)))])
    }

    private func entry(_ id: Int32, _ logprob: Float) -> [OrderedJSON.Member] {
        [
            .init("token", .string(text(id))), .init("logprob", Self.number(logprob)),
            .init("bytes", .array(bytes(id).map { .int(Int($0)) })),
        ]
    }

    // MARK: Completions

    /// `logprobs` of a completion choice.
    /// - Parameters:
    ///   - tokens: nil stands for the first token of a prompt, which nothing predicted.
    ///   - ids: the tokens themselves, as many.
    ///   - offset: where the first token begins in the text, in characters; moved behind the last.
    func completion(
        _ tokens: [TokenLogprob?], ids: [Int32], top: Int, offset: inout Int
    ) -> OrderedJSON {
        var offsets: [OrderedJSON] = []
        var logprobs: [OrderedJSON] = []
        var texts: [OrderedJSON] = []
        var tops: [OrderedJSON] = []
        for (index, id) in ids.enumerated() {
            let token = index < tokens.count ? tokens[index] : nil
            offsets.append(.int(offset))
            texts.append(.string(text(id)))
            logprobs.append(token.map { Self.number($0.logprob) } ?? .null)
            tops.append(token.map { .object(alternatives($0, top: top)) } ?? .null)
            // OpenAI counts offsets in Python's characters, which are Unicode scalars.
            offset += String(decoding: bytes(id), as: UTF8.self).unicodeScalars.count
        }
        return .object([
            .init("text_offset", .array(offsets)), .init("token_logprobs", .array(logprobs)),
            .init("tokens", .array(texts)), .init("top_logprobs", .array(tops)),
        ])
    }

    /// The chosen token and the best ones. Of tokens with the same text the first counts.
    private func alternatives(_ token: TokenLogprob, top: Int) -> [OrderedJSON.Member] {
        var members: [OrderedJSON.Member] = []
        var seen: Set<[UInt8]> = []
        var entries = token.top.prefix(top).map { ($0.id, $0.logprob) }
        if !entries.contains(where: { $0.0 == token.id }) { entries.insert((token.id, token.logprob), at: 0) }
        for (id, logprob) in entries {
            let name = text(id)
            if seen.insert(Array(name.utf8)).inserted { members.append(.init(name, Self.number(logprob))) }
        }
        return members
    }

    // MARK: Prompts

    /// vLLM's `prompt_logprobs`: for each token an object by id, null for the first.
    func prompt(_ tokens: [TokenLogprob?]) -> OrderedJSON {
        .array(
            tokens.map { token in
                guard let token else { return .null }
                var entries = [(token.id, token.logprob, token.rank)]
                for (index, other) in token.top.enumerated() where other.id != token.id {
                    entries.append((other.id, other.logprob, index + 1))
                }
                return .object(
                    entries.map { id, logprob, rank in
                        .init(
                            "\(id)",
                            .object([
                                .init("logprob", Self.number(logprob)), .init("rank", .int(rank)),
                                .init("decoded_token", .string(String(decoding: bytes(id), as: UTF8.self))),
                            ]))
                    })
            })
    }
}
