// How Martlet's own API writes moments, spans and absent values.

import Text

extension Timestamp {
    /// RFC 3339 in UTC with milliseconds, always of the same length: `2026-11-21T22:01:02.345Z`.
    var milliText: String {
        let part = nanoseconds % 1_000_000_000 / 1_000_000
        let millis = part < 0 ? part + 1_000 : part
        let digits = String(millis)
        return rfc3339.dropLast() + "." + String(repeating: "0", count: 3 - digits.count) + digits + "Z"
    }

    /// Milliseconds since 1970, as charts want them.
    var milliseconds: Int { Int(nanoseconds / 1_000_000) }
}

extension JSONValue {
    static func moment(_ moment: Timestamp?) -> JSONValue { moment.map { .string($0.milliText) } ?? .null }
    static func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    /// Null for an empty text too.
    static func word(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }
    static func integer(_ number: Int?) -> JSONValue { number.map(JSONValue.int) ?? .null }
    /// Null for what JSON cannot write.
    static func finite(_ number: Double?) -> JSONValue {
        number.flatMap { $0.isFinite ? JSONValue.double($0) : nil } ?? .null
    }
    static func map(_ texts: [String: String]) -> JSONValue { .object(texts.mapValues(JSONValue.string)) }
    static func texts(_ texts: some Sequence<String>) -> JSONValue { .array(texts.map(JSONValue.string)) }

    /// `{"items": [...], "next": ...}`.
    static func page(_ items: [JSONValue], next: String? = nil, _ more: [String: JSONValue] = [:])
        -> JSONValue
    {
        .object(["items": .array(items), "next": .text(next)].merging(more) { $1 })
    }
}
