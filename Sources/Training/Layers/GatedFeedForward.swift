// The gated feed-forward network with its way back.

import Tensors

/// down(silu(gate(x)) * up(x)).
/// Source: Shazeer, arXiv:2002.05202 (SwiGLU); agrees with `LlamaMLP` in transformers.
package struct GatedFeedForward {
    package let gateUp: LinearGroup
    package let down: LinearGroup
    package let intermediateSize: Int

    struct Saved {
        /// Gate and up side by side, [tokens, 2 * intermediateSize]. The way back overwrites them.
        var gateUp: Matrix
        var inputs: LinearGroup.Saved
        var output: LinearGroup.Saved
    }

    private func split(_ matrix: Matrix) -> [Matrix] {
        [
            matrix.columns(0..<intermediateSize),
            matrix.columns(intermediateSize..<2 * intermediateSize),
        ]
    }

    /// Room for what the way back needs.
    func room(_ context: LayerContext) throws(OutOfMemory) -> Saved {
        Saved(
            gateUp: try context.activations(2 * intermediateSize),
            inputs: try gateUp.room(context.activationType, context), output: try down.room(.f32, context))
    }

    /// Adds the network's value at `x`, [tokens, hiddenSize], to `residual`, F32 of the same shape.
    func forward(
        _ x: Matrix, addingTo residual: Matrix, _ saved: Saved, _ context: LayerContext
    ) throws(OutOfMemory) {
        let parts = split(saved.gateUp)
        try gateUp.forward(x, into: parts, saved.inputs, context)
        let mark = context.arena.mark
        // Not kept: making it again costs less than the memory.
        let product = try context.activations(intermediateSize)
        context.backend.swiGLU(gate: parts[0], up: parts[1], into: product)
        try down.forward(product, into: [residual], accumulate: true, saved.output, context)
        context.arena.release(to: mark)
    }

    /// From the residual's gradient `dResidual`, F32: the gradient by `x`, written to `dx`.
    func backward(
        _ dResidual: Matrix, x: Matrix, _ saved: Saved, into dx: Matrix, _ context: LayerContext
    ) throws(OutOfMemory) {
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        let parts = split(saved.gateUp)
        let dProduct = try context.activations(intermediateSize)
        let inner = context.arena.mark
        let product = try context.activations(intermediateSize)
        // Only the gradients of trained matrices need it.
        if down.needsInput { context.backend.swiGLU(gate: parts[0], up: parts[1], into: product) }
        try down.backward([dResidual], x: product, saved.output, into: dProduct, context)
        context.arena.release(to: inner)
        context.backend.swiGLUBackward(dProduct, gate: parts[0], up: parts[1])
        try gateUp.backward(parts, x: x, saved.inputs, into: dx, context)
    }
}
