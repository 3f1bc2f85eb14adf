// A matrix product with its memory, and the same product in double precision.

import CKernels
import TestSupport

/// What one product is like: sizes, types, and how its operands lie in memory.
struct GemmShape: Sendable {
    var m, n, k: Int
    var precision = CK_PRECISION_F32
    var types = (a: CK_F32, b: CK_F32, c: CK_F32)
    var transposed = (a: false, b: false)
    /// Elements between the rows of each matrix.
    var gap = 0
    var alpha: Float = 1
    var hasBias = false
    var accumulates = false
}

/// Owns the operands of a product. All gaps are NaN: what reads them shows in the results.
final class GemmProduct {
    let shape: GemmShape
    /// The elements as they are in memory, row by row.
    let a, b, c: [Float]
    let bias: [Float]
    private let operands: (a: OwnedMatrix, b: OwnedMatrix)

    init(_ shape: GemmShape, seed: UInt64, change: (inout [Float], inout [Float]) -> Void = { _, _ in }) {
        self.shape = shape
        var random = SeededGenerator(seed: seed)
        func numbers(_ count: Int, _ type: ck_type) -> [Float] {
            (0..<count).map { _ in
                let value = Float(Int32(truncatingIfNeeded: random.next())) * 0x1p-31
                return type == CK_BF16 ? Rounding.bf16(value) : value
            }
        }
        var a = numbers(shape.m * shape.k, shape.types.a), b = numbers(shape.k * shape.n, shape.types.b)
        change(&a, &b)
        (self.a, self.b) = (a, b)
        c = numbers(shape.m * shape.n, shape.types.c)
        bias = numbers(shape.n, CK_F32)
        let (rowsA, rowsB) = shape.transposed
        operands = (
            OwnedMatrix(
                rowsA ? transposing(a, rows: shape.m, columns: shape.k) : a,
                rows: rowsA ? shape.k : shape.m, columns: rowsA ? shape.m : shape.k, type: shape.types.a,
                gap: shape.gap),
            OwnedMatrix(
                rowsB ? transposing(b, rows: shape.k, columns: shape.n) : b,
                rows: rowsB ? shape.n : shape.k, columns: rowsB ? shape.k : shape.n, type: shape.types.b,
                gap: shape.gap)
        )
    }

    /// C after the product, or after that of some rows and columns alone; nil if anything else was written.
    func result(
        rows: Range<Int>? = nil, columns: Range<Int>? = nil, pool: OpaquePointer? = nil, scratch: GemmScratch
    ) -> [Float]? {
        let rows = rows ?? 0..<shape.m, columns = columns ?? 0..<shape.n
        let part = rows.flatMap { row in columns.map { c[row * shape.n + $0] } }
        let target = OwnedMatrix(
            part, rows: rows.count, columns: columns.count, type: shape.types.c, gap: shape.gap)
        let (a, b) = operands
        bias.withUnsafeBufferPointer { bias in
            var product = ck_product()
            product.precision = shape.precision
            (product.m, product.n) = (Int64(rows.count), Int64(columns.count))
            product.k = Int64(shape.k)
            product.a = a.operand(
                transposed: shape.transposed.a, row: shape.transposed.a ? 0 : rows.lowerBound,
                column: shape.transposed.a ? rows.lowerBound : 0)
            product.b = b.operand(
                transposed: shape.transposed.b, row: shape.transposed.b ? columns.lowerBound : 0,
                column: shape.transposed.b ? 0 : columns.lowerBound)
            product.alpha = shape.alpha
            product.bias = shape.hasBias ? bias.baseAddress.map { $0 + columns.lowerBound } : nil
            product.c_type = shape.types.c
            product.c = target.element(row: 0, column: 0)
            product.c_stride = Int64(target.stride)
            product.accumulate = shape.accumulates
            ck_gemm(pool, &product, scratch.start)
        }
        return target.gapsAreIntact && scratch.endIsIntact ? target.values : nil
    }

