// The row-wise layers against double precision, and the same bits from every instruction set and thread
// count.

import CKernels
import Glibc
import TestSupport
import Testing

/// Half a unit in the last place, relative to a result: what one rounding may add.
private let rounding = 0x1p-24

private func numbers(_ count: Int, in range: ClosedRange<Float> = -4...4, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: range, using: &generator) }
}

private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// Expects |value - expected| <= tolerance everywhere, and reports the worst place only.
private func expectClose(
    _ values: [Float], _ expected: [(value: Double, tolerance: Double)], _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(values.count == expected.count, sourceLocation: sourceLocation)
    var worst: (index: Int, ratio: Double) = (0, 0)
    for (index, (value, wanted)) in zip(values, expected).enumerated() {
        let ratio = abs(Double(value) - wanted.value) / wanted.tolerance
        if !(ratio <= worst.ratio) { worst = (index, ratio) }
    }
    #expect(
        worst.ratio <= 1, "\(what): [\(worst.index)] is \(values[worst.index]), not \(expected[worst.index])",
        sourceLocation: sourceLocation)
}

/// Calls `compute` with each instruction set and each kind of pool; expects the same bits of all, and returns
/// them.
private func everyWay(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ compute: (OpaquePointer?) -> [Float]
) throws -> [Float] {
    let pools: [OpaquePointer?] = try [nil] + [1, 2, 3].map { try makePool($0) }
    defer { for pool in pools { ck_pool_destroy(pool) } }
    let first = InstructionSets.using(CK_ISA_PORTABLE) { compute(nil) }
    for isa in InstructionSets.available {
        for pool in pools {
            let other = InstructionSets.using(isa) { compute(pool) }
            #expect(
                bits(other) == bits(first),
                "\(what) with \(InstructionSets.name(isa)), \(ck_pool_threads(pool)) threads",
                sourceLocation: sourceLocation)
        }
    }
    return first
}

@Suite("Row-wise layers")
struct LayersTests {
    static let sizes = [1, 2, 15, 16, 17, 48, 63, 64, 65, 130, 896, 1000]

    @Test("exp is within 2 units in the last place wherever the result is normal")
    func exponentials() throws {
        let x = stride(from: Float(-87.3), through: 88.7, by: 0.0137).map { $0 }
        let y = try everyWay("exp") { _ in
            var y = [Float](repeating: .nan, count: x.count)
            ck_exp(x, &y, Int64(x.count))
            return y
        }
        // A unit in the last place is at most 2^-23 of the value.
        expectClose(y, x.map { (exp(Double($0)), exp(Double($0)) * 0x1p-22) }, "exp")
    }

    @Test("exp at its ends: 0 below -87.3, infinity above 88.72, NaN stays NaN")
    func exponentialsAtTheEnds() throws {
        let x: [Float] = [-.infinity, -1e30, -104, -87.5, 0, -0.0, 88.72283, 88.73, 1e30, .infinity, .nan]
        let y = try everyWay("exp") { _ in
            var y = [Float](repeating: .nan, count: x.count)
            ck_exp(x, &y, Int64(x.count))
            return y
        }
        #expect(y[..<4].allSatisfy { $0 == 0 } && y[4] == 1 && y[5] == 1)
        #expect(y[6].isFinite && y[6] > 3.4e38)
        #expect(y[7..<10].allSatisfy { $0 == .infinity } && y[10].isNaN)
    }

