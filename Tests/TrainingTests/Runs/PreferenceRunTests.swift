// Runs that learn from preferences, and what they measure them against.

import Glibc
import Testing
import Text

@testable import Training

@Suite("Preference runs")
struct PreferenceRunTests {
    typealias Method = TrainingParameters.PreferenceMethod

    private func parameters(
        _ run: TinyRun, _ output: String = "out", _ change: (inout TrainingParameters) -> Void = { _ in }
    ) -> TrainingParameters {
        run.parameters(output) {
            $0.stage = .rlhf
            change(&$0)
        }
    }

    /// A policy that begins as its reference has all margins at zero, whatever is trained of it.
    private static let beginnings = [
        TrainingWay("LoRA with dropout") { $0.loraDropout = 0.3 },
        TrainingWay("DoRA", model: .qwen3) { $0.useDora = true },
        TrainingWay("LoRA on nf4 in bf16", model: .llama, isBF16: true) { $0.quantization = .nf4 },
        TrainingWay("LoRA with the embedding") { $0.modulesToSave = ["embed_tokens"] },
        TrainingWay("LoRA with the output layer", model: .mistral) { $0.modulesToSave = ["lm_head"] },
        TrainingWay("full") { TrainingWay.full(&$0) },
        TrainingWay("full in bf16", isBF16: true) { TrainingWay.full(&$0) },
    ]

    @Test("DPO begins with margins of nothing and the loss log 2, and then lowers it", arguments: beginnings)
    func beginning(_ way: TrainingWay) throws {
        let run = try TinyRun(way, rows: TinyRun.pairs(6))
        try run.run(
            parameters(run) {
                ($0.maxSteps, $0.learningRate, $0.perDeviceTrainBatchSize) = (12, 5e-3, 6)
                way.change(&$0)
            })
        let losses = try run.steps()
        // DoRA's factor is a quotient of a norm by itself, computed twice.
        #expect(abs(losses[0] - log(2)) < 1e-6, "\(losses[0])")
        #expect(abs(try run.steps("out", "rewards_margins")[0]) < 1e-6)
        #expect(losses[11] < 0.6, "\(losses)")
        #expect(try run.steps("out", "rewards_margins")[11] > 0.1)
        #expect(try run.steps("out", "rewards_accuracies")[11] == 1)
    }

    @Test("What is remembered of the reference is what it would say again", arguments: [Method.dpo, .kto])
    func remembering(method: Method) throws {
        let run = try TinyRun(rows: TinyRun.pairs(7))
        for isOn in [true, false] {
            try run.run(
                parameters(run, "\(isOn)") {
                    $0.rlhfType = method
                    ($0.precomputeRefLogProbs, $0.maxSteps) = (isOn, 12)
                    $0.valDataset = $0.dataset
                    $0.evalSteps = 4
                    $0.evalStrategy = .steps
                })
        }
        try run.expectSame("true/checkpoint-12", "false/checkpoint-12")
        let losses = try ["true", "false"].map { output in
            try run.lines("\(output)/logging.jsonl").compactMap { $0["eval_loss"]?.doubleValue }
        }
        #expect(losses[0].count == 3)
        #expect(losses[0] == losses[1])
    }

    @Test("The reference of a full run stays what the model was, after a resume too")
    func frozenReference() throws {
        let run = try TinyRun(rows: TinyRun.pairs(6))
        func change(_ parameters: inout TrainingParameters) {
            TrainingWay.full(&parameters)
            (parameters.perDeviceTrainBatchSize, parameters.maxSteps) = (6, 8)
        }
        try run.run(parameters(run, "whole", change))
        var parameters = parameters(run, "parts", change)
        _ = try trainingError { try run.run(parameters, stoppingAfter: 5) }
        parameters.resumeFromCheckpoint = "latest"
        try run.run(parameters)
        try run.expectSame("whole/checkpoint-8", "parts/checkpoint-8")
        // Against itself the policy would have no margins.
        let margins = try run.steps("parts", "rewards_margins")
        #expect(margins[7] > margins[5] && margins[5] > margins[0], "\(margins)")
        // What an own reference costs is that it is another model: the model's own file named as one is the same.
        let named = self.parameters(run, "named") {
            change(&$0)
            $0.refModel = "\(run.path)/model"
        }
        try run.run(named)
        try run.expectSame("whole/checkpoint-8", "named/checkpoint-8")
    }

    @Test("The adapter that a run goes on from counts as reference only if it is named as one")
    func referenceAdapters() throws {
        let run = try TinyRun()
        try run.run(run.parameters("sft") { $0.loraDropout = 0 })
        try run.write(TinyRun.pairs(4), to: "pairs.jsonl")
        let adapter = "\(run.path)/sft/checkpoint-6"
        for (output, references) in [("with", [adapter]), ("without", [])] {
            try run.run(
                parameters(run, output) {
                    $0.dataset = ["\(run.path)/pairs.jsonl"]
                    $0.adapters = [adapter]
                    $0.refAdapters = references
                })
        }
        #expect(abs(try run.steps("with")[0] - log(2)) < 1e-9)
        #expect(abs(try run.steps("with", "rewards_margins")[0]) < 1e-9)
        #expect(abs(try run.steps("without", "rewards_margins")[0]) > 1e-3)
        // The reference reads the adapter and leaves it as it was.
        #expect(try run.steps("with", "rewards_margins")[5] != 0)
    }

    @Test(
        "Every method lowers its loss on a few rows",
        arguments: [
            (Method.dpo, 0.4), (.kto, 0.5), (.orpo, 0.5), (.simpo, 0.5), (.cpo, 0.5),
        ])
    func methods(method: Method, share: Double) throws {
        let run = try TinyRun(rows: TinyRun.pairs(4))
        try run.run(
            parameters(run) {
                $0.rlhfType = method
                ($0.maxSteps, $0.learningRate) = (80, 1e-2)
                // KTO makes two rows of a pair.
                $0.perDeviceTrainBatchSize = method == .kto ? 8 : 4
            })
        let losses = try run.steps()
        #expect(losses.count == 80)
        let (first, last) = (losses[0], losses[79])
        #expect(last < share * first, "\(method) went from \(first) to \(last)")
    }

    @Test(
        "Evaluations measure held-out preferences without changing the run",
        arguments: [Method.dpo, .kto, .orpo])
    func evaluations(method: Method) throws {
        let run = try TinyRun(rows: TinyRun.pairs(6))
        try run.write(TinyRun.pairs(5, seed: 9), to: "held.jsonl")
        for (output, held) in [("with", ["\(run.path)/held.jsonl"]), ("without", [])] {
            try run.run(
                parameters(run, output) {
                    $0.rlhfType = method
                    ($0.valDataset, $0.evalStrategy, $0.evalSteps) = (held, .steps, 2)
                    $0.perDeviceEvalBatchSize = 2
                })
        }
        try run.expectSame("with/checkpoint-6", "without/checkpoint-6")
        let lines = try run.lines("with/logging.jsonl").filter { $0["eval_loss"] != nil }
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0["eval_rewards/margins"]?.doubleValue?.isFinite == true })
    }
}
