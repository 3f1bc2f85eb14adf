// Qwen2 and Qwen2.5: Llama's layer with biases on queries, keys and values.

/// The layers of `Qwen2ForCausalLM`: Yang et al., arXiv:2407.10671. Upper layers may see only a window.
enum Qwen2 {
    static func layer(_ index: Int, _ loader: WeightLoader) throws -> DecoderLayer {
        try loader.decoderLayer(index, attention: loader.attention(layer: index))
    }
}