    @Test("RMS normalization", arguments: sizes)
    func rmsNorm(size: Int) throws {
        let (rows, ldx, ldy, epsilon) = (5, size + 3, size + 1, Float(1e-6))
        let x = numbers(rows * ldx, seed: 1), weight = numbers(size, seed: 2)
        let y = try everyWay("rms_norm") { pool in
            var y = [Float](repeating: 7, count: rows * ldy)
            ck_rms_norm(pool, x, Int64(ldx), weight, epsilon, Int64(rows), Int64(size), &y, Int64(ldy))
            return y
        }
        // A sum of squares in 64 lanes has chains of size / 64 + 10 roundings, halved by the root; the rest
        // are few.
        let tolerance = (Double(size) / 64 + 16) * rounding
        for row in 0..<rows {
            let values = x[row * ldx..<row * ldx + size].map(Double.init)
            let mean = values.reduce(0) { $0 + $1 * $1 } / Double(size)
            let expected = zip(values, weight).map { value, weight in
                let wanted = value * Double(weight) / (mean + Double(epsilon)).squareRoot()
                return (wanted, abs(wanted) * tolerance + 1e-40)
            }
            expectClose(Array(y[row * ldy..<row * ldy + size]), expected, "row \(row)")
            #expect(y[row * ldy + size] == 7, "nothing is written behind a row")
        }
        var inPlace = x
        ck_rms_norm(nil, inPlace, Int64(ldx), weight, epsilon, 1, Int64(size), &inPlace, Int64(ldx))
        #expect(bits(Array(inPlace[..<size])) == bits(Array(y[..<size])))
    }

    @Test("Rotary embedding turns the halves of each head", arguments: [2, 6, 32, 34, 64, 128, 256])
    func rope(headDim: Int) throws {
        let (rows, heads, half, positions) = (5, 3, headDim / 2, [4, 0, 9, 9, 2] as [Int32])
        let ld = heads * headDim + 2
        let x = numbers(rows * ld, seed: 3)
        let cosines = numbers(10 * half, in: -1...1, seed: 4), sines = numbers(10 * half, in: -1...1, seed: 5)
        let y = try everyWay("rope") { pool in
            var y = x
            ck_rope(pool, &y, Int64(ld), Int64(rows), Int64(heads), Int64(headDim), cosines, sines, positions)
            return y
        }
        for row in 0..<rows {
            var expected: [(value: Double, tolerance: Double)] = []
            for column in 0..<heads * headDim {
                let j = column % headDim, at = row * ld + column
                let angle = Int(positions[row]) * half + j % half
                let own = Double(x[at]) * Double(cosines[angle])
                let other = Double(j < half ? -x[at + half] : x[at - half]) * Double(sines[angle])
                // Two products and a sum are rounded.
                expected.append((own + other, (abs(own) + abs(other)) * 2.01 * rounding))
            }
            expectClose(Array(y[row * ld..<row * ld + heads * headDim]), expected, "row \(row)")
            #expect(y[row * ld + heads * headDim] == x[row * ld + heads * headDim])
        }
    }

    @Test("SwiGLU", arguments: sizes)
    func swiglu(size: Int) throws {
        let (rows, ld, ldy) = (3, 2 * size + 1, size + 2)
        var input = numbers(rows * ld, in: -12...12, seed: 6)
        input[0] = -200
        let y = try everyWay("swiglu") { pool in
            var y = [Float](repeating: 7, count: rows * ldy)
            input.withUnsafeBufferPointer { input in
                guard let gate = input.baseAddress else { return }
                ck_swiglu(pool, gate, gate + size, Int64(ld), Int64(rows), Int64(size), &y, Int64(ldy))
            }
            return y
        }
        for row in 0..<rows {
            let expected = (0..<size).map { column in
                let gate = Double(input[row * ld + column]), up = Double(input[row * ld + size + column])
                let wanted = gate / (1 + exp(-gate)) * up
                // exp contributes 4 roundings' worth; the sum, the quotient and the product one each.
                return (wanted, abs(wanted) * 7.1 * rounding + 1e-37)
            }
            expectClose(Array(y[row * ldy..<row * ldy + size]), expected, "row \(row)")
            #expect(y[row * ldy + size] == 7, "nothing is written behind a row")
        }
    }

