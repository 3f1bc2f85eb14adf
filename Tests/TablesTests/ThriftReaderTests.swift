// Thrift's compact protocol: known fields are read, unknown ones stepped over, wrong ones refused.

import TestSupport
import Testing

@testable import Tables

@Suite("Thrift structures")
struct ThriftReaderTests {
    /// The integers of a structure by field.
    private static func integers(_ bytes: [UInt8]) throws(TableProblem) -> [Int: Int] {
        var reader = ThriftReader(ByteCursor(bytes))
        var found: [Int: Int] = [:]
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            guard [.byte, .int16, .int32, .int64].contains(kind) else { return false }
            found[field] = try reader.readInteger(kind)
            return true
        }
        guard reader.cursor.remaining == 0 else { throw TableProblem("more follows") }
        return found
    }

    @Test("Fields are counted up, or numbered after a gap")
    func fields() throws {
        #expect(
            try Self.integers([0x15, 0x04, 0x16, 0x03, 0x05, 0x28, 0x01, 0x13, 0xFF, 0x00])
                == [1: 2, 2: -2, 20: -1, 21: -1])
    }

    @Test("What nobody asks for is stepped over, however it is nested")
    func skips() throws {
        var bytes: [UInt8] = [0x11, 0x12]  // true, false
        bytes += [0x17] + [UInt8](repeating: 9, count: 8)  // double
        bytes += [0x18, 0x02, 0x61, 0x62]  // text
        bytes += [0x19, 0x31, 0x01, 0x02, 0x01]  // list of 3 booleans
        bytes += [0x19, 0xF5, 0x02, 0x02, 0x04]  // long form of a list, of 2 integers
        bytes += [0x19, 0x00]  // an empty list of nothing
        bytes += [0x1A, 0x18, 0x01, 0x63]  // set of 1 text
        bytes += [0x1B, 0x00]  // an empty map
        bytes += [0x1B, 0x01, 0x85, 0x01, 0x64, 0x0A]  // map of a text to an integer
        bytes += [0x1C, 0x1C, 0x15, 0x02, 0x00, 0x00]  // structure in a structure
        bytes += [0x1D] + [UInt8](repeating: 9, count: 16)  // uuid
        bytes += [0x15, 0x0E, 0x00]
        #expect(try Self.integers(bytes) == [13: 7])
    }

    @Test(
        "Wrong structures are errors",
        arguments: [
            [], [0x15], [0x15, 0x80], [0x1E, 0x00], [0x05, 0x01, 0x02, 0x00], [0x18, 0x05, 0x61],
            [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00],
            [0x19, 0xF5, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x00], [0x19, 0x3F, 0, 0, 0, 0],
            [0x1B, 0xFF, 0xFF, 0xFF, 0x0F, 0x55, 0x00], [0x1B, 0x01, 0xFF, 0x00],
            [0x16] + [UInt8](repeating: 0xFF, count: 10) + [0x00],
        ] as [[UInt8]])
    func wrong(bytes: [UInt8]) {
        #expect(throws: TableProblem.self) { try Self.integers(bytes) }
    }

    @Test(
        "Nesting is limited, in structures, lists and maps",
        arguments: [[0x1C], [0x19, 0x19], [0x1B, 0x01, 0x5B, 0x02]])
    func deepNesting(step: [UInt8]) {
        let head: [UInt8] = step == [0x19, 0x19] ? [0x19] : []
        let body =
            step == [0x19, 0x19]
            ? [UInt8](repeating: 0x19, count: 100_000)
            : Array(repeatElement(step, count: 100_000).joined())
        #expect(throws: TableProblem.self) { try Self.integers(head + body) }
    }

    @Test("Random bytes end in integers or in an error")
    func random() {
        var generator = SeededGenerator(seed: 5)
        var errors = 0
        for _ in 0..<2000 {
            let bytes = (0..<40).map { _ in UInt8.random(in: 0...255, using: &generator) }
            do {
                _ = try Self.integers(bytes)
            } catch {
                errors += 1
            }
        }
        #expect(errors > 1000)
    }
}
