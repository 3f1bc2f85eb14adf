// From parameters to a running training: the estimate first, and nothing is started that cannot fit.

import Models
import Tensors
import Training

enum TrainingStart {
    /// Shows the estimate of a dry run, or trains.
    static func start(_ parameters: TrainingParameters) async throws {
        guard parameters.dryRun else { return try await runTraining(parameters) }
        let report = try reportingErrors {
            try self.report(parameters, TrainingRun.dataSummary(parameters))
        }
        for line in report.lines { Output.line(line) }
        if let refusal = report.refusal, !parameters.force { throw CommandError(refusal, status: 2) }
    }

    /// What the run comes to on this machine.
    private static func report(_ parameters: TrainingParameters, _ data: DataSummary) throws -> DryRunReport {
        let model = try TrainingRun.configuration(parameters)
        let adapter = try parameters.adapters.first.map { try AdapterConfiguration(directory: $0) }
        let plan = try TunerPlan(parameters, model: TunableModel(model), adapter: adapter)
        return DryRunReport(
            parameters: parameters, model: model, plan: plan, data: data,
            availableBytes: MemoryAllowance.read().availableBytes)
    }

    /// Trains until the end or the first signal, after which the step is finished and saved; the second ends
    /// the process at once. A run that cannot fit is refused before any weight is read.
    private static func runTraining(_ parameters: TrainingParameters) async throws {
        let stop = StopRequest()
        let signals = SignalWatch { _ in
            Output.note("saving after this step; a second signal leaves at once, without saving")
            stop.make()
        }
        defer { signals.cancel() }
        let artifacts = TrainingArtifacts()
        let environment = RunEnvironment(
            variable: { Environment.value($0) }, say: { Output.note($0) }, showsProgress: true,
            admit: { data in
                guard let refusal = try report(parameters, data).refusal else { return }
                // A step that is known to be too large is out of memory as one that ran into it: what tries
                // it again may make it smaller.
                guard parameters.force else {
                    throw CommandError(refusal, status: artifacts == nil ? 2 : 86)
                }
                Output.warning(refusal)
            })
        let summary = try reportingErrors {
            try TrainingRun(parameters, environment: environment).run(stop: stop)
        }
        try artifacts?.leave(summary, of: parameters)
        for line in lines(summary) { Output.line(line) }
    }

    private static func lines(_ summary: RunSummary) -> [String] {
        var lines: [String] = []
        func add(_ name: String, _ value: Double?) {
            if let value { lines.append("\(name) \((value * 1e6).rounded() / 1e6)") }
        }
        lines.append("steps \(summary.steps)")
        add("train_loss", summary.trainLoss)
        add("eval_loss", summary.evalLoss)
        lines.append("tokens_per_second \((summary.tokensPerSecond * 10).rounded() / 10)")
        if let checkpoint = summary.lastCheckpoint { lines.append("last_checkpoint \(checkpoint)") }
        if let checkpoint = summary.bestCheckpoint { lines.append("best_checkpoint \(checkpoint)") }
        return lines
    }

    // MARK: Failures

    /// Runs `body`; what it throws becomes an error of the command with its exit status.
    static func reportingErrors<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            throw commandError(for: error)
        }
    }

    /// The error with the exit status that DESIGN gives it. Files that are not what was named are bad
    /// parameters, as trying again would not help.
    static func commandError(for error: any Error) -> any Error {
        switch error {
        case let error as TrainingError: CommandError("\(error)", status: error.kind.rawValue)
        case let error as OutOfMemory:
            CommandError(
                "out of memory: \(TrainingEstimate.text(error.byteCount)) "
                    + "for \(error.purpose) could not be had; "
                    + "lower --per_device_train_batch_size or --max_length, or see --dry_run", status: 86)
        case is ConfigurationError, is ModelError, is SafetensorsError, is TokenizerError:
            CommandError("\(error)", status: 2)
        case let error as FileError: CommandError("\(error)", status: error.isMissing ? 2 : 1)
        default: error
        }
    }
}
