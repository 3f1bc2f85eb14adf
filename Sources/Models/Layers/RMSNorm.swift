// Root-mean-square normalization of hidden states.

import CKernels
import Tensors

/// Root-mean-square layer normalization: y = weight * x / sqrt(mean(x²) + epsilon).
/// Source: Zhang and Sennrich, arXiv:1910.07467; agrees with `LlamaRMSNorm` in transformers.
package struct RMSNorm: Sendable {
    package var weight: [Float]  // [size]
    package let epsilon: Float  // `rms_norm_eps`

    /// Normalizes `count` rows of `weight.count` floats; x and y may be the same.
    func forward(
        _ x: UnsafePointer<Float>, count: Int, xStride: Int, into y: UnsafeMutablePointer<Float>,
        yStride: Int,
        _ workspace: Workspace
    ) {
        ck_rms_norm(
            workspace.pool.handle, x, Int64(xStride), weight, epsilon, Int64(count), Int64(weight.count), y,
            Int64(yStride))
    }

    /// Normalizes each of `heads` heads of `weight.count` floats in place, as Qwen3 does with queries and keys.
    func forwardHeads(
        _ x: UnsafeMutablePointer<Float>, count: Int, stride: Int, heads: Int, _ workspace: Workspace
    ) {
        for head in 0..<heads {
            let first = x + head * weight.count
            forward(first, count: count, xStride: stride, into: first, yStride: stride, workspace)
        }
    }
}
