// Products of two changing matrices against double precision, and against themselves in other pieces.

import CKernels
import TestSupport
import Testing

/// A product that is compared with double precision.
struct GemmCase: Sendable, CustomTestStringConvertible {
    var shape: GemmShape
    var seed: UInt64

    /// Sizes around those of register tiles and spans of k, and odd ones from a seed; with them all types and
    /// transpositions in turn.
    static let all: [GemmCase] = {
        var random = SeededGenerator(seed: 21)
        var sizes = [
            (1, 1, 1), (2, 16, 2), (6, 16, 8), (8, 32, 3), (12, 32, 16), (13, 33, 17), (24, 64, 32),
            (25, 65, 33),
            (70, 70, 70), (5, 130, 40), (200, 8, 33), (150, 24, 8), (8, 150, 65), (24, 140, 20),
            (3, 5, 1_024), (3, 5, 1_025), (2, 18, 2_049), (7, 3, 2_050), (4, 3, 4_100), (2, 2, 0), (1, 70, 9),
        ]
        while sizes.count < 60 {
            sizes.append(
                (
                    Int.random(in: 1...70, using: &random), Int.random(in: 1...70, using: &random),
                    Int.random(in: 1...70, using: &random)
                ))
        }
        return sizes.flatMap { m, n, k in
            [CK_PRECISION_F32, CK_PRECISION_BF16].map { precision in
                let bits = random.next()
                func type(_ bit: UInt64) -> ck_type { bits >> bit & 1 == 0 ? CK_F32 : CK_BF16 }
                let shape = GemmShape(
                    m: m, n: n, k: k, precision: precision, types: (type(0), type(1), type(2)),
                    transposed: (bits >> 3 & 1 != 0, bits >> 4 & 1 != 0),
                    gap: [0, 3, 17][Int(bits >> 5 % 3)],
                    alpha: [1, -0.75, 0.3][Int(bits >> 8 % 3)], hasBias: bits >> 11 & 1 != 0,
                    accumulates: bits >> 12 & 1 != 0)
                return GemmCase(shape: shape, seed: random.next())
            }
        }
    }()

    var testDescription: String { "\(shape)" }
}

private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// The part of a row-major matrix of `width` columns.
private func part(_ values: [Float], width: Int, rows: Range<Int>, columns: Range<Int>) -> [Float] {
    rows.flatMap { row in values[row * width + columns.lowerBound..<row * width + columns.upperBound] }
}

@Suite("Products of two changing matrices")
struct GemmTests {
    private static let precisions = [CK_PRECISION_F32, CK_PRECISION_BF16]

