// What becomes of an expression's value outside the language: JSON and text.

package import Text

extension ExpressionValue {
    /// The value as Go's `encoding/json` would write it: times in RFC 3339, durations as nanoseconds.
    package var json: JSONValue {
        switch self {
        case .none: .null
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .double(let number): .double(number)
        case .string(let text): .string(text)
        case .array(let elements): .array(elements.map(\.json))
        case .object(let members): .object(members.mapValues(\.json))
        case .time(let moment, let zone):
            .string(GoTime.format(moment, layout: "2006-01-02T15:04:05.999999999Z07:00", zone: zone))
        case .duration(let span): .int(Int(span.wholeNanoseconds))
        }
    }

    /// The value as Argo puts it in place of an expression: strings as they are, others as compact JSON.
    package var text: String {
        if case .string(let text) = self { return text }
        return json.compactText
    }

    /// The value's kind as messages and `type()` name it.
    var kindName: String {
        switch self {
        case .none: "nil"
        case .bool: "bool"
        case .int: "int"
        case .double: "float"
        case .string: "string"
        case .array: "array"
        case .object: "map"
        case .time: "time.Time"
        case .duration: "time.Duration"
        }
    }

    var doubleValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }
}
