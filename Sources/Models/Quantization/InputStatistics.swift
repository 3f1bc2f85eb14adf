// What calibration knows of a linear layer's inputs: how they go together, and how large they are.

import CKernels
package import Tensors

/// Memory that matrix products need, for one product at a time.
package final class ProductScratch {
    package let pool: ThreadPool
    private let region: MemoryRegion

    package init(pool: ThreadPool) throws(OutOfMemory) {
        self.pool = pool
        region = try MemoryRegion(
            byteCount: Int(ck_gemm_scratch_bytes(Int32(pool.threadCount))), purpose: "matrix products")
    }

    var start: UnsafeMutableRawPointer { region.start }

    /// c [m, n] = a [m, k] b [k, n], or with `transposesB` a bᵀ for b [n, k]; added to c times `alpha`.
    func add(
        _ a: UnsafePointer<Float>, aStride: Int, _ b: UnsafePointer<Float>, bStride: Int, m: Int, n: Int,
        k: Int,
        alpha: Float, to c: UnsafeMutablePointer<Float>, cStride: Int, accumulates: Bool = true,
        isRounded: Bool = false
    ) {
        var product = ck_product()
        product.precision = isRounded ? CK_PRECISION_BF16 : CK_PRECISION_F32
        (product.m, product.n, product.k) = (Int64(m), Int64(n), Int64(k))
        product.a = ck_operand(type: CK_F32, data: a, stride: Int64(aStride), transposed: false)
        product.b = ck_operand(type: CK_F32, data: b, stride: Int64(bStride), transposed: false)
        product.alpha = alpha
        (product.c_type, product.c, product.c_stride) = (CK_F32, UnsafeMutableRawPointer(c), Int64(cStride))
        product.accumulate = accumulates
        ck_gemm(pool.handle, &product, region.start)
    }
}

/// Sums over all calibration inputs x of a linear layer: x xᵀ, which GPTQ calls the Hessian up to a factor,
/// and |x|.
package final class InputStatistics {
    /// Inputs of the layer.
    package let size: Int
    /// Rows that were added.
    package private(set) var count = 0
    private let region: MemoryRegion
    private var magnitudes: [Double]
    private var isMirrored = true

    package init(size: Int) throws(OutOfMemory) {
        self.size = size
        region = try MemoryRegion(byteCount: size * size * 4, purpose: "the statistics of \(size) inputs")
        magnitudes = [Double](repeating: 0, count: size)
    }

    /// Adds rows.
    /// - Parameters:
    ///   - x: [count, size] of F32 or BF16, rows `stride` elements apart.
    ///   - isRounded: products are of x rounded to bf16: twice as fast, and exact where x is that already.
    package func add(
        _ x: UnsafeRawPointer, type: ElementType, count: Int, stride: Int, isRounded: Bool = false,
        _ scratch: ProductScratch
    ) {
        guard let kernelType = type.kernelType else { preconditionFailure("inputs are floats") }
        let pool = scratch.pool.handle
        ck_accumulate_gram(
            pool, kernelType, x, Int64(count), Int64(size), Int64(stride), 1, isRounded, region.floats,
            scratch.start)
        ck_accumulate_magnitudes(
            pool, kernelType, x, Int64(count), Int64(size), Int64(stride), &magnitudes)
        self.count += count
        isMirrored = false
    }

    /// The sums of x xᵀ, [size, size].
    func products(_ pool: ThreadPool) -> UnsafePointer<Float> {
        if !isMirrored {
            ck_mirror_upper(pool.handle, region.floats, Int64(size))
            isMirrored = true
        }
        return UnsafePointer(region.floats)
    }

    /// The mean of |x| of each input; zeros where there were no rows.
    package var meanMagnitudes: [Float] { magnitudes.map { Float($0 / Double(max(count, 1))) } }

    /// The sum of squares of what `matrix` [rows, size] makes of all inputs: of a difference of weights, the
    /// layer's squared error over the calibration.
    package func squaredOutput(
        of matrix: UnsafePointer<Float>, rows: Int, isRounded: Bool = false, _ scratch: ProductScratch
    ) throws(OutOfMemory) -> Double {
        let products = products(scratch.pool)
        // Some rows at a time: their product with the sums is as large as they are.
        let step = max(1, min(rows, (8 << 20) / size))
        let product = try MemoryRegion(byteCount: step * size * 4, purpose: "a layer's error")
        // A pointer into the region does not keep it.
        defer { withExtendedLifetime(product) {} }
        var sum = 0.0
        for first in stride(from: 0, to: rows, by: step) {
            let count = min(step, rows - first)
            let part = matrix + first * size
            scratch.add(
                part, aStride: size, products, bStride: size, m: count, n: size, k: size, alpha: 1,
                to: product.floats, cStride: size, accumulates: false, isRounded: isRounded)
            sum += Self.dot(part, product.floats, count * size)
        }
        // Rounding may leave a little less than nothing.
        return max(sum, 0)
    }

    static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Double {
        var sum = 0.0
        for first in stride(from: 0, to: count, by: 4096) {
            var lanes = SIMD16<Float>(repeating: 0)
            let end = min(first + 4096, count)
            var index = first
            while index + 16 <= end {
                let left = UnsafeRawPointer(a + index).loadUnaligned(as: SIMD16<Float>.self)
                lanes += left * UnsafeRawPointer(b + index).loadUnaligned(as: SIMD16<Float>.self)
                index += 16
            }
            sum += Double(lanes.sum())
            while index < end {
                sum += Double(a[index] * b[index])
                index += 1
            }
        }
        return sum
    }
}
