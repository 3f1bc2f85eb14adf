// What a dry run shows, what is refused for want of memory, and what `merge` makes of its words.

import ArgumentParser
import Models
import Tensors
import Testing
import Training

@testable import martlet

@Suite("Dry runs and merges")
struct TrainingReportTests {
    private static func report(
        available: Int?, data: DataSummary? = nil, _ change: (inout TrainingParameters) -> Void = { _ in }
    ) throws -> DryRunReport {
        let text = """
            {"architectures": ["LlamaForCausalLM"], "vocab_size": 32000, "hidden_size": 256,
            "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 4,
            "torch_dtype": "float32"}
            """
        let model = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
        var parameters = TrainingParameters()
        parameters.model = "models/small"
        parameters.outputDir = "output/small"
        parameters.gradientAccumulationSteps = 4
        parameters.perDeviceTrainBatchSize = 4
        change(&parameters)
        return DryRunReport(
            parameters: parameters, model: model,
            plan: try TunerPlan(parameters, model: TunableModel(model)), data: data ?? rows,
            availableBytes: available)
    }

    private static let rows = DataSummary(
        rows: 1234, tokens: 345_678, longestRowTokens: 900, microBatches: 309, longestMicroBatchTokens: 3500,
        evaluationRows: 12, longestEvaluationBatchTokens: 800)

