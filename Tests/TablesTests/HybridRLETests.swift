// The encodings of numbers, against examples of the format's documentation and against encoders written here.

import TestSupport
import Testing

@testable import Tables

@Suite("Encodings of numbers")
struct HybridRLETests {
    @Test("Packed numbers are read from the lowest bit on")
    func packed() throws {
        // The numbers 0 to 7 in 3 bits each, as the format's documentation has them.
        var cursor = ByteCursor([0x03, 0x88, 0xC6, 0xFA])
        #expect(
            try HybridRLE.numbers(&cursor, width: 3, count: 8, as: UInt32.self) == [0, 1, 2, 3, 4, 5, 6, 7])
    }

    @Test("Old levels are read from the highest bit on")
    func packedLevels() throws {
        var cursor = ByteCursor([0x05, 0x39, 0x77])
        #expect(try BitPacking.levels(&cursor, width: 3, count: 8) == [0, 1, 2, 3, 4, 5, 6, 7])
    }

    @Test("Any mix of runs and packed numbers is read back", arguments: 0..<40)
    func roundTrip(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let width = seed % 33
        let numbers = (0..<Int.random(in: 1...300, using: &generator)).map { _ in
            UInt32(truncatingIfNeeded: generator.next() & (1 << UInt64(width) - 1))
        }
        let (bytes, expected) = Self.encode(numbers, width: width, &generator)
        var cursor = ByteCursor(bytes)
        #expect(
            try HybridRLE.numbers(&cursor, width: width, count: expected.count, as: UInt32.self) == expected)
        for length in 0..<bytes.count {
            var cut = ByteCursor(Array(bytes.prefix(length)))
            if width == 0 && length == 0 { continue }
            #expect(throws: TableProblem.self) {
                try HybridRLE.numbers(&cut, width: width, count: expected.count, as: UInt32.self)
            }
        }
    }

    /// Runs of the numbers, of random kinds; those that are repeated are repeated in what is expected, too.
    private static func encode(_ numbers: [UInt32], width: Int, _ generator: inout SeededGenerator)
        -> (bytes: [UInt8], expected: [UInt32])
    {
        var bytes: [UInt8] = []
        var expected: [UInt32] = []
        var rest = numbers[...]
        while let first = rest.first {
            if rest.count >= 8 && Bool.random(using: &generator) {
                let groups = Int.random(in: 1...rest.count / 8, using: &generator)
                bytes +=
                    varint(UInt64(groups << 1 | 1)) + packed(Array(rest.prefix(8 * groups)), width: width)
                expected += rest.prefix(8 * groups)
                rest = rest.dropFirst(8 * groups)
            } else {
                let count = Int.random(in: 1...200, using: &generator)
                bytes += varint(UInt64(count << 1))
                for index in 0..<(width + 7) / 8 {
                    bytes.append(UInt8(truncatingIfNeeded: first >> (8 * index)))
                }
                expected += repeatElement(first, count: count)
                rest = rest.dropFirst()
            }
        }
        return (bytes, expected)
    }

    private static func packed(_ numbers: [UInt32], width: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: numbers.count * width / 8)
        for (place, number) in numbers.enumerated() {
            for bit in 0..<width where number >> bit & 1 == 1 {
                bytes[(place * width + bit) / 8] |= 1 << UInt8((place * width + bit) % 8)
            }
        }
        return bytes
    }

    @Test(
        "Wrong runs are errors",
        arguments: [
            ([0x00], 1), ([0x01, 0xFF], 1), ([0x02, 0x02], 1), ([0x02], 1), ([0xFF, 0xFF], 1),
            (Array(repeating: 0xFF, count: 11), 1), ([0x02, 0x01], 33), ([], 1),
        ] as [([UInt8], Int)])
    func wrongRuns(bytes: [UInt8], width: Int) {
        var cursor = ByteCursor(bytes)
        #expect(throws: TableProblem.self) {
            try HybridRLE.numbers(&cursor, width: width, count: 4, as: UInt32.self)
        }
    }

    @Test("Differences are added up, as the format's documentation has them")
    func differences() throws {
        // 7, 5, 3, 1, 2, 3, 4, 5: blocks of 128 in 4 parts, 8 values, first 7; least difference -2, 2 bits
        // each.
        var bytes: [UInt8] = [0x80, 0x01, 0x04, 0x08, 0x0E, 0x03, 0x02, 0x00, 0x00, 0x00]
        bytes += [0xC0, 0x3F] + [UInt8](repeating: 0, count: 6)
        var cursor = ByteCursor(bytes)
        #expect(try DeltaEncoding.numbers(&cursor, count: 8) == [7, 5, 3, 1, 2, 3, 4, 5])
        #expect(cursor.remaining == 0)
        for wrong in [7, 9] {
            var again = ByteCursor(bytes)
            #expect(throws: TableProblem.self) { try DeltaEncoding.numbers(&again, count: wrong) }
        }
    }

    @Test("Differences wrap around at the ends of the integers")
    func differencesWrap() throws {
        // From Int64.max by 1 to Int64.min: 2 values, a block of 8 in one part, differences of no bits.
        let first = varint(UInt64.max - 1)
        var cursor = ByteCursor([0x08, 0x01, 0x02] + first + [0x02, 0x00])
        #expect(try DeltaEncoding.numbers(&cursor, count: 2) == [.max, .min])
    }

    @Test(
        "Wrong blocks of differences are errors",
        arguments: [
            [0x00, 0x01, 0x02, 0x00], [0x08, 0x00, 0x02, 0x00], [0x08, 0x03, 0x02, 0x00],
            [0x09, 0x01, 0x02, 0x00],
            [0x08, 0x01, 0x02, 0x00, 0x00, 0x41], [0x08, 0x01, 0x02, 0x00, 0x00, 0x01], [0x08, 0x01],
            [0x80, 0x80, 0x80, 0x80, 0x40, 0x01, 0x02, 0x00],
        ] as [[UInt8]])
    func wrongDifferences(bytes: [UInt8]) {
        var cursor = ByteCursor(bytes)
        #expect(throws: TableProblem.self) { try DeltaEncoding.numbers(&cursor, count: 2) }
    }

    @Test("Numbers of every width are taken from any bit", arguments: 0...64)
    func everyWidth(width: Int) {
        var generator = SeededGenerator(seed: UInt64(width))
        let bytes = (0..<24).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for bit in 0...(24 * 8 - width) {
            var expected: UInt64 = 0
            for index in (0..<width).reversed() {
                expected = expected << 1 | UInt64(bytes[(bit + index) / 8] >> UInt8((bit + index) % 8) & 1)
            }
            let number = bytes.withUnsafeBytes { BitPacking.number(at: bit, width: width, in: $0) }
            #expect(number == expected)
        }
    }
}

/// ULEB128.
func varint(_ number: UInt64) -> [UInt8] {
    var rest = number
    var bytes: [UInt8] = []
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}
