// Time zones: files are made here, byte by byte, so that the machine's own do not matter.

import TestSupport
import Testing
import Text

@Suite("Time zones")
struct TimeZoneRulesTests {
    /// A file of version 2 with the given transitions and rule.
    static func file(
        transitions: [(time: Int, kind: UInt8)] = [], kinds: [(offset: Int32, isDaylight: Bool, name: UInt8)],
        names: String, rule: String
    ) -> [UInt8] {
        func integer(_ value: Int, width: Int) -> [UInt8] {
            (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * (width - 1 - $0))) }
        }
        func header(times: Int, kinds: Int, characters: Int) -> [UInt8] {
            Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
                + [0, 0, 0, times, kinds, characters].flatMap { integer($0, width: 4) }
        }
        let first = header(times: 0, kinds: 1, characters: 1) + [0, 0, 0, 0, 0, 0] + [0]
        var second = header(times: transitions.count, kinds: kinds.count, characters: names.utf8.count)
        second += transitions.flatMap { integer($0.time, width: 8) } + transitions.map(\.kind)
        for kind in kinds {
            second += integer(Int(kind.offset), width: 4) + [kind.isDaylight ? 1 : 0, kind.name]
        }
        return first + second + Array(names.utf8) + Array("\n\(rule)\n".utf8)
    }

    static func zone(rule: String) throws -> TimeZoneRules {
        let bytes = file(kinds: [(0, false, 0)], names: "LMT\0", rule: rule)
        return try #require(TimeZoneRules(name: "Test", tzif: bytes))
    }

    @Test(
        "The rule at the end of a file says what goes",
        arguments: [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59:59Z", 3_600, "CET"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00:00Z", 7_200, "CEST"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59:59Z", 7_200, "CEST"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00:00Z", 3_600, "CET"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00:00Z", -14_400, "EDT"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-11-01T06:00:00Z", -18_000, "EST"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-15T00:00:00Z", 39_600, "AEDT"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-15T00:00:00Z", 36_000, "AEST"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-12-31T20:00:00Z", 39_600, "AEDT"),
            ("<+0330>-3:30", "2026-07-15T00:00:00Z", 12_600, "+0330"),
            ("IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-27T00:00:00Z", 10_800, "IDT"),
            ("AAA0BBB,J60,J300", "2024-03-01T02:00:00Z", 3_600, "BBB"),
            ("AAA0BBB,59,300", "2024-02-29T02:00:00Z", 3_600, "BBB"),
        ])
    func rules(rule: String, moment: String, offset: Int, name: String) throws {
        let zone = try Self.zone(rule: rule)
        let found = zone.offset(at: try #require(Timestamp(rfc3339: moment)))
        #expect(found.seconds == offset)
        #expect(found.abbreviation == name)
    }

    @Test("Transitions count before the rule does")
    func transitions() throws {
        let bytes = Self.file(
            transitions: [(-1_000, 1), (1_000, 0)], kinds: [(600, false, 0), (1_200, true, 4)],
            names: "LMT\0DST\0", rule: "CET-1")
        let zone = try #require(TimeZoneRules(name: "Test", tzif: bytes))
        let offsets = [-1_001, -1_000, 999, 1_000].map { zone.offset(at: Timestamp(seconds: $0)).seconds }
        #expect(offsets == [600, 1_200, 1_200, 3_600])
    }

    @Test(
        "A local time happens never, once or twice",
        arguments: [
            (29, 3, 2, 30, [String]()), (29, 3, 3, 0, ["2026-03-29T01:00:00Z"]),
            (25, 10, 2, 30, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
            (25, 10, 3, 0, ["2026-10-25T02:00:00Z"]), (1, 7, 0, 0, ["2026-06-30T22:00:00Z"]),
        ])
    func localTimes(day: Int, month: Int, hour: Int, minute: Int, moments: [String]) throws {
        let zone = try Self.zone(rule: "CET-1CEST,M3.5.0,M10.5.0/3")
        let local = CivilTime(year: 2026, month: month, day: day, hour: hour, minute: minute)
        #expect(zone.instants(ofLocal: local).map(\.rfc3339) == moments)
    }

    @Test("Local times lead back to the moment they came from", arguments: 0..<20 as Range<UInt64>)
    func localRoundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let zone = try Self.zone(rule: "EST5EDT,M3.2.0,M11.1.0")
        for _ in 0..<100 {
            let moment = Timestamp(seconds: Int.random(in: 0..<4_000_000_000, using: &generator))
            #expect(zone.instants(ofLocal: zone.civilTime(at: moment)).contains(moment))
        }
    }

    @Test("Damaged files are refused or read, and never trap", arguments: 0..<20 as Range<UInt64>)
    func damage(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let bytes = Self.file(
            transitions: [(0, 0), (5, 1)], kinds: [(0, false, 0), (3_600, true, 4)], names: "UTC\0CET\0",
            rule: "CET-1CEST,M3.5.0,M10.5.0/3")
        for length in 0..<bytes.count where length % 7 == Int(seed) % 7 {
            let cut = TimeZoneRules(name: "Cut", tzif: Array(bytes[..<length]))
            #expect(cut == nil || length > bytes.count - 30)
        }
        for _ in 0..<200 {
            var damaged = bytes
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            damaged[place] = UInt8.random(in: 0...255, using: &generator)
            let offset = TimeZoneRules(name: "Damaged", tzif: damaged)?.offset(at: Timestamp(seconds: 3))
                .seconds
            #expect(offset == nil || offset == offset.map { Int(Int32(clamping: $0)) })
        }
    }

    @Test("Zones are equal if their names and rules are")
    func equality() throws {
        #expect(TimeZoneRules.utc == TimeZoneRules(name: "UTC", fixedOffsetSeconds: 0))
        #expect(TimeZoneRules.utc != TimeZoneRules(name: "UTC", fixedOffsetSeconds: 60))
        let berlin = try Self.zone(rule: "CET-1CEST,M3.5.0,M10.5.0/3")
        #expect(try berlin != Self.zone(rule: "CET-1"))
        #expect(
            TimeZoneRules(name: "x", fixedOffsetSeconds: 7_200).offset(at: Timestamp(seconds: 0)).abbreviation
                == "+0200")
    }
}