    @Test("A dry run shows model, rows, steps, files and memory by part")
    func lines() throws {
        let lines = try Self.report(available: 8 << 30).lines
        #expect(
            lines.prefix(5) == [
                "model    small: LlamaForCausalLM, 20.6M parameters, computed in float32",
                "trained  lora of rank 8 on 28 layers, 188,416 parameters (0.92 %)",
                "data     1,234 rows, 345,678 tokens, the longest row 900, at most 3,500 tokens at once; "
                    + "12 rows to evaluate on",
                "steps    234 in 3 epochs of 78, 16 rows a step (4 at once, 4 times)",
                "writes   output/small: 1 checkpoint of about 2.2 MiB; "
                    + "output/small: args.json, logging.jsonl, "
                    + "runs/",
            ])
        #expect(lines[5] == "memory")
        let parts = lines[6...].map { $0.split(separator: " ", maxSplits: 1).first.map(String.init) ?? "" }
        #expect(
            parts == [
                "frozen", "trained", "gradients", "optimizer", "activations", "logits", "data",
                "total", "available",
            ])
        #expect(lines.last?.hasSuffix("8.00 GiB") == true)
    }

    @Test(
        "Checkpoints are counted as they will be there",
        arguments: [
            (TrainingParameters.Interval.no, 500, nil, "1 checkpoint of"),
            (.steps, 100, nil, "3 checkpoints of"),
            (.steps, 117, nil, "2 checkpoints of"), (.steps, 100, 2, "2 checkpoints of"),
            (.epoch, 500, nil, "3 checkpoints of"),
        ] as [(TrainingParameters.Interval, Int, Int?, String)])
    func checkpoints(strategy: TrainingParameters.Interval, steps: Int, limit: Int?, text: String) throws {
        let report = try Self.report(available: nil) {
            ($0.saveStrategy, $0.saveSteps, $0.saveTotalLimit) = (strategy, steps, limit)
            $0.checkpointDir = "/kept"
        }
        #expect(report.lines[4].hasPrefix("writes   /kept: \(text)"))
        #expect(report.lines.last?.hasSuffix("unknown") == true)
    }

    @Test("Data that is not counted, and a number of steps that is given")
    func stream() throws {
        var data = DataSummary(unread: TrainingParameters(), maxLength: 512)
        data.longestMicroBatchTokens = 2048
        let report = try Self.report(available: nil, data: data) {
            ($0.maxSteps, $0.streaming) = (1000, true)
        }
        #expect(report.lines[2] == "data     not counted before it is read, at most 2,048 tokens at once")
        #expect(report.lines[3] == "steps    1,000, 16 rows a step (4 at once, 4 times)")
    }

    @Test("What fits is not refused, to the byte, and neither is what cannot be known")
    func fits() throws {
        let need = try Self.report(available: nil).estimate.totalBytes
        #expect(try Self.report(available: nil).refusal == nil)
        #expect(try Self.report(available: need).refusal == nil)
        #expect(try Self.report(available: need - 1).refusal != nil)
    }

    @Test("A refusal names need, room, and what would help with its need")
    func refusal() throws {
        let report = try Self.report(available: 1 << 20) { $0.gradientCheckpointing = false }
        let text = try #require(report.refusal)
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("training needs about "))
        #expect(lines[0].contains(" and 1.0 MiB are available; "))
        #expect(lines[0].contains("--force"))
        #expect(
            report.remedies.map(\.words) == [
                "--per_device_train_batch_size 1 --gradient_accumulation_steps 16",
                "--gradient_checkpointing true", "--optim adamw_8bit", "--quant_method bnb --quant_bits 4",
                "all of it",
            ])
        let bytes = report.remedies.map(\.bytes)
        #expect(bytes.allSatisfy { $0 < report.estimate.totalBytes })
        #expect(bytes.dropLast().allSatisfy { $0 >= bytes[bytes.count - 1] })
        #expect(lines.count == report.remedies.count + 1)
    }

    @Test("Where all weights are trained, an adapter is the way; a new model has none")
    func fullRefusal() throws {
        let full = try Self.report(available: 1) { $0.tunerType = .full }
        #expect(full.remedies.contains { $0.words == "--tuner_type lora" })
        let new = try Self.report(available: 1) {
            ($0.tunerType, $0.model, $0.initConfig) = (.full, nil, "small.json")
        }
        #expect(!new.remedies.contains { $0.words == "--tuner_type lora" })
    }

    @Test(
        "Numbers are written for people",
        arguments: [
            (DryRunReport.grouped(0), "0"), (DryRunReport.grouped(1_234_567), "1,234,567"),
            (DryRunReport.grouped(-1234), "-1,234"), (DryRunReport.millions(999_999), "999,999"),
            (DryRunReport.millions(494_032_768), "494.0M"), (DryRunReport.millions(1_999_999), "2.0M"),
            (DryRunReport.percent(1, of: 3), "33.33"), (DryRunReport.percent(1, of: 0), "0"),
            (DryRunReport.short(3), "3"), (DryRunReport.short(0.125), "0.13"),
        ])
    func numbers(text: String, expected: String) { #expect(text == expected) }

    // MARK: Failures

    @Test("Failures have the exit status that tells a retry what to do")
    func failures() {
        let kinds: [(TrainingError.Kind, Int32)] = [
            (.failed, 1), (.badParameters, 2), (.badData, 65), (.interrupted, 75), (.outOfMemory, 86),
            (.diverged, 87),
        ]
        for (kind, status) in kinds {
            let error = TrainingStart.commandError(for: TrainingError(kind, "p", remedy: "r"))
            #expect((error as? CommandError)?.status == status)
            #expect((error as? CommandError)?.message == "p; r")
        }
        let memory = TrainingStart.commandError(for: OutOfMemory(byteCount: 1 << 30, purpose: "logits"))
        #expect((memory as? CommandError)?.status == 86)
        let missing = TrainingStart.commandError(
            for: ConfigurationError(file: "f", problem: "p", remedy: "r"))
        #expect((missing as? CommandError)?.status == 2)
    }

    // MARK: Merging

    private func request(_ words: [String], outputs: String? = nil) throws -> MergeCommand.Request {
        let prepared = try #require(try TrainingWords.prepared(["merge"] + words))
        return try MergeCommand.request(
            MergeOptions.parse(Array(prepared.words.dropFirst())), outputs: outputs)
    }

    @Test("A merge goes beside its adapter, to a step's outputs, or where it is told")
    func merge() throws {
        let words = ["--model", "m", "--adapters", "out/a/", "b"]
        let request = try request(words)
        #expect(
            request
                == MergeCommand.Request(
                    model: "m", adapters: ["out/a/", "b"], outputDir: "out/a-merged", existOk: false,
                    force: false))
        #expect(try self.request(words, outputs: "/o").outputDir == "/o/model")
        let told = try self.request(
            words + ["--output_dir", "x", "--exist_ok", "--merge_lora", "true", "--force"], outputs: "/o")
        #expect(told.outputDir == "x" && told.existOk && told.force)
    }

    @Test(
        "Merges that cannot be are refused",
        arguments: [
            (["--model", "m"], "--adapters is missing; give the directory of an adapter"),
            (
                ["--adapters", "a", "--merge_lora", "false"],
                "--merge_lora false: there is nothing else that merge does; leave it out"
            ),
            (
                ["--model", "m", "--adapters", "a", "--output_dir", "m"],
                "--output_dir m is an input, too; give another directory"
            ),
            (
                ["--adapter", "a", "--lora_rank", "4"],
                "--lora_rank: this is a parameter of pretrain, sft, rlhf, dpo, not of merge"
            ),
        ])
    func badMerges(words: [String], text: String) {
        let error = #expect(throws: CommandError.self) { try request(words) }
        #expect(error?.status == 2)
        #expect(error?.message == text)
    }
}
