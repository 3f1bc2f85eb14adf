// Functions of expressions that turn values into text and back: JSON, base64, and JSON paths.

import Text

enum FormatFunctions {
    static let all: [Builtin] = [
        Builtin("type", 1...1, type), Builtin("string", 1...1, string), Builtin("toJSON", 1...1, toJSON),
        Builtin("toJson", 1...1, toCompactJSON), Builtin("fromJSON", 1...1, fromJSON),
        Builtin("toBase64", 1...1, toBase64), Builtin("fromBase64", 1...1, fromBase64),
        Builtin("jsonpath", 2...2, jsonpath),
    ]

    private static func type(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .string(call[0].kindName)
    }

    private static func string(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        if case .string = call[0] { return call[0] }
        try context.spend(walking: call[0])
        return .string(SprigText.display(call[0]))
    }

    /// With two spaces of indentation a level.
    private static func toJSON(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let before = context.workLeft
        try context.spend(walking: call[0])
        // Indentation may be longer than what it indents.
        try context.spend(bytes: 2 * (before - context.workLeft), times: call[0].depth)
        return .string(call[0].json.prettyText)
    }

    private static func toCompactJSON(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        try context.spend(walking: call[0])
        return .string(call[0].json.compactText)
    }

    /// Integers stay integers, where Go would make floats of all numbers: 1000000 is not shown as 1e+06.
    private static func fromJSON(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        ExpressionValue(try parsed(call, &context))
    }

    private static func parsed(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> JSONValue {
        let text = try call.string(0)
        // A value of one byte is much larger in memory.
        try context.spend(steps: text.utf8.count)
        do {
            return try JSONValue(parsing: text)
        } catch {
            throw call.error(error.description)
        }
    }

    private static func jsonpath(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let value = try parsed(call, &context)
        let source = try call.string(1)
        try context.spend(bytes: try call.string(0).utf8.count, times: source.utf8.count)
        do {
            return ExpressionValue(try JSONPath(source).query(value))
        } catch {
            throw call.error(error.description)
        }
    }

    private static func toBase64(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .string(SprigEncodings.base64(try call.bytes(0, &context)))
    }

    private static func fromBase64(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(0)
        try context.spend(bytes: text.utf8.count)
        guard let bytes = Base64.decode(text) else { throw call.error("the text is not base64") }
        return .string(SprigText.string(bytes))
    }
}

extension ExpressionValue {
    /// How many lists and objects are around the innermost value.
    fileprivate var depth: Int {
        switch self {
        case .array(let elements): elements.reduce(0) { max($0, $1.depth) } + 1
        case .object(let members): members.values.reduce(0) { max($0, $1.depth) } + 1
        default: 0
        }
    }
}
