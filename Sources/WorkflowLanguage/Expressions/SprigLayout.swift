// Sprig's functions that fit text into a width: abbreviating, wrapping and indenting. Widths count bytes,
// as in github.com/Masterminds/goutils.

import Text

enum SprigLayout {
    static let signatures: [String: String] = [
        "abbrev": "width text", "abbrevboth": "offset width text", "wrap": "width text",
        "wrapWith": "width separator text", "indent": "spaces text", "nindent": "spaces text",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "abbrev":
            let (width, text) = (try call.int(0), try call.string(1))
            return .string(width < 4 ? text : abbreviated(Array(text.utf8), offset: 0, width: width))
        case "abbrevboth":
            let (offset, width, text) = (try call.int(0), try call.int(1), try call.string(2))
            if width < 4 || offset > 0 && width < 7 { return .string(text) }
            return .string(abbreviated(Array(text.utf8), offset: offset, width: width))
        case "wrap": return .string(try wrapped(&call, text: 1, separator: "\n", cutsWords: false))
        case "wrapWith":
            let separator = try call.string(1)
            return .string(
                try wrapped(&call, text: 2, separator: separator.isEmpty ? "\n" : separator, cutsWords: true))
        case "indent": return .string(try indented(&call))
        case "nindent": return .string("\n" + (try indented(&call)))
        default: throw call.error("is not implemented")
        }
    }

    /// Cuts at the end, and at the start too where the offset is more than the marks would save. A later
    /// offset is moved back so that the text fills the width.
    private static func abbreviated(_ text: [UInt8], offset: Int, width: Int) -> String {
        guard text.count > width else { return SprigText.string(text) }
        let room = width - 3
        let start = min(offset, text.count - room)
        if start <= 4 { return SprigText.string(text.prefix(room)) + "..." }
        let rest = text[start...]
        if room < rest.count {
            return "..." + SprigText.string(rest.prefix(max(room - 3, 0))) + "..."
        }
        return "..." + SprigText.string(text.suffix(room))
    }

    /// Breaks lines at spaces; a longer word is cut or left to stick out. Spaces at the start of a line go.
    private static func wrapped(
        _ call: inout SprigCall, text index: Int, separator: String, cutsWords: Bool
    ) throws(ExpressionError) -> String {
        let space = UInt8(ascii: " ")
        let text = try call.bytes(index)
        let width = max(try call.int(0), 1)
        var result: [UInt8] = []
        var start = 0
        func append(_ end: Int, skipping: Int) throws(ExpressionError) {
            try call.spend(bytes: end - start + separator.utf8.count)
            result += text[start..<end]
            result += separator.utf8
            start = end + skipping
        }
        while text.count - start > width {
            if text[start] == space {
                start += 1
            } else if let end = text[start...(start + width)].lastIndex(of: space) {
                try append(end, skipping: 1)
            } else if cutsWords {
                try append(start + width, skipping: 0)
            } else if let end = text[(start + width)...].firstIndex(of: space) {
                try append(end, skipping: 1)
            } else {
                break
            }
        }
        return SprigText.string(result + text[start...])
    }

    private static func indented(_ call: inout SprigCall) throws(ExpressionError) -> String {
        let (count, text) = (try call.int(0), try call.bytes(1))
        guard count >= 0 else { throw call.error("the number of spaces \(count) is negative") }
        let newline = UInt8(ascii: "\n")
        try call.spend(bytes: count, times: text.count(where: { $0 == newline }) + 1)
        let pad = [UInt8](repeating: UInt8(ascii: " "), count: count)
        var result = pad
        for byte in text {
            result.append(byte)
            if byte == newline { result += pad }
        }
        return SprigText.string(result)
    }
}
