// The factor of the inverse, sums of products, and codes: against their definitions, and the same bits
// whatever the instruction set and the threads.

import CKernels
import TestSupport
import Testing

@Suite("Quantization by groups")
struct QuantizationTests {
    /// A symmetric matrix far from singular, from random rows.
    private func positive(_ n: Int, seed: UInt64) -> [Float] {
        var random = SeededGenerator(seed: seed)
        let rows = (0..<(n + 8) * n).map { _ in Float.random(in: -1...1, using: &random) }
        var matrix = [Float](repeating: 0, count: n * n)
        for i in 0..<n {
            for j in i..<n {
                var sum = 0.0
                for row in 0..<n + 8 { sum += Double(rows[row * n + i]) * Double(rows[row * n + j]) }
                matrix[i * n + j] = Float(sum)
                matrix[j * n + i] = Float(sum)
            }
            matrix[i * n + i] += Float(n) * 0.1
        }
        return matrix
    }

    private func scratch<Result>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) -> Result) -> Result {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        defer { memory.deallocate() }
        return body(memory)
    }

    private func factor(_ pool: OpaquePointer?, _ matrix: [Float], _ n: Int) -> (
        isDone: Bool, values: [Float]
    ) {
        var values = matrix
        let bytes = ck_inverse_upper_factor_scratch_bytes(Int64(n), pool.map { ck_pool_threads($0) } ?? 1)
        let isDone = scratch(Int(bytes)) { ck_inverse_upper_factor(pool, &values, Int64(n), $0) }
        return (isDone, values)
    }

    @Test(
        "The inverse is the factor's transpose times the factor",
        arguments: [1, 2, 7, 64, 128, 129, 257, 300])
    func inverseFactor(n: Int) throws {
        let matrix = positive(n, seed: UInt64(n))
        // Only the upper triangle is read.
        var upper = matrix
        for i in 0..<n { for j in 0..<i { upper[i * n + j] = .nan } }
        let pools: [OpaquePointer?] = [nil, ck_pool_create(3)]
        defer { for case .some(let pool) in pools { ck_pool_destroy(pool) } }
        for isa in InstructionSets.available {
            let made = InstructionSets.using(isa) { pools.map { factor($0, upper, n) } }
            #expect(made.allSatisfy { $0.isDone })
            let values = made[0].values
            #expect(values.map(\.bitPattern) == made[1].values.map(\.bitPattern), "threads change nothing")
            // h U' U = 1 by columns, in double precision.
            var worst = 0.0
            for column in stride(from: 0, to: n, by: max(1, n / 9)) {
                var product = [Double](repeating: 0, count: n)
                for i in 0..<n {
                    var sum = 0.0
                    for k in 0...min(i, column) {
                        sum += Double(values[k * n + i]) * Double(values[k * n + column])
                    }
                    product[i] = sum
                }
                for i in 0..<n {
                    var sum = 0.0
                    for k in 0..<n { sum += Double(matrix[i * n + k]) * product[k] }
                    worst = max(worst, abs(sum - (i == column ? 1 : 0)))
                }
            }
            // The condition is below 100 or so, and fp32 has 24 bits.
            #expect(worst < 1e-3, "\(InstructionSets.name(isa))")
            for i in 0..<n { for j in 0..<i where values[i * n + j] != 0 { Issue.record("not upper") } }
        }
    }

    @Test("What is not positive definite is told, not computed with")
    func notPositive() {
        #expect(!factor(nil, [1, 2, 2, 1], 2).isDone)
        #expect(!factor(nil, [0], 1).isDone)
        #expect(!factor(nil, [.nan], 1).isDone)
        #expect(!factor(nil, [.infinity], 1).isDone)
        var late = positive(200, seed: 1)
        late[0] = -1
        #expect(!factor(nil, late, 200).isDone)
    }

    @Test("Sums of products and magnitudes are those of the rows", arguments: [(3, 5), (40, 129), (17, 600)])
    func sums(count: Int, n: Int) {
        var random = SeededGenerator(seed: 6)
        let stride = n + 3
        let x = (0..<count * stride).map { _ in Float.random(in: -1...1, using: &random) }
        for isa in InstructionSets.available {
            var products = [Float](repeating: 0, count: n * n)
            var magnitudes = [Double](repeating: 1, count: n)
            InstructionSets.using(isa) {
                scratch(Int(ck_gemm_scratch_bytes(1))) {
                    ck_accumulate_gram(
                        nil, CK_F32, x, Int64(count), Int64(n), Int64(stride), 2, false, &products, $0)
                }
                ck_mirror_upper(nil, &products, Int64(n))
                ck_accumulate_magnitudes(nil, CK_F32, x, Int64(count), Int64(n), Int64(stride), &magnitudes)
            }
            var worst = 0.0
            for i in 0..<n {
                let sum = (0..<count).reduce(1.0) { $0 + Double(abs(x[$1 * stride + i])) }
                worst = max(worst, abs(sum - magnitudes[i]))
                for j in Swift.stride(from: 0, to: n, by: 7) {
                    let expected = (0..<count).reduce(0.0) {
                        $0 + 2 * Double(x[$1 * stride + i]) * Double(x[$1 * stride + j])
                    }
                    worst = max(worst, abs(expected - Double(products[i * n + j])))
                }
            }
            #expect(worst < 1e-4, "\(InstructionSets.name(isa))")
        }
    }

    @Test("Codes and bounds have the same bits from every instruction set and any threads", arguments: 0..<12)
    func sameBits(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let rows = Int.random(in: 1...40, using: &random)
        let group = Int.random(in: 1...70, using: &random)
        let columns = group * Int.random(in: 1...5, using: &random)
        let rule = [CK_GRID_SYMMETRIC, CK_GRID_ASYMMETRIC, CK_GRID_SIGNED][Int(seed % 3)]
        let grid = ck_grid(
            rule: rule, bits: seed % 2 == 0 ? 4 : 8, group: Int64(group),
            scale_type: [CK_F32, CK_F16, CK_BF16][Int(seed / 3 % 3)], least_zero: Int32(seed % 2))
        let w = (0..<rows * columns).map { _ in Float.random(in: -1...1, using: &random) }
        let hessian = (0..<columns * group).map { _ in Float.random(in: 0...1, using: &random) }
        let factor = (0..<columns * columns).map { index in
            index / columns > index % columns ? 0 : Float.random(in: 0.5...1, using: &random)
        }
        let pool = try #require(ck_pool_create(3))
        defer { ck_pool_destroy(pool) }
        var all: [[UInt32]] = []
        for isa in InstructionSets.available {
            for threads in [nil, pool] {
                all.append(
                    InstructionSets.using(isa) {
                        everything(threads, grid, w, rows, columns, hessian, factor)
                    })
            }
        }
        #expect(all.allSatisfy { $0 == all[0] })
    }

    /// Codes, scales, bounds, and a block of GPTQ, as bits.
    private func everything(
        _ pool: OpaquePointer?, _ grid: ck_grid, _ w: [Float], _ rows: Int, _ columns: Int,
        _ hessian: [Float],
        _ factor: [Float]
    ) -> [UInt32] {
        let groups = columns / Int(grid.group)
        var codes = [UInt8](repeating: 0, count: rows * columns)
        var scales = [Float](repeating: 0, count: rows * groups)
        var zeros = [UInt8](repeating: 0, count: rows * groups)
        ck_grid_quantize(
            pool, grid, w, Int64(rows), Int64(columns), Int64(columns), &codes, &scales, &zeros)
        var result = codes.map { UInt32($0) } + scales.map(\.bitPattern) + zeros.map { UInt32($0) }
        ck_grid_search_bounds(pool, grid, w, Int64(rows), Int64(columns), hessian, 10, 20, &scales)
        result += scales.map(\.bitPattern)
        var errors = [Float](repeating: 0, count: rows * columns)
        for eager in [false, true] {
            w.withUnsafeBufferPointer { w in
                factor.withUnsafeBufferPointer { factor in
                    codes.withUnsafeMutableBufferPointer { codes in
                        scales.withUnsafeMutableBufferPointer { scales in
                            zeros.withUnsafeMutableBufferPointer { zeros in
                                errors.withUnsafeMutableBufferPointer { errors in
                                    var block = ck_gptq_block(
                                        grid: grid, w: w.baseAddress, rows: Int64(rows),
                                        columns: Int64(columns),
                                        first: 0, count: Int64(columns), factor: factor.baseAddress,
                                        eager: eager,
                                        codes: codes.baseAddress, scales: scales.baseAddress,
                                        zeros: zeros.baseAddress, errors: errors.baseAddress)
                                    ck_gptq_quantize_block(pool, &block)
                                }
                            }
                        }
                    }
                }
            }
            result += codes.map { UInt32($0) } + scales.map(\.bitPattern) + errors.map(\.bitPattern)
        }
        return result
    }
}
