// Rows of fields with delimiters between: RFC 4180, with any line ends and fields over several lines.

/// A CSV file, which is read anew for each walk over its rows.
struct CSVTable: Sendable {
    let header: TableHeader
    private let source: TextSource
    private let delimiter: UInt8
    private let limits: TableLimits
    private let hasHeader: Bool

    /// - Parameter header: nil to have it looked for.
    init(_ source: TextSource, header: Bool?, delimiter: UInt8, limits: TableLimits) throws(TableError) {
        self.source = source
        self.delimiter = delimiter
        self.limits = limits
        var reader = try CSVReader(source, delimiter: delimiter, limits: limits)
        let first = try reader.next() ?? []
        let hasHeader = header ?? Self.looksLikeHeader(first)
        self.hasHeader = hasHeader && !first.isEmpty
        guard hasHeader else {
            self.header = TableHeader(first.indices.map(String.init))
            return
        }
        let names = first.map { $0.text ?? "" }
        var seen: Set<String> = []
        for name in names where !name.isEmpty && !seen.insert(name).inserted {
            throw TableError(
                file: source.file.path, line: 1, column: name, problem: "two columns have this name",
                remedy: "give each column a name of its own, or say that the file has no header")
        }
        self.header = TableHeader(names)
    }

    /// Gives all rows; a field of nothing at all is null, one of two quotes is an empty text.
    func rows(_ body: (TableRow) throws -> Void) throws {
        var reader = try CSVReader(source, delimiter: delimiter, limits: limits)
        if hasHeader { _ = try reader.next() }
        while let fields = try reader.next() {
            guard fields.count == header.names.count else {
                throw TableError(
                    file: source.file.path, line: reader.rowLine,
                    problem: "the row has \(fields.count) fields, the first one has \(header.names.count)",
                    remedy: "put fields with a delimiter or a line break into double quotes")
            }
            let values = fields.map { $0.text.map { TableValue.string($0) } ?? .null }
            try body(TableRow(header: header, values: values))
        }
    }

    /// A guess by what no column is called.
    private static func looksLikeHeader(_ fields: [CSVReader.Field]) -> Bool {
        var seen: Set<String> = []
        for (index, field) in fields.enumerated() {
            // An index often has no name.
            guard let text = field.text else {
                if index == 0 { continue }
                return false
            }
            let isName =
                text.utf8.count <= 64 && Double(text) == nil && !text.utf8.contains(0x0A)
                && text.last != "." && text.last != "?" && seen.insert(text).inserted
            if !isName { return false }
        }
        return true
    }
}

/// Cuts a stream into rows of fields.
struct CSVReader {
    struct Field {
        /// Nil for a field of no bytes that is not in quotes.
        var text: String?
    }

    private static let maximumFields = 100_000

    private let stream: TextStream
    private let delimiter: UInt8
    /// Where the last row began.
    private(set) var rowLine = 1
    private var line = 1
    /// Within the row that is being read.
    private var position = 0
    private var lineStart = 0
    private var fields: [Field] = []

    init(_ source: TextSource, delimiter: UInt8, limits: TableLimits) throws(TableError) {
        stream = try TextStream(source, limitBytes: limits.rowBytes, of: "a row")
        self.delimiter = delimiter
    }

    /// The next row that is not blank; nil at the end.
    mutating func next() throws(TableError) -> [Field]? {
        while true {
            position = 0
            lineStart = 0
            rowLine = line
            fields = []
            guard try byte() != nil else { return nil }
            try readRow()
            stream.release(to: stream.start + position)
            if fields.count == 1 && fields[0].text == nil { continue }
            return fields
        }
    }

    private mutating func readRow() throws(TableError) {
        while true {
            guard fields.count < Self.maximumFields else {
                throw failure(
                    "the row has more than \(Self.maximumFields) fields", remedy: "check the delimiter")
            }
            let next = try byte()
            let text = next == UInt8(ascii: "\"") ? try quotedField() : try plainField()
            fields.append(Field(text: text))
            guard let end = try byte() else { return }
            position += 1
            if end == delimiter { continue }
            if end == 0x0D, try byte() == 0x0A { position += 1 }
            beginLine(after: position - 1)
            return
        }
    }

    private mutating func beginLine(after end: Int) {
        line += 1
        lineStart = end + 1
    }

    private var isAtBufferEnd: Bool { stream.start + position == stream.buffer.count }

    /// The first place at or after the given one with one of the bytes, or the end of what was read so far.
    private func place(of bytes: (UInt8, UInt8, UInt8), from start: Int) -> Int {
        stream.buffer.withUnsafeBufferPointer { buffer in
            var index = stream.start + start
            while index < buffer.count {
                let byte = buffer[index]
                if byte == bytes.0 || byte == bytes.1 || byte == bytes.2 { break }
                index += 1
            }
            return index - stream.start
        }
    }

    /// The byte at the present position, nil at the end of the file.
    private func byte() throws(TableError) -> UInt8? {
        while stream.start + position >= stream.buffer.count {
            guard try stream.refill(line: rowLine) else { return nil }
        }
        return stream.buffer[stream.start + position]
    }

    /// Up to a delimiter or the line's end. Quotes in the middle are text, as other readers have it.
    private mutating func plainField() throws(TableError) -> String? {
        let first = position
        position = place(of: (delimiter, 0x0A, 0x0D), from: position)
        while isAtBufferEnd, try byte() != nil {
            position = place(of: (delimiter, 0x0A, 0x0D), from: position)
        }
        if position == first { return nil }
        return try text(Array(stream.buffer[stream.start + first..<stream.start + position]))
    }

    private mutating func quotedField() throws(TableError) -> String {
        let opening = (line: line, column: position - lineStart + 1)
        var content: [UInt8] = []
        position += 1
        while let next = try byte() {
            if next != UInt8(ascii: "\"") {
                if next == 0x0A { beginLine(after: position) }
                let start = position
                position = place(of: (UInt8(ascii: "\""), 0x0A, 0x0A), from: position + 1)
                content.append(contentsOf: stream.buffer[stream.start + start..<stream.start + position])
                continue
            }
            position += 1
            guard let after = try byte() else { return try text(content) }
            if after == UInt8(ascii: "\"") {
                content.append(after)
                position += 1
            } else if after == delimiter || after == 0x0A || after == 0x0D {
                return try text(content)
            } else {
                throw failure(
                    "text follows a closing quote", remedy: "write quotes inside of a quoted field twice")
            }
        }
        throw TableError(
            file: stream.path, line: opening.line, lineColumn: opening.column,
            problem: "the quote is never closed", remedy: "close it, or write quotes inside of a field twice")
    }

    private func text(_ bytes: [UInt8]) throws(TableError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw failure(
                "the text is not UTF-8", remedy: "convert the file (iconv -f GB18030 -t UTF-8, say)")
        }
        return text
    }

    private func failure(_ problem: String, remedy: String) -> TableError {
        TableError(
            file: stream.path, line: line, lineColumn: position - lineStart + 1, problem: problem,
            remedy: remedy)
    }
}
