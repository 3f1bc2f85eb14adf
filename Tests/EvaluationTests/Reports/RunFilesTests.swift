// A run's files: what is written, what is read again after an end in the middle, and what is made of it.

import Evaluation
import Testing
import Text

@Suite("A run's files")
struct RunFilesTests {
    private static let rows = (0..<6).map {
        #"{"question":"Q\#($0)","choices":["a","b"],"answer":\#($0 % 2)}"#
    }.joined(separator: "\n")

    private func plan(_ folder: DataFolder, limit: Int? = nil) throws -> EvaluationPlan {
        try folder.write(Self.rows, to: "data/pets.jsonl")
        var request = TaskRequest()
        request.limit = limit
        return try EvaluationPlan(.named("general_mcq"), path: folder.path + "/data/pets.jsonl", request)
    }

    /// An outcome in which the model takes a choice.
    private func taking(_ choice: Int) -> SampleOutcome {
        .choices(
            (0..<2).map { LikelihoodResult(sum: $0 == choice ? -1.25 : -2.5, isGreedy: false, tokens: 1) })
    }

    /// A finished run that is right where `right` says so.
    @discardableResult
    private func run(_ folder: DataFolder, _ name: String, right: [Bool], model: String = "m") throws
        -> EvaluationReport
    {
        let plan = try plan(folder)
        let log = try ResultLog(directory: folder.path + "/" + name, plan, model: .string(model))
        for (index, sample) in log.remaining.enumerated() {
            try log.append(sample, taking(right[index] ? index % 2 : 1 - index % 2))
        }
        let report = EvaluationReport(
            plan, reviews: try log.allReviews(), model: .string(model), durationSeconds: 2)
        try log.finish(report)
        return report
    }

    @Test("The report states figures, scoring, data and settings")
    func report() throws {
        let folder = try DataFolder()
        try run(folder, "out", right: [true, true, false, true, false, true])
        let json = try OrderedJSON(parsing: try folder.text("out/report.json"))
        #expect(json.objectValue?.prefix(5).map(\.key) == ["task", "scoring", "n", "data_sha256", "metrics"])
        #expect(json["task"]?.stringValue == "general_mcq")
        #expect(json["scoring"]?.stringValue == "loglikelihood")
        #expect(json["n"]?.intValue == 6)
        #expect(json["data_sha256"]?.stringValue?.utf8.count == 64)
        let acc = try #require(json["metrics"]?["acc"])
        #expect(abs((acc["value"]?.doubleValue ?? 0) - 4.0 / 6) < 1e-12)
        #expect(abs((acc["stderr"]?.doubleValue ?? 0) - (4.0 / 6 * 2 / 6 / 5).squareRoot()) < 1e-12)
        #expect(json["subsets"]?["pets"]?["n"]?.intValue == 6)
        #expect(json["model"]?.stringValue == "m")
        #expect(try folder.text("out/predictions.jsonl").split(separator: "\n").count == 6)
        #expect(try folder.text("out/reviews.jsonl").split(separator: "\n").count == 6)
    }

    @Test(
        "A run that was ended goes on with what is missing, whatever the last line looks like",
        arguments: 0..<12)
    func resumes(cut: Int) throws {
        let folder = try DataFolder()
        let whole = try run(folder, "out", right: [true, true, false, true, false, true])
        let report = try folder.text("out/report.json")
        let text = try folder.text("out/predictions.jsonl")
        let reviews = try folder.text("out/reviews.jsonl")
        try folder.write(String(text.dropLast(cut * 61)), to: "out/predictions.jsonl")
        try folder.write(String(reviews.dropLast(cut * 17)), to: "out/reviews.jsonl")
        let plan = try plan(folder)
        let log = try ResultLog(directory: folder.path + "/out", plan, model: .string("m"))
        let left = text.dropLast(cut * 61).filter { $0 == "\n" }.count
        #expect(log.finished.count == left)
        #expect(log.remaining.count == 6 - left)
        let places = Dictionary(uniqueKeysWithValues: plan.samples.enumerated().map { ($1.id, $0) })
        let right = [true, true, false, true, false, true]
        for sample in log.remaining {
            let index = try #require(places[sample.id])
            try log.append(sample, taking(right[index] ? index % 2 : 1 - index % 2))
        }
        let again = EvaluationReport(
            plan, reviews: try log.allReviews(), model: .string("m"), durationSeconds: 2)
        try log.finish(again)
        #expect(again.metrics == whole.metrics)
        #expect(try folder.text("out/report.json") == report)
        #expect(try folder.text("out/predictions.jsonl") == text)
        let ids = try folder.text("out/reviews.jsonl").split(separator: "\n").map {
            try OrderedJSON(parsing: String($0))["id"]?.stringValue
        }
        #expect(Set(ids).count == 6 && ids.count == 6)
    }

