// The JSON of chat answers: the whole `chat.completion`, and the chunks of a stream.
import Inference
import Text

/// What all answers to one request share.
struct AnswerHead: Sendable {
    var id: String
    /// Seconds since 1970.
    var created: Int
    var model: String

    func members(object: String) -> [OrderedJSON.Member] {
        [
            .init("id", .string(id)), .init("object", .string(object)), .init("created", .int(created)),
            .init("model", .string(model)),
        ]
    }
}

/// Builds chat answers for one request.
struct ChatResponse: Sendable {
    var head: AnswerHead
    var request: ChatRequest
    var format: ChatAnswerFormat
    var report: TokenReport
    /// The prompt's ids, told if the request asks for them.
    var promptIDs: [Int32]
    /// Makes identifiers of calls.
    var makeID: @Sendable () -> String

    private var isNamed: Bool {
        if case .named = request.tools.choice { return true }
        return false
    }

    // MARK: Whole

    func whole(_ choices: [GatheredChoice], usage: TokenUsage) -> OrderedJSON {
        var members = head.members(object: "chat.completion")
        members += [
            .init("choices", .array(choices.enumerated().map { choice($1, index: $0) })),
            .init("usage", usage.json), .init("system_fingerprint", .null),
            .init("prompt_logprobs", choices.first?.promptLogprobs.map { report.prompt($0) } ?? .null),
        ]
        if request.options.returnsTokenIDs {
            members.append(.init("prompt_token_ids", TokenReport.ids(promptIDs)))
        }
        return .object(members)
    }

    private func choice(_ gathered: GatheredChoice, index: Int) -> OrderedJSON {
        let answer = ChatAnswer(gathered.text, format)
        var message: [OrderedJSON.Member] = [.init("role", .string(request.answerRole))]
        let content = answer.content.map { request.echoedText + $0 } ?? nil
        message.append(.init("content", content.map { .string($0) } ?? .null))
        message.append(.init("refusal", .null))
        if format.splitsReasoning {
            message.append(.init("reasoning_content", answer.reasoning.map { .string($0) } ?? .null))
        }
        if !answer.calls.isEmpty {
            message.append(
                .init(
                    "tool_calls",
                    .array(
                        answer.calls.map { call in
                            .object([
                                .init("id", .string("call_" + makeID())), .init("type", .string("function")),
                                .init(
                                    "function",
                                    .object([
                                        .init("name", .string(call.name)),
                                        .init("arguments", .string(call.arguments)),
                                    ])),
                            ])
                        })))
        }
        var members: [OrderedJSON.Member] = [
            .init("index", .int(index)), .init("message", .object(message)),
            .init("logprobs", request.topLogprobs.map { report.chat(gathered.logprobs, top: $0) } ?? .null),
            .init(
                "finish_reason",
                .string(
                    FinishName.text(gathered.finishReason, hasCalls: !answer.calls.isEmpty, isNamed: isNamed))
            ),
            .init("stop_reason", FinishName.stopReason(gathered.stopReason)),
        ]
        if request.options.returnsTokenIDs {
            members.append(.init("token_ids", TokenReport.ids(gathered.ids)))
        }
        return .object(members)
    }

    // MARK: Stream

    /// The first chunk of a choice, which says who speaks.
    func opening(choice index: Int, usage: TokenUsage?) -> OrderedJSON {
        var members: [OrderedJSON.Member] = []
        if request.options.returnsTokenIDs {
            members.append(.init("prompt_token_ids", TokenReport.ids(promptIDs)))
        }
        let delta: [OrderedJSON.Member] = [
            .init("role", .string(request.answerRole)), .init("content", .string(request.echoedText)),
        ]
        return chunk([bare(index, delta, finish: .null)], more: members, usage: usage)
    }

    /// One piece of an answer.
    /// - Parameter tokens: what is new since the last chunk of this choice; told with its first piece.
    func piece(
        _ piece: ChatPiece, choice index: Int, tokens: NewTokens, usage: TokenUsage?
    ) -> OrderedJSON {
        var choice = bare(index, delta(piece), finish: .null)
        add(tokens, to: &choice)
        return chunk([choice], usage: usage)
    }

    /// The last chunk of a choice.
    func closing(
        choice index: Int, _ finish: FinishReason?, _ stop: StopReason?, hasCalls: Bool, tokens: NewTokens,
        usage: TokenUsage?
    ) -> OrderedJSON {
        let name = FinishName.text(finish, hasCalls: hasCalls, isNamed: isNamed)
        var choice = bare(index, [], finish: .string(name))
        choice.append(.init("stop_reason", FinishName.stopReason(stop)))
        add(tokens, to: &choice)
        return chunk([choice], usage: usage)
    }

    /// The chunk behind the last, with the usage of all choices.
    func usageChunk(_ usage: TokenUsage) -> OrderedJSON { chunk([], usage: usage) }

    /// Tokens of a choice that no chunk told yet.
    struct NewTokens: Sendable {
        var ids: [Int32] = []
        var logprobs: [TokenLogprob] = []
        var isEmpty: Bool { ids.isEmpty && logprobs.isEmpty }
    }

    private func bare(
        _ index: Int, _ delta: [OrderedJSON.Member], finish: OrderedJSON
    ) -> [OrderedJSON.Member] {
        [
            .init("index", .int(index)), .init("delta", .object(delta)), .init("logprobs", .null),
            .init("finish_reason", finish),
        ]
    }

    private func add(_ tokens: NewTokens, to choice: inout [OrderedJSON.Member]) {
        if let top = request.topLogprobs, !tokens.logprobs.isEmpty,
            let place = choice.firstIndex(where: { $0.key == "logprobs" })
        {
            choice[place].value = report.chat(tokens.logprobs, top: top)
        }
        if request.options.returnsTokenIDs {
            choice.append(.init("token_ids", TokenReport.ids(tokens.ids)))
        }
    }

    private func delta(_ piece: ChatPiece) -> [OrderedJSON.Member] {
        switch piece {
        case .content(let text): return [.init("content", .string(text))]
        case .reasoning(let text): return [.init("reasoning_content", .string(text))]
        case .callStarted(let index, let name):
            return call(
                index,
                [
                    .init("id", .string("call_" + makeID())), .init("type", .string("function")),
                    .init(
                        "function", .object([.init("name", .string(name)), .init("arguments", .string(""))])),
                ])
        case .arguments(let index, let text):
            return call(index, [.init("function", .object([.init("arguments", .string(text))]))])
        }
    }

    private func call(_ index: Int, _ members: [OrderedJSON.Member]) -> [OrderedJSON.Member] {
        [.init("tool_calls", .array([.object([.init("index", .int(index))] + members)]))]
    }

    private func chunk(
        _ choices: [[OrderedJSON.Member]], more: [OrderedJSON.Member] = [], usage: TokenUsage?
    ) -> OrderedJSON {
        var members = head.members(object: "chat.completion.chunk")
        members.append(.init("choices", .array(choices.map { .object($0) })))
        members += more
        if let usage { members.append(.init("usage", usage.json)) }
        return .object(members)
    }
}
