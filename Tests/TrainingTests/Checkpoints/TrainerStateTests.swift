// The state of a run survives its file bit by bit, and a damaged file is told by field.

import TestSupport
import Testing
import Text

@testable import Training

@Suite("Trainer state")
struct TrainerStateTests {
    private func window(_ reports: [StepReport]) -> LogWindow {
        var window = LogWindow()
        for report in reports { window.add(report) }
        return window
    }

    private var state: TrainerState {
        var state = TrainerState()
        state.globalStep = 12
        state.epoch = 1.2
        state.maxSteps = 30
        state.numTrainEpochs = 3
        state.logHistory = [
            .object([.init(key: "loss", value: .double(0.1 + 0.2)), .init(key: "step", value: .int(5))])
        ]
        state.bestMetric = 1.0 / 3
        state.bestGlobalStep = 10
        state.bestModelCheckpoint = "/out/checkpoint-10"
        state.seed = .max
        state.datasetFingerprint = "ab\"\n"
        state.tokensSeen = 4_711
        state.lossTotal = -0.0
        state.window = window([
            StepReport(
                step: 11, epoch: 1.1, loss: 2.5, gradNorm: 1, learningRate: 1e-4, tokenAccuracy: 0.5,
                trainedTokens: 7, samples: 2, extras: [NamedValue("rewards/chosen", 0.25)])
        ])
        return state
    }

    private func read(_ text: some StringProtocol) throws -> TrainerState {
        try TrainerState(OrderedJSON(parsing: String(text)), file: "/out/trainer_state.json")
    }

    @Test("The file has the keys that transformers has, and an object of our own")
    func keys() throws {
        let json = try OrderedJSON(parsing: state.text)
        let keys = json.objectValue?.map(\.key) ?? []
        #expect(keys == keys.sorted())
        #expect(
            Set(keys) == [
                "best_global_step", "best_metric", "best_model_checkpoint", "epoch", "eval_steps",
                "global_step",
                "is_hyper_param_search", "is_local_process_zero", "is_world_process_zero", "log_history",
                "logging_steps", "martlet", "max_steps", "num_input_tokens_seen", "num_train_epochs",
                "save_steps",
                "stateful_callbacks", "total_flos", "train_batch_size", "trial_name", "trial_params",
            ])
        #expect(
            state.text.hasPrefix(
                """
                {
                  "best_global_step": 10,
                  "best_metric": 0.3333333333333333,
                  "best_model_checkpoint": "/out/checkpoint-10",
                  "epoch": 1.2,
                """))
        #expect(json["martlet"]?["seed"] == .string("18446744073709551615"))
        #expect(json["log_history"]?.arrayValue?.first?["loss"] == .double(0.30000000000000004))
    }

    @Test("Written and read again, the state is the same")
    func roundTrip() throws {
        #expect(try read(state.text) == state)
        #expect(try read(TrainerState().text) == TrainerState())
    }

    @Test("Doubles survive with every bit")
    func doubles() throws {
        var chance = SeededGenerator(seed: 3)
        var values: [Double] = [
            0, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1e22, 5, -.infinity,
        ]
        values += (0..<300).map { _ in Double(bitPattern: chance.next()) }.filter(\.isFinite)
        for value in values {
            var state = TrainerState()
            state.lossTotal = value
            state.bestMetric = value
            let read = try read(state.text)
            #expect(read.lossTotal.bitPattern == value.bitPattern)
            #expect(read.bestMetric?.bitPattern == value.bitPattern)
        }
        var state = TrainerState()
        state.epoch = .nan
        #expect(try read(state.text).epoch.isNaN)
    }

    @Test(
        "A damaged state is told with file and field",
        arguments: [
            ("\"global_step\": 12", "\"global_step\": -1", "global_step is no whole number of at least 0"),
            ("\"global_step\": 12", "\"global_step\": 1.5", "global_step is no whole number of at least 0"),
            ("\"epoch\": 1.2", "\"epoch\": \"x\"", "epoch is no number"),
            ("\"epoch\": 1.2,", "", "epoch is missing"),
            ("\"log_history\": [", "\"log_history\": [3,", "log_history[0] is no object"),
            (
                "\"seed\": \"18446744073709551615\"", "\"seed\": \"-1\"",
                "martlet.seed is no whole number of at least 0"
            ),
            ("\"version\": 1", "\"version\": 9", "martlet.version is not 1, which this program reads"),
            ("\"count\": 1", "\"count\": 0", "martlet.since_last_log.extras[0].count is 0"),
            ("\"martlet\": {", "\"other\": {", "martlet is missing"),
            (
                "\"dataset_fingerprint\": ", "\"dataset_fingerprint\": 3, \"x\": ",
                "martlet.dataset_fingerprint is no string"
            ),
        ])
    func damaged(old: String, new: String, says: String) throws {
        let text = state.text
        let range = try #require(text.firstRange(of: old))
        let error = #expect(throws: TrainingError.self) {
            try read(text[..<range.lowerBound] + new + text[range.upperBound...])
        }
        #expect(error?.problem == "/out/trainer_state.json: \(says)")
        #expect(error?.remedy.isEmpty == false)
    }

    @Test("A state that is not there or no JSON is told with its file")
    func unreadable() throws {
        let folder = try RunFolder()
        let path = "\(folder.path)/trainer_state.json"
        let missing = #expect(throws: TrainingError.self) { try TrainerState(readingFrom: path) }
        #expect(missing?.problem == "\(path): there is no such file")
        try folder.write("{\"epoch\": 1", to: "trainer_state.json")
        let torn = #expect(throws: TrainingError.self) { try TrainerState(readingFrom: path) }
        #expect(torn?.problem.hasPrefix("\(path): invalid JSON at line 1") == true)
        try folder.write(state.text, to: "trainer_state.json")
        let checkpoint = Checkpoint(step: 12, path: folder.path)
        #expect(try CheckpointStore.loadState(of: checkpoint) == state)
    }
}
