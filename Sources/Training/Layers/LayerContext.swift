// What every layer needs to know of the micro batch that passes through it.

package import Tensors

/// The surroundings of one forward and backward pass.
package struct LayerContext {
    package let backend: any ComputeBackend
    package let arena: ActivationArena
    package let precision: Precision
    package let batch: TrainingBatch
    package let angles: RotaryAngles
    /// Where the bits of this micro batch's dropout come from; nil: nothing is dropped.
    package let dropoutSeed: UInt64?

    package init(
        backend: any ComputeBackend, arena: ActivationArena, precision: Precision, batch: TrainingBatch,
        angles: RotaryAngles, dropoutSeed: UInt64?
    ) {
        self.backend = backend
        self.arena = arena
        self.precision = precision
        self.batch = batch
        self.angles = angles
        self.dropoutSeed = dropoutSeed
    }

    /// The type of activations that are kept for the way back; the residual stream is always F32.
    package var activationType: ElementType { precision == .float32 ? .f32 : .bf16 }
    package var count: Int { batch.count }

    /// A matrix with a row for each token.
    func activations(_ columns: Int, _ type: ElementType? = nil) throws(OutOfMemory) -> Matrix {
        try arena.matrix(count, columns, type ?? activationType)
    }

    /// Gives back what `body` took of the arena.
    func scoped<Value>(_ body: () throws -> Value) rethrows -> Value {
        let mark = arena.mark
        defer { arena.release(to: mark) }
        return try body()
    }

    func multiply(
        _ a: Matrix, _ b: Matrix, transposingA: Bool = false, transposingB: Bool = false, into c: Matrix,
        alpha: Float = 1, bias: Matrix? = nil, accumulate: Bool = false
    ) {
        backend.multiply(
            a, b, transposingA: transposingA, transposingB: transposingB, into: c, alpha: alpha, bias: bias,
            accumulate: accumulate, precision: precision)
    }
}
