// Small models on disk, quantized and as their dequantized twins, and what they compute.

import Glibc
import Models
import Tensors
import TestSupport
import Text

/// A fresh directory, removed with its content.
final class ModelDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-quantized-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw FileError(errno: errno, path: "/tmp", while: "create")
        }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "/tmp" }
    }

    deinit {
        let names = [
            "config.json", "model.safetensors", "quantize_config.json", "adapter_config.json",
            "adapter_model.safetensors",
        ]
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    func write(_ text: String, _ name: String = "config.json") throws {
        guard let file = fopen("\(path)/\(name)", "w") else {
            throw FileError(errno: errno, path: path, while: "create")
        }
        defer { fclose(file) }
        fputs(text, file)
    }

    func write(_ tensors: [QuantizedTensors.Stored], _ name: String = "model.safetensors") throws {
        try SafetensorsWriter().write(tensors.map(\.source), to: "\(path)/\(name)")
    }
}

/// The linear layers of a model, as what a fixture makes of each.
enum LayerWeights {
    case plain([Float])
    case integers(QuantizedMatrix)
    case float8(Float8Matrix)

    var values: [Float] {
        switch self {
        case .plain(let values): values
        case .integers(let matrix): matrix.dequantized()
        case .float8(let matrix): matrix.dequantized()
        }
    }
}

/// A tiny Llama of odd sizes, whose linear layers come from `layer`.
struct QuantizedFixture {
    static let (hidden, intermediate, vocabulary, layers) = (48, 80, 67, 2)

    var scheme: QuantizationScheme
    /// The type of the model, and of its twin's weights.
    var type: ElementType
    var seed: UInt64
    /// The projections of attention have biases.
    var isBiased = false
    /// The output layer is the embedding.
    var isTied = false
    /// The output layer is quantized like all others.
    var quantizesHead = false

    static func sizes(_ layer: Int) -> [(name: String, outputs: Int, inputs: Int)] {
        let prefix = "model.layers.\(layer)."
        return [
            (prefix + "self_attn.q_proj", 64, hidden), (prefix + "self_attn.k_proj", 32, hidden),
            (prefix + "self_attn.v_proj", 32, hidden), (prefix + "self_attn.o_proj", hidden, 64),
            (prefix + "mlp.gate_proj", intermediate, hidden), (prefix + "mlp.up_proj", intermediate, hidden),
            (prefix + "mlp.down_proj", hidden, intermediate),
        ]
    }

    func configuration(quantized: Bool) -> String {
        let entry =
            quantized
            ? ", \"quantization_config\": \(QuantizedTensors.configuration(scheme).compactText)" : ""
        return """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": \(Self.vocabulary),
             "hidden_size": \(Self.hidden), "intermediate_size": \(Self.intermediate),
             "num_hidden_layers": \(Self.layers), "num_attention_heads": 4, "num_key_value_heads": 2,
             "head_dim": 16, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
             "tie_word_embeddings": \(isTied), "attention_bias": \(isBiased),
             "hidden_act": "silu", "torch_dtype": "\(type.torchName)"\(entry)}
            """
    }

    static func stored(_ name: String, _ values: [Float], _ shape: [Int], _ type: ElementType)
        -> QuantizedTensors.Stored
    {
        var bytes: [UInt8] = []
        for value in values {
            switch type {
            case .f16: withUnsafeBytes(of: Float16(value)) { bytes += $0 }
            case .bf16:
                // Half to even; no value here is near the ends.
                let bits = value.bitPattern
                let word = UInt16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
                withUnsafeBytes(of: word) { bytes += $0 }
            default: withUnsafeBytes(of: value) { bytes += $0 }
            }
        }
        return QuantizedTensors.Stored(name: name, type: type, shape: shape, bytes: bytes)
    }

    /// Random weights of a layer, quantized as the scheme says; scales are exact in 16 bits.
    func weights(_ outputs: Int, _ inputs: Int, _ random: inout SeededGenerator, index: [Int32]? = nil)
        -> LayerWeights
    {
        switch scheme.weights {
        case .float8(let perChannel):
            let bytes = (0..<outputs * inputs).map { _ in
                UInt8.random(in: 0...0x7e, using: &random) & 0x77 | (Bool.random(using: &random) ? 0x80 : 0)
            }
            let scales = (0..<(perChannel ? outputs : 1)).map { _ in
                Float.random(in: 1e-4...2e-4, using: &random)
            }
            return .float8(Float8Matrix(outputs: outputs, inputs: inputs, bytes: bytes, scales: scales))
        case .integers(let bits, let size, let symmetric):
            let group = min(size ?? inputs, inputs), groups = (inputs + group - 1) / group
            let top = UInt8((1 << bits) - 1)
            let scales = (0..<outputs * groups).map { _ in
                Float(Int.random(in: 64...127, using: &random)) / Float(1 << (9 + bits))
            }
            return .integers(
                QuantizedMatrix(
                    outputs: outputs, inputs: inputs, bits: bits, groupSize: group,
                    codes: (0..<outputs * inputs).map { _ in UInt8.random(in: 0...top, using: &random) },
                    scales: scales,
                    zeros: symmetric
                        ? nil : scales.map { _ in UInt8.random(in: top / 4...top / 4 * 3, using: &random) },
                    groupIndex: index))
        }
    }

