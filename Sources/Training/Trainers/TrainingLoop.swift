// The loop over steps: rows in, gradients, a step of the optimizer; now and then an evaluation and a checkpoint.

import Glibc
import Models
import Tensors

/// Somebody wants the run to end, and an evaluation may take long.
private struct EvaluationStopped: Error {}

/// A run between its first step and its last.
struct TrainingLoop {
    private let setup: RunSetup
    private let stop: StopRequest
    private let parameters: TrainingParameters
    private let arena: ActivationArena
    private let log: TrainingLog
    private var step: Int
    private var summary = RunSummary()
    private var savedStep = -1
    private var lastSaved: Checkpoint?
    /// Evaluations since the best.
    private var worseEvaluations = 0
    private var bestMetric: Double?
    private var evaluatedStep = -1
    /// The metric that was measured last.
    private var measured: (step: Int, metric: Double)?
    private var firstLosses: [Double] = []
    /// Operations so far, as transformers estimates them: 6 a parameter and token.
    private var operations = 0.0

    init(_ setup: RunSetup, stop: StopRequest) throws {
        self.setup = setup
        self.stop = stop
        parameters = setup.parameters
        let available = max(8 << 20, MemoryAllowance.read().availableBytes ?? 1 << 40)
        arena = try ActivationArena(
            byteCount: setup.environment.memoryLimitBytes ?? available, backend: setup.backend)
        let resumed = parameters.resumeOnlyModel ? nil : setup.resumed?.state
        step = resumed?.globalStep ?? 0
        let clock = ReportClock.system
        let environment = setup.environment
        let places = ReportPlaces(parameters, environment: environment.variable)
        log = TrainingLog(
            settings: TrainingLog.Settings(
                maxSteps: setup.batches.stepCount, loggingSteps: parameters.loggingSteps,
                loggingFirstStep: parameters.loggingFirstStep),
            sinks: try places.open(resumedStep: resumed?.globalStep, clock: clock),
            display: environment.showsProgress ? ProgressDisplay.standardError() : nil,
            clock: clock, resumed: resumed, warn: { environment.say("warning: \($0)") })
        worseEvaluations = resumed?.earlyStopCount ?? 0
        bestMetric = resumed?.bestMetric
        operations = resumed?.totalFlos ?? 0
        // Saved once more at the same step, the checkpoint keeps its metric.
        if resumed != nil, let metric = setup.resumed?.checkpoint.metric { measured = (step, metric) }
    }

    mutating func run() throws -> RunSummary {
        // A run that had stopped early goes on only if it has become more patient.
        var stoppedEarly = isOutOfPatience
        while step < setup.batches.stepCount, !stoppedEarly {
            if stop.isMade { try interrupt() }
            let rows = try rowsOfStep()
            do {
                try train(rows)
            } catch let error as OutOfMemory {
                // The step changed nothing yet, so that what was reached can be kept.
                if step > 0 { try? save() }
                log.close()
                throw error
            }
            if isDue(
                parameters.evalStrategy ?? (setup.validation == nil ? .no : parameters.saveStrategy),
                parameters.evalSteps ?? parameters.saveSteps)
            {
                try evaluate()
                stoppedEarly = isOutOfPatience
            }
            // The last step is evaluated in any case, and then saved with its metric.
            let isLast = stoppedEarly || step == setup.batches.stepCount
            if !isLast, isDue(parameters.saveStrategy, parameters.saveSteps) { try save() }
            setup.environment.stepDone(step)
        }
        if stoppedEarly, let limit = parameters.earlyStopInterval {
            setup.environment.say(
                "notice: no better \(parameters.metricForBestModel) for \(limit) evaluations, stopping early")
        }
        return try finish()
    }

    private var isOutOfPatience: Bool {
        parameters.earlyStopInterval.map { worseEvaluations >= $0 } ?? false
    }

    // MARK: Steps

    private func rowsOfStep() throws -> [[NumberedRow]] {
        try setup.batches.microBatches(step: step).map { numbers in
            try numbers.map { try row($0, of: setup.train) }
        }
    }

    /// A row, if the model has all of its tokens: a tokenizer may have more than the embedding has rows.
    private func row(_ number: Int, of dataset: TrainingDataset) throws -> NumberedRow {
        let row = try dataset.row(number)
        let vocabulary = setup.models.configuration.vocabSize
        guard row.highestID < vocabulary else {
            let source = dataset.source(of: number)
            throw TrainingError(
                .badData,
                "\(source.file):\(source.line): token \(row.highestID) is not one of the model's \(vocabulary)",
                remedy: "use the tokenizer that belongs to the model")
        }
        return NumberedRow(number: number, row: row)
    }

