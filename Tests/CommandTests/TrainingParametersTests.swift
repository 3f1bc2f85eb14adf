// From options to parameters: defaults of the stages, every parameter at its place, and the errors of
// validation.

import Testing
import Training

@testable import martlet

@Suite("Parameters of training")
struct TrainingParametersTests {
    private static let needed = ["--model", "models/small", "--dataset", "a.jsonl"]

    // MARK: Defaults

    @Test("Without more words the parameters are the structure's, with what depends on others filled in")
    func defaults() throws {
        var expected = TrainingParameters()
        expected.model = "models/small"
        expected.dataset = ["a.jsonl"]
        expected.learningRate = 1e-4
        expected.gradientAccumulationSteps = 16
        expected.lossScale = .default
        expected.evalSteps = 500
        expected.outputDir = "output/small"
        let (parameters, notices) = try TrainingReading.read(["sft"] + Self.needed)
        #expect(parameters == expected)
        #expect(notices.isEmpty)
    }

    @Test(
        "Defaults that depend on stage, tuner and method",
        arguments: [
            ("pretrain", [], TrainingParameters.TunerType.lora, 1e-4, TrainingParameters.LossScale.all, nil),
            ("pretrain", ["--tuner_type", "full"], .full, 1e-5, .all, nil),
            ("sft", ["--tuner_type", "full"], .full, 1e-5, .default, nil),
            ("sft", ["--learning_rate", "0.5"], .lora, 0.5, .default, nil),
            ("rlhf", [], .lora, 1e-4, .lastRound, 0.1),
            ("rlhf", ["--rlhf_type", "simpo"], .lora, 1e-4, .lastRound, 2),
            ("rlhf", ["--rlhf_type", "kto", "--beta", "0.3"], .lora, 1e-4, .lastRound, 0.3),
            ("dpo", ["--loss_scale", "default"], .lora, 1e-4, .default, 0.1),
        ] as [(String, [String], TrainingParameters.TunerType, Double, TrainingParameters.LossScale, Double?)]
    )
    func settled(
        command: String, words: [String], tuner: TrainingParameters.TunerType, rate: Double,
        scale: TrainingParameters.LossScale, beta: Double?
    ) throws {
        let parameters = try TrainingReading.read([command] + Self.needed + words).parameters
        #expect(parameters.tunerType == tuner)
        #expect(parameters.learningRate == rate)
        #expect(parameters.lossScale == scale)
        #expect(parameters.beta == beta)
    }

    @Test("A new model is trained whole")
    func initialization() throws {
        let words = ["pretrain", "--init_config", "tiny/config.json", "--tokenizer", "t", "--dataset", "a"]
        let parameters = try TrainingReading.read(words).parameters
        #expect(parameters.tunerType == .full && parameters.learningRate == 1e-5)
        #expect(parameters.outputDir == "output/tiny")
    }

    @Test(
        "Output goes below the model's name unless it is told where",
        arguments: [
            ("a/b", "output/b"), ("a/b/", "output/b"), ("b", "output/b"), ("./", "output/model"),
            ("/x/config.json", "output/x"), ("..", "output/model"),
        ])
    func outputDirectory(model: String, output: String) throws {
        let words = ["sft", "--dataset", "a", "--model", model]
        #expect(try TrainingReading.read(words).parameters.outputDir == output)
        #expect(try TrainingReading.read(words + ["--output_dir", "o"]).parameters.outputDir == "o")
    }

    @Test("Accumulation makes sixteen rows a step", arguments: [(1, 16), (3, 6), (16, 1), (40, 1)])
    func accumulation(batch: Int, steps: Int) throws {
        let words = ["sft"] + Self.needed + ["--per_device_train_batch_size", "\(batch)"]
        #expect(try TrainingReading.read(words).parameters.gradientAccumulationSteps == steps)
    }

    @Test("Where a step keeps its checkpoints, they are kept and gone on from")
    func checkpoints() throws {
        let words = ["sft"] + Self.needed
        let name = "MARTLET_CHECKPOINT_DIR"
        #expect(try TrainingReading.read(words, environment: [name: "/c"]).parameters.checkpointDir == "/c")
        #expect(try TrainingReading.read(words, environment: [name: ""]).parameters.checkpointDir == nil)
        #expect(try TrainingReading.read(words).parameters.checkpointDir == nil)
    }

    // MARK: Every parameter

    /// Words, and what they change beside the defaults.
    private struct Change {
        var words: [String]
        var apply: (inout TrainingParameters) -> Void

        init(_ words: String..., apply: @escaping (inout TrainingParameters) -> Void) {
            self.words = words
            self.apply = apply
        }
    }

