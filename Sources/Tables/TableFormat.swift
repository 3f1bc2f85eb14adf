// The formats of tables, and which of them a file's name promises.

/// How a file holds rows.
package enum TableFormat: Sendable, Hashable {
    /// RFC 4180 with a delimiter of one byte. A header of nil is looked for: the first row is one unless it
    /// has a number, a text twice, a line break, a final `.` or `?`, or more than 64 bytes in a field.
    case csv(header: Bool?, delimiter: UInt8 = UInt8(ascii: ","))
    /// A JSON object on each line; blank lines are passed over.
    case jsonLines
    /// A list of JSON objects, or an object with one under "data", or objects one after another.
    case json
    case parquet

    /// By the ending: .csv, .tsv, .jsonl, .ndjson, .json, .parquet; all but the last also with .gz or .zst
    /// behind it. Nil for other names.
    package init?(path: String) {
        let name = TextPacking(path: path)?.unpackedName(path) ?? path
        switch Self.ending(of: name) {
        case "csv": self = .csv(header: nil)
        case "tsv": self = .csv(header: nil, delimiter: UInt8(ascii: "\t"))
        case "jsonl", "ndjson": self = .jsonLines
        case "json": self = .json
        case "parquet": self = .parquet
        default: return nil
        }
    }

    fileprivate static func ending(of name: String) -> String {
        guard let dot = name.lastIndex(of: ".") else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }
}

/// How a text file is packed.
enum TextPacking: Sendable, Hashable {
    case gzip, zstandard

    init?(path: String) {
        switch TableFormat.ending(of: path) {
        case "gz": self = .gzip
        case "zst", "zstd": self = .zstandard
        default: return nil
        }
    }

    /// The name without its last ending.
    func unpackedName(_ name: String) -> String {
        name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
    }
}

/// What reading a file may cost, whatever the file says. Each limit that is met is an error that names it.
package struct TableLimits: Sendable, Hashable {
    /// A row of a text format; it is read into memory whole.
    package var rowBytes = 1 << 28
    /// A whole `.json` file, unpacked; it is read into memory.
    package var jsonBytes = 1 << 30
    /// The part of a Parquet file that describes the rest.
    package var footerBytes = 1 << 26
    /// One page of a Parquet file, unpacked.
    package var pageBytes = 1 << 30
    /// What the columns of one row group may take in memory: so many times the file's size...
    package var unpackedRatio = 200
    /// ...but at least this much...
    package var leastUnpackedBytes = 1 << 28
    /// ...and never more than this.
    package var mostUnpackedBytes = 1 << 33
    /// What `allRows` keeps.
    package var residentRows = 50_000_000

    package init() {}

    func unpackedBytes(ofFileBytes count: Int) -> Int {
        let (product, overflowed) = count.multipliedReportingOverflow(by: unpackedRatio)
        return min(mostUnpackedBytes, max(leastUnpackedBytes, overflowed ? Int.max : product))
    }
}

/// Counts down what may still be put into memory.
final class MemoryBudget {
    private var remaining: Int

    init(_ bytes: Int) { remaining = bytes }

    /// - Parameter bytes: how many, and for how many things of that size.
    func take(_ bytes: Int, times count: Int = 1) throws(TableProblem) {
        let (product, overflowed) = bytes.multipliedReportingOverflow(by: count)
        guard !overflowed, product >= 0, product <= remaining else {
            throw TableProblem(
                "a row group takes more memory than a file of this size may",
                remedy: "write the file again with smaller row groups, if it is not damaged")
        }
        remaining -= product
    }
}
