// Mistral: Llama's layer with attention that may see only a window of the last positions.

/// The layers of `MistralForCausalLM`: Jiang et al., arXiv:2310.06825. No biases; the window is in the configuration.
enum Mistral {
    static func layer(_ index: Int, _ loader: WeightLoader) throws -> DecoderLayer {
        try loader.decoderLayer(index, attention: loader.attention(layer: index))
    }
}
