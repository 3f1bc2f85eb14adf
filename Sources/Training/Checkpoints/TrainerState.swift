// `trainer_state.json`: where a run stands, with the keys of transformers and an object of our own for exact
// resume.

import Tensors
package import Text

/// The state of a run beside weights, optimizer and data position.
package struct TrainerState: Sendable, Hashable {
    package static let fileName = "trainer_state.json"

    // MARK: What transformers has too

    /// Updates done.
    package var globalStep = 0
    package var epoch = 0.0
    package var maxSteps = 0
    package var numTrainEpochs = 0
    package var totalFlos = 0.0
    /// Objects of numbers, one a log line.
    package var logHistory: [OrderedJSON] = []
    package var bestMetric: Double?
    package var bestGlobalStep: Int?
    package var bestModelCheckpoint: String?
    package var trainBatchSize = 1
    package var loggingSteps = 5
    package var evalSteps = 500
    package var saveSteps = 500

    // MARK: What exact resume needs, in the object `martlet`

    package var seed: UInt64 = 42
    package var dataSeed: UInt64 = 42
    package var datasetFingerprint = ""
    package var parametersFingerprint = ""
    /// Tokens that were learned from, and rows, since the beginning.
    package var tokensSeen = 0
    package var samplesSeen = 0
    /// The sum of all steps' losses.
    package var lossTotal = 0.0
    /// What was measured since the last log line.
    package var window = LogWindow()
    /// Another count of threads sums in another order.
    package var threads = 1
    /// Evaluations without a better metric.
    package var earlyStopCount = 0
    /// Over all attempts.
    package var elapsedSeconds = 0.0

    package init() {}
}

extension TrainerState {
    /// The file's text. Doubles have the fewest digits that read back the same; what is not finite is a
    /// string.
    package var text: String {
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        return json.pythonText(style) + "\n"
    }

    /// The keys of transformers' file come sorted, as there; those that mean nothing here have its defaults.
    private var json: OrderedJSON {
        .object([
            .init(key: "best_global_step", value: bestGlobalStep.map { .int($0) } ?? .null),
            .init(key: "best_metric", value: bestMetric.map { .number($0) } ?? .null),
            .init(key: "best_model_checkpoint", value: bestModelCheckpoint.map { .string($0) } ?? .null),
            .init(key: "epoch", value: .number(epoch)),
            .init(key: "eval_steps", value: .int(evalSteps)),
            .init(key: "global_step", value: .int(globalStep)),
            .init(key: "is_hyper_param_search", value: .bool(false)),
            .init(key: "is_local_process_zero", value: .bool(true)),
            .init(key: "is_world_process_zero", value: .bool(true)),
            .init(key: "log_history", value: .array(logHistory)),
            .init(key: "logging_steps", value: .int(loggingSteps)),
            .init(key: "martlet", value: ownJSON),
            .init(key: "max_steps", value: .int(maxSteps)),
            .init(key: "num_input_tokens_seen", value: .int(tokensSeen)),
            .init(key: "num_train_epochs", value: .int(numTrainEpochs)),
            .init(key: "save_steps", value: .int(saveSteps)),
            .init(key: "stateful_callbacks", value: .object([])),
            .init(key: "total_flos", value: .number(totalFlos)),
            .init(key: "train_batch_size", value: .int(trainBatchSize)),
            .init(key: "trial_name", value: .null),
            .init(key: "trial_params", value: .null),
        ])
    }

    private var ownJSON: OrderedJSON {
        .object([
            .init(key: "version", value: .int(Self.version)),
            .init(key: "seed", value: .unsigned(seed)),
            .init(key: "data_seed", value: .unsigned(dataSeed)),
            .init(key: "dataset_fingerprint", value: .string(datasetFingerprint)),
            .init(key: "parameters_fingerprint", value: .string(parametersFingerprint)),
            .init(key: "tokens_seen", value: .int(tokensSeen)),
            .init(key: "samples_seen", value: .int(samplesSeen)),
            .init(key: "loss_total", value: .number(lossTotal)),
            .init(key: "since_last_log", value: window.json),
            .init(key: "threads", value: .int(threads)),
            .init(key: "early_stop_count", value: .int(earlyStopCount)),
            .init(key: "elapsed_seconds", value: .number(elapsedSeconds)),
        ])
    }

    private static let version = 1
    private static let limitBytes = 1 << 30

    /// Reads the file that `text` was written to.
    /// - Throws: an error that names file and field.
    package init(readingFrom path: String) throws(TrainingError) {
        let json: OrderedJSON
        do {
            json = try OrderedJSON(
                parsingUTF8: SmallFile.read(path, limitBytes: Self.limitBytes))
        } catch let error as FileError {
            throw TrainingError(.failed, "\(path): \(error.problem)", remedy: error.remedy)
        } catch {
            throw TrainingError(.failed, "\(path): \(error)", remedy: StateFields.remedy)
        }
        try self.init(json, file: path)
    }

    init(_ json: OrderedJSON, file: String) throws(TrainingError) {
        let fields = StateFields(file: file, json: json)
        globalStep = try fields.count("global_step")
        epoch = try fields.double("epoch")
        maxSteps = try fields.count("max_steps")
        numTrainEpochs = try fields.count("num_train_epochs")
        totalFlos = try fields.double("total_flos")
        logHistory = try fields.objects("log_history")
        bestMetric = try fields.isNull("best_metric") ? nil : fields.double("best_metric")
        bestGlobalStep = try fields.isNull("best_global_step") ? nil : fields.count("best_global_step")
        bestModelCheckpoint =
            try fields.isNull("best_model_checkpoint") ? nil : fields.string("best_model_checkpoint")
        trainBatchSize = try fields.count("train_batch_size")
        loggingSteps = try fields.count("logging_steps")
        evalSteps = try fields.count("eval_steps")
        saveSteps = try fields.count("save_steps")
        let own = try fields.inside("martlet")
        guard try own.count("version") == Self.version else {
            throw own.error("version", "is not \(Self.version), which this program reads")
        }
        seed = try own.unsigned("seed")
        dataSeed = try own.unsigned("data_seed")
        datasetFingerprint = try own.string("dataset_fingerprint")
        parametersFingerprint = try own.string("parameters_fingerprint")
        tokensSeen = try own.count("tokens_seen")
        samplesSeen = try own.count("samples_seen")
        lossTotal = try own.double("loss_total")
        window = try LogWindow(own.inside("since_last_log"))
        threads = try own.count("threads")
        earlyStopCount = try own.count("early_stop_count")
        elapsedSeconds = try own.double("elapsed_seconds")
    }
}

extension OrderedJSON {
    /// Numbers beyond `Int.max` are strings.
    fileprivate static func unsigned(_ value: UInt64) -> OrderedJSON {
        Int(exactly: value).map { .int($0) } ?? .string(String(value))
    }
}
