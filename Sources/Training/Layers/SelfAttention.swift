// Self-attention with grouped queries and rotary positions, with its way back by recomputation.

package import Tensors

/// Causal self-attention within each sequence of a batch.
/// Sources: Vaswani et al., arXiv:1706.03762; Dao et al., arXiv:2205.14135; agrees with `LlamaAttention`,
/// `MistralAttention`, `Qwen2Attention` and `Qwen3Attention` in transformers.
package struct SelfAttention {
    /// Queries, keys and values.
    package let qkv: LinearGroup
    package let output: LinearGroup
    /// Of each head's queries and keys (Qwen3).
    package let queryNorm: RMSNormLayer?
    package let keyNorm: RMSNormLayer?
    package let shape: AttentionShape

    struct Saved {
        /// Queries, keys and values after normalization and rotation, [tokens, ...] side by side.
        var projections: Matrix
        /// Queries and keys before their normalization; nil in families without one.
        var unnormed: Unnormed?
        var attended: Matrix
        /// [heads, tokens].
        var logSums: Matrix
        var qkv: LinearGroup.Saved
        var output: LinearGroup.Saved
    }

    struct Unnormed {
        var queries: Matrix
        var queryRMS: Matrix
        var keys: Matrix
        var keyRMS: Matrix
    }

    private var querySize: Int { shape.heads * shape.headDim }
    private var keyValueSize: Int { shape.keyValueHeads * shape.headDim }

    private func split(_ matrix: Matrix) -> [Matrix] {
        let ends = [0, querySize, querySize + keyValueSize, querySize + 2 * keyValueSize]
        return (0..<3).map { matrix.columns(ends[$0]..<ends[$0 + 1]) }
    }

    /// Room for what the way back needs.
    func room(_ context: LayerContext) throws(OutOfMemory) -> Saved {
        var unnormed: Unnormed?
        if let queryNorm, let keyNorm {
            unnormed = Unnormed(
                queries: try context.activations(querySize), queryRMS: try queryNorm.room(context),
                keys: try context.activations(keyValueSize), keyRMS: try keyNorm.room(context))
        }
        return Saved(
            projections: try context.activations(querySize + 2 * keyValueSize), unnormed: unnormed,
            attended: try context.activations(querySize),
            logSums: try context.arena.matrix(shape.heads, context.count, .f32),
            qkv: try qkv.room(context.activationType, context), output: try output.room(.f32, context))
    }

    /// Adds the attention of `x`, [tokens, hiddenSize], to `residual`, F32 of the same shape.
    func forward(
        _ x: Matrix, addingTo residual: Matrix, _ saved: Saved, _ context: LayerContext
    ) throws(OutOfMemory) {
        let parts = split(saved.projections)
        if let queryNorm, let keyNorm, let unnormed = saved.unnormed {
            try qkv.forward(x, into: [unnormed.queries, unnormed.keys, parts[2]], saved.qkv, context)
            queryNorm.forward(unnormed.queries, into: parts[0], inverseRMS: unnormed.queryRMS, context)
            keyNorm.forward(unnormed.keys, into: parts[1], inverseRMS: unnormed.keyRMS, context)
        } else {
            try qkv.forward(x, into: parts, saved.qkv, context)
        }
        rotate(parts, inverse: false, context)
        try context.backend.attention(
            shape, starts: context.batch.starts, q: parts[0], k: parts[1], v: parts[2], into: saved.attended,
            logSums: saved.logSums)
        try output.forward(saved.attended, into: [residual], accumulate: true, saved.output, context)
    }

    /// From the residual's gradient `dResidual`, F32: the gradient by `x`, written to `dx`.
    func backward(
        _ dResidual: Matrix, x: Matrix, _ saved: Saved, into dx: Matrix, _ context: LayerContext
    ) throws(OutOfMemory) {
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        let dAttended = try context.activations(querySize)
        try output.backward([dResidual], x: saved.attended, saved.output, into: dAttended, context)
        let gradients = split(try context.activations(querySize + 2 * keyValueSize))
        let parts = split(saved.projections)
        try context.backend.attentionBackward(
            shape, starts: context.batch.starts, dout: dAttended, q: parts[0], k: parts[1], v: parts[2],
            out: saved.attended, logSums: saved.logSums, dq: gradients[0], dk: gradients[1], dv: gradients[2])
        rotate(gradients, inverse: true, context)
        if let queryNorm, let keyNorm, let before = saved.unnormed {
            queryNorm.backward(
                gradients[0], x: before.queries, inverseRMS: before.queryRMS, into: gradients[0],
                accumulate: false, context)
            keyNorm.backward(
                gradients[1], x: before.keys, inverseRMS: before.keyRMS, into: gradients[1],
                accumulate: false, context)
        }
        try qkv.backward(gradients, x: x, saved.qkv, into: dx, context)
    }

    private func rotate(_ parts: [Matrix], inverse: Bool, _ context: LayerContext) {
        for (part, heads) in zip(parts, [shape.heads, shape.keyValueHeads]) {
            context.backend.rotate(
                part, heads: heads, headDim: shape.headDim, angles: context.angles,
                positions: context.batch.positions, inverse: inverse)
        }
    }
}