    /// All changes together are what the words mean, and each of them is one.
    private func expectEqual(_ changes: [Change], command: String, more: [String] = []) throws {
        let words = [command] + Self.needed + more
        var expected = try TrainingReading.read(words).parameters
        for change in changes {
            let before = expected
            change.apply(&expected)
            #expect(expected != before, "\(change.words) changes something")
        }
        #expect(try TrainingReading.read(words + changes.flatMap(\.words)).parameters == expected)
    }

    @Test("Parameters of model and tuner reach their places")
    func tunerParameters() throws {
        try expectEqual(
            [
                Change("--tokenizer", "t") { $0.tokenizer = "t" },
                Change("--torch_dtype", "bf16") { $0.torchDtype = "bfloat16" },
                Change("--adapters", "x", "y") { $0.adapters = ["x", "y"] },
                Change("--lora_rank", "16") { $0.loraRank = 16 },
                Change("--lora_alpha", "64") { $0.loraAlpha = 64 },
                Change("--lora_dropout", "0") { $0.loraDropout = 0 },
                Change("--target_modules", "q_proj", "v_proj") { $0.targetModules = ["q_proj", "v_proj"] },
                Change("--modules_to_save", "embed_tokens") { $0.modulesToSave = ["embed_tokens"] },
                Change("--use_dora", "true") { $0.useDora = true },
                Change("--use_rslora") { $0.useRslora = true },
                Change("--quant_method", "bnb", "--quant_bits", "8") { $0.quantization = .int8 },
                Change("--double_quantization", "false") { $0.doubleQuantization = false },
            ], command: "sft")
        try expectEqual(
            [Change("--quant_method", "bnb", "--quant_bits", "4") { $0.quantization = .nf4 }],
            command: "sft")
        try expectEqual([Change("--target_regex", ".*q") { $0.targetRegex = ".*q" }], command: "sft")
        try expectEqual(
            [
                Change("--freeze_parameters", "a", "b") { $0.freezeParameters = ["a", "b"] },
                Change("--trainable_parameters", "c") { $0.trainableParameters = ["c"] },
            ], command: "sft", more: ["--tuner_type", "full"])
    }

