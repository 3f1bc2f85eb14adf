// What `--dry_run` shows: tokens, steps and memory before anything starts; and what to change where it cannot
// fit.

import Models
import Tensors
import Training

/// A run on this machine, on paper.
struct DryRunReport {
    let parameters: TrainingParameters
    let model: ModelConfiguration
    let plan: TunerPlan
    let data: DataSummary
    /// Memory that the process may still take; nil where the system does not tell.
    let availableBytes: Int?
    let estimate: TrainingEstimate
    let steps: StepCount

    init(
        parameters: TrainingParameters, model: ModelConfiguration, plan: TunerPlan, data: DataSummary,
        availableBytes: Int?
    ) {
        self.parameters = parameters
        self.model = model
        self.plan = plan
        self.data = data
        self.availableBytes = availableBytes
        estimate = TrainingEstimate(model: model, plan: plan, parameters: parameters, data: data)
        steps = StepCount(parameters, microBatches: data.microBatches)
    }

    var fits: Bool { availableBytes.map { estimate.totalBytes <= $0 } ?? true }

    // MARK: The table

    var lines: [String] {
        var facts = TextTable(padding: 2)
        facts.add(["model", modelText])
        facts.add(["trained", trainedText])
        facts.add(["data", dataText])
        facts.add(["steps", stepsText])
        facts.add(["writes", writesText])
        var memory = TextTable(padding: 2)
        for part in TrainingEstimate.Part.allCases {
            guard let bytes = estimate.bytes[part] else { continue }
            memory.add(["  " + part.rawValue, TrainingEstimate.text(bytes)])
        }
        memory.add(["  total", TrainingEstimate.text(estimate.totalBytes)])
        memory.add(["  available", availableBytes.map(TrainingEstimate.text) ?? "unknown"])
        return facts.lines + ["memory"] + memory.lines
    }

    private var modelText: String {
        "\(TrainingOptions.modelName(parameters)): \(model.architecture.rawValue), "
            + "\(Self.millions(estimate.parameterCount)) parameters, "
            + "computed in \(estimate.precision.rawValue)"
    }

    private var trainedText: String {
        let share = Self.percent(estimate.trainedCount, of: estimate.parameterCount)
        let count = "\(Self.millions(estimate.trainedCount)) parameters (\(share) %)"
        guard let lora = plan.loras.first else { return "\(parameters.tunerType.rawValue), \(count)" }
        return "lora of rank \(lora.rank) on \(plan.loras.count) layers, \(count)"
    }

    private var dataText: String {
        let longest = "at most \(Self.grouped(data.longestMicroBatchTokens)) tokens at once"
        guard data.rows > 0 else { return "not counted before it is read, \(longest)" }
        var text =
            "\(Self.grouped(data.rows)) rows, \(Self.grouped(data.tokens)) tokens, the longest row "
            + "\(Self.grouped(data.longestRowTokens)), \(longest)"
        if data.evaluationRows > 0 { text += "; \(Self.grouped(data.evaluationRows)) rows to evaluate on" }
        return text
    }

    private var stepsText: String {
        let batch = parameters.perDeviceTrainBatchSize
        let unit = parameters.packing ? "packs" : "rows"
        let size =
            "\(batch * steps.accumulation) \(unit) a step (\(batch) at once, \(steps.accumulation) times)"
        guard data.microBatches > 0 else { return "\(Self.grouped(steps.steps)), \(size)" }
        return "\(Self.grouped(steps.steps)) in \(Self.short(steps.epochs)) epochs of "
            + "\(Self.grouped(steps.stepsPerEpoch)), \(size)"
    }

    private var writesText: String {
        let directory = parameters.checkpointDir ?? parameters.outputDir ?? "output"
        let checkpoints = checkpointCount
        let size = TrainingEstimate.text(checkpointBytes)
        let log = "\(parameters.outputDir ?? "output"): args.json, logging.jsonl"
        return
            "\(directory): \(Self.grouped(checkpoints)) checkpoint\(checkpoints == 1 ? "" : "s") of "
            + "about \(size); \(log)\(parameters.reportTo.isEmpty ? "" : ", runs/")"
    }

    /// Checkpoints that are there at the end, that of the last step included.
    private var checkpointCount: Int {
        let saved: Int
        switch parameters.saveStrategy {
        case .no: saved = 1
        case .steps:
            let rest = steps.steps % parameters.saveSteps
            saved = steps.steps / parameters.saveSteps + (rest > 0 ? 1 : 0)
        case .epoch: saved = max(1, Int(min(steps.epochs.rounded(.up), 1e6)))
        }
        return max(1, min(saved, parameters.saveTotalLimit ?? saved))
    }

