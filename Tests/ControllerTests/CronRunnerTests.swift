// The cron runner in virtual time: years of it, killed between any two steps, and two runners on one database.

import Foundation
import Persistence
import Scheduling
import Synchronization
import TestSupport
import Testing
import Text
import WorkflowLanguage

@testable import Controller

@Suite("Cron runner")
struct CronRunnerTests {
    private static let start = Timestamp(seconds: 1_767_225_600)  // 2026-01-01T00:00:00Z
    private static let zones = [
        "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
    ]

    private static func runner(
        _ ledger: any CronLedger, _ clock: CronClock, _ metrics: ControllerMetrics? = nil
    )
        -> CronRunner
    {
        CronRunner(ledger: ledger, now: { clock.now }, sleep: { _ in }, local: .utc, metrics: metrics)
    }

    /// Lets virtual time go on from pass to pass until `end`.
    private static func live(
        _ runner: CronRunner, _ clock: CronClock, until end: Timestamp,
        between: () -> Void = {}
    ) async throws {
        while clock.now < end {
            let next = try await runner.pass()
            between()
            clock.now = min(end, max(next ?? end, clock.now + .milliseconds(1)))
        }
        try await runner.pass()
    }

    private static func machine(_ world: CronWorld, _ name: String) throws -> CronMachine {
        let row = try #require(world.contents.withLock { $0.rows[name] })
        return try CronMachine(row: row, local: .utc)
    }

    @Test(
        "Two years in five zones: a run for each moment, one only, whatever is killed",
        .timeLimit(.minutes(30)), arguments: [false, true])
    func twoYears(kills: Bool) async throws {
        var generator = SeededGenerator(seed: 7)
        let clock = CronClock(Self.start)
        let world = CronWorld(clock)
        let schedules = ["30 2 * * *", "0 */6 * * *", "15 1 * * 0", "45 1 1,15 * *", "0 0 29 2 *"]
        for (zone, schedule) in zip(Self.zones, schedules) {
            world.put(
                "cron-" + zone.lowercased().replacing("/", with: "-").replacing("_", with: "-"),
                ["schedules": [.string(schedule)], "timezone": .string(zone)])
        }
        let end = Self.start + .seconds(731 * 86_400)
        var runner = Self.runner(world, clock)
        if !kills {
            try await Self.live(runner, clock, until: end) { world.endRuns(.succeeded) }
        } else {
            while clock.now < end {
                world.contents.withLock {
                    $0.callsLeft = Int.random(in: 0..<400, using: &generator)
                    $0.diesAfterwards = Bool.random(using: &generator)
                }
                do {
                    try await Self.live(runner, clock, until: end) { world.endRuns(.succeeded) }
                } catch is Killed {
                    world.contents.withLock { $0.callsLeft = nil }
                    // The next process begins within the grace period: nothing may be missed.
                    clock.now = clock.now + .seconds(Int.random(in: 0..<50, using: &generator))
                    runner = Self.runner(world, clock)
                }
            }
            world.contents.withLock { $0.callsLeft = nil }
        }
        for name in world.contents.withLock({ $0.rows.keys.sorted() }) {
            let machine = try Self.machine(world, name)
            let expected = machine.timetable.fires(after: Self.start, through: clock.now, limit: .max)
            #expect(world.begun(name) == expected, "\(name)")
            let status = world.status(name)
            #expect(status.succeeded + status.active.count == expected.count, "\(name)")
            let kept = world.contents.withLock { contents in
                contents.runs.values.filter {
                    $0.labels[CronMachine.cronLabel] == name && $0.finishedAt != nil
                }
                .count
            }
            #expect(kept <= 4, "\(name) keeps \(kept) runs")
        }
    }

    @Test("A process killed between any two steps makes each moment's run once", arguments: [false, true])
    func killedAnywhere(diesAfterwards: Bool) async throws {
        for calls in 0..<60 {
            let clock = CronClock(Self.start + .seconds(30))
            let world = CronWorld(clock)
            world.put("a", ["schedules": ["* * * * *"], "concurrencyPolicy": "Replace"])
            world.put("b", ["schedules": ["* * * * *", "*/2 * * * *"], "startingDeadlineSeconds": 200])
            world.contents.withLock {
                $0.callsLeft = calls
                $0.diesAfterwards = diesAfterwards
            }
            let end = Self.start + .seconds(10 * 60)
            do {
                try await Self.live(Self.runner(world, clock), clock, until: end)
            } catch is Killed {
                world.contents.withLock { $0.callsLeft = nil }
                try await Self.live(Self.runner(world, clock), clock, until: end)
            }
            let expected = (1...10).map { Self.start + .seconds(60 * $0) }
            #expect(world.begun("a") == expected, "killed after \(calls) calls")
            #expect(world.begun("b") == expected, "killed after \(calls) calls")
            #expect(world.status("b").lastScheduledTime == expected.last)
        }
    }

