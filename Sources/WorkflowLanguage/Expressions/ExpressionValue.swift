// What an expression computes with: JSON's values plus times and durations, as expr-lang has them in Go.

package import Text

/// A value inside an expression.
package enum ExpressionValue: Sendable, Hashable {
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([ExpressionValue])
    case object([String: ExpressionValue])
    /// A moment and the zone it is shown in.
    case time(Timestamp, TimeZoneRules)
    case duration(Duration)

    /// The value with JSON's kinds only.
    package init(_ json: JSONValue) {
        switch json {
        case .null: self = .none
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .double(let number): self = .double(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map(ExpressionValue.init))
        case .object(let members): self = .object(members.mapValues(ExpressionValue.init))
        }
    }
}

/// What surrounds an evaluation: the run's moment, its seed, and how much work may be done.
package struct ExpressionContext: Sendable {
    /// What `now()` answers; comes from the run's clock.
    package var now: Timestamp
    /// State of the generator behind sprig's random functions; the same seed gives the same text.
    package var seed: UInt64
    /// Zones by IANA name; absent names are an error in the expression.
    package var zones: [String: TimeZoneRules]
    /// Steps that the evaluation may still take (nodes visited, elements produced, bytes built, divided by 16).
    package var workLeft: Int

    package init(
        now: Timestamp, seed: UInt64, zones: [String: TimeZoneRules] = [:], workLeft: Int = 10_000_000
    ) {
        self.now = now
        self.seed = seed
        self.zones = zones
        self.workLeft = workLeft
    }
}

/// Why an expression could not be parsed or evaluated.
package struct ExpressionError: Error, Sendable, Equatable {
    /// What is wrong, in one sentence.
    package var message: String
    /// UTF-8 offset in the source, where known.
    package var offset: Int?

    package init(_ message: String, offset: Int? = nil) {
        self.message = message
        self.offset = offset
    }
}
