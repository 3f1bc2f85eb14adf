// How far an evaluation is, how fast it goes, and how long it still takes.

import Glibc
import Text

/// A line that is drawn over itself on a terminal, and a line now and then where there is none.
final class EvaluationProgress {
    private let label: String
    private let total: Int
    private let before: Int
    private let outputs: EvaluationOutputs
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let began = ContinuousClock.now
    private var done: Int
    private var shown = ContinuousClock.now
    private var isDrawn = false

    /// - Parameter done: samples that an earlier run has finished.
    init(_ label: String, done: Int, of total: Int, _ outputs: EvaluationOutputs) {
        self.label = label
        self.total = total
        self.done = done
        self.outputs = outputs
        before = done
        outputs.showProgress(done, of: total)
        if !isTerminal, done > 0 {
            Output.note("\(label): \(done) of \(total) samples are done already".printable)
        }
    }

    func advance() {
        done += 1
        let now = ContinuousClock.now
        guard now - shown >= (isTerminal ? .milliseconds(200) : .seconds(30)) else { return }
        shown = now
        outputs.showProgress(done, of: total)
        let line = Self.line(
            label, done: done, of: total, finished: done - before, elapsed: now - began)
        if isTerminal {
            Output.errorRaw("\r\u{1B}[K" + line.printable)
            isDrawn = true
        } else {
            Output.note(line.printable)
        }
    }

    /// `mmlu 120/500, 12.5 samples/s, 30s left`.
    static func line(
        _ label: String, done: Int, of total: Int, finished: Int, elapsed: Duration
    ) -> String {
        let seconds = elapsed / .seconds(1)
        guard finished > 0, seconds > 0 else { return "\(label) \(done)/\(total)" }
        let rate = Double(finished) / seconds
        let left = Duration.seconds(Double(total - done) / rate)
        let tenths = Int((rate * 10).rounded())
        return
            "\(label) \(done)/\(total), \(tenths / 10).\(tenths % 10) samples/s, \(HumanTime.long(left)) left"
    }

    func finish() {
        if isDrawn { Output.errorRaw("\r\u{1B}[K") }
        outputs.showProgress(done, of: total)
    }
}
