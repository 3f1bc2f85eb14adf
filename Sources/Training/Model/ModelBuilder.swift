// From a configuration, weights and a plan of what is trained to a model.

package import Models
package import Tensors

/// What of a model is trained, and how the rest is kept.
package struct TrainingPlan {
    /// A low-rank change of one linear layer.
    package struct Adapter {
        package var rank: Int
        package var scaling: Double
        package var usesMagnitude: Bool
        /// Values to begin with; nil: A is drawn, B is zero, magnitudes are the weight's row norms.
        package var values: Values?

        package init(rank: Int, scaling: Double, usesMagnitude: Bool, values: Values? = nil) {
            self.rank = rank
            self.scaling = scaling
            self.usesMagnitude = usesMagnitude
            self.values = values
        }
    }

    package struct Values {
        package var a: [Float]
        package var b: [Float]
        package var magnitude: [Float]?

        package init(a: [Float], b: [Float], magnitude: [Float]? = nil) {
            self.a = a
            self.b = b
            self.magnitude = magnitude
        }
    }

    /// By the linear layer's name: `model.layers.0.self_attn.q_proj`.
    package var adapters: [String: Adapter] = [:]
    /// Whether the adapters are trained, or only there (a reference's).
    package var trainsAdapters = true
    package var dropout = 0.0
    /// Whether the parameter of that name, such as `model.norm.weight`, is trained itself.
    package var isTrained: (String) -> Bool = { _ in false }
    /// Values that count over the checkpoint's (`modules_to_save` of an adapter).
    package var replacements: [String: [Float]] = [:]
    /// How linear layers that are not trained are kept; nil: as stored.
    package var quantization: BlockFormat?
    package var seed: UInt64 = 42

    package init() {}
}

