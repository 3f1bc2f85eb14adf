// All parameters of a training run as options, and the way from them to `TrainingParameters`: defaults of the
// stage, then checks that report everything at once.

import ArgumentParser
import Models
import Tensors
import Training

/// What `pretrain`, `sft`, `rlhf` and `dpo` share.
struct TrainingOptions: ParsableArguments {
    @OptionGroup(title: "Model") var model: TrainingModelOptions
    @OptionGroup(title: "Tuner") var tuner: TunerOptions
    @OptionGroup(title: "Data") var data: TrainingDataOptions
    @OptionGroup(title: "Steps") var optimization: OptimizationOptions
    @OptionGroup(title: "Evaluation, saving, logging") var saving: SavingOptions
    @OptionGroup(title: "Machine") var machine: TrainingMachineOptions

    /// The types of the groups, for the table of names.
    static let groups: [any ParsableArguments.Type] = [
        TrainingModelOptions.self, TunerOptions.self, TrainingDataOptions.self, OptimizationOptions.self,
        SavingOptions.self, TrainingMachineOptions.self,
    ]

    /// Where checkpoints are kept between the attempts of a step.
    static let checkpointVariable = "MARTLET_CHECKPOINT_DIR"

    /// The parameters of the run, with every default that does not need the data filled in.
    ///
    /// - Parameters:
    ///   - preferences: for `rlhf` only.
    ///   - environment: the value of an environment variable.
    ///   - notice: called with each thing that was asked for and has no effect.
    /// - Throws: `CommandError` with status 2 and all problems, a line each.
    func parameters(
        stage: TrainingParameters.Stage, preferences: PreferenceOptions? = nil,
        environment: (String) -> String? = Environment.value, notice: (String) -> Void = Output.warning
    ) throws -> TrainingParameters {
        var parameters = TrainingParameters()
        var problems: [String] = []
        parameters.stage = stage
        model.fill(&parameters)
        tuner.fill(&parameters)
        data.fill(&parameters, &problems)
        optimization.fill(&parameters)
        preferences?.fill(&parameters)
        saving.fill(&parameters, &problems, notice)
        machine.fill(&parameters)
        if let directory = environment(Self.checkpointVariable), !directory.isEmpty {
            parameters.checkpointDir = directory
        }
        if parameters.outputDir == nil, let step = TrainingArtifacts(environment: environment) {
            parameters.outputDir = step.outputDirectory(checkpoints: parameters.checkpointDir)
        }
        try findModel(&parameters)
        Self.settle(&parameters, &problems)
        problems += givenProblems(parameters)
        problems += TrainingChecks.problems(of: parameters)
        guard problems.isEmpty else {
            throw CommandError(problems.joined(separator: "\n"), status: 2)
        }
        for text in notices(parameters, preferences) { notice(text) }
        return parameters
    }

    /// An adapter knows the model that it was made for.
    private func findModel(_ parameters: inout TrainingParameters) throws {
        guard parameters.model == nil, parameters.initConfig == nil, let adapter = parameters.adapters.first
        else { return }
        parameters.model = try AdapterOrigin.directory(of: adapter)
    }

    /// Defaults that depend on the stage, the tuner and the method.
    private static func settle(_ parameters: inout TrainingParameters, _ problems: inout [String]) {
        if let name = parameters.torchDtype {
            switch name.lowercased() {
            case "float32", "fp32", "float", "torch.float32": parameters.torchDtype = "float32"
            case "bfloat16", "bf16", "torch.bfloat16": parameters.torchDtype = "bfloat16"
            case "auto": parameters.torchDtype = nil
            default:
                problems.append("--torch_dtype: \"\(name)\" is not there; write bfloat16 or float32")
            }
        }
        if parameters.learningRate == nil {
            parameters.learningRate = parameters.tunerType == .full ? 1e-5 : 1e-4
        }
        if parameters.gradientAccumulationSteps == nil, parameters.perDeviceTrainBatchSize > 0 {
            let batch = parameters.perDeviceTrainBatchSize
            parameters.gradientAccumulationSteps = max(1, (16 + batch - 1) / batch)
        }
        if parameters.lossScale == nil {
            switch parameters.stage {
            case .pretrain: parameters.lossScale = .all
            case .sft: parameters.lossScale = .default
            case .rlhf: parameters.lossScale = .lastRound
            }
        }
        if parameters.stage == .rlhf, parameters.beta == nil {
            parameters.beta = parameters.rlhfType == .simpo ? 2 : 0.1
        }
        if parameters.evalStrategy == nil, parameters.evaluates {
            parameters.evalStrategy = parameters.saveStrategy
        }
        if parameters.evalSteps == nil { parameters.evalSteps = parameters.saveSteps }
        if parameters.outputDir == nil { parameters.outputDir = "output/" + modelName(parameters) }
    }

