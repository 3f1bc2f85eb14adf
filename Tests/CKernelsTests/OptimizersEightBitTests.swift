// AdamW with states of 8 bits: each step is the plain one on decoded states, and codes are the nearest there
// are.

import CKernels
import Glibc
import Testing

/// Codes and scales of the two moments.
struct EightBitStates {
    var mCodes: [UInt8], vCodes: [UInt8], mScales: [Float], vScales: [Float]

    init(_ count: Int) {
        let blocks = (count + 255) / 256
        (mCodes, vCodes) = ([UInt8](repeating: 9, count: count), [UInt8](repeating: 9, count: count))
        (mScales, vScales) = ([Float](repeating: 9, count: blocks), [Float](repeating: 9, count: blocks))
        ck_adamw_8bit_begin(Int64(count), &mCodes, &mScales, &vCodes, &vScales)
    }

    mutating func step(_ pool: OpaquePointer?, _ update: UnsafePointer<ck_update>, t: Int64) {
        ck_adamw_8bit(pool, update, 0.9, 0.99, 1e-8, t, &mCodes, &mScales, &vCodes, &vScales)
    }

    var m: [Float] { mCodes.indices.map { DynamicCode.signed[Int(mCodes[$0])] * mScales[$0 / 256] } }
    var v: [Float] { vCodes.indices.map { DynamicCode.unsigned[Int(vCodes[$0])] * vScales[$0 / 256] } }
    var all: [[UInt8]] {
        [mCodes, vCodes, TrainingKernels.bytes(mScales), TrainingKernels.bytes(vScales)]
    }
}

/// The codes' values, from the definition in Dettmers et al., arXiv:2110.02861.
enum DynamicCode {
    /// As the kernels decode them.
    static let signed: [Float] = {
        var values = [Float](repeating: .nan, count: 256)
        ck_nf4_dequantize_scales((0...255).map { $0 }, [1], 0, 256, &values)
        return values
    }()

    /// Of single precision, as bitsandbytes computes them.
    static let unsigned = magnitudes(first: 2)

    static func magnitudes(first: Int) -> [Float] {
        var values: [Float] = [0]
        for power in 0..<7 {
            let count = first << power
            let step = (1 - 0.1 as Float) / Float(count)
            let ends = (0...count).map { k in
                k < (count + 1) / 2
                    ? (0.1 as Float).addingProduct(step, Float(k))
                    : (1 as Float).addingProduct(-step, Float(count - k))
            }
            let scale: Float = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1][power]
            values += zip(ends, ends.dropFirst()).map { ($0 + $1) / 2 * scale }
        }
        return values + [1]
    }

    /// Whether no other code is nearer to a value than this one, but for the rounding of a position among
    /// codes.
    static func isNearest(_ code: UInt8, to value: Double, of values: [Float]) -> Bool {
        let distance = abs(value - Double(values[Int(code)]))
        let neighbors = [Int(code) - 1, Int(code) + 1].filter { values.indices.contains($0) }
        return neighbors.allSatisfy { neighbor in
            let gap = abs(Double(values[neighbor]) - Double(values[Int(code)]))
            return distance <= abs(value - Double(values[neighbor])) + gap * 1e-3
        }
    }
}

