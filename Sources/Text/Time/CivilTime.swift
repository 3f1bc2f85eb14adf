// Calendar arithmetic in the proleptic Gregorian calendar, by formulas only: no clock, no locale, no tables.

/// A date and a time of day as a wall shows them, without saying where the wall is.
package struct CivilTime: Sendable, Hashable {
    package var year: Int
    /// 1 to 12.
    package var month: Int
    /// 1 to 31.
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int
    package var nanosecond: Int

    /// Takes the parts as they are; `normalized` brings parts that are out of range into it.
    package init(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, nanosecond: Int = 0
    ) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.nanosecond = nanosecond
    }

    /// What a wall shows at a moment where clocks are ahead of UTC by so many seconds.
    package init(_ moment: Timestamp, offsetSeconds: Int = 0) {
        let nanosecond = Int(moment.nanoseconds) &- moment.wholeSecondNanoseconds
        self.init(localSeconds: moment.seconds + offsetSeconds, nanosecond: nanosecond)
    }

    /// - Parameter localSeconds: seconds since 1970-01-01T00:00:00 of the same wall.
    init(localSeconds: Int, nanosecond: Int = 0) {
        let days = localSeconds.flooredDividing(by: 86_400)
        let secondOfDay = localSeconds - days * 86_400
        (year, month, day) = Self.date(ofDay: days)
        hour = secondOfDay / 3_600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60
        self.nanosecond = nanosecond
    }

    /// Seconds since 1970-01-01T00:00:00 of the same wall. Parts out of range carry over, as in Go's
    /// `time.Date`; parts so large that no timestamp could hold the result are cut off first.
    package var localSeconds: Int {
        func bounded(_ part: Int) -> Int { min(max(part, -1 << 40), 1 << 40) }
        let months = bounded(month) - 1
        let wholeYear = min(max(bounded(year) + months.flooredDividing(by: 12), -1 << 33), 1 << 33)
        let firstOfMonth = Self.day(year: wholeYear, month: months.flooredRemainder(by: 12) + 1, day: 1)
        return (firstOfMonth + bounded(day) - 1) * 86_400 + bounded(hour) * 3_600 + bounded(minute) * 60
            + bounded(second)
    }

    /// The moment at which a wall ahead of UTC by so many seconds shows this; nil outside 1678 to 2262.
    package func timestamp(offsetSeconds: Int = 0) -> Timestamp? {
        let (product, overflowed) = (localSeconds - offsetSeconds)
            .multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, alsoOverflowed) = product.addingReportingOverflow(nanosecond)
        return overflowed || alsoOverflowed ? nil : Timestamp(nanoseconds: Int64(sum))
    }

    /// The same time with every part in its range: the 32nd of January becomes the 1st of February.
    package var normalized: CivilTime {
        let carried = nanosecond.flooredDividing(by: 1_000_000_000)
        return CivilTime(
            localSeconds: localSeconds + carried, nanosecond: nanosecond - carried * 1_000_000_000)
    }

    /// 0 is Sunday.
    package var weekday: Int { (dayNumber + 4).flooredRemainder(by: 7) }

    /// 1 is the first of January.
    package var yearday: Int { dayNumber - Self.day(year: year, month: 1, day: 1) + 1 }

    /// Days since 1970-01-01.
    package var dayNumber: Int { Self.day(year: year, month: month, day: day) }

    /// The week as ISO 8601 counts it: weeks begin on Monday and belong to the year of their Thursday.
    package var isoWeek: (year: Int, week: Int) {
        let thursday = dayNumber - (weekday + 6) % 7 + 3
        let year = Self.date(ofDay: thursday).year
        return (year, (thursday - Self.day(year: year, month: 1, day: 1)) / 7 + 1)
    }

    package static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    /// - Precondition: the month is 1 to 12.
    package static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

extension CivilTime {
    /// Days since 1970-01-01. Years are counted from March, so that the leap day is the last of its year;
    /// then the days before a month are a straight line (Howard Hinnant, "chrono-compatible low-level date
    /// algorithms").
    static func day(year: Int, month: Int, day: Int) -> Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = marchYear.flooredDividing(by: 400)
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The inverse of `day(year:month:day:)`; same source.
    static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = shifted.flooredDividing(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}

extension Timestamp {
    /// The last whole second, in nanoseconds; may wrap in the very first second that can be told.
    fileprivate var wholeSecondNanoseconds: Int { seconds &* 1_000_000_000 }
}

extension Int {
    /// The quotient rounded down, also of negative numbers.
    func flooredDividing(by divisor: Int) -> Int {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The remainder between 0 and the divisor, also of negative numbers.
    func flooredRemainder(by divisor: Int) -> Int { self - flooredDividing(by: divisor) * divisor }
}
