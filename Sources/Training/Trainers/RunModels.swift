// The models of a run: the one that is trained, and the one that preferences are measured against.

import Models
import Tensors

/// Reads models and adapters as the parameters say.
struct RunModels {
    let configuration: ModelConfiguration
    let precision: Precision
    let plan: TunerPlan
    let model: TransformerModel
    let reference: TransformerModel?

    /// - Parameter checkpoint: of this run, whose weights count over those that the parameters name.
    init(
        _ parameters: TrainingParameters, configuration: ModelConfiguration, checkpoint: String?,
        needsReference: Bool, backend: any ComputeBackend
    ) throws {
        self.configuration = configuration
        let precision = try Self.precision(parameters, configuration)
        self.precision = precision
        let start =
            checkpoint.flatMap { parameters.tunerType == .lora ? $0 : nil } ?? parameters.adapters.first
        let adapter = try start.map(AdapterFile.init(directory:))
        let plan = try TunerPlan(
            parameters, model: TunableModel(configuration), adapter: adapter?.configuration,
            base: parameters.model)
        try adapter?.requireMatch(plan)
        self.plan = plan
        if plan.loras.contains(where: { $0.module == TunableModel.head }) {
            throw TrainingError(
                .badParameters, "target_modules: a low-rank change of lm_head is not there yet",
                remedy: "put lm_head into modules_to_save to train it whole, or leave it out")
        }
        let source: any WeightSource
        if parameters.tunerType == .full, let checkpoint {
            source = try StoredWeights(directory: checkpoint)
        } else {
            source = try Self.source(parameters, configuration)
        }
        func build(_ plan: TrainingPlan, _ sharing: TransformerModel?, _ source: any WeightSource) throws
            -> TransformerModel
        {
            try ModelBuilder(
                configuration: configuration, source: source, plan: plan, precision: precision,
                backend: backend, sharing: sharing
            ).build()
        }
        model = try build(Self.trainingPlan(parameters, plan, adapter), nil, source)
        reference =
            needsReference
            ? try Self.reference(parameters, configuration, trained: model, precision, backend) : nil
    }

    /// Whatever the run has reached, its reference is what it began with, unless another model or adapter is named.
    private static func reference(
        _ parameters: TrainingParameters, _ configuration: ModelConfiguration, trained: TransformerModel,
        _ precision: Precision, _ backend: any ComputeBackend
    ) throws -> TransformerModel {
        var plan = TrainingPlan()
        plan.trainsAdapters = false
        plan.quantization = blockFormat(parameters)
        if let path = parameters.refAdapters.first {
            try add(AdapterFile(directory: path), configuration, to: &plan)
        }
        guard let path = parameters.refModel else {
            return try ModelBuilder(
                configuration: configuration, source: source(parameters, configuration), plan: plan,
                precision: precision, backend: backend,
                sharing: parameters.tunerType == .lora ? trained : nil
            ).build()
        }
        let other = try ModelConfiguration(directory: path)
        guard other.vocabSize == configuration.vocabSize else {
            throw TrainingError(
                .badParameters,
                "ref_model: its vocabulary has \(other.vocabSize) tokens, the model's has "
                    + "\(configuration.vocabSize)", remedy: "use a reference of the same vocabulary")
        }
        return try ModelBuilder(
            configuration: other, source: StoredWeights(directory: path), plan: plan, precision: precision,
            backend: backend
        ).build()
    }

    static func configuration(_ parameters: TrainingParameters) throws -> ModelConfiguration {
        if let given = parameters.initConfig {
            // An artifact may be the file or a directory around it.
            let inner = "\(given)/\(ModelConfiguration.fileName)"
            let path = SmallFile.exists(inner) ? inner : given
            return try ModelConfiguration(parsing: SmallFile.read(path, limitBytes: 16 << 20), file: path)
        }
        guard let model = parameters.model else {
            throw TrainingError(
                .badParameters, "model: there is none", remedy: "name a directory with --model DIR")
        }
        let configuration = try ModelConfiguration(directory: model)
        guard configuration.quantization == nil else {
            throw TrainingError(
                .badParameters, "\(model): quantized checkpoints cannot be trained yet",
                remedy:
                    "use the model's 16-bit weights, with --quant_method bnb --quant_bits 4 to save memory")
        }
        return configuration
    }

    private static func source(
        _ parameters: TrainingParameters, _ configuration: ModelConfiguration
    ) throws -> any WeightSource {
        if let model = parameters.model { return try StoredWeights(directory: model) }
        return DrawnWeights(seed: parameters.seed, configuration: configuration)
    }

    static func precision(
        _ parameters: TrainingParameters, _ configuration: ModelConfiguration
    ) throws(TrainingError) -> Precision {
        guard let name = parameters.torchDtype else {
            return configuration.torchDtype == .f32 ? .float32 : .bfloat16
        }
        switch ElementType(torchName: name) {
        case .f32: return .float32
        case .bf16: return .bfloat16
        default:
            throw TrainingError(
                .badParameters, "torch_dtype: \"\(name)\" is not there", remedy: "give float32 or bfloat16")
        }
    }

    private static func blockFormat(_ parameters: TrainingParameters) -> BlockFormat? {
        switch parameters.quantization {
        case .none: nil
        case .nf4: .nf4(doubleQuantization: parameters.doubleQuantization)
        case .int8: .int8
        }
    }

    private static func trainingPlan(
        _ parameters: TrainingParameters, _ plan: TunerPlan, _ adapter: AdapterFile?
    ) throws -> TrainingPlan {
        var made = TrainingPlan()
        let names = Set(plan.trained.map(\.name))
        made.isTrained = { names.contains($0) }
        // An adapter that is gone on from brings its own.
        made.dropout = plan.adapter?.dropout ?? 0
        made.quantization = parameters.tunerType == .lora ? blockFormat(parameters) : nil
        made.seed = parameters.seed
        for lora in plan.loras {
            var values: TrainingPlan.Values?
            if let own = adapter?.loras[lora.module] {
                values = TrainingPlan.Values(
                    a: own.a.floats(), b: own.b.floats(), magnitude: own.magnitude?.floats())
            }
            made.adapters[lora.module] = TrainingPlan.Adapter(
                rank: lora.rank, scaling: lora.scaling, usesMagnitude: lora.hasMagnitude, values: values)
        }
        for parameter in plan.trained {
            // A tied matrix is in the file under both of its names.
            if let view = adapter?.saved[parameter.name] { made.replacements[parameter.name] = view.floats() }
        }
        return made
    }

    private static func add(
        _ adapter: AdapterFile, _ configuration: ModelConfiguration, to plan: inout TrainingPlan
    ) throws {
        var parameters = TrainingParameters()
        parameters.tunerType = .lora
        let tuner = try TunerPlan(
            parameters, model: TunableModel(configuration), adapter: adapter.configuration)
        try adapter.requireMatch(tuner)
        let made = try trainingPlan(parameters, tuner, adapter)
        (plan.adapters, plan.replacements) = (made.adapters, made.replacements)
    }
}
