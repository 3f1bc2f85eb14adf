// Texts that are times: Go's durations, and the bare seconds that Argo also takes in some places.

import Text

enum Durations {
    /// A duration in Go's form, such as 1h30m, or a tag. A bare number is refused, as Argo does.
    static func isGo(_ text: String) -> Bool {
        if Tag.isIn(text) { return true }
        return Int(text) == nil && GoDuration.parse(text) != nil
    }

    /// Whole seconds, a duration in Go's form, or a tag.
    static func isSecondsOrGo(_ text: String) -> Bool {
        Tag.isIn(text) || Int(text) != nil || GoDuration.parse(text) != nil
    }

    static let secondsOrGoRemedy = "write seconds, such as 10, or a duration, such as 30s, 5m or 1h30m"
}
