// A model of some thousand weights, rows for it, and runs over them, in a folder that goes away.

import Glibc
import Models
import Synchronization
import Tensors
import TestSupport
import Testing
import Text

@testable import Training

/// The families of models, as small as they come: hidden size 16, 2 layers, 2 heads with 1 of keys, 40 tokens.
enum TinyModel: String, Sendable, CaseIterable, CustomTestStringConvertible {
    /// Tied, with biases.
    case qwen2
    /// Heads of a size of their own, with norms.
    case qwen3
    case llama
    /// Tokens see the last 3.
    case mistral

    static let vocabulary: Int32 = 40

    var testDescription: String { rawValue }

    func configuration(_ type: ElementType) -> String {
        let own =
            switch self {
            case .qwen2: (name: "Qwen2ForCausalLM", fields: "\"tie_word_embeddings\": true")
            case .qwen3: (name: "Qwen3ForCausalLM", fields: "\"head_dim\": 12")
            case .llama: (name: "LlamaForCausalLM", fields: "\"head_dim\": 8")
            case .mistral: (name: "MistralForCausalLM", fields: "\"sliding_window\": 3")
            }
        return """
            {"architectures": ["\(own.name)"], "model_type": "\(rawValue)", "vocab_size": \(Self.vocabulary),
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
            "initializer_range": 0.1, "torch_dtype": "\(type.torchName)", \(own.fields)}
            """
    }
}

/// A folder with a model, a data set, and what runs make of them.
final class TinyRun {
    let folder: RunFolder
    var path: String { folder.path }

    /// - Parameter type: of the weights, which also decides about the precision of a run.
    init(_ model: TinyModel = .qwen2, type: ElementType = .f32, rows: [String]? = nil) throws {
        folder = try RunFolder()
        try folder.write(model.configuration(type), to: "model/config.json")
        let configuration = try ModelConfiguration(directory: "\(path)/model")
        var generator = SeededGenerator(seed: 7)
        let sources = TunableModel(configuration).parameters.map { parameter in
            let floats = (0..<parameter.elementCount).map { _ in
                Self.weight(parameter, Float.random(in: -1...1, using: &generator))
            }
            return AdapterFile.source(parameter.name, parameter.shape, floats, as: type)
        }
        try SafetensorsWriter().write(sources, to: "\(path)/model/model.safetensors")
        try write(rows ?? Self.sequences(7), to: "rows.jsonl")
    }

    private static func weight(_ parameter: TunableModel.Parameter, _ chance: Float) -> Float {
        // Of small embeddings no output is ever nearly certain, however well the layers are trained.
        if parameter.shape[0] == Int(TinyModel.vocabulary) { return chance }
        if parameter.shape.count == 2 { return 0.4 * chance }
        return parameter.name.hasSuffix(".bias") ? 0.1 * chance : 1 + 0.2 * chance
    }

    func write(_ rows: [String], to name: String) throws {
        try folder.write(rows.joined(separator: "\n") + "\n", to: name)
    }

    // MARK: Rows

    static func ids(_ count: Int, _ generator: inout SeededGenerator) -> [Int32] {
        (0..<count).map { _ in .random(in: 0..<TinyModel.vocabulary, using: &generator) }
    }

