// The JSON of completion answers, whole and streamed; both have the same shape.
import Inference
import Models
import Text

/// Builds completion answers for one request.
struct CompletionResponse: Sendable {
    var head: AnswerHead
    var request: CompletionRequest
    var report: TokenReport
    /// The ids of each prompt, as they were sent to the engine.
    var prompts: [[Int32]]

    private func prompt(ofChoice index: Int) -> [Int32] { prompts[index / request.options.choices] }

    private func promptText(_ ids: [Int32]) -> String {
        report.tokenizer.decode(ids, skipSpecialTokens: request.options.sampling.skipSpecialTokens)
    }

    // MARK: Whole

    func whole(_ choices: [GatheredChoice], usage: TokenUsage) -> OrderedJSON {
        .object(
            head.members(object: "text_completion") + [
                .init("choices", .array(choices.enumerated().map { choice($1, index: $0) })),
                .init("usage", usage.json), .init("system_fingerprint", .null),
            ])
    }

    private func choice(_ gathered: GatheredChoice, index: Int) -> OrderedJSON {
        let prompt = prompt(ofChoice: index)
        // When only the prompt is asked about, the one token that had to be generated is not told.
        let answer = request.promptOnly ? GatheredChoice() : gathered
        var text = answer.text
        var ids = answer.ids
        var tokens: [TokenLogprob?] = answer.logprobs
        if request.echoes {
            text = promptText(prompt) + text
            ids = prompt + ids
            let known = gathered.promptLogprobs ?? []
            tokens = prompt.indices.map { $0 < known.count ? known[$0] : nil } + tokens
        }
        var offset = 0
        let logprobs = request.logprobs.map {
            report.completion(tokens, ids: ids, top: $0, offset: &offset)
        }
        var members = bare(
            index, text, logprobs: logprobs, .string((gathered.finishReason ?? .stop).rawValue),
            FinishName.stopReason(gathered.stopReason))
        if request.promptOnly { members = bare(index, text, logprobs: logprobs, .string("length"), .null) }
        members.append(
            .init("prompt_logprobs", wantsPromptLogprobs(gathered).map { report.prompt($0) } ?? .null))
        if request.options.returnsTokenIDs {
            members.append(.init("prompt_token_ids", TokenReport.ids(prompt)))
            members.append(.init("token_ids", TokenReport.ids(answer.ids)))
        }
        return .object(members)
    }

    /// With `echo` the engine reports them for `logprobs` also when `prompt_logprobs` was not asked for.
    private func wantsPromptLogprobs(_ gathered: GatheredChoice) -> [TokenLogprob?]? {
        request.asksForPromptLogprobs ? gathered.promptLogprobs : nil
    }

    // MARK: Stream

    /// The state of one streamed choice.
    struct StreamedChoice: Sendable {
        /// Where its next token begins in the text, in characters.
        var offset = 0
        var hasBegun = false
    }

    /// The chunk for one update; nil if it says nothing.
    func chunk(
        _ update: GenerationUpdate, choice index: Int, _ state: inout StreamedChoice, usage: TokenUsage?
    ) -> OrderedJSON? {
        var text = request.promptOnly ? "" : update.text
        var ids = request.promptOnly ? [] : update.newIDs
        var tokens: [TokenLogprob?] = request.promptOnly ? [] : update.logprobs
        let isFirst = !state.hasBegun
        state.hasBegun = true
        if isFirst && request.echoes {
            let prompt = prompt(ofChoice: index)
            let known = update.promptLogprobs ?? []
            text = promptText(prompt) + text
            ids = prompt + ids
            tokens = prompt.indices.map { $0 < known.count ? known[$0] : nil } + tokens
        }
        if text.isEmpty && ids.isEmpty && update.finishReason == nil { return nil }
        var logprobs: OrderedJSON?
        if let top = request.logprobs, !ids.isEmpty {
            logprobs = report.completion(tokens, ids: ids, top: top, offset: &state.offset)
        }
        var finish = update.finishReason.map { OrderedJSON.string($0.rawValue) } ?? .null
        if request.promptOnly && update.finishReason != nil { finish = .string("length") }
        var members = bare(index, text, logprobs: logprobs, finish, FinishName.stopReason(update.stopReason))
        if request.options.returnsTokenIDs {
            if isFirst {
                members.append(.init("prompt_token_ids", TokenReport.ids(prompt(ofChoice: index))))
            }
            members.append(.init("token_ids", TokenReport.ids(request.promptOnly ? [] : update.newIDs)))
        }
        return chunk([members], usage: usage)
    }

    /// The chunk behind the last, with the usage of all choices.
    func usageChunk(_ usage: TokenUsage) -> OrderedJSON { chunk([], usage: usage) }

    private func chunk(_ choices: [[OrderedJSON.Member]], usage: TokenUsage?) -> OrderedJSON {
        var members = head.members(object: "text_completion")
        members.append(.init("choices", .array(choices.map { .object($0) })))
        if let usage { members.append(.init("usage", usage.json)) }
        return .object(members)
    }

    private func bare(
        _ index: Int, _ text: String, logprobs: OrderedJSON?, _ finish: OrderedJSON, _ stop: OrderedJSON
    ) -> [OrderedJSON.Member] {
        [
            .init("index", .int(index)), .init("text", .string(text)), .init("logprobs", logprobs ?? .null),
            .init("finish_reason", finish), .init("stop_reason", stop),
        ]
    }
}
