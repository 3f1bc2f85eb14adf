// JSON text to marked values, in one pass over its bytes.

import Text

struct MarkedJSONParser {
    enum Outcome {
        case value(MarkedValue)
        /// The text is not JSON; it may be YAML.
        case notJSON
        case limit(ReadFailure)
    }

    /// Keys given twice; their first value is kept.
    private(set) var duplicates: [ReadFailure] = []

    private let bytes: [UInt8]
    private let limits: ReadLimits
    private var index = 0
    private var line = 1
    /// Where the current line begins, and how many of its bytes so far continue a character: columns count
    /// characters.
    private var lineStart = 0
    private var continuations = 0
    private var nodes = 0
    private var path: [PathElement] = []

    private enum Stop: Error {
        case notJSON
        case limit(ReadFailure)
    }

    init(_ bytes: [UInt8], limits: ReadLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func parse() -> Outcome {
        do throws(Stop) {
            let root = try value(depth: 1)
            skipBlanks()
            return index == bytes.count ? .value(root) : .notJSON
        } catch {
            switch error {
            case .notJSON: return .notJSON
            case .limit(let failure): return .limit(failure)
            }
        }
    }

    private var column: Int { index - lineStart - continuations + 1 }
    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipBlanks() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            index += 1
            if byte == 0x0A || (byte == 0x0D && current != 0x0A) {
                line += 1
                lineStart = index
                continuations = 0
            }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        index += 1
        return true
    }

    private mutating func value(depth: Int) throws(Stop) -> MarkedValue {
        skipBlanks()
        let place = (line: line, column: column)
        nodes += 1
        if nodes > limits.nodes { throw limit("the file holds more than \(limits.nodes) values") }
        let content: MarkedValue.Content
        switch current {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            if depth > limits.depth {
                path = []
                throw limit("lists and maps are nested more than \(limits.depth) deep")
            }
            content = current == UInt8(ascii: "{") ? try object(depth: depth) : try array(depth: depth)
        case UInt8(ascii: "\""): content = .scalar(.string(try string()))
        case UInt8(ascii: "t"): content = .scalar(try word("true", .bool(true)))
        case UInt8(ascii: "f"): content = .scalar(try word("false", .bool(false)))
        case UInt8(ascii: "n"): content = .scalar(try word("null", .null))
        default: content = .scalar(try number())
        }
        return MarkedValue(content: content, line: place.line, column: place.column)
    }

    private func limit(_ message: String) -> Stop {
        .limit(
            ReadFailure(
                line: line, column: column, path: path, message: message,
                remedy: "split the file, or pass large data as an artifact instead of in the manifest"))
    }

    private mutating func array(depth: Int) throws(Stop) -> MarkedValue.Content {
        var elements: [MarkedValue] = []
        index += 1
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            path.append(.index(elements.count))
            elements.append(try value(depth: depth + 1))
            path.removeLast()
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw .notJSON }
        }
    }

    private mutating func object(depth: Int) throws(Stop) -> MarkedValue.Content {
        var members: [MarkedValue.Member] = []
        var places: [String: Int] = [:]
        index += 1
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipBlanks()
            let place = (line: line, column: column)
            guard current == UInt8(ascii: "\"") else { throw .notJSON }
            let key = try string()
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw .notJSON }
            path.append(.key(key))
            let value = try value(depth: depth + 1)
            if let first = places[key] {
                duplicates.append(
                    .repeatedKey(
                        key, path: path, at: place, first: (members[first].line, members[first].column)))
            } else {
                places[key] = members.count
                members.append(.init(key: key, line: place.line, column: place.column, value: value))
            }
            path.removeLast()
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw .notJSON }
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(Stop) -> JSONValue {
        for offset in 0..<text.utf8CodeUnitCount {
            guard take(text.utf8Start[offset]) else { throw .notJSON }
        }
        return value
    }
}

// MARK: Strings and numbers

extension MarkedJSONParser {
    private mutating func string() throws(Stop) -> String {
        index += 1
        let start = index
        while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
            guard byte >= 0x20 else { throw .notJSON }
            if byte & 0xC0 == 0x80 { continuations += 1 }
            index += 1
        }
        var text = Array(bytes[start..<index])
        while let byte = current {
            index += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
            guard byte >= 0x20 else { throw .notJSON }
            if byte == UInt8(ascii: "\\") {
                text += try escape()
            } else {
                if byte & 0xC0 == 0x80 { continuations += 1 }
                text.append(byte)
            }
        }
        throw .notJSON
    }

    private mutating func escape() throws(Stop) -> [UInt8] {
        guard let letter = current else { throw .notJSON }
        index += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): break
        default: throw .notJSON
        }
        var code = try hexadecimal()
        if (0xD800..<0xDC00).contains(code), index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
            bytes[index + 1] == UInt8(ascii: "u")
        {
            let beforeLow = index
            index += 2
            let low = try hexadecimal()
            if (0xDC00..<0xE000).contains(low) {
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            } else {
                index = beforeLow
            }
        }
        // Half of a pair alone becomes the replacement character, as in Go.
        let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func hexadecimal() throws(Stop) -> UInt32 {
        guard index + 4 <= bytes.count else { throw .notJSON }
        var code: UInt32 = 0
        for byte in bytes[index..<(index + 4)] {
            switch byte {
            case 0x30...0x39: code = code << 4 | UInt32(byte - 0x30)
            case 0x41...0x46, 0x61...0x66: code = code << 4 | UInt32((byte | 0x20) - 0x61 + 10)
            default: throw .notJSON
            }
        }
        index += 4
        return code
    }

    private mutating func number() throws(Stop) -> JSONValue {
        let start = index
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
        _ = take(UInt8(ascii: "-"))
        let whole = index
        while isDigit(current) { index += 1 }
        guard index > whole, bytes[whole] != UInt8(ascii: "0") || index == whole + 1 else { throw .notJSON }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard isDigit(current) else { throw .notJSON }
            while isDigit(current) { index += 1 }
        }
        if let letter = current, letter | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            index += 1
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard isDigit(current) else { throw .notJSON }
            while isDigit(current) { index += 1 }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isInteger, let integer = Int(text) { return .int(integer) }
        guard let number = Double(text), number.isFinite else { throw .notJSON }
        return .double(number)
    }
}
