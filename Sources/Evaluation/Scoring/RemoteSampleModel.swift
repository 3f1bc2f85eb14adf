// A model behind OpenAI's API as evaluations ask it. What is asked for likelihoods is what
// lm-evaluation-harness's local-completions asks: a completion that echoes the prompt with
// log-probabilities.

import Synchronization
import Text

/// How a server is used.
package struct RemoteModelSettings: Sendable {
    /// What requests call the model.
    package var model: String
    /// Requests at once.
    package var concurrency = 8
    package var retries = CompletionRetries()
    /// What knows the model's tokens; nil sends texts, and takes tokens as the server reports them.
    package var encoder: LikelihoodTokenizer?
    /// What knows the model's chat template; needed for likelihoods after messages only.
    package var renderer: PromptRenderer?

    package init(model: String) { self.model = model }
}

/// A server's model.
package final class RemoteSampleModel: SampleModel {
    /// How a server tells log-probabilities of a prompt.
    private enum Style: Sendable { case echo, promptLogprobs }

    private let settings: RemoteModelSettings
    private let server: CompletionServer
    /// What the server was found to understand.
    private let style = Mutex<Style?>(nil)

    /// OpenAI's own servers take as many stop strings; more are looked for here.
    private static let maximumStops = 4

    package init(_ transport: any CompletionTransport, _ settings: RemoteModelSettings) {
        self.settings = settings
        server = CompletionServer(transport: transport, retries: settings.retries)
    }

    /// What a server says of a model: how many tokens it reads, where it says so.
    /// - Returns: nil if the server does not list models, or not this one.
    package static func maxLength(
        _ transport: any CompletionTransport, model: String, retries: CompletionRetries = CompletionRetries()
    ) async throws -> Int? {
        let server = CompletionServer(transport: transport, retries: retries)
        do {
            let list = try await server.ask("models", nil)["data"]?.arrayValue ?? []
            let card = list.first { $0["id"]?.stringValue == model }
            return card?["max_model_len"]?.intValue
        } catch is CompletionRefusal {
            return nil
        }
    }

    // MARK: Likelihoods

    /// A prompt, and where in it what is rated begins.
    private enum RatedPrompt: Sendable {
        case ids([Int32], first: Int)
        /// In Unicode scalars; 0 rates all that the server rates.
        case text(String, first: Int)
    }

    package func logLikelihoods(
        _ requests: [LikelihoodRequest], each: (Int, LikelihoodResult) throws -> Void
    ) async throws {
        let prompts = try requests.map { try prompt($0) }
        try await BoundedTasks.run(prompts.count, atOnce: settings.concurrency) { index in
            try await self.rate(prompts[index])
        } each: { index, rating in
            try each(
                index, LikelihoodResult(sum: rating.sum, isGreedy: rating.isGreedy, tokens: rating.tokens))
        }
    }

    private func prompt(_ request: LikelihoodRequest) throws -> RatedPrompt {
        let context: String
        if case .raw(let text) = request.context {
            context = text
        } else if let renderer = settings.renderer {
            context = try renderer.text(request.context)
        } else {
            throw ScoringError(
                "likelihoods after messages need the model's chat template, which the server does not give",
                remedy: "name the model's directory with --tokenizer, or use --apply_chat_template false")
        }
        if let encoder = settings.encoder {
            let row = try encoder.row(context: context, continuation: request.continuation)
            return .ids(row.ids, first: row.firstRated)
        }
        let (front, back) = LikelihoodTokenizer.movingBlanks(context, request.continuation)
        return .text(front + back, first: front.unicodeScalars.count)
    }

    package func rollingLogLikelihoods(
        _ texts: [String], each: (Int, RollingLikelihood) throws -> Void
    ) async throws {
        try await BoundedTasks.run(texts.count, atOnce: settings.concurrency) { index in
            var whole = TokenRating()
            guard let encoder = self.settings.encoder else {
                return texts[index].isEmpty ? whole : try await self.rate(.text(texts[index], first: 0))
            }
            for row in encoder.rollingRows(texts[index]) {
                whole.add(try await self.rate(.ids(row.ids, first: row.firstRated)))
            }
            return whole
        } each: { index, rating in
            try each(index, RollingLikelihood(sum: rating.sum, tokens: rating.tokens))
        }
    }

    /// Asks in the style that the server is known to understand, else in both.
    private func rate(_ prompt: RatedPrompt) async throws -> TokenRating {
        let known = style.withLock { $0 }
        let styles: [Style] = known.map { [$0] } ?? [.echo, .promptLogprobs]
        var refusal: (any Error)?
        for style in styles {
            do {
                if let rating = try await rate(prompt, style) {
                    self.style.withLock { $0 = style }
                    return rating
                }
            } catch let error as CompletionRefusal where [400, 404, 422, 501].contains(error.status) {
                // A wrong address or model would be refused in any style; the first refusal says it best.
                refusal = refusal ?? error
            }
        }
        throw refusal
            ?? ScoringError(
                "the server does not report log-probabilities of a prompt's tokens",
                remedy: "evaluate with --scoring generation, or serve the model with martlet serve or vLLM")
    }

    private func rate(_ prompt: RatedPrompt, _ style: Style) async throws -> TokenRating? {
        var body: [OrderedJSON.Member] = [.init(key: "model", value: .string(settings.model))]
        switch prompt {
        case .ids(let ids, _):
            body.append(.init(key: "prompt", value: .array(ids.map { .int(Int($0)) })))
        case .text(let text, _): body.append(.init(key: "prompt", value: .string(text)))
        }
        // Servers want to write a token, which is left out of the sum.
        body += [.init(key: "max_tokens", value: .int(1)), .init(key: "temperature", value: .int(0))]
        switch style {
        case .echo:
            body += [.init(key: "echo", value: .bool(true)), .init(key: "logprobs", value: .int(1))]
        case .promptLogprobs: body.append(.init(key: "prompt_logprobs", value: .int(1)))
        }
        let answer = try await server.ask("completions", .object(body))
        guard let choice = answer["choices"]?.arrayValue?.first else { return nil }
        switch (prompt, style) {
        case (.ids(let ids, let first), .echo):
            return PromptRating(echo: choice, promptTokens: ids.count, length: nil)?.rating(from: first)
        case (.ids(let ids, let first), .promptLogprobs):
            return PromptRating(promptLogprobs: choice, ids: ids)?.rating(from: first)
        case (.text(let text, let first), .echo):
            let rating = PromptRating(
                echo: choice, promptTokens: answer["usage"]?["prompt_tokens"]?.intValue,
                length: text.unicodeScalars.count)
            guard let start = rating?.firstToken(beyond: first) else { return nil }
            return rating?.rating(from: start, allowsUnrated: first == 0)
        case (.text, .promptLogprobs):
            // Without ids nobody knows which of the entries are the text's.
            return nil
        }
    }

    // MARK: Texts

    package func complete(
        _ requests: [CompletionRequest], each: (Int, [Completion]) throws -> Void
    ) async throws {
        try await BoundedTasks.run(requests.count, atOnce: settings.concurrency) { index in
            try await self.complete(requests[index])
        } each: { index, completions in
            try each(index, completions)
        }
    }

    private func complete(_ request: CompletionRequest) async throws -> [Completion] {
        let wanted = max(1, request.count)
        // Greedy texts are all the same one.
        let drawn = request.sampling.temperature == 0 ? 1 : wanted
        var body = fields(request, drawn)
        let isChat: Bool
        switch request.request.prompt {
        case .raw(let text):
            isChat = false
            body.append(.init(key: "prompt", value: .string(text)))
        case .messages(let turns):
            isChat = true
            body.append(.init(key: "messages", value: PromptRenderer.json(turns)))
        }
        var texts: [Completion] = []
        // Not every server writes several at once; those that do not are asked again.
        while texts.count < drawn {
            if let index = body.firstIndex(where: { $0.key == "seed" }), !texts.isEmpty {
                body[index].value = .int(Self.seed(request.sampling.seed, texts.count))
            }
            let answer = try await server.ask(isChat ? "chat/completions" : "completions", .object(body))
            let found = completions(answer, isChat: isChat, stop: request.request.stop)
            guard !found.isEmpty else {
                throw ScoringError(
                    "the server's answer has no choices: \(answer.compactText.prefix(200))",
                    remedy: "check that --api_url is the root of an OpenAI API")
            }
            texts += found.prefix(drawn - texts.count)
        }
        return drawn == wanted ? texts : [Completion](repeating: texts[0], count: wanted)
    }

    private func fields(_ request: CompletionRequest, _ count: Int) -> [OrderedJSON.Member] {
        var body: [OrderedJSON.Member] = [
            .init(key: "model", value: .string(settings.model)),
            .init(key: "max_tokens", value: .int(request.request.maxNewTokens)),
            .init(key: "temperature", value: .double(request.sampling.temperature)),
            .init(key: "seed", value: .int(Self.seed(request.sampling.seed, 0))),
        ]
        if request.sampling.topP < 1 {
            body.append(.init(key: "top_p", value: .double(request.sampling.topP)))
        }
        if let topK = request.sampling.topK { body.append(.init(key: "top_k", value: .int(topK))) }
        if count > 1 { body.append(.init(key: "n", value: .int(count))) }
        let stop = request.request.stop.filter { !$0.isEmpty }.prefix(Self.maximumStops)
        if !stop.isEmpty {
            body.append(.init(key: "stop", value: .array(stop.map { .string($0) })))
        }
        return body
    }

    /// A seed that every server takes: a whole number that fits into 31 bits.
    private static func seed(_ seed: UInt64, _ number: Int) -> Int {
        Int((seed &+ UInt64(number)) & 0x7FFF_FFFF)
    }

    private func completions(_ answer: OrderedJSON, isChat: Bool, stop: [String]) -> [Completion] {
        let choices = (answer["choices"]?.arrayValue ?? []).sorted {
            ($0["index"]?.intValue ?? 0) < ($1["index"]?.intValue ?? 0)
        }
        let tokens = (answer["usage"]?["completion_tokens"]?.intValue ?? 0) / max(1, choices.count)
        return choices.map { choice in
            let text =
                (isChat ? choice["message"]?["content"]?.stringValue : choice["text"]?.stringValue) ?? ""
            let (shown, isCut) = Self.cut(text, at: stop)
            let reason = choice["finish_reason"]?.stringValue ?? "stop"
            return Completion(text: shown, tokens: tokens, finishReason: isCut ? "stop" : reason)
        }
    }

    /// The text before the first of the stop strings.
    static func cut(_ text: String, at stops: [String]) -> (text: String, isCut: Bool) {
        let bytes = Array(text.utf8)
        let place = stops.filter { !$0.isEmpty }.compactMap { stop in
            bytes.indices.first { bytes[$0...].starts(with: stop.utf8) }
        }.min()
        guard let place else { return (text, false) }
        return (String(decoding: bytes[..<place], as: UTF8.self), true)
    }
}