    /// C in double precision, and how far a result may be from it.
    ///
    /// A sum of k products, each rounded, in whatever order, times alpha and with at most two terms more is
    /// off by at most (k + 4) 2^-24 times the sum of the magnitudes (Higham, Accuracy and Stability of
    /// Numerical Algorithms, 3.1), up to terms of second order, for which stands the factor 1.01.
    /// Instructions for bf16 take subnormal numbers for zero, which is below 1e-30 here. Rounding to bf16 at
    /// the end adds 2^-8 of the result.
    func expected(row: Int, column: Int) -> (value: Double, tolerance: Double) {
        let rounds = shape.precision == CK_PRECISION_BF16
        var sum = 0.0, magnitude = 0.0
        for k in 0..<shape.k {
            let x = a[row * shape.k + k], y = b[k * shape.n + column]
            let product = Double(rounds ? Rounding.bf16(x) : x) * Double(rounds ? Rounding.bf16(y) : y)
            sum += product
            magnitude += product.magnitude
        }
        sum *= Double(shape.alpha)
        magnitude *= Double(shape.alpha.magnitude)
        for term in [shape.hasBias ? bias[column] : 0, shape.accumulates ? c[row * shape.n + column] : 0] {
            sum += Double(term)
            magnitude += Double(term.magnitude)
        }
        let tolerance = 1.01 * Double(shape.k + 4) * 0x1p-24 * magnitude + 1e-30
        return (
            sum, shape.types.c == CK_BF16 ? tolerance + 0x1.02p-8 * (sum.magnitude + tolerance) : tolerance
        )
    }
}

private func transposing(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } }
}

/// A row-major matrix in memory, one element off alignment, with NaN around and between its rows.
private final class OwnedMatrix {
    let type: ck_type
    let rows, columns, stride: Int
    private let memory: UnsafeMutableRawPointer
    private let elements: Int
    private var bytes: Int { Int(ck_type_bytes(type)) }

    init(_ values: [Float], rows: Int, columns: Int, type: ck_type, gap: Int) {
        (self.rows, self.columns, self.type) = (rows, columns, type)
        stride = columns + gap
        elements = rows * stride + 2
        memory = .allocate(byteCount: elements * Int(ck_type_bytes(type)), alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0xff, count: elements * bytes)
        values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return }
            for row in 0..<rows {
                ck_from_f32(type, start + row * columns, element(row: row, column: 0), Int64(columns))
            }
        }
    }

    deinit { memory.deallocate() }

    func element(row: Int, column: Int) -> UnsafeMutableRawPointer {
        memory + (1 + row * stride + column) * bytes
    }

    func operand(transposed: Bool, row: Int, column: Int) -> ck_operand {
        ck_operand(
            type: type, data: element(row: row, column: column), stride: Int64(stride), transposed: transposed
        )
    }

    var values: [Float] {
        var values = [Float](repeating: 0, count: rows * columns)
        values.withUnsafeMutableBufferPointer { values in
            guard let start = values.baseAddress else { return }
            for row in 0..<rows {
                ck_to_f32(type, element(row: row, column: 0), start + row * columns, Int64(columns))
            }
        }
        return values
    }

    var gapsAreIntact: Bool {
        let bytes = UnsafeRawBufferPointer(start: memory, count: elements * self.bytes)
        let gaps = [0..<1] + (0..<rows).map { 1 + $0 * stride + columns..<1 + ($0 + 1) * stride }
        return gaps.allSatisfy { gap in
            bytes[gap.lowerBound * self.bytes..<gap.upperBound * self.bytes].allSatisfy { $0 == 0xff }
        } && bytes[(elements - 1) * self.bytes..<elements * self.bytes].allSatisfy { $0 == 0xff }
    }
}

/// Scratch memory full of NaN, and 64 bytes more that nobody may touch.
final class GemmScratch {
    let start: UnsafeMutableRawPointer
    private let count: Int

    init(threads: Int) {
        count = ck_gemm_scratch_bytes(Int32(threads))
        start = .allocate(byteCount: count + 64, alignment: 64)
        start.initializeMemory(as: UInt8.self, repeating: 0xff, count: count + 64)
    }

    deinit { start.deallocate() }

    var endIsIntact: Bool {
        UnsafeRawBufferPointer(start: start + count, count: 64).allSatisfy { $0 == 0xff }
    }
}
