// A layer of a decoder-only transformer, forward and backward.

import Tensors

/// x += attention(norm(x)); x += feedForward(norm(x)).
/// Agrees with `LlamaDecoderLayer` in transformers, and with those of the other families here.
package struct TransformerLayer {
    package let inputNorm: RMSNormLayer
    package let attention: SelfAttention
    package let postAttentionNorm: RMSNormLayer
    package let feedForward: GatedFeedForward

    struct Saved {
        /// The residual stream before the layer, between its halves, and after it: [tokens, hiddenSize], F32.
        var input: Matrix
        var middle: Matrix
        var inputRMS: Matrix
        var middleRMS: Matrix
        var attention: SelfAttention.Saved
        var feedForward: GatedFeedForward.Saved
    }

    private func room(_ input: Matrix, _ context: LayerContext) throws(OutOfMemory) -> Saved {
        Saved(
            input: input, middle: try context.activations(input.columns, .f32),
            inputRMS: try inputNorm.room(context), middleRMS: try postAttentionNorm.room(context),
            attention: try attention.room(context), feedForward: try feedForward.room(context))
    }

    /// - Parameters:
    ///   - x: the residual stream, [tokens, hiddenSize], F32; kept.
    ///   - y: the same after the layer.
    /// - Returns: what the way back needs, on the arena.
    func forward(_ x: Matrix, into y: Matrix, _ context: LayerContext) throws(OutOfMemory) -> Saved {
        let saved = try room(x, context)
        let mark = context.arena.mark
        let normed = try context.activations(x.columns)
        inputNorm.forward(x, into: normed, inverseRMS: saved.inputRMS, context)
        context.backend.convert(x, into: saved.middle)
        try attention.forward(normed, addingTo: saved.middle, saved.attention, context)
        postAttentionNorm.forward(saved.middle, into: normed, inverseRMS: saved.middleRMS, context)
        context.backend.convert(saved.middle, into: y)
        try feedForward.forward(normed, addingTo: y, saved.feedForward, context)
        context.arena.release(to: mark)
        return saved
    }

    /// Turns the gradient by the layer's output into the one by its input, in place.
    /// - Parameter dx: [tokens, hiddenSize], F32.
    func backward(_ dx: Matrix, _ saved: Saved, _ context: LayerContext) throws(OutOfMemory) {
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        // Normalized inputs are made again: they cost a pass over the residual stream.
        let normed = try context.activations(dx.columns)
        let dNormed = try context.activations(dx.columns, .f32)
        if feedForward.gateUp.needsInput {
            postAttentionNorm.forward(saved.middle, into: normed, inverseRMS: saved.middleRMS, context)
        }
        try feedForward.backward(dx, x: normed, saved.feedForward, into: dNormed, context)
        postAttentionNorm.backward(
            dNormed, x: saved.middle, inverseRMS: saved.middleRMS, into: dx, accumulate: true, context)
        if attention.qkv.needsInput {
            inputNorm.forward(saved.input, into: normed, inverseRMS: saved.inputRMS, context)
        }
        try attention.backward(dx, x: normed, saved.attention, into: dNormed, context)
        inputNorm.backward(
            dNormed, x: saved.input, inverseRMS: saved.inputRMS, into: dx, accumulate: true, context)
    }
}
