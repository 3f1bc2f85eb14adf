// Judges what a model answered.

import Text

extension EvaluationPlan {
    /// What reasoning models write before their answer ends with this.
    private static let thinkingEnd = AnswerFilter.after("</think>")

    /// Judges one outcome.
    /// - Throws: if the outcome does not belong to the sample: another kind, or another number of answers.
    package func review(_ sample: EvaluationSample, _ outcome: SampleOutcome) throws(EvaluationError)
        -> SampleReview
    {
        switch (sample.body, outcome) {
        case (.multipleChoice(_, let continuations, let choices), .choices(let results))
        where results.count == continuations.count && choices.count == results.count && !results.isEmpty:
            return choiceReview(sample, results, choices)
        case (.generation, .completions(let completions)) where !completions.isEmpty:
            return generationReview(sample, completions)
        case (.text(let text), .text(let likelihood)):
            let document = DocumentLikelihood(likelihood, text: text)
            return SampleReview(
                id: sample.id, subset: sample.subset, prediction: "", target: "",
                values: [
                    "log_likelihood": document.logLikelihood, "tokens": Double(document.tokens),
                    "words": Double(document.words), "bytes": Double(document.bytes),
                ])
        case (.code, .code(let completions, let verdicts))
        where completions.count == verdicts.count && !verdicts.isEmpty:
            return codeReview(sample, verdicts)
        default:
            throw EvaluationError(
                "sample \(sample.id)", problem: "the outcome does not fit what was asked",
                remedy: "evaluate into a new output directory")
        }
    }

    private func choiceReview(
        _ sample: EvaluationSample, _ results: [LikelihoodResult], _ choices: [String]
    ) -> SampleReview {
        let score = ChoiceScore(logLikelihoods: results.map(\.sum), choices: choices)
        let right: Set<Int>
        switch sample.target {
        case .choice(let index): right = [index]
        case .choices(let indexes): right = indexes
        case .texts, .none: right = []
        }
        func value(_ prediction: Int) -> Double { right.contains(prediction) ? 1 : 0 }
        return SampleReview(
            id: sample.id, subset: sample.subset, prediction: ChoiceLetters.letter(score.prediction),
            target: right.sorted().map(ChoiceLetters.letter).joined(separator: ", "),
            values: [
                "acc": value(score.prediction), "acc_norm": value(score.predictionByCharacters),
                "acc_norm_bytes": value(score.predictionByBytes),
            ])
    }

    private func generationReview(_ sample: EvaluationSample, _ completions: [Completion]) -> SampleReview {
        let texts = completions.map { Self.thinkingEnd.apply($0.text) }
        var values: [String: Double] = [:]
        var prediction = ""
        var target = ""
        switch (sample.target, task.form) {
        case (.texts(let references), .question(let form)):
            for check in form.checks {
                let answers = texts.map { check.extract($0) }
                values[check.metric] =
                    answers.reduce(0) { $0 + check.score($1, references) } / Double(texts.count)
                if check.metric == metrics.first?.name {
                    prediction = check.normalized(answers[0])
                    target = references.first.map { check.normalized($0) } ?? ""
                }
            }
        case (.choice(let index), _): (prediction, target) = letters([index], texts, &values)
        case (.choices(let indexes), _): (prediction, target) = letters(indexes, texts, &values)
        default: break
        }
        return SampleReview(
            id: sample.id, subset: sample.subset, prediction: prediction, target: target, values: values)
    }

    private func letters(
        _ right: Set<Int>, _ texts: [String], _ values: inout [String: Double]
    ) -> (prediction: String, target: String) {
        let answers = texts.map { LetterAnswer.extract($0, choiceCount: 26) }
        values["acc"] = Double(answers.filter { $0 == right }.count) / Double(texts.count)
        func shown(_ set: Set<Int>) -> String {
            set.sorted().map(ChoiceLetters.letter).joined(separator: ", ")
        }
        return (answers[0].isEmpty ? AnswerFilter.invalid : shown(answers[0]), shown(right))
    }

    private func codeReview(_ sample: EvaluationSample, _ verdicts: [CodeVerdict]) -> SampleReview {
        let passed = verdicts.filter(\.passed).count
        var values: [String: Double] = [:]
        for k in Set(request.passAt + [1]) where k >= 1 && k <= verdicts.count {
            values["pass@\(k)"] = PassAtK.estimate(n: verdicts.count, c: passed, k: k)
        }
        return SampleReview(
            id: sample.id, subset: sample.subset, prediction: "\(passed) of \(verdicts.count) passed",
            target: "",
            values: values)
    }
}
