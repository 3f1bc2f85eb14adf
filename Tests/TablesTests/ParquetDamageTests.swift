// Damaged Parquet files: whatever is changed in one, reading it ends in rows or in an error that names the
// file.

import Tables
import TestSupport
import Testing

@Suite("Damaged Parquet files")
struct ParquetDamageTests {
    /// What may be taken up for a fixture of a few kilobytes, so that 10,000 of them are read soon.
    private static let limits: TableLimits = {
        var limits = TableLimits()
        limits.leastUnpackedBytes = 1 << 22
        limits.pageBytes = 1 << 22
        return limits
    }()

    /// Reads all rows; the error, if there is one.
    private static func read(_ path: String) -> (any Error)? {
        do {
            try TableFile.open(path, limits: limits).rows { row in _ = row.values.count }
            return nil
        } catch {
            return error
        }
    }

    @Test("10,000 changed files never trap, and most of them are found out", arguments: 0..<10)
    func mutations(part: Int) throws {
        let folder = try TemporaryFolder()
        let originals = try Fixtures.names.map { try Fixtures.bytes(Fixtures.path($0)) }
        var generator = SeededGenerator(seed: UInt64(part) + 1)
        var errors = 0
        for number in 0..<1000 {
            var bytes = originals[number % originals.count]
            Self.change(&bytes, &generator)
            let path = try folder.write(bytes, to: "changed.parquet")
            if let error = Self.read(path) {
                errors += 1
                #expect(error is TableError, "part \(part), number \(number): \(error)")
            }
        }
        // Many bytes are statistics, names or texts, whose change nobody can see.
        #expect(errors > 300, "only \(errors) of 1000")
    }

    /// Changes a few bytes, mostly where the metadata is, as pages are found by it.
    private static func change(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
            let place =
                Bool.random(using: &generator)
                ? Int.random(in: 0..<bytes.count, using: &generator)
                : Int.random(in: 0..<min(bytes.count, 400), using: &generator)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: bytes[place] = 0xFF
            case 1: bytes[place] = 0
            case 2: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 3: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 4: bytes[place] &+= 1
            case 5: bytes.remove(at: place)
            case 6: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            default:
                let end = min(bytes.count, place + Int.random(in: 1..<12, using: &generator))
                for index in place..<end { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
            }
        }
    }

    @Test("A file that was cut off anywhere is an error", arguments: ["plain", "structures", "delta_texts"])
    func truncations(name: String) throws {
        let folder = try TemporaryFolder()
        let bytes = try Fixtures.bytes(Fixtures.path(name))
        for length in 0..<bytes.count {
            let path = try folder.write(Array(bytes.prefix(length)), to: "cut.parquet")
            #expect(Self.read(path) is TableError, "\(name) cut to \(length) bytes")
        }
    }

    @Test(
        "Metadata over pages that were cut is an error", arguments: ["plain", "lists", "small_pages", "lz4"])
    func shortenedPages(name: String) throws {
        let folder = try TemporaryFolder()
        let bytes = try Fixtures.bytes(Fixtures.path(name))
        for length in stride(from: 1, to: 200, by: 3) {
            // What lies behind the cut moves forward, and is taken for pages.
            let shortened = Array(bytes[..<4] + bytes[(4 + length)...])
            let path = try folder.write(shortened, to: "shorter.parquet")
            #expect(Self.read(path) is TableError, "\(name) without \(length) bytes")
        }
    }

    @Test(
        "Files of other kinds are told apart",
        arguments: ["", "PAR1", "PAR1PAR1", "id,text\n1,not Parquet\n"])
    func noParquet(content: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(content, to: "other.parquet")
        let error = try #require(Self.read(path) as? TableError)
        #expect(error.file == path && error.problem.contains("no Parquet file"))
    }
}
