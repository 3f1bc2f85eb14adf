// Weights in 4 and 8 bits against plain definitions; the same bits from every instruction set and thread
// count.

import CKernels
import Glibc
import Testing

@Suite("Block-wise quantization")
struct BlockQuantizationTests {
    static let codebook = (0..<16).map { ck_nf4_codebook()[$0] }

    private struct NF4 {
        var codes: [UInt8], scales: [Float]
        /// One to an element.
        func nibbles(_ count: Int) -> [Int] {
            Array(codes.flatMap { [Int($0 >> 4), Int($0 & 15)] }[..<count])
        }
    }

    private func nf4(_ pool: OpaquePointer?, _ weights: Elements, _ count: Int) -> NF4 {
        var result = NF4(
            codes: [UInt8](repeating: 0xee, count: (count + 1) / 2),
            scales: [Float](repeating: 9, count: (count + 63) / 64))
        ck_nf4_quantize(pool, weights.type, weights.bytes, Int64(count), &result.codes, &result.scales)
        return result
    }

    @Test(
        "Weights get the nearest of 16 values of their block",
        arguments: [1, 2, 63, 64, 65, 127, 1000, 40_001])
    func quantize(count: Int) throws {
        for type in TrainingKernels.types {
            let weights = Elements(type, TrainingKernels.numbers(count, in: -0.3...0.3, seed: 1))
            let result = try TrainingKernels.everyWay("NF4") { pool in
                let result = nf4(pool, weights, count)
                return [result.codes, TrainingKernels.bytes(result.scales)]
            }
            let own = NF4(codes: result[0], scales: TrainingKernels.floats(CK_F32, result[1]))
            let values = weights.floats
            #expect(
                own.scales
                    == (0..<own.scales.count).map { block in
                        values[block * 64..<min(block * 64 + 64, count)].map { $0.magnitude }.max()
                    })
            var wrong = 0
            for (index, nibble) in own.nibbles(count).enumerated() {
                let value = Double(values[index]) / Double(own.scales[index / 64])
                let least = Self.codebook.map { abs(Double($0) - value) }.min() ?? 0
                // Thresholds are rounded, and so is the quotient.
                if abs(Double(Self.codebook[nibble]) - value) > least + 1e-6 { wrong += 1 }
            }
            #expect(wrong == 0)
            if count % 2 == 1 { #expect(own.codes[count / 2] & 15 == 7) }
        }
    }

    @Test("A block's bytes are these: the first of two in the high half, thresholds belong to the lower code")
    func literalBlock() {
        var weights: [Float] = [2, -2, 0, 0.4, -0.5, 1, -1.3, 0.1]
        // Just at a threshold times the scale, and just above it.
        let threshold: Float = 0.8614784181118011
        weights += [threshold * 2, threshold.nextUp * 2, -0.8480964004993439 * 2, 0.03979014977812767 * 2]
        let result = nf4(nil, Elements(CK_F32, weights), weights.count)
        #expect(result.scales == [2])
        #expect(result.nibbles(12) == [15, 0, 7, 9, 4, 12, 1, 8, 14, 15, 0, 7])
        #expect(result.codes == [0xf0, 0x79, 0x4c, 0x18, 0xef, 0x07])
    }

    @Test("A block of zeros has the scale 0, and one with NaN the scale NaN")
    func edges() {
        var weights = [Float](repeating: 0, count: 192)
        weights[70] = .nan
        weights[130] = 0x1p-140
        let result = nf4(nil, Elements(CK_F32, weights), 192)
        #expect(result.scales[0] == 0 && result.scales[1].isNaN && result.scales[2] == 0x1p-140)
        var back = [Float](repeating: 9, count: 192)
        ck_nf4_dequantize(nil, result.codes, result.scales, 0, 192, CK_F32, &back)
        #expect(back[..<64].allSatisfy { $0 == 0 } && back[64..<128].allSatisfy { $0.isNaN })
        #expect(back[128...].allSatisfy { $0.magnitude <= 0x1p-140 })
        ck_nf4_quantize(nil, CK_F32, weights, 0, nil, nil)
        ck_nf4_dequantize(nil, result.codes, result.scales, 0, 0, CK_F32, &back)
    }

    @Test(
        "Any even beginning and any count come back as value times scale",
        arguments: [
            (0, 1), (0, 64), (2, 61), (2, 62), (2, 63), (62, 3), (64, 64), (130, 500), (0, 40_001), (6, 0),
        ])
    func dequantize(start: Int, count: Int) throws {
        let total = start + count
        let codes = TrainingKernels.numbers((total + 1) / 2, in: 0...255, seed: 2).map { UInt8($0) }
        let scales = TrainingKernels.numbers((total + 63) / 64, in: 0...3, seed: 3)
        let nibbles = NF4(codes: codes, scales: scales).nibbles(total)
        for type in TrainingKernels.types {
            let result = try TrainingKernels.everyWay("NF4, back") { pool in
                var back = Elements(type, [Float](repeating: 9, count: count + 1)).bytes
                ck_nf4_dequantize(pool, codes, scales, Int64(start), Int64(count), type, &back)
                return [back]
            }
            let expected = (start..<total).map { Self.codebook[nibbles[$0]] * scales[$0 / 64] }
            #expect(TrainingKernels.floats(type, result[0]) == Elements(type, expected + [9]).floats)
        }
    }

