// Attention of packed sequences, forward and backward: against double precision, and the same bits
// whatever the threads and the other sequences.

import CKernels
import Testing

@Suite("Attention of packed sequences")
struct TrainingAttentionTests {
    static let types = [CK_F32, CK_BF16]
    static let shapes = [
        PackedShape(heads: 1, kvHeads: 1, headDim: 2, lengths: [1]),
        PackedShape(heads: 3, kvHeads: 3, headDim: 6, lengths: [1, 17, 33, 2, 5]),
        PackedShape(heads: 7, kvHeads: 1, headDim: 24, lengths: [64, 1, 16, 15, 97]),
        PackedShape(heads: 14, kvHeads: 2, headDim: 64, lengths: [30, 1, 19]),
        PackedShape(heads: 2, kvHeads: 2, headDim: 64, lengths: [129, 3]),
        PackedShape(heads: 2, kvHeads: 1, headDim: 16, lengths: [257, 1, 256]),
        PackedShape(heads: 4, kvHeads: 2, headDim: 80, lengths: [7, 70]),
        PackedShape(heads: 6, kvHeads: 2, headDim: 96, lengths: [48, 49]),
        PackedShape(heads: 2, kvHeads: 1, headDim: 128, lengths: [100, 28]),
        PackedShape(heads: 1, kvHeads: 1, headDim: 256, lengths: [66]),
        PackedShape(heads: 5, kvHeads: 1, headDim: 16, window: 1, lengths: [40, 3]),
        PackedShape(heads: 2, kvHeads: 1, headDim: 10, window: 7, lengths: [100, 1, 8]),
        PackedShape(heads: 4, kvHeads: 4, headDim: 20, window: 64, lengths: [200, 65]),
        PackedShape(heads: 2, kvHeads: 1, headDim: 12, window: 130, lengths: [300, 131, 4]),
        PackedShape(heads: 3, kvHeads: 1, headDim: 18, window: 33, lengths: [290]),
        PackedShape(heads: 9, kvHeads: 3, headDim: 34, window: 1000, lengths: [0, 35, 0, 12]),
    ]

    private func name(_ type: ck_type) -> String { type == CK_BF16 ? "BF16" : "F32" }

    @Test("Every instruction set agrees with double precision, forward and backward", arguments: shapes)
    func agreesWithReference(shape: PackedShape) {
        for type in Self.types {
            let attention = TrainingAttentionCase(shape, type: type)
            let expected = attention.reference
            for isa in InstructionSets.available {
                let found = InstructionSets.using(isa) { attention.run() }
                let worst = [
                    "out": expected.out.worst(found.out), "log sums": expected.logSums.worst(found.logSums),
                    "dq": expected.dq.worst(found.dq), "dk": expected.dk.worst(found.dk),
                    "dv": expected.dv.worst(found.dv),
                ]
                let way = "\(name(type)) with \(InstructionSets.name(isa)): \(shape)"
                #expect(worst.values.allSatisfy { $0 <= 1 }, "\(way): errors by their bounds \(worst)")
                #expect(!found.hasSpilled, "\(way)")
            }
        }
    }

    @Test(
        "The reference's gradients are those of its results",
        arguments: [
            PackedShape(heads: 4, kvHeads: 2, headDim: 2, lengths: [3, 1, 4]),
            PackedShape(heads: 2, kvHeads: 1, headDim: 4, window: 2, lengths: [5]),
        ])
    func referenceAgreesWithDifferences(shape: PackedShape) {
        let attention = TrainingAttentionCase(shape, type: CK_F32, seed: 3)
        let dOut = attention.dOut.map(Double.init)
        let matrices = [attention.q, attention.k, attention.v].map { $0.map(Double.init) }
        func reference(_ m: [[Double]]) -> TrainingAttentionReference {
            TrainingAttentionReference(shape, q: m[0], k: m[1], v: m[2], dOut: dOut)
        }
        func loss(_ matrices: [[Double]]) -> Double {
            let out = reference(matrices).out
            return dOut.indices.reduce(0) { $0 + out.values[$1] * dOut[$1] }
        }
        let exact = reference(matrices)
        // Central differences are off by about step², times third derivatives of the order of 1.
        let step = 0x1p-14
        for (number, gradient) in [exact.dq, exact.dk, exact.dv].enumerated() {
            for index in 0..<gradient.count {
                var more = matrices, less = matrices
                more[number][index] += step
                less[number][index] -= step
                let slope = (loss(more) - loss(less)) / (2 * step)
                #expect(abs(slope - gradient.values[index]) < 1e-7, "matrix \(number), element \(index)")
            }
        }
        #expect((0..<exact.dq.count).contains { abs(exact.dq.values[$0]) > 0.01 })
    }

