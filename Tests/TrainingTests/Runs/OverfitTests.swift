// Runs that must learn a few rows by heart: if anything of the way back were wrong, they could not.

import Testing

@testable import Training

@Suite("Learning a few rows by heart")
struct OverfitTests {
    private static let ways = [
        TrainingWay("full") { TrainingWay.full(&$0) },
        TrainingWay("full, qwen3", model: .qwen3) { TrainingWay.full(&$0) },
        TrainingWay("full, llama in bf16", model: .llama, isBF16: true) { TrainingWay.full(&$0) },
        TrainingWay("full with a window", model: .mistral) { TrainingWay.full(&$0) },
        TrainingWay("full with AdamW of 8 bits") {
            TrainingWay.full(&$0)
            $0.optimizer = .adamw8bit
        },
        TrainingWay("full with Lion") {
            TrainingWay.full(&$0)
            ($0.optimizer, $0.learningRate) = (.lion, 2e-3)
        },
        TrainingWay("LoRA") { _ in },
        TrainingWay("LoRA in bf16", model: .llama, isBF16: true) { _ in },
        TrainingWay("rank-stabilized LoRA", model: .qwen3) { $0.useRslora = true },
        TrainingWay("DoRA") { $0.useDora = true },
        TrainingWay("LoRA on nf4") { $0.quantization = .nf4 },
        TrainingWay("LoRA on int8", model: .mistral) { $0.quantization = .int8 },
        TrainingWay("DoRA on nf4", model: .llama) { ($0.useDora, $0.quantization) = (true, .nf4) },
    ]

    @Test("4 rows are known by heart after some hundred steps", arguments: ways)
    func overfit(_ way: TrainingWay) throws {
        let rows = TinyRun.sequences(4, lengths: 8...8)
        let run = try TinyRun(way, rows: rows)
        let summary = try run.run(
            run.parameters {
                ($0.perDeviceTrainBatchSize, $0.maxSteps, $0.learningRate) = (4, 300, 1e-2)
                ($0.loraDropout, $0.weightDecay) = (0, 0)
                way.change(&$0)
            })
        let losses = try run.steps()
        let (first, last) = (losses[0], losses[299])
        // Chance alone is log(40) = 3.7.
        #expect(first > 2, "it began with \(first)")
        #expect(last < 0.1, "the loss went from \(first) to \(last)")
        #expect(summary.steps == 300)
        #expect(summary.trainLoss.map { $0 < first } == true)
    }
}