@Suite("AdamW with states of 8 bits")
struct OptimizersEightBitTests {
    @Test("The codes are 0, 1, and seven decades with twice as many values each")
    func codes() {
        let positive = DynamicCode.magnitudes(first: 1)
        #expect(Array(DynamicCode.signed[127...]) == positive)
        #expect(Array(DynamicCode.signed[..<127]) == positive[1..<128].reversed().map { -$0 })
        #expect(DynamicCode.unsigned.count == 256)
        // In the paper's terms: (0.1 + 0.9 (k + 1/2) / n) 10^-e.
        for (first, values) in [(1, positive), (2, DynamicCode.unsigned)] {
            var index = 1
            for power in 0..<7 {
                let count = first << power
                for k in 0..<count {
                    let value = (0.1 + 0.9 * (Double(k) + 0.5) / Double(count)) * pow(10, Double(power - 6))
                    #expect(abs(Double(values[index]) - value) < value * 3e-7)
                    index += 1
                }
            }
            #expect(values[index] == 1 && index == values.count - 1)
        }
        let some: [(Int, Float)] = [
            (0, -0.99296874), (126, -5.5e-7), (128, 5.5e-7), (129, 3.25e-6), (254, 0.99296874),
        ]
        for (code, value) in some { #expect(abs(DynamicCode.signed[code] - value) <= abs(value) * 1e-6) }
    }

    // Three chunks of elements; the last block has 233 of them.
    @Test("A step is the plain one on decoded states, which get the nearest codes")
    func steps() throws {
        let count = 33_001
        let gradients = (1...20).map { step in
            // Over many powers of ten within each block.
            TrainingKernels.numbers(count, in: -1...1, seed: UInt64(step)).map {
                $0 * $0 * $0 * $0 * $0 * 0.1
            }
        }
        var update = Update(count), plain = Update(count)
        var states = EightBitStates(count)
        #expect(states.m.allSatisfy { $0 == 0 } && states.v.allSatisfy { $0 == 0 })
        for (index, gradient) in gradients.enumerated() {
            let t = Int64(index + 1)
            var (m, v) = (states.m, states.v)
            plain.parameters = update.parameters
            plain.step(gradient) { ck_adamw(nil, $0, 0.9, 0.99, 1e-8, t, &m, &v) }
            update.step(gradient) { states.step(nil, $0, t: t) }
            #expect(update.parameters == plain.parameters)
            for block in 0..<states.mScales.count {
                let range = block * 256..<min(block * 256 + 256, count)
                #expect(states.mScales[block] == m[range].map { $0.magnitude }.max())
                #expect(states.vScales[block] == v[range].max())
            }
            var wrong = 0
            for i in stride(from: index, to: count, by: 20) {
                let (mScale, vScale) = (Double(states.mScales[i / 256]), Double(states.vScales[i / 256]))
                let isNearest =
                    DynamicCode.isNearest(states.mCodes[i], to: Double(m[i]) / mScale, of: DynamicCode.signed)
                    && DynamicCode.isNearest(
                        states.vCodes[i], to: Double(v[i]) / vScale, of: DynamicCode.unsigned)
                if !isNearest { wrong += 1 }
            }
            #expect(wrong == 0)
        }
        let result = try TrainingKernels.everyWay("8-bit AdamW") { pool in
            var update = Update(count)
            var states = EightBitStates(count)
            for t in 1...3 { update.step(gradients[t - 1]) { states.step(pool, $0, t: Int64(t)) } }
            return [TrainingKernels.bytes(update.parameters)] + states.all
        }
        #expect(result.count == 5)
    }

    @Test("20 steps stay near those with whole states")
    func nearness() {
        let count = 2000
        var update = Update(count), plain = Update(count)
        var states = EightBitStates(count)
        var m = [Float](repeating: 0, count: count), v = m
        let start = update.parameters
        for t in 1...20 {
            let gradient = TrainingKernels.numbers(count, in: -0.1...0.1, seed: UInt64(t))
            update.step(gradient) { states.step(nil, $0, t: Int64(t)) }
            plain.step(gradient) { ck_adamw(nil, $0, 0.9, 0.99, 1e-8, Int64(t), &m, &v) }
        }
        let moved = zip(start, plain.parameters).reduce(0) { $0 + abs($1.0 - $1.1) }
        let apart = zip(update.parameters, plain.parameters).reduce(0) { $0 + abs($1.0 - $1.1) }
        #expect(apart < moved * 0.05 && apart > 0)
    }

    @Test("A block with NaN is lost and seen to be, others are not; nothing stays nothing")
    func edges() throws {
        var update = Update(600)
        var states = EightBitStates(600)
        var gradient = [Float](repeating: 0, count: 600)
        gradient[300] = .nan
        update.step(gradient) { states.step(nil, $0, t: 1) }
        #expect(update.parameters.indices.filter { update.parameters[$0].isNaN } == [300])
        #expect(states.mScales[1].isNaN && states.vScales[1].isNaN)
        #expect(states.mScales[0] == 0 && states.vScales[2] == 0)
        #expect(states.m[..<256].allSatisfy { $0 == 0 } && states.v[512...].allSatisfy { $0 == 0 })
        gradient[300] = 0
        update.step(gradient) { states.step(nil, $0, t: 2) }
        #expect(update.parameters.indices.filter { update.parameters[$0].isNaN } == Array(256..<512))
        // Below the normal numbers there is nothing to scale.
        var tiny = Update(100)
        var few = EightBitStates(100)
        tiny.step([Float](repeating: 1e-38, count: 100)) { few.step(nil, $0, t: 1) }
        #expect(few.mScales == [0] && few.vScales == [0] && tiny.parameters.allSatisfy { $0.isFinite })
        var none = Update(0)
        var nothing = EightBitStates(0)
        none.step([]) { nothing.step(nil, $0, t: 1) }
        #expect(nothing.mScales.isEmpty)
    }
}
