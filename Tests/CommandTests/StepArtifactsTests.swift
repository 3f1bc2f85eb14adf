// What the steps' commands leave for the workflow, and how they find what it gives them.

import ArgumentParser
import Foundation
import Testing
import Text
import Training

@testable import martlet

@Suite("Artifacts of steps")
struct StepArtifactsTests {
    private let directory = NSTemporaryDirectory() + "martlet-step-" + UUID().uuidString

    private func write(_ text: String, to path: String) throws {
        let url = URL(fileURLWithPath: "\(directory)/\(path)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    private func text(_ path: String) -> String? {
        (try? Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(path)"))).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private func leave(_ change: (inout TrainingParameters, inout RunSummary) -> Void) throws {
        try write("weights", to: "kept/checkpoint-2/adapter_model.safetensors")
        try write("state", to: "kept/checkpoint-2/optimizer.safetensors")
        try write("state", to: "kept/checkpoint-2/trainer_state.json")
        try write("{}", to: "kept/checkpoint-2/complete.json")
        try write("best", to: "kept/checkpoint-1/adapter_model.safetensors")
        try write("log", to: "kept/logging.jsonl")
        try write("events", to: "kept/runs/events")
        var parameters = TrainingParameters()
        parameters.outputDir = "\(directory)/kept"
        var summary = RunSummary()
        summary.steps = 2
        summary.trainLoss = 1.23456789
        summary.tokensPerSecond = 10.27
        summary.lastCheckpoint = "\(directory)/kept/checkpoint-2"
        summary.bestCheckpoint = "\(directory)/kept/checkpoint-1"
        change(&parameters, &summary)
        let artifacts = try #require(TrainingArtifacts { _ in "\(directory)/out" })
        try artifacts.leave(summary, of: parameters)
    }

    @Test("A training leaves its last checkpoint without what only it needs, its logs and its figures")
    func training() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try leave { _, summary in
            summary.metrics = [NamedValue("rewards/accuracies", 0.25), NamedValue("rewards/margins", .nan)]
            summary.evaluationMetrics = [NamedValue("rewards/accuracies", 0.75)]
        }
        #expect(text("out/adapter/adapter_model.safetensors") == "weights")
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/out/adapter")
        #expect(names == ["adapter_model.safetensors"])
        #expect(text("out/logs/logging.jsonl") == "log")
        #expect(text("out/logs/runs/events") == "events")
        let given = try JSONValue(parsing: text("out/parameters.json") ?? "")
        #expect(
            given == [
                "steps": 2, "train_loss": 1.234568, "tokens_per_second": 10.3, "reward_accuracy": 0.75,
            ])
        #expect(text("out/parameters/train_loss") == "1.234568")
    }

    @Test("All weights are a model; a run that stops early leaves its best checkpoint")
    func best() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try leave { parameters, _ in
            parameters.tunerType = .full
            parameters.earlyStopInterval = 2
        }
        #expect(text("out/model/adapter_model.safetensors") == "best")
    }

    @Test("A run without a step gives nothing, and says so")
    func nothing() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let error = #expect(throws: CommandError.self) {
            try leave { _, summary in
                summary.lastCheckpoint = nil
                summary.bestCheckpoint = nil
            }
        }
        #expect(error?.status == 65)
    }

    @Test("A step writes beside its checkpoints; a command by hand where it always did")
    func places() throws {
        let words = ["sft", "--model", "m", "--dataset", "d"]
        let environment = ["MARTLET_OUTPUT_DIR": "/out", "MARTLET_CHECKPOINT_DIR": "/kept"]
        #expect(try TrainingReading.read(words, environment: environment).parameters.outputDir == "/kept")
        #expect(
            try TrainingReading.read(words, environment: ["MARTLET_OUTPUT_DIR": "/out"]).parameters.outputDir
                == "/out/run")
        #expect(
            try TrainingReading.read(words + ["--output_dir", "o"], environment: environment).parameters
                .outputDir == "o")
    }

    @Test(
        "A file without an ending gets that of its content",
        arguments: [
            (#"{"a": 1}"# + "\n" + #"{"a": 2}"#, "jsonl"), ("[{\"a\": 1}]", "json"),
            ("{\n  \"a\": 1\n}", "json"),
            ("\u{FEFF}{\"a\": 1}\n", "jsonl"), ("question,answer\n1,2\n", "csv"),
            ("Once upon a time, yes\n", "txt"),
            ("PAR1\u{15}", "parquet"), ("", "txt"),
        ])
    func endings(_ content: String, _ ending: String) {
        #expect(StepFiles.ending(of: Array(content.utf8)) == ending)
    }

    @Test("Only inputs of steps that are single files get a second name")
    func links() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try write("{\"a\": 1}\n", to: "root/.martlet/inputs/dataset")
        try write("{\"a\": 1}\n", to: "root/.martlet/inputs/rows.json")
        try write("{\"a\": 1}\n", to: "other")
        let input = "\(directory)/root/.martlet/inputs"
        let named = StepFiles.named("\(input)/dataset", for: "dataset", linksIn: directory)
        #expect(named.hasPrefix(directory) && named.hasSuffix("dataset.jsonl"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: named)).count == 9)
        for (path, parameter) in [
            ("\(input)/rows.json", "dataset"), ("\(directory)/other", "dataset"),
            ("\(input)/dataset", "model"),
            (input, "dataset"), ("\(input)/absent", "dataset"),
        ] {
            #expect(StepFiles.named(path, for: parameter, linksIn: directory) == path)
        }
    }

    @Test("A tokenizer step needs no place to write, and takes folders")
    func tokenizer() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try write("a\n", to: "data/deep/a.txt")
        try write("{}", to: "data/b.jsonl")
        try write("no", to: "data/c.bin")
        var options = try TokenizerTrainingOptions.parse(["--dataset", "\(directory)/data"])
        let error = #expect(throws: CommandError.self) { try TokenizerRequest(options) { _ in nil } }
        #expect(error?.message.contains("--vocab_size is missing") == true)
        #expect(error?.message.contains("--output_dir is missing") == true)
        options.vocabSize = 300
        let request = try TokenizerRequest(options) { $0 == TrainingArtifacts.variable ? "/out" : nil }
        #expect(request.outputDir == "/out/tokenizer")
        #expect(request.specialTokens.count == 3)
        #expect(try request.files() == ["\(directory)/data/b.jsonl", "\(directory)/data/deep/a.txt"])
    }

    @Test("A generation gives each row with its answer")
    func generation() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let row = try OrderedJSON(parsing: #"{"id": 7, "prompt": "a", "response": "old"}"#)
        try GeneratedRows.leave([GeneratedRows.row(row, prompt: nil, answer: "b")]) { _ in directory }
        #expect(text("output/responses.jsonl") == "{\"id\":7,\"prompt\":\"a\",\"response\":\"b\"}\n")
    }
}
