// How much memory a step of ours will ask for, by the size of its model alone: what is reserved for it where the
// manifest says nothing. The step itself counts exactly once it has read its data.

import Text

package enum StepMemory {
    /// The program, its threads and a vocabulary.
    private static let programBytes = 128 << 20

    /// - Parameter inputs: bytes of the input artifacts, by the parameter that they stand for.
    /// - Returns: 0 for steps whose size does not depend on a model, and where there is none to look at.
    package static func bytes(_ step: MartletStep, inputs: [String: Int]) -> Int {
        guard let model = inputs["model"], model > 0, step.backend == .martlet else { return 0 }
        let weights = Double(model) + Double(inputs["adapters"] ?? 0)
        let rows = Double(step.literal("per_device_train_batch_size").flatMap { Int($0) } ?? 1)
        let share: Double
        switch step.kind {
        case .pretrain, .sft, .rlhf, .dpo: share = training(step, rows: rows)
        // One tensor after another, in 32 bits.
        case .merge: share = 0.5
        case .quantize: share = 1.5
        case .evaluate, .generate: share = step.literal("quant") == "int4" ? 0.5 : 1.25
        case .download, .tokenizer, .deploy: return 0
        }
        return programBytes + Int(min(weights * share, 0x1p50))
    }

    /// In multiples of the weights as the files have them, 2 bytes each: trained ones are there in 4 bytes, with
    /// their gradients and the optimizer's two means.
    private static func training(_ step: MartletStep, rows: Double) -> Double {
        let activations = 0.1 * max(1, min(rows, 1024))
        var share: Double
        if step.literal("tuner_type") == "full" {
            switch step.literal("optim") ?? "adamw_torch" {
            case "adamw_8bit": share = 5
            case "sgd": share = 4
            case "lion": share = 6
            default: share = 8
            }
            if step.kind == .dpo || step.kind == .rlhf { share += 1 }
        } else {
            switch step.literal("quant_bits") {
            case "4": share = 0.35
            case "8": share = 0.6
            default: share = 1.1
            }
        }
        return share + activations
    }
}
