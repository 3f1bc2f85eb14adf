// Likelihoods, perplexities and extracted answers, against those of lm-evaluation-harness.

import Evaluation
import Foundation
import Models
import Tensors
import Text

extension GoldenGroup {
    /// `multiple_choice.json`, `perplexity.json` and `gsm8k.json`, of which a folder may have any.
    static let evaluation = GoldenGroup(name: "evaluation") { folder in
        EvaluationCases.files.contains { folder.has($0) }
    } run: { folder, report in
        let cases = EvaluationCases(folder: folder)
        if folder.has("multiple_choice.json") {
            try await cases.checkChoices(folder.json("multiple_choice.json"), &report)
        }
        if folder.has("perplexity.json") {
            try await cases.checkPerplexity(folder.json("perplexity.json"), &report)
        }
        if folder.has("gsm8k.json") { try cases.checkAnswers(folder.json("gsm8k.json"), &report) }
    }
}

private struct EvaluationCases {
    static let files = ["multiple_choice.json", "perplexity.json", "gsm8k.json"]

    let folder: GoldenFolder

    /// Of sums of log-probabilities: fp32 logits whose sums have another order, over some hundred tokens.
    private static let limit = 1e-3

    /// A model of the fixtures, and the tokenizer of its family where there is one.
    private struct Loaded {
        var model: CausalLanguageModel
        var pool: ThreadPool
        var tokenizer: Tokenizer?
    }

    private func load(_ json: OrderedJSON) throws -> Loaded {
        let root = GoldenRun.parent(folder).path
        let name = try json.requiredText("model")
        let pool = try ThreadPool()
        let model = try CausalLanguageModel(directory: "\(root)/\(name)", pool: pool)
        let family = (name as NSString).lastPathComponent.prefix { $0 != "_" }
        let places = ["\(root)/\(name)", "\(root)/tokenizer/\(family)"]
        let place = places.first { FileManager.default.fileExists(atPath: "\($0)/tokenizer.json") }
        return Loaded(model: model, pool: pool, tokenizer: try place.map { try Tokenizer(directory: $0) })
    }

    // MARK: Multiple choice

    func checkChoices(_ json: OrderedJSON, _ report: inout GoldenReport) async throws {
        let loaded = try load(json)
        let rater = try TokenRater(model: loaded.model, pool: loaded.pool)
        let maxLength =
            json["max_length"]?.intValue ?? loaded.model.configuration.maxPositionEmbeddings
        let encoder = loaded.tokenizer.flatMap { tokenizer -> LikelihoodTokenizer? in
            guard let prefix = tokenizer.bosTokenID ?? tokenizer.eosTokenID else { return nil }
            return LikelihoodTokenizer(tokenizer: tokenizer, prefixID: prefix, maxLength: maxLength)
        }
        for task in try json.required("tasks").objectValue ?? [] {
            let questions = try task.value.required("questions").arrayValue ?? []
            var rows: [RatedTokens] = []
            for question in questions {
                rows += try self.rows(question, task.key, encoder, maxLength, &report)
            }
            try compare(task.key, questions, task.value, ratings: await rater.rate(rows), &report)
        }
    }

    /// The rows by the reference's ids; that ours are the same is a case of its own.
    private func rows(
        _ question: OrderedJSON, _ task: String, _ encoder: LikelihoodTokenizer?, _ maxLength: Int,
        _ report: inout GoldenReport
    ) throws -> [RatedTokens] {
        let context = try question.requiredText("context")
        let continuations = try question.required("continuations").arrayValue?.compactMap(\.stringValue) ?? []
        let scores = try question.required("scores").arrayValue ?? []
        return try zip(continuations, scores).map { continuation, score in
            let tail = try score.required("continuation_ids").tokenIDs()
            var ids = try score.required("context_ids").tokenIDs() + tail
            ids.removeFirst(max(0, ids.count - maxLength - 1))
            if let encoder {
                report.attempt("tokens", "\(task): \(context.suffix(40))\(continuation)") {
                    let row = try encoder.row(context: context, continuation: continuation)
                    return firstDifference(row.ids, ids)
                        ?? (row.ratedCount == tail.count ? nil : "\(row.ratedCount) rated, not \(tail.count)")
                }
            }
            return RatedTokens(ids: ids, ratedCount: tail.count)
        }
    }

