// Sprig's functions that choose between values, copy them, or turn them into JSON and back.

import Text

enum SprigDefaults {
    static let signatures: [String: String] = [
        "default": "default [value]", "empty": "value", "coalesce": "values...", "all": "values...",
        "any": "values...", "ternary": "whenTrue whenFalse condition", "deepCopy": "value",
        "mustDeepCopy": "value", "fromJson": "text", "mustFromJson": "text", "toJson": "value",
        "mustToJson": "value", "toPrettyJson": "value", "mustToPrettyJson": "value", "toRawJson": "value",
        "mustToRawJson": "value",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "default":
            guard let value = call.optional(1), !isEmpty(value) else { return call.arguments[0] }
            return value
        case "empty": return .bool(isEmpty(call.arguments[0]))
        case "coalesce": return call.arguments.first { !isEmpty($0) } ?? .none
        case "all": return .bool(!call.arguments.contains(where: isEmpty))
        case "any": return .bool(!call.arguments.allSatisfy(isEmpty))
        case "ternary": return try call.bool(2) ? call.arguments[0] : call.arguments[1]
        case "deepCopy", "mustDeepCopy": return call.arguments[0]
        case "fromJson", "mustFromJson": return try decoded(&call)
        default: return .string(try encoded(&call))
        }
    }

    /// Go's zero values: nil, false, 0, and what has no length. Times are never empty.
    static func isEmpty(_ value: ExpressionValue) -> Bool {
        switch value {
        case .none: true
        case .bool(let flag): !flag
        case .int(let number): number == 0
        case .double(let number): number == 0
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        case .duration(let span): span == .zero
        case .time: false
        }
    }

    // MARK: - JSON

    /// `fromJson` leaves out the error and answers nil, as in sprig.
    private static func decoded(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(0)
        try call.spend(steps: text.utf8.count)
        do {
            return ExpressionValue(try JSONValue(parsing: text))
        } catch {
            if call.name == "fromJson" { return .none }
            throw call.error("\(error)")
        }
    }

    private static func encoded(_ call: inout SprigCall) throws(ExpressionError) -> String {
        let must = call.name.hasPrefix("must")
        let form = must ? call.name.dropFirst(6) : call.name.dropFirst(2)
        try call.spend(walking: call.arguments[0])
        guard let value = json(call.arguments[0]) else {
            // Without must, sprig drops the error and answers the empty string.
            if !must { return "" }
            throw call.error("JSON has no form for infinity and NaN")
        }
        let text = form == "PrettyJson" ? value.prettyText : value.compactText
        try call.spend(bytes: text.utf8.count)
        return form == "RawJson" ? text : escapingHTML(text)
    }

    /// The value as Go's encoding/json sees it: times in RFC 3339, durations in nanoseconds. Nil if it has a
    /// number that JSON has no form for.
    private static func json(_ value: ExpressionValue) -> JSONValue? {
        switch value {
        case .none: return .null
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .double(let number): return number.isFinite ? .double(number) : nil
        case .string(let text): return .string(text)
        case .array(let elements):
            let converted = elements.compactMap(json)
            return converted.count == elements.count ? .array(converted) : nil
        case .object(let members):
            let converted = members.compactMapValues(json)
            return converted.count == members.count ? .object(converted) : nil
        case .time(let moment, let zone):
            return .string(GoTime.format(moment, layout: "2006-01-02T15:04:05.999999999Z07:00", zone: zone))
        case .duration(let span): return .int(Int(span.wholeNanoseconds))
        }
    }

    /// Go's default is to escape what HTML could mistake for markup; it only occurs inside of strings.
    private static func escapingHTML(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): result += #"\u003c"#.utf8
            case UInt8(ascii: ">"): result += #"\u003e"#.utf8
            case UInt8(ascii: "&"): result += #"\u0026"#.utf8
            default: result.append(byte)
            }
        }
        return SprigText.string(result)
    }
}
