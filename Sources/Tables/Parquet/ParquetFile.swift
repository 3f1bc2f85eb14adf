// A Parquet file: its metadata is read when it is opened, its rows a row group at a time. Source:
// apache/parquet-format.

/// An open Parquet file.
struct ParquetFile: Sendable {
    let schema: ParquetSchema
    private let metadata: ParquetMetadata
    private let file: TableDescriptor
    private let limits: TableLimits
    private let header: TableHeader

    /// Four letters at both ends, and four bytes of the footer's length.
    private static let leastBytes = 12

    init(_ file: TableDescriptor, limits: TableLimits) throws(TableError) {
        self.file = file
        self.limits = limits
        do {
            let footer = try Self.footer(of: file, limits: limits)
            metadata = try ParquetMetadata(footer)
            schema = try ParquetSchema(metadata.schema)
            try Self.check(metadata, schema, fileBytes: file.byteCount)
        } catch let problem as TableProblem {
            throw TableError(file: file.path, problem: problem.problem, remedy: problem.remedy)
        } catch let error as TableError {
            throw error
        } catch {
            throw TableError(file: file.path, problem: "\(error)", remedy: TableProblem.damagedRemedy)
        }
        header = TableHeader(schema.fields.map(\.name))
    }

    var columns: [String] { header.names }

    var rowCount: Int { metadata.rowCount }

    private static func footer(of file: TableDescriptor, limits: TableLimits) throws -> [UInt8] {
        guard file.byteCount >= leastBytes else {
            throw TableProblem("this is no Parquet file: it has only \(file.byteCount) bytes")
        }
        let end = try file.read(file.byteCount - 8..<file.byteCount)
        let magic = Array(end[4...])
        if magic == Array("PARE".utf8) { throw ParquetMetadata.encrypted }
        guard magic == Array("PAR1".utf8), try file.read(0..<4) == magic else {
            throw TableProblem("this is no Parquet file, or it is not complete")
        }
        let length = Int(end.integer(at: 0, as: UInt32.self))
        guard length <= file.byteCount - leastBytes else {
            throw TableProblem("the metadata is said to be larger than the file")
        }
        guard length <= limits.footerBytes else {
            throw TableProblem(
                "the metadata has \(length) bytes, more than \(limits.footerBytes)",
                remedy: "write the file again with larger row groups")
        }
        return try file.read(file.byteCount - 8 - length..<file.byteCount - 8)
    }

    /// What can be seen to be wrong before anything is read.
    private static func check(_ metadata: ParquetMetadata, _ schema: ParquetSchema, fileBytes: Int)
        throws(TableProblem)
    {
        var rows = 0
        for group in metadata.rowGroups {
            let (sum, overflowed) = rows.addingReportingOverflow(group.rowCount)
            guard !overflowed, group.columns.count == schema.leaves.count else {
                throw TableProblem(
                    "a row group has \(group.columns.count) columns, not \(schema.leaves.count)")
            }
            rows = sum
            for (chunk, leaf) in zip(group.columns, schema.leaves) {
                _ = try PageCodec(chunk.codec)
                guard chunk.type == leaf.type, chunk.range.upperBound <= fileBytes,
                    leaf.maxRepetition > 0
                        ? chunk.valueCount >= group.rowCount
                        : chunk.valueCount == group.rowCount
                else { throw TableProblem("the metadata of column \"\(leaf.path)\" does not fit the file") }
            }
        }
        guard rows == metadata.rowCount || schema.leaves.isEmpty else {
            throw TableProblem("the row groups have \(rows) rows, the file \(metadata.rowCount)")
        }
    }

    /// Gives all rows in their order. A row group is in memory at a time.
    func rows(_ body: (TableRow) throws -> Void) throws {
        // Rows without columns are only a number, and a number that nobody can check.
        if schema.leaves.isEmpty { return }
        var firstRow = 0
        for group in metadata.rowGroups where group.rowCount > 0 {
            let columns = try columns(of: group, firstRow: firstRow)
            var assembler = RowAssembler(schema, columns)
            for row in 0..<group.rowCount {
                let values: [TableValue]
                do {
                    values = try assembler.nextRow()
                } catch {
                    throw failure(error, row: firstRow + row + 1)
                }
                try body(TableRow(header: header, values: values))
            }
            firstRow += group.rowCount
            guard assembler.isAtEnd else { throw failure(RowAssembler.disagreement, row: firstRow) }
        }
    }

    private func columns(of group: ParquetRowGroup, firstRow: Int) throws(TableError) -> [ParquetColumn] {
        let budget = MemoryBudget(limits.unpackedBytes(ofFileBytes: file.byteCount))
        var columns: [ParquetColumn] = []
        for (chunk, leaf) in zip(group.columns, schema.leaves) {
            let bytes = try file.read(chunk.range)
            do {
                columns.append(
                    try ColumnReader.read(bytes, of: chunk, leaf, limits: limits, budget: budget))
            } catch {
                throw failure(error, row: firstRow + 1, column: leaf.path)
            }
        }
        return columns
    }

    private func failure(_ problem: TableProblem, row: Int, column: String? = nil) -> TableError {
        TableError(
            file: file.path, row: row, column: column, problem: problem.problem, remedy: problem.remedy)
    }
}
