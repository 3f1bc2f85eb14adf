// A run of `pretrain`, `sft` or `rlhf` from its parameters to its last checkpoint.

package import Models
import Tensors

/// One run. `run` reads from top to bottom what happens: data, models, steps, evaluations, checkpoints.
package struct TrainingRun {
    let parameters: TrainingParameters
    let environment: RunEnvironment

    package init(_ parameters: TrainingParameters, environment: RunEnvironment) {
        self.parameters = parameters
        self.environment = environment
    }

    /// The configuration of the model, or of the one that is drawn.
    package static func configuration(_ parameters: TrainingParameters) throws -> ModelConfiguration {
        try RunModels.configuration(parameters)
    }

    /// Reads and counts the data, which is all that a dry run does.
    package static func dataSummary(_ parameters: TrainingParameters) throws -> DataSummary {
        let configuration = try RunModels.configuration(parameters)
        let companions = [parameters.tokenizer, parameters.model].compactMap(\.self)
        let (train, validation) = try RunSetup.openData(parameters, configuration, companions)
        return try RunSetup.summarize(parameters, configuration, train, validation)
    }

    /// Trains until the last step, an early stop, or a wish to stop.
    /// - Throws: `TrainingError`, with the exit status that tells a retry what to do; also errors of files.
    package func run(stop: StopRequest) throws -> RunSummary {
        do {
            let setup = try RunSetup(parameters, environment)
            for note in setup.models.plan.notes { environment.say("notice: \(note)") }
            try setup.writer.writeArguments()
            var loop = try TrainingLoop(setup, stop: stop)
            return try loop.run()
        } catch let error as OutOfMemory {
            throw TrainingError(
                .outOfMemory, "\(error.description.prefix { $0 != ";" })",
                remedy:
                    "use a smaller per_device_train_batch_size or max_length, --gradient_checkpointing true, "
                    + "--tuner_type lora, --optim adamw_8bit, or --quant_method bnb --quant_bits 4")
        }
    }
}

/// Everything that a run has before its first step.
struct RunSetup {
    let parameters: TrainingParameters
    let environment: RunEnvironment
    let backend: CPUBackend
    let models: RunModels
    let train: TrainingDataset
    let validation: TrainingDataset?
    let batches: BatchPlan
    let schedule: LearningRateSchedule
    let objective: any Objective
    let optimizer: Optimizer
    let store: CheckpointStore?
    let writer: RunWriter
    /// What the run goes on from.
    let resumed: (state: TrainerState, checkpoint: Checkpoint)?
    let threads: Int

    init(_ parameters: TrainingParameters, _ environment: RunEnvironment) throws {
        self.parameters = parameters
        self.environment = environment
        let configuration = try RunModels.configuration(parameters)
        let pool = try ThreadPool(threads: parameters.threads)
        threads = pool.threadCount
        let companions = [parameters.tokenizer, parameters.model].compactMap(\.self)
        (train, validation) = try Self.openData(parameters, configuration, companions)
        let summary = try Self.summarize(parameters, configuration, train, validation)
        try environment.admit(summary)
        // A stream is not known before it is read, and asking would read all of it.
        if !parameters.streaming {
            for reason in train.statistics.reasons { environment.say("skipped: \(reason)") }
        }
        let backend = try CPUBackend(pool: pool)
        self.backend = backend
        store = try Self.openStore(parameters, environment)
        let checkpoint = try Self.checkpoint(parameters, environment, store)
        let loss = parameters.stage == .rlhf ? try PreferenceLoss(parameters) : nil
        let models = try RunModels(
            parameters, configuration: configuration, checkpoint: checkpoint?.path,
            needsReference: loss?.needsReference ?? false, backend: backend)
        self.models = models
        objective = Self.objective(parameters, loss, models)
        optimizer = try Optimizer(
            Optimizer.Settings(parameters), parameters: models.model.trained,
            decays: ParameterGroups.decays, backend: backend)
        writer = RunWriter(
            parameters: parameters, configuration: configuration, plan: models.plan, model: models.model,
            optimizer: optimizer, companions: companions)
        batches = try Self.plan(parameters, train, configuration)
        schedule = LearningRateSchedule(parameters, totalSteps: batches.stepCount)
        resumed = try checkpoint.map { checkpoint in
            let state = try CheckpointStore.loadState(of: checkpoint)
            return (state, checkpoint)
        }
        if let resumed, !parameters.resumeOnlyModel {
            try requireSameData(resumed.state)
            try writer.restore(from: resumed.checkpoint.path, stepCount: resumed.state.globalStep)
        }
    }

    private func requireSameData(_ state: TrainerState) throws {
        guard state.datasetFingerprint == train.fingerprint || parameters.ignoreDataSkip else {
            throw TrainingError(
                .badParameters,
                "the data set or its settings are not those that the checkpoint was made with",
                remedy: "resume with the same data, or add --ignore_data_skip true to go on with these")
        }
        if state.threads != threads {
            environment.say(
                "notice: the checkpoint was made with \(state.threads) threads, this run has \(threads); "
                    + "results do not depend on it")
        }
    }

    // MARK: Data

