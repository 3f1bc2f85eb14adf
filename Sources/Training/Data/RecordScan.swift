// Finds where records begin and end, without understanding what is in them.
import Glibc
import Text

/// One pass over the bytes of a file.
struct RecordScan {
    /// A longer record is refused: it is read into memory whole.
    static let maximumRecordBytes = 1 << 28

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var line: UInt32 = 1
    private(set) var places: [RecordPlace] = []
    /// What to do about the error that was thrown.
    private(set) var remedy = "check that the file is complete and has the format that its name says"

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    // MARK: Lines

    /// Each line that is not blank is a record, without its end.
    mutating func findLines() throws(JSONParseError) {
        while position < bytes.count {
            let end = endOfLine(from: position)
            let contentEnd = end > position && bytes[end - 1] == 0x0D ? end - 1 : end
            if bytes[position..<contentEnd].contains(where: { $0 > 0x20 }) {
                try add(position..<contentEnd, line: line)
            }
            position = end + 1
            line &+= 1
        }
    }

    private func endOfLine(from start: Int) -> Int {
        guard let address = bytes.baseAddress,
            let found = memchr(address + start, 0x0A, bytes.count - start)
        else { return bytes.count }
        return UnsafeRawPointer(found) - address
    }

    private mutating func add(_ range: Range<Int>, line: UInt32) throws(JSONParseError) {
        guard range.count <= Self.maximumRecordBytes, places.count < Int(Int32.max) else {
            remedy = "split the row, or the file"
            throw JSONParseError(
                line: Int(line), column: 1,
                message: range.count > Self.maximumRecordBytes
                    ? "a row is longer than \(Self.maximumRecordBytes) bytes" : "too many rows in one file")
        }
        places.append(
            RecordPlace(start: UInt64(range.lowerBound), length: UInt32(range.count), line: line))
    }

    // MARK: Elements of a list

    /// Each element of the list, or of that under "data", is a record.
    mutating func findElements() throws(JSONParseError) {
        skipBlanks()
        guard position < bytes.count else { return }
        if try take(UInt8(ascii: "{")) {
            try findData()
        } else if try !take(UInt8(ascii: "[")) {
            remedy = "write the rows as a list, or one a line in a file that ends in .jsonl"
            throw failure("neither a list of rows nor an object with one under \"data\"")
        } else {
            try readElements()
        }
        skipBlanks()
        if position < bytes.count {
            remedy = "name the file .jsonl if it has an object on each line"
            throw failure("text after the end of the list")
        }
    }

    /// Reads the members of the outermost object.
    private mutating func findData() throws(JSONParseError) {
        var isFound = false
        skipBlanks()
        if try take(UInt8(ascii: "}")) { throw noData() }
        repeat {
            skipBlanks()
            let key = position
            try skipValue()
            let isData = bytes[key..<position].elementsEqual("\"data\"".utf8)
            skipBlanks()
            guard try take(UInt8(ascii: ":")) else { throw failure("expected \":\" after a key") }
            skipBlanks()
            if isData, try take(UInt8(ascii: "[")) {
                isFound = true
                try readElements()
            } else {
                try skipValue()
            }
            skipBlanks()
        } while try take(UInt8(ascii: ","))
        guard try take(UInt8(ascii: "}")) else { throw failure("expected \",\" or \"}\"") }
        if !isFound { throw noData() }
    }

    private mutating func noData() -> JSONParseError {
        remedy = "write the rows as a list, or name the file .jsonl if it has an object on each line"
        return failure("the object has no list under \"data\"")
    }

    /// Reads elements up to the bracket that closes the list.
    private mutating func readElements() throws(JSONParseError) {
        skipBlanks()
        if try take(UInt8(ascii: "]")) { return }
        repeat {
            skipBlanks()
            let (start, startLine) = (position, line)
            try skipValue()
            try add(start..<position, line: startLine)
            skipBlanks()
        } while try take(UInt8(ascii: ","))
        guard try take(UInt8(ascii: "]")) else { throw failure("expected \",\" or \"]\" in the list") }
    }

