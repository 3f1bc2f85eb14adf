// When schedules fire: cases of daylight saving told one by one, and chance against a walk over every minute.

import Glibc
import TestSupport
import Testing
import Text
import WorkflowLanguage

@testable import Scheduling

/// Zones made here, so that the tests need no files of the machine.
enum CronZones {
    /// The rule stands alone in a file of the second version.
    static func zone(_ name: String, _ rule: String) -> TimeZoneRules {
        var bytes: [UInt8] = []
        func header(_ counts: [UInt8]) {
            bytes += Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
            for count in counts { bytes += [0, 0, 0, count] }
        }
        for _ in 0..<2 {
            header([0, 0, 0, 0, 1, 4])
            bytes += [0, 0, 0, 0, 0, 0] + Array("LMT\0".utf8)
        }
        bytes += Array("\n\(rule)\n".utf8)
        return TimeZoneRules(name: name, tzif: bytes) ?? .utc
    }

    static let paris = zone("Europe/Paris", "CET-1CEST,M3.5.0,M10.5.0/3")
    static let newYork = zone("America/New_York", "EST5EDT,M3.2.0,M11.1.0")
    static let lordHowe = zone("Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
    static let kathmandu = zone("Asia/Kathmandu", "<+0545>-5:45")
    static let saoPaulo = zone("America/Sao_Paulo", "<-03>3<-02>,M11.1.0/0,M2.3.0/0")
    static let all: [TimeZoneRules] = [.utc, paris, newYork, lordHowe, kathmandu, saoPaulo]
}

@Suite("Cron timetables")
struct CronTimetableTests {
    private static func timetable(
        _ schedules: [String], _ zone: TimeZoneRules = .utc, anchor: Timestamp = Timestamp(seconds: 0)
    ) throws -> CronTimetable {
        try CronTimetable(schedules: schedules, zone: zone, anchor: anchor, zoneNamed: { name in
            CronZones.all.first { $0.name == name }
        })
    }

    private static func moment(_ text: String) throws -> Timestamp { try #require(Timestamp(rfc3339: text)) }

    @Test(
        "The next moments are those of the calendar",
        arguments: [
            (["0 6 * * *"], "2026-03-01T06:00:00Z", ["2026-03-02T06:00:00Z", "2026-03-03T06:00:00Z"]),
            (["*/15 * * * *"], "2026-03-01T06:00:01Z", ["2026-03-01T06:15:00Z", "2026-03-01T06:30:00Z"]),
            // Leap days, also where a century skips one.
            (["0 0 29 2 *"], "2026-01-01T00:00:00Z", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            (["0 0 29 2 *"], "2096-03-01T00:00:00Z", ["2104-02-29T00:00:00Z"]),
            (["0 0 31 4 *"], "2026-01-01T00:00:00Z", []),
            (["0 0 30 2 *", "0 1 1 1 *"], "2026-01-01T02:00:00Z", ["2027-01-01T01:00:00Z"]),
            // Both days written: either.
            (
                ["0 0 13 * FRI"], "2026-02-01T00:00:00Z",
                ["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"]
            ),
            // A step is written, too: odd days, and Mondays.
            (["0 0 */2 * MON"], "2026-02-01T00:00:01Z", ["2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z"]),
            (["59 23 31 12 *"], "2026-12-31T23:59:00Z", ["2027-12-31T23:59:00Z"]),
            // Two schedules: each moment once.
            (
                ["0 * * * *", "0,30 12 * * *"], "2026-05-05T11:30:00Z",
                ["2026-05-05T12:00:00Z", "2026-05-05T12:30:00Z", "2026-05-05T13:00:00Z"]
            ),
        ])
    func next(schedules: [String], after: String, expected: [String]) throws {
        let timetable = try Self.timetable(schedules)
        let start = try Self.moment(after)
        let found = timetable.fires(
            after: start, through: start + .seconds(9 * 366 * 86_400), limit: max(1, expected.count))
        #expect(found.map(\.rfc3339) == expected)
    }

    @Test(
        "Skipped local times do not fire, repeated ones fire twice",
        arguments: [
            // Europe/Paris: 02:00 to 03:00 does not exist on March 29, and comes twice on October 25.
            ("30 2 * * *", CronZones.paris, "2026-03-28T12:00:00Z", ["2026-03-30T00:30:00Z"]),
            (
                "30 2 * * *", CronZones.paris, "2026-10-24T12:00:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]
            ),
            ("0 3 * * *", CronZones.paris, "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z"]),
            // America/New_York: 02:00 is skipped on March 8, 01:00 comes twice on November 1.
            ("0 2 * * *", CronZones.newYork, "2026-03-07T12:00:00Z", ["2026-03-09T06:00:00Z"]),
            (
                "0 1 * * *", CronZones.newYork, "2026-10-31T12:00:00Z",
                ["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-02T06:00:00Z"]
            ),
            // Half an hour: 02:00 to 02:30 is skipped on October 4, 01:30 to 02:00 comes twice on April 5.
            ("15 2 * * *", CronZones.lordHowe, "2026-10-03T02:00:00Z", ["2026-10-04T15:15:00Z"]),
            (
                "45 1 * * *", CronZones.lordHowe, "2026-04-04T06:00:00Z",
                ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]
            ),
            // Clocks are set at midnight: the day begins at 01:00.
            ("0 0 * * *", CronZones.saoPaulo, "2026-10-31T12:00:00Z", ["2026-11-02T02:00:00Z"]),
        ])
    func daylightSaving(schedule: String, zone: TimeZoneRules, after: String, expected: [String]) throws {
        let timetable = try Self.timetable([schedule], zone)
        let start = try Self.moment(after)
        let found = timetable.fires(
            after: start, through: start + .seconds(9 * 86_400), limit: expected.count)
        #expect(found.map(\.rfc3339) == expected)
    }

