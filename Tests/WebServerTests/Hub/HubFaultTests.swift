// Fault plans: reading them, deciding by them, and what becomes of a body.
import Testing
import Text

@testable import WebServer

@Suite("Faults of the hub")
struct HubFaultTests {
    private static func plan(_ text: String) throws -> FaultPlan {
        try FaultPlan(OrderedJSON(parsing: text), file: "plan.json")
    }

    private static func subject(_ path: String, isHead: Bool = false) -> FaultSubject {
        FaultSubject(
            key: "models/o/n/\(path)", names: ["/o/n/resolve/main/\(path)", path], isContent: true,
            isHead: isHead)
    }

    @Test("A plan's fields are read") func reading() throws {
        let plan = try Self.plan(
            """
            {"seed": 7, "faults": [
              {"kind": "drop", "after": 10, "times": 2, "path": "*.bin"},
              {"kind": "slow", "bytes_per_second": 5},
              {"kind": "too_many", "retry_after": 3, "chance": 0.5, "skip": 1}, {"kind": "status"},
              {"kind": "stall", "seconds": 2}, {"kind": "wrong_length", "by": -1}, {"kind": "redirect"}]}
            """)
        #expect(
            plan.faults == [
                .init(kind: .drop(after: 10), path: "*.bin", times: 2), .init(kind: .slow(bytesPerSecond: 5)),
                .init(kind: .status(429, retryAfterSeconds: 3), skip: 1, chance: 0.5),
                .init(kind: .status(503, retryAfterSeconds: nil)),
                .init(kind: .stall(after: nil, .seconds(2))), .init(kind: .wrongLength(by: -1)),
                .init(kind: .redirect),
            ])
        #expect(plan.seed == 7)
        #expect(plan.redirects)
    }

    @Test(
        "A wrong plan is refused with the field's path",
        arguments: [
            ("[]", "JSON object"), (#"{"faults": 1}"#, "`faults`"),
            (#"{"faults": [{}]}"#, "faults[0].kind"), (#"{"faults": [{"kind": "x"}]}"#, "faults[0].kind"),
            (#"{"faults": [{"kind": "slow"}]}"#, "faults[0].bytes_per_second"),
            (#"{"faults": [{"kind": "drop", "chance": 2}]}"#, "faults[0].chance"),
            (#"{"faults": [{"kind": "gated", "after": 2}]}"#, "faults[0].after"),
            (#"{"fault": []}"#, "`fault`"),
        ])
    func refusing(text: String, words: String) throws {
        let error = try #require(throws: HubSettingsError.self) { try Self.plan(text) }
        #expect(error.description.hasPrefix("plan.json: "))
        #expect(error.description.contains(words), "\(error)")
    }

    @Test(
        "Patterns of paths",
        arguments: [
            ("a/b.bin", "*.bin", true), ("a/b.bin", "*", true), ("a/b.bin", "a/?.bin", true),
            ("a/b.bin", "b.bin", false), ("", "*", true), ("", "?", false), ("aab", "*ab", true),
            ("abab", "*ab", true), ("abc", "a*b", false), ("abc", "abc*", true),
        ])
    func patterns(text: String, pattern: String, fits: Bool) {
        #expect(FaultPlan.matches(text, pattern) == fits)
    }

    @Test("A fault happens so many times to each path, and then no more") func times() throws {
        let judge = FaultJudge(
            try Self.plan(#"{"faults": [{"kind": "drop", "after": 3, "times": 2, "skip": 1}]}"#))
        for path in ["a", "b"] {
            let drops = (0..<5).map { _ in
                judge.judge(Self.subject(path), isBehindRedirect: false).drop != nil
            }
            #expect(drops == [false, true, true, false, false])
        }
        // A description has no body that this fault could meet, and HEAD has none at all.
        let other = FaultSubject(key: "/api/models", names: [], isContent: false, isHead: false)
        #expect(judge.judge(other, isBehindRedirect: false) == FaultVerdict())
        #expect(judge.judge(Self.subject("c", isHead: true), isBehindRedirect: false) == FaultVerdict())
    }

    @Test("What is chosen depends on the seed, the path and the number of the request") func chance() throws {
        func verdicts(_ seed: Int, order: [String]) throws -> [String: [FaultVerdict]] {
            let judge = FaultJudge(
                try Self.plan(
                    #"{"seed": \#(seed), "faults": [{"kind": "drop", "chance": 0.5}, {"kind": "change_content"}]}"#
                ))
            var verdicts: [String: [FaultVerdict]] = [:]
            for path in order {
                verdicts[path, default: []].append(
                    judge.judge(Self.subject(path), isBehindRedirect: false))
            }
            return verdicts
        }
        let paths = (0..<40).flatMap { _ in ["a", "b"] }
        let first = try verdicts(1, order: paths)
        #expect(try verdicts(1, order: paths.sorted()) == first)
        #expect(try verdicts(2, order: paths) != first)
        let drops = first["a"]!.count { $0.drop != nil }
        #expect((8...32).contains(drops), "of 40 requests \(drops) were met, at a chance of one half")
        #expect(Set(first["a"]!.map(\.change)).count == 1)
    }

    @Test("A request that is sent to the second port meets its other faults there") func redirects() throws {
        let judge = FaultJudge(
            try Self.plan(#"{"faults": [{"kind": "drop", "after": 3, "times": 1}, {"kind": "redirect"}]}"#))
        let atFirst = judge.judge(Self.subject("a"), isBehindRedirect: false)
        #expect(atFirst.redirects && atFirst.drop == nil)
        let atSecond = judge.judge(Self.subject("a"), isBehindRedirect: true)
        #expect(!atSecond.redirects && atSecond.drop == .at(3))
    }

    private static func verdict(_ change: (inout FaultVerdict) -> Void) -> FaultVerdict {
        var verdict = FaultVerdict()
        change(&verdict)
        return verdict
    }

    @Test(
        "A verdict cuts, delays and changes the body of bytes 100 to 199",
        arguments: [
            (verdict { _ in }, 100, [.file(100..<200)]),
            (verdict { $0.drop = .at(10) }, 100, [.file(100..<110), .breakOff]),
            (verdict { $0.drop = .at(0) }, 100, [.breakOff]),
            (verdict { $0.drop = .at(100) }, 100, [.file(100..<200)]),
            (verdict { $0.lengthError = 5 }, 105, [.file(100..<200), .breakOff]),
            (verdict { $0.lengthError = -5 }, 95, [.file(100..<195)]),
            (verdict { $0.lengthError = -500 }, 0, []),
            (verdict { $0.change = .at(100) }, 100, [.changedByte(100), .file(101..<200)]),
            (verdict { $0.change = .at(199) }, 100, [.file(100..<199), .changedByte(199)]),
            (verdict { $0.change = .at(99) }, 100, [.file(100..<200)]),
            (
                verdict {
                    $0.change = .at(150)
                    $0.stall = .init(place: .at(20), span: .seconds(9))
                    $0.drop = .at(60)
                }, 100,
                [
                    .file(100..<120), .wait(.seconds(9)), .file(120..<150), .changedByte(150),
                    .file(151..<160), .breakOff,
                ]
            ),
        ] as [(FaultVerdict, Int, [BodyPlan.Step])])
    func bodies(verdict: FaultVerdict, announced: Int, steps: [BodyPlan.Step]) {
        let plan = BodyPlan(range: 100..<200, sizeBytes: 1_000, verdict)
        #expect(plan.announcedBytes == announced)
        #expect(plan.steps == steps)
    }
}
