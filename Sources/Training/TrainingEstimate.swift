// How much memory a run will need, by part, from the sizes of its model and its longest micro batch alone:
// before anything is loaded. The formulas are those of the layers, so that a change there is a change here.

package import Models
package import Tensors

/// The memory of a run at its highest, in bytes.
package struct TrainingEstimate: Sendable, Hashable {
    package enum Part: String, Sendable, Hashable, CaseIterable {
        /// Frozen weights: as the files have them where they can be used so, which then stay in the files'
        /// pages; else 4 bytes an element, or 2 for matrices in bf16. With `quant_method` the decoder's
        /// matrices are codes: NF4 half a byte an element and a scale of 4 bytes for 64 of them (with double
        /// quantization 1 byte, and 4 bytes for 256 scales); int8 a byte an element and 4 bytes a row.
        case weights = "frozen weights"
        /// 4 bytes an element: trained parameters are F32, and their own master copy.
        case trained = "trained weights"
        /// 4 bytes a trained element.
        case gradients
        /// AdamW 8 bytes a trained element; with 8 bits 2, and 8 bytes for 256 elements; lion 4; sgd 4 with
        /// momentum, else none.
        case optimizer = "optimizer states"
        /// 4 bytes a trained element with `ema_decay`.
        case average = "moving average"
        /// What is kept for the way back: see `ArenaEstimate`.
        case activations
        /// Logits of at most 256 rows, F32, and their gradients.
        case logits
        /// What the passes need for a moment beyond that.
        case scratch
        /// Order of the rows: 16 bytes a row. Their tokens lie in a file.
        case data
        /// 16 bytes a row: the log-probabilities of both answers under the model that is compared with; or
        /// that model itself, as `weights` has it, where they are not computed before.
        case reference
    }

    /// By part; what is 0 is left out.
    package let bytes: [Part: Int]
    /// Memory of the passes: an `ActivationArena` of so many bytes is enough.
    package let arenaBytes: Int
    package let parameterCount: Int
    package let trainedCount: Int
    /// The arithmetic's type.
    package let precision: Precision

    /// All parts together.
    package var totalBytes: Int { Part.allCases.reduce(0) { Self.sum($0, bytes[$1] ?? 0) } }

    /// - Parameters:
    ///   - plan: what is trained.
    ///   - storedType: of the files' matrices; the configuration's unless given.
    package init(
        model: ModelConfiguration, plan: TunerPlan, parameters: TrainingParameters, data: DataSummary,
        storedType: ElementType? = nil
    ) {
        precision = Self.precision(parameters, model)
        parameterCount = plan.modelCount
        trainedCount = plan.trainedCount
        let kept = FrozenWeights(
            storedType: parameters.initConfig == nil ? storedType ?? model.torchDtype : .f32,
            precision: precision, quantization: parameters.quantization,
            doubleQuantization: parameters.doubleQuantization)
        let arena = ArenaEstimate(
            model: model, plan: plan, parameters: parameters, precision: precision)
        let passes = arena.peak(
            tokens: data.longestMicroBatchTokens, evaluationTokens: data.longestEvaluationBatchTokens)
        arenaBytes = passes.totalBytes
        let trained = Double(trainedCount)
        var sizes: [Part: Double] = [
            .weights: kept.bytes(plan.frozen), .trained: 4 * trained, .gradients: 4 * trained,
            .optimizer: Self.optimizerBytes(parameters, trained: trained),
            .average: parameters.emaDecay == nil ? 0 : 4 * trained, .data: 16 * Double(data.rows),
            .reference: Self.referenceBytes(parameters, plan, kept, rows: data.rows),
        ]
        sizes[.activations] = passes.activations
        sizes[.logits] = passes.logits
        sizes[.scratch] = passes.scratch
        bytes = sizes.mapValues(Self.whole).filter { $0.value > 0 }
    }

    /// The type that the arithmetic has: what was asked for, else the model's. Half precision becomes
    /// float32, as its gradients would be lost.
    package static func precision(_ parameters: TrainingParameters, _ model: ModelConfiguration) -> Precision
    {
        if let name = parameters.torchDtype { return name == "bfloat16" ? .bfloat16 : .float32 }
        return model.torchDtype == .bf16 ? .bfloat16 : .float32
    }

    private static func optimizerBytes(_ parameters: TrainingParameters, trained: Double) -> Double {
        switch parameters.optimizer {
        case .adamw: 8 * trained
        case .adamw8bit: 2 * trained + 8 * (trained / 256).rounded(.up)
        case .lion: 4 * trained
        case .sgd: parameters.momentum == 0 ? 0 : 4 * trained
        }
    }

    private static func referenceBytes(
        _ parameters: TrainingParameters, _ plan: TunerPlan, _ kept: FrozenWeights, rows: Int
    ) -> Double {
        guard parameters.stage == .rlhf, [.dpo, .kto].contains(parameters.rlhfType) else { return 0 }
        if parameters.precomputeRefLogProbs { return 16 * Double(rows) }
        // The base below a LoRA is there already.
        let needsModel = parameters.refModel != nil || parameters.tunerType == .full
        return needsModel ? kept.bytes(plan.frozen + plan.trained) : 0
    }

    /// Sizes are computed as floating-point numbers, which do not overflow where somebody asks for a billion
    /// tokens.
    static func whole(_ bytes: Double) -> Int { Int(min(max(bytes, 0), 0x1p60)) }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflowed) = left.addingReportingOverflow(right)
        return overflowed ? Int.max : sum
    }

    /// Such as "1.50 GiB".
    package static func text(_ bytes: Int) -> String { ByteText.of(bytes) }
}

/// How parameters that are not trained are kept.
private struct FrozenWeights {
    var storedType: ElementType
    var precision: Precision
    var quantization: TrainingParameters.Quantization
    var doubleQuantization: Bool

    func bytes(_ parameters: [TunableModel.Parameter]) -> Double {
        parameters.reduce(0) { $0 + bytes($1) }
    }

    private func bytes(_ parameter: TunableModel.Parameter) -> Double {
        let count = parameter.shape.reduce(1.0) { $0 * Double($1) }
        // Norms and biases are F32 whatever the matrices are.
        guard parameter.shape.count == 2 else { return 4 * count }
        let isInDecoder = parameter.name.hasSuffix("_proj.weight")
        switch quantization {
        case .nf4 where isInDecoder:
            let scales = (count / 64).rounded(.up)
            let scaleBytes = doubleQuantization ? scales + 4 * (scales / 256).rounded(.up) : 4 * scales
            return (count / 2).rounded(.up) + scaleBytes
        case .int8 where isInDecoder: return count + 4 * Double(parameter.shape[0])
        case .none, .nf4, .int8: return count * elementBytes
        }
    }

    private var elementBytes: Double {
        switch storedType {
        case .bf16: 2
        case .f32 where precision == .float32: 4
        default: precision == .bfloat16 ? 2 : 4
        }
    }
}
