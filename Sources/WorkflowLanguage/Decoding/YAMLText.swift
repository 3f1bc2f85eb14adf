// Text as a YAML scalar: plain where that cannot be misread, else quoted, or as a block of lines.

import Text

enum YAMLText {
    /// The text on one line.
    static func inline(_ text: String) -> String {
        if isPlainSafe(text) { return text }
        let quotable = text.unicodeScalars.allSatisfy { isPrintable($0) }
        if quotable, text.utf8.contains(UInt8(ascii: "\"")) || text.utf8.contains(UInt8(ascii: "\\")),
            !text.utf8.contains(UInt8(ascii: "'"))
        {
            return "'" + text + "'"
        }
        return doubleQuoted(text)
    }

    /// The text as a literal block: its header, then its lines at an indentation, and the last line's break.
    /// Nil for text of one line, and for text that a block cannot hold.
    static func block(_ text: String, indent: Int) -> String? {
        guard text.utf8.contains(0x0A), text.utf8.contains(where: { $0 != 0x0A && $0 != 0x20 && $0 != 0x09 }),
            text.unicodeScalars.allSatisfy({ $0 == "\n" || $0 == "\t" || isPrintable($0) })
        else { return nil }
        // Split by scalars: as a Character, a break would cling to a combining mark after it.
        let scalars = text.unicodeScalars
        var lines = scalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
        let ending: String
        if lines.last == "" {
            lines.removeLast()
            ending = lines.last == "" ? "+" : ""
        } else {
            ending = "-"
        }
        // Without a number the indentation is that of the first line with text, which therefore must have
        // none of its own; the empty lines before it must have none either.
        let firstText = lines.first { !$0.isEmpty } ?? ""
        let needsIndicator = firstText.utf8.first == 0x20 || firstText.utf8.first == 0x09
        var block = "|" + (needsIndicator ? "2" : "") + ending + "\n"
        let padding = String(repeating: " ", count: indent)
        for line in lines { block += line.isEmpty ? "\n" : padding + line + "\n" }
        return block
    }

    /// Whether the text without quotes reads as itself, here and for readers of YAML 1.1 and 1.2 alike.
    private static func isPlainSafe(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, last != 0x20, last != UInt8(ascii: ":")
        else {
            return false
        }
        switch first {
        case 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "$"),
            UInt8(ascii: "("):
            break
        case 0x30...0x39, UInt8(ascii: "."):
            // Numbers, dates and times: readers differ, so only a text with a letter that none of them has
            // goes plain, such as `3d-model` or `./train.py`.
            guard text.utf8.contains(where: { lettersOfWords.contains($0 | 0x20) }), !text.hasPrefix(".i")
            else {
                return false
            }
        case 0x80...: break
        default: return false
        }
        guard text.unicodeScalars.allSatisfy({ isPrintable($0) }), !holdsIndicator(text) else { return false }
        guard text.utf8.count <= 5 else { return true }
        return !ambiguous.contains(text.lowercased())
    }

    /// Lowercase letters without those of numbers in any notation, infinities, and times.
    private static let lettersOfWords = Set("ghjklmpqrsuvwy".utf8)

    private static let ambiguous: Set<String> = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]

    /// `: ` and ` #` end a plain scalar; brackets, braces and commas do so inside a flow collection only, but
    /// are quoted for the reader's sake.
    private static func holdsIndicator(_ text: String) -> Bool {
        var previous: UInt8 = 0
        for byte in text.utf8 {
            switch byte {
            case 0x20 where previous == UInt8(ascii: ":"): return true
            case UInt8(ascii: "#") where previous == 0x20: return true
            case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"),
                UInt8(ascii: ","):
                return true
            default: break
            }
            previous = byte
        }
        return false
    }

    /// Whether a character may stand as it is on a line: YAML's printable characters without line breaks,
    /// tabs, and the two that cannot be seen.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E: return true
        case 0x2028, 0x2029, 0xFEFF: return false
        case 0xA1...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: return true
        default: return false
        }
    }

    private static func doubleQuoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\r": quoted += "\\r"
            // Escaped, the parser would drop it at the beginning of the text.
            case "\u{FEFF}": quoted.unicodeScalars.append(scalar)
            case _ where isPrintable(scalar): quoted.unicodeScalars.append(scalar)
            default:
                let hex = String(scalar.value, radix: 16, uppercase: true)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
            }
        }
        return quoted + "\""
    }
}
