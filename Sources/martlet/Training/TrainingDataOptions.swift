// The parameters of a training run that say what is learned from: data sets, and how rows become batches.

import ArgumentParser
import Text
import Training

extension TrainingParameters.TruncationStrategy: ExpressibleByArgument {}
extension TrainingParameters.LossScale: ExpressibleByArgument {}

/// `--dataset` and its kin.
struct TrainingDataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Files (jsonl, json, csv, txt) or folders to learn from; "
                + "PATH#N takes N rows. Several may be given.",
            valueName: "PATH"))
    var dataset: [String] = []

    @Option(help: ArgumentHelp("Data sets to evaluate on while training.", valueName: "PATH"))
    var valDataset: [String] = []

    @Option(
        help: ArgumentHelp(
            "Share of --dataset to evaluate on, where no val_dataset is given.", valueName: "SHARE"))
    var splitDatasetRatio = TrainingParameters().splitDatasetRatio

    @Option(help: ArgumentHelp("Shuffle the rows.", valueName: "true|false"))
    var datasetShuffle = TrainingParameters().datasetShuffle

    @Option(
        help: ArgumentHelp(
            #"JSON map from a column's name in the files to the one meant: {"prompt_text": "query"}."#,
            valueName: "JSON"))
    var columns: String?

    @Option(
        help: ArgumentHelp(
            "Stop at the first row that cannot be used, in place of leaving it out.", valueName: "true|false")
    )
    var strict = TrainingParameters().strict

    @Option(
        help: ArgumentHelp("Read rows as they are needed; needs --max_steps.", valueName: "true|false"))
    var streaming = TrainingParameters().streaming

    @Option(
        help: ArgumentHelp("Use the tokenized rows of an earlier run.", valueName: "true|false"))
    var loadFromCacheFile = TrainingParameters().loadFromCacheFile

    @Option(help: ArgumentHelp("Threads that tokenize.", valueName: "N"))
    var datasetNumProc = TrainingParameters().datasetNumProc

    @Option(
        help: ArgumentHelp(
            "System message of rows without one, in place of the chat template's.", valueName: "TEXT"))
    var system: String?

    @Option(help: ArgumentHelp("Tokens of a row at most; the model's limit unless given.", valueName: "N"))
    var maxLength: Int?

    @Option(
        help: ArgumentHelp(
            "What becomes of longer rows: delete, left or right (what is cut off), split (pretrain).",
            valueName: "STRATEGY"))
    var truncationStrategy = TrainingParameters().truncationStrategy

    @Option(
        help: ArgumentHelp("Join short rows, none seeing another.", valueName: "true|false"))
    var packing = TrainingParameters().packing

    @Option(help: ArgumentHelp("Tokens of a pack; max_length unless given.", valueName: "N"))
    var packingLength: Int?

    @Option(help: ArgumentHelp("Batch rows of like length.", valueName: "true|false"))
    var groupByLength = TrainingParameters().groupByLength

    @Option(
        help: ArgumentHelp(
            "What is learned: default (all answers), last_round, all; last_round for rlhf, all for pretrain.",
            valueName: "SCALE"))
    var lossScale: TrainingParameters.LossScale?

    @Option(
        help: ArgumentHelp("File that fixes which rows make which step.", valueName: "FILE"))
    var batchOrder: String?

    @Option(help: ArgumentHelp("Seed of weights and dropout.", valueName: "N"))
    var seed = TrainingParameters().seed

    @Option(help: ArgumentHelp("Seed of the order of the rows.", valueName: "N"))
    var dataSeed = TrainingParameters().dataSeed

    func fill(_ parameters: inout TrainingParameters, _ problems: inout [String]) {
        parameters.dataset = dataset
        parameters.valDataset = valDataset
        parameters.splitDatasetRatio = splitDatasetRatio
        parameters.datasetShuffle = datasetShuffle
        parameters.strict = strict
        parameters.streaming = streaming
        parameters.loadFromCacheFile = loadFromCacheFile
        parameters.datasetNumProc = datasetNumProc
        parameters.system = system
        parameters.maxLength = maxLength
        parameters.truncationStrategy = truncationStrategy
        parameters.packing = packing
        parameters.packingLength = packingLength
        parameters.groupByLength = groupByLength
        parameters.lossScale = lossScale
        parameters.batchOrder = batchOrder
        parameters.seed = seed
        parameters.dataSeed = dataSeed
        guard let columns else { return }
        if let map = Self.columnMap(columns) {
            parameters.columns = map
        } else {
            problems.append(
                #"--columns: this is no JSON map from names to names; write it like {"prompt_text": "query"}"#
            )
        }
    }

    /// The names of a JSON object whose values are texts; nil for anything else.
    static func columnMap(_ text: String) -> [String: String]? {
        guard let members = (try? JSONValue(parsingUTF8: Array(text.utf8)))?.objectValue else { return nil }
        var map: [String: String] = [:]
        for (name, value) in members {
            guard let meant = value.stringValue else { return nil }
            map[name] = meant
        }
        return map
    }
}
