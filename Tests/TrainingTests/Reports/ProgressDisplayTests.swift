// The line for people, on a terminal and elsewhere.

import Testing

@testable import Training

@Suite("Progress display")
struct ProgressDisplayTests {
    @Test("Without a terminal there is a plain line a log line")
    func plain() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 40, loggingSteps: 2)
        for number in 1...2 {
            run.seconds += 1.5
            log.stepFinished(RecordedRun.step(number))
        }
        run.seconds += 1.5
        log.stepFinished(RecordedRun.step(3))
        log.close()
        #expect(
            run.screen == """
                1/40  2%  loss 2.8750  lr 1.00e-04  67 tokens/s  elapsed 1s  left 58s  \
                memory 1.00 GiB (peak 1.50 GiB)
                2/40  5%  loss 2.7500  lr 5.00e-05  100 tokens/s  elapsed 3s  left 57s  \
                memory 1.00 GiB (peak 1.50 GiB)

                """)
    }

    @Test("On a terminal one line is drawn over, at most five times a second, and last of all once more")
    func terminal() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 21, loggingSteps: 1, style: .terminal(columns: 30))
        for number in 1...21 {
            run.seconds += 0.0625
            log.stepFinished(RecordedRun.step(number))
        }
        log.close()
        let drawings = run.screen.split(separator: "\r", omittingEmptySubsequences: true)
        #expect(drawings.map { String($0.prefix { $0 != "/" }) } == ["1", "5", "9", "13", "17", "21"])
        #expect(drawings[1] == "5/21  23%  loss 2.3750  lr 2.\u{1B}[K".prefix(29 + 3))
        #expect(run.screen.hasSuffix("\u{1B}[K\n"))
    }

    @Test("A note stands above the line that is drawn next")
    func note() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 9, loggingSteps: 1, style: .terminal(columns: 12))
        log.stepFinished(RecordedRun.step(1))
        log.evaluationFinished(
            EvaluationReport(
                step: 1, epoch: 0.1, loss: 2, tokenAccuracy: 0.25, runtimeSeconds: 1, samples: 1, batches: 1))
        log.stepFinished(RecordedRun.step(2))
        #expect(
            run.screen == "\r1/9  11%  l\u{1B}[K\r\u{1B}[K"
                + "evaluation at step 1: loss 2.0000, token accuracy 0.2500\n\r2/9  22%  l\u{1B}[K")
    }
}
