// From the tensors of a model directory to layers: names, shapes, formats.

import Tensors

/// How weights are kept once loaded.
package enum WeightQuantization: String, Sendable, Hashable, CaseIterable {
    /// In the type that the files have.
    case stored
    /// Linear layers as 8-bit codes, a scale for each 128 inputs.
    case int8
    /// Linear layers as 4-bit codes, a scale for each 128 inputs; the output layer as 8-bit codes.
    case int4
}

/// Reads the parts of one model.
struct WeightLoader {
    let configuration: ModelConfiguration
    let tensors: SafetensorsModel
    let quantization: WeightQuantization
    let pool: ThreadPool
    /// Where the files have codes, and the arithmetic for them.
    private let checkpoint: QuantizedCheckpoint?
    private let arithmetic: QuantizedArithmetic
    /// `model.`, or nothing in a checkpoint that was saved without its output layer.
    private let prefix: String

    init(
        _ configuration: ModelConfiguration, _ tensors: SafetensorsModel, _ quantization: WeightQuantization,
        _ pool: ThreadPool, quantized: QuantizationConfiguration? = nil,
        arithmetic: QuantizedArithmetic = .dequantized
    ) {
        self.configuration = configuration
        self.tensors = tensors
        self.quantization = quantization
        self.pool = pool
        checkpoint = quantized.map { QuantizedCheckpoint(configuration: $0, tensors: tensors) }
        self.arithmetic = arithmetic
        let hasPrefix = tensors.tensor("model.embed_tokens.weight") != nil
        prefix = hasPrefix || tensors.tensor("embed_tokens.weight") == nil ? "model." : ""
    }

    /// The file's name of a part: `layers.0.mlp.up_proj` with the prefix.
    func name(_ part: String) -> String { prefix + part }

    /// Where the tensors of layer `index` begin.
    func layer(_ index: Int) -> String { "\(prefix)layers.\(index)." }

    /// A tensor of exactly that shape.
    func tensor(_ name: String, _ shape: [Int]) throws -> TensorView {
        guard let tensor = tensors.tensor(name) else {
            throw ModelError(
                file: tensors.directory, problem: "the weights have no tensor \"\(name)\"",
                remedy: "download the model again, or use weights that belong to this config.json")
        }
        guard tensor.shape == shape else {
            throw ModelError(
                file: tensor.file,
                problem: "tensor \"\(name)\" has shape \(tensor.shape), and config.json asks for \(shape)",
                remedy: "use weights and config.json of the same model")
        }
        guard tensor.elementType.kernelType != nil, tensor.elementType != .i8 else {
            throw ModelError(
                file: tensor.file,
                problem:
                    "tensor \"\(name)\" is stored as \(tensor.elementType.rawValue), which is not there yet",
                remedy: "use weights in F32, BF16 or F16")
        }
        return tensor
    }

    func vector(_ name: String, _ count: Int) throws -> [Float] { try tensor(name, [count]).floats() }

    func norm(_ name: String, _ size: Int) throws -> RMSNorm {
        RMSNorm(weight: try vector(name + ".weight", size), epsilon: configuration.rmsNormEps)
    }

    /// One or several linear layers with the same input, made one.
    /// - Parameter biased: whether each has a bias.
    func linear(_ parts: [(name: String, outputs: Int)], inputs: Int, biased: Bool) throws -> Linear {
        let weights = try weights(parts, inputs: inputs)
        var bias: [Float] = []
        var described: [Linear.Part] = []
        var row = 0
        for part in parts {
            if biased { bias += try vector(part.name + ".bias", part.outputs) }
            described.append(Linear.Part(name: part.name, outputs: row..<row + part.outputs))
            row += part.outputs
        }
        return Linear(weights: weights, bias: biased ? bias : nil, parts: described)
    }

    private func weights(_ parts: [(name: String, outputs: Int)], inputs: Int) throws -> PackedWeights {
        if let weights = try quantizedWeights(parts, inputs: inputs) { return weights }
        let sources = try parts.map { try tensor($0.name + ".weight", [$0.outputs, inputs]) }
        let weights = try PackedWeights(
            format: format(of: sources), rows: parts.reduce(0) { $0 + $1.outputs }, columns: inputs,
            purpose: "the weights of \(parts[0].name)")
        var row = 0
        for source in sources {
            weights.pack(source, atRow: row, pool: pool)
            row += source.shape[0]
            // The file's pages have been read once and are not needed again.
            source.release()
        }
        return weights
    }

    /// The output layer is more sensitive, and read once a token whatever the batch.
    func head(_ module: String) throws -> PackedWeights {
        let size = (name: module, outputs: configuration.vocabSize)
        if let weights = try quantizedWeights([size], inputs: configuration.hiddenSize) { return weights }
        let name = module + ".weight"
        let source = try tensor(name, [configuration.vocabSize, configuration.hiddenSize])
        let format = quantization == .stored ? self.format(of: [source]) : .int8
        let weights = try PackedWeights(
            format: format, rows: configuration.vocabSize, columns: configuration.hiddenSize,
            purpose: "the output layer")
        weights.pack(source, atRow: 0, pool: pool)
        source.release()
        return weights
    }

