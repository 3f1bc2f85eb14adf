// config.json: the shape of a model. Fields have the names of the hub in camel case, and what is not written
// means what it means in transformers.

package import Tensors
package import Text

/// What config.json says of a model, in the style of transformers 4 (`rope_scaling`, `torch_dtype`) or 5
/// (`rope_parameters`, `dtype`). All numbers are within limits that keep their products small enough to compute.
package struct ModelConfiguration: Sendable, Hashable {
    package static let fileName = "config.json"
    /// The largest `max_position_embeddings`.
    package static let maximumPositions = 1 << 28

    /// What a layer's tokens look back at.
    package enum LayerType: String, Sendable, Hashable {
        case full = "full_attention"
        case sliding = "sliding_attention"
    }

    package var architecture: Architecture
    package var vocabSize: Int
    package var hiddenSize: Int
    package var intermediateSize: Int
    package var numHiddenLayers: Int
    package var numAttentionHeads: Int
    package var numKeyValueHeads: Int
    package var headDim: Int
    package var maxPositionEmbeddings: Int
    package var rmsNormEps: Float
    package var ropeTheta: Double
    package var ropeScaling: RopeScaling
    /// The output layer has the embedding's weights.
    package var tieWordEmbeddings: Bool
    /// The projections of queries, keys and values have a bias.
    package var attentionBias: Bool
    /// The projection after attention has a bias.
    package var attentionOutputBias: Bool
    package var mlpBias: Bool
    /// How many positions a token of a sliding layer sees, its own included; nil if no layer slides.
    package var slidingWindow: Int?
    /// One for each layer.
    package var layerTypes: [LayerType]
    package var bosTokenID: Int32?
    package var eosTokenIDs: [Int32]
    package var padTokenID: Int32?
    /// The type that the weights were saved in; what the file of weights says counts.
    package var torchDtype: ElementType
    /// `quantization_config` as it is written.
    package var quantization: OrderedJSON?
    /// The whole file, for writing it again beside changed weights.
    package var json: OrderedJSON

    /// Reads `config.json`.
    package init(directory: String) throws(ConfigurationError) {
        try self.init(ConfigurationFields(path: "\(directory)/\(Self.fileName)"))
    }

    /// - Parameter file: the path, for errors.
    package init(parsing bytes: [UInt8], file: String) throws(ConfigurationError) {
        try self.init(ConfigurationFields(parsing: bytes, file: file))
    }

    /// How many positions a token of the layer sees, its own included; nil for all.
    package func window(layer: Int) -> Int? {
        layerTypes[layer] == .sliding ? slidingWindow : nil
    }

    /// Length of all query heads together.
    package var querySize: Int { numAttentionHeads * headDim }
    /// Length of all key (or value) heads together.
    package var keyValueSize: Int { numKeyValueHeads * headDim }
}

// MARK: Reading

extension ModelConfiguration {
    private init(_ fields: ConfigurationFields) throws(ConfigurationError) {
        let architecture = try Architecture(fields)
        let defaults = architecture.defaults
        self.architecture = architecture
        json = fields.json
        vocabSize = try fields.int("vocab_size", in: 1...(1 << 24)) ?? defaults.vocabSize
        hiddenSize = try fields.int("hidden_size", in: 1...(1 << 18)) ?? 4096
        intermediateSize = try fields.int("intermediate_size", in: 1...(1 << 21)) ?? defaults.intermediateSize
        numHiddenLayers = try fields.int("num_hidden_layers", in: 1...4096) ?? 32
        let heads = try Heads(fields, defaults, hiddenSize: hiddenSize)
        (numAttentionHeads, numKeyValueHeads, headDim) = (heads.attention, heads.keyValue, heads.dimension)
        maxPositionEmbeddings =
            try fields.int("max_position_embeddings", in: 1...Self.maximumPositions)
            ?? defaults.maxPositionEmbeddings
        rmsNormEps = Float(try fields.double("rms_norm_eps", in: 1e-30...1) ?? 1e-6)
        (ropeTheta, ropeScaling) = try RopeScaling.decode(
            fields, maxPositionEmbeddings: maxPositionEmbeddings)
        tieWordEmbeddings = try fields.bool("tie_word_embeddings") ?? false
        let bias = try fields.bool("attention_bias") ?? false
        (attentionBias, attentionOutputBias, mlpBias) = (false, false, false)
        switch architecture {
        case .llama:
            (attentionBias, attentionOutputBias) = (bias, bias)
            mlpBias = try fields.bool("mlp_bias") ?? false
        case .qwen2: attentionBias = true
        case .qwen3: (attentionBias, attentionOutputBias) = (bias, bias)
        case .mistral: break
        }
        (slidingWindow, layerTypes) = try Self.windows(fields, architecture, layers: numHiddenLayers)
        bosTokenID =
            fields.isWritten("bos_token_id") ? try fields.tokenID("bos_token_id") : defaults.bosTokenID
        eosTokenIDs =
            fields.isWritten("eos_token_id") ? try fields.tokenIDs("eos_token_id") : defaults.eosTokenIDs
        padTokenID = try fields.tokenID("pad_token_id")
        torchDtype = try Self.elementType(fields)
        quantization = fields.value("quantization_config")
        try Self.requireSilu(fields)
    }