    private mutating func train(_ rows: [[NumberedRow]]) throws {
        let model = setup.models.model
        model.zeroGradients()
        let result = try setup.objective.train(rows, pass(step: step))
        let gradNorm = setup.optimizer.gradientNorm()
        try requireConvergence(result, gradNorm, rows)
        let rate = setup.schedule.rate(step: step)
        // The same constant as torch.nn.utils.clip_grad_norm_.
        let factor = parameters.maxGradNorm > 0 ? min(1, parameters.maxGradNorm / (gradNorm + 1e-6)) : 1
        setup.optimizer.step(learningRate: rate, gradientFactor: factor)
        step += 1
        let tokens = rows.reduce(0) { $0 + $1.reduce(0) { $0 + $1.row.length } }
        operations += 6 * Double(tokens) * Double(setup.models.plan.modelCount)
        let extras = result.metrics.map { NamedValue($0.name, $0.value) }
        summary.metrics = extras
        log.stepFinished(
            StepReport(
                step: step, epoch: setup.batches.epoch(afterSteps: step), loss: result.loss,
                gradNorm: gradNorm, learningRate: rate, tokenAccuracy: result.tokenAccuracy,
                trainedTokens: result.tokens, samples: result.samples, extras: extras))
    }

    private func pass(step: Int) -> TrainingPass {
        TrainingPass(
            model: setup.models.model, arena: arena, checkpointing: parameters.gradientCheckpointing,
            noise: parameters.neftuneNoiseAlpha,
            seed: (parameters.seed &+ 1) &* 0x2545_F491_4F6C_DD1D &+ UInt64(step) &* 0x9FB2_1C65_1E98_DF25)
    }

    /// A step that cannot be right changes nothing: what was reached before stays.
    private mutating func requireConvergence(
        _ result: ObjectiveResult, _ gradNorm: Double, _ rows: [[NumberedRow]]
    ) throws {
        if firstLosses.count < 5 { firstLosses.append(result.loss) }
        // Chance alone has a loss of log(vocabulary); three times that is no training.
        let limit = 3 * Glibc.log(Double(setup.models.configuration.vocabSize)) + (firstLosses.max() ?? 0)
        let isBlownUp = parameters.stage != .rlhf && result.loss > limit
        guard !result.loss.isFinite || !gradNorm.isFinite || isBlownUp else { return }
        let places = rows.flatMap { $0 }.prefix(4).map { row in
            let source = setup.train.source(of: row.number)
            return "\(source.file):\(source.line)"
        }
        let count = rows.reduce(0) { $0 + $1.count }
        let more = count > places.count ? " and \(count - places.count) more" : ""
        log.close()
        throw TrainingError(
            .diverged,
            "step \(step + 1) diverged: loss \(result.loss), gradient norm \(gradNorm), rows "
                + places.joined(separator: ", ") + more,
            remedy: "look at these rows, lower learning_rate, or add warmup_ratio; "
                + ((summary.lastCheckpoint ?? setup.resumed?.checkpoint.path).map {
                    "the last checkpoint is \($0)"
                } ?? "nothing was saved"))
    }

    private func isDue(_ interval: TrainingParameters.Interval, _ every: Int) -> Bool {
        switch interval {
        case .no: return false
        case .steps: return step % max(1, every) == 0
        case .epoch:
            let (now, before) = (
                setup.batches.epoch(afterSteps: step), setup.batches.epoch(afterSteps: step - 1)
            )
            return Int(now + 1e-9) > Int(before + 1e-9)
        }
    }

    // MARK: Evaluation

    private mutating func evaluate() throws {
        guard let validation = setup.validation, evaluatedStep != step else { return }
        let clock = ReportClock.system
        let start = clock.steadySeconds()
        let batches = HeldOutBatches(count: validation.count, size: parameters.perDeviceEvalBatchSize) {
            [self] in
            if stop.isMade { throw EvaluationStopped() }
            return try row($0, of: validation)
        }
        let result = try setup.objective.evaluate(batches, pass(step: step))
        if batches.failure is EvaluationStopped { try interrupt() }
        if let failure = batches.failure { throw failure }
        evaluatedStep = step
        summary.evalLoss = result.loss
        let metrics = result.metrics.map { NamedValue($0.name, $0.value) }
        summary.evaluationMetrics = metrics
        log.evaluationFinished(
            EvaluationReport(
                step: step, epoch: setup.batches.epoch(afterSteps: step), loss: result.loss,
                tokenAccuracy: result.tokenAccuracy, runtimeSeconds: clock.steadySeconds() - start,
                samples: result.samples, batches: batches.batchCount, extras: metrics))
        let metric = try self.metric(result)
        measured = (step, metric)
        // No comparison holds for what is not a number, so that it never counts as the best.
        let isBetter =
            bestMetric.map { parameters.wantsGreaterMetric ? metric > $0 : metric < $0 } ?? !metric.isNaN
        worseEvaluations = isBetter ? 0 : worseEvaluations + 1
        if isBetter { bestMetric = metric }
    }

