// Pulls values out of JSON text one after another without building a tree: a tokenizer's file has 300,000
// strings in 11 MB, and a server wants to answer half a second after its start.

/// A reader that stands somewhere in a JSON text (RFC 8259) and moves on with each call. It is a value: a
/// copy remembers a place, to be read from later. Every wrong byte is an error with its line and column;
/// nothing is read twice, and nesting is limited by `JSONValue.maximumDepth`.
///
///     var reader = JSONReader(bytes)
///     try reader.beginObject()
///     while let key = try reader.nextKey() { ... read or skip the value ... }
///     try reader.finish()
package struct JSONReader: Sendable {
    /// What kind of value comes next.
    package enum Kind: String, Sendable {
        case object, array, string, number, bool, null
    }

    private let bytes: [UInt8]
    /// How many bytes have been read.
    package private(set) var offset = 0
    /// The innermost open object or array; those around it wait in `outer`.
    private var container = Container.none
    private var outer: [Container] = []

    private struct Container: Sendable, Equatable {
        static let none = Container(closing: 0)

        /// The bracket that ends it.
        var closing: UInt8
        /// Whether an element of it has been read.
        var hasElements = false
    }

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The kind of the next value; nothing is read but the blanks before it.
    package mutating func peek() throws(JSONParseError) -> Kind {
        skipWhitespace()
        guard offset < bytes.count else { throw failure("the text ends where a value should be") }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw failure("no value begins like this")
        }
    }

    package mutating func beginObject() throws(JSONParseError) {
        try open(UInt8(ascii: "{"), "an object")
    }

    package mutating func beginArray() throws(JSONParseError) {
        try open(UInt8(ascii: "["), "an array")
    }

    /// The next key of the open object, its value being next; nil after the last, with the object closed.
    package mutating func nextKey() throws(JSONParseError) -> String? {
        var key: [UInt8] = []
        return try nextKey(into: &key) ? String(decoding: key, as: UTF8.self) : nil
    }

    /// As `nextKey()`, the key's bytes being appended to a buffer; false after the last key.
    package mutating func nextKey(into buffer: inout [UInt8]) throws(JSONParseError) -> Bool {
        guard try nextElement(closing: UInt8(ascii: "}")) else { return false }
        try readString(into: &buffer)
        skipWhitespace()
        guard take(UInt8(ascii: ":")) else { throw failure("expected \":\" after a key") }
        return true
    }

    /// Whether the open array has another element, which is next; false closes the array.
    package mutating func nextElement() throws(JSONParseError) -> Bool {
        try nextElement(closing: UInt8(ascii: "]"))
    }

    package mutating func readString() throws(JSONParseError) -> String {
        var content: [UInt8] = []
        try readString(into: &content)
        return String(decoding: content, as: UTF8.self)
    }

    /// Appends a string's bytes to a buffer. Bytes that are not UTF-8 stay as they are; half a surrogate pair
    /// becomes U+FFFD.
    package mutating func readString(into buffer: inout [UInt8]) throws(JSONParseError) {
        skipWhitespace()
        guard take(UInt8(ascii: "\"")) else { throw failure("expected a string") }
        while true {
            let start = offset
            offset = endOfPlainText(from: start)
            bytes.withUnsafeBufferPointer { buffer.append(contentsOf: $0[start..<offset]) }
            guard offset < bytes.count else { throw failure("the text ends inside a string") }
            if take(UInt8(ascii: "\"")) { return }
            guard bytes[offset] == UInt8(ascii: "\\") else {
                throw failure("a control character in a string must be escaped")
            }
            try readEscape(into: &buffer)
        }
    }

    /// A number without fraction that fits.
    package mutating func readInteger() throws(JSONParseError) -> Int {
        skipWhitespace()
        let start = offset
        let isNegative = take(UInt8(ascii: "-"))
        let firstDigit = offset
        var number = 0
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) {
            let digit = Int(bytes[offset] - UInt8(ascii: "0"))
            let (product, overflowed) = number.multipliedReportingOverflow(by: 10)
            let (sum, alsoOverflowed) = product.addingReportingOverflow(isNegative ? -digit : digit)
            if overflowed || alsoOverflowed {
                offset = start
                throw failure("the integer is too large")
            }
            number = sum
            offset += 1
        }
        let isFraction = offset < bytes.count && [0x2E, 0x45, 0x65].contains(bytes[offset])
        let hasLeadingZero = offset > firstDigit + 1 && bytes[firstDigit] == UInt8(ascii: "0")
        if offset == firstDigit || isFraction || hasLeadingZero {
            offset = start
            throw failure("expected an integer")
        }
        return number
    }

    package mutating func readBool() throws(JSONParseError) -> Bool {
        skipWhitespace()
        if takeWord("true") { return true }
        if takeWord("false") { return false }
        throw failure("expected true or false")
    }

    /// Reads `null` if it is next; otherwise nothing.
    package mutating func readNull() throws(JSONParseError) -> Bool {
        skipWhitespace()
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "n") else { return false }
        guard takeWord("null") else { throw failure("expected null") }
        return true
    }

    /// Steps over the next value.
    /// - Returns: where it lies in the text.
    @discardableResult
    package mutating func skipValue() throws(JSONParseError) -> Range<Int> {
        skipWhitespace()
        let start = offset
        let depth = outer.count
        repeat {
            if outer.count > depth, try !nextElement(closing: container.closing) { continue }
            if outer.count > depth, container.closing == UInt8(ascii: "}") { try skipKey() }
            switch try peek() {
            case .object: try beginObject()
            case .array: try beginArray()
            case .string: try skipString()
            case .number: try skipNumber()
            case .bool: _ = try readBool()
            case .null: _ = try readNull()
            }
        } while outer.count > depth
        return start..<offset
    }

    /// The next value as a tree, for the small parts of a large text.
    package mutating func readValue() throws(JSONParseError) -> JSONValue {
        let range = try skipValue()
        do {
            return try JSONValue(parsingUTF8: Array(bytes[range]))
        } catch {
            offset = range.lowerBound
            throw failure(error.message)
        }
    }

    /// Makes sure that nothing follows.
    package mutating func finish() throws(JSONParseError) {
        skipWhitespace()
        guard offset == bytes.count else { throw failure("text after the value") }
    }

    /// An error that points at the present place.
    package func failure(_ message: String) -> JSONParseError {
        var line = 1
        var lineStart = 0
        for index in 0..<min(offset, bytes.count) where bytes[index] == 0x0A {
            line += 1
            lineStart = index + 1
        }
        return JSONParseError(line: line, column: offset - lineStart + 1, message: message)
    }
}

