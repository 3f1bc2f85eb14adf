// When schedules fire: the next and the previous moment in a time zone, over several schedules together.

package import Text
package import WorkflowLanguage

/// The schedules of one cron workflow, each with the zone that it is written for.
///
/// A schedule of fields fires at each moment at which a wall clock of its zone shows a full minute that the fields
/// match. So a local time that clocks skip does not fire that day, and one that clocks show twice fires twice.
/// `@every` fires at the anchor plus each multiple of its interval, so that restarts do not move it.
package struct CronTimetable: Sendable, Hashable {
    /// How far is looked for the next fire. Leap days are at most 8 years apart, so a schedule without a fire in 9
    /// years has none.
    package static let horizonYears = 9

    package struct Entry: Sendable, Hashable {
        package var schedule: CronSchedule
        package var zone: TimeZoneRules

        package init(schedule: CronSchedule, zone: TimeZoneRules) {
            self.schedule = schedule
            self.zone = zone
        }
    }

    package let entries: [Entry]
    /// Where the intervals of `@every` are counted from: the creation of the definition.
    package let anchor: Timestamp

    package init(entries: [Entry], anchor: Timestamp) {
        self.entries = entries
        self.anchor = Timestamp(seconds: anchor.seconds)
    }

    /// - Parameters:
    ///   - schedules: the texts of a manifest.
    ///   - zone: for schedules that name none themselves.
    ///   - zoneNamed: looks up a zone that a schedule names; nil if there is none of that name.
    /// - Throws: `CronScheduleError` for the first text that is no schedule or names an unknown zone.
    package init(
        schedules: [String], zone: TimeZoneRules, anchor: Timestamp,
        zoneNamed: (String) -> TimeZoneRules?
    ) throws(CronScheduleError) {
        var entries: [Entry] = []
        for text in schedules {
            let schedule = try CronSchedule(text)
            var own = zone
            if let name = schedule.timeZone {
                guard let named = zoneNamed(name) else {
                    throw CronScheduleError(unknownZone: name)
                }
                own = named
            }
            entries.append(Entry(schedule: schedule, zone: own))
        }
        self.init(entries: entries, anchor: anchor)
    }

    /// The first fire after a moment; nil if there is none within the horizon.
    package func next(after moment: Timestamp) -> Timestamp? {
        entries.compactMap { $0.next(after: moment, anchor: anchor) }.min()
    }

    /// The last fire at a moment or before it; nil if there is none within the horizon.
    package func previous(atOrBefore moment: Timestamp) -> Timestamp? {
        entries.compactMap { $0.previous(atOrBefore: moment, anchor: anchor) }.max()
    }

    /// The fires after a moment up to another, that one included, oldest first; each moment once, however many
    /// schedules name it.
    /// - Parameter limit: at most so many.
    package func fires(after start: Timestamp, through end: Timestamp, limit: Int) -> [Timestamp] {
        var fires: [Timestamp] = []
        var moment = start
        while fires.count < limit, let next = next(after: moment), next <= end {
            fires.append(next)
            moment = next
        }
        return fires
    }
}

extension CronTimetable.Entry {
    private static var horizonSeconds: Int { CronTimetable.horizonYears * 366 * 86_400 }

    func next(after moment: Timestamp, anchor: Timestamp) -> Timestamp? {
        if let every = schedule.every {
            let seconds = max(1, Int(every.components.seconds))
            let passed = moment.seconds - anchor.seconds
            if passed < 0 { return Timestamp(seconds: anchor.seconds + seconds) }
            return Timestamp(seconds: anchor.seconds + (passed / seconds + 1) * seconds)
        }
        var from = moment.seconds + 1
        let last = moment.seconds + Self.horizonSeconds
        // Within a span in which clocks are not set, local time is a plain shift; there are some two spans a year.
        while from <= last {
            let span = zone.steadySpan(at: Timestamp(seconds: from))
            let end = min(span.end?.seconds ?? last + 1, last + 1)
            let offset = span.offsetSeconds
            if let local = schedule.firstLocal(from: from + offset, before: end + offset) {
                return Timestamp(seconds: local - offset)
            }
            from = end
        }
        return nil
    }