    @Test("Parameters of the data reach their places")
    func dataParameters() throws {
        try expectEqual(
            [
                Change("--val_dataset", "v", "w") {
                    ($0.valDataset, $0.evalStrategy) = (["v", "w"], .steps)
                },
                Change("--dataset_shuffle", "false") { $0.datasetShuffle = false },
                Change("--columns", #"{"a": "query"}"#) { $0.columns = ["a": "query"] },
                Change("--strict", "true") { $0.strict = true },
                Change("--load_from_cache_file") { $0.loadFromCacheFile = true },
                Change("--dataset_num_proc", "2") { $0.datasetNumProc = 2 },
                Change("--system", "Be brief.") { $0.system = "Be brief." },
                Change("--max_length", "128") { $0.maxLength = 128 },
                Change("--truncation_strategy", "left") { $0.truncationStrategy = .left },
                Change("--packing") { $0.packing = true },
                Change("--packing_length", "256") { $0.packingLength = 256 },
                Change("--group_by_length", "yes") { $0.groupByLength = true },
                Change("--loss_scale", "last_round") { $0.lossScale = .lastRound },
                Change("--seed", "18446744073709551615") { $0.seed = .max },
                Change("--data_seed", "7") { $0.dataSeed = 7 },
            ], command: "sft")
        try expectEqual([Change("--batch_order", "o.json") { $0.batchOrder = "o.json" }], command: "sft")
        try expectEqual(
            [
                Change("--split_dataset_ratio", "0.1") {
                    ($0.splitDatasetRatio, $0.evalStrategy) = (0.1, .steps)
                }
            ],
            command: "sft")
        try expectEqual(
            [Change("--streaming") { $0.streaming = true }], command: "sft", more: ["--max_steps", "5"])
    }

    @Test("Parameters of the steps reach their places")
    func stepParameters() throws {
        try expectEqual(
            [
                Change("--num_train_epochs", "0.5") { $0.numTrainEpochs = 0.5 },
                Change("--max_steps", "10") { $0.maxSteps = 10 },
                Change("--per_device_eval_batch_size", "4") { $0.perDeviceEvalBatchSize = 4 },
                Change("--gradient_accumulation_steps", "2") { $0.gradientAccumulationSteps = 2 },
                Change("--learning_rate", "3e-4") { $0.learningRate = 3e-4 },
                Change("--lr_scheduler_type", "cosine_with_min_lr") { $0.lrSchedulerType = .cosineWithMinLR },
                Change("--warmup_ratio", "0.1") { $0.warmupRatio = 0.1 },
                Change("--warmup_steps", "3") { $0.warmupSteps = 3 },
                Change("--min_lr", "1e-6") { $0.minLR = 1e-6 },
                Change("--optim", "sgd") { $0.optimizer = .sgd },
                Change("--weight_decay", "0") { $0.weightDecay = 0 },
                Change("--adam_beta1", "0.8") { $0.adamBeta1 = 0.8 },
                Change("--adam_beta2", "0.999") { $0.adamBeta2 = 0.999 },
                Change("--adam_epsilon", "1e-6") { $0.adamEpsilon = 1e-6 },
                Change("--momentum", "0.9") { $0.momentum = 0.9 },
                Change("--max_grad_norm", "0") { $0.maxGradNorm = 0 },
                Change("--ema_decay", "0.999") { $0.emaDecay = 0.999 },
                Change("--gradient_checkpointing", "false") { $0.gradientCheckpointing = false },
                Change("--loss_reduction", "micro_mean") { $0.lossReduction = .microMean },
                Change("--neftune_noise_alpha", "5") { $0.neftuneNoiseAlpha = 5 },
            ], command: "sft", more: ["--per_device_train_batch_size", "2"])
    }

    @Test("Parameters of preferences reach their places")
    func preferenceParameters() throws {
        try expectEqual(
            [
                Change("--rlhf_type", "cpo") { $0.rlhfType = .cpo },
                Change("--loss_type", "hinge") { $0.lossType = .hinge },
                Change("--beta", "0.5") { $0.beta = 0.5 },
                Change("--label_smoothing", "0.1") { $0.labelSmoothing = 0.1 },
                Change("--rpo_alpha", "1") { $0.rpoAlpha = 1 },
                Change("--cpo_alpha", "0.5") { $0.cpoAlpha = 0.5 },
                Change("--simpo_gamma", "0.5") { $0.simpoGamma = 0.5 },
                Change("--desirable_weight", "2") { $0.desirableWeight = 2 },
                Change("--undesirable_weight", "3") { $0.undesirableWeight = 3 },
                Change("--ref_model", "r") { $0.refModel = "r" },
                Change("--ref_adapters", "x") { $0.refAdapters = ["x"] },
                Change("--precompute_ref_log_probs", "false") { $0.precomputeRefLogProbs = false },
            ], command: "rlhf")
    }

    @Test("Parameters of saving and of the machine reach their places")
    func savingParameters() throws {
        try expectEqual(
            [
                Change("--output_dir", "o") { $0.outputDir = "o" },
                Change("--eval_strategy", "epoch") { $0.evalStrategy = .epoch },
                Change("--eval_steps", "20") { $0.evalSteps = 20 },
                Change("--save_strategy", "epoch") { $0.saveStrategy = .epoch },
                Change("--save_total_limit", "2") { $0.saveTotalLimit = 2 },
                Change("--save_only_model", "true") { $0.saveOnlyModel = true },
                Change("--create_checkpoint_symlink") { $0.createCheckpointSymlink = true },
                Change("--metric_for_best_model", "eval_token_acc") { $0.metricForBestModel = "token_acc" },
                Change("--greater_is_better", "true") { $0.greaterIsBetter = true },
                Change("--early_stop_interval", "3") { $0.earlyStopInterval = 3 },
                Change("--logging_steps", "1") { $0.loggingSteps = 1 },
                Change("--logging_first_step", "false") { $0.loggingFirstStep = false },
                Change("--report_to", "none") { $0.reportTo = [] },
                Change("--log_json", "l.jsonl") { $0.logJSON = "l.jsonl" },
                Change("--resume_from_checkpoint", "o/checkpoint-5") {
                    $0.resumeFromCheckpoint = "o/checkpoint-5"
                },
                Change("--resume_only_model") { $0.resumeOnlyModel = true },
                Change("--ignore_data_skip") { $0.ignoreDataSkip = true },
                Change("--threads", "2") { $0.threads = 2 },
                Change("--dry_run") { $0.dryRun = true },
                Change("--force") { $0.force = true },
            ], command: "sft", more: ["--val_dataset", "v"])
        // Without a number of its own, an evaluation goes with the saving.
        try expectEqual(
            [Change("--save_steps", "50") { ($0.saveSteps, $0.evalSteps) = (50, 50) }], command: "sft")
        #expect(
            try TrainingReading.read(["sft"] + Self.needed + ["--resume_from_checkpoint", "false"]).parameters
                .resumeFromCheckpoint == nil)
    }
}