    @Test("Scales get the nearest of 256 values of their block", arguments: [1, 2, 255, 256, 257, 1000])
    func doubleQuantization(count: Int) {
        let scales = TrainingKernels.numbers(count, in: 0.1...0.6, seed: 4)
        var codes = [UInt8](repeating: 9, count: count), back = [Float](repeating: 9, count: count)
        var blocks = [Float](repeating: 9, count: (count + 255) / 256), offset: Float = 9
        ck_nf4_quantize_scales(scales, Int64(count), &codes, &blocks, &offset)
        ck_nf4_dequantize_scales(codes, blocks, offset, Int64(count), &back)
        let mean = scales.reduce(0) { $0 + Double($1) } / Double(count)
        #expect(offset == Float(mean))
        for (index, scale) in scales.enumerated() {
            let block = blocks[index / 256]
            let value = block == 0 ? 0 : Double((scale - offset) / block)
            #expect(DynamicCode.isNearest(codes[index], to: value, of: DynamicCode.signed))
            #expect(back[index] == DynamicCode.signed[Int(codes[index])] * block + offset)
            // Half of the widest gap is 0.00703.
            #expect(abs(back[index] - scale) <= block * 0.00704 + 1e-7)
        }
    }

    @Test("Scales that are all the same come back as they are, and NaN is kept")
    func scaleEdges() {
        var codes = [UInt8](repeating: 9, count: 3), back = [Float](repeating: 9, count: 3)
        var block: Float = 9, offset: Float = 9
        ck_nf4_quantize_scales([0.25, 0.25, 0.25], 3, &codes, &block, &offset)
        ck_nf4_dequantize_scales(codes, [block], offset, 3, &back)
        #expect(codes == [127, 127, 127] && block == 0 && back == [0.25, 0.25, 0.25])
        ck_nf4_quantize_scales([0.25, .nan, 0.5], 3, &codes, &block, &offset)
        #expect(block.isNaN && offset.isNaN)
        ck_nf4_quantize_scales([], 0, &codes, &block, &offset)
        #expect(offset == 0)
    }

    @Test("Rows in 8 bits", arguments: [0, 1, 15, 16, 17, 100, 20_000])
    func int8(columns: Int) throws {
        let count = 3
        for type in TrainingKernels.types {
            let weights = Elements(type, TrainingKernels.numbers(count * columns, in: -0.7...0.7, seed: 5))
            let result = try TrainingKernels.everyWay("int8") { pool in
                var codes = [Int8](repeating: 9, count: count * columns),
                    scales = [Float](repeating: 9, count: count)
                ck_int8_quantize_rows(
                    pool, type, weights.bytes, Int64(count), Int64(columns), &codes, &scales)
                var back = Elements(type, [Float](repeating: 9, count: count * columns)).bytes
                ck_int8_dequantize_rows(pool, codes, scales, Int64(count), Int64(columns), type, &back)
                return [codes.map { UInt8(bitPattern: $0) }, TrainingKernels.bytes(scales), back]
            }
            let codes = result[0].map { Int8(bitPattern: $0) },
                scales = TrainingKernels.floats(CK_F32, result[1])
            let values = weights.floats, back = TrainingKernels.floats(type, result[2])
            for row in 0..<count {
                let own = values[row * columns..<(row + 1) * columns]
                let most = own.map { $0.magnitude }.max() ?? 0
                #expect(scales[row] == most / 127)
                for (index, value) in zip(own.indices, own) {
                    let code = (value * (127 / most)).rounded(.toNearestOrEven)
                    #expect(Float(codes[index]) == code)
                    #expect(back[index] == Elements(type, [Float(codes[index]) * scales[row]]).floats[0])
                }
            }
        }
    }

    @Test("8 bits: halves go to even, zeros and NaN are kept")
    func int8Edges() {
        let weights: [Float] = [
            127, -127, 0.5, 1.5, 2.5, -0.5, -3.5, 0, 0, 0, 0, 0, 0, 0, 1, .nan, 2, 3, 4, 5, 6,
        ]
        var codes = [Int8](repeating: 9, count: 21), scales = [Float](repeating: 9, count: 3)
        ck_int8_quantize_rows(nil, CK_F32, weights, 3, 7, &codes, &scales)
        #expect(Array(codes[..<14]) == [127, -127, 0, 2, 2, 0, -4, 0, 0, 0, 0, 0, 0, 0])
        #expect(scales[0] == 1 && scales[1] == 0 && scales[2].isNaN)
        var back = [Float](repeating: 9, count: 21)
        ck_int8_dequantize_rows(nil, codes, scales, 3, 7, CK_F32, &back)
        #expect(back[7..<14].allSatisfy { $0 == 0 } && back[14...].allSatisfy { $0.isNaN })
        ck_int8_quantize_rows(nil, CK_F32, weights, 0, 7, &codes, &scales)
    }
}