    private func compare(
        _ name: String, _ questions: [OrderedJSON], _ task: OrderedJSON, ratings: [TokenRating],
        _ report: inout GoldenReport
    ) throws {
        var right: [String: [Double]] = [:]
        var next = 0
        for question in questions {
            let scores = try question.required("scores").arrayValue ?? []
            let choices = try question.required("choices").arrayValue?.compactMap(\.stringValue) ?? []
            let ours = Array(ratings[next..<next + scores.count])
            next += scores.count
            for (rating, score) in zip(ours, scores) {
                let expected = try score.required("loglikelihood").doubleValue ?? .nan
                report.measure(
                    "likelihoods", name, difference: abs(rating.sum - expected), limit: Self.limit,
                    detail: "\(rating.sum), reference \(expected)")
                report.expect(
                    "greedy", name, rating.isGreedy == score["is_greedy"]?.boolValue ? nil : "differs")
            }
            let chosen = ChoiceScore(logLikelihoods: ours.map(\.sum), choices: choices)
            let gold = try question.required("gold").intValue
            for (key, metric, choice) in [
                ("pred", "acc", chosen.prediction), ("pred_norm", "acc_norm", chosen.predictionByCharacters),
                ("pred_norm_bytes", "acc_norm_bytes", chosen.predictionByBytes),
            ] {
                right[metric, default: []].append(choice == gold ? 1 : 0)
                if let expected = question[key]?.intValue {
                    report.expect("choices", "\(name): \(key)", choice == expected ? nil : "\(choice)")
                }
            }
        }
        for (metric, values) in right.sorted(by: { $0.key < $1.key }) {
            let estimate = Estimate.mean(of: values)
            let pairs = [(metric, estimate.value), ("\(metric)_stderr", estimate.standardError ?? .nan)]
            for (key, value) in pairs {
                guard let expected = task[key]?.doubleValue else { continue }
                report.measure(
                    "figures", "\(name): \(key)", difference: abs(value - expected), limit: 1e-12,
                    detail: "\(value), reference \(expected)")
            }
        }
    }

    // MARK: Perplexity

    func checkPerplexity(_ json: OrderedJSON, _ report: inout GoldenReport) async throws {
        let loaded = try load(json)
        let rater = try TokenRater(model: loaded.model, pool: loaded.pool)
        let length = try json.required("max_length").intValue ?? 0
        guard let prefix = try json.required("prefix_token_id").intValue.flatMap(Int32.init(exactly:)) else {
            throw GoldenError("prefix_token_id is not a token id")
        }
        for (index, text) in (try json.required("texts").arrayValue ?? []).enumerated() {
            let label = "text \(index)"
            let ids = try text.required("ids").tokenIDs()
            let rolling = PerplexityWindows.rolling(length: length, prefix: prefix).rows(of: ids)
            let ratings = try await rater.rate(rolling)
            let windows = try text.required("windows").arrayValue ?? []
            report.expect(
                "windows", label,
                rolling.map { [$0.ids.count - 1, $0.ratedCount] }
                    == windows.map { [$0["input_len"]?.intValue ?? 0, $0["targets"]?.intValue ?? 0] }
                    ? nil : "other windows")
            for (rating, window) in zip(ratings, windows) {
                measure("windows", label, rating.sum, window["loglikelihood"], &report)
            }
            let sum = ratings.reduce(0) { $0 + $1.sum }
            measure("rolling", label, sum, text["rolling_loglikelihood"], &report)
            let document = DocumentLikelihood(
                RollingLikelihood(sum: sum, tokens: ids.count), text: try text.requiredText("text"))
            checkUnits(document, text, label, &report)
            for (key, windows) in try otherWindows(text) {
                let ratings = try await rater.rate(windows.rows(of: ids))
                let nll = -ratings.reduce(0) { $0 + $1.sum }
                measure(key, label, nll, text[key]?["nll"], &report)
                let tokens = ratings.reduce(0) { $0 + $1.tokens }
                report.expect(key, label, tokens == text[key]?["tokens"]?.intValue ? nil : "\(tokens) tokens")
            }
        }
    }