    /// Rows of different lengths, of which the first two tokens are not learned.
    static func sequences(_ count: Int, lengths: ClosedRange<Int> = 5...12, seed: UInt64 = 1) -> [String] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let ids = ids(.random(in: lengths, using: &generator), &generator)
            return "{\"input_ids\": \(ids), \"labels\": \([-100, -100] + ids.dropFirst(2))}"
        }
    }

    static func pairs(_ count: Int, seed: UInt64 = 2) -> [String] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let lengths = (0..<3).map { _ in Int.random(in: 2...6, using: &generator) }
            let (prompt, chosen) = (ids(lengths[0], &generator), ids(lengths[1], &generator))
            let rejected = ids(lengths[2], &generator)
            return "{\"prompt_ids\": \(prompt), \"chosen_ids\": \(chosen), \"rejected_ids\": \(rejected)}"
        }
    }

    // MARK: Runs

    /// Parameters of 6 steps of 2 rows on one thread.
    /// - Parameter output: the name of the folder that the run writes to.
    func parameters(
        _ output: String = "out", _ change: (inout TrainingParameters) -> Void = { _ in }
    ) -> TrainingParameters {
        var parameters = TrainingParameters()
        parameters.model = "\(path)/model"
        parameters.dataset = ["\(path)/rows.jsonl"]
        parameters.outputDir = "\(path)/\(output)"
        parameters.logJSON = "\(path)/\(output).steps.jsonl"
        parameters.reportTo = []
        parameters.perDeviceTrainBatchSize = 2
        parameters.gradientAccumulationSteps = 1
        parameters.maxSteps = 6
        parameters.learningRate = 1e-2
        parameters.threads = 1
        change(&parameters)
        return parameters
    }

    /// - Parameter lastStep: the step after which somebody wishes the run to end.
    @discardableResult
    func run(
        _ parameters: TrainingParameters, stoppingAfter lastStep: Int? = nil,
        _ change: (inout RunEnvironment) -> Void = { _ in }
    ) throws -> RunSummary {
        let stop = StopRequest()
        var environment = RunEnvironment()
        environment.memoryLimitBytes = 64 << 20
        environment.stepDone = { if $0 == lastStep { stop.make() } }
        change(&environment)
        return try TrainingRun(parameters, environment: environment).run(stop: stop)
    }

    // MARK: What came of them

    /// The bytes of a checkpoint's weights, adapters and optimizer states, by file.
    func tensors(_ checkpoint: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for folder in ["", "ema/"] {
            for name in CheckpointDisk().names("\(path)/\(checkpoint)/\(folder)")
            where name.hasSuffix(".safetensors") {
                let file = "\(path)/\(checkpoint)/\(folder)\(name)"
                files[folder + name] = try SmallFile.read(file, limitBytes: 1 << 24)
            }
        }
        return files
    }

    /// Whether two checkpoints have the same tensors, bit by bit.
    func expectSame(
        _ one: String, _ other: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let (left, right) = (try tensors(one), try tensors(other))
        #expect(!left.isEmpty, "\(one) has no tensors", sourceLocation: sourceLocation)
        #expect(left.keys.sorted() == right.keys.sorted(), sourceLocation: sourceLocation)
        let others = left.keys.filter { left[$0] != right[$0] }.sorted()
        #expect(others == [], "these differ between \(one) and \(other)", sourceLocation: sourceLocation)
    }

    /// The tensors of a file, as floats.
    func floats(_ file: String) throws -> [String: [Float]] {
        let stored = try SafetensorsFile(path: "\(path)/\(file)")
        var floats: [String: [Float]] = [:]
        for name in stored.names { floats[name] = stored.tensor(name)?.floats() }
        return floats
    }

    /// The values of a key in each step of a run's `log_json`.
    func steps(_ output: String = "out", _ key: String = "loss") throws -> [Double] {
        try lines("\(output).steps.jsonl").map { try #require($0[key]?.doubleValue) }
    }

    func lines(_ name: String) throws -> [OrderedJSON] {
        try folder.text(name).split(separator: "\n").map { try OrderedJSON(parsingUTF8: Array($0.utf8)) }
    }

    func checkpoints(_ output: String = "out") -> [String] {
        folder.names(output).filter { $0.hasPrefix("checkpoint-") }.sorted()
    }
}

/// Collects the sentences that a run has for its user.
final class Heard: Sendable {
    private let sentences = Mutex<[String]>([])

    var all: [String] { sentences.withLock { $0 } }

    func add(_ sentence: String) { sentences.withLock { $0.append(sentence) } }
}

/// What `body` threw, which must be an error of training.
func trainingError(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) throws -> TrainingError {
    try #require(throws: TrainingError.self, sourceLocation: sourceLocation) { try body() }
}

/// The largest difference of elements of the same place.
func largestDifference(_ one: [Float], _ other: [Float]) -> Float {
    guard one.count == other.count else { return .infinity }
    return zip(one, other).reduce(0) { max($0, abs($1.0 - $1.1)) }
}
