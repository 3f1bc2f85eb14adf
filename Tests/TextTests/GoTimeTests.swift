// Go's time layouts and strftime.

import Testing
import Text

@Suite("Go's time layouts")
struct GoTimeTests {
    static let zone = TimeZoneRules(name: "EST", fixedOffsetSeconds: -18_000)

    @Test(
        "A moment is written as the layout shows",
        arguments: [
            ("2006-01-02T15:04:05Z07:00", "2026-07-04T09:08:05-05:00"),
            ("Monday, 02-Jan-06 15:04:05 MST", "Saturday, 04-Jul-26 09:08:05 EST"),
            ("Jan _2 3:4:5PM", "Jul  4 9:8:5AM"), ("January 2 03 pm", "July 4 09 am"), ("002 __2", "185 185"),
            (".000 .000000 .999999999", ".012 .012000 .012"), ("15:04:05,000", "09:08:05,012"),
            ("Mon Janet Monk", "Sat Janet Monk"),
            ("-0700 -07 -07:00:00 Z0700", "-0500 -05 -05:00:00 -0500"), ("_2006 20060102", "_2026 20260704"),
            ("1/2/06", "7/4/26"),
            ("day 2 é", "day 4 é"), ("", ""),
        ])
    func formats(layout: String, text: String) throws {
        let moment = try #require(Timestamp(rfc3339: "2026-07-04T14:08:05.012Z"))
        #expect(GoTime.format(moment, layout: layout, zone: Self.zone) == text)
    }

    @Test("In UTC the offset may be a Z")
    func utc() {
        let text = GoTime.format(
            Timestamp(seconds: 0), layout: "2006-01-02T15:04:05.999Z07:00 MST", zone: .utc)
        #expect(text == "1970-01-01T00:00:00Z UTC")
    }

    @Test(
        "Text is read by a layout",
        arguments: [
            ("2006-01-02", "2026-07-04", "2026-07-04T05:00:00Z"),
            ("2006-01-02T15:04:05Z07:00", "2026-07-04T09:08:05.5+02:00", "2026-07-04T07:08:05.5Z"),
            ("2006-01-02T15:04:05Z07:00", "2026-07-04T09:08:05Z", "2026-07-04T09:08:05Z"),
            ("Mon Jan _2 15:04:05 2006", "sat jul  4 09:08:05 2026", "2026-07-04T14:08:05Z"),
            ("3:04PM 2 January 2006", "12:30AM 4 July 2026", "2026-07-04T05:30:00Z"),
            ("3PM 02 Jan 06", "12PM 04 Jul 70", "1970-07-04T17:00:00Z"),
            ("2006-01-02 15PM", "2026-07-04 9PM", "2026-07-05T02:00:00Z"),
            ("2006 002", "2024 060", "2024-02-29T05:00:00Z"),
            ("2006-01-02 15:04:05 MST", "2026-07-04 09:08:05 EST", "2026-07-04T14:08:05Z"),
            ("2006-01-02 15:04:05 MST", "2026-07-04 09:08:05 UTC", "2026-07-04T09:08:05Z"),
            ("2006-01-02 15:04:05.000", "2026-07-04 09:08:05.125", "2026-07-04T14:08:05.125Z"),
        ])
    func parses(layout: String, text: String, moment: String) {
        #expect(GoTime.parse(text, layout: layout, zone: Self.zone)?.rfc3339Nano == moment)
    }

    @Test("An abbreviation counts even when it is not in force")
    func abbreviations() throws {
        let zone = try TimeZoneRulesTests.zone(rule: "EST5EDT,M3.2.0,M11.1.0")
        func parse(_ name: String) -> String? {
            GoTime.parse("2026-07-04 12:00 \(name)", layout: "2006-01-02 15:04 MST", zone: zone)?.rfc3339
        }
        #expect(parse("EDT") == "2026-07-04T16:00:00Z")
        #expect(parse("EST") == "2026-07-04T17:00:00Z")
        #expect(parse("XYZ") == "2026-07-04T12:00:00Z")
        let skipped = GoTime.parse("2026-03-08 02:30", layout: "2006-01-02 15:04", zone: zone)
        #expect(skipped?.rfc3339 == "2026-03-08T07:30:00Z")
    }

    @Test(
        "Text that does not fit its layout is refused",
        arguments: [
            ("2006-01-02", "2026-7-4"), ("2006-01-02", "2026-02-30"), ("2006-01-02", "2026-07-04x"),
            ("2006-01-02", "2026-07-"),
            ("15:04", "24:00"), ("Jan 2006", "Foo 2026"), ("2006 3PM", "2026 13PM"),
            ("2006 .000", "2026 .12"), ("2006-01-02 -07", "2026-07-04 02"),
            ("2006 002", "2023 366"), ("2006-01-02", ""),
        ])
    func refuses(layout: String, text: String) {
        #expect(GoTime.parse(text, layout: layout, zone: .utc) == nil)
    }

    @Test(
        "Single characters of strftime",
        arguments: [
            ("A", "Sunday"), ("a", "Sun"), ("B", "January"), ("b", "Jan"), ("C", "20"),
            ("c", "Sun Jan  3 05:06:07 2021"), ("D", "01/03/21"),
            ("d", "03"), ("e", " 3"), ("F", "2021-01-03"), ("H", "05"), ("I", "05"), ("j", "003"),
            ("k", " 5"), ("l", " 5"), ("M", "06"), ("m", "01"),
            ("n", "\n"), ("p", "AM"), ("R", "05:06"), ("r", "05:06:07 AM"), ("S", "07"), ("s", "1609650367"),
            ("T", "05:06:07"), ("t", "\t"),
            ("U", "01"), ("u", "7"), ("V", "53"), ("v", " 3-Jan-2021"), ("W", "00"), ("w", "0"),
            ("X", "05:06:07"), ("x", "01/03/21"),
            ("Y", "2021"), ("y", "21"), ("Z", "UTC"), ("z", "+0000"),
        ] as [(Character, String)])
    func strftime(character: Character, text: String) throws {
        let moment = try #require(Timestamp(rfc3339: "2021-01-03T05:06:07Z"))
        #expect(GoTime.strftime(moment, character) == text)
        #expect(GoTime.strftime(moment, "é") == nil)
    }
}
