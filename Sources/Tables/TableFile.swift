// A file of rows, whatever its format: opened, looked over, and read from front to back as often as wanted.

/// A table in a file.
///
///     let file = try TableFile.open("mmlu/test-00000-of-00001.parquet")
///     try file.rows { row in print(row["question"]?.stringValue ?? "") }
package struct TableFile: Sendable {
    package let path: String
    package let format: TableFormat
    /// The names of the columns; in JSON formats those of the first row. A CSV file without a header has "0",
    /// "1" and so on.
    package let columns: [String]
    /// Where the file says it without being read: Parquet only.
    package let rowCount: Int?
    private let limits: TableLimits
    private let content: Content

    private enum Content: Sendable {
        case parquet(ParquetFile)
        case csv(CSVTable)
        case jsonLines(JSONLinesTable)
        case json(JSONTable)
    }

    /// Opens a file and reads what stands before its rows.
    ///
    /// - Parameter format: nil for what the file's name says.
    /// - Throws: if the file cannot be read, is no such file, or is of a kind that is not read here.
    package static func open(
        _ path: String, format: TableFormat? = nil, limits: TableLimits = TableLimits()
    ) throws(TableError) -> TableFile {
        guard let format = format ?? TableFormat(path: path) else {
            throw TableError(
                file: path, problem: "the file's name does not say how its rows are written",
                remedy: "name it .parquet, .csv, .tsv, .jsonl or .json, text also with .gz or .zst behind it")
        }
        let source = TextSource(file: try TableDescriptor(path), packing: TextPacking(path: path))
        switch format {
        case .parquet:
            guard source.packing == nil else {
                throw TableError(
                    file: path, problem: "a Parquet file is packed within itself, not as a whole",
                    remedy: "unpack it (gunzip, unzstd)")
            }
            let file = try ParquetFile(source.file, limits: limits)
            return TableFile(path, format, file.columns, rowCount: file.rowCount, limits, .parquet(file))
        case .csv(let header, let delimiter):
            let table = try CSVTable(source, header: header, delimiter: delimiter, limits: limits)
            return TableFile(path, format, table.header.names, rowCount: nil, limits, .csv(table))
        case .jsonLines:
            let table = JSONLinesTable(source, limits: limits)
            return TableFile(path, format, try table.columns(), rowCount: nil, limits, .jsonLines(table))
        case .json:
            let table = JSONTable(source, limits: limits)
            return TableFile(path, format, try table.columns(), rowCount: nil, limits, .json(table))
        }
    }

    private init(
        _ path: String, _ format: TableFormat, _ columns: [String], rowCount: Int?, _ limits: TableLimits,
        _ content: Content
    ) {
        self.path = path
        self.format = format
        self.columns = columns
        self.rowCount = rowCount
        self.limits = limits
        self.content = content
    }

    /// Gives all rows in their order, reading as it goes: a Parquet file a row group at a time, text a row at
    /// a time.
    ///
    /// - Throws: a `TableError` about the file, or what the body throws, which ends the reading.
    package func rows(_ body: (TableRow) throws -> Void) throws {
        switch content {
        case .parquet(let file): try file.rows(body)
        case .csv(let table): try table.rows(body)
        case .jsonLines(let table): try table.rows(body)
        case .json(let table): try table.rows(body)
        }
    }

    /// All rows at once.
    /// - Throws: also if there are more than `TableLimits.residentRows`.
    package func allRows() throws -> [TableRow] {
        var rows: [TableRow] = []
        try self.rows { row in
            guard rows.count < limits.residentRows else {
                throw TableError(
                    file: path, problem: "the file has more than \(limits.residentRows) rows",
                    remedy: "split the file")
            }
            rows.append(row)
        }
        return rows
    }
}
