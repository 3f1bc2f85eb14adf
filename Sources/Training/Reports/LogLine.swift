// The lines of `logging.jsonl`, in the form of ms-swift 4.

import Text

/// Where a run stands when a line is written.
struct RunPosition: Sendable, Hashable {
    var step: Int
    var maxSteps: Int
    var epoch: Double
    /// Over all attempts of the run.
    var elapsedSeconds: Double
    /// Of this process; 0 before its first step is done.
    var secondsPerStep: Double
    /// The highest so far; 0 where it is not known.
    var peakMemoryBytes: Int
}

/// Builds one line. Its members come in the order in which they are added.
struct LogLine: Sendable, Hashable {
    private(set) var members: [OrderedJSON.Member]

    init(_ members: [OrderedJSON.Member] = []) { self.members = members }

    /// What is averaged over the window since the last line, and of its last step what is not.
    static func training(_ report: StepReport, window: LogWindow) -> LogLine {
        var line = LogLine()
        line.add("loss", window.loss)
        line.add("grad_norm", report.gradNorm)
        line.add("learning_rate", report.learningRate)
        line.add("token_acc", window.tokenAccuracy)
        for extra in window.extraMeans { line.add(extra.name, extra.value) }
        line.add("epoch", report.epoch)
        return line
    }

    /// Times and rates are rounded as transformers' `speed_metrics` does.
    static func evaluation(_ report: EvaluationReport) -> LogLine {
        var line = LogLine()
        line.add("eval_loss", report.loss)
        line.add("eval_token_acc", report.tokenAccuracy)
        for extra in report.extras { line.add("eval_\(extra.name)", extra.value) }
        line.addSpeed(
            "eval", seconds: report.runtimeSeconds, samples: report.samples, steps: report.batches)
        line.add("epoch", report.epoch)
        return line
    }

    /// The trainer's own last line. Runtime, samples and steps are those of the whole run, all attempts
    /// together.
    static func end(of run: RunReport, at position: RunPosition, samples: Int, lossTotal: Double) -> LogLine {
        var line = LogLine()
        line.addSpeed("train", seconds: position.elapsedSeconds, samples: samples, steps: position.step)
        line.add("total_flos", run.totalFlos)
        line.add("train_loss", position.step > 0 ? lossTotal / Double(position.step) : 0)
        line.add("epoch", position.epoch)
        return line
    }

    mutating func add(_ key: String, _ value: Double?) {
        if let value { members.append(.init(key: key, value: .number(value))) }
    }

    private mutating func addSpeed(_ name: String, seconds: Double, samples: Int, steps: Int) {
        add("\(name)_runtime", FixedPoint.rounded(seconds, places: 4))
        guard seconds > 0 else { return }
        add("\(name)_samples_per_second", FixedPoint.rounded(Double(samples) / seconds, places: 3))
        add("\(name)_steps_per_second", FixedPoint.rounded(Double(steps) / seconds, places: 3))
    }

    // MARK: Forms

    /// What `log_history` keeps: the values unrounded, with the step.
    func historyEntry(step: Int) -> OrderedJSON {
        .object(members + [.init(key: "step", value: .int(step))])
    }

    /// The line in `logging.jsonl`, without a newline: values rounded to 8 places, then where the run stands.
    func loggingText(at position: RunPosition) -> String {
        var all = members.map { OrderedJSON.Member(key: $0.key, value: Self.rounded($0.value)) }
        all.append(
            .init(
                key: "global_step/max_steps",
                value: .string("\(position.step)/\(position.maxSteps)")))
        all.append(
            .init(
                key: "elapsed_time", value: .string(DurationText.of(seconds: position.elapsedSeconds))))
        let left = Double(max(0, position.maxSteps - position.step)) * position.secondsPerStep
        all.append(.init(key: "remaining_time", value: .string(DurationText.of(seconds: left))))
        if position.peakMemoryBytes > 0 {
            let gibibytes = FixedPoint.rounded(Double(position.peakMemoryBytes) / 1_073_741_824, places: 2)
            all.append(.init(key: "memory(GiB)", value: .double(gibibytes)))
        }
        all.append(
            .init(
                key: "train_speed(s/it)",
                value: .double(FixedPoint.rounded(position.secondsPerStep, places: 6))))
        return OrderedJSON.object(all).pythonText()
    }

