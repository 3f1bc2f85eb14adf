// How much a run has to learn, and how many steps that makes: what is known before any weight is read.

/// The rows of a run, counted.
package struct DataSummary: Sendable, Hashable {
    package var rows: Int
    /// Of all rows together.
    package var tokens: Int
    package var longestRowTokens: Int
    /// Micro batches of an epoch: `per_device_train_batch_size` rows, or packs, each.
    package var microBatches: Int
    /// The most tokens that are computed at once.
    package var longestMicroBatchTokens: Int
    package var evaluationRows: Int
    package var longestEvaluationBatchTokens: Int

    package init(
        rows: Int, tokens: Int, longestRowTokens: Int, microBatches: Int, longestMicroBatchTokens: Int,
        evaluationRows: Int = 0, longestEvaluationBatchTokens: Int = 0
    ) {
        self.rows = rows
        self.tokens = tokens
        self.longestRowTokens = longestRowTokens
        self.microBatches = microBatches
        self.longestMicroBatchTokens = longestMicroBatchTokens
        self.evaluationRows = evaluationRows
        self.longestEvaluationBatchTokens = longestEvaluationBatchTokens
    }

    /// What rows of these lengths come to whatever their order, as every epoch has another: the longest micro
    /// batch is that of the longest rows, or of full packs.
    ///
    /// - Parameters:
    ///   - lengths: tokens of each row, as `TrainingRow.length` has it.
    ///   - packLength: tokens of a pack; nil without packing.
    package init(
        lengths: [Int], evaluationLengths: [Int] = [], parameters: TrainingParameters, packLength: Int? = nil
    ) {
        let batch = max(1, parameters.perDeviceTrainBatchSize)
        let total = lengths.reduce(0, +)
        let units = packLength.map { Self.packs(lengths, $0) } ?? lengths.count
        self.init(
            rows: lengths.count, tokens: total, longestRowTokens: lengths.max() ?? 0,
            microBatches: (units + batch - 1) / batch,
            longestMicroBatchTokens: packLength.map { min($0 * batch, max(total, 1)) }
                ?? Self.longest(lengths, batch),
            evaluationRows: evaluationLengths.count,
            longestEvaluationBatchTokens: Self.longest(
                evaluationLengths, max(1, parameters.perDeviceEvalBatchSize)))
    }

    /// Data that is not counted before it is used, as with `streaming`: every row may be as long as one can
    /// be.
    package init(unread parameters: TrainingParameters, maxLength: Int) {
        let evaluates = !parameters.valDataset.isEmpty || parameters.splitDatasetRatio > 0
        // A pair has two rows.
        let isPaired = parameters.stage == .rlhf && parameters.rlhfType != .kto
        let row = isPaired ? 2 * maxLength : maxLength
        self.init(
            rows: 0, tokens: 0, longestRowTokens: row, microBatches: 0,
            longestMicroBatchTokens: row * max(1, parameters.perDeviceTrainBatchSize),
            longestEvaluationBatchTokens: evaluates ? row * max(1, parameters.perDeviceEvalBatchSize) : 0)
    }

    private static func longest(_ lengths: [Int], _ count: Int) -> Int {
        lengths.sorted(by: >).prefix(count).reduce(0, +)
    }

    /// How many packs the rows fill, as a run fills them.
    private static func packs(_ lengths: [Int], _ capacity: Int) -> Int {
        guard lengths.allSatisfy({ (0...capacity).contains($0) }), capacity <= Int(UInt32.max) else {
            return lengths.count
        }
        return Packing.pack(
            [UInt32](0..<UInt32(lengths.count)), lengths: lengths.map { UInt32($0) }, capacity: capacity
        ).count
    }
}

/// The steps of a run.
package struct StepCount: Sendable, Hashable {
    /// Micro batches that make a step.
    package let accumulation: Int
    /// The last step of an epoch may have fewer micro batches than the others.
    package let stepsPerEpoch: Int
    package let steps: Int
    /// How often the data is gone through, which with `max_steps` is not a whole number.
    package let epochs: Double

    /// As `BatchPlan` and transformers' `Trainer` count: an epoch is ceil(micro batches / accumulation)
    /// steps, and the run ceil(epochs * that), unless `max_steps` says how many. Without a micro batch there
    /// are no steps.
    package init(_ parameters: TrainingParameters, microBatches: Int) {
        let batch = max(1, parameters.perDeviceTrainBatchSize)
        accumulation = max(1, parameters.gradientAccumulationSteps ?? (16 + batch - 1) / batch)
        stepsPerEpoch = microBatches / accumulation + (microBatches % accumulation > 0 ? 1 : 0)
        if parameters.maxSteps > 0 {
            steps = parameters.maxSteps
            epochs = stepsPerEpoch > 0 ? Double(parameters.maxSteps) / Double(stepsPerEpoch) : 0
        } else {
            let wanted = (parameters.numTrainEpochs * Double(stepsPerEpoch)).rounded(.up)
            steps = Int(min(max(wanted.isFinite ? wanted : 0, 0), 1e15))
            epochs = parameters.numTrainEpochs
        }
    }
}