    /// Weights as they are saved, and unless left out what a run resumes from.
    private var checkpointBytes: Int {
        let isFull = plan.adapter == nil
        let element = estimate.precision == .bfloat16 ? 2 : 4
        let weights = isFull ? estimate.parameterCount * element : estimate.trainedCount * 4
        guard !parameters.saveOnlyModel else { return weights }
        let masters = isFull && element == 2 ? estimate.bytes[.trained] ?? 0 : 0
        return weights + masters + (estimate.bytes[.optimizer] ?? 0) + (estimate.bytes[.average] ?? 0)
    }

    // MARK: What to change

    /// Why this cannot run, with what would help; nil if it fits.
    var refusal: String? {
        guard !fits, let availableBytes else { return nil }
        let need =
            "training needs about \(TrainingEstimate.text(estimate.totalBytes)) of memory, and "
            + "\(TrainingEstimate.text(availableBytes)) are available"
        let remedies = remedies.map { "  \($0.words) needs \(TrainingEstimate.text($0.bytes))" }
        return
            ([need + "; change one of these, shorten --max_length, or write --force to try it nevertheless:"]
            + remedies).joined(separator: "\n")
    }

    /// Changes that make the run smaller, each alone and then all together.
    var remedies: [(words: String, bytes: Int)] {
        var found: [(words: String, bytes: Int)] = []
        var all: [(String, (inout Self.Change) -> Void)] = []
        for (words, change) in changes {
            guard let bytes = total(change), bytes < estimate.totalBytes else { continue }
            found.append((words, bytes))
            all.append((words, change))
        }
        if all.count > 1, let bytes = total({ changed in for (_, change) in all { change(&changed) } }) {
            found.append(("all of it", bytes))
        }
        return found
    }

    private struct Change {
        var parameters: TrainingParameters
        var data: DataSummary
    }

    private var changes: [(words: String, change: (inout Change) -> Void)] {
        var changes: [(words: String, change: (inout Change) -> Void)] = []
        let batch = parameters.perDeviceTrainBatchSize
        if batch > 1 {
            let words =
                "--per_device_train_batch_size 1 --gradient_accumulation_steps \(batch * steps.accumulation)"
            changes.append(
                (
                    words,
                    { changed in
                        changed.parameters.perDeviceTrainBatchSize = 1
                        changed.data.longestMicroBatchTokens =
                            changed.parameters.packing
                            ? changed.data.longestMicroBatchTokens / batch : changed.data.longestRowTokens
                    }
                ))
        }
        if parameters.perDeviceEvalBatchSize > 1, data.longestEvaluationBatchTokens > 0 {
            let eval = parameters.perDeviceEvalBatchSize
            changes.append(
                ("--per_device_eval_batch_size 1", { $0.data.longestEvaluationBatchTokens /= eval }))
        }
        if !parameters.gradientCheckpointing {
            changes.append(
                ("--gradient_checkpointing true", { $0.parameters.gradientCheckpointing = true }))
        }
        if parameters.optimizer == .adamw {
            changes.append(("--optim adamw_8bit", { $0.parameters.optimizer = .adamw8bit }))
        }
        if parameters.tunerType == .full, parameters.initConfig == nil {
            changes.append(("--tuner_type lora", { $0.parameters.tunerType = .lora }))
        } else if parameters.tunerType == .lora, parameters.quantization == .none {
            changes.append(
                ("--quant_method bnb --quant_bits 4", { $0.parameters.quantization = .nf4 }))
        }
        return changes
    }

    private func total(_ change: (inout Change) -> Void) -> Int? {
        var changed = Change(parameters: parameters, data: data)
        change(&changed)
        let plan: TunerPlan
        if changed.parameters.tunerType == parameters.tunerType {
            plan = self.plan
        } else {
            guard let other = try? TunerPlan(changed.parameters, model: TunableModel(model)) else {
                return nil
            }
            plan = other
        }
        return TrainingEstimate(
            model: model, plan: plan, parameters: changed.parameters, data: changed.data
        ).totalBytes
    }

    // MARK: Numbers

    /// 1234567 as 1,234,567.
    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number.magnitude))
        var text = number < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// Millions with one digit after the point, smaller counts as they are.
    static func millions(_ count: Int) -> String {
        guard count >= 1_000_000 else { return grouped(count) }
        let tenths = (count + 50_000) / 100_000
        return "\(grouped(tenths / 10)).\(tenths % 10)M"
    }

    /// Hundredths of a percent are enough.
    static func percent(_ part: Int, of whole: Int) -> String {
        guard whole > 0 else { return "0" }
        return short((Double(part) / Double(whole) * 10_000).rounded() / 100)
    }

    /// At most two digits after the point, none if there is nothing after it.
    static func short(_ number: Double) -> String {
        guard number.isFinite, abs(number) < 1e12 else { return "\(number)" }
        let rounded = (number * 100).rounded() / 100
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}
