// A decoder-only language model: its weights, and the way from tokens to logits.

import CKernels
package import Tensors

/// Embedding, decoder layers, final normalization, output layer. Weights never change after loading.
package final class CausalLanguageModel: Sendable {
    package let directory: String
    package let configuration: ModelConfiguration
    package let quantization: WeightQuantization
    let embedding: Embedding
    let layers: [DecoderLayer]
    let norm: RMSNorm
    /// [vocabSize, hiddenSize].
    let head: PackedWeights

    /// Loads a directory in the layout of the Hugging Face hub.
    /// - Parameters:
    ///   - quantization: how to keep weights that the files have in 16 or 32 bits.
    ///   - arithmetic: the products of weights that the files have in 8 or 4 bits.
    ///   - progress: called with the number of layers loaded.
    /// - Throws: `ConfigurationError`, `SafetensorsError`, `ModelError` or `OutOfMemory`.
    package init(
        directory: String, quantization: WeightQuantization = .stored,
        arithmetic: QuantizedArithmetic = .dequantized, pool: ThreadPool,
        progress: (Int) -> Void = { _ in }
    ) throws {
        self.directory = directory
        self.quantization = quantization
        configuration = try ModelConfiguration(directory: directory)
        let quantized = try QuantizationConfiguration(directory: directory, configuration)
        if let quantized, quantization != .stored {
            throw ModelError(
                file: "\(directory)/config.json",
                problem: "the weights are quantized already, by \(quantized.name)",
                remedy:
                    "leave out --quant \(quantization.rawValue), or use the model's 16-bit weights with it")
        }
        let tensors = try SafetensorsModel(directory: directory)
        let loader = WeightLoader(
            configuration, tensors, quantization, pool, quantized: quantized, arithmetic: arithmetic)
        let embeddingName = loader.name("embed_tokens")
        if configuration.tieWordEmbeddings {
            head = try loader.head(embeddingName)
            embedding = .tied(head)
        } else {
            head = try loader.head("lm_head")
            embedding = .stored(
                try loader.tensor(
                    embeddingName + ".weight", [configuration.vocabSize, configuration.hiddenSize]))
        }
        var layers: [DecoderLayer] = []
        for index in 0..<configuration.numHiddenLayers {
            switch configuration.architecture {
            case .llama: layers.append(try Llama.layer(index, loader))
            case .mistral: layers.append(try Mistral.layer(index, loader))
            case .qwen2: layers.append(try Qwen2.layer(index, loader))
            case .qwen3: layers.append(try Qwen3.layer(index, loader))
            }
            progress(index + 1)
        }
        self.layers = layers
        norm = try loader.norm(loader.name("norm"), configuration.hiddenSize)
        // What was read of the files is packed now, but for the rows that an embedding looks up.
        tensors.release()
    }

    /// Whether keys and values are cached as bf16: wherever the arithmetic is no finer than that.
    package var usesHalfCache: Bool {
        switch layers.first?.attention.qkv.weights.products {
        case .float32, .float16: false
        default: true
        }
    }

    /// How an adapter's matrices are kept.
    package var adapterFormat: WeightFormat { usesHalfCache ? .bfloat16 : .float32 }

    /// Bytes of the packed weights.
    package var weightByteCount: Int {
        linears.reduce(head.byteCount) { $0 + $1.weights.byteCount }
    }

    private var linears: [Linear] {
        layers.flatMap {
            [$0.attention.qkv, $0.attention.output, $0.feedForward.gateUp, $0.feedForward.down]
        }
    }

    /// Inputs and outputs of each linear layer of the decoder, by its name.
    package var linearSizes: [String: (inputs: Int, outputs: Int)] {
        var sizes: [String: (inputs: Int, outputs: Int)] = [:]
        for linear in linears {
            for part in linear.parts { sizes[part.name] = (linear.inputSize, part.outputs.count) }
        }
        return sizes
    }

    /// Scratch memory for products of up to `count` rows, an adapter's included.
    func scratchByteCount(rows count: Int, threads: Int) -> Int {
        var bytes = head.scratchByteCount(rows: count, threads: threads)
        for linear in linears {
            var adapter = ck_weights_layout(
                adapterFormat.kernelFormat, 64, Int64(max(linear.inputSize, linear.outputSize)), 0)
            adapter.data = nil
            bytes = max(
                bytes, linear.weights.scratchByteCount(rows: count, threads: threads),
                Int(ck_linear_scratch_bytes(&adapter, Int64(count), Int32(threads))))
        }
        return bytes
    }
}

// MARK: The forward pass

extension CausalLanguageModel {
    /// Runs a step: stores its keys and values in the cache and computes the final, normalized hidden states of
    /// `batch.outputRows`.
    ///
    /// - Parameters:
    ///   - output: [batch.outputRows.count, hiddenSize].
    ///   - observe: called with the number of layers done, from 0, and the hidden states [batch.count, hiddenSize]
    ///     then.
    package func forward(
        _ batch: ForwardBatch, cache: KVCache, workspace: Workspace, into output: UnsafeMutablePointer<Float>,
        observe: (Int, UnsafeBufferPointer<Float>) -> Void = { _, _ in }
    ) {
        let hiddenSize = configuration.hiddenSize
        let x = workspace.hidden
        workspace.begin(batch)
        embedding.forward(batch.tokenIDs, hiddenSize: hiddenSize, into: x)
        observe(0, UnsafeBufferPointer(start: x, count: batch.count * hiddenSize))
        for (index, layer) in layers.enumerated() {
            layer.forward(x, layer: index, cache: cache, workspace)
            observe(index + 1, UnsafeBufferPointer(start: x, count: batch.count * hiddenSize))
        }
        for (index, row) in batch.outputRows.enumerated() {
            norm.forward(
                x + row * hiddenSize, count: 1, xStride: hiddenSize, into: output + index * hiddenSize,
                yStride: hiddenSize, workspace)
        }
    }

    /// The output layer: logits [count, vocabSize] of normalized hidden states [count, hiddenSize]. `count` is at
    /// most the workspace's `maxTokens`.
    package func logits(
        _ hidden: UnsafePointer<Float>, count: Int, into logits: UnsafeMutablePointer<Float>,
        workspace: Workspace
    ) {
        precondition(count <= workspace.maxTokens, "more rows than the workspace has room for")
        head.multiply(
            hidden, count: count, xStride: configuration.hiddenSize, bias: nil, into: logits,
            yStride: configuration.vocabSize, scratch: workspace.scratch, pool: workspace.pool)
    }
}
