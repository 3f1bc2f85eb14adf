// Functions of expressions that work on text; they count bytes, as Go's do.

import Text

enum TextFunctions {
    static let all: [Builtin] = [
        Builtin("trim", 1...2, trim), Builtin("trimPrefix", 1...2, trimPrefix),
        Builtin("trimSuffix", 1...2, trimSuffix), Builtin("upper", 1...1, upper),
        Builtin("lower", 1...1, lower),
        Builtin("split", 2...3, split), Builtin("splitAfter", 2...3, splitAfter),
        Builtin("replace", 3...4, replace), Builtin("repeat", 2...2, repeated), Builtin("join", 1...2, join),
        Builtin("indexOf", 2...2, indexOf), Builtin("lastIndexOf", 2...2, lastIndexOf),
        Builtin("hasPrefix", 2...2, hasPrefix), Builtin("hasSuffix", 2...2, hasSuffix),
    ]

    private static func trim(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(0)
        try context.spend(bytes: text.utf8.count)
        guard call.count > 1 else { return .string(SprigText.trim(text, SprigText.isSpace)) }
        let characters = try call.string(1)
        try context.spend(steps: characters.utf8.count)
        return .string(SprigText.trim(text, Set(characters.unicodeScalars).contains))
    }

    private static func trimPrefix(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.bytes(0, &context)
        let prefix = call.count > 1 ? try call.bytes(1, &context) : Array(" ".utf8)
        return .string(SprigText.string(text.starts(with: prefix) ? text.dropFirst(prefix.count) : text[...]))
    }

    private static func trimSuffix(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.bytes(0, &context)
        let suffix = call.count > 1 ? try call.bytes(1, &context) : Array(" ".utf8)
        return .string(SprigText.string(text.hasSuffix(suffix) ? text.dropLast(suffix.count) : text[...]))
    }

    private static func upper(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        try context.spend(bytes: try call.string(0).utf8.count)
        return .string(SprigText.map(try call.string(0), SprigText.upper))
    }

    private static func lower(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        try context.spend(bytes: try call.string(0).utf8.count)
        return .string(SprigText.map(try call.string(0), SprigText.lower))
    }

    private static func hasPrefix(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .bool(try call.bytes(0, &context).starts(with: try call.bytes(1, &context)))
    }

    private static func hasSuffix(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .bool(try call.bytes(0, &context).hasSuffix(try call.bytes(1, &context)))
    }

    private static func indexOf(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.bytes(0, &context)
        return .int(SprigText.index(of: try call.bytes(1, &context), in: text) ?? -1)
    }

    private static func lastIndexOf(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.bytes(0, &context)
        let part = try call.bytes(1, &context)
        // The last occurrence is the first one when both are read backwards.
        guard let found = SprigText.index(of: part.reversed(), in: text.reversed()) else { return .int(-1) }
        return .int(text.count - found - part.count)
    }

    private static func repeated(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(0)
        let times = try call.int(1)
        guard times >= 0 else { throw call.error("cannot repeat \(times) times") }
        try context.spend(bytes: text.utf8.count, times: times)
        if text.isEmpty { return .string("") }
        // Copying what is there already doubles the text each time.
        let wanted = text.utf8.count * times
        var bytes = Array(text.utf8.prefix(wanted))
        bytes.reserveCapacity(wanted)
        while !bytes.isEmpty, bytes.count < wanted { bytes += bytes.prefix(wanted - bytes.count) }
        return .string(SprigText.string(bytes))
    }

    private static func join(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let elements = try call.list(0)
        let glue = call.count > 1 ? try call.string(1) : ""
        var pieces: [String] = []
        pieces.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element else {
                throw call.error(
                    "element \(index) is \(element.kindName), not a string; convert with map(list, string(#))"
                )
            }
            try context.spend(bytes: text.utf8.count + glue.utf8.count)
            pieces.append(text)
        }
        return .string(pieces.joined(separator: glue))
    }
}

// MARK: - Cutting

extension TextFunctions {
    private static func split(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        try pieces(call, keepingSeparators: false, &context)
    }

    private static func splitAfter(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        try pieces(call, keepingSeparators: true, &context)
    }

    /// As Go's `SplitN`: no separator cuts into characters, the limit 0 gives nothing, a negative one all.
    private static func pieces(
        _ call: BuiltinCall, keepingSeparators: Bool, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.bytes(0, &context)
        let separator = try call.bytes(1, &context)
        let limit = call.count > 2 ? try call.int(2) : -1
        if limit == 0 { return .array([]) }
        if separator.isEmpty { return try characters(of: call.string(0), limit: limit, &context) }
        var pieces = SprigText.split(text, by: separator, limit: limit)
        try context.spend(steps: pieces.count)
        if keepingSeparators {
            for index in pieces.indices.dropLast() {
                pieces[index] = text[pieces[index].startIndex..<(pieces[index].endIndex + separator.count)]
            }
        }
        return .array(pieces.map { .string(SprigText.string($0)) })
    }

    private static func characters(
        of text: String, limit: Int, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let scalars = Array(text.unicodeScalars)
        let count = limit < 0 ? scalars.count : min(limit, scalars.count)
        try context.spend(steps: count)
        guard count > 0 else { return .array([]) }
        var pieces = scalars[..<(count - 1)].map { ExpressionValue.string(String($0)) }
        pieces.append(.string(SprigText.string(scalars[(count - 1)...])))
        return .array(pieces)
    }

    private static func replace(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.bytes(0, &context)
        let old = try call.bytes(1, &context)
        let new = try call.bytes(2, &context)
        let limit = call.count > 3 ? try call.int(3) : -1
        if limit == 0 { return .string(try call.string(0)) }
        guard !old.isEmpty else { return try insert(new, between: call.string(0), limit: limit, &context) }
        let pieces = SprigText.split(text, by: old, limit: limit < 0 || limit == .max ? -1 : limit + 1)
        try context.spend(steps: pieces.count)
        try context.spend(bytes: new.count, times: pieces.count)
        return .string(SprigText.string(Array(pieces.joined(separator: new))))
    }

    /// What replacing nothing means in Go: the text is put before each character and at the end.
    private static func insert(
        _ new: [UInt8], between text: String, limit: Int, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let scalars = Array(text.unicodeScalars)
        let count = limit < 0 ? scalars.count + 1 : min(limit, scalars.count + 1)
        try context.spend(bytes: new.count + 4, times: count)
        var result: [UInt8] = []
        for (index, scalar) in scalars.enumerated() {
            if index < count { result += new }
            result += Array(String(scalar).utf8)
        }
        if count > scalars.count { result += new }
        return .string(SprigText.string(result))
    }
}
