// Llama 2, 3 and kin: the plainest of the families.

/// The layers of `LlamaForCausalLM`: Touvron et al., arXiv:2307.09288. Biases are there if config.json says so.
enum Llama {
    static func layer(_ index: Int, _ loader: WeightLoader) throws -> DecoderLayer {
        try loader.decoderLayer(index, attention: loader.attention(layer: index))
    }
}
