// Sprig's functions on times, durations and regular expressions.

import Testing
import Text

@testable import WorkflowLanguage

@Suite struct SprigTimeTests {
    static let now = ExpressionValue.time(sprigNow, .utc)

    @Test("Times are shown in a layout")
    func layouts() throws {
        #expect(try sprig("now", []) == Self.now)
        #expect(
            try sprig("date", [.string("2006-01-02 15:04:05"), Self.now]) == .string("2026-03-04 05:06:07"))
        #expect(try sprig("date", [.string("2006-01-02"), .int(86_400)]) == .string("1970-01-02"))
        #expect(try sprig("htmlDate", [Self.now]) == .string("2026-03-04"))
        #expect(try sprig("unixEpoch", [Self.now]) == .string("1772600767"))
        #expect(try sprig("toString", [Self.now]) == .string("2026-03-04 05:06:07 +0000 UTC"))
        #expect(try sprig("toJson", [Self.now]) == .string("\"2026-03-04T05:06:07Z\""))
    }

    @Test("A date given as text is taken for the present, as in sprig")
    func textualDate() throws {
        #expect(
            try sprig("date", [.string("2006-01-02"), .string("1999-01-01T00:00:00Z")])
                == .string("2026-03-04"))
        #expect(try sprig("htmlDate", [.none]) == .string("2026-03-04"))
    }

    @Test("A zone must be known")
    func zones() throws {
        let plusTwo = TimeZoneRules(name: "Test/Two", fixedOffsetSeconds: 7200)
        var context = ExpressionContext(now: sprigNow, seed: 0, zones: ["Test/Two": plusTwo])
        for name in ["dateInZone", "date_in_zone"] {
            let shown = try Sprig.call(
                name: name, arguments: [.string("15:04"), Self.now, .string("Test/Two")], context: &context)
            #expect(shown == .string("07:06"))
        }
        #expect(try sprig("htmlDateInZone", [Self.now, .string("UTC")]) == .string("2026-03-04"))
        #expect(
            throws: ExpressionError(
                "sprig.dateInZone: there is no time zone \"Mars\" here; use a name such as Europe/Berlin")
        ) { try sprig("dateInZone", [.string("15:04"), Self.now, .string("Mars")]) }
        #expect(throws: ExpressionError.self) { try sprig("date", [.string("2006"), .int(.max)]) }
        #expect(throws: ExpressionError.self) { try sprig("date", [.string("2006"), .int(.min)]) }
    }

    @Test("Times are moved by durations")
    func moving() throws {
        let earlier = ExpressionValue.time(Timestamp(seconds: sprigNow.seconds - 5400), .utc)
        #expect(try sprig("dateModify", [.string("-1h30m"), Self.now]) == earlier)
        #expect(try sprig("date_modify", [.string("soon"), Self.now]) == Self.now)
        #expect(
            throws: ExpressionError("sprig.mustDateModify: \"soon\" is not a duration; write it like 1h30m")
        ) { try sprig("mustDateModify", [.string("soon"), Self.now]) }
        #expect(
            throws: ExpressionError("sprig.dateModify: argument 2 (date) must be a time, not an integer")
        ) { try sprig("dateModify", [.string("1h"), .int(1)]) }
        #expect(try sprig("ago", [earlier]) == .string("1h30m0s"))
        let parsed = try sprig("toDate", [.string("2006-01-02"), .string("2026-03-04")])
        #expect(try sprig("unixEpoch", [parsed]) == .string("1772582400"))
        #expect(throws: ExpressionError.self) {
            try sprig("mustToDate", [.string("2006-01-02"), .string("x")])
        }
    }

    @Test(
        "Durations are written and rounded",
        arguments: [
            SprigRow("duration", ["95"], "1m35s"),
            SprigRow("duration", [3600], "1h0m0s"),
            SprigRow("duration", ["x"], "0s"),
            SprigRow("durationRound", ["2h10m5s"], "2h"),
            SprigRow("durationRound", ["2400h10m5s"], "3mo"),
            SprigRow("durationRound", ["8761h"], "1y"),
            SprigRow("durationRound", ["-25h"], "1d"),
            SprigRow("durationRound", ["1m"], "60s"),
            SprigRow("durationRound", ["1ms"], "0s"),
            SprigRow("durationRound", [.int(.min)], "292y"),
        ])
    func duration(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let regexes: [SprigRow] = [
        SprigRow("regexMatch", ["^[a-z]+@[a-z]+$", "test@acme"], true),
        SprigRow("mustRegexMatch", ["^x", "test"], false),
        SprigRow("regexMatch", ["(", "test"], false),
        SprigRow("regexFind", ["[a-zA-Z][1-9]", "abcd1234"], "d1"),
        SprigRow("regexFind", ["x", "abc"], ""),
        SprigRow("regexFindAll", ["[2,4,6,8]", "123456789", -1], ["2", "4", "6", "8"]),
        SprigRow("regexFindAll", ["[2,4,6,8]", "123456789", 2], ["2", "4"]),
        SprigRow("regexSplit", ["z+", "pizza", -1], ["pi", "a"]),
        SprigRow("mustRegexSplit", ["a", "banana", 2], ["b", "nana"]),
        SprigRow("regexReplaceAll", ["a(x*)b", "-ab-axxb-", "${1}W"], "-W-xxW-"),
        SprigRow("regexReplaceAllLiteral", ["a(x*)b", "-ab-axxb-", "${1}"], "-${1}-${1}-"),
    ]

    @Test("Regular expressions find, split and replace", arguments: regexes)
    func regex(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    @Test(
        "A bad regular expression is an error", arguments: ["mustRegexMatch", "regexFind", "mustRegexFind"])
    func badRegex(name: String) {
        #expect(throws: ExpressionError.self) { try sprig(name, [.string("("), .string("x")]) }
    }
}