    @Test("A schedule's own zone wins over the workflow's")
    func ownZone() throws {
        let timetable = try Self.timetable(["CRON_TZ=Europe/Paris 0 6 * * *", "0 6 * * *"])
        let fires = timetable.fires(
            after: try Self.moment("2026-06-01T00:00:00Z"), through: Timestamp(nanoseconds: .max), limit: 2)
        #expect(fires.map(\.rfc3339) == ["2026-06-01T04:00:00Z", "2026-06-01T06:00:00Z"])
        #expect(throws: CronScheduleError.self) { try Self.timetable(["CRON_TZ=Mars/Olympus 0 6 * * *"]) }
    }

    @Test("Intervals are counted from the anchor, whenever one asks")
    func intervals() throws {
        let timetable = try Self.timetable(["@every 90s"], anchor: Timestamp(seconds: 1_000))
        #expect(timetable.next(after: Timestamp(seconds: 0)) == Timestamp(seconds: 1_090))
        #expect(timetable.next(after: Timestamp(seconds: 1_090)) == Timestamp(seconds: 1_180))
        #expect(timetable.next(after: Timestamp(nanoseconds: 1_179_999_999_999)) == Timestamp(seconds: 1_180))
        #expect(timetable.previous(atOrBefore: Timestamp(seconds: 1_180)) == Timestamp(seconds: 1_180))
        #expect(timetable.previous(atOrBefore: Timestamp(seconds: 1_089)) == nil)
    }

    /// Whether a schedule fires at a moment, straight from the definition.
    private static func fires(_ schedule: CronSchedule, at moment: Timestamp, _ zone: TimeZoneRules) -> Bool {
        let wall = zone.civilTime(at: moment)
        return wall.second == 0 && wall.nanosecond == 0 && CronSchedule.has(schedule.minutes, wall.minute)
            && CronSchedule.has(schedule.hours, wall.hour)
            && schedule.matches(month: wall.month, day: wall.day, weekday: wall.weekday)
    }

    private static func field(_ range: ClosedRange<Int>, _ generator: inout SeededGenerator) -> String {
        let number = Int.random(in: range, using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0, 1: return "*"
        case 2: return "*/\(Int.random(in: 1...max(1, range.count / 2), using: &generator))"
        case 3: return "\(number)-\(Int.random(in: number...range.upperBound, using: &generator))"
        case 4: return "\(number),\(Int.random(in: range, using: &generator))"
        default: return "\(number)"
        }
    }

