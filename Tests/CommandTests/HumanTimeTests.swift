// Times in words.

import Testing
import Text

@testable import martlet

@Suite("Times in words")
struct HumanTimeTests {
    @Test(
        "Spans are short in tables and long in headers",
        arguments: [
            (0, "0s", "0 seconds"), (1, "1s", "1 second"), (59, "59s", "59 seconds"), (60, "1m", "1 minute"),
            (65, "1m", "1 minute 5 seconds"), (3_600, "1h", "1 hour"), (3_661, "1h", "1 hour 1 minute"),
            (3_605, "1h", "1 hour 5 seconds"), (90_000, "1d", "1 day 1 hour"), (864_000, "10d", "10 days"),
            (-5, "0s", "0 seconds"),
        ])
    func spans(seconds: Int, short: String, long: String) {
        #expect(HumanTime.short(.seconds(seconds)) == short)
        #expect(HumanTime.long(.seconds(seconds)) == long)
    }

    @Test(
        "A moment is told by how long ago it was",
        arguments: [
            (0, "now"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"),
            (7_200, "2 hours ago"),
            (86_400, "1 day ago"), (604_800, "1 week ago"), (3_000_000, "1 month ago"),
            (70_000_000, "2 years ago"),
            (-60, "1 minute from now"),
        ])
    func relative(seconds: Int, text: String) {
        let moment = Timestamp(seconds: 1_700_000_000)
        #expect(HumanTime.relative(moment, to: moment + .seconds(seconds)) == text)
    }

    @Test("A moment is written in its zone")
    func stamp() {
        let moment = Timestamp(seconds: 1_731_953_826)
        let zone = TimeZoneRules(name: "PST", fixedOffsetSeconds: -8 * 3_600)
        #expect(HumanTime.stamp(moment, now: moment, zone: zone) == "Mon Nov 18 10:17:06 -0800 (now)")
        let half = TimeZoneRules(name: "IST", fixedOffsetSeconds: 19_800)
        #expect(HumanTime.stamp(moment, now: moment, zone: half) == "Mon Nov 18 23:47:06 +0530 (now)")
    }

    @Test(
        "Spans are read as people write them",
        arguments: [
            ("90", 90), ("90s", 90), ("10m", 600), ("2h30m", 9_000), ("7d", 604_800), ("0s", 0), ("", nil),
            ("m", nil), ("5x", nil), ("1h5", nil), ("-5s", nil), ("-5", nil), ("1.5h", nil),
            ("99999999999999999999d", nil), ("9223372036854775807d", nil),
        ] as [(String, Int?)])
    func parse(text: String, seconds: Int?) {
        #expect(HumanTime.parse(text) == seconds.map { .seconds($0) })
    }

    @Test(
        "Seconds are written as Go writes them",
        arguments: [(6, "6s"), (60, "1m0s"), (7_205, "2h0m5s"), (0, "0s")])
    func goText(seconds: Int, text: String) {
        #expect(HumanTime.goText(seconds: seconds) == text)
    }
}