    @Test("Addition", arguments: [0, 1, 16, 33, 8192, 20_001])
    func addition(count: Int) throws {
        let x = numbers(count, seed: 7), before = numbers(count, seed: 8)
        let y = try everyWay("add") { pool in
            var y = before
            ck_add(pool, x, &y, Int64(count))
            return y
        }
        #expect(bits(y) == bits(zip(x, before).map { $0 + $1 }))
    }

    @Test("Softmax", arguments: sizes)
    func softmax(size: Int) throws {
        let (rows, ld) = (4, size + 1)
        var x = numbers(rows * ld, in: -30...30, seed: 9)
        // Neither of these may overflow.
        x[0] = 300
        x[ld] = -.infinity
        if size == 1 { x[ld] = -3e38 }
        let y = try everyWay("softmax") { pool in
            var y = x
            ck_softmax(pool, &y, Int64(ld), Int64(rows), Int64(size))
            return y
        }
        for row in 0..<rows {
            let values = x[row * ld..<row * ld + size].map(Double.init)
            let most = values.max() ?? 0
            let sum = values.reduce(0) { $0 + exp($1 - most) }
            let expected = values.map { value in
                // The rounded difference to the maximum is an error of the exponent; exp and the sum add
                // theirs. What is below the smallest normal number may become 0.
                let wanted = exp(value - most) / sum
                let distance = min(most - value, 200)
                return (wanted, wanted * (distance + Double(size) / 64 + 24) * rounding + 0x1p-125)
            }
            expectClose(Array(y[row * ld..<row * ld + size]), expected, "row \(row)")
            #expect(y[row * ld + size] == x[row * ld + size], "nothing is written behind a row")
        }
    }

    @Test("The largest of many: the first of equals, and never NaN unless all are", arguments: sizes)
    func argmax(size: Int) {
        let x = numbers(size, seed: 10)
        let places = Set([0, size / 2, size - 1])
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                for place in places {
                    var peaked = x
                    peaked[place] = 9
                    peaked[size - 1] = 9
                    if place > 0 { peaked[0] = .nan }
                    #expect(ck_argmax(peaked, Int64(size)) == place)
                }
                #expect(ck_argmax([Float](repeating: .nan, count: size), Int64(size)) == 0)
                #expect(ck_argmax([Float](repeating: -.infinity, count: size), Int64(size)) == 0)
                var one = [Float](repeating: .nan, count: size)
                one[size - 1] = -.infinity
                #expect(ck_argmax(one, Int64(size)) == size - 1)
            }
        }
    }

    @Test("Log of a sum of exponentials", arguments: sizes + [150_001])
    func logSumExp(size: Int) {
        let x = numbers(size, in: -20...20, seed: 11)
        let most = x.reduce(-.infinity) { max($0, Double($1)) }
        let expected = most + log(x.reduce(0) { $0 + exp(Double($1) - most) })
        var results: Set<UInt64> = []
        for isa in InstructionSets.available {
            let value = InstructionSets.using(isa) { ck_log_sum_exp(x, Int64(size)) }
            results.insert(value.bitPattern)
            // The sum is in double; each term's exponent is off by a rounding of at most 40, and exp by 4
            // roundings.
            #expect(abs(value - expected) <= 44 * rounding)
        }
        #expect(results.count == 1, "instruction sets differ")
    }

    @Test("Log of a sum of exponentials at the ends", arguments: [1, 16, 19])
    func logSumExpAtTheEnds(size: Int) {
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let lowest = [Float](repeating: -.infinity, count: size)
                #expect(ck_log_sum_exp(lowest, Int64(size)) == -.infinity)
                let far = [Float](repeating: -3e38, count: size)
                #expect(abs(ck_log_sum_exp(far, Int64(size)) - Double(far[0])) < 1e32)
                var highest = lowest
                highest[size / 2] = .infinity
                #expect(ck_log_sum_exp(highest, Int64(size)) == .infinity)
                var unknown = lowest
                unknown[size - 1] = .nan
                #expect(ck_log_sum_exp(unknown, Int64(size)).isNaN)
            }
        }
    }
}
