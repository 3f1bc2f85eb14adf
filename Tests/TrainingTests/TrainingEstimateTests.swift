// The estimate of memory: against numbers worked out by hand, and against what a real pass takes of its
// arena.

import Models
import Tensors
import Testing

@testable import Training

@Suite("Estimate of memory")
struct TrainingEstimateTests {
    typealias Part = TrainingEstimate.Part

    /// Two layers, 1704 parameters: embedding and output layer 256 each, a layer 576 in matrices and 16 in
    /// norms, and the last norm.
    private static func model(_ architecture: String = "LlamaForCausalLM", dtype: String = "float32") throws
        -> ModelConfiguration
    {
        let text = """
            {"architectures": ["\(architecture)"], "vocab_size": 32, "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
            "max_position_embeddings": 64, "torch_dtype": "\(dtype)"}
            """
        return try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
    }

    private static func data(_ tokens: Int, rows: Int = 0) -> DataSummary {
        DataSummary(
            rows: rows, tokens: rows * tokens, longestRowTokens: tokens, microBatches: rows,
            longestMicroBatchTokens: tokens)
    }

    private static func estimate(
        _ model: ModelConfiguration, rows: Int = 0, _ change: (inout TrainingParameters) -> Void
    ) throws -> TrainingEstimate {
        var parameters = TrainingParameters()
        change(&parameters)
        let plan = try TunerPlan(parameters, model: TunableModel(model))
        return TrainingEstimate(model: model, plan: plan, parameters: parameters, data: data(16, rows: rows))
    }

    // MARK: By hand

