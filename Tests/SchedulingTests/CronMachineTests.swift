// The life of a cron workflow, decision by decision.

import Testing
import Text
import WorkflowLanguage

@testable import Scheduling

@Suite("Cron machine")
struct CronMachineTests {
    private static func machine(_ spec: [String: JSONValue], status: CronStatus = CronStatus()) throws -> CronMachine {
        var spec = spec
        spec["schedules"] = spec["schedules"] ?? ["0 * * * *"]
        spec["workflowSpec"] = spec["workflowSpec"] ?? ["entrypoint": "main"]
        let cron = CronWorkflow(
            .object([
                "metadata": [
                    "name": "nightly", "labels": ["team": "blue"], "annotations": ["window": "open"],
                ], "spec": .object(spec),
            ]))
        let timetable = try CronTimetable(
            schedules: cron.schedules, zone: .utc, anchor: Timestamp(seconds: 0), zoneNamed: { _ in nil })
        return CronMachine(
            namespace: "default", name: "nightly", cron: cron, timetable: timetable, status: status)
    }

    private static let hour = Timestamp(seconds: 3_600 * 500_000)

    private static func status(
        active: [String] = [], last: Timestamp? = nil, succeeded: Int = 0, failed: Int = 0,
        phase: CronStatus.Phase = .active, schedule: String? = "0 * * * *"
    ) -> CronStatus {
        var status = CronStatus()
        status.active = active.map { CronStatus.Child(uid: $0, namespace: "default", name: "nightly-\($0)") }
        status.lastScheduledTime = last
        status.succeeded = succeeded
        status.failed = failed
        status.phase = phase
        status.scheduleText = schedule
        return status
    }

