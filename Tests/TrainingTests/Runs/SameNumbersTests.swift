// What must not change the numbers of a run: threads, checkpointing, how rows are divided into batches.

import Testing

@testable import Training

@Suite("Runs with the same numbers")
struct SameNumbersTests {
    /// Enough tokens that every kernel has several pieces for the threads.
    private static let manyRows = TinyRun.sequences(48, lengths: 30...60)

    private static let ways = [
        TrainingWay("LoRA with dropout") { $0.loraDropout = 0.3 },
        TrainingWay("full", model: .qwen3) { TrainingWay.full(&$0) },
        TrainingWay("full in bf16", isBF16: true) { TrainingWay.full(&$0) },
        TrainingWay("DoRA on int8 in bf16", model: .mistral, isBF16: true) {
            ($0.useDora, $0.quantization) = (true, .int8)
        },
    ]

    @Test("The number of threads changes no bit", arguments: ways)
    func threads(_ way: TrainingWay) throws {
        let run = try TinyRun(way, rows: Self.manyRows)
        for threads in 1...3 {
            try run.run(
                run.parameters("threads\(threads)") {
                    ($0.perDeviceTrainBatchSize, $0.maxSteps, $0.threads) = (48, 3, threads)
                    way.change(&$0)
                })
        }
        try run.expectSame("threads1/checkpoint-3", "threads2/checkpoint-3")
        try run.expectSame("threads1/checkpoint-3", "threads3/checkpoint-3")
    }

    @Test("Gradient checkpointing changes no bit", arguments: ways + TrainingWay.whole)
    func checkpointing(_ way: TrainingWay) throws {
        let run = try TinyRun(way)
        for isOn in [true, false] {
            try run.run(
                run.parameters("\(isOn)") {
                    $0.gradientCheckpointing = isOn
                    way.change(&$0)
                })
        }
        try run.expectSame("true/checkpoint-6", "false/checkpoint-6")
    }

    /// Steps of plain gradient descent, whose changes are as large as the gradients; Adam's are not.
    private func descent(
        _ run: TinyRun, _ output: String, _ change: (inout TrainingParameters) -> Void
    ) throws -> (losses: [Double], weights: [String: [Float]]) {
        try run.run(
            run.parameters(output) {
                TrainingWay.full(&$0)
                ($0.optimizer, $0.learningRate, $0.maxGradNorm, $0.weightDecay) = (.sgd, 0.3, 0, 0)
                change(&$0)
            })
        return (try run.steps(output), try run.floats("\(output)/checkpoint-6/model.safetensors"))
    }

    private func expectNear(
        _ one: (losses: [Double], weights: [String: [Float]]),
        _ other: (losses: [Double], weights: [String: [Float]]),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (left, right) in zip(one.losses, other.losses) {
            #expect(abs(left - right) < 2e-5, "\(left), \(right)", sourceLocation: sourceLocation)
        }
        for (name, weights) in one.weights {
            // 6 steps of about 1e-7 of rounding each, with what they do to the steps after.
            let difference = largestDifference(weights, other.weights[name] ?? [])
            #expect(difference < 2e-5, "\(name): \(difference)", sourceLocation: sourceLocation)
        }
    }

    @Test("Accumulated micro batches are one large batch, the last and smaller step of an epoch included")
    func accumulation() throws {
        let run = try TinyRun()
        let large = try descent(run, "large") { $0.perDeviceTrainBatchSize = 4 }
        let small = try descent(run, "small") {
            ($0.perDeviceTrainBatchSize, $0.gradientAccumulationSteps) = (1, 4)
        }
        expectNear(large, small)
        // Rows of other lengths weigh otherwise as means of their own.
        let means = try descent(run, "means") {
            ($0.perDeviceTrainBatchSize, $0.gradientAccumulationSteps) = (1, 4)
            $0.lossReduction = .microMean
        }
        #expect(abs(means.losses[5] - small.losses[5]) > 1e-3)
        #expect(try run.steps("small", "trained_tokens") == run.steps("large", "trained_tokens"))
    }

    @Test(
        "Packed rows have the loss and the gradients of separate ones",
        arguments: [TinyModel.qwen2, .mistral])
    func packing(model: TinyModel) throws {
        let run = try TinyRun(model)
        func change(_ parameters: inout TrainingParameters, _ isPacking: Bool) {
            (parameters.perDeviceTrainBatchSize, parameters.gradientAccumulationSteps) = (1, 7)
            (parameters.packing, parameters.packingLength) = (isPacking, isPacking ? 24 : nil)
        }
        let packs = try TrainingRun.dataSummary(run.parameters { change(&$0, true) }).microBatches
        #expect((2...4).contains(packs))
        let packed = try descent(run, "packed") { change(&$0, true) }
        expectNear(packed, try descent(run, "separate") { change(&$0, false) })
        #expect(packed.losses[0] - packed.losses[5] > 0.1, "nothing was learned: \(packed.losses)")
    }

    @Test(
        "Preferences in micro batches are those of one batch",
        arguments: TrainingParameters.PreferenceMethod.allCases)
    func preferences(method: TrainingParameters.PreferenceMethod) throws {
        let run = try TinyRun(rows: TinyRun.pairs(7))
        for size in [4, 1] {
            try run.run(
                run.parameters("of\(size)") {
                    // Dropout is drawn for each micro batch.
                    ($0.stage, $0.rlhfType, $0.loraDropout) = (.rlhf, method, 0)
                    ($0.perDeviceTrainBatchSize, $0.gradientAccumulationSteps) = (size, 4 / size)
                })
        }
        // A step of KTO may have no chosen answer at all.
        let keys = ["loss", "grad_norm"] + (method == .kto ? [] : ["logps_chosen", "rewards_margins"])
        for key in keys {
            for (large, small) in zip(try run.steps("of4", key), try run.steps("of1", key)) {
                #expect(abs(large - small) < 1e-3 * max(1, abs(large)), "\(key): \(large), \(small)")
            }
        }
    }
}
