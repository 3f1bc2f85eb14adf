// Snappy and LZ4 blocks: handmade, random ones with their meaning kept beside, and damaged ones.

import TestSupport
import Testing

@testable import Tables

@Suite("Packed blocks")
struct BlockFormatsTests {
    private static func snappy(_ bytes: [UInt8], _ expected: Int) throws -> [UInt8] {
        try BlockFormats.unpackSnappy(bytes, 0..<bytes.count, expected: expected)
    }

    private static func lz4(_ bytes: [UInt8], _ expected: Int) throws -> [UInt8] {
        try BlockFormats.unpackLZ4(bytes, 0..<bytes.count, expected: expected)
    }

    @Test(
        "Snappy's three copies and its literals",
        arguments: [
            ([0x00], ""), ([0x03, 0x08, 0x61, 0x62, 0x63], "abc"),
            ([0x08, 0x04, 0x61, 0x62, 0x09, 0x02], "abababab"),
            ([0x05, 0x04, 0x61, 0x62, 0x0A, 0x02, 0x00], "ababa"),
            ([0x05, 0x04, 0x61, 0x62, 0x0B, 0x02, 0x00, 0x00, 0x00], "ababa"),
            ([0x02, 0xF0, 0x01, 0x61, 0x62], "ab"), ([0x02, 0xF4, 0x01, 0x00, 0x61, 0x62], "ab"),
        ] as [([UInt8], String)])
    func snappyByHand(bytes: [UInt8], text: String) throws {
        #expect(try Self.snappy(bytes, text.utf8.count) == Array(text.utf8))
    }

    @Test(
        "Damaged Snappy blocks are errors",
        arguments: [
            [], [0x01], [0x03, 0x08, 0x61, 0x62], [0x03, 0x04, 0x61, 0x62], [0x02, 0x08, 0x61, 0x62, 0x63],
            [0x08, 0x09, 0x02], [0x08, 0x04, 0x61, 0x62, 0x09, 0x03], [0x08, 0x04, 0x61, 0x62, 0x09, 0x00],
            [0x08, 0x04, 0x61, 0x62, 0x0A, 0x02], [0x02, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x61],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        ] as [[UInt8]])
    func snappyDamaged(bytes: [UInt8]) {
        for expected in [0, 1, 2, 3, 8] where expected > 0 || bytes != [0] {
            #expect(throws: TableProblem.self) { try Self.snappy(bytes, expected) }
        }
    }

    @Test("Random Snappy blocks unpack to what was meant, and cut ones are errors", arguments: 0..<20)
    func snappyRandom(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var text: [UInt8] = []
        var body: [UInt8] = []
        while text.count < 2000 {
            if text.isEmpty || Bool.random(using: &generator) {
                let piece = (0..<Int.random(in: 1...100, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                body +=
                    piece.count <= 60 ? [UInt8((piece.count - 1) << 2)] : [60 << 2, UInt8(piece.count - 1)]
                body += piece
                text += piece
            } else {
                let offset = Int.random(in: 1...text.count, using: &generator)
                let length = Int.random(in: 1...64, using: &generator)
                body += [UInt8((length - 1) << 2 | 2), UInt8(offset & 255), UInt8(offset >> 8)]
                for _ in 0..<length { text.append(text[text.count - offset]) }
            }
        }
        let bytes = varint(UInt64(text.count)) + body
        #expect(try Self.snappy(bytes, text.count) == text)
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: TableProblem.self) { try Self.snappy(Array(bytes.prefix(length)), text.count) }
        }
    }

    @Test("LZ4's sequences, with long lengths and overlapping copies")
    func lz4ByHand() throws {
        #expect(try Self.lz4([0x00], 0) == [])
        #expect(try Self.lz4([0x30, 0x61, 0x62, 0x63], 3) == Array("abc".utf8))
        #expect(try Self.lz4([0x22, 0x61, 0x62, 0x02, 0x00, 0x10, 0x63], 9) == Array("ababababc".utf8))
        // 1 literal, then 4 + 15 + 255 + 0 of it, then nothing.
        let long = try Self.lz4([0x1F, 0x61, 0x01, 0x00, 0xFF, 0x00, 0x00], 275)
        #expect(long == [UInt8](repeating: 0x61, count: 275))
        let literals = [UInt8](repeating: 7, count: 300)
        #expect(try Self.lz4([0xF0, 0xFF, 0x1E] + literals, 300) == literals)
    }

    @Test(
        "Damaged LZ4 blocks are errors",
        arguments: [
            [], [0x30, 0x61], [0x10, 0x61, 0x02], [0x10, 0x61, 0x02, 0x00], [0x10, 0x61, 0x00, 0x00],
            [0xF0, 0xFF],
            [0x22, 0x61, 0x62, 0x02, 0x00], [0x1F, 0x61, 0x01, 0x00, 0xFF],
        ] as [[UInt8]])
    func lz4Damaged(bytes: [UInt8]) {
        for expected in [1, 3, 5, 9] {
            #expect(throws: TableProblem.self) { try Self.lz4(bytes, expected) }
        }
    }

    @Test("A page whose size is a lie takes little memory before it is refused")
    func falseSizes() {
        let bytes: [UInt8] = [0x03, 0x08, 0x61, 0x62, 0x63]
        #expect(throws: TableProblem.self) { try Self.snappy(bytes, 1 << 30) }
        #expect(throws: TableProblem.self) { try Self.lz4(bytes, 1 << 30) }
        for packing in [TextPacking.gzip, .zstandard] {
            #expect(throws: TableProblem.self) {
                try Unpacker.unpack(bytes, 0..<bytes.count, packing: packing, expected: 1 << 30)
            }
        }
    }

    @Test("The checksum is that of gzip")
    func checksum() {
        let bytes = Array("xx123456789x".utf8)
        #expect(CRC32.checksum(bytes, 2..<11) == 0xCBF4_3926)
        #expect(CRC32.checksum(bytes, 3..<3) == 0)
    }
}
