// A linear layer: y = x Wᵀ + b.

package import Tensors

/// A linear layer, or several with the same input made one: their outputs lie beside each other.
/// Agrees with `torch.nn.Linear`.
package struct Linear: Sendable {
    package let weights: PackedWeights
    /// [outputs], or nil.
    package let bias: [Float]?
    /// Where the output of each part begins; the last ends at `outputSize`.
    package let parts: [Part]

    /// One of the layers that this one is made of.
    package struct Part: Sendable, Hashable {
        /// Its name in the model, such as `model.layers.0.self_attn.q_proj`.
        package var name: String
        package var outputs: Range<Int>
    }

    package var inputSize: Int { weights.columns }
    package var outputSize: Int { weights.rows }

    /// - Parameters:
    ///   - x: [count, inputSize], rows `xStride` floats apart.
    ///   - y: [count, outputSize], rows `yStride` floats apart.
    ///   - accumulate: adds to y, as a residual connection does.
    func forward(
        _ x: UnsafePointer<Float>, count: Int, xStride: Int, into y: UnsafeMutablePointer<Float>,
        yStride: Int,
        accumulate: Bool = false, _ workspace: Workspace
    ) {
        workspace.observe?(self, x, count, xStride)
        func multiply(_ bias: UnsafePointer<Float>?) {
            weights.multiply(
                x, count: count, xStride: xStride, bias: bias, into: y, yStride: yStride,
                accumulate: accumulate,
                scratch: workspace.scratch, pool: workspace.pool)
        }
        if let bias {
            bias.withUnsafeBufferPointer { multiply($0.baseAddress) }
        } else {
            multiply(nil)
        }
        workspace.addAdapters(to: self, x, xStride: xStride, y, yStride: yStride)
    }
}