    func previous(atOrBefore moment: Timestamp, anchor: Timestamp) -> Timestamp? {
        if let every = schedule.every {
            let seconds = max(1, Int(every.components.seconds))
            let passed = moment.seconds - anchor.seconds
            return passed < seconds ? nil : Timestamp(seconds: anchor.seconds + passed / seconds * seconds)
        }
        var through = moment.seconds
        let first = moment.seconds - Self.horizonSeconds
        while through >= first {
            let span = zone.steadySpan(at: Timestamp(seconds: through))
            let start = max(span.start?.seconds ?? first, first)
            let offset = span.offsetSeconds
            if let local = schedule.lastLocal(through: through + offset, from: start + offset) {
                return Timestamp(seconds: local - offset)
            }
            through = start - 1
        }
        return nil
    }
}

extension CronSchedule {
    private static let daySeconds = 86_400

    /// The first full minute of a wall clock that matches; local seconds since 1970-01-01T00:00:00.
    fileprivate func firstLocal(from: Int, before end: Int) -> Int? {
        var day = from.floored(by: Self.daySeconds)
        var minute = (from - day * Self.daySeconds + 59) / 60
        while day * Self.daySeconds < end {
            let date = CivilTime(Timestamp(seconds: day * Self.daySeconds))
            if !Self.has(months, date.month) {
                day += CivilTime.daysIn(month: date.month, year: date.year) - date.day + 1
                minute = 0
                continue
            }
            if matches(month: date.month, day: date.day, weekday: date.weekday),
                let found = firstMinute(from: minute)
            {
                let local = day * Self.daySeconds + found * 60
                return local < end ? local : nil
            }
            day += 1
            minute = 0
        }
        return nil
    }

    fileprivate func lastLocal(through: Int, from start: Int) -> Int? {
        var day = through.floored(by: Self.daySeconds)
        var minute = (through - day * Self.daySeconds) / 60
        while (day + 1) * Self.daySeconds > start {
            let date = CivilTime(Timestamp(seconds: day * Self.daySeconds))
            if !Self.has(months, date.month) {
                day -= date.day
                minute = 1_439
                continue
            }
            if matches(month: date.month, day: date.day, weekday: date.weekday),
                let found = lastMinute(through: minute)
            {
                let local = day * Self.daySeconds + found * 60
                return local >= start ? local : nil
            }
            day -= 1
            minute = 1_439
        }
        return nil
    }

    /// Minutes of the day, 0 to 1,439.
    private func firstMinute(from minute: Int) -> Int? {
        guard minute < 1_440 else { return nil }
        let hour = minute / 60
        if Self.has(hours, hour), let found = Self.lowest(minutes, from: minute % 60) {
            return hour * 60 + found
        }
        guard let next = Self.lowest(hours, from: hour + 1), let first = Self.lowest(minutes, from: 0) else {
            return nil
        }
        return next * 60 + first
    }

    private func lastMinute(through minute: Int) -> Int? {
        let hour = minute / 60
        if Self.has(hours, hour), let found = Self.highest(minutes, through: minute % 60) {
            return hour * 60 + found
        }
        guard hour > 0, let last = Self.highest(hours, through: hour - 1),
            let minute = Self.highest(minutes, through: 59)
        else { return nil }
        return last * 60 + minute
    }

    private static func lowest(_ set: UInt64, from number: Int) -> Int? {
        guard number < 64 else { return nil }
        let rest = set >> UInt64(number)
        return rest == 0 ? nil : number + rest.trailingZeroBitCount
    }

    private static func highest(_ set: UInt64, through number: Int) -> Int? {
        let rest = number >= 63 ? set : set & ((1 << UInt64(number + 1)) - 1)
        return rest == 0 ? nil : 63 - rest.leadingZeroBitCount
    }
}

extension Int {
    fileprivate func floored(by divisor: Int) -> Int {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
