// The conditions of a group's Job and pods, and what they mean for its step.

import Scheduling
import Testing
import Text

@testable import Kubernetes

@Suite("What a group's status means")
struct GroupVerdictTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var job: JSONValue
        var members: [GroupVerdict.Member] = []
        var isGone = false
        var expected: PodStanding
    }

    private static let moment = Timestamp(seconds: 1_800_000_000)

    private static func job(_ condition: String? = nil, _ reason: String = "", suspend: Bool = false)
        -> JSONValue
    {
        var conditions: [JSONValue] = []
        if let condition {
            conditions = [
                [
                    "type": .string(condition), "status": "True", "reason": .string(reason), "message": "why",
                    "lastTransitionTime": .string(moment.rfc3339),
                ]
            ]
        }
        return [
            "metadata": ["labels": suspend ? ["kueue.x-k8s.io/queue-name": "team"] : [:]],
            "spec": ["suspend": .bool(suspend)], "status": ["conditions": .array(conditions)],
        ]
    }

    private static func pod(
        _ rank: Int, _ phase: String, code: Int? = nil, at second: Int = 0, leaving: Bool = false,
        disrupted: Bool = false, unschedulable: Bool = false
    ) -> JSONValue {
        var metadata: [String: JSONValue] = [
            "annotations": ["batch.kubernetes.io/job-completion-index": .string(String(rank))],
            "creationTimestamp": .string(moment.rfc3339),
        ]
        if leaving { metadata["deletionTimestamp"] = .string(moment.rfc3339) }
        var status: [String: JSONValue] = ["phase": .string(phase)]
        if phase != "Pending" { status["startTime"] = .string(moment.rfc3339) }
        if let code {
            status["containerStatuses"] = [
                [
                    "name": "main",
                    "state": [
                        "terminated": [
                            "exitCode": .int(code), "reason": "Error",
                            "finishedAt": .string((moment + .seconds(second)).rfc3339),
                        ]
                    ],
                ]
            ]
        }
        if disrupted {
            status["conditions"] = [
                ["type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"]
            ]
        }
        if unschedulable {
            status["conditions"] = [
                ["type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"]
            ]
        }
        return [
            "metadata": .object(metadata), "spec": ["nodeName": .string("node-\(rank)")],
            "status": .object(status),
        ]
    }

    private static func members(_ pods: JSONValue..., gone: [JSONValue] = []) -> [GroupVerdict.Member] {
        pods.map { .init($0) } + gone.map { .init($0, isGone: true) }
    }

    private static let half = "1 of 2 nodes have begun; rank 1: Unschedulable: no GPU"

    static let cases: [Case] = [
        Case(
            testDescription: "in the queue", job: job(suspend: true),
            expected: .waiting("queued in team: Kueue has not admitted the group yet")),
        Case(
            testDescription: "admitted, no pods yet", job: job(),
            expected: .waiting("0 of 2 nodes have begun")),
        Case(
            testDescription: "half of it has room", job: job(),
            members: members(pod(0, "Running"), pod(1, "Pending", unschedulable: true)),
            expected: .waiting(
                half,
                limits: [
                    .init(
                        cause: "start", time: .at(moment + GroupVerdict.startPatience),
                        end: .lost("\(half); those that had were ended, so that others can begin"))
                ])),
        Case(
            testDescription: "none of it has room", job: job(),
            members: members(pod(0, "Pending", unschedulable: true)),
            expected: .waiting("0 of 2 nodes have begun; rank 0: Unschedulable: no GPU")),
        Case(
            testDescription: "all run", job: job(), members: members(pod(1, "Running"), pod(0, "Running")),
            expected: .running(host: "node-0")),
        Case(
            testDescription: "one is done, one still runs", job: job(),
            members: members(pod(0, "Succeeded"), pod(1, "Running")), expected: .running(host: "node-0")),
        Case(
            testDescription: "one has failed, which the Job has not seen yet", job: job(),
            members: members(pod(0, "Running"), pod(1, "Failed", code: 3)), expected: .running(host: "node-0")
        ),
        Case(
            testDescription: "all done", job: job("Complete"), members: members(pod(0, "Succeeded")),
            expected: .ended(PodEnd(.succeeded, exitCode: 0))),
        Case(
            testDescription: "the first failure counts, not what the Job ended then",
            job: job("Failed", "PodFailurePolicy"),
            members: members(
                pod(0, "Failed", code: 143, at: 1, leaving: true), pod(1, "Failed", code: 3, at: 5),
                pod(2, "Failed", code: 1, at: 9)),
            expected: .ended(PodEnd(.failed, "rank 1: Error (exit code 3)", .user, exitCode: 3))),
        Case(
            testDescription: "a drained node counts before the failures that it brings",
            job: job("Failed", "PodFailurePolicy"),
            members: members(
                pod(0, "Failed", code: 1, at: 1),
                pod(1, "Failed", code: 143, at: 5, leaving: true, disrupted: true)),
            expected: .ended(.lost("rank 1: the pod was taken away: EvictionByEvictionAPI"))),
        Case(
            testDescription: "out of memory by our steps' own word", job: job("Failed"),
            members: members(pod(0, "Failed", code: 86)),
            expected: .ended(PodEnd(.failed, "rank 0: Error (exit code 86)", .memory, exitCode: 86))),
        Case(
            testDescription: "somebody deleted a pod", job: job("Failed", "BackoffLimitExceeded"),
            members: members(pod(0, "Succeeded"), gone: [pod(1, "Running")]),
            expected: .ended(.lost("rank 1: the pod was deleted by somebody else while it was at work"))),
        Case(
            testDescription: "too late", job: job("Failed", "DeadlineExceeded"),
            members: members(pod(0, "Failed", code: 143)),
            expected: .ended(PodEnd(.failed, "late", .user))),
        Case(
            testDescription: "nobody knows why", job: job("Failed", "Odd"),
            expected: .ended(PodEnd(.error, "the group's Job failed: Odd: why", .infrastructure))),
        Case(
            testDescription: "it is being ended", job: job("FailureTarget", "PodFailurePolicy"),
            members: members(pod(0, "Running", leaving: true), pod(1, "Failed", code: 3)),
            expected: .waiting(
                "the group is being ended: rank 1: Error (exit code 3)",
                limits: [
                    .init(
                        cause: "ending", time: .at(moment + .seconds(300)),
                        end: PodEnd(.failed, "rank 1: Error (exit code 3)", .user, exitCode: 3))
                ])),
        Case(
            testDescription: "somebody deleted the Job", job: job(), members: members(pod(0, "Running")),
            isGone: true,
            expected: .ended(.lost("the group's Job was deleted by somebody else while it was at work"))),
        Case(
            testDescription: "deleted when it was done", job: job("Complete"), isGone: true,
            expected: .ended(PodEnd(.succeeded, exitCode: 0))),
    ]

    @Test("Each condition of a group has its meaning", arguments: cases)
    func table(_ row: Case) {
        let verdict = GroupVerdict(row.job, row.members, nodes: 2, deadlineMessage: "late")
        #expect(verdict.standing(isGone: row.isGone) == row.expected)
    }
}
