// Schedules in words for people: "every day at 06:00", "at minute 0, 15, 30 and 45 past every hour".

import Text
package import WorkflowLanguage

extension CronTimetable {
    /// All schedules in words, with their zones.
    package var words: String {
        let zones = Set(entries.map(\.zone.name))
        guard zones.count == 1, let zone = zones.first else {
            return entries.map { "\($0.schedule.words) (\($0.zone.name))" }.joined(separator: "; ")
        }
        let needsZone = entries.contains { $0.schedule.every == nil }
        return entries.map(\.schedule.words).joined(separator: "; ") + (needsZone ? " (\(zone))" : "")
    }
}

extension CronSchedule {
    private static let weekdayNames = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]
    private static let monthNames = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]
    /// More clock times than these are told by minutes and hours apart.
    private static let clockTimeLimit = 4

    /// The schedule in words, without its zone.
    package var words: String {
        if let every { return "every " + Self.spanWords(every) }
        let dayWords = dayWords
        if let times = clockTimes { return dayWords + " at " + Self.list(times) }
        let minuteWords = minuteWords
        return dayWords == "every day" ? minuteWords : minuteWords + ", " + plainDayWords
    }

    /// The times of day, if they are few.
    private var clockTimes: [String]? {
        let (hours, minutes) = (Self.numbers(hours), Self.numbers(minutes))
        guard hours.count * minutes.count <= Self.clockTimeLimit, hours.count < 24 else { return nil }
        return hours.flatMap { hour in minutes.map { Self.two(hour) + ":" + Self.two($0) } }
    }

    private var minuteWords: String {
        let minutes = Self.numbers(minutes)
        let hours = Self.numbers(hours)
        let hourWords = hours.count == 24 ? "every hour" : Self.hourWords(hours)
        if minutes.count == 60 {
            return hours.count == 24 ? "every minute" : "every minute of \(hourWords)"
        }
        if minutes.count > 6, let step = Self.step(minutes, in: 60) {
            return "every \(step) minutes" + (hours.count == 24 ? "" : " of \(hourWords)")
        }
        return "at minute \(Self.list(minutes.map(String.init))) past \(hourWords)"
    }

    private static func hourWords(_ hours: [Int]) -> String {
        if let first = hours.first, let last = hours.last, hours.count > 2, last - first == hours.count - 1 {
            return "every hour from \(first) to \(last)"
        }
        if hours.count > 6, let step = step(hours, in: 24) { return "every \(ordinal(step)) hour" }
        return "hour " + list(hours.map(String.init))
    }

    /// Where the day leads the sentence: "every day", "every Monday", "on the 1st of every month".
    private var dayWords: String {
        let words = plainDayWords
        if words.isEmpty { return "every day" }
        let isOneWeekday = !anyWeekday && anyDay && Self.numbers(weekdays).count == 1
        return isOneWeekday && Self.numbers(months).count == 12 ? "every " + words : words
    }

    /// Which days, without "every day"; empty for all.
    private var plainDayWords: String {
        var parts: [String] = []
        let monthNumbers = Self.numbers(months)
        let everyMonth = monthNumbers.count == 12
        let monthWords = Self.ranges(monthNumbers.map { $0 - 1 }, names: Self.monthNames)
        let allDays = anyDay || Self.numbers(days).count == 31
        let allWeekdays = anyWeekday || Self.numbers(weekdays).count == 7
        if !allDays {
            let ordinals = Self.list(Self.numbers(days).map { "the " + Self.ordinal($0) })
            parts.append("on \(ordinals) of \(everyMonth ? "every month" : monthWords)")
        }
        if !allWeekdays {
            parts.append(Self.ranges(Self.numbers(weekdays), names: Self.weekdayNames))
        }
        // Both written: either may match, unless one of them began with `*`.
        var text = parts.joined(separator: anyDay || anyWeekday ? " and only " : " and on ")
        if allDays, !everyMonth { text += (text.isEmpty ? "in " : " in ") + monthWords }
        if allDays, allWeekdays, !everyMonth { text = "every day " + text }
        return text
    }

    private static func spanWords(_ span: Duration) -> String {
        var seconds = Int(span.components.seconds)
        var parts: [String] = []
        for (length, name) in [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")] {
            let count = seconds / length
            seconds %= length
            if count > 0 { parts.append(count == 1 ? "1 \(name)" : "\(count) \(name)s") }
        }
        if parts.count == 1, let only = parts.first, only.hasPrefix("1 ") { return String(only.dropFirst(2)) }
        return list(parts)
    }

    /// "Monday to Friday", "January, March and May".
    private static func ranges(_ numbers: [Int], names: [String]) -> String {
        if let first = numbers.first, let last = numbers.last, numbers.count > 2,
            last - first == numbers.count - 1
        {
            return "\(names[first]) to \(names[last])"
        }
        return list(numbers.map { names[$0] })
    }

    /// The distance between numbers that begin at 0 and go on evenly to the end of their field.
    private static func step(_ numbers: [Int], in size: Int) -> Int? {
        guard numbers.count > 1, numbers[0] == 0, size % numbers[1] == 0 else { return nil }
        return numbers == Array(stride(from: 0, to: size, by: numbers[1])) ? numbers[1] : nil
    }

    private static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " and " + last
    }

    private static func ordinal(_ number: Int) -> String {
        let ending =
            switch (number % 10, number % 100) {
            case (_, 11...13): "th"
            case (1, _): "st"
            case (2, _): "nd"
            case (3, _): "rd"
            default: "th"
            }
        return "\(number)\(ending)"
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    private static func numbers(_ set: UInt64) -> [Int] { (0..<64).filter { has(set, $0) } }
}
