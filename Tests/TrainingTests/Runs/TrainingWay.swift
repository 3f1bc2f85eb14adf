// Ways of training that tests go through: tuners, optimizers, precisions, families.

import Tensors
import Testing

@testable import Training

/// A model with its type and what of the parameters is not the fixture's own.
struct TrainingWay: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var model = TinyModel.qwen2
    var isBF16 = false
    var change: @Sendable (inout TrainingParameters) -> Void

    init(
        _ name: String, model: TinyModel = .qwen2, isBF16: Bool = false,
        change: @escaping @Sendable (inout TrainingParameters) -> Void
    ) {
        testDescription = name
        self.model = model
        self.isBF16 = isBF16
        self.change = change
    }

    static func full(_ parameters: inout TrainingParameters) { parameters.tunerType = .full }

    static let adapters = [
        TrainingWay("LoRA with dropout") { $0.loraDropout = 0.3 },
        TrainingWay("LoRA in bf16", isBF16: true) { $0.loraDropout = 0.1 },
        TrainingWay("DoRA", model: .qwen3) { $0.useDora = true },
        TrainingWay("LoRA on nf4", model: .llama) { $0.quantization = .nf4 },
        TrainingWay("LoRA with the embedding") { $0.modulesToSave = ["embed_tokens", "norm"] },
        TrainingWay("LoRA with moving averages") { $0.emaDecay = 0.9 },
    ]

    static let whole = [
        TrainingWay("AdamW") { full(&$0) },
        TrainingWay("AdamW in bf16", isBF16: true) { full(&$0) },
        TrainingWay("AdamW of 8 bits", model: .mistral) {
            full(&$0)
            $0.optimizer = .adamw8bit
        },
        TrainingWay("Lion") {
            full(&$0)
            ($0.optimizer, $0.learningRate) = (.lion, 1e-3)
        },
        TrainingWay("SGD with momentum") {
            full(&$0)
            ($0.optimizer, $0.momentum) = (.sgd, 0.9)
        },
        TrainingWay("SGD in bf16, whose only state are the exact weights", isBF16: true) {
            full(&$0)
            $0.optimizer = .sgd
        },
        TrainingWay("moving averages in bf16", isBF16: true) {
            full(&$0)
            $0.emaDecay = 0.9
        },
        TrainingWay("noise in the embedding") {
            full(&$0)
            $0.neftuneNoiseAlpha = 5
        },
        TrainingWay("a part of the model") {
            full(&$0)
            $0.freezeParameters = ["model.embed_tokens", "model.layers.0"]
        },
    ]
}

extension TinyRun {
    convenience init(_ way: TrainingWay, rows: [String]? = nil) throws {
        try self.init(way.model, type: way.isBF16 ? .bf16 : .f32, rows: rows)
    }
}
