// Packed weights with their memory, for the tests of matrix products.

import CKernels

/// The formats of weights, as arguments of tests.
enum WeightFormat: String, CaseIterable, Sendable {
    case f32, bf16, f16, int8, int4, f8

    var code: ck_weight_format {
        switch self {
        case .f32: CK_WEIGHT_F32
        case .bf16: CK_WEIGHT_BF16
        case .f16: CK_WEIGHT_F16
        case .int8: CK_WEIGHT_I8
        case .int4: CK_WEIGHT_I4
        case .f8: CK_WEIGHT_F8
        }
    }

    var isInteger: Bool { self == .int8 || self == .int4 }
}

/// A row-major matrix of floats.
struct Matrix {
    var rows: Int
    var columns: Int
    var values: [Float]

    init(rows: Int, columns: Int, _ value: () -> Float) {
        self.rows = rows
        self.columns = columns
        values = (0..<rows * columns).map { _ in value() }
    }

    init(rows: Int, columns: Int, values: [Float]) {
        (self.rows, self.columns, self.values) = (rows, columns, values)
    }

    func row(_ index: Int) -> ArraySlice<Float> { values[index * columns..<(index + 1) * columns] }
}

/// Owns what a `ck_weights` points to.
final class PackedWeights {
    var weights: ck_weights
    private let memory: UnsafeMutableRawPointer

    /// The memory is full of NaN, so that what packing forgets shows in the results.
    /// - Parameter products: the arithmetic, where it is not the format's own.
    init(_ format: WeightFormat, n: Int, k: Int, group: Int = 32, products: WeightFormat? = nil) {
        weights = ck_weights_layout(format.code, Int64(n), Int64(k), Int64(group))
        if let products { weights.products = products.code }
        memory = .allocate(byteCount: weights.bytes + 64, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0xff, count: weights.bytes + 64)
        weights.data = memory.assumingMemoryBound(to: UInt8.self)
    }

    convenience init(_ format: WeightFormat, _ matrix: Matrix, group: Int = 32, pool: OpaquePointer? = nil) {
        self.init(format, n: matrix.rows, k: matrix.columns, group: group)
        pack(row: 0, matrix, pool: pool)
    }

    deinit { memory.deallocate() }

    func pack(row: Int, _ matrix: Matrix, pool: OpaquePointer? = nil) {
        ck_weights_pack(
            pool, &weights, Int64(row), Int64(matrix.rows), CK_F32, matrix.values, Int64(matrix.columns))
    }

    /// Whether nothing was written behind the area.
    var endIsIntact: Bool {
        (0..<64).allSatisfy { memory.load(fromByteOffset: weights.bytes + $0, as: UInt8.self) == 0xff }
    }

    func row(_ index: Int) -> [Float] {
        var values = [Float](repeating: .nan, count: Int(weights.k))
        ck_weights_row(&weights, Int64(index), &values)
        return values
    }

    /// x Wᵀ + bias, or y plus that. A column of filling at the end of y's rows must stay NaN.
    func product(
        _ x: Matrix, bias: [Float]? = nil, addingTo y: Matrix? = nil, pool: OpaquePointer? = nil
    ) -> Matrix {
        let n = Int(weights.n), stride = n + 1
        var result = [Float](repeating: .nan, count: x.rows * stride)
        if let y {
            for row in 0..<x.rows {
                result.replaceSubrange(row * stride..<row * stride + n, with: y.row(row))
            }
        }
        let threads = pool.map { ck_pool_threads($0) } ?? 1
        let bytes = ck_linear_scratch_bytes(&weights, Int64(x.rows), threads)
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 64)
        defer { scratch.deallocate() }
        scratch.initializeMemory(as: UInt8.self, repeating: 0xff, count: bytes + 64)
        let k = Int64(x.columns), m = Int64(x.rows)
        if let bias {
            ck_linear(pool, &weights, x.values, m, k, bias, &result, Int64(stride), y != nil, scratch)
        } else {
            ck_linear(pool, &weights, x.values, m, k, nil, &result, Int64(stride), y != nil, scratch)
        }
        for offset in bytes..<bytes + 64 {
            precondition(
                scratch.load(fromByteOffset: offset, as: UInt8.self) == 0xff, "scratch memory was too small")
        }
        var index = 0
        return Matrix(rows: x.rows, columns: n) {
            if index % stride == n {
                precondition(result[index].isNaN, "something was written behind a row")
                index += 1
            }
            defer { index += 1 }
            return result[index]
        }
    }
}
