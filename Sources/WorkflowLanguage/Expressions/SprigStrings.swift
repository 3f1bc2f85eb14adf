// Sprig's string functions that cut, test, repeat and quote. Go's strings are bytes, so positions count
// bytes; a cut inside a character leaves U+FFFD.

import Text

enum SprigStrings {
    static let signatures: [String: String] = [
        "hello": "", "trim": "text", "trimAll": "characters text", "trimall": "characters text",
        "trimSuffix": "suffix text", "trimPrefix": "prefix text", "upper": "text", "lower": "text",
        "repeat": "count text", "substr": "start end text", "nospace": "text", "trunc": "count text",
        "contains": "part text", "hasPrefix": "prefix text", "hasSuffix": "suffix text",
        "quote": "values...", "squote": "values...", "cat": "values...",
        "replace": "old new text", "plural": "one many count", "fail": "message",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "hello": return .string("Hello!")
        case "trim": return .string(SprigText.trim(try call.string(0), SprigText.isSpace))
        case "trimAll", "trimall":
            let characters = Set(try call.string(0).unicodeScalars)
            return .string(SprigText.trim(try call.string(1), characters.contains))
        case "trimSuffix":
            let (suffix, text) = (try call.bytes(0), try call.bytes(1))
            return .string(SprigText.string(text.hasSuffix(suffix) ? text.dropLast(suffix.count) : text[...]))
        case "trimPrefix":
            let (prefix, text) = (try call.bytes(0), try call.bytes(1))
            return .string(
                SprigText.string(text.starts(with: prefix) ? text.dropFirst(prefix.count) : text[...]))
        case "upper": return .string(SprigText.map(try call.string(0), SprigText.upper))
        case "lower": return .string(SprigText.map(try call.string(0), SprigText.lower))
        case "repeat": return .string(try repeated(&call))
        case "substr": return .string(try substring(call))
        case "nospace":
            return .string(
                SprigText.string(try call.string(0).unicodeScalars.filter { !SprigText.isSpace($0) }))
        case "trunc": return .string(truncated(try call.bytes(1), to: try call.int(0)))
        case "contains": return .bool(SprigText.index(of: try call.bytes(0), in: try call.bytes(1)) != nil)
        case "hasPrefix": return .bool(try call.bytes(1).starts(with: try call.bytes(0)))
        case "hasSuffix": return .bool(try call.bytes(1).hasSuffix(try call.bytes(0)))
        case "quote": return .string(try words(&call) { GoFormat.quote($0) })
        case "squote": return .string(try words(&call) { "'\($0)'" })
        case "cat": return .string(try words(&call) { $0 })
        case "replace": return .string(try replaced(&call))
        case "plural": return .string(try call.int(2) == 1 ? try call.string(0) : try call.string(1))
        case "fail": throw ExpressionError(try call.string(0))
        default: throw call.error("is not implemented")
        }
    }

    private static func repeated(_ call: inout SprigCall) throws(ExpressionError) -> String {
        let (count, text) = (try call.int(0), try call.string(1))
        guard count >= 0 else { throw call.error("the count \(count) is negative") }
        try call.spend(bytes: text.utf8.count, times: count)
        return text.isEmpty ? "" : String(repeating: text, count: count)
    }

    /// A negative start means the beginning and an end that is negative or too large the end, as in sprig;
    /// what else is out of bounds panics in Go, and is an error here.
    private static func substring(_ call: SprigCall) throws(ExpressionError) -> String {
        let (givenStart, givenEnd, text) = (try call.int(0), try call.int(1), try call.bytes(2))
        let start = max(givenStart, 0)
        let end = givenStart >= 0 && (givenEnd < 0 || givenEnd > text.count) ? text.count : givenEnd
        guard start <= end, end <= text.count else {
            throw call.error("\(givenStart) to \(givenEnd) is outside the text's \(text.count) bytes")
        }
        return SprigText.string(text[start..<end])
    }

    private static func truncated(_ text: [UInt8], to count: Int) -> String {
        if count >= 0 { return SprigText.string(text.prefix(count)) }
        return SprigText.string(count.magnitude < text.count ? text.suffix(Int(count.magnitude)) : text[...])
    }

    /// The arguments that are not nil as text, one space between them.
    private static func words(
        _ call: inout SprigCall, _ dress: (String) -> String
    ) throws(ExpressionError) -> String {
        var words: [String] = []
        for value in call.arguments where value != .none {
            words.append(dress(try call.display(value)))
        }
        return words.joined(separator: " ")
    }

    private static func replaced(_ call: inout SprigCall) throws(ExpressionError) -> String {
        let (old, new, text) = (try call.bytes(0), try call.bytes(1), try call.bytes(2))
        if old.isEmpty {
            // Go puts the new text before each character and at the end.
            let scalars = try call.string(2).unicodeScalars
            try call.spend(bytes: new.count + 4, times: scalars.count + 1)
            let inserted = try call.string(1)
            return scalars.reduce(into: "") { $0 += inserted + String($1) } + inserted
        }
        let parts = SprigText.split(text, by: old, limit: -1)
        try call.spend(bytes: new.count, times: parts.count)
        return SprigText.string(Array(parts.joined(separator: new)))
    }
}