    @Test("A product agrees with one in double precision", arguments: GemmCase.all)
    func agreesWithDoublePrecision(_ example: GemmCase) throws {
        let product = GemmProduct(example.shape, seed: example.seed), scratch = GemmScratch(threads: 1)
        let n = example.shape.n
        let expected = (0..<example.shape.m * n).map { product.expected(row: $0 / n, column: $0 % n) }
        for isa in InstructionSets.available {
            let result = try #require(
                InstructionSets.using(isa) { product.result(scratch: scratch) }, "written outside of C")
            let miss = expected.indices.first { index in
                let (value, tolerance) = expected[index]
                return !((Double(result[index]) - value).magnitude <= tolerance)
            }
            if let miss {
                Issue.record(
                    "\(InstructionSets.name(isa)): element \(miss) is \(result[miss]), not \(expected[miss])")
            }
        }
    }

    @Test("How operands lie in memory does not change a bit", arguments: precisions)
    func layoutDoesNotMatter(_ precision: ck_precision) {
        let scratch = GemmScratch(threads: 1)
        for (m, n, k) in [(26, 50, 77), (3, 2, 2_100)] {
            // Numbers that bf16 holds, so that both types have the same.
            func results(_ types: (ck_type, ck_type, ck_type), _ transposed: (Bool, Bool)) -> [Float]? {
                let shape = GemmShape(
                    m: m, n: n, k: k, precision: precision, types: types, transposed: transposed,
                    hasBias: true)
                return GemmProduct(shape, seed: 5) { a, b in
                    a = a.map(Rounding.bf16)
                    b = b.map(Rounding.bf16)
                }.result(scratch: scratch)
            }
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let plain = results((CK_F32, CK_F32, CK_F32), (false, false))
                    for transposed in [(false, false), (false, true), (true, false), (true, true)] {
                        for types in [
                            (CK_F32, CK_BF16), (CK_BF16, CK_F32), (CK_BF16, CK_BF16), (CK_F32, CK_F32),
                        ] {
                            #expect(results((types.0, types.1, CK_F32), transposed) == plain)
                            let rounded = results((types.0, types.1, CK_BF16), transposed)
                            #expect(rounded == plain?.map(Rounding.bf16), "C in bf16 is rounded once")
                        }
                    }
                }
            }
        }
    }

    @Test("The number of threads does not change a bit", arguments: precisions)
    func threadsDoNotMatter(_ precision: ck_precision) throws {
        let pools = try [1, 2, 3, 8].map { try makePool($0) }
        defer { for pool in pools { ck_pool_destroy(pool) } }
        let scratch = GemmScratch(threads: 8)
        for (m, n, k) in [(150, 210, 70), (300, 8, 130), (9, 400, 5), (40, 33, 2_500)] {
            for type in [CK_F32, CK_BF16] {
                let shape = GemmShape(
                    m: m, n: n, k: k, precision: precision, types: (type, CK_F32, type),
                    transposed: (m > n, true),
                    hasBias: true, accumulates: true)
                let product = GemmProduct(shape, seed: 6)
                for isa in InstructionSets.available {
                    try InstructionSets.using(isa) {
                        let alone = try #require(product.result(scratch: scratch))
                        for pool in pools {
                            #expect(product.result(pool: pool, scratch: scratch).map(bits) == bits(alone))
                        }
                    }
                }
            }
        }
    }

    @Test("An element of C does not depend on the other rows and columns", arguments: precisions)
    func elementsAreIndependent(_ precision: ck_precision) throws {
        let scratch = GemmScratch(threads: 1)
        for (k, type) in [(45, CK_F32), (2_300, CK_BF16)] {
            let shape = GemmShape(
                m: 27, n: 71, k: k, precision: precision, types: (CK_F32, CK_F32, type),
                transposed: (k < 100, true),
                alpha: 0.5, hasBias: true)
            let product = GemmProduct(shape, seed: 7)
            for isa in InstructionSets.available {
                try InstructionSets.using(isa) {
                    let whole = try #require(product.result(scratch: scratch))
                    for count in 1...26 {
                        let rows = 27 - count..<27, columns = count..<count + max(1, 45 - 2 * count)
                        let some = product.result(rows: rows, columns: columns, scratch: scratch)
                        let same = part(whole, width: 71, rows: rows, columns: columns)
                        #expect(some.map(bits) == bits(same), "\(InstructionSets.name(isa)), \(count) rows")
                    }
                }
            }
        }
    }

    @Test("A product of several blocks is made of the same products", arguments: precisions)
    func largeProducts(_ precision: ck_precision) throws {
        let pool = try makePool(2)
        defer { ck_pool_destroy(pool) }
        let scratch = GemmScratch(threads: 2)
        // More lanes than reside at a time; more sums than wait in fp32 between spans of k.
        let depth = precision == CK_PRECISION_F32 ? 1_020 : 2_040
        for (m, n, k, type) in [(1_030, 1_040, depth, CK_F32), (700, 800, 2_060, CK_BF16)] {
            let shape = GemmShape(
                m: m, n: n, k: k, precision: precision, types: (CK_F32, CK_F32, type), accumulates: true)
            let product = GemmProduct(shape, seed: 8)
            let whole = try #require(product.result(pool: pool, scratch: scratch))
            for rows in [0..<3, m / 2..<m / 2 + 2, m - 3..<m] {
                for columns in [0..<7, n / 2..<n / 2 + 40, n - 5..<n] {
                    let some = product.result(rows: rows, columns: columns, scratch: scratch)
                    #expect(some == part(whole, width: n, rows: rows, columns: columns))
                }
            }
            let (value, tolerance) = product.expected(row: m - 1, column: n - 1)
            #expect((Double(whole[m * n - 1]) - value).magnitude <= tolerance)
        }
    }

    @Test("Infinities and NaN stay in their rows and columns, and are not lost", arguments: precisions)
    func nonFiniteNumbers(_ precision: ck_precision) throws {
        let (m, n, k) = (14, 35, 21), scratch = GemmScratch(threads: 1)
        for transposed in [false, true] {
            let shape = GemmShape(
                m: m, n: n, k: k, precision: precision, transposed: (transposed, !transposed))
            let clean = GemmProduct(shape, seed: 9)
            // The last NaN has only low bits, which rounding to bf16 cuts off.
            for bad in [Float.infinity, -.infinity, .nan, Float(bitPattern: 0x7f80_0001)] {
                let spoiled = GemmProduct(shape, seed: 9) { a, b in
                    a[5 * k + 20] = bad
                    b[3 * n + 34] = bad
                }
                for isa in InstructionSets.available {
                    try InstructionSets.using(isa) {
                        let expected = try #require(clean.result(scratch: scratch))
                        let result = try #require(spoiled.result(scratch: scratch))
                        for index in result.indices {
                            if index / n == 5 || index % n == 34 {
                                #expect(!result[index].isFinite)
                            } else {
                                #expect(result[index] == expected[index])
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("No elements of k are a sum of nothing, and no rows or columns nothing to do")
    func emptyProducts() {
        let scratch = GemmScratch(threads: 1)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                for (m, n) in [(0, 5), (5, 0), (0, 0)] {
                    #expect(GemmProduct(GemmShape(m: m, n: n, k: 4), seed: 1).result(scratch: scratch) == [])
                }
                var shape = GemmShape(m: 2, n: 3, k: 0)
                let zeros = [Float](repeating: 0, count: 6)
                #expect(GemmProduct(shape, seed: 1).result(scratch: scratch) == zeros)
                shape.hasBias = true
                let product = GemmProduct(shape, seed: 1)
                #expect(product.result(scratch: scratch) == product.bias + product.bias)
                (shape.hasBias, shape.accumulates) = (false, true)
                let kept = GemmProduct(shape, seed: 1)
                #expect(kept.result(scratch: scratch) == kept.c)
            }
        }
    }
}