    /// Waits until the rows are tokenized, and counts them.
    static func summarize(
        _ parameters: TrainingParameters, _ configuration: ModelConfiguration, _ train: TrainingDataset,
        _ validation: TrainingDataset?
    ) throws -> DataSummary {
        let longest = parameters.maxLength ?? configuration.maxPositionEmbeddings
        // Held-out rows are no stream: bad ones are found before anything is trained.
        try validation?.wait()
        guard !parameters.streaming else { return DataSummary(unread: parameters, maxLength: longest) }
        try train.wait()
        return DataSummary(
            lengths: train.lengths, evaluationLengths: validation?.lengths ?? [], parameters: parameters,
            packLength: parameters.packing ? parameters.packingLength ?? longest : nil)
    }

    static func openData(
        _ parameters: TrainingParameters, _ configuration: ModelConfiguration, _ companions: [String]
    ) throws -> (train: TrainingDataset, validation: TrainingDataset?) {
        let home = companions.first { SmallFile.exists("\($0)/tokenizer.json") }
        let tokenizer = try home.map(Tokenizer.init(directory:))
        let template = try tokenizer?.chatTemplates["default"].map { try ChatTemplate($0) }
        let request = DatasetRequest(
            parameters, maxLength: configuration.maxPositionEmbeddings,
            vocabularySize: configuration.vocabSize)
        return try TrainingDataset.open(request, tokenizer: tokenizer, chatTemplate: template)
    }

    static func plan(
        _ parameters: TrainingParameters, _ train: TrainingDataset, _ configuration: ModelConfiguration
    ) throws -> BatchPlan {
        let longest = parameters.maxLength ?? configuration.maxPositionEmbeddings
        let settings = BatchPlan.Settings(parameters, maxLength: longest)
        if parameters.streaming { return try BatchPlan(streaming: train.recordCount, settings: settings) }
        let order = try parameters.batchOrder.map {
            try BatchOrder(
                path: $0, microBatchSize: parameters.perDeviceTrainBatchSize, rowCount: train.count)
        }
        return try BatchPlan(lengths: train.lengths, settings: settings, order: order)
    }

    // MARK: Checkpoints

    private static func openStore(
        _ parameters: TrainingParameters, _ environment: RunEnvironment
    ) throws -> CheckpointStore? {
        guard let directory = parameters.checkpointDir ?? parameters.outputDir else { return nil }
        let store = CheckpointStore(
            directory: directory,
            policy: CheckpointStore.Policy(
                totalLimit: parameters.saveTotalLimit, makesLinks: parameters.createCheckpointSymlink,
                greaterIsBetter: parameters.wantsGreaterMetric),
            warn: { environment.say("warning: \($0)") })
        try store.prepare()
        return store
    }

    private static func checkpoint(
        _ parameters: TrainingParameters, _ environment: RunEnvironment, _ store: CheckpointStore?
    ) throws -> Checkpoint? {
        if let wanted = parameters.resumeFromCheckpoint, wanted != "false" {
            guard ["latest", "last", "true"].contains(wanted) else {
                let checkpoint = try CheckpointStore.checkpoint(at: wanted)
                try requireLatest(checkpoint, in: store)
                return checkpoint
            }
            let latest = store?.latestComplete()
            if latest == nil {
                environment.say("notice: there is no checkpoint to go on from, the run begins anew")
            }
            return latest
        }
        guard let latest = store?.latestComplete() else { return nil }
        // The engine gives a node's attempts one directory, so that the next goes on where the last was.
        if parameters.checkpointDir != nil { return latest }
        throw TrainingError(
            .badParameters, "\(latest.path) is there already, from an earlier run",
            remedy: "add --resume_from_checkpoint latest to go on with it, or give another --output_dir")
    }

    /// Going on from an earlier checkpoint makes a branch: among those of the first one, nobody could tell which is later.
    private static func requireLatest(_ checkpoint: Checkpoint, in store: CheckpointStore?) throws {
        guard let store, let latest = store.checkpoints().last, latest.step > checkpoint.step,
            checkpoint.path.hasPrefix(store.directory + "/")
        else { return }
        throw TrainingError(
            .badParameters, "\(latest.path) is later than \(checkpoint.path), which the run is to go on from",
            remedy: "move the later checkpoints away, or give another --output_dir")
    }

    // MARK: Objective

    private static func objective(
        _ parameters: TrainingParameters, _ loss: PreferenceLoss?, _ models: RunModels
    ) -> any Objective {
        guard let loss else { return SupervisedObjective(reduction: parameters.lossReduction) }
        // The rows of a stream have other numbers each time, so nothing would ever be found again.
        let remembers = parameters.precomputeRefLogProbs && !parameters.streaming
        if loss.method == .kto, let reference = models.reference {
            return JudgedObjective(loss: loss, reference: reference, remembers: remembers)
        }
        func policy() -> ReferencePolicy? {
            models.reference.map { ReferencePolicy(model: $0, remembers: remembers) }
        }
        return PairObjective(loss: loss, reference: policy(), evaluationReference: policy())
    }
}

extension TrainingParameters {
    /// Whether a greater value of `metric_for_best_model` is the better one; as in transformers, a loss is not.
    var wantsGreaterMetric: Bool { greaterIsBetter ?? !metricForBestModel.hasSuffix("loss") }
}