    private struct Heads {
        var attention: Int
        var keyValue: Int
        var dimension: Int

        init(
            _ fields: ConfigurationFields, _ defaults: Architecture.Defaults, hiddenSize: Int
        ) throws(ConfigurationError) {
            attention = try fields.int("num_attention_heads", in: 1...4096) ?? 32
            // `null` means as many as there are attention heads in every family, and so does an absent field
            // where the family's own number cannot be meant.
            let isWritten = fields.isWritten("num_key_value_heads")
            let familiar = defaults.numKeyValueHeads ?? attention
            let unwritten = isWritten || attention % familiar != 0 ? attention : familiar
            keyValue = try fields.int("num_key_value_heads", in: 1...4096) ?? unwritten
            guard attention % keyValue == 0 else {
                throw fields.failure(
                    "num_key_value_heads",
                    "\(attention) attention heads cannot share \(keyValue) key and value heads evenly",
                    remedy: "set it to a divisor of num_attention_heads")
            }
            if let written = try fields.int("head_dim", in: 1...4096) ?? defaults.headDim {
                dimension = written
            } else {
                guard hiddenSize % attention == 0 else {
                    throw fields.failure(
                        "hidden_size", "\(hiddenSize) is not a multiple of the \(attention) attention heads",
                        remedy: "correct one of the two, or write head_dim")
                }
                dimension = hiddenSize / attention
            }
            guard dimension % 2 == 0, dimension <= 4096 else {
                throw fields.failure(
                    "head_dim", "\(dimension) is not an even number up to 4096",
                    remedy: "correct head_dim, or hidden_size and num_attention_heads")
            }
        }
    }

    private static func elementType(_ fields: ConfigurationFields) throws(ConfigurationError) -> ElementType {
        for key in ["dtype", "torch_dtype"] {
            guard let name = try fields.string(key), name != "auto" else { continue }
            guard let type = ElementType(torchName: name) else {
                throw fields.failure(
                    key, "\"\(name.prefix(60))\" is not a type of weights that is known",
                    remedy: "set it to float32, bfloat16 or float16")
            }
            return type
        }
        return .f32
    }

    private static func requireSilu(_ fields: ConfigurationFields) throws(ConfigurationError) {
        // "swish" is the same function under its other name.
        guard let name = try fields.string("hidden_act"), name != "silu", name != "swish" else { return }
        throw fields.failure(
            "hidden_act", "\"\(name.prefix(60))\" is not there yet, only silu",
            remedy: "use a model with silu")
    }
}

// MARK: Sliding windows

extension ModelConfiguration {
    private static func windows(
        _ fields: ConfigurationFields, _ architecture: Architecture, layers: Int
    ) throws(ConfigurationError) -> (window: Int?, types: [LayerType]) {
        let full = [LayerType](repeating: .full, count: layers)
        var window = try fields.int("sliding_window", in: 1...maximumPositions)
        switch architecture {
        case .llama: return (nil, full)
        case .mistral:
            if window == nil, !fields.isWritten("sliding_window") { window = 4096 }
            return (window, window == nil ? full : [LayerType](repeating: .sliding, count: layers))
        case .qwen2, .qwen3:
            if window == nil, !fields.isWritten("sliding_window") { window = 4096 }
            if try fields.bool("use_sliding_window") != true { window = nil }
            let first = try fields.int("max_window_layers", in: 0...100_000) ?? 28
            let types =
                try layerTypes(fields, layers: layers)
                ?? (0..<layers).map { window != nil && $0 >= first ? .sliding : .full }
            guard types.contains(.sliding) else { return (nil, types) }
            guard let window else {
                throw fields.failure(
                    "layer_types", "layers slide, but no sliding_window is in use",
                    remedy: "write sliding_window and \"use_sliding_window\": true, or no sliding layers")
            }
            return (window, types)
        }
    }

    private static func layerTypes(
        _ fields: ConfigurationFields, layers: Int
    ) throws(ConfigurationError) -> [LayerType]? {
        guard let names = try fields.strings("layer_types") else { return nil }
        guard names.count == layers else {
            throw fields.failure("layer_types", "\(names.count) types are given for \(layers) layers")
        }
        var types: [LayerType] = []
        for name in names {
            guard let type = LayerType(rawValue: name) else {
                throw fields.failure(
                    "layer_types", "\"\(name.prefix(60))\" is not there yet",
                    remedy: "use a model with full_attention and sliding_attention")
            }
            types.append(type)
        }
        return types
    }
}
