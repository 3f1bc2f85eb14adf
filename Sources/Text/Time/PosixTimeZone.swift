// The rule at the end of a time zone file, such as CET-1CEST,M3.5.0,M10.5.0/3: what goes for all later years.

struct PosixTimeZone: Sendable, Hashable {
    var standard: LocalTimeKind
    var daylight: Daylight?

    struct Daylight: Sendable, Hashable {
        var kind: LocalTimeKind
        var start: YearlyMoment
        var end: YearlyMoment
    }

    /// A moment of each year, in the local time that is in force just before it.
    struct YearlyMoment: Sendable, Hashable {
        enum Day: Sendable, Hashable {
            /// 1 to 365; the leap day is never counted.
            case julian(Int)
            /// 0 to 365; the leap day is counted.
            case ordinal(Int)
            /// Week 5 is the last of the month; weekday 0 is Sunday.
            case weekday(month: Int, week: Int, weekday: Int)
        }
        var day: Day
        var secondOfDay: Int

        /// Seconds of the local clock since 1970-01-01T00:00:00.
        func localSeconds(year: Int) -> Int { dayNumber(year: year) * 86_400 + secondOfDay }

        private func dayNumber(year: Int) -> Int {
            let newYear = CivilTime.day(year: year, month: 1, day: 1)
            switch day {
            case .julian(let day): return newYear + day - 1 + (day >= 60 && CivilTime.isLeap(year) ? 1 : 0)
            case .ordinal(let day): return newYear + day
            case .weekday(let month, let week, let weekday):
                let first = CivilTime(year: year, month: month, day: 1)
                var day = 1 + (weekday - first.weekday).flooredRemainder(by: 7) + (week - 1) * 7
                while day > CivilTime.daysIn(month: month, year: year) { day -= 7 }
                return first.dayNumber + day - 1
            }
        }
    }

    func kind(at seconds: Int) -> LocalTimeKind {
        guard let daylight else { return standard }
        let year = CivilTime(localSeconds: seconds + standard.offsetSeconds).year
        let start = daylight.start.localSeconds(year: year) - standard.offsetSeconds
        let end = daylight.end.localSeconds(year: year) - daylight.kind.offsetSeconds
        // On the southern half of the earth daylight saving spans New Year.
        let isDaylight = start < end ? (start..<end).contains(seconds) : !(end..<start).contains(seconds)
        return isDaylight ? daylight.kind : standard
    }

    /// The setting of clocks before a moment, or at it, and the one after it; nil without daylight saving.
    func span(at seconds: Int) -> (start: Int, end: Int)? {
        guard let daylight else { return nil }
        let year = CivilTime(localSeconds: seconds + standard.offsetSeconds).year
        let changes = (year - 2...year + 2).flatMap { year in
            [
                daylight.start.localSeconds(year: year) - standard.offsetSeconds,
                daylight.end.localSeconds(year: year) - daylight.kind.offsetSeconds,
            ]
        }
        guard let start = changes.filter({ $0 <= seconds }).max(),
            let end = changes.filter({ $0 > seconds }).min()
        else { return nil }
        return (start, end)
    }
}

extension PosixTimeZone {
    /// Reads a TZ string of POSIX with the extensions of RFC 8536 (hours up to 167, names in angle brackets).
    init?(_ text: String) {
        var reader = Reader(rest: Array(text.utf8)[...])
        guard let name = reader.name(), let west = reader.time(maximumHours: 24) else { return nil }
        standard = LocalTimeKind(offsetSeconds: -west, isDaylight: false, abbreviation: name)
        guard !reader.rest.isEmpty else { return }
        guard let daylightName = reader.name() else { return nil }
        var offset = standard.offsetSeconds + 3_600
        if reader.rest.first != UInt8(ascii: ",") {
            guard let west = reader.time(maximumHours: 24) else { return nil }
            offset = -west
        }
        guard reader.take(","), let start = reader.moment(), reader.take(","), let end = reader.moment(),
            reader.rest.isEmpty
        else { return nil }
        let kind = LocalTimeKind(offsetSeconds: offset, isDaylight: true, abbreviation: daylightName)
        daylight = Daylight(kind: kind, start: start, end: end)
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: character) else { return false }
            rest.removeFirst()
            return true
        }

        mutating func name() -> String? {
            let isQuoted = take("<")
            let letters = rest.prefix { byte in
                if isQuoted { return byte != UInt8(ascii: ">") }
                return byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A
            }
            rest = rest[letters.endIndex...]
            if isQuoted, !take(">") { return nil }
            return letters.count >= 3 ? String(decoding: letters, as: UTF8.self) : nil
        }

        mutating func number(maximum: Int) -> Int? {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            guard !digits.isEmpty, digits.count <= 4 else { return nil }
            rest = rest[digits.endIndex...]
            let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            return value <= maximum ? value : nil
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func time(maximumHours: Int) -> Int? {
            let isNegative = take("-")
            if !isNegative { _ = take("+") }
            guard let hours = number(maximum: maximumHours) else { return nil }
            var seconds = hours * 3_600
            for unit in [60, 1] where take(":") {
                guard let part = number(maximum: 59) else { return nil }
                seconds += part * unit
            }
            return isNegative ? -seconds : seconds
        }

        mutating func moment() -> YearlyMoment? {
            guard let day = day() else { return nil }
            guard take("/") else { return YearlyMoment(day: day, secondOfDay: 2 * 3_600) }
            guard let time = time(maximumHours: 167) else { return nil }
            return YearlyMoment(day: day, secondOfDay: time)
        }

        private mutating func day() -> YearlyMoment.Day? {
            if take("J") {
                guard let day = number(maximum: 365), day >= 1 else { return nil }
                return .julian(day)
            }
            guard take("M") else { return number(maximum: 365).map { .ordinal($0) } }
            guard let month = number(maximum: 12), month >= 1, take("."),
                let week = number(maximum: 5), week >= 1, take("."), let weekday = number(maximum: 6)
            else { return nil }
            return .weekday(month: month, week: week, weekday: weekday)
        }
    }
}
