// Rows as JSON objects: one on each line, or all in a list.

import Glibc
import Text

/// A file with an object on each line.
struct JSONLinesTable: Sendable {
    private let source: TextSource
    private let limits: TableLimits

    init(_ source: TextSource, limits: TableLimits) {
        self.source = source
        self.limits = limits
    }

    /// The names in the first row.
    func columns() throws(TableError) -> [String] {
        var lines = try LineReader(source, limits: limits)
        var rows = RowMaker(path: source.file.path)
        guard let line = try lines.next() else { return [] }
        return try rows.row(line.bytes, line: line.number).columns
    }

    func rows(_ body: (TableRow) throws -> Void) throws {
        var lines = try LineReader(source, limits: limits)
        var rows = RowMaker(path: source.file.path)
        while let line = try lines.next() { try body(rows.row(line.bytes, line: line.number)) }
    }
}

/// A file with a list of objects, or an object with a list under "data", or objects one after another, as
/// some writers of JSON lines call their files.
struct JSONTable: Sendable {
    private let source: TextSource
    private let limits: TableLimits

    init(_ source: TextSource, limits: TableLimits) {
        self.source = source
        self.limits = limits
    }

    private struct FirstRowFound: Error {}
    /// What the caller's body threw: it may be a parse error, too, but not one of this file.
    private struct BodyError: Error {
        var error: any Error
    }

    /// The names in the first row.
    func columns() throws(TableError) -> [String] {
        var columns: [String] = []
        do {
            try rows { row in
                columns = row.columns
                throw FirstRowFound()
            }
        } catch let error as TableError {
            throw error
        } catch {
            // The first row was found, and more is not wanted.
        }
        return columns
    }

    func rows(_ body: (TableRow) throws -> Void) throws {
        let bytes = try wholeText()
        var reader = JSONReader(bytes)
        do {
            guard bytes.contains(where: { $0 > 0x20 }) else { return }
            switch try reader.peek() {
            case .array: try giveElements(&reader, bytes, body)
            case .object where try findData(&reader, in: bytes): try giveElements(&reader, bytes, body)
            case .object:
                repeat { try giveElement(&reader, bytes, body) } while !isAtEnd(&reader, bytes)
                return
            default: throw reader.failure("neither a list of rows nor an object")
            }
        } catch let error as JSONParseError {
            throw failure(error)
        } catch let error as BodyError {
            throw error.error
        }
    }

    private func wholeText() throws(TableError) -> [UInt8] {
        let stream = try TextStream(source, limitBytes: limits.jsonBytes, of: "the file")
        while try stream.refill(line: 1) {}
        return stream.start == 0 ? stream.buffer : Array(stream.buffer[stream.start...])
    }

    private func isAtEnd(_ reader: inout JSONReader, _ bytes: [UInt8]) -> Bool {
        bytes[reader.offset...].allSatisfy { $0 <= 0x20 }
    }

    private func giveElements(
        _ reader: inout JSONReader, _ bytes: [UInt8], _ body: (TableRow) throws -> Void
    ) throws {
        try reader.beginArray()
        while try reader.nextElement() { try giveElement(&reader, bytes, body) }
    }

    private func giveElement(
        _ reader: inout JSONReader, _ bytes: [UInt8], _ body: (TableRow) throws -> Void
    ) throws {
        guard try reader.peek() == .object else { throw reader.failure("a row is no object") }
        let range = try reader.skipValue()
        let row: OrderedJSON
        do {
            row = try OrderedJSON(parsingUTF8: Array(bytes[range]))
        } catch {
            throw reader.failure(error.message)
        }
        do {
            try body(RowMaker.row(row.objectValue ?? []))
        } catch {
            throw BodyError(error: error)
        }
    }

    /// Moves to the list under "data" of the outermost object, if that is all the file is.
    private func findData(_ reader: inout JSONReader, in bytes: [UInt8]) throws(JSONParseError) -> Bool {
        var search = reader
        try search.beginObject()
        while let key = try search.nextKey() {
            if key == "data", try search.peek() == .array {
                var rest = search
                try rest.skipValue()
                while try rest.nextKey() != nil { try rest.skipValue() }
                guard isAtEnd(&rest, bytes) else { return false }
                reader = search
                return true
            }
            try search.skipValue()
        }
        return false
    }

    private func failure(_ error: JSONParseError) -> TableError {
        TableError(
            file: source.file.path, line: error.line, lineColumn: error.column, problem: error.message,
            remedy: "write the rows as a list of objects, or one a line in a file that ends in .jsonl")
    }
}

/// Makes rows of the objects of JSON lines; rows of the same keys share them.
private struct RowMaker {
    let path: String
    private var header = TableHeader([])

    init(path: String) { self.path = path }

    mutating func row(_ bytes: [UInt8], line: Int) throws(TableError) -> TableRow {
        let json: OrderedJSON
        do {
            json = try OrderedJSON(parsingUTF8: bytes)
        } catch {
            throw TableError(
                file: path, line: line, lineColumn: error.column, problem: "no JSON: \(error.message)",
                remedy: "correct the line, or fetch the file again if it ends there")
        }
        guard let members = json.objectValue else {
            throw TableError(
                file: path, line: line, problem: "the line is no JSON object",
                remedy: "write each row as an object: {\"name\": value, ...}")
        }
        if !members.elementsEqual(header.names, by: { $0.key.utf8.elementsEqual($1.utf8) }) {
            header = TableHeader(members.map(\.key))
        }
        return TableRow(header: header, values: members.map { TableValue($0.value) })
    }

    static func row(_ members: [OrderedJSON.Member]) -> TableRow {
        TableRow(header: TableHeader(members.map(\.key)), values: members.map { TableValue($0.value) })
    }
}

/// Cuts a stream into lines that are not blank.
private struct LineReader {
    private let stream: TextStream
    private var number = 0

    init(_ source: TextSource, limits: TableLimits) throws(TableError) {
        stream = try TextStream(source, limitBytes: limits.rowBytes, of: "a row")
    }

    /// The next line without its end; nil at the end of the file.
    mutating func next() throws(TableError) -> (bytes: [UInt8], number: Int)? {
        var searched = 0
        while true {
            if let end = lineEnd(from: searched) {
                let line = Array(stream.buffer[stream.start..<stream.start + end])
                stream.release(to: stream.start + end + 1)
                number += 1
                searched = 0
                if line.contains(where: { $0 > 0x20 }) { return (line, number) }
                continue
            }
            searched = stream.buffer.count - stream.start
            if try stream.refill(line: number + 1) { continue }
            guard searched > 0 else { return nil }
            let line = Array(stream.buffer[stream.start...])
            stream.release(to: stream.buffer.count)
            number += 1
            if line.contains(where: { $0 > 0x20 }) { return (line, number) }
            searched = 0
        }
    }

    /// Where the line that begins at the stream's start ends, relative to it.
    private func lineEnd(from offset: Int) -> Int? {
        stream.buffer.withUnsafeBytes { bytes in
            let first = stream.start + offset
            guard first < bytes.count, let address = bytes.baseAddress,
                let found = memchr(address + first, 0x0A, bytes.count - first)
            else { return nil }
            return UnsafeRawPointer(found) - address - stream.start
        }
    }
}