    /// What the model is called: the last part of its path, for a config.json that of the directory around
    /// it.
    static func modelName(_ parameters: TrainingParameters) -> String {
        let path = parameters.model ?? parameters.initConfig ?? ""
        var parts = path.split(separator: "/").map(String.init).filter { $0 != "." && $0 != ".." }
        if parts.last == ModelConfiguration.fileName { parts.removeLast() }
        guard let name = parts.last else { return "model" }
        return name.hasSuffix(".json") && name.count > 5 ? String(name.dropLast(5)) : name
    }

    /// Problems of what was written, which the values alone do not show.
    private func givenProblems(_ parameters: TrainingParameters) -> [String] {
        var problems: [String] = []
        if model.quantMethod != nil, model.quantBits == nil {
            problems.append("--quant_method bnb needs --quant_bits 4 or 8")
        }
        if let bits = model.quantBits {
            if bits != 4 && bits != 8 { problems.append("--quant_bits must be 4 or 8, not \(bits)") }
            if model.quantMethod == nil {
                problems.append("--quant_bits \(bits) needs --quant_method bnb beside it")
            }
        }
        if parameters.tunerType == .full, !parameters.adapters.isEmpty {
            problems.append(
                "--adapters with --tuner_type full: "
                    + "an adapter is trained on as lora; leave --tuner_type out, or "
                    + "merge it first: martlet merge --adapters \(parameters.adapters[0]) --output_dir DIR")
        }
        if data.valDataset.isEmpty, data.splitDatasetRatio == 0 {
            let remedy = "give --val_dataset FILE or --split_dataset_ratio 0.01"
            if let strategy = saving.evalStrategy, strategy != .no {
                problems.append(
                    "--eval_strategy \(strategy.rawValue): there is no data to evaluate on; \(remedy)")
            }
            if saving.earlyStopInterval != nil {
                problems.append("--early_stop_interval: there is no data to evaluate on; \(remedy)")
            }
        } else if saving.earlyStopInterval != nil, parameters.evalStrategy == .no {
            problems.append("--early_stop_interval: nothing is evaluated; write --eval_strategy steps")
        }
        return problems
    }

    /// What was given and has no effect.
    private func notices(_ parameters: TrainingParameters, _ preferences: PreferenceOptions?) -> [String] {
        var notices: [String] = []
        func add(_ name: String, _ reason: String) { notices.append("--\(name) has no effect: \(reason)") }
        if parameters.tunerType == .full {
            for name in tuner.givenForAdapter { add(name, "--tuner_type full trains no adapter") }
        } else {
            for name in tuner.givenForFull { add(name, "it is for --tuner_type full") }
        }
        for (name, owners) in preferences?.withoutEffect(for: parameters.rlhfType) ?? [] {
            add(name, "it is for \(owners), not for \(parameters.rlhfType.rawValue)")
        }
        if parameters.packingLength != nil, !parameters.packing {
            add("packing_length", "--packing is not on")
        }
        if parameters.packing, parameters.groupByLength {
            add("group_by_length", "packs are of one length already")
        }
        if parameters.minLR > 0, parameters.lrSchedulerType != .cosineWithMinLR {
            add("min_lr", "it is for --lr_scheduler_type cosine_with_min_lr")
        }
        if parameters.momentum > 0, parameters.optimizer != .sgd { add("momentum", "it is for --optim sgd") }
        if parameters.warmupSteps > 0, parameters.warmupRatio > 0 {
            add("warmup_ratio", "--warmup_steps counts over it")
        }
        if parameters.lrSchedulerType == .constant, parameters.warmupSteps > 0 || parameters.warmupRatio > 0 {
            let name = parameters.warmupSteps > 0 ? "warmup_steps" : "warmup_ratio"
            add(name, "write --lr_scheduler_type constant_with_warmup")
        }
        if !parameters.valDataset.isEmpty, parameters.splitDatasetRatio > 0 {
            add("split_dataset_ratio", "--val_dataset counts over it")
        }
        if parameters.resumeFromCheckpoint == nil, parameters.checkpointDir == nil {
            if parameters.resumeOnlyModel { add("resume_only_model", "nothing is resumed") }
            if parameters.ignoreDataSkip { add("ignore_data_skip", "nothing is resumed") }
        }
        return notices + TrainingChecks.warnings(of: parameters)
    }
}

extension TrainingParameters {
    /// Whether there is data to evaluate on.
    var evaluates: Bool { !valDataset.isEmpty || splitDatasetRatio > 0 }
}

/// The model that an adapter was made for.
enum AdapterOrigin {
    /// - Throws: `CommandError` with status 2 where the adapter names no directory that is here.
    static func directory(of adapter: String) throws -> String {
        let base: String?
        do {
            base = try AdapterConfiguration(directory: adapter).baseModelNameOrPath
        } catch {
            throw CommandError("--adapters: \(error)", status: 2)
        }
        guard let base, SmallFile.exists("\(base)/\(ModelConfiguration.fileName)") else {
            let name = base.map { "its model \"\($0)\" is not a directory here" } ?? "it names no model"
            throw CommandError("--adapters \(adapter): \(name); give --model DIR", status: 2)
        }
        return base
    }
}
