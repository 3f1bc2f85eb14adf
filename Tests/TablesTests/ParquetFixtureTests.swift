// Files of every variant that pyarrow writes, read equal to its own reading.

import Tables
import Testing
import Text

@Suite("Parquet files as pyarrow writes them")
struct ParquetFixtureTests {
    @Test("A file holds what pyarrow reads in it", arguments: Fixtures.names)
    func equalsPyarrow(name: String) throws {
        let file = try TableFile.open(Fixtures.path(name))
        let rows = try file.allRows()
        let expected = try Fixtures.lines(name).map { try OrderedJSON(parsing: $0).compactText }
        #expect(rows.map(\.json.compactText) == expected)
        #expect(file.rowCount == expected.count)
        #expect(rows.allSatisfy { $0.columns == file.columns })
        #expect(!file.columns.isEmpty)
    }

    @Test("There are fixtures of at least 30 variants")
    func enoughFixtures() { #expect(Fixtures.names.count >= 30) }

    @Test(
        "A file that is not read is refused when it is opened, by the name of what is in the way",
        arguments: [
            ("brotli", "packed with BROTLI", "snappy"), ("encrypted", "encrypted", "decrypt"),
            ("encrypted_columns", "encrypted", "decrypt"),
        ])
    func refusesByName(name: String, problem: String, remedy: String) {
        let error = #expect(throws: TableError.self) { try TableFile.open(Fixtures.path("REFUSED_\(name)")) }
        #expect(error?.description.contains("REFUSED_\(name).parquet: ") == true)
        #expect(error?.problem.contains(problem) == true)
        #expect(error?.remedy.contains(remedy) == true)
    }

    @Test("A walk over the rows can be ended, and begun again")
    func stopsEarly() throws {
        struct Enough: Error {}
        let file = try TableFile.open(Fixtures.path("row_groups"))
        for _ in 0..<2 {
            var seen = 0
            #expect(throws: Enough.self) {
                try file.rows { row in
                    seen += 1
                    #expect(row["question"]?.stringValue != nil)
                    #expect(row["choices"]?.listValue?.count == 4)
                    #expect(row["no such column"] == nil)
                    if seen == 9 { throw Enough() }
                }
            }
            #expect(seen == 9)
        }
    }

    @Test("More rows than may be kept are an error")
    func limitsRows() throws {
        var limits = TableLimits()
        limits.residentRows = 5
        let file = try TableFile.open(Fixtures.path("mmlu"), limits: limits)
        #expect(throws: TableError.self) { try file.allRows() }
    }

    @Test("A row group that takes more memory than it may is an error")
    func limitsMemory() throws {
        var limits = TableLimits()
        limits.leastUnpackedBytes = 1000
        limits.unpackedRatio = 0
        let file = try TableFile.open(Fixtures.path("zstd"), limits: limits)
        let error = #expect(throws: TableError.self) { try file.allRows() }
        #expect(error?.problem.contains("memory") == true)
        limits.leastUnpackedBytes = 100_000
        #expect(try TableFile.open(Fixtures.path("zstd"), limits: limits).allRows().count == 12)
    }
}
