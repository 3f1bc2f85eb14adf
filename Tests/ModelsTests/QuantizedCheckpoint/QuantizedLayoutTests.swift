// The tensors of each format: what is packed is what is read, and lies where the format says.

import Models
import Tensors
import TestSupport
import Testing
import Text

@Suite("Layouts of quantized weights")
struct QuantizedLayoutTests {
    private func words(_ stored: QuantizedTensors.Stored) -> [UInt32] {
        stored.bytes.withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) }.map(UInt32.init(littleEndian:))
    }

    private func matrix(bits: Int, seed: UInt64) -> QuantizedMatrix {
        var random = SeededGenerator(seed: seed)
        let (outputs, inputs, size) = (16, 24, 8), top = UInt8((1 << bits) - 1)
        return QuantizedMatrix(
            outputs: outputs, inputs: inputs, bits: bits, groupSize: size,
            codes: (0..<outputs * inputs).map { _ in UInt8.random(in: 0...top, using: &random) },
            scales: (0..<outputs * 3).map { _ in Float.random(in: 0...1, using: &random) },
            zeros: (0..<outputs * 3).map { _ in UInt8.random(in: 0...top, using: &random) })
    }

    @Test("GPTQ packs inputs into words, and zero points less one", arguments: [4, 8])
    func gptq(_ bits: Int) throws {
        let matrix = matrix(bits: bits, seed: 1), perWord = 32 / bits
        let stored = QuantizedTensors.tensors(of: matrix, module: "a", format: .gptq)
        #expect(stored.map(\.name) == ["a.qweight", "a.qzeros", "a.scales", "a.g_idx"])
        #expect(stored.map(\.shape) == [[24 / perWord, 16], [3, 16 / perWord], [3, 16], [24]])
        #expect(stored.map(\.type) == [.i32, .i32, .f16, .i32])
        let (weights, zeros) = (words(stored[0]), words(stored[1])), mask = UInt32((1 << bits) - 1)
        for input in 0..<24 {
            for output in 0..<16 {
                let word = weights[input / perWord * 16 + output]
                #expect(word >> UInt32(input % perWord * bits) & mask == matrix.codes[output * 24 + input])
            }
        }
        for group in 0..<3 {
            for output in 0..<16 {
                let word = zeros[group * (16 / perWord) + output / perWord]
                let zero = ((word >> UInt32(output % perWord * bits) & mask) + 1) & mask
                #expect(zero == matrix.zero(output, group))
            }
        }
        #expect(words(stored[3]) == (0..<24).map { $0 / 8 })
    }

    @Test("AWQ packs outputs into words, in its own order")
    func awq() throws {
        let matrix = matrix(bits: 4, seed: 2), order = [0, 2, 4, 6, 1, 3, 5, 7]
        let stored = QuantizedTensors.tensors(of: matrix, module: "a", format: .awq)
        #expect(stored.map(\.shape) == [[24, 2], [3, 2], [3, 16]])
        let (weights, zeros) = (words(stored[0]), words(stored[1]))
        for column in 0..<2 {
            for slot in 0..<8 {
                let output = column * 8 + order[slot]
                for input in 0..<24 {
                    let code = weights[input * 2 + column] >> UInt32(4 * slot) & 15
                    #expect(code == matrix.codes[output * 24 + input])
                }
                for group in 0..<3 {
                    #expect(zeros[group * 2 + column] >> UInt32(4 * slot) & 15 == matrix.zero(output, group))
                }
            }
        }
    }

    @Test("compressed-tensors packs each row, and zero points along the outputs", arguments: [4, 8])
    func packed(_ bits: Int) throws {
        var matrix = matrix(bits: bits, seed: 3)
        // An odd end of a row.
        matrix = QuantizedMatrix(
            outputs: 16, inputs: 23, bits: bits, groupSize: 8, codes: Array(matrix.codes[0..<16 * 23]),
            scales: matrix.scales, zeros: matrix.zeros)
        let perWord = 32 / bits, wordCount = (23 + perWord - 1) / perWord, mask = UInt32((1 << bits) - 1)
        let stored = QuantizedTensors.tensors(of: matrix, module: "a", format: .compressedTensors)
        #expect(
            stored.map(\.name) == [
                "a.weight_packed", "a.weight_scale", "a.weight_shape", "a.weight_zero_point",
            ])
        #expect(stored.map(\.shape) == [[16, wordCount], [16, 3], [2], [16 / perWord, 3]])
        let (weights, zeros) = (words(stored[0]), words(stored[3]))
        for output in 0..<16 {
            for input in 0..<wordCount * perWord {
                let code =
                    weights[output * wordCount + input / perWord] >> UInt32(input % perWord * bits) & mask
                #expect(code == (input < 23 ? UInt32(matrix.codes[output * 23 + input]) : 0))
            }
            for group in 0..<3 {
                let zero = zeros[output / perWord * 3 + group] >> UInt32(output % perWord * bits) & mask
                #expect(zero == matrix.zero(output, group))
            }
        }
    }

    @Test("Dequantizing takes the zero point away and multiplies, once rounded")
    func dequantized() {
        let matrix = QuantizedMatrix(
            outputs: 1, inputs: 4, bits: 4, groupSize: 2, codes: [0, 15, 8, 3], scales: [0.1, 3],
            zeros: [1, 9], groupIndex: [1, 0, 0, 1])
        #expect(matrix.dequantized() == [-27, 14 * 0.1, Float(7) * 0.1, -18])
        let floats = Float8Matrix(outputs: 2, inputs: 2, bytes: [0x38, 0xb8, 0x7e, 0x01], scales: [2, 0.5])
        #expect(floats.dequantized() == [2, -2, 224, 0x1p-10])
    }

    @Test("A format says what it cannot hold before anybody quantizes")
    func obstacles() {
        func obstacle(
            _ format: QuantizationFormat, _ outputs: Int, _ inputs: Int,
            _ weights: QuantizationScheme.Weights,
            actOrder: Bool = false
        ) -> QuantizedTensors.Obstacle? {
            QuantizedTensors.obstacle(
                outputs: outputs, inputs: inputs,
                scheme: QuantizationScheme(format: format, weights: weights, actOrder: actOrder))
        }
        let four = QuantizationScheme.Weights.integers(bits: 4, groupSize: 32, symmetric: true)
        #expect(obstacle(.gptq, 64, 64, four) == nil && obstacle(.awq, 64, 64, four) == nil)
        #expect(obstacle(.compressedTensors, 7, 64, four) == nil)
        #expect(obstacle(.gptq, 63, 64, four) != nil && obstacle(.awq, 63, 64, four) != nil)
        #expect(obstacle(.gptq, 64, 48, four) == nil && obstacle(.gptq, 64, 44, four)?.isOfLayer == true)
        #expect(obstacle(.awq, 64, 48, four)?.isOfLayer == true)
        #expect(obstacle(.compressedTensors, 64, 48, four)?.isOfLayer == true)
        #expect(obstacle(.compressedTensors, 64, 64, four, actOrder: true) != nil)
        #expect(obstacle(.awq, 64, 64, four, actOrder: true)?.isOfLayer == false)
        #expect(obstacle(.awq, 64, 64, .integers(bits: 8, groupSize: 32, symmetric: true)) != nil)
        #expect(obstacle(.gptq, 64, 64, .integers(bits: 3, groupSize: 32, symmetric: true)) != nil)
        #expect(obstacle(.gptq, 64, 64, .float8(perChannel: true)) != nil)
    }
}
