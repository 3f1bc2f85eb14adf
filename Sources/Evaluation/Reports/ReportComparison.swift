// Two reports side by side: the figures, whether their difference is more than chance, and the samples that
// differ.

package import Text

/// A comparison of a second report with a first one, paired by the samples' identifiers.
package struct ReportComparison: Sendable {
    package struct Difference: Sendable, Hashable {
        package var id: String
        package var subset: String
        package var first: Double
        package var second: Double
        package var firstPrediction: String
        package var secondPrediction: String
        package var target: String
    }

    package var metric: String
    package var isHigherBetter: Bool
    package var firstValue: Double
    package var secondValue: Double
    package var test: PairedTest
    /// Samples with another value, those first that became worse, then by identifier.
    package var differences: [Difference]
    /// Samples that only one of the reports has.
    package var onlyFirst: Int
    package var onlySecond: Int
    /// What differs between the runs beside the model, in sentences.
    package var warnings: [String]

    /// - Parameter metric: nil for the second report's primary one.
    /// - Throws: if the reports are of different tasks, or have no metric or no samples in common.
    package init(_ first: StoredReport, _ second: StoredReport, metric: String? = nil) throws(EvaluationError)
    {
        guard first.task == second.task else {
            throw EvaluationError(
                first.path, field: "task",
                problem: "the report is of the task \(first.task), the other one of \(second.task)",
                remedy: "compare reports of the same task")
        }
        let name = metric ?? second.metricNames.first ?? ""
        guard let firstValue = first.value(name), let secondValue = second.value(name) else {
            let common = first.metricNames.filter { second.metricNames.contains($0) }
            throw EvaluationError(
                first.value(name) == nil ? first.path : second.path, field: "metrics",
                problem: "the report has no metric \"\(name)\"",
                remedy: "name one of \(common.joined(separator: ", "))")
        }
        self.metric = name
        self.firstValue = firstValue
        self.secondValue = secondValue
        isHigherBetter = second.isHigherBetter(name)
        let others = Dictionary(first.reviews.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        // A perplexity has no value of a single sample; the log-likelihoods behind it do, and there more is
        // better.
        let key = second.reviews.contains { $0.values[name] != nil } ? name : "log_likelihood"
        var pairs: [(first: Double, second: Double)] = []
        var differences: [Difference] = []
        for review in Dictionary(second.reviews.map { ($0.id, $0) }, uniquingKeysWith: { $1 }).values
            .sorted(by: { $0.id.precedesBytewise($1.id) })
        {
            guard let other = others[review.id], let one = other.values[key], let two = review.values[key]
            else {
                continue
            }
            pairs.append((one, two))
            guard one != two else { continue }
            differences.append(
                Difference(
                    id: review.id, subset: review.subset, first: one, second: two,
                    firstPrediction: other.prediction, secondPrediction: review.prediction,
                    target: review.target))
        }
        guard !pairs.isEmpty else {
            throw EvaluationError(
                first.path, problem: "the reports have no sample in common",
                remedy: "compare runs over the same data")
        }
        let secondIDs = Set(second.reviews.map(\.id))
        onlyFirst = others.count - others.keys.filter { secondIDs.contains($0) }.count
        onlySecond = secondIDs.filter { others[$0] == nil }.count
        let worse = differences.filter { $0.second < $0.first }
        self.differences = worse + differences.filter { $0.second >= $0.first }
        test = PairedTest(pairs)
        warnings = Self.warnings(first, second)
    }

    private static func warnings(_ first: StoredReport, _ second: StoredReport) -> [String] {
        let named = [
            "scoring": "kind of scoring", "data_sha256": "data", "template_sha256": "prompts",
            "shots": "number of examples", "examples_sha256": "examples",
            "chat_template": "use of the chat template",
            "limit": "limit", "seed": "seed", "system_prompt": "system message",
            "completions": "number of completions",
        ]
        return named.sortedByKey.compactMap { key, words in
            let (one, two) = (first.json[key] ?? .null, second.json[key] ?? .null)
            if one == two { return nil }
            return "the \(words) differs: \(one.compactText.prefix(70)) and \(two.compactText.prefix(70))"
        }
    }

    /// - Parameter listed: at most so many of the samples that differ.
    package func json(listed: Int = 1_000) -> OrderedJSON {
        .object([
            .init(key: "metric", value: .string(metric)), .init(key: "first", value: .double(firstValue)),
            .init(key: "second", value: .double(secondValue)), .init(key: "test", value: test.json),
            .init(key: "only_first", value: .int(onlyFirst)),
            .init(key: "only_second", value: .int(onlySecond)),
            .init(key: "warnings", value: .array(warnings.map { .string($0) })),
            .init(key: "differing", value: .int(differences.count)),
            .init(key: "differences", value: .array(differences.prefix(listed).map(\.json))),
        ])
    }
}

extension PairedTest {
    fileprivate var json: OrderedJSON {
        .object([
            .init(key: "method", value: .string(method.rawValue)), .init(key: "pairs", value: .int(pairs)),
            .init(key: "better", value: .int(better)), .init(key: "worse", value: .int(worse)),
            .init(key: "mean_difference", value: .double(meanDifference)),
            .init(key: "stderr", value: standardError.map { .double($0) } ?? .null),
            .init(key: "p_value", value: .double(pValue)),
        ])
    }
}

extension ReportComparison.Difference {
    fileprivate var json: OrderedJSON {
        .object([
            .init(key: "id", value: .string(id)), .init(key: "first", value: .double(first)),
            .init(key: "second", value: .double(second)),
            .init(key: "first_prediction", value: .string(firstPrediction)),
            .init(key: "second_prediction", value: .string(secondPrediction)),
            .init(key: "target", value: .string(target)),
        ])
    }
}
