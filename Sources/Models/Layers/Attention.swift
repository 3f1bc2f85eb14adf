// Self-attention with grouped queries and rotary positions, over a paged cache.

import CKernels

/// Causal self-attention: softmax(q Kᵀ / sqrt(headDim)) V, heads side by side, then the output projection.
/// Sources: Vaswani et al., arXiv:1706.03762; grouped queries: Ainslie et al., arXiv:2305.13245. Agrees with
/// `LlamaAttention`, `MistralAttention`, `Qwen2Attention` and `Qwen3Attention` in transformers.
package struct Attention: Sendable {
    /// Queries, keys and values: [querySize + 2 * keyValueSize, hiddenSize].
    package let qkv: Linear
    /// [hiddenSize, querySize].
    package let output: Linear
    /// Of each head's queries and keys (Qwen3); nil in other families.
    package let queryNorm: RMSNorm?
    package let keyNorm: RMSNorm?
    package let heads: Int
    package let keyValueHeads: Int
    package let headDim: Int
    /// How many positions a token sees, its own included; 0 for all.
    package let window: Int

    /// Adds the attention of `x` to `residual`, both [count, hiddenSize].
    func forward(
        _ x: UnsafePointer<Float>, addingTo residual: UnsafeMutablePointer<Float>, layer: Int, cache: KVCache,
        _ step: Workspace
    ) {
        let (count, hidden) = (step.count, output.outputSize)
        let (querySize, keyValueSize) = (heads * headDim, keyValueHeads * headDim)
        let stride = querySize + 2 * keyValueSize
        let queries = step.projections
        let keys = queries + querySize
        let values = keys + keyValueSize
        qkv.forward(x, count: count, xStride: hidden, into: queries, yStride: stride, step)
        queryNorm?.forwardHeads(queries, count: count, stride: stride, heads: heads, step)
        keyNorm?.forwardHeads(keys, count: count, stride: stride, heads: keyValueHeads, step)
        step.rotate(queries, stride: stride, heads: heads, headDim: headDim)
        step.rotate(keys, stride: stride, heads: keyValueHeads, headDim: headDim)
        cache.store(keys, values, stride: stride, layer: layer, step)
        cache.attend(
            queries, stride: stride, heads: heads, scale: 1 / Float(headDim).squareRoot(), window: window,
            layer: layer, into: step.attended, step)
        output.forward(
            step.attended, count: count, xStride: querySize, into: residual, yStride: hidden,
            accumulate: true,
            step)
    }
}