    @Test("A moment makes a run with a name of its own, and the status says so")
    func submits() throws {
        var machine = try Self.machine([:])
        let child = CronStatus.Child(
            uid: "u1", namespace: "default", name: "nightly-\(Self.hour.seconds)")
        #expect(machine.handle(.due(Self.hour, uid: "u1"), at: Self.hour) == [.submit(child, at: Self.hour)])
        #expect(machine.status.active == [child])
        #expect(machine.status.lastScheduledTime == Self.hour)
        let manifest = machine.manifest(at: Self.hour)
        #expect(manifest["metadata"]?["labels"]?[CronMachine.cronLabel] == "nightly")
        #expect(
            manifest["metadata"]?["annotations"]?[CronMachine.scheduledTimeAnnotation]
                == .string(Self.hour.rfc3339))
        #expect(manifest["spec"]?["entrypoint"] == "main")
    }

    @Test(
        "What keeps a moment from making a run",
        arguments: [
            ([:], Self.status(), nil as CronSkip?),
            (["suspend": true], Self.status(), .suspended),
            ([:], Self.status(phase: .stopped), .stopped),
            (["when": "{{cronworkflow.failed}} < 3"], Self.status(failed: 2), nil),
            (["when": "{{cronworkflow.failed}} < 3"], Self.status(failed: 3), .when),
            (["when": "\"{{cronworkflow.annotations.window}}\" == \"open\""], Self.status(), nil),
            (["when": "\"{{cronworkflow.labels.team}}\" == \"red\""], Self.status(), .when),
            (["when": "{{= cronworkflow.lastScheduledTime == nil }}"], Self.status(), nil),
            (
                ["when": "{{= (now() - cronworkflow.lastScheduledTime).Seconds() > 7200 }}"],
                Self.status(last: Timestamp(seconds: 3_600 * 499_999)), .when
            ),
            (["when": "{{cronworkflow.nothing}} == 1"], Self.status(), .invalid),
            (["when": "bare == word"], Self.status(), .invalid),
            (["concurrencyPolicy": "Forbid"], Self.status(active: ["a"]), .forbidden),
            (["concurrencyPolicy": "Forbid"], Self.status(), nil),
            (["concurrencyPolicy": "Allow"], Self.status(active: ["a", "b"]), nil),
            (["stopStrategy": ["expression": "cronworkflow.failed >= 2"]], Self.status(failed: 2), .stopped),
            (["stopStrategy": ["expression": "failed >= 2"]], Self.status(failed: 1), nil),
            // The order: suspended is said before stopped, stopped before when.
            (["suspend": true, "when": "1 == 2"], Self.status(phase: .stopped), .suspended),
            (["when": "1 == 2"], Self.status(phase: .stopped), .stopped),
            (["when": "1 == 2", "concurrencyPolicy": "Forbid"], Self.status(active: ["a"]), .when),
        ] as [([String: JSONValue], CronStatus, CronSkip?)])
    func skips(spec: [String: JSONValue], status: CronStatus, expected: CronSkip?) throws {
        var machine = try Self.machine(spec, status: status)
        let effects = machine.handle(.due(Self.hour, uid: "new"), at: Self.hour)
        #expect(machine.lastSkip == expected)
        let submits = effects.contains { if case .submit = $0 { true } else { false } }
        #expect(submits == (expected == nil))
        #expect(machine.status.active.count == status.active.count + (expected == nil ? 1 : 0))
    }

    @Test("Replace ends what runs before the new run begins")
    func replaces() throws {
        var machine = try Self.machine(
            ["concurrencyPolicy": "Replace"], status: Self.status(active: ["a", "b"]))
        let effects = machine.handle(.due(Self.hour, uid: "c"), at: Self.hour)
        #expect(effects.count == 3)
        for effect in effects.prefix(2) {
            guard case .terminate = effect else {
                Issue.record("\(effect) comes before the runs are ended")
                return
            }
        }
    }

    @Test(
        "The latest missed moment is made up for within the deadline, once",
        arguments: [
            // Deadline, last run hours ago, seconds after the hour, schedule of the status, expected.
            (3_600, 3, 600, "0 * * * *", true), (300, 3, 600, "0 * * * *", false),
            (601, 3, 600, "0 * * * *", true), (600, 3, 600, "0 * * * *", false),
            (3_600, 0, 600, "0 * * * *", false), (3_600, nil, 600, "0 * * * *", false),
            (nil, 3, 600, "0 * * * *", false), (3_600, 3, 600, "30 * * * *", false), (3_600, 3, 600, nil, false),
        ] as [(Int?, Int?, Int, String?, Bool)])
    func missed(deadline: Int?, hoursAgo: Int?, late: Int, schedule: String?, expected: Bool) throws {
        let last = hoursAgo.map { Self.hour + .seconds(-3_600 * $0) }
        var spec: [String: JSONValue] = [:]
        if let deadline { spec["startingDeadlineSeconds"] = .int(deadline) }
        var machine = try Self.machine(spec, status: Self.status(last: last, schedule: schedule))
        let now = Self.hour + .seconds(late)
        let effects = machine.handle(.sync(uid: "u"), at: now)
        #expect(effects.count == (expected ? 1 : 0))
        #expect(machine.status.scheduleText == "0 * * * *")
        if expected { #expect(machine.status.lastScheduledTime == Self.hour) }
        #expect(machine.handle(.sync(uid: "v"), at: now).isEmpty, "a second look makes a second run")
    }

    @Test("Ended runs are counted once, and the stop condition is looked at")
    func counts() throws {
        var machine = try Self.machine(
            ["stopStrategy": ["expression": "cronworkflow.failed >= 2"]],
            status: Self.status(active: ["a", "b", "c"]))
        #expect(machine.handle(.childEnded(uid: "a", .succeeded), at: Self.hour).isEmpty)
        #expect(machine.handle(.childEnded(uid: "b", .failed), at: Self.hour).isEmpty)
        #expect(machine.handle(.childEnded(uid: "b", .failed), at: Self.hour).isEmpty)
        #expect(machine.status.failed == 1)
        #expect(machine.handle(.childEnded(uid: "c", .error), at: Self.hour) == [.markStopped])
        #expect(machine.status.phase == .stopped)
        #expect(machine.status.succeeded == 1)
        #expect(machine.status.active.isEmpty)
    }

    @Test(
        "History keeps the newest",
        arguments: [
            ([:], ["s1", "s2", "f1"]), (["successfulJobsHistoryLimit": 0], ["s1", "s2", "s3", "s4", "s5", "f1"]),
            (["failedJobsHistoryLimit": 2, "successfulJobsHistoryLimit": 10], []),
        ] as [([String: JSONValue], [String])])
    func history(spec: [String: JSONValue], expected: [String]) throws {
        let ended =
            (1...5).map {
                CronMachine.EndedRun(uid: "s\($0)", succeeded: true, finishedAt: Timestamp(seconds: $0))
            }
            + (1...2).map {
                CronMachine.EndedRun(uid: "f\($0)", succeeded: false, finishedAt: Timestamp(seconds: $0))
            }
        #expect(Set(try Self.machine(spec).surplus(of: ended)) == Set(expected))
    }

    @Test("A status is the same after it was stored")
    func stored() throws {
        var machine = try Self.machine([:], status: Self.status(succeeded: 4, failed: 1))
        _ = machine.handle(.due(Self.hour, uid: "a"), at: Self.hour)
        _ = machine.handle(.refused(Self.hour, message: "no"), at: Self.hour)
        machine.status.lastSkippedTime = Self.hour
        #expect(CronStatus(machine.status.json) == machine.status)
        #expect(CronStatus(.null) == CronStatus())
        #expect(CronStatus(["active": "nonsense", "succeeded": "x"]) == CronStatus())
    }

    @Test("Of a long silence only what is fresh is due")
    func grace() throws {
        let machine = try Self.machine(["schedules": ["* * * * *"]])
        let now = Self.hour + .seconds(30)
        let late = machine.due(after: now + .seconds(-3_600), now: now, grace: .seconds(60), limit: 100)
        #expect(late.instants == [Self.hour])
        #expect(late.missed == 59)
        let prompt = machine.due(after: Self.hour + .seconds(-30), now: now, grace: .seconds(60), limit: 100)
        #expect(prompt.instants == [Self.hour])
        #expect(prompt.missed == 0)
        let long = machine.due(after: now + .seconds(-86_400), now: now, grace: .seconds(60), limit: 100)
        #expect(long.instants == [Self.hour])
    }
}
