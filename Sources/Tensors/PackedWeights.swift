// Weight matrices in the layout that the kernels read.

package import CKernels

/// How the weights of a linear layer are kept in memory, and with it the arithmetic of its products.
package enum WeightFormat: String, Sendable, Hashable, CaseIterable {
    case float32, bfloat16, float16
    /// 8-bit codes with a scale for each group of inputs; activations are rounded to 8 bits likewise.
    case int8
    /// 4-bit codes with a scale for each group of inputs; activations are rounded to 8 bits.
    case int4

    package var kernelFormat: ck_weight_format {
        switch self {
        case .float32: CK_WEIGHT_F32
        case .bfloat16: CK_WEIGHT_BF16
        case .float16: CK_WEIGHT_F16
        case .int8: CK_WEIGHT_I8
        case .int4: CK_WEIGHT_I4
        }
    }
}

/// A matrix W [rows, columns] for products x Wᵀ: `rows` outputs, `columns` inputs.
// Written while it is filled, by its one owner; only read afterwards.
package final class PackedWeights: @unchecked Sendable {
    package let format: WeightFormat
    package let rows: Int
    package let columns: Int
    private let region: MemoryRegion
    private var weights: ck_weights

    /// An empty matrix. `purpose` is for the error.
    package init(format: WeightFormat, rows: Int, columns: Int, purpose: String) throws(OutOfMemory) {
        // The largest group that divides the inputs wastes nothing; the scales of smaller ones cost more.
        let group = [128, 64, 32].first { columns % $0 == 0 } ?? 32
        var weights = ck_weights_layout(format.kernelFormat, Int64(rows), Int64(columns), Int64(group))
        region = try MemoryRegion(byteCount: Int(weights.bytes), purpose: purpose)
        weights.data = region.start.assumingMemoryBound(to: UInt8.self)
        self.weights = weights
        (self.format, self.rows, self.columns) = (format, rows, columns)
    }

    package var byteCount: Int { region.byteCount }

    /// Packs all rows of a matrix [count, columns] from row `row` on, converting or quantizing.
    package func pack(_ tensor: TensorView, atRow row: Int, pool: ThreadPool) {
        precondition(tensor.shape.count == 2 && tensor.shape[1] == columns, "a matrix of other width")
        precondition(row + tensor.shape[0] <= rows, "rows outside the matrix")
        guard let type = tensor.elementType.kernelType else {
            preconditionFailure("the kernels do not convert \(tensor.elementType)")
        }
        withExtendedLifetime(tensor) {
            ck_weights_pack(
                pool.handle, &weights, Int64(row), Int64(tensor.shape[0]), type, tensor.bytes.baseAddress,
                Int64(columns))
        }
    }

    /// Packs floats [count, columns] from row `row` on.
    package func pack(_ values: UnsafePointer<Float>, count: Int, atRow row: Int, pool: ThreadPool) {
        precondition(row + count <= rows, "rows outside the matrix")
        ck_weights_pack(
            pool.handle, &weights, Int64(row), Int64(count), CK_F32, values, Int64(columns))
    }

    /// One row as the products see it.
    package func copyRow(_ row: Int, into destination: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows, "a row outside the matrix")
        withUnsafePointer(to: weights) { ck_weights_row($0, Int64(row), destination) }
    }

    /// Scratch memory that a product of up to `count` rows of x needs.
    package func scratchByteCount(rows count: Int, threads: Int) -> Int {
        withUnsafePointer(to: weights) { Int(ck_linear_scratch_bytes($0, Int64(count), Int32(threads))) }
    }

    /// y = x Wᵀ + bias, or y += that: x [count, columns] with row stride `xStride`, y [count, rows] with `yStride`.
    package func multiply(
        _ x: UnsafePointer<Float>, count: Int, xStride: Int, bias: UnsafePointer<Float>?,
        into y: UnsafeMutablePointer<Float>, yStride: Int, accumulate: Bool = false,
        scratch: UnsafeMutableRawPointer, pool: ThreadPool
    ) {
        withUnsafePointer(to: weights) {
            ck_linear(
                pool.handle, $0, x, Int64(count), Int64(xStride), bias, y, Int64(yStride), accumulate, scratch
            )
        }
    }
}