    @Test("Results of other settings are not continued, and only thrown away when that is asked for")
    func otherSettings() throws {
        let folder = try DataFolder()
        try run(folder, "out", right: [true, true, true, true, true, true])
        let other = try plan(folder, limit: 2)
        let error = #expect(throws: EvaluationError.self) {
            _ = try ResultLog(directory: folder.path + "/out", other, model: .string("m"))
        }
        #expect(error?.description.contains("other settings") == true)
        #expect(try folder.text("out/predictions.jsonl").isEmpty == false)
        let log = try ResultLog(directory: folder.path + "/out", other, model: .string("m"), restarts: true)
        #expect(log.remaining.count == 2)
        #expect(try folder.text("out/predictions.jsonl").isEmpty)
    }

    @Test("Every kind of outcome is read back as it was written")
    func outcomes() throws {
        let completion = Completion(text: "a\n\"b\" 漢", tokens: 3, finishReason: "stop")
        let outcomes: [SampleOutcome] = [
            taking(1), .completions([completion, completion]),
            .text(RollingLikelihood(sum: -12.5, tokens: 4)),
            .code([completion], [CodeVerdict(passed: true, detail: "passed")]),
            .choices([LikelihoodResult(sum: -.infinity, isGreedy: true, tokens: 2)]),
        ]
        for outcome in outcomes {
            let text = outcome.json.compactText
            #expect(SampleOutcome(json: try OrderedJSON(parsing: text)) == outcome)
        }
        #expect(SampleOutcome(json: .object([])) == nil)
    }

    @Test("Two reports are compared sample by sample")
    func comparison() throws {
        let folder = try DataFolder()
        try run(folder, "first", right: [true, true, true, true, true, false])
        try run(folder, "second", right: [true, false, true, false, true, true], model: "n")
        let (first, second) = (
            try StoredReport(folder.path + "/first"), try StoredReport(folder.path + "/second/report.json")
        )
        let comparison = try ReportComparison(first, second)
        #expect(comparison.metric == "acc")
        #expect((comparison.test.better, comparison.test.worse, comparison.test.pairs) == (1, 2, 6))
        #expect(comparison.test.pValue == 1)
        #expect(comparison.differences.map(\.id) == ["pets/1", "pets/3", "pets/5"])
        #expect(comparison.differences[0].firstPrediction == "B")
        #expect(comparison.differences[0].secondPrediction == "A")
        #expect(comparison.warnings.isEmpty)
        #expect(ReportTable.text(comparison).contains("6 samples in common: 1 better, 2 worse, p = 1.0000"))
        #expect(throws: EvaluationError.self) { _ = try ReportComparison(first, second, metric: "f1") }
    }

    @Test("A gate fails below its bound, and by a report only where the loss is more than chance")
    func gates() throws {
        let folder = try DataFolder()
        let worse = try run(folder, "worse", right: [false, false, false, false, false, false])
        try run(folder, "better", right: [true, true, true, true, true, true], model: "n")
        var gate = EvaluationGate()
        gate.failBelow = try MetricBound.list("0.5, acc_norm=0", setting: "fail_below")
        let verdict = try gate.verdict(worse)
        #expect(!verdict.passed)
        #expect(
            verdict.sentences == [
                "failed: acc is 0.0000, at least 0.5000 is asked for (fail_below)",
                "passed: acc_norm is 0.0000, at least 0.0000 is asked for (fail_below)",
            ])
        let (old, new) = (try StoredReport(folder.path + "/better"), try StoredReport(folder.path + "/worse"))
        let loss = try ReportComparison(old, new)
        #expect(abs(loss.test.pValue - 0.03125) < 1e-12)
        #expect(!gate.verdict(loss, than: "better").passed)
        gate.significance = 0.01
        #expect(gate.verdict(loss, than: "better").passed)
        gate.significance = 0.05
        gate.tolerance = 1
        #expect(gate.verdict(loss, than: "better").passed)
        gate.tolerance = 0
        #expect(gate.verdict(try ReportComparison(new, old), than: "worse").passed)
        #expect(throws: EvaluationError.self) { _ = try MetricBound.list("acc=high", setting: "fail_below") }
        gate.failAbove = try MetricBound.list("acc=1", setting: "fail_above")
        #expect(throws: EvaluationError.self) { _ = try gate.verdict(worse) }
    }

    @Test("Perplexities are compared by the likelihood of each text")
    func texts() throws {
        let folder = try DataFolder(["t.jsonl": "{\"text\":\"a b\"}\n{\"text\":\"c\"}\n"])
        let plan = try EvaluationPlan(.named("perplexity"), path: folder.path + "/t.jsonl")
        for (name, sums) in [("one", [-4.0, -2]), ("two", [-3, -1])] {
            let log = try ResultLog(directory: folder.path + "/" + name, plan, model: .string(name))
            for (sample, sum) in zip(plan.samples, sums) {
                try log.append(sample, .text(RollingLikelihood(sum: sum, tokens: 2)))
            }
            try log.finish(EvaluationReport(plan, reviews: try log.allReviews(), model: .string(name)))
        }
        let comparison = try ReportComparison(
            try StoredReport(folder.path + "/one"), try StoredReport(folder.path + "/two"))
        #expect(comparison.metric == "word_perplexity")
        #expect(!comparison.isHigherBetter)
        #expect(abs(comparison.firstValue - 7.38905609893065) < 1e-12)
        #expect(comparison.test.better == 2)
        #expect(EvaluationGate().verdict(comparison, than: "one").passed)
    }
}