    private func metric(_ result: ObjectiveResult) throws(TrainingError) -> Double {
        var name = parameters.metricForBestModel
        if name.hasPrefix("eval_") { name = String(name.dropFirst(5)) }
        if name == "loss" { return result.loss }
        if name == "token_acc", let accuracy = result.tokenAccuracy { return accuracy }
        if let metric = result.metrics.first(where: { $0.name == name }) { return metric.value }
        let known = ["loss", "token_acc"] + result.metrics.map(\.name)
        throw TrainingError(
            .badParameters, "metric_for_best_model: there is no \"\(name)\"",
            remedy: "choose one of \(known.joined(separator: ", "))")
    }

    // MARK: Saving

    private mutating func save() throws {
        guard let store = setup.store, savedStep != step else { return }
        let metric = measured.flatMap { $0.step == step ? $0.metric : nil }
        var state = TrainerState()
        log.sync()
        log.record(in: &state)
        state.totalFlos = operations
        state.numTrainEpochs = Int(parameters.numTrainEpochs.rounded(.up))
        state.trainBatchSize = parameters.perDeviceTrainBatchSize
        state.evalSteps = parameters.evalSteps ?? parameters.saveSteps
        state.saveSteps = parameters.saveSteps
        state.seed = parameters.seed
        state.dataSeed = parameters.dataSeed
        state.datasetFingerprint = setup.train.fingerprint
        state.parametersFingerprint = String(NameHash.of(ParameterText.json(parameters)), radix: 16)
        state.threads = setup.threads
        state.earlyStopCount = worseEvaluations
        // The best of all evaluations, saved or not, decides about stopping early after a resume too.
        state.bestMetric = bestMetric
        if let best = store.best(afterSavingStep: step, metric: metric) {
            state.bestGlobalStep = best.step
            state.bestModelCheckpoint = best.path
        }
        let writer = setup.writer
        let saved = try store.save(step: step, metric: metric, neededByteCount: writer.byteCount) {
            directory in
            try writer.write(state, to: directory)
        }
        savedStep = step
        lastSaved = saved
        summary.lastCheckpoint = saved.path
    }

    private mutating func interrupt() throws {
        try save()
        log.close()
        guard setup.store != nil else {
            throw TrainingError(
                .interrupted, "stopped after step \(step)", remedy: "nothing is saved without output_dir")
        }
        throw TrainingError(
            .interrupted, "stopped after step \(step), which is saved",
            remedy: "add --resume_from_checkpoint latest to go on")
    }

    private mutating func finish() throws -> RunSummary {
        let wantsEvaluation = setup.validation != nil && parameters.evalStrategy != .no
        if wantsEvaluation, step > 0 { try evaluate() }
        if step > 0 { try save() }
        summary.steps = step
        summary.trainLoss = log.trainLoss
        summary.tokensPerSecond = log.tokensPerSecond
        // Not the one with the highest number: that may be of a way that this run did not go.
        let (last, best) = (lastSaved, setup.store?.best())
        summary.lastCheckpoint = try last.map(setup.writer.publish)
        summary.bestCheckpoint = try best.map(setup.writer.publish)
        let plan = setup.models.plan
        let share = 100 * Double(plan.trainedCount) / Double(max(1, plan.modelCount))
        log.runFinished(
            RunReport(
                totalFlos: operations,
                modelParameterInfo: "\(setup.models.configuration.architecture): "
                    + "\(Self.millions(plan.modelCount))M parameters, \(Self.millions(plan.trainedCount))M trained "
                    + "(\((share * 10_000).rounded() / 10_000)%)",
                lastModelCheckpoint: summary.lastCheckpoint, bestModelCheckpoint: summary.bestCheckpoint,
                bestMetric: bestMetric,
                // Asking for the statistics of a stream would read all of it.
                trainDataset: parameters.streaming
                    ? "Dataset Token Length: not counted (streaming)" : setup.train.statistics.text,
                valDataset: setup.validation?.statistics.text))
        return summary
    }

    private static func millions(_ count: Int) -> Double { (Double(count) / 100).rounded() / 10_000 }
}

extension DatasetStatistics {
    /// As ms-swift puts it.
    var text: String {
        "Dataset Token Length: \((meanLength * 100).rounded() / 100), min=\(minLength), max=\(maxLength), size=\(rows)"
    }
}
