// The text of a cron schedule as sets of minutes, hours and days. The syntax is that of robfig/cron's
// ParseStandard, which Argo uses: five fields, names, ranges, steps, `?`, `@daily` and kin, `@every 1h30m`,
// and a time zone in front (`CRON_TZ=Europe/Paris 0 6 * * *`).

import Text

/// Why a schedule cannot be parsed.
package struct CronScheduleError: Error, Sendable, Hashable {
    /// What is wrong, in one sentence.
    package var message: String

    /// - Parameter message: one sentence.
    package init(_ message: String) {
        self.message = message
    }

    /// A name of the IANA's time zones that this machine's files do not have.
    package init(unknownZone name: String) {
        self.init(
            "the time zone \"\(name)\" is not known on this machine; write one such as Europe/Berlin, and see that "
                + "the package tzdata is installed")
    }
}

/// A parsed schedule. In each set, bit n stands for the number n.
package struct CronSchedule: Sendable, Hashable {
    /// 0 to 59.
    package var minutes: UInt64 = 0
    /// 0 to 23.
    package var hours: UInt64 = 0
    /// Days of the month, 1 to 31.
    package var days: UInt64 = 0
    /// 1 to 12.
    package var months: UInt64 = 0
    /// 0, Sunday, to 6.
    package var weekdays: UInt64 = 0
    /// Whether the days were written as `*` or `?`. If neither days nor weekdays were, either may match.
    package var anyDay = false
    /// The same of the weekdays.
    package var anyWeekday = false
    /// The time between runs of `@every`, whole seconds and at least one; the sets are empty then.
    package var every: Duration?
    /// The zone that stands before the fields.
    package var timeZone: String?

    /// - Throws: for text of another form, numbers out of range, and intervals that are not positive. Whether
    ///   the time zone exists is not looked at, nor whether the date ever comes.
    package init(_ text: String) throws(CronScheduleError) {
        var rest = ASCII.trimmed(text)
        for prefix in ["CRON_TZ=", "TZ="] where rest.hasPrefix(prefix) {
            let zone = rest.dropFirst(prefix.count).prefix { !$0.isWhitespace }
            timeZone = String(zone)
            rest = ASCII.trimmed(rest.dropFirst(prefix.count + zone.count))
            if zone.isEmpty { throw CronScheduleError("no time zone follows \(prefix)") }
            break
        }
        if rest.isEmpty { throw CronScheduleError("the schedule is empty") }
        if rest.hasPrefix("@") {
            try parseDescriptor(rest)
        } else {
            try parseFields(rest)
        }
    }

    /// Whether a date is one of the schedule's: its month, and its day by the rule of days and weekdays.
    package func matches(month: Int, day: Int, weekday: Int) -> Bool {
        guard Self.has(months, month) else { return false }
        let dayMatches = Self.has(days, day)
        let weekdayMatches = Self.has(weekdays, weekday)
        return anyDay || anyWeekday ? dayMatches && weekdayMatches : dayMatches || weekdayMatches
    }

    /// Whether a set holds a number.
    package static func has(_ set: UInt64, _ number: Int) -> Bool {
        (0..<64).contains(number) && set & (1 << UInt64(number)) != 0
    }
}

/// One of the five fields: its range and the names of its numbers.
private struct CronField {
    var name: String
    var range: ClosedRange<Int>
    var names: [String]

    static let minute = CronField(name: "minute", range: 0...59, names: [])
    static let hour = CronField(name: "hour", range: 0...23, names: [])
    static let day = CronField(name: "day of month", range: 1...31, names: [])
    static let month = CronField(
        name: "month", range: 1...12,
        names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
    static let weekday = CronField(
        name: "day of week", range: 0...6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])

    /// The set that a field's text means, and whether it is all of them, written as such.
    func parse(_ text: Substring) throws(CronScheduleError) -> (set: UInt64, isAny: Bool) {
        var set: UInt64 = 0
        var isAny = false
        for part in text.split(separator: ",") {
            let (numbers, any) = try parseRange(part)
            set |= numbers
            isAny = isAny || any
        }
        if set == 0 { throw CronScheduleError("the \(name) is empty") }
        return (set, isAny)
    }

    private func parseRange(_ text: Substring) throws(CronScheduleError) -> (set: UInt64, isAny: Bool) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let ends = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false)
        if parts.count > 2 { throw CronScheduleError("too many slashes in \(name) '\(text)'") }
        if ends.count > 2 { throw CronScheduleError("too many hyphens in \(name) '\(text)'") }
        let isStar = ends.first == "*" || ends.first == "?"
        var low = range.lowerBound
        var high = range.upperBound
        if !isStar {
            low = try number(ends.first ?? "")
            high = ends.count == 2 ? try number(ends[1]) : low
        }
        var step = 1
        if parts.count == 2 {
            guard let written = Int(parts[1]), written > 0 else {
                throw CronScheduleError("step '\(parts[1])' of the \(name) is not a positive number")
            }
            step = written
            // A single number with a step counts from there to the end.
            if ends.count == 1 { high = range.upperBound }
        }
        if low > high { throw CronScheduleError("the \(name) '\(text)' begins after its end") }
        var set: UInt64 = 0
        for number in stride(from: low, through: high, by: step) { set |= 1 << UInt64(number) }
        return (set, isStar && step == 1)
    }

    private func number(_ text: Substring) throws(CronScheduleError) -> Int {
        if let index = names.firstIndex(of: text.lowercased()) { return index + range.lowerBound }
        guard let number = Int(text), !text.hasPrefix("+") else {
            throw CronScheduleError("'\(text)' is not a \(name)")
        }
        guard range.contains(number) else {
            throw CronScheduleError(
                "\(name) \(number) is not between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }
}

extension CronSchedule {
    private mutating func parseFields(_ text: String) throws(CronScheduleError) {
        let fields = text.split(whereSeparator: \.isWhitespace)
        guard fields.count == 5 else {
            throw CronScheduleError(
                "expected exactly 5 fields (minute, hour, day of month, month, day of week),"
                    + " found \(fields.count)"
            )
        }
        minutes = try CronField.minute.parse(fields[0]).set
        hours = try CronField.hour.parse(fields[1]).set
        (days, anyDay) = try CronField.day.parse(fields[2])
        months = try CronField.month.parse(fields[3]).set
        (weekdays, anyWeekday) = try CronField.weekday.parse(fields[4])
    }

    private mutating func parseDescriptor(_ text: String) throws(CronScheduleError) {
        let everyPrefix = "@every "
        if text.hasPrefix(everyPrefix) {
            let written = ASCII.trimmed(text.dropFirst(everyPrefix.count))
            guard let duration = GoDuration.parse(written), duration > .zero else {
                throw CronScheduleError("'\(written)' is not a duration such as 90s or 1h30m")
            }
            every = .seconds(max(1, duration.components.seconds))
            return
        }
        switch text {
        case "@yearly", "@annually": try parseFields("0 0 1 1 *")
        case "@monthly": try parseFields("0 0 1 * *")
        case "@weekly": try parseFields("0 0 * * 0")
        case "@daily", "@midnight": try parseFields("0 0 * * *")
        case "@hourly": try parseFields("0 * * * *")
        default:
            throw CronScheduleError(
                "unknown word '\(text)': there are @yearly, @annually, @monthly, @weekly, @daily, @midnight,"
                    + " @hourly and @every DURATION")
        }
    }
}
