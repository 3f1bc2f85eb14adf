// Which families of models there are, told by the names in `architectures` and never by a model's own name.

/// A family of decoder-only language models. The raw value is its class in transformers.
package enum Architecture: String, Sendable, Hashable, CaseIterable {
    case llama = "LlamaForCausalLM"
    case mistral = "MistralForCausalLM"
    case qwen2 = "Qwen2ForCausalLM"
    case qwen3 = "Qwen3ForCausalLM"

    init(_ fields: ConfigurationFields) throws(ConfigurationError) {
        let supported = Self.allCases.map(\.rawValue).joined(separator: ", ")
        guard let names = try fields.strings("architectures"), let name = names.first else {
            var remedy = "add it, such as \"architectures\": [\"\(Self.llama.rawValue)\"]"
            if let type = try fields.string("model_type"), type.utf8.count < 60 {
                remedy += "; model_type is \"\(type)\""
            }
            throw fields.failure(
                "architectures", "the field that names the model's class is missing", remedy: remedy)
        }
        guard let architecture = Self(rawValue: name) else {
            throw fields.failure(
                "architectures", "\(name.prefix(100)): \(Self.reason(name))",
                remedy: "use a model of one of these: \(supported)")
        }
        self = architecture
    }

    /// Why a class of transformers cannot be run, as far as its name tells.
    private static func reason(_ name: String) -> String {
        let mixtures = ["Moe", "MoE", "Mixtral", "Dbrx", "Deepseek", "Jamba", "Llama4", "Olmoe", "GptOss"]
        let vision = [
            "VL", "Vision", "Llava", "Mllama", "Paligemma", "PaliGemma", "Idefics", "Pixtral", "Image",
        ]
        if vision.contains(where: name.contains) || name.hasSuffix("ForConditionalGeneration") {
            return "models that take pictures, or have an encoder, are not there yet"
        }
        if mixtures.contains(where: name.contains) {
            return "mixture-of-experts models are not there yet"
        }
        if !name.hasSuffix("ForCausalLM"), !name.hasSuffix("LMHeadModel") {
            return "only models that generate text (…ForCausalLM) are there"
        }
        return "this family of models is not there yet"
    }

    /// What a field means that config.json does not write, as the family's class in transformers has it.
    struct Defaults {
        var vocabSize: Int
        var intermediateSize: Int
        /// Nil: as many as there are attention heads.
        var numKeyValueHeads: Int?
        /// Nil: hidden size by attention heads.
        var headDim: Int?
        var maxPositionEmbeddings: Int
        var bosTokenID: Int32?
        var eosTokenIDs: [Int32]
    }

    var defaults: Defaults {
        switch self {
        case .llama:
            Defaults(
                vocabSize: 32_000, intermediateSize: 11_008, maxPositionEmbeddings: 2048, bosTokenID: 1,
                eosTokenIDs: [2])
        case .mistral:
            Defaults(
                vocabSize: 32_000, intermediateSize: 14_336, numKeyValueHeads: 8,
                maxPositionEmbeddings: 131_072, bosTokenID: 1, eosTokenIDs: [2])
        case .qwen2:
            Defaults(
                vocabSize: 151_936, intermediateSize: 22_016, numKeyValueHeads: 32,
                maxPositionEmbeddings: 32_768, eosTokenIDs: [])
        case .qwen3:
            Defaults(
                vocabSize: 151_936, intermediateSize: 22_016, numKeyValueHeads: 32, headDim: 128,
                maxPositionEmbeddings: 32_768, eosTokenIDs: [])
        }
    }
}
