// What can be wrong with the parameters of a training run before anything is opened: numbers out of range,
// parameters that exclude each other, and the traps that people fall into.

import Training

/// The checks, each a function of the parameters alone.
struct TrainingChecks {
    private let parameters: TrainingParameters
    private var problems: [String] = []

    private init(_ parameters: TrainingParameters) { self.parameters = parameters }

    /// All that is wrong, each naming its parameter and what to do.
    static func problems(of parameters: TrainingParameters) -> [String] {
        var checks = TrainingChecks(parameters)
        checks.checkModel()
        checks.checkTuner()
        checks.checkData()
        checks.checkPacking()
        checks.checkSteps()
        checks.checkOptimizer()
        if parameters.stage == .rlhf { checks.checkPreferences() }
        checks.checkSaving()
        return checks.problems
    }

    /// What runs, but rarely as it was meant.
    static func warnings(of parameters: TrainingParameters) -> [String] {
        var warnings: [String] = []
        let comparesModels = [.dpo, .kto].contains(parameters.rlhfType)
        if parameters.stage == .rlhf, comparesModels, !parameters.adapters.isEmpty,
            parameters.refAdapters.isEmpty, parameters.refModel == nil
        {
            warnings.append(
                "the model to compare with is the one without its adapter; "
                    + "to compare with what was fine-tuned, "
                    + "write --ref_adapters \(parameters.adapters[0])")
        }
        if parameters.saveOnlyModel, parameters.checkpointDir != nil {
            warnings.append(
                "--save_only_model: a retry goes on from the saved weights, but with a new optimizer")
        }
        return warnings
    }

    // MARK: Ranges

    private mutating func require(_ condition: Bool, _ problem: String) {
        if !condition { problems.append(problem) }
    }

    private mutating func require<Value: Comparable>(
        _ name: String, _ value: Value?, in range: ClosedRange<Value>
    ) {
        guard let value, !range.contains(value) else { return }
        problems.append(
            "--\(name) must be from \(Self.text(range.lowerBound)) to \(Self.text(range.upperBound)), not "
                + Self.text(value))
    }

    /// A number from 0 on that is less than 1.
    private mutating func requireShare(_ name: String, _ value: Double) {
        require(
            (0..<1).contains(value), "--\(name) must be at least 0 and less than 1, not \(Self.text(value))")
    }

