// The texts that a quantization is calibrated and measured with, as token ids, from the user's own files.

import Models
import Tensors
import Text
import Training

/// Rows of the data sets, chosen by a seed.
struct CalibrationTexts {
    var calibration: [[Int32]] = []
    var heldOut: [[Int32]] = []

    /// Rows for the perplexity at most.
    private static let heldOutRows = 32

    /// Reads the files in all formats of the trainers; conversations go through the chat template.
    /// - Throws: `TrainingError` for data that cannot be used.
    init(_ options: QuantizeOptions, model: String) throws {
        guard !options.dataset.isEmpty || !options.valDataset.isEmpty else { return }
        let configuration = try ModelConfiguration(directory: model)
        var parameters = TrainingParameters()
        parameters.stage = .pretrain
        parameters.model = model
        parameters.dataset = options.dataset.isEmpty ? options.valDataset : options.dataset
        parameters.valDataset = options.dataset.isEmpty ? [] : options.valDataset
        parameters.maxLength = min(options.maxLength, configuration.maxPositionEmbeddings)
        parameters.truncationStrategy = .split
        parameters.dataSeed = options.seed
        parameters.system = options.system
        parameters.columns = options.columns.flatMap(TrainingDataOptions.columnMap) ?? [:]
        // Rows of ids need none.
        let hasTokenizer = SmallFile.exists("\(model)/tokenizer.json")
        let tokenizer = hasTokenizer ? try Tokenizer(directory: model) : nil
        let template = try tokenizer?.chatTemplates["default"].map { try ChatTemplate($0) }
        let request = DatasetRequest(parameters, vocabularySize: configuration.vocabSize)
        let (rows, validation) = try TrainingDataset.open(
            request, tokenizer: tokenizer, chatTemplate: template)
        try rows.wait()
        try validation?.wait()
        var random = SplitMix(state: options.seed)
        let order = Self.order(rows.count, &random)
        if options.dataset.isEmpty {
            heldOut = try Self.ids(rows, order.prefix(Self.heldOutRows))
            return
        }
        var count = min(options.quantNSamples, order.count)
        if let validation {
            heldOut = try Self.ids(
                validation, Self.order(validation.count, &random).prefix(Self.heldOutRows))
        } else {
            // A tenth is kept back where all rows would be taken.
            let spare = order.count - count
            let wanted = min(Self.heldOutRows, max(spare, order.count / 10))
            count = min(count, order.count - wanted)
            heldOut = try Self.ids(rows, order[count..<count + wanted])
        }
        calibration = try Self.ids(rows, order.prefix(count))
    }

    private static func ids(_ rows: TrainingDataset, _ numbers: ArraySlice<Int>) throws -> [[Int32]] {
        try numbers.compactMap { number in
            guard case .sequence(let row) = try rows.row(number) else { return nil }
            return row.ids
        }
    }

    /// All numbers below `count`, shuffled.
    private static func order(_ count: Int, _ random: inout SplitMix) -> [Int] {
        Array(0..<count).shuffled(using: &random)
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014): the same seed chooses the same rows everywhere.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