    private func otherWindows(_ text: OrderedJSON) throws -> [(key: String, windows: PerplexityWindows)] {
        var found: [(key: String, windows: PerplexityWindows)] = []
        if text["single_window"] != nil {
            found.append(("single_window", .strided(length: 1 << 20, stride: 1 << 20)))
        }
        if let strided = text["strided"] {
            found.append(
                (
                    "strided",
                    .strided(
                        length: try strided.required("window").intValue ?? 0,
                        stride: try strided.required("stride").intValue ?? 0)
                ))
        }
        return found
    }

    private func checkUnits(
        _ document: DocumentLikelihood, _ text: OrderedJSON, _ label: String, _ report: inout GoldenReport
    ) {
        report.expect(
            "sizes", label,
            document.words == text["words"]?.intValue && document.bytes == text["bytes"]?.intValue
                ? nil : "\(document.words) words, \(document.bytes) bytes")
        for (key, value) in [
            ("word_perplexity", Perplexity.value([document], per: .word)),
            ("byte_perplexity", Perplexity.value([document], per: .byte)),
            ("bits_per_byte", Perplexity.bitsPerByte([document])),
        ] {
            guard let expected = text[key]?.doubleValue else { continue }
            // A limit on the sum is one on the logarithm of a perplexity, times the units that it is
            // divided by.
            report.measure(
                "perplexities", "\(label): \(key)", difference: abs(value / expected - 1), limit: Self.limit,
                detail: "\(value), reference \(expected)")
        }
    }

    private func measure(
        _ kind: String, _ label: String, _ value: Double, _ expected: OrderedJSON?,
        _ report: inout GoldenReport
    ) {
        let expected = expected?.doubleValue ?? .nan
        report.measure(
            kind, label, difference: abs(value - expected), limit: Self.limit,
            detail: "\(value), reference \(expected)")
    }

    // MARK: Extracted answers

    func checkAnswers(_ json: OrderedJSON, _ report: inout GoldenReport) throws {
        let ignoring = try json.required("regexes_to_ignore").arrayValue?.compactMap(\.stringValue) ?? []
        func check(_ key: String, select: Int) throws -> AnswerCheck {
            let pattern = try GSM8K.pattern(json.requiredText(key))
            var check = AnswerCheck(metric: key, filters: [.regex(pattern, select: select)], match: .exact)
            check.ignoring = try ignoring.map { try GSM8K.pattern($0) }
            check.ignoresCase = json["ignore_case"]?.boolValue ?? false
            return check
        }
        let checks = [
            ("strict", try check("strict_regex", select: 0)),
            ("flexible", try check("flexible_regex", select: -1)),
        ]
        for item in try json.required("cases").arrayValue ?? [] {
            let completion = try item.requiredText("completion")
            let reference = try item.requiredText("reference_answer_text")
            for (kind, check) in checks {
                guard let expected = item[kind] else { continue }
                let answer = check.extract(completion)
                let isRight = check.score(answer, [reference]) == 1
                let isSame =
                    answer == expected["extracted"]?.stringValue
                    && check.normalized(answer) == expected["normalized"]?.stringValue
                    && isRight == expected["exact_match"]?.boolValue
                report.expect(
                    "answers, \(kind)", String(completion.suffix(60)),
                    isSame ? nil : "\(answer), \(isRight), reference \(expected.compactText)")
            }
        }
    }
}
