// Takes what happens in a run and tells it to all who want to know: files, charts, the workflow engine, the
// user.

import Text

/// The log of one run. Its outputs never stop the run: what cannot be written is told once a place, and tried
/// again.
package final class TrainingLog {
    package struct Settings: Sendable, Hashable {
        package var maxSteps: Int
        /// A line is written after every so many updates.
        package var loggingSteps: Int
        /// A line after the first update too.
        package var loggingFirstStep: Bool

        package init(maxSteps: Int, loggingSteps: Int = 5, loggingFirstStep: Bool = true) {
            self.maxSteps = maxSteps
            self.loggingSteps = max(1, loggingSteps)
            self.loggingFirstStep = loggingFirstStep
        }

        /// Whether the update makes a line, as in transformers.
        func isLogged(_ step: Int) -> Bool {
            step % loggingSteps == 0 || (loggingFirstStep && step == 1)
        }
    }

    private let settings: Settings
    private let sinks: ReportSinks
    private let clock: ReportClock
    private let readMemory: () -> ResidentMemory
    private let warn: (String) -> Void
    private var display: ProgressDisplay?
    private var failedPlaces: Set<String> = []

    private var step = 0
    private var epoch = 0.0
    private var window = LogWindow()
    private var history: [OrderedJSON] = []
    private var lossTotal = 0.0
    private var tokensSeen = 0
    private var samplesSeen = 0
    private var peakMemoryBytes = 0

    /// When this process began to train, and what was done before.
    private let start: Double
    private let earlierSeconds: Double
    private let firstStep: Int
    private let earlierTokens: Int

    /// Time counts from here on.
    /// - Parameters:
    ///   - resumed: the state of the checkpoint from which the run goes on.
    ///   - warn: takes a sentence for the user.
    package init(
        settings: Settings, sinks: ReportSinks, display: ProgressDisplay? = nil,
        clock: ReportClock = .system, memory: @escaping () -> ResidentMemory = { .read() },
        resumed: TrainerState? = nil, warn: @escaping (String) -> Void
    ) {
        self.settings = settings
        self.sinks = sinks
        self.display = display
        self.clock = clock
        readMemory = memory
        self.warn = warn
        if let resumed {
            step = resumed.globalStep
            epoch = resumed.epoch
            window = resumed.window
            history = resumed.logHistory
            lossTotal = resumed.lossTotal
            tokensSeen = resumed.tokensSeen
            samplesSeen = resumed.samplesSeen
        }
        start = clock.steadySeconds()
        earlierSeconds = resumed?.elapsedSeconds ?? 0
        firstStep = step
        earlierTokens = tokensSeen
    }

    // MARK: Events

    /// An update is done.
    package func stepFinished(_ report: StepReport) {
        step = report.step
        epoch = report.epoch
        lossTotal += report.loss
        tokensSeen += report.trainedTokens
        samplesSeen += report.samples
        window.add(report)
        write(StepLine.text(report), to: sinks.steps, "the file of log_json")
        let loss = window.loss ?? report.loss
        let isLogged = settings.isLogged(step)
        if isLogged {
            publish(LogLine.training(report, window: window))
            window = LogWindow()
        }
        if settings.maxSteps > 0 {
            write(
                "\(min(step, settings.maxSteps))/\(settings.maxSteps)", to: sinks.progress,
                "the progress file")
        }
        let now = clock.steadySeconds()
        display?.show(isLogLine: isLogged, isLast: step == settings.maxSteps, now: now) {
            figures(loss: loss, learningRate: report.learningRate)
        }
    }

    /// The validation data were gone through.
    package func evaluationFinished(_ report: EvaluationReport) {
        let line = LogLine.evaluation(report)
        publish(line)
        var text = "evaluation at step \(report.step): loss \(FixedPoint.text(report.loss, places: 4))"
        if let accuracy = report.tokenAccuracy {
            text += ", token accuracy \(FixedPoint.text(accuracy, places: 4))"
        }
        display?.note(text)
    }

    /// The run came to its end: the trainer's line and the closing line, which names the checkpoints.
    package func runFinished(_ run: RunReport) {
        publish(LogLine.end(of: run, at: position(), samples: samplesSeen, lossTotal: lossTotal))
        write(
            ClosingLine.text(run, step: step, history: history, peakMemoryBytes: peakMemoryBytes),
            to: sinks.log, "logging.jsonl")
        close()
    }

    /// Ends the progress line and brings all files to disk. An interrupted run ends with this alone.
    package func close() {
        display?.finish()
        sinks.sync()
    }

    /// Brings the files to disk, so that they hold what the checkpoint about to be saved knows.
    package func sync() { sinks.sync() }

    // MARK: Results

    /// Enters what the log knows into a state that is about to be saved.
    package func record(in state: inout TrainerState) {
        state.globalStep = step
        state.epoch = epoch
        state.maxSteps = settings.maxSteps
        state.loggingSteps = settings.loggingSteps
        state.logHistory = history
        state.window = window
        state.lossTotal = lossTotal
        state.tokensSeen = tokensSeen
        state.samplesSeen = samplesSeen
        state.elapsedSeconds = earlierSeconds + sessionSeconds
    }

    /// The mean of all steps' losses, the output parameter `train_loss`; nil before the first step.
    package var trainLoss: Double? { step > 0 ? lossTotal / Double(step) : nil }

    /// Learned tokens of this process over its time, evaluations and savings included.
    package var tokensPerSecond: Double {
        let seconds = sessionSeconds
        return seconds > 0 ? Double(tokensSeen - earlierTokens) / seconds : 0
    }

    // MARK: Parts

    private var sessionSeconds: Double { max(0, clock.steadySeconds() - start) }

    private var secondsPerStep: Double {
        step > firstStep ? sessionSeconds / Double(step - firstStep) : 0
    }

    private func position() -> RunPosition {
        peakMemoryBytes = max(peakMemoryBytes, readMemory().peakBytes)
        return RunPosition(
            step: step, maxSteps: settings.maxSteps, epoch: epoch,
            elapsedSeconds: earlierSeconds + sessionSeconds, secondsPerStep: secondsPerStep,
            peakMemoryBytes: peakMemoryBytes)
    }

    private func figures(loss: Double, learningRate: Double) -> ProgressFigures {
        let speed = secondsPerStep
        return ProgressFigures(
            step: step, maxSteps: settings.maxSteps, loss: loss, learningRate: learningRate,
            tokensPerSecond: tokensPerSecond, elapsedSeconds: earlierSeconds + sessionSeconds,
            leftSeconds: speed > 0 ? speed * Double(max(0, settings.maxSteps - step)) : nil,
            memory: readMemory())
    }

    /// A line goes into the log, the metrics and the charts.
    private func publish(_ line: LogLine) {
        history.append(line.historyEntry(step: step))
        write(line.loggingText(at: position()), to: sinks.log, "logging.jsonl")
        write(line.metricsText(step: step), to: sinks.metrics, "the metrics file")
        if sinks.events != nil {
            let record = EventRecord.scalars(
                line.scalars, step: step, wallSeconds: clock.wallSeconds())
            write(record, to: sinks.events, "the TensorBoard file")
        }
    }

    private func write<Piece>(_ piece: Piece, to sink: ((Piece) throws -> Void)?, _ place: String) {
        do {
            try sink?(piece)
        } catch {
            if failedPlaces.insert(place).inserted {
                warn("cannot write \(place), the run goes on: \(error)")
            }
        }
    }
}
