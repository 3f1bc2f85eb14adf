// The gated feed-forward network of a decoder layer.

import CKernels
import Tensors

/// down(silu(gate(x)) * up(x)).
/// Source: Shazeer, arXiv:2002.05202 (SwiGLU); agrees with `LlamaMLP` in transformers.
package struct FeedForward: Sendable {
    /// Gate and up: [2 * intermediateSize, hiddenSize].
    package let gateUp: Linear
    /// [hiddenSize, intermediateSize].
    package let down: Linear

    /// Adds the network's value at `x` to `residual`, both [count, hiddenSize].
    func forward(
        _ x: UnsafePointer<Float>, addingTo residual: UnsafeMutablePointer<Float>, _ step: Workspace
    ) {
        let (count, hidden, intermediate) = (step.count, down.outputSize, down.inputSize)
        let gate = step.gates
        gateUp.forward(x, count: count, xStride: hidden, into: gate, yStride: 2 * intermediate, step)
        ck_swiglu(
            step.pool.handle, gate, gate + intermediate, Int64(2 * intermediate), Int64(count),
            Int64(intermediate), step.activations, Int64(intermediate))
        down.forward(
            step.activations, count: count, xStride: intermediate, into: residual, yStride: hidden,
            accumulate: true, step)
    }
}
