// Qwen3: no biases, and each head's queries and keys are normalized before they are rotated.

/// The layers of `Qwen3ForCausalLM`: Yang et al., arXiv:2505.09388.
enum Qwen3 {
    static func layer(_ index: Int, _ loader: WeightLoader) throws -> DecoderLayer {
        let prefix = loader.layer(index) + "self_attn."
        let headDim = loader.configuration.headDim
        return try loader.decoderLayer(
            index,
            attention: loader.attention(
                layer: index, queryNorm: loader.norm(prefix + "q_norm", headDim),
                keyNorm: loader.norm(prefix + "k_norm", headDim)))
    }
}
