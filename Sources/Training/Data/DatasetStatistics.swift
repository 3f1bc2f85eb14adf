// How many rows and tokens a data set has, and what became of the others.
import Text

/// What a data set consists of.
package struct DatasetStatistics: Sendable, Hashable {
    /// Reasons that are kept.
    package static let reasonLimit = 5

    package var rows = 0
    package var tokens = 0
    package var minLength = 0
    package var maxLength = 0
    /// Rows of the files that could not be used.
    package var skipped = 0
    /// Those of them that are longer than `max_length`.
    package var tooLong = 0
    /// Rows of the files of which something was cut off.
    package var truncated = 0
    /// Why the first rows were skipped, with file and line.
    package var reasons: [String] = []

    package init() {}

    package var meanLength: Double { rows == 0 ? 0 : Double(tokens) / Double(rows) }

    mutating func add(_ length: Int) {
        minLength = rows == 0 ? length : min(minLength, length)
        maxLength = max(maxLength, length)
        rows += 1
        tokens += length
    }

    mutating func skip(_ reason: String, isTooLong: Bool) {
        skipped += 1
        if isTooLong { tooLong += 1 }
        if reasons.count < Self.reasonLimit { reasons.append(reason) }
    }

    mutating func add(_ other: DatasetStatistics) {
        if other.rows > 0 {
            minLength = rows == 0 ? other.minLength : min(minLength, other.minLength)
            maxLength = max(maxLength, other.maxLength)
        }
        rows += other.rows
        tokens += other.tokens
        skipped += other.skipped
        tooLong += other.tooLong
        truncated += other.truncated
        reasons += other.reasons.prefix(Self.reasonLimit - reasons.count)
    }

    func notes(fingerprint: String) -> JSONValue {
        [
            "rows": .int(rows), "tokens": .int(tokens), "min_length": .int(minLength),
            "max_length": .int(maxLength), "skipped": .int(skipped), "too_long": .int(tooLong),
            "truncated": .int(truncated), "reasons": .array(reasons.map { .string($0) }),
            "fingerprint": .string(fingerprint),
        ]
    }

    init(notes: JSONValue) {
        func number(_ key: String) -> Int { notes[key]?.intValue ?? 0 }
        rows = number("rows")
        tokens = number("tokens")
        minLength = number("min_length")
        maxLength = number("max_length")
        skipped = number("skipped")
        tooLong = number("too_long")
        truncated = number("truncated")
        reasons = (notes["reasons"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
}
