// Calendar arithmetic, RFC 3339 and durations.

import TestSupport
import Testing
import Text

@Suite("Times and durations")
struct TimestampTests {
    @Test(
        "RFC 3339 is read and written",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2006-01-02T15:04:05Z", 1_136_214_245_000_000_000, "2006-01-02T15:04:05Z"),
            ("2006-01-02T15:04:05+07:00", 1_136_189_045_000_000_000, "2006-01-02T08:04:05Z"),
            ("2006-01-02t15:04:05.25-00:30", 1_136_216_045_250_000_000, "2006-01-02T15:34:05.25Z"),
            ("1969-12-31T23:59:59.999999999Z", -1, "1969-12-31T23:59:59.999999999Z"),
            ("2000-02-29T00:00:00.1234567891Z", 951_782_400_123_456_789, "2000-02-29T00:00:00.123456789Z"),
        ] as [(String, Int64, String)])
    func rfc3339(text: String, nanoseconds: Int64, canonical: String) {
        let moment = Timestamp(rfc3339: text)
        #expect(moment?.nanoseconds == nanoseconds)
        #expect(moment?.rfc3339Nano == canonical)
        #expect(moment?.rfc3339.utf8.count == 20)
    }

    @Test(
        "What is no moment is refused",
        arguments: [
            "", "2006-01-02", "2006-01-02T15:04:05", "2006-13-02T15:04:05Z", "2006-02-29T15:04:05Z",
            "2006-01-02T24:00:00Z", "2006-01-02T15:04:60Z", "2006-01-02 15:04:05Z", "2006-01-02T15:04:05.Z",
            "2006-01-02T15:04:05+0700", "2006-1-2T15:04:05Z", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z",
            "2006-01-02T15:04:05Zx", "2006-01-00T15:04:05Z",
        ])
    func refusedMoments(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test("Every moment survives the way through the calendar", arguments: 0..<20 as Range<UInt64>)
    func civilRoundTrip(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let moment = Timestamp(nanoseconds: Int64(bitPattern: generator.next()) / 2)
            let offset = Int.random(in: -50_000...50_000, using: &generator)
            let civil = CivilTime(moment, offsetSeconds: offset)
            #expect(civil.timestamp(offsetSeconds: offset) == moment)
            #expect(civil.normalized == civil)
            #expect((1...CivilTime.daysIn(month: civil.month, year: civil.year)).contains(civil.day))
            #expect(Timestamp(rfc3339: moment.rfc3339Nano) == moment)
        }
    }

    @Test("The first and last moment that can be told are told")
    func extremes() {
        #expect(Timestamp(nanoseconds: .max).rfc3339 == "2262-04-11T23:47:16Z")
        #expect(Timestamp(nanoseconds: .min).rfc3339Nano == "1677-09-21T00:12:43.145224192Z")
        #expect(Timestamp(seconds: .max) == Timestamp(nanoseconds: .max))
    }

    @Test("Sums beyond what can be told stop at the end")
    func sums() {
        let now = Timestamp(seconds: 1_000_000_000)
        #expect(now + .seconds(Int64.max) == Timestamp(nanoseconds: .max))
        #expect(now + .seconds(-9_300_000_000) < Timestamp(nanoseconds: -8_000_000_000_000_000_000))
        #expect(now + .nanoseconds(-5) - now == .nanoseconds(-5))
        #expect((Timestamp(nanoseconds: .max) - Timestamp(nanoseconds: .min)).wholeNanoseconds == .max)
        #expect((Duration.nanoseconds(Int64.max) + .nanoseconds(5)).wholeNanoseconds == .max)
    }

    @Test(
        "Weekday, day of the year and ISO week follow from the date",
        arguments: [
            (1970, 1, 1, 4, 1, 1970, 1), (2024, 2, 29, 4, 60, 2024, 9), (2024, 12, 31, 2, 366, 2025, 1),
            (2021, 1, 3, 0, 3, 2020, 53), (2026, 11, 21, 6, 325, 2026, 47), (1900, 3, 1, 4, 60, 1900, 9),
        ])
    func dates(year: Int, month: Int, day: Int, weekday: Int, yearday: Int, isoYear: Int, isoWeek: Int) {
        let civil = CivilTime(year: year, month: month, day: day)
        #expect(civil.weekday == weekday)
        #expect(civil.yearday == yearday)
        #expect(civil.isoWeek.year == isoYear)
        #expect(civil.isoWeek.week == isoWeek)
    }

    @Test("Parts out of range carry over")
    func normalization() {
        let civil = CivilTime(year: 2023, month: 14, day: 31, hour: 25, minute: -1, second: 61).normalized
        #expect(civil == CivilTime(year: 2024, month: 3, day: 3, hour: 1, minute: 0, second: 1))
        #expect(CivilTime(year: .max, month: .max, day: .max, hour: .min).timestamp() == nil)
    }

    @Test(
        "Durations are read as Go reads them",
        arguments: [
            ("0", 0), ("+0", 0), ("1h30m", 5_400_000_000_000), ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("-2s", -2_000_000_000), ("1h1h", 7_200_000_000_000), (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("2us", 2_000), ("2µs", 2_000), ("2μs", 2_000), ("7ns", 7),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("9223372036854775807ns", .max), ("-9223372036854775808ns", .min),
        ] as [(String, Int64)])
    func durations(text: String, nanoseconds: Int64) {
        #expect(GoDuration.parse(text) == .nanoseconds(nanoseconds))
    }

    @Test(
        "What is no duration is refused",
        arguments: [
            "", "-", "1", "1.5", "s", ".s", "1d", "1 h", "1h ", "--1s", "9223372036854775808ns", "1e3s",
            "99999999999999999999s", "300000h300000h300000h300000h300000h300000h300000h300000h300000h",
        ])
    func refusedDurations(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test(
        "Durations are written as Go writes them",
        arguments: [
            (0, "0s"), (1, "1ns"), (1_100, "1.1µs"), (2_200_000, "2.2ms"), (3_300_000_000, "3.3s"),
            (90_000_000_000, "1m30s"), (3_600_000_000_000, "1h0m0s"), (245_005_000_000, "4m5.005s"),
            (-1_500_000_000, "-1.5s"), (.max, "2562047h47m16.854775807s"),
            (.min, "-2562047h47m16.854775808s"),
        ] as [(Int64, String)])
    func durationTexts(nanoseconds: Int64, text: String) {
        #expect(GoDuration.format(.nanoseconds(nanoseconds)) == text)
        #expect(GoDuration.parse(text) == .nanoseconds(nanoseconds))
    }
}
