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
    /// `model.`, or nothing in a checkpoint that was saved without its output layer.
    private let prefix: String

    init(
        _ configuration: ModelConfiguration, _ tensors: SafetensorsModel, _ quantization: WeightQuantization,
        _ pool: ThreadPool
    ) {
        self.configuration = configuration
        self.tensors = tensors
        self.quantization = quantization
        self.pool = pool
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
        let sources = try parts.map { try tensor($0.name + ".weight", [$0.outputs, inputs]) }
        let weights = try PackedWeights(
            format: format(of: sources), rows: parts.reduce(0) { $0 + $1.outputs }, columns: inputs,
            purpose: "the weights of \(parts[0].name)")
        var bias: [Float] = []
        var described: [Linear.Part] = []
        var row = 0
        for (part, source) in zip(parts, sources) {
            weights.pack(source, atRow: row, pool: pool)
            // The file's pages have been read once and are not needed again.
            source.release()
            if biased { bias += try vector(part.name + ".bias", part.outputs) }
            described.append(Linear.Part(name: part.name, outputs: row..<row + part.outputs))
            row += part.outputs
        }
        return Linear(weights: weights, bias: biased ? bias : nil, parts: described)
    }

    /// The output layer is more sensitive, and read once a token whatever the batch.
    func head(_ name: String) throws -> PackedWeights {
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
