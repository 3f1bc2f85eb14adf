// What a model is made of, as far as tuning chooses among it: parameters and linear layers by name and size.

package import Models

/// The parameters of a model, each once, and its linear layers.
package struct TunableModel: Sendable, Hashable {
    package struct Parameter: Sendable, Hashable {
        /// As the model's files have it: `model.layers.0.self_attn.q_proj.weight`.
        package var name: String
        package var shape: [Int]

        package init(_ name: String, _ shape: [Int]) {
            self.name = name
            self.shape = shape
        }

        package var elementCount: Int { shape.reduce(1, *) }
    }

    /// A layer y = x Wᵀ with W [outputs, inputs].
    package struct Linear: Sendable, Hashable {
        package var name: String
        package var inputs: Int
        package var outputs: Int

        package init(_ name: String, inputs: Int, outputs: Int) {
            self.name = name
            self.inputs = inputs
            self.outputs = outputs
        }
    }

    package static let embedding = "model.embed_tokens"
    package static let head = "lm_head"

    /// In the model's order. A tied output layer has none of its own.
    package var parameters: [Parameter]
    /// In the model's order, the output layer last, also where it is tied.
    package var linears: [Linear]
    package var tieWordEmbeddings: Bool

    package init(parameters: [Parameter], linears: [Linear], tieWordEmbeddings: Bool) {
        self.parameters = parameters
        self.linears = linears
        self.tieWordEmbeddings = tieWordEmbeddings
    }

    package init(_ configuration: ModelConfiguration) {
        let hidden = configuration.hiddenSize
        let table = [configuration.vocabSize, hidden]
        self.init(
            parameters: [Parameter(Self.embedding + ".weight", table)], linears: [],
            tieWordEmbeddings: configuration.tieWordEmbeddings)
        for index in 0..<configuration.numHiddenLayers { addLayer(index, configuration) }
        parameters.append(Parameter("model.norm.weight", [hidden]))
        linears.append(Linear(Self.head, inputs: hidden, outputs: configuration.vocabSize))
        if !tieWordEmbeddings { parameters.append(Parameter(Self.head + ".weight", table)) }
    }

    private mutating func addLayer(_ index: Int, _ configuration: ModelConfiguration) {
        let prefix = "model.layers.\(index)."
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let (query, keyValue) = (configuration.querySize, configuration.keyValueSize)
        let (bias, outputBias) = (configuration.attentionBias, configuration.attentionOutputBias)
        add(prefix + "self_attn.q_proj", inputs: hidden, outputs: query, biased: bias)
        add(prefix + "self_attn.k_proj", inputs: hidden, outputs: keyValue, biased: bias)
        add(prefix + "self_attn.v_proj", inputs: hidden, outputs: keyValue, biased: bias)
        add(prefix + "self_attn.o_proj", inputs: query, outputs: hidden, biased: outputBias)
        if configuration.architecture == .qwen3 {
            for norm in ["q_norm", "k_norm"] {
                parameters.append(Parameter("\(prefix)self_attn.\(norm).weight", [configuration.headDim]))
            }
        }
        add(prefix + "mlp.gate_proj", inputs: hidden, outputs: inner, biased: configuration.mlpBias)
        add(prefix + "mlp.up_proj", inputs: hidden, outputs: inner, biased: configuration.mlpBias)
        add(prefix + "mlp.down_proj", inputs: inner, outputs: hidden, biased: configuration.mlpBias)
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            parameters.append(Parameter("\(prefix)\(norm).weight", [hidden]))
        }
    }

    private mutating func add(_ name: String, inputs: Int, outputs: Int, biased: Bool) {
        linears.append(Linear(name, inputs: inputs, outputs: outputs))
        parameters.append(Parameter(name + ".weight", [outputs, inputs]))
        if biased { parameters.append(Parameter(name + ".bias", [outputs])) }
    }

    /// The names of all modules that hold parameters, directly or in modules of theirs: `model.layers.0.mlp`.
    package var modules: [String] {
        var seen: Set<String> = []
        var modules: [String] = []
        for name in parameters.map(\.name) + linears.map({ $0.name + ".weight" }) {
            let parts = name.split(separator: ".")
            for count in 1..<max(parts.count, 1) {
                let module = parts.prefix(count).joined(separator: ".")
                if seen.insert(module).inserted { modules.append(module) }
            }
        }
        return modules
    }
}
