// Which rows make which step: a pure function of the rows' lengths and a seed, so that a run that is resumed
// needs to know nothing but the number of its step.

/// The steps of a run. Each epoch has all rows once, in an order of its own; the last step of an epoch is
/// smaller where the rows do not fill it, as in transformers, and no row is left out.
package struct BatchPlan: Sendable {
    package struct Settings: Sendable, Hashable {
        /// May have a fraction: steps are rounded up.
        package var epochs = 1.0
        /// Steps, whatever `epochs` says; nil for as many as the epochs have.
        package var maxSteps: Int?
        /// Rows of a micro batch; with packing, packs.
        package var microBatchSize = 1
        /// Micro batches of a step.
        package var accumulation = 1
        package var seed: UInt64 = 42
        package var shuffles = true
        /// Puts rows of like length together, as `LengthGroupedSampler` of transformers does.
        package var groupsByLength = false
        /// Tokens of a pack; nil for no packing.
        package var packingLength: Int?

        package init() {}

        /// - Parameter maxLength: the longest row, for where the parameters name no `packing_length`.
        package init(_ parameters: TrainingParameters, maxLength: Int) {
            epochs = parameters.numTrainEpochs
            maxSteps = parameters.maxSteps > 0 ? parameters.maxSteps : nil
            microBatchSize = parameters.perDeviceTrainBatchSize
            let usual = (16 + max(microBatchSize, 1) - 1) / max(microBatchSize, 1)
            accumulation = parameters.gradientAccumulationSteps ?? usual
            seed = parameters.dataSeed
            shuffles = parameters.datasetShuffle
            groupsByLength = parameters.groupByLength
            packingLength = parameters.packing ? parameters.packingLength ?? maxLength : nil
        }
    }

    /// How the steps come about.
    private enum Source {
        case epochs
        /// Rows in their order, again and again; how many there are is not known.
        case stream
        case order(BatchOrder)
    }

    package let settings: Settings
    /// Optimizer steps of the run.
    package let stepCount: Int
    /// Of an epoch; of a fixed order, of all.
    package let stepsPerEpoch: Int
    private let source: Source
    private let rowCount: Int
    private let epochs: EpochOrders

    /// - Parameters:
    ///   - lengths: tokens of each row.
    ///   - order: fixes all steps; of the settings only `maxSteps` counts then.
    /// - Throws: where the settings make no plan, with the parameter.
    package init(
        lengths: [Int], settings: Settings, order: BatchOrder? = nil
    ) throws(TrainingError) {
        try Self.check(settings)
        guard !lengths.isEmpty else {
            throw TrainingError(.badData, "the data set has no rows", remedy: "name one that has")
        }
        self.settings = settings
        rowCount = lengths.count
        epochs = try EpochOrders(lengths: lengths, settings)
        if let order {
            source = .order(order)
            stepCount = try order.stepCount(atMost: settings.maxSteps)
            stepsPerEpoch = order.steps.count
            return
        }
        source = .epochs
        let microBatches = (epochs.unitCount + settings.microBatchSize - 1) / settings.microBatchSize
        stepsPerEpoch = (microBatches + settings.accumulation - 1) / settings.accumulation
        let wanted = (settings.epochs * Double(stepsPerEpoch)).rounded(.up)
        guard let steps = settings.maxSteps ?? Int(exactly: wanted) else {
            throw TrainingError(
                .badParameters, "num_train_epochs: \(settings.epochs) is too many", remedy: "give fewer")
        }
        stepCount = steps
    }

    /// The plan of a stream of rows, which are used in their order.
    /// - Parameter recordCount: rows of the files; only `epoch` depends on it.
    package init(streaming recordCount: Int, settings: Settings) throws(TrainingError) {
        try Self.check(settings)
        guard let steps = settings.maxSteps else {
            throw TrainingError(
                .badParameters, "max_steps: streaming does not know how many rows there are",
                remedy: "give --max_steps N")
        }
        guard settings.packingLength == nil, !settings.groupsByLength else {
            throw TrainingError(
                .badParameters, "streaming: packing and group_by_length need the lengths of all rows",
                remedy: "leave --streaming away: rows lie on disk anyway")
        }
        self.settings = settings
        source = .stream
        rowCount = max(recordCount, 1)
        stepCount = steps
        stepsPerEpoch = max(rowCount / (settings.microBatchSize * settings.accumulation), 1)
        epochs = EpochOrders()
    }

    private static func check(_ settings: Settings) throws(TrainingError) {
        let counts = [
            ("per_device_train_batch_size", settings.microBatchSize),
            ("gradient_accumulation_steps", settings.accumulation),
            ("packing_length", settings.packingLength ?? 1), ("max_steps", settings.maxSteps ?? 1),
        ]
        for (name, value) in counts where value < 1 || value > Int(Int32.max) {
            throw TrainingError(
                .badParameters, "\(name): \(value) is not from 1 to \(Int32.max)",
                remedy: "give another number")
        }
        guard settings.epochs > 0 || settings.maxSteps != nil else {
            throw TrainingError(
                .badParameters, "num_train_epochs: \(settings.epochs) is not above 0",
                remedy: "give a number above 0, or --max_steps N")
        }
    }

    /// The rows of a step's micro batches. With packing, the rows of a micro batch share one sequence.
    /// - Parameter step: from 0; none behind the last.
    package func microBatches(step: Int) -> [[Int]] {
        guard step >= 0, step < stepCount else { return [] }
        let size = settings.microBatchSize
        switch source {
        case .order(let order): return order.steps[step]
        case .stream:
            let first = step * settings.accumulation
            return (first..<first + settings.accumulation).map { batch in
                Array(batch * size..<(batch + 1) * size)
            }
        case .epochs:
            let (epoch, local) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
            let order = epochs.order(epoch)
            let first = local * settings.accumulation * size
            let end = min(first + settings.accumulation * size, epochs.unitCount)
            return stride(from: first, to: end, by: size).map { start in
                order.rows(ofUnits: start..<min(start + size, end))
            }
        }
    }

    /// How far the run is after so many steps, in epochs.
    package func epoch(afterSteps steps: Int) -> Double {
        switch source {
        case .epochs: Double(steps) / Double(stepsPerEpoch)
        case .stream:
            Double(steps * settings.accumulation * settings.microBatchSize) / Double(rowCount)
        case .order(let order): Double(order.rowsUpTo(steps)) / Double(rowCount)
        }
    }
}
