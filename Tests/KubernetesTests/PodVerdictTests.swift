// The conditions of a pod and what each means for its step.

import Scheduling
import Testing
import Text

@testable import Kubernetes

@Suite("What a pod's status means")
struct PodVerdictTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status: JSONValue
        var end: PodEnd?
        var isGone = false
    }

    private static func main(_ state: JSONValue) -> JSONValue { [["name": "main", "state": state]] }
    private static func ended(_ code: Int, _ reason: String = "Error") -> JSONValue {
        ["terminated": ["exitCode": .int(code), "reason": .string(reason)]]
    }
    private static func disrupted(_ reason: String) -> JSONValue {
        [
            "phase": "Failed", "containerStatuses": main(ended(143)),
            "conditions": [["type": "DisruptionTarget", "status": "True", "reason": .string(reason)]],
        ]
    }
    private static func lost(_ message: String) -> PodEnd {
        PodEnd(.error, message, .infrastructure, isLost: true)
    }

    static let ends: [Case] = [
        Case(testDescription: "done", status: ["phase": "Succeeded"], end: PodEnd(.succeeded, exitCode: 0)),
        Case(
            testDescription: "the command failed",
            status: ["phase": "Failed", "containerStatuses": main(ended(3))],
            end: PodEnd(.failed, "main: Error (exit code 3)", .user, exitCode: 3)),
        Case(
            testDescription: "out of memory",
            status: ["phase": "Failed", "containerStatuses": main(ended(137, "OOMKilled"))],
            end: PodEnd(.failed, "OOMKilled (exit code 137)", .memory, exitCode: 137)),
        Case(
            testDescription: "our step's own out of memory",
            status: ["phase": "Failed", "containerStatuses": main(ended(86))],
            end: PodEnd(.failed, "main: Error (exit code 86)", .memory, exitCode: 86)),
        Case(
            testDescription: "the command cannot be run",
            status: [
                "phase": "Failed",
                "containerStatuses": main([
                    "terminated": ["exitCode": 128, "reason": "StartError", "message": "no such file"]
                ]),
            ], end: PodEnd(.failed, "main: no such file (exit code 128)", .user, exitCode: 128)),
        Case(
            testDescription: "evicted",
            status: ["phase": "Failed", "reason": "Evicted", "message": "disk pressure"],
            end: lost("Evicted: disk pressure")),
        Case(
            testDescription: "preempted", status: disrupted("PreemptionByScheduler"),
            end: lost("the pod was taken away: PreemptionByScheduler")),
        Case(
            testDescription: "drained", status: disrupted("EvictionByEvictionAPI"),
            end: lost("the pod was taken away: EvictionByEvictionAPI")),
        Case(
            testDescription: "tainted node", status: disrupted("DeletionByTaintManager"),
            end: lost("the pod was taken away: DeletionByTaintManager")),
        Case(
            testDescription: "node shut down", status: disrupted("TerminationByKubelet"),
            end: lost("the pod was taken away: TerminationByKubelet")),
        Case(
            testDescription: "turned away by its node",
            status: ["phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no devices"],
            end: lost("UnexpectedAdmissionError: no devices")),
        Case(
            testDescription: "no room on its node after all",
            status: ["phase": "Failed", "reason": "OutOfcpu", "message": "x"], end: lost("OutOfcpu: x")),
        Case(
            testDescription: "node lost", status: ["phase": "Failed", "reason": "NodeLost"],
            end: lost("NodeLost")),
        Case(
            testDescription: "past its deadline",
            status: ["phase": "Failed", "reason": "DeadlineExceeded", "containerStatuses": main(ended(143))],
            end: PodEnd(.failed, "too late", .user)),
        Case(
            testDescription: "the preparation failed",
            status: [
                "phase": "Failed",
                "initContainerStatuses": [
                    [
                        "name": "martlet-init",
                        "state": ["terminated": ["exitCode": 1, "message": "no artifact"]],
                    ]
                ],
            ], end: PodEnd(.error, "the step could not be prepared: no artifact", .infrastructure)),
        Case(
            testDescription: "an init container failed",
            status: [
                "phase": "Failed", "initContainerStatuses": [["name": "fetch", "state": ended(2)]],
            ], end: PodEnd(.failed, "init container fetch: Error (exit code 2)", .user, exitCode: 2)),
        Case(
            testDescription: "only a sidecar failed",
            status: [
                "phase": "Failed",
                "containerStatuses": [
                    ["name": "main", "state": ended(0)], ["name": "side", "state": ended(1)],
                ],
            ], end: PodEnd(.succeeded, exitCode: 0)),
        Case(
            testDescription: "a native sidecar was killed",
            status: [
                "phase": "Failed", "initContainerStatuses": [["name": "martlet-save", "state": ended(143)]],
                "containerStatuses": main(ended(4)),
            ], end: PodEnd(.failed, "main: Error (exit code 4)", .user, exitCode: 4)),
        Case(
            testDescription: "main is over while a sidecar hangs",
            status: [
                "phase": "Running",
                "containerStatuses": [
                    ["name": "main", "state": ended(0)], ["name": "s", "state": ["running": [:]]],
                ],
            ], end: PodEnd(.succeeded, exitCode: 0)),
        Case(
            testDescription: "failed without a word", status: ["phase": "Failed"],
            end: PodEnd(.error, "the pod failed without a reason", .infrastructure)),
        Case(
            testDescription: "deleted by hand", status: ["phase": "Running"],
            end: lost("the pod was deleted by somebody else while it was at work"), isGone: true),
        Case(
            testDescription: "completed and deleted while nobody looked", status: ["phase": "Succeeded"],
            end: PodEnd(.succeeded, exitCode: 0), isGone: true),
        Case(
            testDescription: "at work",
            status: ["phase": "Running", "containerStatuses": main(["running": [:]])]),
    ]

    private static func pod(
        _ status: JSONValue, _ metadata: JSONValue = ["creationTimestamp": "2026-01-01T00:00:00Z"]
    )
        -> JSONValue
    {
        [
            "metadata": metadata, "status": status,
            "spec": [
                "initContainers": [["name": "martlet-save", "restartPolicy": "Always"]], "nodeName": "n1",
            ],
        ]
    }

    @Test("Each end has its phase, its words and its class", arguments: ends)
    func endsAreNamed(_ row: Case) {
        let verdict = PodVerdict(Self.pod(row.status), work: ["main"], deadlineMessage: "too late")
        let standing = verdict.standing(isGone: row.isGone)
        if let end = row.end {
            #expect(standing == .ended(end))
        } else {
            #expect(standing == .running(host: "n1"))
        }
    }

    private static func waiting(_ reason: String) -> JSONValue {
        [
            "phase": "Pending",
            "containerStatuses": main(["waiting": ["reason": .string(reason), "message": "m"]]),
        ]
    }

    static let waits: [(status: JSONValue, message: String, seconds: Int)] = [
        (waiting("ImagePullBackOff"), "main: ImagePullBackOff: m", 600),
        (waiting("ErrImagePull"), "main: ErrImagePull: m", 600),
        (waiting("InvalidImageName"), "main: InvalidImageName: m", 120),
        (waiting("CreateContainerConfigError"), "main: CreateContainerConfigError: m", 120),
        (["phase": "Unknown", "reason": "NodeLost"], "its node does not answer: NodeLost", 600),
    ]

    @Test("What waits says for what, and not for ever", arguments: waits)
    func waitingHasAnEnd(status: JSONValue, message: String, seconds: Int) throws {
        let verdict = PodVerdict(Self.pod(status), work: ["main"], deadlineMessage: "")
        guard case .waiting(let text, let limits) = verdict.standing(), text == message else {
            Issue.record("\(verdict.standing())")
            return
        }
        #expect(limits.map(\.time) == [.after(.seconds(seconds))])
        #expect(limits.allSatisfy { $0.end.phase == .error })
    }

    @Test("Patience begins when a cause is first seen, goes on when it comes back, and is each cause's own")
    func patience() {
        func limit(_ cause: String, _ time: PodStanding.Limit.Time) -> PodStanding.Limit {
            .init(cause: cause, time: time, end: PodEnd(.error, cause))
        }
        let start = Timestamp(seconds: 1_000)
        var clock = LimitClock()
        #expect(clock.passed(at: start + .seconds(90_000)) == nil)
        clock.take([limit("image", .after(.seconds(600)))], at: start)
        clock.take([], at: start + .seconds(100))
        #expect(clock.passed(at: start + .seconds(601)) == nil)
        clock.take([limit("image", .after(.seconds(600)))], at: start + .seconds(200))
        #expect(clock.passed(at: start + .seconds(599)) == nil)
        #expect(clock.passed(at: start + .seconds(600))?.message == "image")
        clock.take([limit("secret", .after(.seconds(120)))], at: start + .seconds(5_000))
        #expect(clock.passed(at: start + .seconds(5_119)) == nil)
        #expect(clock.passed(at: start + .seconds(5_120))?.message == "secret")
        clock.take(
            [limit("a", .after(.seconds(60))), limit("b", .at(start + .seconds(9_000)))],
            at: start + .seconds(8_999))
        #expect(clock.passed(at: start + .seconds(9_100))?.message == "b")
    }

    static let deletions: [(code: Int, finished: String, isLost: Bool)] = [
        (143, "2026-01-01T00:59:59Z", true), (137, "2026-01-01T01:00:30Z", true),
        (1, "2026-01-01T01:00:05Z", true), (3, "2026-01-01T00:59:59Z", false),
    ]

    @Test("Work that a deletion ended is lost, what had failed before it is not", arguments: deletions)
    func deletedByHand(code: Int, finished: String, isLost: Bool) {
        let status: JSONValue = [
            "phase": "Failed",
            "containerStatuses": Self.main([
                "terminated": [
                    "exitCode": .int(code), "reason": "Error", "finishedAt": .string(finished),
                ]
            ]),
        ]
        let metadata: JSONValue = [
            "deletionTimestamp": "2026-01-01T01:00:30Z", "deletionGracePeriodSeconds": 30,
        ]
        let verdict = PodVerdict(Self.pod(status, metadata), work: ["main"], deadlineMessage: "")
        guard case .ended(let end) = verdict.standing() else {
            Issue.record("\(verdict.standing())")
            return
        }
        #expect(end.isLost == isLost)
    }

    @Test("A pod that finds no node waits as long as it must")
    func unschedulableWaits() {
        let status: JSONValue = [
            "phase": "Pending",
            "conditions": [
                [
                    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                    "message": "0/3 nodes",
                ]
            ],
        ]
        let verdict = PodVerdict(Self.pod(status), work: ["main"], deadlineMessage: "")
        #expect(verdict.standing() == .waiting("Unschedulable: 0/3 nodes"))
    }

    @Test("A pod that is being deleted on a silent node is given up a minute after its grace")
    func silentNodeIsGivenUp() throws {
        let metadata: JSONValue = [
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T01:00:30Z",
        ]
        let verdict = PodVerdict(
            Self.pod(["phase": "Running"], metadata), work: ["main"], deadlineMessage: "")
        guard case .waiting(_, let limits) = verdict.standing(), let limit = limits.first else {
            Issue.record("\(verdict.standing())")
            return
        }
        #expect(limit.time == .at(try #require(Timestamp(rfc3339: "2026-01-01T01:01:30Z"))))
        #expect(limit.end.isLost)
    }
}
