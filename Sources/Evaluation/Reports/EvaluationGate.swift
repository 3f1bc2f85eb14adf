// Gates: what a report must reach for a pipeline to go on.

/// A bound on a metric.
package struct MetricBound: Sendable, Hashable {
    /// nil for the primary metric.
    package var metric: String?
    package var value: Double

    /// Reads `0.5`, `acc=0.5` or `acc=0.5,acc_norm=0.6`.
    /// - Parameter setting: its name, for errors.
    package static func list(_ text: String, setting: String) throws(EvaluationError) -> [MetricBound] {
        var bounds: [MetricBound] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let number = sides.last.map { $0.trimmingBlanks } ?? ""
            guard let value = Double(number), value.isFinite else {
                throw EvaluationError(
                    setting, problem: "\"\(part)\" is no bound", remedy: "write 0.5, or metric=0.5,other=0.6")
            }
            let name = sides.count == 2 ? sides[0].trimmingBlanks : nil
            bounds.append(MetricBound(metric: name, value: value))
        }
        return bounds
    }
}

/// What must hold, and whether it does.
package struct EvaluationGate: Sendable {
    /// For metrics of which more is better.
    package var failBelow: [MetricBound] = []
    /// For metrics of which less is better, such as perplexities.
    package var failAbove: [MetricBound] = []
    /// Worse than a report means: worse by more than this...
    package var tolerance = 0.0
    /// ...and with a p-value of the paired test below this.
    package var significance = 0.05

    package init() {}

    package struct Verdict: Sendable, Hashable {
        package var passed = true
        /// What was looked at, a sentence each; those that failed say what to do.
        package var sentences: [String] = []

        mutating func add(_ holds: Bool, _ sentence: String) {
            passed = passed && holds
            sentences.append((holds ? "passed: " : "failed: ") + sentence)
        }
    }

    /// Looks at bounds.
    /// - Throws: if the report lacks a metric, or a bound is of the wrong direction.
    package func verdict(_ report: EvaluationReport) throws(EvaluationError) -> Verdict {
        var verdict = Verdict()
        for (bounds, isBelow) in [(failBelow, true), (failAbove, false)] {
            let setting = isBelow ? "fail_below" : "fail_above"
            for bound in bounds {
                guard
                    let figure = report.metrics.first(where: {
                        bound.metric == nil || $0.name == bound.metric
                    })
                else {
                    throw EvaluationError(
                        setting, problem: "the report has no metric \"\(bound.metric ?? "")\"",
                        remedy: "name one of \(report.metrics.map(\.name).joined(separator: ", "))")
                }
                guard figure.higherIsBetter == isBelow else {
                    throw EvaluationError(
                        setting,
                        problem: "of \(figure.name) \(figure.higherIsBetter ? "more" : "less") is better",
                        remedy: "write \(isBelow ? "fail_above" : "fail_below") for it")
                }
                let value = figure.estimate.value
                // A figure that is no number reaches nothing.
                let holds = isBelow ? value >= bound.value : value <= bound.value
                verdict.add(
                    holds,
                    "\(figure.name) is \(Decimals.text(value)), \(isBelow ? "at least" : "at most") "
                        + "\(Decimals.text(bound.value)) is asked for (\(setting))")
            }
        }
        return verdict
    }

    /// Looks at a comparison, in which the second report is the new one.
    package func verdict(_ comparison: ReportComparison, than path: String) -> Verdict {
        var verdict = Verdict()
        let gain = (comparison.secondValue - comparison.firstValue) * (comparison.isHigherBetter ? 1 : -1)
        let isSignificant = comparison.test.pValue < significance
        let holds = gain >= -tolerance || (!isSignificant && !gain.isNaN)
        var sentence =
            "\(comparison.metric) is \(Decimals.text(comparison.secondValue)), it was "
            + "\(Decimals.text(comparison.firstValue)) in \(path); "
            + "\(comparison.test.better) samples are better and "
            + "\(comparison.test.worse) worse of \(comparison.test.pairs), p = "
            + Decimals.text(comparison.test.pValue)
        if holds, gain < -tolerance {
            sentence += ", which is not below \(Decimals.text(significance)): the loss may be chance"
        } else if holds, gain < 0 {
            sentence += ", within the tolerance of \(Decimals.text(tolerance))"
        }
        for warning in comparison.warnings { sentence += "; \(warning)" }
        verdict.add(holds, sentence + " (fail_if_worse_than)")
        return verdict
    }
}

/// Numbers for people.
enum Decimals {
    /// Four digits after the point; very large and very small numbers as `1.50e-05`.
    static func text(_ value: Double, places: Int = 4) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        let size = abs(value)
        if size != 0, size < 0.001 || size >= 1e9 { return exponential(value) }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let rounded = (size * scale).rounded()
        let whole = (rounded / scale).rounded(.down)
        let fraction = Int(rounded - whole * scale)
        let digits = String(fraction)
        let padding = String(repeating: "0", count: max(0, places - digits.count))
        let sign = value < 0 && rounded > 0 ? "-" : ""
        return "\(sign)\(Int(whole)).\(padding)\(digits)"
    }

    private static func exponential(_ value: Double) -> String {
        var mantissa = value
        var exponent = 0
        while abs(mantissa) >= 10 {
            mantissa /= 10
            exponent += 1
        }
        while abs(mantissa) < 1 {
            mantissa *= 10
            exponent -= 1
        }
        return text(mantissa, places: 2) + "e\(exponent)"
    }
}