    /// A line of `$MARTLET_METRICS_FILE`: finite numbers only, nothing rounded.
    func metricsText(step: Int) -> String {
        let numbers = members.filter { member in
            if case .string = member.value { return false }
            return true
        }
        return OrderedJSON.object([.init(key: "step", value: .int(step))] + numbers).compactText
    }

    /// The values as TensorBoard has them under transformers' names: `eval_loss` is eval/loss, others are
    /// train/....
    var scalars: [NamedValue] {
        members.compactMap { member in
            guard let value = member.value.number else { return nil }
            let isEvaluation = member.key.hasPrefix("eval_")
            let tag = isEvaluation ? "eval/\(member.key.dropFirst(5))" : "train/\(member.key)"
            return NamedValue(tag, value)
        }
    }

    private static func rounded(_ value: OrderedJSON) -> OrderedJSON {
        if case .double(let number) = value { return .double(FixedPoint.rounded(number, places: 8)) }
        return value
    }
}

/// The last line of `logging.jsonl`, which has a shape of its own; other programs read the checkpoints' paths
/// from it.
enum ClosingLine {
    static func text(
        _ run: RunReport, step: Int, history: [OrderedJSON], peakMemoryBytes: Int
    ) -> String {
        func text(_ value: String?) -> OrderedJSON { value.map { .string($0) } ?? .null }
        let memory = FixedPoint.rounded(Double(peakMemoryBytes) / 1_073_741_824, places: 8)
        var members: [OrderedJSON.Member] = [
            .init(key: "model_parameter_info", value: .string(run.modelParameterInfo)),
            .init(key: "last_model_checkpoint", value: text(run.lastModelCheckpoint)),
            .init(key: "best_model_checkpoint", value: text(run.bestModelCheckpoint)),
            .init(key: "best_metric", value: run.bestMetric.map { .number($0) } ?? .null),
            .init(key: "global_step", value: .int(step)),
            .init(key: "log_history", value: .array(history)),
            .init(key: "memory", value: peakMemoryBytes > 0 ? .double(memory) : .null),
            .init(key: "train_dataset", value: .string(run.trainDataset)),
        ]
        if let valDataset = run.valDataset {
            members.append(.init(key: "val_dataset", value: .string(valDataset)))
        }
        return OrderedJSON.object(members).pythonText()
    }
}

/// A line of the file that `--log_json` names.
package enum StepLine {
    package static let help = """
        Writes a JSON object a step to this file at full precision: step, loss, grad_norm, learning_rate, \
        trained_tokens; for rlhf also logps_chosen, logps_rejected, rewards_margins, rewards_accuracies and \
        what else is measured. Steps count from 0 here: the first update is step 0.
        """

    private static let leading = [
        "logps_chosen", "logps_rejected", "rewards_margins", "rewards_accuracies",
    ]

    static func text(_ report: StepReport) -> String {
        var members: [OrderedJSON.Member] = [
            .init(key: "step", value: .int(report.step - 1)),
            .init(key: "loss", value: .number(report.loss)),
            .init(key: "grad_norm", value: .number(report.gradNorm)),
            .init(key: "learning_rate", value: .number(report.learningRate)),
            .init(key: "trained_tokens", value: .int(report.trainedTokens)),
        ]
        let extras = report.extras.map { extra in
            (key: String(extra.name.map { $0 == "/" ? "_" : $0 }), value: extra.value)
        }
        let ordered =
            leading.compactMap { key in extras.first { $0.key == key } }
            + extras.filter { !leading.contains($0.key) }
        members += ordered.map { .init(key: $0.key, value: .number($0.value)) }
        return OrderedJSON.object(members).pythonText()
    }
}
