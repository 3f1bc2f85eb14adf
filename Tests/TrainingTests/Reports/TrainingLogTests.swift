// What a run's events become, line by line and byte by byte.

import Tensors
import Testing
import Text

@testable import Training

@Suite("Training log")
struct TrainingLogTests {
    @Test("Lines of logging.jsonl are those of ms-swift, values averaged since the last line")
    func logging() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 5)
        for number in 1...5 {
            run.seconds += 20.5
            log.stepFinished(RecordedRun.step(number))
        }
        // The last accuracy is (300 * 0.3 + 400 * 0.4) / 700.
        let expected = #"""
            {"loss": 2.875, "grad_norm": 1.33333333, "learning_rate": 0.0001, "token_acc": 0.1, \#
            "epoch": 0.25, "global_step/max_steps": "1/5", "elapsed_time": "20s", \#
            "remaining_time": "1m 22s", "memory(GiB)": 1.5, "train_speed(s/it)": 20.5}
            {"loss": 2.75, "grad_norm": 1.66666667, "learning_rate": 5e-05, "token_acc": 0.2, "epoch": 0.5, \#
            "global_step/max_steps": "2/5", "elapsed_time": "41s", "remaining_time": "1m 1s", \#
            "memory(GiB)": 1.5, "train_speed(s/it)": 20.5}
            {"loss": 2.5625, "grad_norm": 2.33333333, "learning_rate": 2.5e-05, "token_acc": 0.35714286, \#
            "epoch": 1.0, "global_step/max_steps": "4/5", "elapsed_time": "1m 22s", \#
            "remaining_time": "20s", "memory(GiB)": 1.5, "train_speed(s/it)": 20.5}
            """#
        #expect(run.log.joined(separator: "\n") == expected)
    }

    @Test("Evaluation, the end of the run and the closing line have their own forms")
    func ends() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 1)
        run.seconds += 10
        log.stepFinished(RecordedRun.step(1))
        run.memory.peakBytes = 2 << 30
        log.evaluationFinished(
            EvaluationReport(
                step: 1, epoch: 0.25, loss: 2.123456789, tokenAccuracy: 0.5, runtimeSeconds: 3, samples: 7,
                batches: 4, extras: [NamedValue("rewards/margins", 0.25)]))
        run.seconds += 2
        log.runFinished(
            RunReport(
                totalFlos: 1.5e12, modelParameterInfo: "1M of 2M", lastModelCheckpoint: "/out/checkpoint-1",
                bestModelCheckpoint: nil, bestMetric: 2.123456789, trainDataset: "Dataset Token Length: 9",
                valDataset: "Dataset Token Length: 8"))
        let expected = #"""
            {"eval_loss": 2.12345679, "eval_token_acc": 0.5, "eval_rewards/margins": 0.25, \#
            "eval_runtime": 3.0, "eval_samples_per_second": 2.333, "eval_steps_per_second": 1.333, \#
            "epoch": 0.25, "global_step/max_steps": "1/1", "elapsed_time": "10s", "remaining_time": "0s", \#
            "memory(GiB)": 2.0, "train_speed(s/it)": 10.0}
            {"train_runtime": 12.0, "train_samples_per_second": 0.167, "train_steps_per_second": 0.083, \#
            "total_flos": 1500000000000.0, "train_loss": 2.875, "epoch": 0.25, \#
            "global_step/max_steps": "1/1", "elapsed_time": "12s", "remaining_time": "0s", \#
            "memory(GiB)": 2.0, "train_speed(s/it)": 12.0}
            {"model_parameter_info": "1M of 2M", "last_model_checkpoint": "/out/checkpoint-1", \#
            "best_model_checkpoint": null, "best_metric": 2.123456789, "global_step": 1, "log_history": [\#
            {"loss": 2.875, "grad_norm": 1.3333333333333333, "learning_rate": 0.0001, "token_acc": 0.1, \#
            "epoch": 0.25, "step": 1}, \#
            {"eval_loss": 2.123456789, "eval_token_acc": 0.5, "eval_rewards/margins": 0.25, \#
            "eval_runtime": 3.0, "eval_samples_per_second": 2.333, "eval_steps_per_second": 1.333, \#
            "epoch": 0.25, "step": 1}, \#
            {"train_runtime": 12.0, "train_samples_per_second": 0.167, "train_steps_per_second": 0.083, \#
            "total_flos": 1500000000000.0, "train_loss": 2.875, "epoch": 0.25, "step": 1}], \#
            "memory": 2.0, "train_dataset": "Dataset Token Length: 9", \#
            "val_dataset": "Dataset Token Length: 8"}
            """#
        #expect(run.log.dropFirst().joined(separator: "\n") == expected)
        #expect(run.metrics[1].hasPrefix(#"{"step":1,"eval_loss":2.123456789,"eval_token_acc":0.5,"#))
        #expect(log.trainLoss == 2.875)
    }

    @Test(
        "Lines come at the first step and every logging_steps",
        arguments: [
            (every: 3, first: true, expected: [1, 3, 6]),
            (every: 3, first: false, expected: [3, 6]),
            (every: 1, first: true, expected: [1, 2, 3, 4, 5, 6, 7]),
            (every: 50, first: true, expected: [1]),
            (every: 0, first: false, expected: [1, 2, 3, 4, 5, 6, 7]),
        ])
    func cadence(every: Int, first: Bool, expected: [Int]) {
        let settings = TrainingLog.Settings(maxSteps: 7, loggingSteps: every, loggingFirstStep: first)
        #expect((1...7).filter(settings.isLogged) == expected)
    }

    @Test("Steps, metrics and progress have a line each, at full precision")
    func otherOutputs() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 3)
        let rewards = [
            NamedValue("rewards/chosen", 0.1), NamedValue("rewards/accuracies", 0.5),
            NamedValue("rewards/margins", 0.25), NamedValue("logps/chosen", -79.10472106933594),
            NamedValue("logps/rejected", -57.5),
        ]
        log.stepFinished(RecordedRun.step(1))
        log.stepFinished(RecordedRun.step(2, extras: rewards))
        let steps = #"""
            {"step": 0, "loss": 2.875, "grad_norm": 1.3333333333333333, "learning_rate": 0.0001, \#
            "trained_tokens": 100}
            {"step": 1, "loss": 2.75, "grad_norm": 1.6666666666666665, "learning_rate": 5e-05, \#
            "trained_tokens": 200, "logps_chosen": -79.10472106933594, "logps_rejected": -57.5, \#
            "rewards_margins": 0.25, "rewards_accuracies": 0.5, "rewards_chosen": 0.1}
            """#
        #expect(run.steps.joined(separator: "\n") == steps)
        let metrics = #"""
            {"step":1,"loss":2.875,"grad_norm":1.3333333333333333,"learning_rate":0.0001,\#
            "token_acc":0.1,"epoch":0.25}
            {"step":2,"loss":2.75,"grad_norm":1.6666666666666665,"learning_rate":0.00005,"token_acc":0.2,\#
            "rewards/chosen":0.1,"rewards/accuracies":0.5,"rewards/margins":0.25,\#
            "logps/chosen":-79.10472106933594,"logps/rejected":-57.5,"epoch":0.5}
            """#
        #expect(run.metrics.joined(separator: "\n") == metrics)
        #expect(run.progress == ["1/3", "2/3"])
        #expect(run.events.count == 2)
        let scalars = [
            NamedValue("train/loss", 2.75), NamedValue("train/grad_norm", 1 + 2.0 / 3),
            NamedValue("train/learning_rate", 5e-5), NamedValue("train/token_acc", 0.2),
            NamedValue("train/rewards/chosen", 0.1), NamedValue("train/rewards/accuracies", 0.5),
            NamedValue("train/rewards/margins", 0.25), NamedValue("train/logps/chosen", -79.10472106933594),
            NamedValue("train/logps/rejected", -57.5), NamedValue("train/epoch", 0.5),
        ]
        #expect(run.events[1] == EventRecord.scalars(scalars, step: 2, wallSeconds: 1_700_001_000))
    }

    @Test("A loss that is no number is written so that every line stays JSON")
    func notFinite() throws {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 3)
        var report = RecordedRun.step(1)
        report.loss = .nan
        report.gradNorm = .infinity
        log.stepFinished(report)
        #expect(try OrderedJSON(parsing: run.log[0])["loss"] == .string("NaN"))
        #expect(try OrderedJSON(parsing: run.steps[0])["grad_norm"] == .string("Infinity"))
        let metrics = try OrderedJSON(parsing: run.metrics[0])
        #expect(metrics["loss"] == nil && metrics["learning_rate"] == .double(1e-4))
    }

    @Test("A run that is killed after any step and goes on writes the losses of one that was not")
    func resumed() throws {
        let whole = RecordedRun()
        let wholeLog = whole.makeLog(maxSteps: 9, loggingSteps: 4)
        for number in 1...9 { wholeLog.stepFinished(RecordedRun.step(number)) }
        for kill in 0...9 {
            let before = RecordedRun()
            let log = before.makeLog(maxSteps: 9, loggingSteps: 4)
            for number in 1..<(kill + 1) {
                before.seconds += 3
                log.stepFinished(RecordedRun.step(number))
            }
            var state = TrainerState()
            log.record(in: &state)
            #expect(state.globalStep == kill && state.elapsedSeconds == Double(3 * kill))
            let read = try TrainerState(OrderedJSON(parsing: state.text), file: "state")
            let after = RecordedRun()
            let rest = after.makeLog(maxSteps: 9, loggingSteps: 4, resumed: read)
            for number in (kill + 1)..<10 { rest.stepFinished(RecordedRun.step(number)) }
            #expect(before.metrics + after.metrics == whole.metrics)
            #expect(rest.trainLoss == wholeLog.trainLoss)
            var end = TrainerState()
            var wholeEnd = TrainerState()
            rest.record(in: &end)
            wholeLog.record(in: &wholeEnd)
            end.elapsedSeconds = wholeEnd.elapsedSeconds
            #expect(end == wholeEnd)
        }
    }

    @Test("Time before the resume counts as elapsed, but not for the speed")
    func resumedTime() throws {
        var state = TrainerState()
        state.globalStep = 50
        state.elapsedSeconds = 3_600
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 100, loggingSteps: 1, resumed: state)
        run.seconds += 2
        log.stepFinished(RecordedRun.step(51))
        let line = try OrderedJSON(parsing: run.log[0])
        #expect(line["elapsed_time"] == .string("1h 0m 2s"))
        #expect(line["remaining_time"] == .string("1m 38s"))
        #expect(line["train_speed(s/it)"] == .double(2))
        #expect(log.tokensPerSecond == 2_550)
    }

    @Test("Outputs that fail are told once each and stop nothing")
    func failing() {
        let run = RecordedRun()
        let log = run.makeLog(maxSteps: 4, loggingSteps: 1)
        run.failure = FileError(errno: 28, path: "/out/logging.jsonl", while: "write")
        log.stepFinished(RecordedRun.step(1))
        log.stepFinished(RecordedRun.step(2))
        #expect(run.warnings.all.count == 5)
        #expect(run.warnings.all.contains { $0.hasPrefix("cannot write logging.jsonl, the run goes on: ") })
        run.failure = nil
        log.stepFinished(RecordedRun.step(3))
        #expect(run.log.count == 1)
    }
}
