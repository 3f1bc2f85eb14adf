// A layer of a decoder-only transformer with normalization before each half.

/// x += attention(norm(x)); x += feedForward(norm(x)).
/// Agrees with `LlamaDecoderLayer` in transformers, and with those of the other families here.
package struct DecoderLayer: Sendable {
    package let inputNorm: RMSNorm
    package let attention: Attention
    package let postAttentionNorm: RMSNorm
    package let feedForward: FeedForward

    /// - Parameter x: hidden states of the step's tokens, [count, hiddenSize]; changed in place.
    func forward(_ x: UnsafeMutablePointer<Float>, layer: Int, cache: KVCache, _ step: Workspace) {
        let (count, hidden, normed) = (step.count, inputNorm.weight.count, step.normed)
        inputNorm.forward(x, count: count, xStride: hidden, into: normed, yStride: hidden, step)
        attention.forward(normed, addingTo: x, layer: layer, cache: cache, step)
        postAttentionNorm.forward(x, count: count, xStride: hidden, into: normed, yStride: hidden, step)
        feedForward.forward(normed, addingTo: x, step)
    }
}