extension JSONReader {
    private mutating func open(_ bracket: UInt8, _ name: StaticString) throws(JSONParseError) {
        skipWhitespace()
        guard offset < bytes.count, bytes[offset] == bracket else { throw failure("expected \(name)") }
        guard outer.count < JSONValue.maximumDepth else {
            throw failure("nested deeper than \(JSONValue.maximumDepth)")
        }
        offset += 1
        outer.append(container)
        container = Container(closing: bracket == UInt8(ascii: "{") ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    }

    private mutating func nextElement(closing bracket: UInt8) throws(JSONParseError) -> Bool {
        guard container.closing == bracket else { throw failure("no array or object of that kind is open") }
        skipWhitespace()
        if take(bracket) {
            container = outer.popLast() ?? .none
            return false
        }
        if container.hasElements {
            guard take(UInt8(ascii: ",")) else {
                throw failure("expected \",\" or \"\(Character(Unicode.Scalar(bracket)))\"")
            }
            skipWhitespace()
        }
        container.hasElements = true
        return true
    }

    private mutating func skipKey() throws(JSONParseError) {
        skipWhitespace()
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
            throw failure("expected a key in double quotes")
        }
        try skipString()
        skipWhitespace()
        guard take(UInt8(ascii: ":")) else { throw failure("expected \":\" after a key") }
    }

    private mutating func skipString() throws(JSONParseError) {
        offset += 1
        while true {
            offset = endOfPlainText(from: offset)
            guard offset < bytes.count else { throw failure("the text ends inside a string") }
            if take(UInt8(ascii: "\"")) { return }
            guard bytes[offset] == UInt8(ascii: "\\") else {
                throw failure("a control character in a string must be escaped")
            }
            var ignored: [UInt8] = []
            try readEscape(into: &ignored)
        }
    }

    private mutating func skipNumber() throws(JSONParseError) {
        let start = offset
        while offset < bytes.count, isNumberByte(bytes[offset]) { offset += 1 }
        // The value is thrown away, but a wrong one must not pass.
        do {
            _ = try JSONValue(parsingUTF8: Array(bytes[start..<offset]))
        } catch {
            offset = start
            throw failure(error.message)
        }
    }

    private func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            return true
        default: return false
        }
    }

    /// The first place at or after `start` of a quote, a backslash or a control character.
    private func endOfPlainText(from start: Int) -> Int {
        bytes.withUnsafeBufferPointer { text in
            var index = start
            while index < text.count {
                let byte = text[index]
                if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
                index += 1
            }
            return index
        }
    }

    private mutating func readEscape(into content: inout [UInt8]) throws(JSONParseError) {
        guard offset + 1 < bytes.count else { throw failure("the text ends inside a string") }
        let letter = bytes[offset + 1]
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            content.append(
                contentsOf: UTF8.encode(try readUnicodeEscape()) ?? UTF8.encodedReplacementCharacter)
            return
        default: throw failure("unknown escape in a string")
        }
        offset += 2
    }

    private mutating func readUnicodeEscape() throws(JSONParseError) -> Unicode.Scalar {
        guard let unit = hexadecimalUnit(at: offset) else {
            throw failure("expected four hexadecimal digits after \\u")
        }
        offset += 6
        if unit & 0xFC00 == 0xD800, let low = hexadecimalUnit(at: offset), low & 0xFC00 == 0xDC00 {
            offset += 6
            return Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF) ?? "\u{FFFD}"
        }
        return Unicode.Scalar(unit) ?? "\u{FFFD}"
    }

    /// The value of `\uXXXX` at an index, nil if there is none.
    private func hexadecimalUnit(at index: Int) -> UInt32? {
        guard index + 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"),
            bytes[index + 1] == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[(index + 2)..<(index + 6)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        let end = offset + word.utf8CodeUnitCount
        guard end <= bytes.count else { return false }
        for index in 0..<word.utf8CodeUnitCount where bytes[offset + index] != word.utf8Start[index] {
            return false
        }
        offset = end
        return true
    }

    private mutating func skipWhitespace() {
        // Nearly always there is none, or a single blank.
        while offset < bytes.count, bytes[offset] <= 0x20 {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }
}
