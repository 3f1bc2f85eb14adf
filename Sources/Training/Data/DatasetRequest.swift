// What a data set is opened with: the part of a run's parameters that decides which rows there are.
package import Text

/// Which files become which rows. Everything but `threads`, `streaming` and the cache decides about the rows.
package struct DatasetRequest: Sendable, Hashable {
    package var stage: TrainingParameters.Stage
    package var rlhfType: TrainingParameters.PreferenceMethod
    /// `path`, `path#n`, folders; see `DatasetSource`.
    package var dataset: [String]
    package var valDataset: [String]
    /// The share of each source that is kept for validation; without effect where there is a `valDataset`.
    package var splitDatasetRatio: Double
    /// Decides whether samples and the rows of a stream are drawn by chance or in the order of the files.
    package var shuffles: Bool
    package var dataSeed: UInt64
    /// From the names that the files use to those of the formats.
    package var columns: [String: String]
    /// The system message of conversations that have none.
    package var system: String?
    /// Stops at the first bad row instead of leaving it out.
    package var strict: Bool
    /// Tokenizes only a little ahead of the rows that are used, and begins again behind the last.
    package var streaming: Bool
    /// Tokens that a row may have; nil for any number.
    package var maxLength: Int?
    package var truncation: TrainingParameters.TruncationStrategy
    package var lossScale: TrainingParameters.LossScale
    /// `dataset_num_proc`: threads that tokenize.
    package var threads: Int
    package var loadsFromCache: Bool
    /// Where tokenized rows lie. nil: `$TMPDIR` or /tmp, which must have room for 4 bytes a token.
    package var cacheDirectory: String?
    /// Ids that rows give themselves must be below; nil: what the tokenizer has.
    package var vocabularySize: Int?
    /// What templates take for the present time. It is fixed, as a run that is resumed on another day must
    /// find the same tokens; the day is the one that Llama's templates print when they know none.
    package var now = Timestamp(seconds: 1_721_952_000)

    /// - Parameters:
    ///   - maxLength: `max_position_embeddings` of the model, for where the parameters name no `max_length`.
    ///   - cacheDirectory: see the property.
    ///   - vocabularySize: of the model.
    package init(
        _ parameters: TrainingParameters, maxLength: Int? = nil, cacheDirectory: String? = nil,
        vocabularySize: Int? = nil
    ) {
        stage = parameters.stage
        rlhfType = parameters.rlhfType
        dataset = parameters.dataset
        valDataset = parameters.valDataset
        splitDatasetRatio = parameters.splitDatasetRatio
        shuffles = parameters.datasetShuffle
        dataSeed = parameters.dataSeed
        columns = parameters.columns
        system = parameters.system
        strict = parameters.strict
        streaming = parameters.streaming
        self.maxLength = parameters.maxLength ?? maxLength
        truncation = parameters.truncationStrategy
        let usual: TrainingParameters.LossScale =
            switch parameters.stage {
            case .pretrain: .all
            case .sft: .default
            case .rlhf: .lastRound
            }
        lossScale = parameters.lossScale ?? usual
        threads = parameters.datasetNumProc
        loadsFromCache = parameters.loadFromCacheFile
        self.cacheDirectory = cacheDirectory
        self.vocabularySize = vocabularySize
    }

    /// What rows become.
    var wanted: RowKind {
        switch (stage, rlhfType) {
        case (.pretrain, _): .document
        case (.sft, _): .conversation
        case (.rlhf, .kto): .judged
        case (.rlhf, _): .pair
        }
    }

    /// - Throws: where values do not go together, with the parameter.
    func check() throws(TrainingError) {
        if dataset.isEmpty {
            throw TrainingError(
                .badParameters, "dataset: there is none",
                remedy: "name a file or a folder with --dataset PATH")
        }
        if truncation == .split && stage != .pretrain {
            throw TrainingError(
                .badParameters,
                "truncation_strategy: split cuts texts into pieces, which only pretrain can do",
                remedy: "choose delete, left or right")
        }
        if truncation == .split && maxLength == nil {
            throw TrainingError(
                .badParameters, "truncation_strategy: split needs a length", remedy: "give --max_length N")
        }
        if !(0..<1).contains(splitDatasetRatio) {
            throw TrainingError(
                .badParameters, "split_dataset_ratio: \(splitDatasetRatio) is not within 0 and 1",
                remedy: "give the share of rows that validate, such as 0.01")
        }
        for (name, value) in [("max_length", maxLength), ("dataset_num_proc", threads)] {
            if let value, value < 1 {
                throw TrainingError(.badParameters, "\(name): \(value) is below 1", remedy: "give 1 or more")
            }
        }
    }
}

/// What a row of a data set is turned into.
enum RowKind: String, Sendable, Hashable {
    /// Text to learn wholly, or a conversation as text.
    case document
    case conversation
    /// A better and a worse answer.
    case pair
    /// One answer with a verdict.
    case judged
}

/// How far the reading of a data set is.
package struct DatasetProgress: Sendable, Hashable {
    package var isValidation: Bool
    /// Rows of the files that have been read, of so many.
    package var rowsRead: Int
    package var rowsTotal: Int
    package var tokens: Int
    package var skipped: Int

    package init(isValidation: Bool, rowsRead: Int, rowsTotal: Int, tokens: Int, skipped: Int) {
        self.isValidation = isValidation
        self.rowsRead = rowsRead
        self.rowsTotal = rowsTotal
        self.tokens = tokens
        self.skipped = skipped
    }
}

/// Why a row cannot be used.
struct RowProblem: Error, Hashable, CustomStringConvertible {
    /// Such as `messages[1].role`; empty for the whole row.
    var field: String
    var problem: String
    /// The row is a good one, and only longer than `max_length`: that is no reason to stop.
    var isTooLong = false

    init(_ field: String, _ problem: String) {
        self.field = field
        self.problem = problem
    }

    var description: String { field.isEmpty ? problem : "\(field): \(problem)" }
}
