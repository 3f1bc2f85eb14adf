// What a training run is asked for: the parameters of `pretrain`, `sft` and `rlhf` with ms-swift's names and defaults.

/// The parameters of one run. A property's name is the parameter's in camel case: `lora_rank` is `loraRank`.
package struct TrainingParameters: Sendable, Hashable {
    package enum Stage: String, Sendable, Hashable, CaseIterable {
        case pretrain, sft, rlhf
    }

    package enum TunerType: String, Sendable, Hashable, CaseIterable {
        case full, lora
    }

    /// `rlhf_type`.
    package enum PreferenceMethod: String, Sendable, Hashable, CaseIterable {
        case dpo, orpo, simpo, cpo, kto
    }

    /// `loss_type` of dpo.
    package enum PreferenceLossType: String, Sendable, Hashable, CaseIterable {
        case sigmoid, hinge, ipo
    }

    package enum TruncationStrategy: String, Sendable, Hashable, CaseIterable {
        case delete, left, right, split
    }

    /// `loss_scale`: which assistant messages are learned.
    package enum LossScale: String, Sendable, Hashable, CaseIterable {
        /// All assistant messages.
        case `default`
        /// The last one only.
        case lastRound = "last_round"
        /// Every token.
        case all
    }

    package enum OptimizerType: String, Sendable, Hashable, CaseIterable {
        case adamw = "adamw_torch"
        case adamw8bit = "adamw_8bit"
        case sgd, lion
    }

    package enum SchedulerType: String, Sendable, Hashable, CaseIterable {
        case cosine, linear, constant
        case constantWithWarmup = "constant_with_warmup"
        case cosineWithMinLR = "cosine_with_min_lr"
    }

    /// `quant_method` with `quant_bits`: how a frozen base is kept.
    package enum Quantization: String, Sendable, Hashable, CaseIterable {
        case none, nf4, int8
    }

    package enum Interval: String, Sendable, Hashable, CaseIterable {
        case no, steps, epoch
    }

    /// How losses of an accumulated batch are averaged.
    package enum LossReduction: String, Sendable, Hashable, CaseIterable {
        /// Over all trained tokens of the step, as transformers does today.
        case token
        /// The mean of the micro batches' means, as it did before 4.46.
        case microMean = "micro_mean"
    }

    // MARK: Model and tuner

    package var stage: Stage = .sft
    /// A directory, absent with `initConfig`.
    package var model: String?
    /// `init_config`: a config.json to draw weights for (pretrain).
    package var initConfig: String?
    /// `tokenizer`: a directory, where the model's has none (with `init_config`).
    package var tokenizer: String?
    /// `torch_dtype`: "float32" or "bfloat16"; nil: the model's.
    package var torchDtype: String?
    package var tunerType: TunerType = .lora
    /// Adapters to go on from; the first is trained, its configuration counting over the lora_ parameters.
    package var adapters: [String] = []
    package var refModel: String?
    package var refAdapters: [String] = []
    package var loraRank = 8
    package var loraAlpha = 32.0
    package var loraDropout = 0.05
    /// `all-linear`, names, or one regular expression (`target_regex`).
    package var targetModules: [String] = ["all-linear"]
    package var targetRegex: String?
    package var modulesToSave: [String] = []
    package var useDora = false
    package var useRslora = false
    package var quantization: Quantization = .none
    package var doubleQuantization = true
    /// `freeze_parameters` and `trainable_parameters`: beginnings of names (full).
    package var freezeParameters: [String] = []
    package var trainableParameters: [String] = []

    // MARK: Data

    /// `path`, `path#n`, folders.
    package var dataset: [String] = []
    package var valDataset: [String] = []
    package var splitDatasetRatio = 0.0
    package var datasetShuffle = true
    package var columns: [String: String] = [:]
    package var strict = false
    package var streaming = false
    package var loadFromCacheFile = false
    package var datasetNumProc = 1
    package var system: String?
    /// nil: the model's `max_position_embeddings`.
    package var maxLength: Int?
    package var truncationStrategy: TruncationStrategy = .delete
    package var packing = false
    /// nil: `maxLength`.
    package var packingLength: Int?
    package var groupByLength = false
    /// nil: `default`, last_round for rlhf, all for pretrain.
    package var lossScale: LossScale?
    /// `batch_order`: a file that fixes which rows make which step.
    package var batchOrder: String?
    package var seed: UInt64 = 42
    package var dataSeed: UInt64 = 42

    // MARK: Steps

    package var numTrainEpochs = 3.0
    package var maxSteps = -1
    package var perDeviceTrainBatchSize = 1
    package var perDeviceEvalBatchSize = 1
    /// nil: as many as make 16 rows a step.
    package var gradientAccumulationSteps: Int?
    /// nil: 1e-5 for full, 1e-4 for LoRA.
    package var learningRate: Double?
    package var lrSchedulerType: SchedulerType = .cosine
    package var warmupRatio = 0.0
    package var warmupSteps = 0
    package var minLR = 0.0
    package var optimizer: OptimizerType = .adamw
    package var weightDecay = 0.1
    package var adamBeta1 = 0.9
    package var adamBeta2 = 0.95
    package var adamEpsilon = 1e-8
    package var momentum = 0.0
    package var maxGradNorm = 1.0
    package var emaDecay: Double?
    package var gradientCheckpointing = true
    package var lossReduction: LossReduction = .token
    package var neftuneNoiseAlpha = 0.0

    // MARK: Preferences

    package var rlhfType: PreferenceMethod = .dpo
    package var lossType: PreferenceLossType = .sigmoid
    /// nil: 0.1, simpo 2.
    package var beta: Double?
    package var labelSmoothing = 0.0
    /// `rpo_alpha`: the weight of the chosen answers' loss beside dpo's.
    package var rpoAlpha: Double?
    /// `cpo_alpha`.
    package var cpoAlpha = 1.0
    package var simpoGamma = 1.0
    package var desirableWeight = 1.0
    package var undesirableWeight = 1.0
    package var precomputeRefLogProbs = true

    // MARK: Evaluation, saving, logging

    package var outputDir: String?
    package var evalStrategy: Interval?
    package var evalSteps: Int?
    package var saveStrategy: Interval = .steps
    package var saveSteps = 500
    package var saveTotalLimit: Int?
    package var saveOnlyModel = false
    package var createCheckpointSymlink = false
    package var metricForBestModel = "loss"
    package var greaterIsBetter: Bool?
    package var earlyStopInterval: Int?
    package var loggingSteps = 5
    package var loggingFirstStep = true
    package var reportTo: [String] = ["tensorboard"]
    package var logJSON: String?
    package var resumeFromCheckpoint: String?
    /// `$MARTLET_CHECKPOINT_DIR`: checkpoints are kept here in place of `outputDir`, and the latest complete one is
    /// gone on from unless `resumeFromCheckpoint` names another.
    package var checkpointDir: String?
    package var resumeOnlyModel = false
    package var ignoreDataSkip = false

    // MARK: Machine

    package var threads: Int?
    package var dryRun = false
    /// Trains although the estimate says that memory will not do.
    package var force = false

    package init() {}
}
