// Sprig's conversions and its questions about a value's type. Conversions to numbers are those of
// github.com/spf13/cast: what cannot be read is zero.

import Text

enum SprigConversions {
    static let signatures: [String: String] = [
        "atoi": "text", "int": "value", "int64": "value", "float64": "value", "toString": "value",
        "toDecimal": "value", "typeOf": "value", "typeIs": "type value", "typeIsLike": "type value",
        "kindOf": "value", "kindIs": "kind value", "deepEqual": "left right",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "atoi": return .int(atoi(try call.string(0)))
        case "int", "int64": return .int(try call.castToInt(call.arguments[0]))
        case "float64": return .double(castToDouble(call.arguments[0]))
        case "toString": return .string(try call.display(call.arguments[0]))
        case "toDecimal":
            return .int(parseInt(try call.display(call.arguments[0]), radix: 8, clamping: false) ?? 0)
        case "typeOf": return .string(type(of: call.arguments[0]))
        // Values here are never pointers, the one thing in which sprig's typeIsLike is laxer.
        case "typeIs", "typeIsLike": return .bool(try call.string(0) == type(of: call.arguments[1]))
        case "kindOf": return .string(kind(of: call.arguments[0]))
        case "kindIs": return .bool(try call.string(0) == kind(of: call.arguments[1]))
        case "deepEqual":
            try call.spend(walking: call.arguments[0])
            try call.spend(walking: call.arguments[1])
            return .bool(call.arguments[0] == call.arguments[1])
        default: throw call.error("is not implemented")
        }
    }

    private static func type(of value: ExpressionValue) -> String {
        switch value {
        case .none: "<nil>"
        case .bool: "bool"
        case .int: "int"
        case .double: "float64"
        case .string: "string"
        case .array: "[]interface {}"
        case .object: "map[string]interface {}"
        case .time: "time.Time"
        case .duration: "time.Duration"
        }
    }

    private static func kind(of value: ExpressionValue) -> String {
        switch value {
        case .none: "invalid"
        case .array: "slice"
        case .object: "map"
        case .time: "struct"
        case .duration: "int64"
        default: type(of: value)
        }
    }

    /// A decimal number, zero if the text is none; what is too large is cut to the largest, as by Go's Atoi.
    private static func atoi(_ text: String) -> Int { parseInt(text, radix: 10, clamping: true) ?? 0 }

    /// Digits of a base with an optional sign; nil for other text, and for numbers that do not fit unless
    /// they are to be clamped.
    private static func parseInt(_ text: some StringProtocol, radix: Int, clamping: Bool) -> Int? {
        if let number = Int(text, radix: radix) { return number }
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
        guard clamping, !digits.isEmpty, text.utf8.count - digits.count <= 1,
            digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 })
        else { return nil }
        return text.utf8.first == UInt8(ascii: "-") ? .min : .max
    }

    /// An integer as Go source writes it: 12, 0x1f, 0b101, 0o17, 017, 1_000; a fraction of zeros is dropped.
    fileprivate static func castToInt(_ text: String) -> Int {
        var body = withoutZeroFraction(text)[...]
        let negative = body.hasPrefix("-")
        if negative || body.hasPrefix("+") { body = body.dropFirst() }
        guard let first = body.first, first.isNumber else { return 0 }
        var radix = 10
        if first == "0", body.count > 1 {
            let prefixes: [Substring: Int] = ["0x": 16, "0b": 2, "0o": 8]
            let prefix = body.prefix(2)
            radix = prefixes[Substring(prefix.lowercased())] ?? 8
            body = body.dropFirst(prefixes[Substring(prefix.lowercased())] == nil ? 1 : 2)
            if body.first == "_" { body = body.dropFirst() }
        }
        guard let last = body.last, body.first != "_", last != "_", !body.contains("__"),
            body.first != "-", body.first != "+"
        else { return 0 }
        return Int((negative ? "-" : "") + body.filter { $0 != "_" }, radix: radix) ?? 0
    }

    private static func withoutZeroFraction(_ text: String) -> Substring {
        let whole = text.reversed().drop { $0 == "0" }
        guard whole.first == ".", whole.count < text.count else { return text[...] }
        return text.prefix(whole.count - 1)
    }

    /// The number in a value, zero if there is none.
    static func castToDouble(_ value: ExpressionValue) -> Double {
        switch value {
        case .double(let number): return number
        case .int(let number): return Double(number)
        case .bool(let flag): return flag ? 1 : 0
        case .string(let text):
            guard let number = Double(text) else { return 0 }
            // Go's parser calls a number that is too large an error, and cast makes that zero.
            if number.isInfinite, text.utf8.contains(where: { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) {
                return 0
            }
            return number
        default: return 0
        }
    }
}

extension SprigCall {
    /// The whole number in a value, zero if there is none.
    ///
    /// - Throws: for floats that no integer holds; what Go makes of those depends on the processor.
    func castToInt(_ value: ExpressionValue) throws(ExpressionError) -> Int {
        switch value {
        case .int(let number): return number
        case .bool(let flag): return flag ? 1 : 0
        case .string(let text): return SprigConversions.castToInt(text)
        case .double(let number):
            guard let whole = Int(exactly: number.rounded(.towardZero)) else {
                throw error("the float \(GoFormat.double(number)) does not fit an integer")
            }
            return whole
        default: return 0
        }
    }
}
