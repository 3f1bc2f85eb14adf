// Reads JSON text into values, byte by byte: manifests, results and status objects may be megabytes.

/// Where and why a text is not JSON. Line and column count from 1, the column in bytes.
package struct JSONParseError: Error, Sendable, Hashable, CustomStringConvertible {
    package var line: Int
    package var column: Int
    package var message: String

    package init(line: Int, column: Int, message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String { "invalid JSON at line \(line), column \(column): \(message)" }
}

extension JSONValue {
    /// How deep arrays and objects may nest; deeper text is refused, so that reading cannot exhaust the
    /// stack.
    package static let maximumDepth = 512

    /// Reads exactly one JSON value (RFC 8259). Integers that fit become `.int`, other numbers `.double`; of
    /// keys given twice the last counts; half a surrogate pair becomes U+FFFD, as in Go.
    package init(parsing text: String) throws(JSONParseError) {
        try self.init(parsingUTF8: Array(text.utf8))
    }

    /// As `init(parsing:)`. Bytes that are not UTF-8 become U+FFFD inside strings and are errors elsewhere.
    package init(parsingUTF8 bytes: some Collection<UInt8>) throws(JSONParseError) {
        try self.init(parsingUTF8: Array(bytes))
    }

    /// As `init(parsing:)`. Bytes that are not UTF-8 become U+FFFD inside strings and are errors elsewhere.
    package init(parsingUTF8 bytes: [UInt8]) throws(JSONParseError) {
        var parser = JSONParser<JSONValue>(bytes: bytes)
        self = try parser.parseDocument()
    }
}

/// What a parser builds of the text.
protocol JSONTree {
    /// The members of an object while it is read.
    associatedtype Members
    static var noMembers: Members { get }
    /// Of keys given twice the last counts.
    static func add(_ value: Self, for key: String, to members: inout Members)
    static func tree(of members: Members) -> Self
    static func tree(of elements: [Self]) -> Self
    /// - Parameter scalar: neither an array nor an object.
    static func tree(of scalar: JSONValue) -> Self
}

extension JSONValue: JSONTree {
    static var noMembers: [String: JSONValue] { [:] }
    static func add(_ value: JSONValue, for key: String, to members: inout [String: JSONValue]) {
        members[key] = value
    }
    static func tree(of members: [String: JSONValue]) -> JSONValue { .object(members) }
    static func tree(of elements: [JSONValue]) -> JSONValue { .array(elements) }
    static func tree(of scalar: JSONValue) -> JSONValue { scalar }
}

/// A recursive-descent reader over bytes; its depth is limited by `JSONValue.maximumDepth`.
struct JSONParser<Tree: JSONTree> {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func parseDocument() throws(JSONParseError) -> Tree {
        skipWhitespace()
        let value = try parseValue()
        skipWhitespace()
        guard position == bytes.count else { throw failure("text after the value") }
        return value
    }

    private mutating func parseValue() throws(JSONParseError) -> Tree {
        guard position < bytes.count else { throw failure("the text ends where a value should be") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""): return Tree.tree(of: .string(try parseString()))
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw failure("\(shown(position)) cannot begin a value")
        }
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(JSONParseError)
        -> Tree
    {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count else { throw failure("expected \(word)") }
        for index in 0..<word.utf8CodeUnitCount where bytes[position + index] != word.utf8Start[index] {
            throw failure("expected \(word)")
        }
        position = end
        return Tree.tree(of: value)
    }

    private mutating func parseArray() throws(JSONParseError) -> Tree {
        try descend()
        defer { depth -= 1 }
        var elements: [Tree] = []
        if take(UInt8(ascii: "]")) { return Tree.tree(of: elements) }
        while true {
            elements.append(try parseValue())
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return Tree.tree(of: elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected \",\" or \"]\" in an array") }
            skipWhitespace()
        }
    }

    private mutating func parseObject() throws(JSONParseError) -> Tree {
        try descend()
        defer { depth -= 1 }
        var members = Tree.noMembers
        if take(UInt8(ascii: "}")) { return Tree.tree(of: members) }
        while true {
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("expected a key in double quotes")
            }
            let key = try parseString()
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw failure("expected \":\" after a key") }
            skipWhitespace()
            Tree.add(try parseValue(), for: key, to: &members)
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return Tree.tree(of: members) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected \",\" or \"}\" in an object") }
            skipWhitespace()
        }
    }

    /// Steps over the opening bracket, counting it.
    private mutating func descend() throws(JSONParseError) {
        guard depth < JSONValue.maximumDepth else {
            throw failure("nested deeper than \(JSONValue.maximumDepth)")
        }
        depth += 1
        position += 1
        skipWhitespace()
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }
}

