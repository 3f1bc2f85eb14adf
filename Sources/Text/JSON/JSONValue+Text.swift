// Writes JSON values as text, with keys sorted: the same value always gives the same bytes.

extension JSONValue {
    /// The value as Go's `encoding/json` writes it, without its escaping of `<`, `>` and `&`: keys sorted by
    /// their bytes, no spaces. Numbers that are not finite, which JSON cannot say, become null.
    package var compactText: String {
        var bytes: [UInt8] = []
        appendCompact(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value with two spaces of indentation a level and sorted keys, without a newline at the end.
    package var prettyText: String {
        var bytes: [UInt8] = []
        appendPretty(to: &bytes, level: 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends `compactText` as UTF-8.
    package func appendCompact(to bytes: inout [UInt8]) {
        switch self {
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.appendCompact(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.sortedByKey.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.appendQuoted(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.appendCompact(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        default:
            appendScalar(to: &bytes)
        }
    }

    private func appendPretty(to bytes: inout [UInt8], level: Int) {
        switch self {
        case .array(let elements) where !elements.isEmpty:
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                Self.appendLineBreak(to: &bytes, level: level + 1, afterComma: index > 0)
                element.appendPretty(to: &bytes, level: level + 1)
            }
            Self.appendLineBreak(to: &bytes, level: level, afterComma: false)
            bytes.append(UInt8(ascii: "]"))
        case .object(let members) where !members.isEmpty:
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.sortedByKey.enumerated() {
                Self.appendLineBreak(to: &bytes, level: level + 1, afterComma: index > 0)
                Self.appendQuoted(member.key, to: &bytes)
                bytes.append(contentsOf: [UInt8(ascii: ":"), 0x20])
                member.value.appendPretty(to: &bytes, level: level + 1)
            }
            Self.appendLineBreak(to: &bytes, level: level, afterComma: false)
            bytes.append(UInt8(ascii: "}"))
        default:
            appendCompact(to: &bytes)
        }
    }

    private static func appendLineBreak(to bytes: inout [UInt8], level: Int, afterComma: Bool) {
        if afterComma { bytes.append(UInt8(ascii: ",")) }
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
    }

    private func appendScalar(to bytes: inout [UInt8]) {
        switch self {
        case .bool(let flag): bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8)
        case .int(let number): bytes.append(contentsOf: String(number).utf8)
        case .double(let number) where number.isFinite:
            bytes.append(contentsOf: DecimalDigits(of: number).jsonText.utf8)
        case .string(let text): Self.appendQuoted(text, to: &bytes)
        default: bytes.append(contentsOf: "null".utf8)
        }
    }

    /// Appends a JSON string literal. U+2028 and U+2029 are escaped as Go does, since JavaScript once
    /// took them for line ends.
    package static func appendQuoted(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x08: bytes.append(contentsOf: "\\b".utf8)
            case 0x0C: bytes.append(contentsOf: "\\f".utf8)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: (digits.utf8.count < 2 ? "\\u000" : "\\u00").utf8)
                bytes.append(contentsOf: digits.utf8)
            case 0xA8, 0xA9:
                bytes.append(byte)
                escapeLineSeparator(at: &bytes)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// If the last three bytes are U+2028 or U+2029, replaces them by the escape.
    private static func escapeLineSeparator(at bytes: inout [UInt8]) {
        guard bytes.count >= 3, bytes[bytes.count - 3] == 0xE2, bytes[bytes.count - 2] == 0x80 else { return }
        let escape = bytes[bytes.count - 1] == 0xA8 ? "\\u2028" : "\\u2029"
        bytes.removeLast(3)
        bytes.append(contentsOf: escape.utf8)
    }
}

extension Dictionary where Key == String {
    /// The members in the order of their keys' bytes, which is how Go sorts. Swift's own `<` of strings
    /// compares after Unicode normalization and is slower.
    package var sortedByKey: [(key: String, value: Value)] {
        sorted { $0.key.precedesBytewise($1.key) }
    }
}

extension String {
    /// Whether the string's UTF-8 sorts before the other's.
    package func precedesBytewise(_ other: String) -> Bool {
        utf8.lexicographicallyPrecedes(other.utf8)
    }
}
