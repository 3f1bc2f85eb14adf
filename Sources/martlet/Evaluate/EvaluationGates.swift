// The gates of all tasks of a call: which bounds belong to which task, and what they say.

import Evaluation
import Glibc

/// `--fail_below`, `--fail_above` and `--fail_if_worse_than`.
struct EvaluationGates: Sendable {
    private var below: [String]
    private var above: [String]
    /// A report, or a directory of one or of several by their tasks' names.
    let baseline: String?
    let tolerance: Double
    private let tasks: [String]

    /// - Parameter tasks: those of this call; a bound may have the name of one and a dot in front.
    /// - Throws: `CommandError` with status 2 for what is no bound.
    init(_ options: EvaluationOutputOptions, tasks: [String]) throws {
        below = options.failBelow
        above = options.failAbove
        baseline = options.failIfWorseThan
        tolerance = options.tolerance
        self.tasks = tasks
        guard tolerance >= 0, tolerance.isFinite else {
            throw CommandError("--tolerance must not be below 0", status: 2)
        }
        for task in tasks { _ = try gate(task) }
    }

    /// The gate of a task.
    func gate(_ task: String) throws -> EvaluationGate {
        var gate = EvaluationGate()
        gate.tolerance = tolerance
        do {
            gate.failBelow = try bounds(below, task, "fail_below")
            gate.failAbove = try bounds(above, task, "fail_above")
        } catch let error as EvaluationError {
            throw CommandError("--\(error.description)", status: 2)
        }
        return gate
    }

    private func bounds(_ texts: [String], _ task: String, _ setting: String) throws -> [MetricBound] {
        try texts.flatMap { try MetricBound.list($0, setting: setting) }.compactMap { bound in
            guard let metric = bound.metric,
                let named = tasks.first(where: { metric.hasPrefix($0 + ".") })
            else { return bound }
            guard named == task else { return nil }
            var bound = bound
            bound.metric = String(metric.dropFirst(named.count + 1))
            return bound
        }
    }

    /// Where the report of a task that this one must not be worse than is.
    func baseline(of task: String) -> String? {
        guard let baseline else { return nil }
        let inner = "\(baseline)/\(EvaluationOutputs.fileName(task))"
        return access(inner + "/report.json", F_OK) == 0 ? inner : baseline
    }

    /// Finds out before anything is evaluated what would only be refused after it.
    /// - Throws: for a bound of a metric that the task does not have, and a report that cannot be read.
    func check(_ plan: EvaluationPlan) throws {
        let gate = try gate(plan.task.name)
        for (bounds, isBelow) in [(gate.failBelow, true), (gate.failAbove, false)] {
            let flag = isBelow ? "--fail_below" : "--fail_above"
            for bound in bounds {
                let metric = plan.metrics.first { bound.metric == nil || $0.name == bound.metric }
                guard let metric else {
                    throw CommandError(
                        "\(flag): \(plan.task.name) has no metric \"\(bound.metric ?? "")\"; name one of "
                            + plan.metrics.map(\.name).joined(separator: ", "), status: 2)
                }
                guard metric.higherIsBetter == isBelow else {
                    throw CommandError(
                        "\(flag): of \(metric.name) \(isBelow ? "less" : "more") is better; write "
                            + (isBelow ? "--fail_above" : "--fail_below"), status: 2)
                }
            }
        }
        guard let path = baseline(of: plan.task.name) else { return }
        let stored = try StoredReport(path)
        guard stored.task == plan.task.name else {
            throw CommandError(
                "--fail_if_worse_than \(path): the report is of \(stored.task), not of \(plan.task.name)",
                status: 2)
        }
    }

    /// What the gates say of a finished task.
    /// - Parameter directory: where its report is.
    func verdict(_ report: EvaluationReport, directory: String) throws -> EvaluationGate.Verdict {
        let gate = try gate(report.task)
        var verdict = try gate.verdict(report)
        if let path = baseline(of: report.task) {
            let comparison = try ReportComparison(StoredReport(path), StoredReport(directory))
            let other = gate.verdict(comparison, than: path)
            verdict.passed = verdict.passed && other.passed
            verdict.sentences += other.sentences
        }
        return verdict
    }
}
