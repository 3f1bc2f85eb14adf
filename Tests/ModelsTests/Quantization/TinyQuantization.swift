// A model of some ten thousand weights in a folder that goes away, and quantizations of it.

import Glibc
import Tensors
import TestSupport
import Testing
import Text

@testable import Models

/// The shapes that matter to quantization.
enum TinyFamily: String, Sendable, CaseIterable, CustomTestStringConvertible {
    /// Tied, biases on queries, keys and values, heads that share their values.
    case qwen2
    /// Heads of a size of their own, with norms.
    case qwen3
    /// As many heads of values as of queries, untied, biases everywhere.
    case llama
    case mistral

    var testDescription: String { rawValue }

    var fields: (name: String, json: String) {
        switch self {
        case .qwen2:
            ("Qwen2ForCausalLM", "\"tie_word_embeddings\": true, \"num_key_value_heads\": 2")
        case .qwen3: ("Qwen3ForCausalLM", "\"head_dim\": 32, \"num_key_value_heads\": 2")
        case .llama:
            (
                "LlamaForCausalLM",
                "\"num_key_value_heads\": 4, \"attention_bias\": true, \"mlp_bias\": true"
            )
        case .mistral: ("MistralForCausalLM", "\"sliding_window\": 8, \"num_key_value_heads\": 1")
        }
    }
}

final class TinyQuantization {
    static let (vocabulary, hidden, intermediate, layers) = (80, 64, 96, 2)

    let path: String
    let family: TinyFamily
    var model: String { path + "/model" }

    init(_ family: TinyFamily = .llama, type: ElementType = .f32) throws {
        self.family = family
        var template = Array("/tmp/martlet-quantize-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(errno: errno, path: "/tmp", while: "create") }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        mkdir(model, 0o755)
        let (name, json) = family.fields
        try write(
            """
            {"architectures": ["\(name)"], "model_type": "\(family)", "vocab_size": \(Self.vocabulary),
            "hidden_size": \(Self.hidden), "intermediate_size": \(Self.intermediate),
            "num_hidden_layers": \(Self.layers), "num_attention_heads": 4, "max_position_embeddings": 128,
            "rms_norm_eps": 1e-6, "torch_dtype": "\(type.torchName)", \(json)}
            """, "model/config.json")
        try write("{\"eos_token_id\": 3}", "model/generation_config.json")
        try write("the text of the license", "model/LICENSE")
        try write("{}", "model/trainer_state.json")
        try SafetensorsWriter().write(weights(type), to: model + "/model.safetensors")
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if unlink(path) == 0 || errno != EISDIR { return }
        for name in StagedDirectory.names(in: path) { remove("\(path)/\(name)") }
        rmdir(path)
    }

    func write(_ text: String, _ name: String) throws {
        let file = try AtomicFile(path: "\(path)/\(name)")
        try file.write(Array(text.utf8))
        try file.commit()
    }

    private func weights(_ type: ElementType) throws -> [TensorSource] {
        let configuration = try ModelConfiguration(directory: model)
        var random = SeededGenerator(seed: 12)
        var sources: [TensorSource] = []
        func add(_ name: String, _ shape: [Int], _ range: ClosedRange<Float>) {
            let values = (0..<shape.reduce(1, *)).map { _ in Float.random(in: range, using: &random) }
            let stored = QuantizedFixture.stored(name, values, shape, type)
            sources.append(stored.source)
        }
        add("model.embed_tokens.weight", [Self.vocabulary, Self.hidden], -1...1)
        add("model.norm.weight", [Self.hidden], 0.5...1.5)
        if !configuration.tieWordEmbeddings { add("lm_head.weight", [Self.vocabulary, Self.hidden], -1...1) }
        let pool = try ThreadPool(threads: 1)
        let empty = "\(path)/empty"
        mkdir(empty, 0o755)
        try SafetensorsWriter().write(sources, to: empty + "/model.safetensors")
        let loader = WeightLoader(configuration, try SafetensorsModel(directory: empty), .stored, pool)
        for index in 0..<Self.layers {
            let modules = LayerModules(loader, layer: index)
            for module in modules.all {
                add(module.name + ".weight", [module.outputs, module.inputs], -0.3...0.3)
                let isFirst = modules.modules(.attention).contains(module)
                let isFeed = module.name.contains(".mlp.")
                let biased =
                    isFirst
                    ? configuration.attentionBias
                    : isFeed ? configuration.mlpBias : configuration.attentionOutputBias
                if biased { add(module.name + ".bias", [module.outputs], -0.2...0.2) }
            }
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                add("\(modules.prefix)\(norm).weight", [Self.hidden], 0.2...3)
            }
            guard family == .qwen3 else { continue }
            for norm in ["q_norm", "k_norm"] {
                add("\(modules.prefix)self_attn.\(norm).weight", [configuration.headDim], 0.5...1.5)
            }
        }
        return sources
    }

    static func texts(_ count: Int, seed: UInt64) -> [[Int32]] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            (0..<Int.random(in: 2...40, using: &random)).map { _ in
                Int32.random(in: 0..<Int32(vocabulary), using: &random)
            }
        }
    }

    static func request(
        _ method: QuantizationMethod, _ weights: QuantizationScheme.Weights, _ format: QuantizationFormat,
        skips: [String] = []
    ) throws -> QuantizationRequest {
        let scheme = QuantizationScheme(
            format: format, weights: weights, dynamicActivations: method == .int8)
        var request = QuantizationRequest(method: method, scheme: scheme, skips: try ModuleSkips(skips))
        request.calibration = texts(24, seed: 1)
        request.heldOut = texts(5, seed: 2)
        request.batchTokens = 100
        return request
    }

    /// Quantizes to the folder `output`.
    @discardableResult
    func run(
        _ request: QuantizationRequest, to output: String = "out", threads: Int = 1,
        _ change: (inout QuantizationEnvironment) -> Void = { _ in }
    ) throws -> QuantizationReport {
        mkdir("\(path)/\(output)", 0o755)
        var environment = QuantizationEnvironment(seconds: { 0 })
        change(&environment)
        let run = try QuantizationRun(model: model, request, pool: ThreadPool(threads: threads))
        return try run.write(to: "\(path)/\(output)", environment)
    }

    /// What readers make of a module of a quantized model.
    func dequantized(_ module: QuantizationReport.Module, in output: String = "out") throws -> [Float] {
        let directory = "\(path)/\(output)"
        let configuration = try ModelConfiguration(directory: directory)
        let tensors = try SafetensorsModel(directory: directory)
        let parsed = try #require(try QuantizationConfiguration(directory: directory, configuration))
        let checkpoint = QuantizedCheckpoint(configuration: parsed, tensors: tensors)
        let found = try checkpoint.module(module.name, outputs: module.outputs, inputs: module.inputs)
        return try #require(found).dequantized(0..<module.outputs)
    }

    func floats(_ tensor: String, in directory: String) throws -> [Float] {
        try #require(try SafetensorsModel(directory: "\(path)/\(directory)").tensor(tensor)).floats()
    }
}
