// A log whose time, memory and outputs a test holds in its hands.

import Text

@testable import Training

/// Runs a `TrainingLog` and keeps everything that it writes.
final class RecordedRun {
    var seconds = 1_000.0
    var memory = ResidentMemory(currentBytes: 1 << 30, peakBytes: 3 << 29)
    private(set) var log: [String] = []
    private(set) var metrics: [String] = []
    private(set) var steps: [String] = []
    private(set) var progress: [String] = []
    private(set) var events: [[UInt8]] = []
    private(set) var screen = ""
    let warnings = Warnings()
    /// What all outputs throw.
    var failure: (any Error)?

    func makeLog(
        maxSteps: Int, loggingSteps: Int = 2, style: ProgressDisplay.Style = .plain,
        resumed: TrainerState? = nil
    ) -> TrainingLog {
        func keep<Piece>(_ path: ReferenceWritableKeyPath<RecordedRun, [Piece]>) -> (Piece) throws -> Void {
            { piece in
                if let failure = self.failure { throw failure }
                self[keyPath: path].append(piece)
            }
        }
        var sinks = ReportSinks()
        sinks.log = keep(\.log)
        sinks.metrics = keep(\.metrics)
        sinks.steps = keep(\.steps)
        sinks.progress = keep(\.progress)
        sinks.events = keep(\.events)
        return TrainingLog(
            settings: .init(maxSteps: maxSteps, loggingSteps: loggingSteps), sinks: sinks,
            display: ProgressDisplay(style: style) { self.screen += $0 },
            clock: ReportClock(
                wallSeconds: { 1_700_000_000 + self.seconds }, steadySeconds: { self.seconds }),
            memory: { self.memory }, resumed: resumed, warn: warnings.add)
    }

    /// A step with values that can be worked out by head.
    static func step(_ number: Int, extras: [NamedValue] = []) -> StepReport {
        StepReport(
            step: number, epoch: Double(number) / 4, loss: 3 - Double(number) / 8,
            gradNorm: 1 + Double(number) / 3, learningRate: 1e-4 / Double(number),
            tokenAccuracy: Double(number) / 10, trainedTokens: 100 * number, samples: 2, extras: extras)
    }
}