    @Test("All weights trained in float32: four bytes for values and gradients each, eight for AdamW")
    func full() throws {
        let estimate = try Self.estimate(Self.model()) {
            ($0.tunerType, $0.gradientCheckpointing) = (.full, false)
        }
        #expect(estimate.parameterCount == 1704 && estimate.trainedCount == 1704)
        #expect(estimate.precision == .float32)
        // Streams: 4 matrices of 16 tokens by 8 numbers. A layer: 512 between its halves, 128 for 1/rms, 1024
        // for queries, keys and values, 512 attended, 128 log-sums, 2048 gate and up.
        let activations = 4 * 512 + 2 * (512 + 128 + 1024 + 512 + 128 + 2048)
        // The output layer beside its logits: 64 for 1/rms, 512 hidden states, 512 gradients.
        #expect(
            estimate.bytes == [
                Part.trained: 6816, .gradients: 6816, .optimizer: 13_632, .activations: activations,
                .logits: 2 * 16 * 32 * 4, .scratch: 64 + 512 + 512,
            ])
        #expect(estimate.arenaBytes == activations + 4096 + 1088)
        #expect(estimate.totalBytes == 6816 + 6816 + 13_632 + estimate.arenaBytes)
    }

    @Test("Gradient checkpointing keeps the inputs, and all of one layer")
    func checkpointing() throws {
        let estimate = try Self.estimate(Self.model()) { $0.tunerType = .full }
        #expect(estimate.bytes[.activations] == 4 * 512 + 512 + 4352)
        // The layer's way back: 1024 of normalized input and its gradient, 2048 of gate times up and its
        // gradient.
        #expect(estimate.arenaBytes == 4 * 512 + 512 + 4352 + 3072)
    }

    @Test("In bfloat16 activations take half, and the residual stream does not")
    func half() throws {
        let estimate = try Self.estimate(Self.model(dtype: "bfloat16")) {
            ($0.tunerType, $0.gradientCheckpointing) = (.full, false)
        }
        #expect(estimate.precision == .bfloat16)
        #expect(estimate.bytes[.activations] == 4 * 512 + 2 * (512 + 128 + 512 + 256 + 128 + 1024))
        #expect(estimate.bytes[.logits] == 16 * 32 * (4 + 2))
        #expect(estimate.bytes[.trained] == 6816)
    }

    @Test(
        "A frozen base is as its file has it, or in codes",
        arguments: [
            ("float32", TrainingParameters.Quantization.none, false, 1704 * 4),
            // Norms are F32.
            ("bfloat16", .none, false, 1664 * 2 + 40 * 4),
            ("float16", .none, false, 1704 * 4),
            // Seven matrices a layer: 288 bytes of codes, 10 scales, and 4 bytes a matrix for theirs.
            ("float32", .nf4, true, 2 * (288 + 10 + 7 * 4) + 552 * 4),
            ("float32", .nf4, false, 2 * (288 + 10 * 4) + 552 * 4),
            ("float32", .int8, false, 2 * (576 + 64 * 4) + 552 * 4),
        ])
    func frozen(
        dtype: String, quantization: TrainingParameters.Quantization, isDouble: Bool, bytes: Int
    ) throws {
        let estimate = try Self.estimate(Self.model(dtype: dtype)) {
            ($0.quantization, $0.doubleQuantization) = (quantization, isDouble)
            $0.loraRank = 2
        }
        #expect(estimate.bytes[.weights] == bytes)
        // Rank 2: 2 * (inputs + outputs) for each of seven matrices, 256 a layer.
        #expect(estimate.trainedCount == 512)
        #expect(estimate.bytes[.trained] == 2048 && estimate.bytes[.gradients] == 2048)
    }

    @Test(
        "Optimizers keep what they need",
        arguments: [
            (TrainingParameters.OptimizerType.adamw, 0.0, 512 * 8), (.adamw8bit, 0, 512 * 2 + 2 * 8),
            (.lion, 0, 512 * 4), (.sgd, 0.9, 512 * 4), (.sgd, 0, nil),
        ] as [(TrainingParameters.OptimizerType, Double, Int?)])
    func optimizers(type: TrainingParameters.OptimizerType, momentum: Double, bytes: Int?) throws {
        let estimate = try Self.estimate(Self.model()) {
            ($0.optimizer, $0.momentum, $0.loraRank) = (type, momentum, 2)
        }
        #expect(estimate.bytes[.optimizer] == bytes)
        #expect(estimate.bytes[.average] == nil)
    }

    @Test("A moving average is one more copy of what is trained")
    func average() throws {
        let estimate = try Self.estimate(Self.model()) { ($0.emaDecay, $0.loraRank) = (0.99, 2) }
        #expect(estimate.bytes[.average] == 2048)
    }

    @Test("What is compared with: its log-probabilities, or the model itself, or the base that is there")
    func reference() throws {
        func bytes(_ change: (inout TrainingParameters) -> Void) throws -> Int? {
            try Self.estimate(Self.model(), rows: 10) {
                $0.stage = .rlhf
                change(&$0)
            }.bytes[.reference]
        }
        #expect(try bytes { _ in } == 160)
        #expect(try bytes { $0.precomputeRefLogProbs = false } == nil)
        #expect(try bytes { ($0.precomputeRefLogProbs, $0.tunerType) = (false, .full) } == 1704 * 4)
        #expect(try bytes { ($0.precomputeRefLogProbs, $0.refModel) = (false, "r") } == 1704 * 4)
        #expect(try bytes { $0.rlhfType = .orpo } == nil)
        #expect(try Self.estimate(Self.model(), rows: 10) { _ in }.bytes[.data] == 160)
    }

    @Test("A wish for more tokens than there are numbers is an estimate, too")
    func absurd() throws {
        let model = try Self.model()
        let parameters = TrainingParameters()
        let plan = try TunerPlan(parameters, model: TunableModel(model))
        let estimate = TrainingEstimate(
            model: model, plan: plan, parameters: parameters, data: Self.data(.max))
        #expect(estimate.totalBytes > 1 << 59)
    }

    // MARK: Data and steps

    @Test(
        "The longest micro batch is that of the longest rows, or of full packs",
        arguments: [
            (1, nil, 4, 9), (2, nil, 2, 16), (3, nil, 2, 21), (1, 10, 3, 10), (2, 10, 2, 20), (4, 10, 1, 24),
        ] as [(Int, Int?, Int, Int)])
    func microBatches(batch: Int, pack: Int?, count: Int, longest: Int) {
        var parameters = TrainingParameters()
        parameters.perDeviceTrainBatchSize = batch
        let data = DataSummary(
            lengths: [3, 9, 7, 5], evaluationLengths: [4, 6], parameters: parameters, packLength: pack)
        #expect(data.rows == 4 && data.tokens == 24 && data.longestRowTokens == 9)
        #expect(data.microBatches == count)
        #expect(data.longestMicroBatchTokens == longest)
        #expect(data.evaluationRows == 2 && data.longestEvaluationBatchTokens == 6)
    }

    @Test(
        "Steps are counted as a plan of batches has them",
        arguments: [(1, 3.0, -1), (4, 3, -1), (16, 0.5, -1), (2, 1.25, -1), (3, 3, 7), (1, 0.01, -1)])
    func steps(batch: Int, epochs: Double, maxSteps: Int) throws {
        var parameters = TrainingParameters()
        parameters.perDeviceTrainBatchSize = batch
        parameters.numTrainEpochs = epochs
        parameters.maxSteps = maxSteps
        let lengths = [Int](repeating: 5, count: 101)
        let plan = try BatchPlan(
            lengths: lengths, settings: BatchPlan.Settings(parameters, maxLength: 64))
        let data = DataSummary(lengths: lengths, parameters: parameters)
        let steps = StepCount(parameters, microBatches: data.microBatches)
        #expect(steps.steps == plan.stepCount)
        #expect(steps.stepsPerEpoch == plan.stepsPerEpoch)
        #expect(steps.accumulation == plan.settings.accumulation)
    }

    @Test("Data that is not read may have rows as long as can be")
    func unread() {
        var parameters = TrainingParameters()
        parameters.perDeviceTrainBatchSize = 3
        #expect(DataSummary(unread: parameters, maxLength: 10).longestMicroBatchTokens == 30)
        parameters.stage = .rlhf
        parameters.valDataset = ["v"]
        let data = DataSummary(unread: parameters, maxLength: 10)
        #expect(data.longestMicroBatchTokens == 60 && data.longestEvaluationBatchTokens == 20)
    }

    // MARK: A real pass

    struct Pass: Sendable, CustomTestStringConvertible {
        var architecture = "LlamaForCausalLM"
        var dtype = "float32"
        var isFull = true
        var isCheckpointing = false
        var dropout = 0.0
        var usesDora = false
        var noise = 0.0
        var tokens = 37

        var testDescription: String {
            "\(architecture) \(dtype) full \(isFull) checkpointing \(isCheckpointing) dropout \(dropout) "
                + "dora \(usesDora) noise \(noise) tokens \(tokens)"
        }
    }

    @Test(
        "A pass takes what the estimate says of its arena, and hardly less",
        arguments: [
            Pass(), Pass(isCheckpointing: true), Pass(dtype: "bfloat16"), Pass(noise: 5), Pass(tokens: 300),
            Pass(dtype: "bfloat16", isCheckpointing: true, tokens: 300),
            Pass(architecture: "Qwen3ForCausalLM"),
            Pass(architecture: "Qwen2ForCausalLM", isFull: false),
            Pass(isFull: false, isCheckpointing: true, dropout: 0.1),
            Pass(isFull: false, dropout: 0.1, usesDora: true, tokens: 5),
            Pass(architecture: "Qwen3ForCausalLM", dtype: "bfloat16", isFull: false, usesDora: true),
        ])
    func arena(pass: Pass) throws {
        let model = try Self.model(pass.architecture, dtype: pass.dtype)
        var parameters = TrainingParameters()
        parameters.tunerType = pass.isFull ? .full : .lora
        parameters.gradientCheckpointing = pass.isCheckpointing
        parameters.loraDropout = pass.dropout
        parameters.useDora = pass.usesDora
        parameters.loraRank = 3
        parameters.neftuneNoiseAlpha = pass.noise
        let plan = try TunerPlan(parameters, model: TunableModel(model))
        let estimate = TrainingEstimate(
            model: model, plan: plan, parameters: parameters, data: Self.data(pass.tokens))
        let peak = try Self.peak(of: pass, model, plan, parameters)
        #expect(peak <= estimate.arenaBytes)
        #expect(Double(peak) > 0.85 * Double(estimate.arenaBytes))
    }

    /// Runs a forward and backward pass over one sequence of which every token is learned.
    private static func peak(
        of pass: Pass, _ model: ModelConfiguration, _ plan: TunerPlan, _ parameters: TrainingParameters
    ) throws -> Int {
        let backend = try CPUBackend(pool: ThreadPool(threads: 1))
        var training = TrainingPlan()
        training.dropout = pass.dropout
        for lora in plan.loras {
            training.adapters[lora.module] = TrainingPlan.Adapter(
                rank: lora.rank, scaling: lora.scaling, usesMagnitude: lora.hasMagnitude)
        }
        training.isTrained = { _ in pass.isFull }
        let built = try ModelBuilder(
            configuration: model, source: DrawnWeights(seed: 1, configuration: model), plan: training,
            precision: TrainingEstimate.precision(parameters, model), backend: backend
        ).build()
        #expect(built.trainedCount == plan.trainedCount)
        let ids = (0..<Int32(pass.tokens)).map { $0 % 32 }
        let batch = TrainingBatch([TokenSequence(ids: ids, labels: ids)])
        let arena = try ActivationArena(byteCount: 64 << 20, backend: backend)
        let coefficients = [Float](repeating: -1, count: pass.tokens - 1)
        _ = try built.accumulateGradients(
            batch, arena: arena, checkpointing: pass.isCheckpointing, dropoutSeed: 7, noise: pass.noise,
            loss: .known(coefficients))
        return arena.peakByteCount
    }
}