    @Test("Two runners on one ledger make one run of each moment")
    func twoRunners() async throws {
        let clock = CronClock(Self.start + .seconds(30))
        let world = CronWorld(clock)
        world.put("a", ["schedules": ["*/5 * * * *"]])
        let runners = [Self.runner(world, clock), Self.runner(world, clock)]
        for minute in 1...60 {
            clock.now = Self.start + .seconds(minute * 60)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for runner in runners { group.addTask { try await runner.pass() } }
                try await group.waitForAll()
            }
            if minute % 7 == 0 { world.endRuns(.succeeded) }
        }
        #expect(world.begun("a") == (1...12).map { Self.start + .seconds(300 * $0) })
    }

    @Test(
        "After downtime the last moment is made up for within the deadline, once; without one nothing is",
        arguments: [(nil as Int?, 0), (60, 0), (3_600, 1)])
    func downtime(deadline: Int?, expected: Int) async throws {
        let clock = CronClock(Self.start + .seconds(60))
        let world = CronWorld(clock)
        var spec: [String: JSONValue] = ["schedules": ["0 * * * *"]]
        if let deadline { spec["startingDeadlineSeconds"] = .int(deadline) }
        world.put("a", spec)
        try await Self.live(Self.runner(world, clock), clock, until: Self.start + .seconds(2 * 3_600 + 60))
        #expect(world.begun("a").count == 2)
        clock.now = Self.start + .seconds(8 * 3_600 + 1_800)
        try await Self.live(Self.runner(world, clock), clock, until: clock.now + .seconds(600))
        #expect(world.begun("a").count == 2 + expected)
        if expected > 0 { #expect(world.begun("a").last == Self.start + .seconds(8 * 3_600)) }
    }

    @Test("A changed schedule is followed from the next pass on, and what it would have made is not missed")
    func changed() async throws {
        let clock = CronClock(Self.start + .seconds(60))
        let world = CronWorld(clock)
        let runner = Self.runner(world, clock)
        world.put("a", ["schedules": ["0 * * * *"], "startingDeadlineSeconds": 86_400])
        try await Self.live(runner, clock, until: Self.start + .seconds(3_700))
        clock.now = Self.start + .seconds(5_000)
        world.put("a", ["schedules": ["20 * * * *"], "startingDeadlineSeconds": 86_400])
        try await Self.live(runner, clock, until: Self.start + .seconds(3_600 + 1_300))
        try await Self.live(runner, clock, until: Self.start + .seconds(3 * 3_600))
        #expect(world.begun("a") == [Self.start + .seconds(3_600), Self.start + .seconds(2 * 3_600 + 1_200)])
        world.contents.withLock {
            $0.rows["a"] = nil
            $0.version += 1
            $0.resourceVersion += 1
        }
        try await Self.live(runner, clock, until: Self.start + .seconds(6 * 3_600))
        #expect(world.begun("a").count == 2)
    }

    @Test("Forbid leaves out, Replace ends, a stop condition stops, and history is kept short")
    func policies() async throws {
        let clock = CronClock(Self.start + .seconds(30))
        let world = CronWorld(clock)
        let metrics = ControllerMetrics()
        let runner = Self.runner(world, clock, metrics)
        world.put("forbid", ["schedules": ["* * * * *"], "concurrencyPolicy": "Forbid"])
        world.put("replace", ["schedules": ["* * * * *"], "concurrencyPolicy": "Replace"])
        world.put(
            "stop",
            ["schedules": ["* * * * *"], "stopStrategy": ["expression": "cronworkflow.failed >= 2"]])
        world.put("suspended", ["schedules": ["* * * * *"], "suspend": true])
        world.put("broken", ["schedules": ["61 * * * *"]])
        try await Self.live(runner, clock, until: Self.start + .seconds(5 * 60 + 1))
        #expect(world.begun("forbid").count == 1)
        #expect(world.begun("replace").count == 5)
        #expect(world.begun("suspended").isEmpty)
        #expect(world.status("broken").conditions.first?.type == CronStatus.Condition.specError)
        world.endRuns(.failed)
        try await Self.live(runner, clock, until: Self.start + .seconds(8 * 60 + 1))
        #expect(world.begun("stop").count == 5, "it goes on after two failures")
        #expect(world.status("stop").phase == .stopped)
        let labels = world.contents.withLock { $0.rows["stop"]?.body["metadata"]?["labels"] }
        #expect(labels?[CronMachine.completedLabel] == "true")
        #expect(world.begun("forbid").count == 2)
        let failed = world.contents.withLock { contents in
            contents.runs.values.filter { $0.phase == "Failed" && $0.labels[CronMachine.cronLabel] == "stop" }
        }
        #expect(failed.count == 1, "of failed runs one is kept")
        let text = metrics.families(at: clock.now).first { $0.name == "martlet_cron_skipped_total" }
        let forbidden = text?.series.first { $0.labels.contains(.init("reason", "forbidden")) }
        #expect(forbidden?.value == .number(6))
    }

    @Test("A manifest that is refused leaves a condition, and the next moment tries again")
    func refused() async throws {
        let clock = CronClock(Self.start + .seconds(30))
        let world = CronWorld(clock)
        let runner = Self.runner(world, clock)
        world.put("a", ["schedules": ["* * * * *"]])
        world.contents.withLock { $0.refusal = "no template is named main" }
        try await Self.live(runner, clock, until: Self.start + .seconds(61))
        #expect(world.status("a").conditions.map(\.type) == [CronStatus.Condition.submissionError])
        #expect(world.status("a").active.isEmpty)
        world.contents.withLock { $0.refusal = nil }
        try await Self.live(runner, clock, until: Self.start + .seconds(121))
        #expect(world.begun("a") == [Self.start + .seconds(120)])
        #expect(world.status("a").conditions.isEmpty)
    }

    @Test("A clock that is set back makes no run twice and goes on")
    func clockSetBack() async throws {
        let clock = CronClock(Self.start + .seconds(30))
        let world = CronWorld(clock)
        let runner = Self.runner(world, clock)
        world.put("a", ["schedules": ["*/10 * * * *"]])
        try await Self.live(runner, clock, until: Self.start + .seconds(3_605))
        clock.now = Self.start + .seconds(1_805)
        try await Self.live(runner, clock, until: Self.start + .seconds(4_205))
        #expect(world.begun("a") == (1...7).map { Self.start + .seconds(600 * $0) })
    }
}
