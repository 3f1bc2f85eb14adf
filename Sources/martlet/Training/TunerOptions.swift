// The parameters of a training run that say what is trained: the model, and the tuner that changes it.

import ArgumentParser
import Training

extension TrainingParameters.TunerType: ExpressibleByArgument {}

/// `quant_method`: who quantizes a frozen base while it is loaded.
enum LoadQuantizationMethod: String, ExpressibleByArgument, CaseIterable {
    case bnb
}

/// `--model` and its kin.
struct TrainingModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Directory of the model to train.", valueName: "DIR"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "pretrain: a config.json to draw weights for from --seed, in place of a model.", valueName: "FILE"
        ))
    var initConfig: String?

    @Option(
        help: ArgumentHelp("Directory of the tokenizer, where the model's has none.", valueName: "DIR"))
    var tokenizer: String?

    @Option(
        help: ArgumentHelp(
            "Type of the arithmetic: float32 or bfloat16; the model's unless given.", valueName: "TYPE"))
    var torchDtype: String?

    @Option(
        help: ArgumentHelp(
            "Adapters to go on from; the first is trained, and its settings count over the lora_ parameters.",
            valueName: "DIR"))
    var adapters: [String] = []

    @Option(help: ArgumentHelp("Quantize the frozen base of a LoRA: bnb.", valueName: "METHOD"))
    var quantMethod: LoadQuantizationMethod?

    @Option(help: ArgumentHelp("Bits of the quantized base: 4 (NF4) or 8.", valueName: "4|8"))
    var quantBits: Int?

    @Option(
        help: ArgumentHelp(
            "With 4 bits: quantize the scales, too (also bnb_4bit_use_double_quant).",
            valueName: "true|false"))
    var doubleQuantization = TrainingParameters().doubleQuantization

    func fill(_ parameters: inout TrainingParameters) {
        parameters.model = model
        parameters.initConfig = initConfig
        parameters.tokenizer = tokenizer
        parameters.torchDtype = torchDtype
        parameters.adapters = adapters
        if quantMethod != nil { parameters.quantization = quantBits == 8 ? .int8 : .nf4 }
        parameters.doubleQuantization = doubleQuantization
    }
}

/// `--tuner_type` and its kin.
struct TunerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "lora, or full for all weights (also train_type); with init_config full, else lora.",
            valueName: "lora|full"))
    var tunerType: TrainingParameters.TunerType?

    @Option(help: ArgumentHelp("Rank of the adapter's matrices; 8 unless given.", valueName: "N"))
    var loraRank: Int?

    @Option(help: ArgumentHelp("The adapter counts alpha / rank; 32 unless given.", valueName: "ALPHA"))
    var loraAlpha: Double?

    @Option(
        help: ArgumentHelp("Share of the adapter's inputs left out; 0.05 unless given.", valueName: "P"))
    var loraDropout: Double?

    @Option(
        help: ArgumentHelp(
            "Linear layers that get an adapter: names or ends of names; all-linear unless given.",
            valueName: "NAME"))
    var targetModules: [String] = []

    @Option(
        help: ArgumentHelp(
            "The same as one regular expression for whole names.", valueName: "EXPRESSION"))
    var targetRegex: String?

    @Option(help: ArgumentHelp("Modules trained whole beside the adapter.", valueName: "NAME"))
    var modulesToSave: [String] = []

    @Option(help: ArgumentHelp("Train the magnitudes of the columns, too (DoRA).", valueName: "true|false"))
    var useDora = TrainingParameters().useDora

    @Option(help: ArgumentHelp("Scale by alpha / sqrt(rank).", valueName: "true|false"))
    var useRslora = TrainingParameters().useRslora

    @Option(
        help: ArgumentHelp("full: beginnings of names of tensors that stay as they are.", valueName: "NAME"))
    var freezeParameters: [String] = []

    @Option(
        help: ArgumentHelp("full: beginnings of names of tensors trained nevertheless.", valueName: "NAME"))
    var trainableParameters: [String] = []

    func fill(_ parameters: inout TrainingParameters) {
        if let tunerType {
            parameters.tunerType = tunerType
        } else {
            // Random weights have nothing that an adapter could add to.
            parameters.tunerType = parameters.initConfig == nil ? .lora : .full
        }
        if let loraRank { parameters.loraRank = loraRank }
        if let loraAlpha { parameters.loraAlpha = loraAlpha }
        if let loraDropout { parameters.loraDropout = loraDropout }
        if !targetModules.isEmpty { parameters.targetModules = targetModules }
        parameters.targetRegex = targetRegex
        parameters.modulesToSave = modulesToSave
        parameters.useDora = useDora
        parameters.useRslora = useRslora
        parameters.freezeParameters = freezeParameters
        parameters.trainableParameters = trainableParameters
    }

    /// Parameters of an adapter that were given, by name.
    var givenForAdapter: [String] {
        var names: [String] = []
        if loraRank != nil { names.append("lora_rank") }
        if loraAlpha != nil { names.append("lora_alpha") }
        if loraDropout != nil { names.append("lora_dropout") }
        if !targetModules.isEmpty { names.append("target_modules") }
        if targetRegex != nil { names.append("target_regex") }
        if !modulesToSave.isEmpty { names.append("modules_to_save") }
        if useDora { names.append("use_dora") }
        if useRslora { names.append("use_rslora") }
        return names
    }

    /// Parameters of the training of all weights that were given, by name.
    var givenForFull: [String] {
        (freezeParameters.isEmpty ? [] : ["freeze_parameters"])
            + (trainableParameters.isEmpty ? [] : ["trainable_parameters"])
    }
}
