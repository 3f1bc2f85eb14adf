// Conversions of element types: every bf16, f16 and f8 number, and roundings at every boundary.

import CKernels
import TestSupport
import Testing

@Suite("Conversions of element types")
struct ConvertTests {
    private func floats<Word: FixedWidthInteger & BitwiseCopyable>(_ type: ck_type, _ words: [Word])
        -> [Float]
    {
        var result = [Float](repeating: .nan, count: words.count)
        ck_to_f32(type, words, &result, Int64(words.count))
        return result
    }

    private func words<Word: FixedWidthInteger & BitwiseCopyable>(
        _ type: ck_type, _ floats: [Float], as: Word.Type
    ) -> [Word] {
        var result = [Word](repeating: 0, count: floats.count)
        ck_from_f32(type, floats, &result, Int64(floats.count))
        return result
    }

    @Test("All bf16 numbers become floats and come back")
    func everyBF16() {
        let all = (0...UInt16.max).map { $0 }
        let values = floats(CK_BF16, all)
        let back = words(CK_BF16, values, as: UInt16.self)
        for (word, (value, again)) in zip(all, zip(values, back)) {
            let isExact = value.bitPattern == UInt32(word) << 16
            // NaN stays NaN, though a signaling one becomes quiet.
            let isBack = value.isNaN ? Float(bitPattern: UInt32(again) << 16).isNaN : again == word
            if !isExact || !isBack { Issue.record("bf16 \(word) became \(value) and \(again)") }
        }
    }

    @Test("All f16 numbers become floats and come back")
    func everyF16() {
        let all = (0...UInt16.max).map { $0 }
        let values = floats(CK_F16, all)
        let back = words(CK_F16, values, as: UInt16.self)
        for (word, (value, again)) in zip(all, zip(values, back)) {
            let expected = Float(Float16(bitPattern: word))
            if expected.isNaN {
                if !value.isNaN || !Float16(bitPattern: again).isNaN {
                    Issue.record("f16 \(word) is not NaN")
                }
            } else if value.bitPattern != expected.bitPattern || again != word {
                Issue.record("f16 \(word) became \(value), not \(expected), and \(again)")
            }
        }
    }

    /// E4M3 as its definition says: sign, 4 bits of exponent with bias 7, 3 of fraction.
    private func e4m3(_ byte: UInt8) -> Float {
        let exponent = Int(byte >> 3 & 15), fraction = Float(byte & 7) / 8
        if byte & 0x7f == 0x7f { return .nan }
        let magnitude =
            exponent == 0
            ? fraction * 0x1p-6 : Float(sign: .plus, exponent: exponent - 7, significand: 1 + fraction)
        return byte >= 0x80 ? -magnitude : magnitude
    }

    @Test("All f8 numbers become floats and come back")
    func everyF8() {
        let all = (0...UInt8.max).map { $0 }
        let values = floats(CK_F8_E4M3, all)
        let back = words(CK_F8_E4M3, values, as: UInt8.self)
        for byte in all {
            let value = values[Int(byte)], expected = e4m3(byte)
            #expect(expected.isNaN ? value.isNaN : value.bitPattern == expected.bitPattern, "f8 \(byte)")
            #expect(expected.isNaN ? back[Int(byte)] & 0x7f == 0x7f : back[Int(byte)] == byte, "f8 \(byte)")
        }
    }

    /// Between any two neighbors: the middle, and what is just below and above it.
    private func boundaries(_ values: [Float]) -> [Float] {
        zip(values, values.dropFirst()).flatMap { low, high in
            let middle = Float((Double(low) + Double(high)) / 2)
            return [middle.nextDown, middle, middle.nextUp]
        }
    }

    @Test("Rounding to f16 is to nearest, ties to even, everywhere")
    func f16Rounding() {
        let neighbors = floats(CK_F16, (0..<UInt16(0x7c00)).map { $0 })
        let cases =
            boundaries(neighbors) + [
                65_519.9, 65_520, 65_536, .greatestFiniteMagnitude, .infinity, 0x1p-25, 0x1.8p-25, 0x1p-26,
                .leastNonzeroMagnitude,
            ]
        let signed = cases + cases.map { -$0 }
        for (value, word) in zip(signed, words(CK_F16, signed, as: UInt16.self))
        where word != Float16(value).bitPattern {
            Issue.record("\(value) became f16 \(word), not \(Float16(value).bitPattern)")
        }
        #expect(Float16(bitPattern: words(CK_F16, [.nan], as: UInt16.self)[0]).isNaN)
    }

    @Test("Rounding to bf16 is to nearest, ties to even")
    func bf16Rounding() {
        let neighbors = floats(CK_BF16, (0..<UInt16(0x7f80)).map { $0 })
        let cases = boundaries(neighbors) + [.greatestFiniteMagnitude, .infinity, .leastNonzeroMagnitude]
        let signed = cases + cases.map { -$0 }
        for (value, word) in zip(signed, words(CK_BF16, signed, as: UInt16.self))
        where UInt32(word) << 16 != Rounding.bf16(value).bitPattern {
            Issue.record("\(value) became bf16 \(word)")
        }
        // A NaN whose bits are all in the lower half must not become infinity.
        let nan = words(CK_BF16, [Float(bitPattern: 0x7f80_0001), .nan], as: UInt16.self)
        #expect(nan.allSatisfy { Float(bitPattern: UInt32($0) << 16).isNaN })
    }

    @Test("Rounding to f8 is to nearest, ties to even, up to 448, where it ends")
    func f8Rounding() {
        let neighbors = (UInt8(0)..<0x7f).map(e4m3)
        let cases = boundaries(neighbors) + [449, 464, 480, 1e30, .infinity, 0x1p-10, 0x1.8p-10, 1e-30]
        for (value, byte) in zip(cases, words(CK_F8_E4M3, cases, as: UInt8.self)) {
            // The nearest of all, of two the even one.
            let distances = neighbors.map { (Double($0) - Double(min(value, 448))).magnitude }
            let least = distances.min() ?? 0
            let nearest = distances.indices.filter { distances[$0] == least }
            let expected = nearest.count == 2 ? nearest.first { $0 % 2 == 0 } : nearest.first
            #expect(Int(byte) == expected, "\(value)")
        }
        let negative = words(CK_F8_E4M3, cases.map { -$0 }, as: UInt8.self)
        #expect(negative == words(CK_F8_E4M3, cases, as: UInt8.self).map { $0 | 0x80 })
        #expect(words(CK_F8_E4M3, [.nan], as: UInt8.self)[0] & 0x7f == 0x7f)
    }

    @Test("Bytes become their numbers, floats stay as they are, and any address will do")
    func othersAndAlignment() {
        #expect(floats(CK_I8, (Int8.min...Int8.max).map { $0 }) == (-128...127).map { Float($0) })
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        defer { bytes.deallocate() }
        let numbers: [Float] = [1, -0.5, 3e4, 0, 448, -1.25, 7]
        for type in [CK_F32, CK_BF16, CK_F16, CK_F8_E4M3] {
            ck_from_f32(type, numbers, bytes + 1, 7)
            var back = [Float](repeating: 0, count: 7)
            ck_to_f32(type, bytes + 1, &back, 7)
            #expect(
                back
                    == numbers.map {
                        type == CK_F8_E4M3 ? min($0, 448) : $0 == 3e4 && type == CK_BF16 ? 29_952 : $0
                    })
            ck_from_f32(type, numbers, bytes, 0)
        }
        #expect([CK_F32, CK_BF16, CK_F16, CK_F8_E4M3, CK_I8].map { ck_type_bytes($0) } == [4, 2, 2, 1, 1])
    }
}