    /// Writes the model quantized and its twin.
    /// - Parameter change: what a layer is to be instead.
    func write(
        change: (String, LayerWeights, inout SeededGenerator) -> LayerWeights = { _, made, _ in made }
    ) throws -> (quantized: ModelDirectory, twin: ModelDirectory) {
        var random = SeededGenerator(seed: seed)
        func numbers(_ count: Int, _ range: ClosedRange<Float>) -> [Float] {
            (0..<count).map { _ in Float.random(in: range, using: &random) }
        }
        let hidden = Self.hidden, vocabulary = Self.vocabulary
        var shared = [
            Self.stored(
                "model.embed_tokens.weight", numbers(vocabulary * hidden, -1...1), [vocabulary, hidden], type),
            Self.stored("model.norm.weight", numbers(hidden, 0.5...1.5), [hidden], type),
        ]
        for layer in 0..<Self.layers {
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                let name = "model.layers.\(layer).\(norm).weight"
                shared.append(Self.stored(name, numbers(hidden, 0.5...1.5), [hidden], type))
            }
        }
        if isBiased {
            for (name, outputs, _) in (0..<Self.layers).flatMap(Self.sizes) where name.contains("attn") {
                shared.append(Self.stored(name + ".bias", numbers(outputs, -1...1), [outputs], type))
            }
        }
        var (codes, twins) = (shared, shared)
        if !isTied {
            let plain = LayerWeights.plain(numbers(vocabulary * hidden, -1...1))
            let weights = quantizesHead ? self.weights(vocabulary, hidden, &random) : plain
            codes += tensors(weights, "lm_head", vocabulary, hidden)
            twins += tensors(.plain(weights.values), "lm_head", vocabulary, hidden)
        }
        for layer in 0..<Self.layers {
            // As methods that look at the inputs do, all layers with the same input have the same order.
            var orders: [Int: [Int32]] = [:]
            for (name, outputs, inputs) in Self.sizes(layer) {
                if scheme.actOrder, orders[inputs] == nil, case .integers(_, let size?, _) = scheme.weights {
                    orders[inputs] = (0..<inputs).map { Int32($0 / size) }.shuffled(using: &random)
                }
                let made = weights(outputs, inputs, &random, index: orders[inputs])
                let weights = change(name, made, &random)
                codes += tensors(weights, name, outputs, inputs)
                twins.append(Self.stored(name + ".weight", weights.values, [outputs, inputs], type))
            }
        }
        let (quantized, twin) = (try ModelDirectory(), try ModelDirectory())
        try quantized.write(configuration(quantized: true))
        try twin.write(configuration(quantized: false))
        try quantized.write(codes)
        try twin.write(twins)
        return (quantized, twin)
    }

    func tensors(_ weights: LayerWeights, _ name: String, _ outputs: Int, _ inputs: Int)
        -> [QuantizedTensors.Stored]
    {
        switch weights {
        case .plain(let values): [Self.stored(name + ".weight", values, [outputs, inputs], type)]
        case .float8(let matrix): QuantizedTensors.tensors(of: matrix, module: name)
        case .integers(let matrix):
            QuantizedTensors.tensors(
                of: matrix, module: name, format: scheme.format,
                dynamicActivations: scheme.dynamicActivations, scaleType: .f32)
        }
    }
}

/// What a model makes of some tokens: a prompt, then tokens one by one.
enum TinyPass {
    static func logits(
        _ model: CausalLanguageModel, _ pool: ThreadPool, _ ids: [Int32], prompt: Int,
        adapter: LoRAAdapter? = nil
    ) throws -> [Float] {
        let vocabulary = model.configuration.vocabSize, hidden = model.configuration.hiddenSize
        let cache = try KVCache(model.configuration, blockCount: 4, isHalf: model.usesHalfCache)
        let workspace = try Workspace(model, maxTokens: ids.count, pool: pool)
        let states = try MemoryRegion(byteCount: ids.count * hidden * 4, purpose: "states")
        let logits = try MemoryRegion(byteCount: ids.count * vocabulary * 4, purpose: "logits")
        var result: [Float] = []
        var start = 0
        while start < ids.count {
            let part = start == 0 ? Array(ids[0..<prompt]) : [ids[start]]
            var batch = ForwardBatch()
            batch.append(
                part, start: start, slots: (start..<start + part.count).map { Int32($0) },
                blockTable: [0, 1, 2, 3], adapter: adapter)
            batch.outputRows = Array(part.indices)
            model.forward(batch, cache: cache, workspace: workspace, into: states.floats)
            model.logits(states.floats, count: part.count, into: logits.floats, workspace: workspace)
            result += UnsafeBufferPointer(start: logits.floats, count: part.count * vocabulary)
            start += part.count
        }
        return withExtendedLifetime((states, logits)) { result }
    }
}