extension JSONParser {
    private mutating func parseNumber() throws(JSONParseError) -> Tree {
        let start = position
        let isNegative = take(UInt8(ascii: "-"))
        let firstDigit = position
        var magnitude = 0
        var fits = true
        while let digit = digit(at: position) {
            let (product, overflowed) = magnitude.multipliedReportingOverflow(by: 10)
            // Counting downwards for negative numbers reaches Int.min, which has no positive counterpart.
            let (sum, alsoOverflowed) = product.addingReportingOverflow(isNegative ? -digit : digit)
            fits = fits && !overflowed && !alsoOverflowed
            magnitude = sum
            position += 1
        }
        guard position > firstDigit else { throw failure("expected a digit") }
        if bytes[firstDigit] == UInt8(ascii: "0"), position > firstDigit + 1 {
            position = firstDigit
            throw failure("a number must not begin with 0")
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try skipDigits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try skipDigits()
        }
        if isInteger, fits { return Tree.tree(of: .int(magnitude)) }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let number = Double(text), number.isFinite else {
            position = start
            throw failure("the number is too large")
        }
        return Tree.tree(of: .double(number))
    }

    private func digit(at index: Int) -> Int? {
        guard index < bytes.count, bytes[index] >= UInt8(ascii: "0"), bytes[index] <= UInt8(ascii: "9") else {
            return nil
        }
        return Int(bytes[index] - UInt8(ascii: "0"))
    }

    private mutating func skipDigits() throws(JSONParseError) {
        guard digit(at: position) != nil else { throw failure("expected a digit") }
        while digit(at: position) != nil { position += 1 }
    }

    /// Reads a string, the position being at its opening quote. Text without escapes is taken in one piece.
    private mutating func parseString() throws(JSONParseError) -> String {
        position += 1
        let start = position
        skipPlainCharacters()
        if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
            defer { position += 1 }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }
        var content = Array(bytes[start..<position])
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"):
                try parseEscape(into: &content)
            case 0..<0x20:
                throw failure("a control character in a string must be escaped")
            default:
                let runStart = position
                skipPlainCharacters()
                content.append(contentsOf: bytes[runStart..<position])
            }
        }
        throw failure("the text ends inside a string")
    }

    private mutating func skipPlainCharacters() {
        while position < bytes.count {
            let byte = bytes[position]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
            position += 1
        }
    }

    private mutating func parseEscape(into content: inout [UInt8]) throws(JSONParseError) {
        guard position + 1 < bytes.count else { throw failure("the text ends inside a string") }
        let letter = bytes[position + 1]
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            content.append(contentsOf: String(try parseUnicodeEscape()).utf8)
            return
        default: throw failure("unknown escape \(shown(position + 1)) in a string")
        }
        position += 2
    }

    private mutating func parseUnicodeEscape() throws(JSONParseError) -> Unicode.Scalar {
        guard let unit = hexadecimalUnit(at: position) else {
            throw failure("expected four hexadecimal digits after \\u")
        }
        position += 6
        if unit & 0xFC00 == 0xD800, let low = hexadecimalUnit(at: position), low & 0xFC00 == 0xDC00 {
            position += 6
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

    private func shown(_ index: Int) -> String {
        let byte = bytes[index]
        if byte >= 0x20, byte < 0x7F { return "\"\(Character(Unicode.Scalar(byte)))\"" }
        let digits = String(byte, radix: 16, uppercase: true)
        return "byte 0x" + (digits.count < 2 ? "0" + digits : digits)
    }

    private func failure(_ message: String) -> JSONParseError {
        var line = 1
        var lineStart = 0
        for index in 0..<min(position, bytes.count) where bytes[index] == 0x0A {
            line += 1
            lineStart = index + 1
        }
        return JSONParseError(line: line, column: position - lineStart + 1, message: message)
    }
}
