// Sprig's functions between strings and lists of strings.

import Text

enum SprigStringLists {
    static let signatures: [String: String] = [
        "join": "separator list", "split": "separator text", "splitn": "separator count text",
        "splitList": "separator text", "sortAlpha": "list", "toStrings": "list",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "join":
            let separator = try call.string(0)
            let words = try strings(&call, of: 1)
            try call.spend(bytes: separator.utf8.count, times: words.count)
            return .string(words.joined(separator: separator))
        case "split": return .object(numbered(try pieces(&call, text: 1, limit: -1)))
        case "splitn": return .object(numbered(try pieces(&call, text: 2, limit: try call.int(1))))
        case "splitList": return .array(try pieces(&call, text: 1, limit: -1))
        case "sortAlpha":
            let words = try strings(&call, of: 0)
            try call.spend(steps: words.count)
            return .array(words.sorted { $0.precedesBytewise($1) }.map { .string($0) })
        case "toStrings": return .array(try strings(&call, of: 0).map { .string($0) })
        default: throw call.error("is not implemented")
        }
    }

    /// A list's elements as text, without those that are nil; another value counts as a list of itself.
    private static func strings(_ call: inout SprigCall, of index: Int) throws(ExpressionError) -> [String] {
        let elements: [ExpressionValue]
        if case .array(let list) = call.arguments[index] {
            elements = list
        } else {
            elements = [call.arguments[index]]
        }
        var words: [String] = []
        for element in elements where element != .none {
            words.append(try call.display(element))
            try call.spend(bytes: words[words.count - 1].utf8.count)
        }
        return words
    }

    /// The text between separators; an empty separator cuts between all characters. A limit of zero gives
    /// nothing, a negative one is none.
    private static func pieces(
        _ call: inout SprigCall, text index: Int, limit: Int
    ) throws(ExpressionError) -> [ExpressionValue] {
        let (separator, text) = (try call.bytes(0), try call.bytes(index))
        if limit == 0 { return [] }
        try call.spend(steps: text.count)
        if !separator.isEmpty {
            return SprigText.split(text, by: separator, limit: limit).map { .string(SprigText.string($0)) }
        }
        let scalars = Array(try call.string(index).unicodeScalars)
        let single = limit < 0 ? scalars.count : min(limit - 1, scalars.count)
        var pieces = scalars.prefix(single).map { ExpressionValue.string(String($0)) }
        if single < scalars.count { pieces.append(.string(SprigText.string(scalars[single...]))) }
        return pieces
    }

    /// Templates cannot index lists, so sprig's `split` gives an object with the keys `_0`, `_1` and so on.
    private static func numbered(_ pieces: [ExpressionValue]) -> [String: ExpressionValue] {
        var members: [String: ExpressionValue] = [:]
        for (index, piece) in pieces.enumerated() { members["_\(index)"] = piece }
        return members
    }
}