    /// Steps over a value by its brackets and quotes; what is between them is checked when the row is read.
    private mutating func skipValue() throws(JSONParseError) {
        var depth = 0
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                try skipString()
                if depth == 0 { return }
                continue
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if depth == 0 { return try checkProgress(since: start) }
                depth -= 1
                if depth == 0 {
                    position += 1
                    return
                }
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x09, 0x0D:
                if depth == 0 { return try checkProgress(since: start) }
            case 0x0A:
                if depth == 0 { return try checkProgress(since: start) }
                line &+= 1
            default: break
            }
            position += 1
        }
        if depth > 0 { throw failure("the file ends inside a row") }
        try checkProgress(since: start)
    }

    private func checkProgress(since start: Int) throws(JSONParseError) {
        if position == start { throw failure("a value is missing") }
    }

    private mutating func skipString() throws(JSONParseError) {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): position += 2
            case 0x0A:
                line &+= 1
                position += 1
            default: position += 1
            }
        }
        position = bytes.count
        throw failure("the file ends inside a string")
    }

    private mutating func skipBlanks() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
            if bytes[position] == 0x0A { line &+= 1 }
            position += 1
        }
    }

    private mutating func take(_ byte: UInt8) throws(JSONParseError) -> Bool {
        guard position < bytes.count else { throw failure("the file ends inside the list") }
        guard bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private func failure(_ message: String) -> JSONParseError {
        JSONParseError(line: Int(line), column: 1, message: message)
    }

    // MARK: Comma-separated values

    /// Each record that is not blank; the first has the names of the columns.
    mutating func findRows() throws(JSONParseError) {
        while position < bytes.count {
            let (start, startLine) = (position, line)
            var end = bytes.count
            var quoting = CSVQuoting()
            while position < bytes.count, end == bytes.count {
                let byte = bytes[position]
                if quoting.role(of: byte) == .lineEnd { end = position }
                position += 1
                let isPair = byte == 0x0D && position < bytes.count && bytes[position] == 0x0A
                if isPair && end < bytes.count { position += 1 }
                // Of a pair inside quotes the second byte will count.
                if byte == 0x0A || byte == 0x0D && (end < bytes.count || !isPair) { line &+= 1 }
            }
            if quoting.isQuoted {
                remedy = "close the quote; a quote inside a field is written twice"
                throw JSONParseError(line: Int(startLine), column: 1, message: "a quoted field has no end")
            }
            if bytes[start..<end].contains(where: { $0 > 0x20 }) { try add(start..<end, line: startLine) }
        }
    }
}

/// What the bytes of comma-separated values are (RFC 4180). As in Python's reader, a quote inside a field
/// that does not begin with one is a character like any other.
struct CSVQuoting {
    enum Role {
        case content, quote, separator, lineEnd
    }

    private(set) var isQuoted = false
    private var isAtStart = true
    private var hasClosed = false

    mutating func role(of byte: UInt8) -> Role {
        let isQuote = byte == UInt8(ascii: "\"")
        if isQuoted {
            isQuoted = !isQuote
            hasClosed = isQuote
            return isQuote ? .quote : .content
        }
        if isQuote && (hasClosed || isAtStart) {
            // Two quotes inside quotes are one that is meant.
            let role: Role = hasClosed ? .content : .quote
            (isQuoted, hasClosed, isAtStart) = (true, false, false)
            return role
        }
        hasClosed = false
        isAtStart = byte == UInt8(ascii: ",")
        if isAtStart { return .separator }
        return byte == 0x0A || byte == 0x0D ? .lineEnd : .content
    }
}

/// The fields of one record of comma-separated values.
enum CSVRecord {
    static func fields(of bytes: [UInt8]) -> [String] {
        var fields: [String] = []
        var field: [UInt8] = []
        var quoting = CSVQuoting()
        for byte in bytes {
            switch quoting.role(of: byte) {
            case .quote: break
            case .content, .lineEnd: field.append(byte)
            case .separator:
                fields.append(String(decoding: field, as: UTF8.self))
                field.removeAll(keepingCapacity: true)
            }
        }
        fields.append(String(decoding: field, as: UTF8.self))
        return fields
    }
}
