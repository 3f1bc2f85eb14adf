// What all commands that read a model directory share: where it is, and how it is loaded.

import ArgumentParser
import Inference
import Models
import Tensors
import Text

extension WeightQuantization: ExpressibleByArgument {}
extension QuantizedArithmetic: ExpressibleByArgument {}

/// Where the tokenizer is.
struct TokenizerOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Directory of the model.", valueName: "DIR"))
    var model: String

    @Option(help: ArgumentHelp("Directory of the tokenizer, where the model's has none.", valueName: "DIR"))
    var tokenizer: String?

    func loadTokenizer() throws -> Tokenizer { try Self.open(directory) }

    var directory: String { tokenizer ?? model }

    static func open(_ directory: String) throws -> Tokenizer {
        do {
            return try Tokenizer(directory: directory)
        } catch {
            throw CommandError("\(error)", status: 1)
        }
    }
}

/// How weights are loaded.
struct ModelOptions: ParsableArguments {
    @OptionGroup var place: TokenizerOptions

    @Option(
        help: ArgumentHelp(
            "Weights as the files have them (stored), or quantized while they are loaded (int8, int4).",
            valueName: "stored|int8|int4"))
    var quant: WeightQuantization = .stored

    @Option(
        help: ArgumentHelp(
            "Products of a checkpoint that is quantized already: dequantized, as its 16-bit twin would compute, or "
                + "eightBit, with activations rounded to 8 bits: faster, and about a percent off.",
            valueName: "dequantized|eightBit"))
    var quantArithmetic: QuantizedArithmetic = .dequantized

    @Option(help: "Threads for the arithmetic; one on each core unless given.")
    var threads: Int?

    func validate() throws {
        if let threads, threads < 1 || threads > 1024 {
            throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
        }
    }

    func loadModel(_ pool: ThreadPool) throws -> CausalLanguageModel {
        let progress = ProgressLine("loading")
        defer { progress.finish() }
        do {
            let total = try ModelConfiguration(directory: place.model).numHiddenLayers
            return try CausalLanguageModel(
                directory: place.model, quantization: quant, arithmetic: quantArithmetic, pool: pool
            ) {
                progress.show($0, of: total)
            }
        } catch let error as OutOfMemory {
            throw CommandError("\(error)", status: 86)
        } catch {
            throw CommandError("\(error)", status: 1)
        }
    }

    func generationConfiguration() throws -> GenerationConfiguration {
        do {
            return try GenerationConfiguration(directory: place.model)
        } catch {
            throw CommandError("\(error)", status: 1)
        }
    }

    /// The engine for this model, its tokenizer and settings.
    func makeEngine(_ settings: EngineSettings) async throws -> InferenceEngine {
        var settings = settings
        settings.endIDs += try generationConfiguration().eosTokenIDs
        // A vocabulary takes a tenth of a second to read; the weights are read meanwhile.
        async let tokenizer = Self.openTokenizer(place.directory)
        do {
            let pool = try ThreadPool(threads: threads)
            let model = try loadModel(pool)
            return try InferenceEngine(
                model: model, tokenizer: await tokenizer, settings: settings, pool: pool)
        } catch let error as OutOfMemory {
            throw CommandError("\(error)", status: 86)
        }
    }
}

extension ModelOptions {
    private nonisolated static func openTokenizer(_ directory: String) async throws -> Tokenizer {
        try TokenizerOptions.open(directory)
    }
}

/// Ids as people write them: `1,2,3`, spaces allowed.
struct TokenIDs: ExpressibleByArgument {
    var ids: [Int32]

    init?(argument: String) {
        var text = argument[...]
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        var ids: [Int32] = []
        for word in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            guard let id = Int32(word), id >= 0 else { return nil }
            ids.append(id)
        }
        self.ids = ids
    }
}