    /// Whole numbers without the fraction that Swift writes.
    private static func text(_ value: some Any) -> String {
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    // MARK: Model and tuner

    private mutating func checkModel() {
        switch (parameters.model, parameters.initConfig) {
        case (nil, nil):
            let other = parameters.stage == .pretrain ? ", or --init_config FILE for a new one" : ""
            problems.append("--model is missing; give the directory of the model to train\(other)")
        case (.some, .some):
            problems.append("--model and --init_config exclude each other; leave one out")
        case (nil, .some): checkInitialization()
        case (.some, nil): break
        }
        if parameters.resumeFromCheckpoint != nil, !parameters.adapters.isEmpty {
            problems.append(
                "--resume_from_checkpoint and --adapters exclude each other, "
                    + "as the checkpoint has the adapter; "
                    + "leave --adapters out"
                    + (parameters.stage == .rlhf ? " and keep --ref_adapters" : ""))
        }
    }

    /// A model that begins with random weights.
    private mutating func checkInitialization() {
        require(
            parameters.stage == .pretrain,
            "--init_config is for pretrain: a model of random weights has nothing to tune; give --model DIR")
        require(
            parameters.tokenizer != nil,
            "--init_config needs --tokenizer DIR; martlet tokenizer makes one from texts")
        require(
            parameters.tunerType == .full && parameters.adapters.isEmpty,
            "--init_config with --tuner_type lora: random weights must all be trained; "
                + "write --tuner_type full"
        )
    }

    private mutating func checkTuner() {
        require("lora_rank", parameters.loraRank, in: 1...65_536)
        require("lora_alpha", parameters.loraAlpha, in: 1e-6...1e6)
        requireShare("lora_dropout", parameters.loraDropout)
        if parameters.tunerType == .full, parameters.quantization != .none {
            problems.append(
                "--quant_method with --tuner_type full: quantized weights cannot be trained; "
                    + "write --tuner_type lora"
            )
        }
        if parameters.targetRegex != nil, parameters.targetModules != TrainingParameters().targetModules {
            problems.append("--target_regex and --target_modules exclude each other; leave one out")
        }
        if parameters.targetModules.count > 1, parameters.targetModules.contains("all-linear") {
            problems.append("--target_modules: all-linear has the other names in it; leave them out")
        }
    }

    // MARK: Data

    private mutating func checkData() {
        require(
            !parameters.dataset.isEmpty, "--dataset is missing; give a file such as --dataset train.jsonl")
        requireShare("split_dataset_ratio", parameters.splitDatasetRatio)
        require("dataset_num_proc", parameters.datasetNumProc, in: 1...1024)
        require("max_length", parameters.maxLength, in: 2...(1 << 28))
        if parameters.truncationStrategy == .split, parameters.stage != .pretrain {
            problems.append(
                "--truncation_strategy split is for pretrain: "
                    + "half a conversation has lost its question; write "
                    + "delete, left or right")
        }
        if parameters.streaming {
            require(
                parameters.maxSteps > 0,
                "--streaming needs --max_steps, as the number of rows is not known before")
            require(
                !parameters.groupByLength,
                "--streaming and --group_by_length exclude each other: lengths are not known before")
            require(
                !parameters.packing,
                "--streaming and --packing exclude each other, as packs need the lengths of all rows; leave "
                    + "--streaming out: rows lie on disk anyway")
            require(
                parameters.batchOrder == nil,
                "--streaming and --batch_order exclude each other; leave one out")
        }
        if parameters.batchOrder != nil, parameters.groupByLength {
            problems.append("--batch_order and --group_by_length exclude each other; leave one out")
        }
    }

    private mutating func checkPacking() {
        require("packing_length", parameters.packingLength, in: 2...(1 << 28))
        guard parameters.packing else { return }
        require(
            parameters.stage != .rlhf,
            "--packing is for pretrain and sft: the answers of a pair are not joined; leave it out")
        if let pack = parameters.packingLength, let row = parameters.maxLength, pack < row {
            problems.append(
                "--packing_length \(pack) is less than --max_length \(row), "
                    + "so that long rows would fit no pack; "
                    + "write --max_length \(pack)")
        }
    }

    // MARK: Steps

    private mutating func checkSteps() {
        require(
            parameters.numTrainEpochs > 0 && parameters.numTrainEpochs <= 1e6,
            "--num_train_epochs must be more than 0 and at most 1000000, "
                + "not \(Self.text(parameters.numTrainEpochs))"
        )
        require(
            parameters.maxSteps == -1 || parameters.maxSteps > 0,
            "--max_steps must be at least 1, or -1 for epochs, not \(parameters.maxSteps)")
        require("per_device_train_batch_size", parameters.perDeviceTrainBatchSize, in: 1...65_536)
        require("per_device_eval_batch_size", parameters.perDeviceEvalBatchSize, in: 1...65_536)
        require("gradient_accumulation_steps", parameters.gradientAccumulationSteps, in: 1...1_048_576)
        require("learning_rate", parameters.learningRate, in: 0...10)
        require("warmup_ratio", parameters.warmupRatio, in: 0...1)
        require(
            parameters.warmupSteps >= 0, "--warmup_steps must be at least 0, not \(parameters.warmupSteps)")
        require("min_lr", parameters.minLR, in: 0...max(0, parameters.learningRate ?? 0))
        if parameters.maxSteps > 0 {
            require(
                parameters.warmupSteps <= parameters.maxSteps,
                "--warmup_steps \(parameters.warmupSteps) are more than "
                    + "--max_steps \(parameters.maxSteps); lower "
                    + "them")
        }
    }

    private mutating func checkOptimizer() {
        require("weight_decay", parameters.weightDecay, in: 0...1)
        requireShare("adam_beta1", parameters.adamBeta1)
        requireShare("adam_beta2", parameters.adamBeta2)
        require("adam_epsilon", parameters.adamEpsilon, in: 1e-30...1)
        requireShare("momentum", parameters.momentum)
        require("max_grad_norm", parameters.maxGradNorm, in: 0...1e9)
        if let decay = parameters.emaDecay {
            require(
                decay > 0 && decay < 1,
                "--ema_decay must be more than 0 and less than 1, not \(Self.text(decay))")
        }
        require("neftune_noise_alpha", parameters.neftuneNoiseAlpha, in: 0...1000)
        require("threads", parameters.threads, in: 1...1024)
    }

    // MARK: Preferences

    private mutating func checkPreferences() {
        if let beta = parameters.beta {
            require(
                beta > 0 && beta <= 1000,
                "--beta must be more than 0 and at most 1000, not \(Self.text(beta))")
        }
        require(
            parameters.labelSmoothing >= 0 && parameters.labelSmoothing < 0.5,
            "--label_smoothing must be at least 0 and less than 0.5, "
                + "not \(Self.text(parameters.labelSmoothing))"
        )
        require("rpo_alpha", parameters.rpoAlpha, in: 0...1000)
        require("cpo_alpha", parameters.cpoAlpha, in: 0...1000)
        require("simpo_gamma", parameters.simpoGamma, in: 0...1000)
        require("desirable_weight", parameters.desirableWeight, in: 0...1000)
        require("undesirable_weight", parameters.undesirableWeight, in: 0...1000)
        if parameters.labelSmoothing > 0, parameters.rlhfType == .dpo, parameters.lossType != .sigmoid {
            problems.append(
                "--label_smoothing is for --loss_type sigmoid, "
                    + "not for \(parameters.lossType.rawValue); leave it out"
            )
        }
    }

    // MARK: Saving

    private mutating func checkSaving() {
        require("save_steps", parameters.saveSteps, in: 1...(1 << 40))
        require("eval_steps", parameters.evalSteps, in: 1...(1 << 40))
        require("logging_steps", parameters.loggingSteps, in: 1...(1 << 40))
        require("save_total_limit", parameters.saveTotalLimit, in: 1...1_000_000)
        require("early_stop_interval", parameters.earlyStopInterval, in: 1...1_000_000)
    }
}
