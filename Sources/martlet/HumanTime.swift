// Moments and spans of time in words, as Argo prints them.

import Text

enum HumanTime {
    private static let units: [(seconds: Int, short: String, name: String)] = [
        (86_400, "d", "day"), (3_600, "h", "hour"), (60, "m", "minute"), (1, "s", "second"),
    ]
    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `5s`, `2m`, `3h`, `1d`: the largest unit only, rounded down.
    static func short(_ span: Duration) -> String {
        let seconds = max(0, Int(span.components.seconds))
        for unit in units where seconds >= unit.seconds { return "\(seconds / unit.seconds)\(unit.short)" }
        return "0s"
    }

    /// `10 seconds`, `1 minute 5 seconds`, `2 days 3 hours`: the two largest units.
    static func long(_ span: Duration) -> String {
        var rest = max(0, Int(span.components.seconds))
        var parts: [String] = []
        for unit in units {
            let count = rest / unit.seconds
            rest %= unit.seconds
            if count > 0 { parts.append("\(count) \(unit.name)\(count == 1 ? "" : "s")") }
        }
        return parts.isEmpty ? "0 seconds" : parts.prefix(2).joined(separator: " ")
    }

    /// `now`, `5 seconds ago`, `1 hour ago`, `2 weeks from now`.
    static func relative(_ moment: Timestamp, to now: Timestamp) -> String {
        let seconds = now.seconds - moment.seconds
        let span = abs(seconds)
        guard span > 0 else { return "now" }
        let steps: [(limit: Int, unit: Int, name: String)] = [
            (60, 1, "second"), (3_600, 60, "minute"), (86_400, 3_600, "hour"), (604_800, 86_400, "day"),
            (2_592_000, 604_800, "week"), (31_104_000, 2_592_000, "month"), (.max, 31_104_000, "year"),
        ]
        for step in steps where span < step.limit {
            let count = span / step.unit
            return "\(count) \(step.name)\(count == 1 ? "" : "s") \(seconds > 0 ? "ago" : "from now")"
        }
        return "a long while ago"
    }

    /// `Mon Nov 18 10:17:06 -0800 (5 seconds ago)`.
    static func stamp(_ moment: Timestamp, now: Timestamp, zone: TimeZoneRules) -> String {
        let civil = zone.civilTime(at: moment)
        let offset = zone.offset(at: moment).seconds
        let minutes = abs(offset) / 60
        let shift = (offset < 0 ? "-" : "+") + two(minutes / 60) + two(minutes % 60)
        let date = "\(weekdays[civil.weekday]) \(months[civil.month - 1]) \(two(civil.day))"
        let time = "\(two(civil.hour)):\(two(civil.minute)):\(two(civil.second))"
        return "\(date) \(time) \(shift) (\(relative(moment, to: now)))"
    }

    /// Go's text of a whole number of seconds: `6s`, `1m0s`, `2h0m5s`.
    static func goText(seconds: Int) -> String {
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60)
        if hours > 0 { return "\(hours)h\(minutes)m\(seconds % 60)s" }
        return minutes > 0 ? "\(minutes)m\(seconds % 60)s" : "\(seconds)s"
    }

    /// A span as people write it for `--older` and `--since`: `90s`, `2h30m`, `7d`, also a bare number of
    /// seconds. nil for other text.
    static func parse(_ text: String) -> Duration? {
        if let seconds = Int(text) { return seconds >= 0 ? .seconds(seconds) : nil }
        var total = 0
        var digits = ""
        for character in text {
            if character.isASCII, character.isNumber {
                digits.append(character)
                continue
            }
            guard let unit = units.first(where: { $0.short == String(character) }), let count = Int(digits)
            else {
                return nil
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: unit.seconds)
            let (sum, sumOverflow) = total.addingReportingOverflow(product)
            guard !overflow, !sumOverflow else { return nil }
            total = sum
            digits = ""
        }
        return digits.isEmpty && !text.isEmpty ? .seconds(total) : nil
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
