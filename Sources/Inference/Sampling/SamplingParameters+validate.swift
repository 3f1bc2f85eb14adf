// What is wrong with sampling parameters, all of it at once, in words for the person who sent them.

/// A field with a value outside of its range.
package struct ParameterProblem: Sendable, Hashable, CustomStringConvertible {
    /// The field's name on the wire, which OpenAI's errors call `param`.
    package var field: String
    /// What is wrong and what to send in its place, naming the field.
    package var message: String

    package init(field: String, message: String) {
        self.field = field
        self.message = message
    }

    package var description: String { message }
}

extension SamplingParameters {
    /// As many alternatives a token as OpenAI and vLLM report at most.
    package static let maxLogprobs = 20
    /// Stop strings of a request; each costs a comparison for every byte of output.
    package static let maxStopStrings = 64
    /// Bytes of one stop string, all of which may have to be held back.
    package static let maxStopStringBytes = 1_024
    /// Forbidden sequences of a request, and the tokens of one of them.
    package static let maxBadWords = 4_096
    package static let maxBadWordTokens = 64

    /// All fields that are out of range, which are those of vLLM: OpenAI's, or wider where vLLM takes more.
    ///
    /// - Parameter vocabularySize: the number of logits; token ids must be below it.
    package func validate(vocabularySize: Int) -> [ParameterProblem] {
        var problems: [ParameterProblem] = []
        checkNumbers(&problems)
        checkLengths(&problems)
        checkTokens(vocabularySize, &problems)
        checkStops(&problems)
        return problems
    }

    private func checkNumbers(_ problems: inout [ParameterProblem]) {
        func require(_ field: String, _ value: Double, _ isGood: Bool, _ range: String, _ remedy: String) {
            if isGood && value.isFinite { return }
            let message = "\(field) must be \(range), not \(value): \(remedy)"
            problems.append(ParameterProblem(field: field, message: message))
        }
        require(
            "temperature", temperature, temperature >= 0, "a number from 0 up",
            "0 takes the most probable token, 1 leaves the model's probabilities as they are")
        require(
            "top_p", topP, topP > 0 && topP <= 1, "above 0 and at most 1", "1 keeps all tokens")
        require("min_p", minP, minP >= 0 && minP <= 1, "from 0 to 1", "0 keeps all tokens")
        require(
            "repetition_penalty", repetitionPenalty, repetitionPenalty > 0, "above 0",
            "1 changes nothing, larger values make repetition rarer")
        for (field, value) in [
            ("presence_penalty", presencePenalty), ("frequency_penalty", frequencyPenalty),
        ] {
            require(field, value, abs(value) <= 2, "from -2 to 2", "0 changes nothing")
        }
        if topK < -1 {
            let message = "top_k must be at least 1, or 0 or -1 to keep all tokens, not \(topK)"
            problems.append(ParameterProblem(field: "top_k", message: message))
        }
    }

    private func checkLengths(_ problems: inout [ParameterProblem]) {
        func add(_ field: String, _ message: String) {
            problems.append(ParameterProblem(field: field, message: message))
        }
        if maxTokens < 1 {
            add("max_tokens", "max_tokens must be at least 1, not \(maxTokens)")
        }
        if minTokens < 0 {
            add("min_tokens", "min_tokens must be 0 or more, not \(minTokens)")
        } else if maxTokens >= 1 && minTokens > maxTokens {
            add(
                "min_tokens", "min_tokens must be at most max_tokens, which is \(maxTokens), not \(minTokens)"
            )
        }
        for (field, count) in [("top_logprobs", logprobs), ("prompt_logprobs", promptLogprobs)] {
            guard let count, !(0...Self.maxLogprobs).contains(count) else { continue }
            add(field, "\(field) must be from 0 to \(Self.maxLogprobs), not \(count)")
        }
    }

    private func checkTokens(_ vocabularySize: Int, _ problems: inout [ParameterProblem]) {
        func check(_ field: String, _ ids: some Sequence<Int32>) {
            guard let wrong = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize }) else { return }
            let message =
                "\(field) has the token id \(wrong); ids of this model are 0 to \(vocabularySize - 1)"
            problems.append(ParameterProblem(field: field, message: message))
        }
        check("logit_bias", logitBias.keys.sorted())
        // Written so that NaN is refused, too.
        let strong = logitBias.filter { !($0.value.magnitude <= 100) }
        if let (id, bias) = strong.min(by: { $0.key < $1.key }) {
            let message = "logit_bias of token \(id) must be from -100 to 100, not \(bias)"
            problems.append(ParameterProblem(field: "logit_bias", message: message))
        }
        check("stop_token_ids", stopTokenIDs)
        if let allowedTokenIDs {
            check("allowed_token_ids", allowedTokenIDs)
            if allowedTokenIDs.isEmpty {
                let message = "allowed_token_ids is empty: name the tokens that may come, or leave it out"
                problems.append(ParameterProblem(field: "allowed_token_ids", message: message))
            }
        }
        check("bad_words", badWordsIDs.joined())
        if badWordsIDs.contains(where: \.isEmpty) {
            let message = "bad_words has an empty entry, which would forbid everything: leave it out"
            problems.append(ParameterProblem(field: "bad_words", message: message))
        }
        if badWordsIDs.count > Self.maxBadWords
            || badWordsIDs.contains(where: { $0.count > Self.maxBadWordTokens })
        {
            let message = "bad_words may have \(Self.maxBadWords) entries of \(Self.maxBadWordTokens) tokens"
            problems.append(ParameterProblem(field: "bad_words", message: message))
        }
    }

    private func checkStops(_ problems: inout [ParameterProblem]) {
        if stop.contains(where: \.isEmpty) {
            let message = "stop has an empty string, which would end every output at once: leave it out"
            problems.append(ParameterProblem(field: "stop", message: message))
        }
        if stop.count > Self.maxStopStrings {
            let message = "stop may have \(Self.maxStopStrings) strings, not \(stop.count)"
            problems.append(ParameterProblem(field: "stop", message: message))
        }
        if let long = stop.first(where: { $0.utf8.count > Self.maxStopStringBytes }) {
            let message =
                "stop has a string of \(long.utf8.count) bytes; it may have \(Self.maxStopStringBytes)"
            problems.append(ParameterProblem(field: "stop", message: message))
        }
    }
}
