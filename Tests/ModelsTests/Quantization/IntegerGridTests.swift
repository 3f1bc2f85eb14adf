// Codes, scales and zeros of groups, computed by hand.

import Models
import Tensors
import TestSupport
import Testing

@Suite("Integer grids")
struct IntegerGridTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var rule: IntegerGrid.Rule
        var bits: Int
        var values: [Float]
        var codes: [UInt8]
        var scale: Float
        var zero: UInt8
        var testDescription: String { "\(rule), \(bits) bits, \(values)" }
    }

    static let cases = [
        Case(
            rule: .symmetric, bits: 4, values: [7.5, -3, 0.4, 0], codes: [15, 5, 8, 8], scale: 1, zero: 8),
        // Half way between -7 and -8, the even one counts.
        Case(
            rule: .symmetric, bits: 4, values: [-7.5, 2.5, 3.5, 1], codes: [0, 10, 12, 9], scale: 1, zero: 8),
        Case(
            rule: .asymmetric, bits: 4, values: [-5, 10, 0, 4.4], codes: [0, 15, 5, 9], scale: 1, zero: 5),
        // Zero is always within the range.
        Case(rule: .asymmetric, bits: 4, values: [15, 3, 8, 1], codes: [15, 3, 8, 1], scale: 1, zero: 0),
        Case(
            rule: .asymmetric, bits: 4, values: [-15, -3, -8, -1], codes: [0, 12, 7, 14], scale: 1, zero: 15),
        Case(rule: .signed, bits: 4, values: [7, -7, 3.5, -0.5], codes: [15, 1, 12, 8], scale: 1, zero: 8),
        Case(
            rule: .signed, bits: 8, values: [127, -127, 1.5, 0], codes: [255, 1, 130, 128], scale: 1,
            zero: 128),
        Case(
            rule: .symmetric, bits: 8, values: [127.5, 0.2, -64, 9], codes: [255, 128, 64, 137], scale: 1,
            zero: 128),
        // Nothing but zeros: a scale to divide by nevertheless.
        Case(
            rule: .symmetric, bits: 4, values: [0, 0, 0, 0], codes: [8, 8, 8, 8], scale: 1 / 15, zero: 8),
    ]

    @Test("A group's codes are those of the rule", arguments: cases)
    func codes(item: Case) throws {
        let grid = IntegerGrid(rule: item.rule, bits: item.bits, groupSize: nil)
        let matrix = RoundToNearest.quantize(
            item.values, outputs: 1, inputs: 4, grid: grid, pool: try ThreadPool(threads: 1))
        #expect(matrix.codes == item.codes)
        #expect(matrix.scales == [item.scale])
        #expect(matrix.zero(0, 0) == item.zero)
        #expect((matrix.zeros == nil) == (item.rule != .asymmetric))
    }

    @Test("A format that has no zero of 0 gets a larger one, and still reaches the largest value")
    func leastZero() throws {
        var grid = IntegerGrid(rule: .asymmetric, bits: 4, groupSize: nil)
        grid.leastZero = 1
        let matrix = RoundToNearest.quantize(
            [14, 3, 8, 1], outputs: 1, inputs: 4, grid: grid, pool: try ThreadPool(threads: 1))
        #expect(matrix.zero(0, 0) == 1)
        #expect(matrix.dequantized() == [14, 3, 8, 1])
    }

    @Test("Whatever the shape, every value is within half a step of its code's", arguments: 0..<40)
    func nearest(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let (outputs, inputs) = (
            Int.random(in: 1...9, using: &random), Int.random(in: 1...150, using: &random)
        )
        let size = Bool.random(using: &random) ? nil : Int.random(in: 1...inputs, using: &random)
        let bits = Bool.random(using: &random) ? 4 : 8
        let type = [ElementType.f32, .f16, .bf16].randomElement(using: &random) ?? .f32
        let rule = IntegerGrid.Rule.allCases.randomElement(using: &random) ?? .symmetric
        let grid = IntegerGrid(rule: rule, bits: bits, groupSize: size, scaleType: type)
        let values = (0..<outputs * inputs).map { _ in Float.random(in: -3...5, using: &random) }
        let pools = try [1, 3].map { try ThreadPool(threads: $0) }
        let matrices = pools.map {
            RoundToNearest.quantize(values, outputs: outputs, inputs: inputs, grid: grid, pool: $0)
        }
        #expect(matrices[0] == matrices[1], "threads change nothing")
        let matrix = matrices[0]
        #expect(QuantizedTensors.roundedScales(matrix.scales, type) == matrix.scales)
        for (index, value) in matrix.dequantized().enumerated() {
            let group = index / inputs * matrix.groups + index % inputs / matrix.groupSize
            let (scale, code) = (matrix.scales[group], matrix.codes[index])
            // At the ends of the range the rounding of scale and zero may add a step.
            let isEnd = code == 0 || code == UInt8((1 << bits) - 1)
            #expect(abs(value - values[index]) <= scale * (isEnd ? 1.6 : 0.501))
        }
    }

    @Test("Floats of 8 bits are nearest, with the largest at 448 steps", arguments: [true, false])
    func float8(perChannel: Bool) throws {
        let values: [Float] = [448, 224, 1.0625, -0.0009, -2, 1, 0.25, 0]
        let matrix = Float8Rounding.quantize(values, outputs: 2, inputs: 4, perChannel: perChannel)
        #expect(matrix.scales == (perChannel ? [1, 2 / 448] : [1]))
        #expect(matrix.bytes.prefix(4) == [0x7e, 0x76, 0x38, 0x80])
        #expect(matrix.dequantized()[0...1] == [448, 224])
        #expect(matrix.dequantized()[7] == 0)
    }
}