    @Test("A walk over every minute finds the same moments, forward and backward", arguments: 0..<24)
    func walk(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let zone = CronZones.all[seed % CronZones.all.count]
        let text = [0...59, 0...23, 1...31, 1...12, 0...6].map { Self.field($0, &generator) }
            .joined(separator: " ")
        let schedule = try CronSchedule(text)
        let timetable = CronTimetable(
            entries: [.init(schedule: schedule, zone: zone)], anchor: Timestamp(seconds: 0))
        // Around a setting of clocks, which is where errors are.
        let centers = ["2026-03-29T01:00:00Z", "2026-11-01T06:00:00Z", "2026-04-04T15:00:00Z", "2027-02-21T02:00:00Z"]
        let center = try Self.moment(centers[seed % centers.count])
        let start = center + .seconds(-3 * 86_400 + Int.random(in: 0..<3_600, using: &generator))
        let end = center + .seconds(4 * 86_400)
        let first = start.seconds / 60 * 60 + 60
        let expected = stride(from: first, through: end.seconds, by: 60).map(Timestamp.init(seconds:))
            .filter { Self.fires(schedule, at: $0, zone) }
        #expect(timetable.fires(after: start, through: end, limit: .max) == expected, "\(text) in \(zone.name)")
        var backward: [Timestamp] = []
        var moment = end
        while let previous = timetable.previous(atOrBefore: moment), previous > start {
            backward.append(previous)
            moment = previous + .nanoseconds(-1)
        }
        #expect(backward.reversed() == expected, "\(text) in \(zone.name), backward")
    }

    @Test("The next moment is later, and nothing lies between", arguments: 0..<200)
    func nextIsAfterNow(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(1_000 + seed))
        let zone = CronZones.all[seed % CronZones.all.count]
        let text = [0...59, 0...23, 1...31, 1...12, 0...6].map { Self.field($0, &generator) }
            .joined(separator: " ")
        let timetable = try Self.timetable([text], zone)
        let moment = Timestamp(seconds: Int.random(in: 1_700_000_000...2_000_000_000, using: &generator))
        guard let next = timetable.next(after: moment) else { return }
        #expect(next > moment)
        #expect(timetable.previous(atOrBefore: next) == next, "\(text)")
        if let before = timetable.previous(atOrBefore: next + .nanoseconds(-1)) {
            #expect(before <= moment, "\(text)")
            #expect(timetable.next(after: before) == next, "\(text)")
        }
    }

    @Test(
        "Schedules are told in words",
        arguments: [
            ("0 6 * * *", "every day at 06:00 (Europe/Paris)"),
            (
                "0,15,30,45 * * * MON-FRI",
                "at minute 0, 15, 30 and 45 past every hour, Monday to Friday (Europe/Paris)"
            ),
            ("* * * * *", "every minute (Europe/Paris)"), ("*/5 * * * *", "every 5 minutes (Europe/Paris)"),
            ("30 6 * * MON", "every Monday at 06:30 (Europe/Paris)"),
            ("0 6,18 * * *", "every day at 06:00 and 18:00 (Europe/Paris)"),
            ("0 0 1 * *", "on the 1st of every month at 00:00 (Europe/Paris)"),
            ("0 0 1 1 *", "on the 1st of January at 00:00 (Europe/Paris)"),
            ("0 9-17 * * *", "at minute 0 past every hour from 9 to 17 (Europe/Paris)"),
            ("0 0 13 * FRI", "on the 13th of every month and on Friday at 00:00 (Europe/Paris)"),
            ("0 4 * 6-8 *", "every day in June to August at 04:00 (Europe/Paris)"),
            ("@every 90m", "every 1 hour and 30 minutes"), ("@every 1h", "every hour"),
        ])
    func words(schedule: String, expected: String) throws {
        #expect(try Self.timetable([schedule], CronZones.paris).words == expected)
    }
}