    @Test(
        "Any number of threads gives the same bits",
        arguments: [
            PackedShape(heads: 6, kvHeads: 2, headDim: 24, lengths: [300, 1, 70, 17, 5]),
            // More key tiles than have parts at a time.
            PackedShape(heads: 2, kvHeads: 1, headDim: 2, lengths: Array(repeating: 310, count: 7)),
            PackedShape(heads: 3, kvHeads: 3, headDim: 10, window: 100, lengths: [400, 9]),
            // More sequences than are planned at a time.
            PackedShape(heads: 2, kvHeads: 1, headDim: 2, lengths: (0..<1100).map { 1 + $0 % 3 }),
        ])
    func threadsGiveTheSameBits(shape: PackedShape) throws {
        let pools: [OpaquePointer] = try [1, 2, 3].map { try makePool($0) }
        defer { for pool in pools { ck_pool_destroy(pool) } }
        for type in Self.types {
            let attention = TrainingAttentionCase(shape, type: type)
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let expected = attention.run()
                    #expect(expected.out.allSatisfy { $0.isFinite } && expected.dv.allSatisfy { $0.isFinite })
                    for pool in pools {
                        let found = attention.run(pool: pool)
                        let way = "\(name(type)) with \(InstructionSets.name(isa))"
                        #expect(found.bits == expected.bits, "\(way), \(ck_pool_threads(pool)) threads")
                        #expect(!found.hasSpilled, "\(way), \(ck_pool_threads(pool)) threads")
                    }
                }
            }
        }
    }

    @Test("A sequence gets the bits that it gets alone, whatever is beside it", arguments: types)
    func sequencesAreIsolated(type: ck_type) throws {
        let pool = try makePool(2)
        defer { ck_pool_destroy(pool) }
        let shape = PackedShape(heads: 6, kvHeads: 2, headDim: 20, window: 90, lengths: [33, 300, 1, 64, 7])
        let packed = TrainingAttentionCase(shape, type: type)
        var dirty = packed
        // The second sequence is of nothing but NaN.
        let rows = shape.starts[1]..<shape.starts[2]
        for index in rows.lowerBound * shape.width..<rows.upperBound * shape.width {
            dirty.q[index] = .nan
            dirty.dOut[index] = .nan
        }
        for index in rows.lowerBound * shape.kvWidth..<rows.upperBound * shape.kvWidth {
            dirty.k[index] = .nan
            dirty.v[index] = .nan
        }
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let (clean, changed) = (packed.run(pool: pool), dirty.run(pool: pool))
                for sequence in shape.lengths.indices {
                    let alone = packed.alone(sequence).run()
                    let way = "sequence \(sequence) with \(InstructionSets.name(isa))"
                    #expect(part(sequence, of: clean, shape) == alone.bits, "\(way), beside others")
                    if sequence == 1 {
                        #expect(part(sequence, of: changed, shape) != alone.bits, "\(way), changed")
                    } else {
                        #expect(part(sequence, of: changed, shape) == alone.bits, "\(way), beside NaN")
                    }
                }
            }
        }
    }

    /// The bits of one sequence's results.
    private func part(_ sequence: Int, of results: TrainingAttentionResults, _ shape: PackedShape)
        -> [[UInt32]]
    {
        let rows = shape.starts[sequence]..<shape.starts[sequence + 1]
        func part(_ x: [Float], _ width: Int) -> [Float] {
            Array(x[rows.lowerBound * width..<rows.upperBound * width])
        }
        let logSums = (0..<shape.heads).flatMap { head in
            results.logSums[head * shape.rows + rows.lowerBound..<head * shape.rows + rows.upperBound]
        }
        return TrainingAttentionResults(
            out: part(results.out, shape.width), logSums: logSums, dq: part(results.dq, shape.width),
            dk: part(results.dk, shape.kvWidth), dv: part(results.dv, shape.kvWidth)
        ).bits
    }

    @Test("A window that is as long as the sequence changes no bit, a shorter one does", arguments: types)
    func wideWindow(type: ck_type) {
        var attention = TrainingAttentionCase(
            PackedShape(heads: 2, kvHeads: 1, headDim: 16, lengths: [150, 20]), type: type)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                attention.shape.window = 0
                let expected = attention.run().bits
                attention.shape.window = 150
                #expect(attention.run().bits == expected, "\(InstructionSets.name(isa))")
                attention.shape.window = 149
                #expect(attention.run().bits != expected, "\(InstructionSets.name(isa))")
            }
        }
    }

    @Test("A token that sees only itself gives its value, and moves neither query nor key", arguments: types)
    func windowOfOne(type: ck_type) {
        let shape = PackedShape(heads: 3, kvHeads: 3, headDim: 8, window: 1, lengths: [70, 1, 5])
        let attention = TrainingAttentionCase(shape, type: type)
        for isa in InstructionSets.available {
            let found = InstructionSets.using(isa) { attention.run() }
            // 2^x of an exponent that is the difference of two roundings may be off by some units of 2^-24.
            let tolerance: Float = type == CK_BF16 ? 0x1p-8 : 0x1p-18
            for (found, expected) in zip(found.out + found.dv, attention.v + attention.dOut) {
                #expect(abs(found - expected) <= tolerance, "\(InstructionSets.name(isa))")
            }
            let largest = (found.dq + found.dk).reduce(0) { max($0, abs($1)) }
            #expect(largest <= 20 * tolerance, "\(InstructionSets.name(isa))")
        }
    }

    @Test("Scores far from zero neither overflow nor vanish", arguments: types)
    func farScores(type: ck_type) {
        let shape = PackedShape(heads: 2, kvHeads: 1, headDim: 4, lengths: [40])
        var attention = TrainingAttentionCase(shape, type: type)
        // A scale this large leaves one key with all the weight.
        attention.scale = 1e6
        for isa in InstructionSets.available {
            let found = InstructionSets.using(isa) { attention.run() }
            #expect(
                (found.dq + found.dk + found.dv).allSatisfy { $0.isFinite }, "\(InstructionSets.name(isa))")
            for row in stride(from: 0, to: found.out.count, by: 4) {
                let isNearOne = stride(from: 0, to: attention.v.count, by: 4).contains { place in
                    (0..<4).allSatisfy { abs(found.out[row + $0] - attention.v[place + $0]) < 0x1p-7 }
                }
                #expect(isNearOne, "row \(row / 4) with \(InstructionSets.name(isa))")
            }
        }
    }
}
