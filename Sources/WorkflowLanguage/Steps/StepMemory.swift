// How much memory a step of ours will ask for, by the size of its model and its batch alone: what is reserved for it
// where the manifest says nothing. The step itself counts exactly once it has read its data.

import Text

package enum StepMemory {
    /// The program, its threads and a vocabulary.
    static let programBytes = 128 << 20
    /// Tokens of a row where the step does not limit them: longer ones are rare.
    private static let usualLength = 1024.0

    /// - Parameters:
    ///   - inputs: bytes of the input artifacts, by the parameter that they stand for.
    ///   - shape: of the model that is used or made, where its config.json can be read.
    /// - Returns: 0 for steps whose size does not depend on a model, and where there is none to look at.
    package static func bytes(_ step: MartletStep, inputs: [String: Int], shape: ModelShape? = nil) -> Int {
        guard step.backend == .martlet else { return 0 }
        if let shape, step.kind.trains { return whole(training(step, shape, trainsAll(step, inputs))) }
        guard let model = inputs["model"], model > 0 else { return 0 }
        let weights = Double(model) + Double(inputs["adapters"] ?? 0)
        switch step.kind {
        case .pretrain, .sft, .rlhf, .dpo:
            // Only the size of the files is known: most have 2 bytes an element.
            return whole(
                trainsAll(step, inputs)
                    ? state(step, weights / 2) : frozen(step, weights / 2, elementBytes: 2))
        // One tensor after another, in 32 bits.
        case .merge: return whole(weights * 0.5)
        case .quantize: return whole(weights * 1.5)
        case .evaluate, .generate:
            return whole(weights * (step.literal("quant") == "int4" ? 0.5 : 1.25))
        case .download, .tokenizer, .deploy: return 0
        }
    }

    private static func whole(_ bytes: Double) -> Int { programBytes + Int(min(max(bytes, 0), 0x1p50)) }

    // MARK: Training

    /// Whether there is no frozen model below what is trained: weights that are drawn have none.
    private static func trainsAll(_ step: MartletStep, _ inputs: [String: Int]) -> Bool {
        let isDrawn = step.kind == .pretrain && step.value("model") == nil && inputs["model"] == nil
        return isDrawn || step.literal("tuner_type") == "full"
    }

    private static func training(_ step: MartletStep, _ shape: ModelShape, _ isFull: Bool) -> Double {
        let isPair = step.kind == .dpo || (step.kind == .rlhf && step.literal("rlhf_type") != "kto")
        let rows = Double(step.literal("per_device_train_batch_size").flatMap { Int($0) } ?? 1)
        let length = step.literal("max_length").flatMap { Int($0) }.map(Double.init) ?? usualLength
        let tokens = max(1, min(rows, 0x1p20)) * max(1, min(length, 0x1p28)) * (isPair ? 2 : 1)
        let isCheckpointing = step.literal("gradient_checkpointing").flatMap(StepParameter.truth) ?? true
        var bytes =
            isFull
            ? state(step, shape.parameters) : frozen(step, shape.parameters, elementBytes: shape.elementBytes)
        // The model that answers are compared with, unless it is the one below an adapter.
        if isPair, isFull { bytes += shape.parameters * shape.elementBytes }
        return bytes + shape.activationBytes(tokens: tokens, isCheckpointing: isCheckpointing)
            + shape.logitsBytes(tokens: tokens)
    }

    /// Weights and gradients in 32 bits, and what the optimizer keeps of each.
    private static func state(_ step: MartletStep, _ parameters: Double) -> Double {
        let optimizer: Double
        switch step.literal("optim") ?? "adamw_torch" {
        case "adamw_8bit": optimizer = 2
        case "sgd": optimizer = 0
        case "lion": optimizer = 4
        default: optimizer = 8
        }
        return parameters * (8 + optimizer)
    }

    /// Weights below an adapter as they are kept, and a twentieth of them for the adapter's training.
    private static func frozen(_ step: MartletStep, _ parameters: Double, elementBytes: Double) -> Double {
        let bytes: Double
        switch step.literal("quant_bits") {
        case "4": bytes = 0.6
        case "8": bytes = 1.1
        default: bytes = elementBytes
        }
        return parameters * bytes * 1.05
    }
}

extension MartletStep.Kind {
    /// Whether its memory is that of weights that are trained.
    package var trains: Bool { [.pretrain, .sft, .rlhf, .dpo].contains(self) }
}
