// Root-mean-square normalization with its way back.

import Tensors

/// y = weight * x / sqrt(mean(x²) + epsilon), over groups of `weight.count` elements of each row.
/// Source: Zhang and Sennrich, arXiv:1910.07467; agrees with `LlamaRMSNorm` in transformers.
package struct RMSNormLayer {
    /// [size], F32.
    package let weight: Parameter
    package let epsilon: Float
    /// Vectors in a row: 1, or the heads of Qwen3's queries and keys.
    package let groups: Int

    /// Room for 1/rms of each group, [tokens, groups], which `backward` needs.
    func room(_ context: LayerContext) throws(OutOfMemory) -> Matrix {
        try context.arena.matrix(context.count, groups, .f32)
    }

    /// - Parameters:
    ///   - x: [tokens, groups * size].
    ///   - y: like x, of any type.
    ///   - inverseRMS: filled.
    func forward(_ x: Matrix, into y: Matrix, inverseRMS: Matrix, _ context: LayerContext) {
        context.backend.rmsNorm(
            x, groups: groups, weight: weight.value, epsilon: epsilon, inverseRMS: inverseRMS, into: y)
    }

    /// Adds to `dx`, or overwrites it, the gradient by x; adds the gradient by the weight if that is trained.
    func backward(
        _ dy: Matrix, x: Matrix, inverseRMS: Matrix, into dx: Matrix, accumulate: Bool,
        _ context: LayerContext
    ) {
        context.backend.rmsNormBackward(
            dy, x: x, groups: groups, weight: weight.value, epsilon: epsilon, inverseRMS: inverseRMS,
            into: dx,
            accumulate: accumulate, weightGradient: weight.gradient)
    }
}