/// Builds models. Names are those of transformers: `model.layers.0.mlp.up_proj.weight`.
package struct ModelBuilder {
    let configuration: ModelConfiguration
    let source: any WeightSource
    let plan: TrainingPlan
    let precision: Precision
    let backend: any ComputeBackend
    /// Frozen weights of another model of the same files, which both then have.
    private var shared: [String: LinearWeight] = [:]

    /// - Parameter sharing: a model whose frozen weights this one uses too.
    package init(
        configuration: ModelConfiguration, source: any WeightSource, plan: TrainingPlan, precision: Precision,
        backend: any ComputeBackend, sharing: TransformerModel? = nil
    ) {
        if let sharing { shared = sharing.frozenWeights }
        self.configuration = configuration
        self.source = source
        self.plan = plan
        self.precision = precision
        self.backend = backend
    }

    /// - Throws: `ModelError`, `SafetensorsError` or `OutOfMemory`.
    package func build() throws -> TransformerModel {
        let (vocabulary, hidden) = (configuration.vocabSize, configuration.hiddenSize)
        let embeddingName = "model.embed_tokens.weight"
        let embedding = try parameter(embeddingName, [vocabulary, hidden])
        // A saved output layer of an adapter is no longer tied to the embedding.
        let isTied =
            configuration.tieWordEmbeddings && plan.replacements["lm_head.weight"] == nil
            && !plan.isTrained("lm_head.weight")
        let head = isTied ? embedding : try untiedHead([vocabulary, hidden], embeddingName)
        let layers = try (0..<configuration.numHiddenLayers).map(layer)
        return TransformerModel(
            configuration: configuration, backend: backend, precision: precision, embedding: embedding,
            layers: layers, norm: try norm("model.norm", hidden), output: OutputLayer(weight: head))
    }

    private func untiedHead(_ shape: [Int], _ embeddingName: String) throws -> Parameter {
        try parameter(
            "lm_head.weight", shape, storedName: configuration.tieWordEmbeddings ? embeddingName : nil)
    }

    private func layer(_ index: Int) throws -> TransformerLayer {
        let prefix = "model.layers.\(index)."
        let (hidden, intermediate) = (configuration.hiddenSize, configuration.intermediateSize)
        return TransformerLayer(
            inputNorm: try norm(prefix + "input_layernorm", hidden),
            attention: try attention(prefix + "self_attn.", index),
            postAttentionNorm: try norm(prefix + "post_attention_layernorm", hidden),
            feedForward: GatedFeedForward(
                gateUp: try group(
                    [(prefix + "mlp.gate_proj", intermediate), (prefix + "mlp.up_proj", intermediate)],
                    inputs: hidden, biased: configuration.mlpBias, number: 4 * index + 2),
                down: try group(
                    [(prefix + "mlp.down_proj", hidden)], inputs: intermediate, biased: configuration.mlpBias,
                    number: 4 * index + 3),
                intermediateSize: intermediate))
    }

    private func attention(_ prefix: String, _ index: Int) throws -> SelfAttention {
        let (query, keyValue) = (configuration.querySize, configuration.keyValueSize)
        let normalizes = configuration.architecture == .qwen3
        func headNorm(_ name: String, _ heads: Int) throws -> RMSNormLayer? {
            normalizes ? try norm(prefix + name, configuration.headDim, groups: heads) : nil
        }
        return SelfAttention(
            qkv: try group(
                [(prefix + "q_proj", query), (prefix + "k_proj", keyValue), (prefix + "v_proj", keyValue)],
                inputs: configuration.hiddenSize, biased: configuration.attentionBias, number: 4 * index),
            output: try group(
                [(prefix + "o_proj", configuration.hiddenSize)], inputs: query,
                biased: configuration.attentionOutputBias, number: 4 * index + 1),
            queryNorm: try headNorm("q_norm", configuration.numAttentionHeads),
            keyNorm: try headNorm("k_norm", configuration.numKeyValueHeads),
            shape: AttentionShape(
                heads: configuration.numAttentionHeads, keyValueHeads: configuration.numKeyValueHeads,
                headDim: configuration.headDim, window: configuration.window(layer: index) ?? 0))
    }

    private func norm(_ name: String, _ size: Int, groups: Int = 1) throws -> RMSNormLayer {
        RMSNormLayer(
            weight: try parameter(name + ".weight", [size]), epsilon: configuration.rmsNormEps, groups: groups
        )
    }

    // MARK: Linear layers

    private func group(
        _ parts: [(name: String, outputs: Int)], inputs: Int, biased: Bool, number: Int
    ) throws -> LinearGroup {
        let ranks = parts.map { plan.adapters[$0.name]?.rank ?? 0 }
        let total = ranks.reduce(0, +)
        var (stacked, gradient): (Matrix?, Matrix?)
        if total > 0 {
            stacked = try floats(total, inputs, "adapters")
            if plan.trainsAdapters { gradient = try floats(total, inputs, "gradients of adapters") }
        }
        var made: [LinearPart] = []
        var row = 0
        for (part, rank) in zip(parts, ranks) {
            let weight = try weight(part.name, [part.outputs, inputs])
            var adapter: LowRankAdapter?
            if rank > 0, let stacked, let wanted = plan.adapters[part.name] {
                adapter = try self.adapter(
                    part.name, wanted, weight, outputs: part.outputs, rows: row..<row + rank, stacked,
                    gradient)
            }
            row += rank
            made.append(
                LinearPart(
                    name: part.name, outputs: part.outputs, weight: weight,
                    bias: biased ? try parameter(part.name + ".bias", [part.outputs]) : nil, adapter: adapter)
            )
        }
        return LinearGroup(
            inputs: inputs, parts: made, stackedA: stacked, stackedGradient: gradient,
            dropout: Float(plan.trainsAdapters ? plan.dropout : 0), number: number)
    }

    private func weight(_ name: String, _ shape: [Int]) throws -> LinearWeight {
        guard let format = plan.quantization, !plan.isTrained(name + ".weight") else {
            return .dense(try parameter(name + ".weight", shape))
        }
        if let weight = shared[name + ".weight"] { return weight }
        let stored = try source.frozen(name + ".weight", shape, precision, backend)
        return .quantized(try backend.quantize(stored, as: format))
    }

    private func adapter(
        _ name: String, _ wanted: TrainingPlan.Adapter, _ weight: LinearWeight, outputs: Int,
        rows: Range<Int>,
        _ stacked: Matrix, _ stackedGradient: Matrix?
    ) throws -> LowRankAdapter {
        let (a, rank) = (stacked.rows(rows), wanted.rank)
        let b = try floats(outputs, rank, name)
        if let values = wanted.values {
            values.a.withUnsafeBytes { backend.upload($0, to: a) }
            values.b.withUnsafeBytes { backend.upload($0, to: b) }
        } else {
            // Kaiming uniform with a = sqrt(5), which is this bound; see `LoraLayer.reset_lora_parameters` in PEFT.
            backend.fillUniform(
                a, bound: 1 / Float(a.columns).squareRoot(), seed: plan.seed ^ NameHash.of(name + ".lora_A"))
        }
        var magnitude: Parameter?
        if wanted.usesMagnitude {
            let matrix = try floats(1, outputs, name)
            if let values = wanted.values?.magnitude {
                values.withUnsafeBytes { backend.upload($0, to: matrix) }
            } else {
                try fillRowNorms(weight, into: matrix)
            }
            magnitude = try adapterParameter(name + ".lora_magnitude_vector", [outputs], matrix)
        }
        return LowRankAdapter(
            a: Parameter(
                name: name + ".lora_A.weight", shape: [rank, a.columns], value: a,
                gradient: stackedGradient?.rows(rows)),
            b: try adapterParameter(name + ".lora_B.weight", [outputs, rank], b), magnitude: magnitude,
            scaling: Float(wanted.scaling), rows: rows)
    }

    private func adapterParameter(_ name: String, _ shape: [Int], _ value: Matrix) throws -> Parameter {
        Parameter(
            name: name, shape: shape, value: value,
            gradient: plan.trainsAdapters ? try floats(value.rows, value.columns, "gradients") : nil)
    }

    private func fillRowNorms(_ weight: LinearWeight, into norms: Matrix) throws {
        switch weight {
        case .dense(let parameter): backend.rowNorms(parameter.value, into: norms)
        case .quantized(let codes):
            let matrix = try floats(codes.rows, codes.columns, "magnitudes")
            backend.dequantize(codes, into: matrix)
            backend.rowNorms(matrix, into: norms)
        }
    }

    // MARK: Parameters

    private func floats(_ rows: Int, _ columns: Int, _ purpose: String) throws(OutOfMemory) -> Matrix {
        Matrix(
            memory: try backend.allocate(byteCount: rows * columns * 4, purpose: purpose), type: .f32,
            rows: rows, columns: columns)
    }

    /// - Parameter storedName: the checkpoint's name, where it differs.
    private func parameter(
        _ name: String, _ shape: [Int], storedName: String? = nil
    ) throws -> Parameter {
        let (rows, columns) = shape.count == 1 ? (1, shape[0]) : (shape[0], shape[1])
        let replacement = plan.replacements[name]
        guard plan.isTrained(name) || replacement != nil else {
            if case .dense(let parameter) = shared[name] { return parameter }
            let value = try source.frozen(storedName ?? name, shape, precision, backend)
            return Parameter(name: name, shape: shape, value: value)
        }
        let value = try floats(rows, columns, name)
        if let replacement {
            replacement.withUnsafeBytes { backend.upload($0, to: value) }
        } else {
            try source.fill(value, storedName ?? name, shape, backend)
        }
        let gradient = plan.isTrained(name) ? try floats(rows, columns, "gradients of \(name)") : nil
        return Parameter(name: name, shape: shape, value: value, gradient: gradient)
    }
}