    private func format(of sources: [TensorView]) -> WeightFormat {
        switch quantization {
        case .int8: return .int8
        case .int4: return .int4
        case .stored:
            let types = Set(sources.map(\.elementType))
            if types.isSubset(of: [.bf16, .f8E4M3]) { return .bfloat16 }
            return types == [.f16] ? .float16 : .float32
        }
    }
}

// MARK: Quantized checkpoints

extension WeightLoader {
    /// Codes unpacked at a time, in bytes.
    private static let pieceBytes = 16 << 20

    /// Layers of a quantized checkpoint as one, nil if none of them is quantized.
    ///
    /// Layers that are quantized in the same way keep their codes. Where they differ - some are left as they were, or
    /// have other bits, groups or orders - there is one matrix of numbers, as dequantizing gives them: queries, keys
    /// and values have the same inputs, so that methods that look at these give them the same order.
    private func quantizedWeights(
        _ parts: [(name: String, outputs: Int)], inputs: Int
    ) throws -> PackedWeights? {
        guard let checkpoint else { return nil }
        let modules = try parts.map { try checkpoint.module($0.name, outputs: $0.outputs, inputs: inputs) }
        guard modules.contains(where: { $0 != nil }) else { return nil }
        let purpose = "the weights of \(parts[0].name)"
        let rows = parts.reduce(0) { $0 + $1.outputs }
        if let plan = CodePlan(modules.compactMap(\.self), of: parts.count, dequantizedType, arithmetic) {
            let weights = try plan.weights(rows: rows, purpose: purpose)
            var row = 0
            for module in modules.compactMap(\.self) {
                try pieces(module) { try plan.pack($0, of: module, into: weights, atRow: row, pool: pool) }
                row += module.outputs
                module.tensor.release()
            }
            return weights
        }
        let weights = try PackedWeights(
            format: dequantizedType, rows: rows, columns: inputs, purpose: purpose)
        var row = 0
        for (part, module) in zip(parts, modules) {
            if let module {
                try pieces(module) {
                    weights.pack(
                        try module.dequantized($0), count: $0.count, atRow: row + $0.lowerBound, pool: pool)
                }
                module.tensor.release()
            } else {
                let source = try tensor(part.name + ".weight", [part.outputs, inputs])
                weights.pack(source, atRow: row, pool: pool)
                source.release()
            }
            row += part.outputs
        }
        return weights
    }

    /// Whole panels of rows, few enough at a time.
    private func pieces(_ module: QuantizedModule, _ body: (Range<Int>) throws -> Void) throws {
        let step = max(48, Self.pieceBytes / module.inputs / 48 * 48)
        for start in stride(from: 0, to: module.outputs, by: step) {
            try body(start..<min(start + step, module.outputs))
        }
    }

    /// What config.json says that dequantized weights are: products are as those of a model saved so.
    private var dequantizedType: WeightFormat {
        switch configuration.torchDtype {
        case .bf16: .bfloat16
        case .f16: .float16
        default: .float32
        }
    }
}

// MARK: What the families share

extension WeightLoader {
    /// Queries, keys and values as one layer, and the output projection.
    func attention(
        layer index: Int, queryNorm: RMSNorm? = nil, keyNorm: RMSNorm? = nil
    ) throws -> Attention {
        let prefix = layer(index) + "self_attn."
        let (query, keyValue) = (configuration.querySize, configuration.keyValueSize)
        return Attention(
            qkv: try linear(
                [
                    (name: prefix + "q_proj", outputs: query), (name: prefix + "k_proj", outputs: keyValue),
                    (name: prefix + "v_proj", outputs: keyValue),
                ], inputs: configuration.hiddenSize, biased: configuration.attentionBias),
            output: try linear(
                [(name: prefix + "o_proj", outputs: configuration.hiddenSize)], inputs: query,
                biased: configuration.attentionOutputBias),
            queryNorm: queryNorm, keyNorm: keyNorm, heads: configuration.numAttentionHeads,
            keyValueHeads: configuration.numKeyValueHeads, headDim: configuration.headDim,
            window: configuration.window(layer: index) ?? 0)
    }

    func feedForward(layer index: Int) throws -> FeedForward {
        let prefix = layer(index) + "mlp."
        let (hidden, intermediate) = (configuration.hiddenSize, configuration.intermediateSize)
        return FeedForward(
            gateUp: try linear(
                [
                    (name: prefix + "gate_proj", outputs: intermediate),
                    (name: prefix + "up_proj", outputs: intermediate),
                ], inputs: hidden, biased: configuration.mlpBias),
            down: try linear(
                [(name: prefix + "down_proj", outputs: hidden)], inputs: intermediate,
                biased: configuration.mlpBias))
    }

    func decoderLayer(_ index: Int, attention: Attention) throws -> DecoderLayer {
        DecoderLayer(
            inputNorm: try norm(layer(index) + "input_layernorm", configuration.hiddenSize),
            attention: attention,
            postAttentionNorm: try norm(layer(index) + "post_attention_layernorm", configuration.hiddenSize),
            feedForward: try feedForward(layer: index))
    }
}
