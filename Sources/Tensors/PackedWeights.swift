// Weight matrices in the layout that the kernels read.

package import CKernels

/// How the weights of a linear layer are kept in memory, and with it the arithmetic of its products.
package enum WeightFormat: String, Sendable, Hashable, CaseIterable {
    case float32, bfloat16, float16
    /// 8-bit codes with a scale for each group of inputs; activations are rounded to 8 bits likewise.
    case int8
    /// 4-bit codes with a scale for each group of inputs; activations are rounded to 8 bits.
    case int4
    /// 8-bit floats (E4M3) with a scale for each output; the products are those of bfloat16.
    case float8

    package var kernelFormat: ck_weight_format {
        switch self {
        case .float32: CK_WEIGHT_F32
        case .bfloat16: CK_WEIGHT_BF16
        case .float16: CK_WEIGHT_F16
        case .int8: CK_WEIGHT_I8
        case .int4: CK_WEIGHT_I4
        case .float8: CK_WEIGHT_F8
        }
    }
}

/// A matrix W [rows, columns] for products x Wᵀ: `rows` outputs, `columns` inputs.
// Written while it is filled, by its one owner; only read afterwards.
package final class PackedWeights: @unchecked Sendable {
    package let format: WeightFormat
    package let rows: Int
    package let columns: Int
    /// The format whose products these are: each weight is dequantized and rounded to it where it is used, to the
    /// same bits as if it were kept so. For int8 and int4 of their own, activations are rounded to 8 bits.
    package let products: WeightFormat
    private let region: MemoryRegion
    /// The group of each column.
    private let groupIndex: UnsafeMutableBufferPointer<Int32>?
    private var weights: ck_weights

    /// An empty matrix. `purpose` is for the error.
    package convenience init(
        format: WeightFormat, rows: Int, columns: Int, purpose: String
    ) throws(OutOfMemory) {
        // The largest group that divides the inputs wastes nothing; the scales of smaller ones cost more.
        let group = [128, 64, 32].first { columns % $0 == 0 } ?? 32
        let products = format == .float8 ? .bfloat16 : format
        try self.init(
            format: format, rows: rows, columns: columns, group: group, products: products, purpose: purpose)
    }

    /// An empty matrix for codes.
    /// - Parameters:
    ///   - group: how many columns share a scale; not used for `float8`, which has a scale for each row. Any number
    ///     where the products are of floats; 32, 64 or 128 otherwise.
    ///   - groupIndex: [columns], where groups are not made of neighbors; then the products are of floats.
    ///   - products: `float32`, `bfloat16` or `float16`, or `format` itself.
    package init(
        format: WeightFormat, rows: Int, columns: Int, group: Int, groupIndex: [Int32]? = nil,
        products: WeightFormat, purpose: String
    ) throws(OutOfMemory) {
        let isWidened = products != format
        precondition(
            group > 0 && groupIndex.map { isWidened && $0.count == columns } ?? true, "no such groups")
        var weights = ck_weights_layout(format.kernelFormat, Int64(rows), Int64(columns), Int64(group))
        weights.products = products.kernelFormat
        region = try MemoryRegion(byteCount: Int(weights.bytes), purpose: purpose)
        weights.data = region.start.assumingMemoryBound(to: UInt8.self)
        var index = groupIndex
        if index == nil, isWidened, format != .float8, group % 8 != 0, group < columns {
            // The kernels take other groups one column at a time.
            index = (0..<columns).map { Int32($0 / group) }
        }
        self.groupIndex = index.map {
            let copy = UnsafeMutableBufferPointer<Int32>.allocate(capacity: $0.count)
            _ = copy.initialize(from: $0)
            return copy
        }
        weights.group_of = self.groupIndex.map { UnsafePointer($0.baseAddress) } ?? nil
        self.weights = weights
        (self.format, self.rows, self.columns, self.products) = (format, rows, columns, products)
    }

    deinit { groupIndex?.deallocate() }

    /// The matrix, its scales and zero points.
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

    /// Packs rows that are quantized already, from row `row` on.
    /// - Parameters:
    ///   - codes: [count, columns]: for `int4` 0 to 15, for `int8` signed, for `float8` E4M3.
    ///   - scales: [count, groups].
    ///   - zeros: [count, groups], nil where the code of zero is the middle one. For `int8` 128 more than the code.
    package func pack(
        codes: UnsafeBufferPointer<UInt8>, scales: UnsafeBufferPointer<Float>,
        zeros: UnsafeBufferPointer<UInt8>?, count: Int, atRow row: Int, pool: ThreadPool
    ) {
        precondition(row + count <= rows && codes.count == count * columns, "rows outside the matrix")
        let groups = weights.group > 0 ? (columns + Int(weights.group) - 1) / Int(weights.group) : 0
        precondition(scales.count == count * groups, "scales of another matrix")
        precondition(zeros.map { $0.count == count * groups } ?? true, "zero points of another matrix")
        ck_weights_pack_codes(
            pool.handle, &weights, Int64(row), Int64(count), codes.baseAddress, scales.baseAddress,
            zeros?.baseAddress)
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
