// What the cluster does to a pod, and what becomes of its step, end to end and within a bounded time: the table of
// conditions with the API server of the tests and a clock that the test moves.

import Artifacts
import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("What happens to pods", .timeLimit(.minutes(5)))
struct ConditionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status: JSONValue
        var phase = Phase.error
        var kind: FailureClass? = .infrastructure
        var isLost = false
        var message: String
        /// How far the clock is moved before it counts as the end; nil: it counts at once.
        var patience: Duration?
    }

    private static let name = "w-step-1"
    private static var launch: Launch {
        PodRendererTests.launch(["name": "step", "container": ["image": "busybox", "command": ["true"]]])
    }

    private static func ended(_ code: Int, _ reason: String, _ name: String = "main") -> JSONValue {
        [
            [
                "name": .string(name),
                "state": [
                    "terminated": ["exitCode": .int(code), "reason": .string(reason), "message": "why"]
                ],
            ]
        ]
    }

    private static func waiting(_ reason: String) -> JSONValue {
        let state: JSONValue = ["waiting": ["reason": .string(reason), "message": "the words"]]
        return ["phase": "Pending", "containerStatuses": [["name": "main", "state": state]]]
    }

    private static func disrupted(_ reason: String) -> JSONValue {
        [
            "phase": "Failed", "containerStatuses": ended(143, "Error"),
            "conditions": [["type": "DisruptionTarget", "status": "True", "reason": .string(reason)]],
        ]
    }

    static let cases: [Case] = [
        Case(
            testDescription: "evicted", status: ["phase": "Failed", "reason": "Evicted", "message": "disk"],
            isLost: true, message: "Evicted: disk"),
        Case(
            testDescription: "preempted", status: disrupted("PreemptionByScheduler"), isLost: true,
            message: "PreemptionByScheduler"),
        Case(
            testDescription: "drained", status: disrupted("EvictionByEvictionAPI"), isLost: true,
            message: "EvictionByEvictionAPI"),
        Case(
            testDescription: "out of memory",
            status: ["phase": "Failed", "containerStatuses": ended(137, "OOMKilled")], phase: .failed,
            kind: .memory, message: "OOMKilled (exit code 137)"),
        Case(
            testDescription: "its own failure",
            status: ["phase": "Failed", "containerStatuses": ended(3, "Error")], phase: .failed, kind: .user,
            message: "Error (exit code 3)"),
        Case(
            testDescription: "the image cannot be pulled", status: waiting("ErrImagePull"),
            message: "ErrImagePull: the words", patience: .seconds(601)),
        Case(
            testDescription: "the image's name is wrong", status: waiting("InvalidImageName"), kind: .user,
            message: "InvalidImageName: the words", patience: .seconds(121)),
        Case(
            testDescription: "a Secret is missing", status: waiting("CreateContainerConfigError"),
            kind: .user,
            message: "CreateContainerConfigError", patience: .seconds(121)),
        Case(
            testDescription: "the node does not answer", status: ["phase": "Unknown", "reason": "NodeLost"],
            isLost: true, message: "does not answer", patience: .seconds(601)),
        Case(
            testDescription: "turned away by its node",
            status: ["phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no devices"],
            isLost: true, message: "no devices"),
        Case(
            testDescription: "our preparation failed",
            status: [
                "phase": "Failed", "initContainerStatuses": ended(1, "Error", "martlet-init"),
            ], message: "could not be prepared: why"),
        Case(
            testDescription: "an init container failed",
            status: ["phase": "Failed", "initContainerStatuses": ended(2, "Error", "fetch")], phase: .failed,
            kind: .user, message: "init container fetch"),
    ]

    private func begin(_ world: ExecutorWorld) async {
        await world.executor.launch(Self.launch, values: LaunchValues())
        await world.server.objects.wait { world.podNames.contains(Self.name) }
    }

    private func outcome(_ world: ExecutorWorld) async -> AttemptOutcome? {
        var reports = world.executor.reports.makeAsyncIterator()
        return await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
    }

    @Test("Each condition gives the step its phase, its words and its kind of failure", arguments: cases)
    func conditions(row: Case) async throws {
        let world = try ExecutorWorld()
        await begin(world)
        try world.setStatus(Self.name, row.status)
        var reports = world.executor.reports.makeAsyncIterator()
        if let patience = row.patience {
            _ = await KubernetesExecutor.next(&reports) { $0.waitingMessage?.contains(row.message) == true }
            world.clock.advance(patience)
        }
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == row.phase)
        #expect(outcome?.isLost == row.isLost)
        #expect(outcome?.failureClass == row.kind)
        #expect(outcome?.message.contains(row.message) == true, "\(outcome?.message ?? "nothing")")
        // What only waited is taken away; it must not begin later.
        if row.patience != nil { await world.server.objects.wait { world.podNames.isEmpty } }
        await world.close()
    }

    @Test("A pod that finds no node waits, says why, and goes when its pendingTimeout ends the step")
    func unschedulable() async throws {
        let world = try ExecutorWorld()
        await begin(world)
        try world.setStatus(
            Self.name,
            [
                "phase": "Pending",
                "conditions": [
                    [
                        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
                    ]
                ],
            ])
        var reports = world.executor.reports.makeAsyncIterator()
        let told = await KubernetesExecutor.next(&reports) { $0.waitingMessage != nil }?.waitingMessage
        #expect(told?.contains("Insufficient nvidia.com/gpu") == true)
        // It may take as long as it likes; the scheduler's timer is what ends it, by this call.
        world.clock.advance(.seconds(86_400))
        await world.executor.cancel(Self.launch.key, immediately: true)
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.message == "terminated")
        #expect(world.podNames.isEmpty)
        await world.close()
    }

    @Test("A pod that is to go from a node that never answers is given up a minute after its grace")
    func nodeNeverAnswers() async throws {
        let world = try ExecutorWorld()
        await begin(world)
        _ = try world.server.objects.update(ExecutorWorld.place(Self.name), isBinding: true) { pod in
            StrategicMerge.apply(["spec": ["nodeName": "dead"]], to: pod)
        }
        try world.setStatus(Self.name, ["phase": "Running"])
        try world.server.objects.delete(ExecutorWorld.place(Self.name), options: [:])
        #expect(world.podNames == [Self.name])
        world.clock.advance(.seconds(91))
        #expect(await outcome(world)?.isLost == true)
        await world.close()
    }

    @Test("A pod that somebody deletes is lost")
    func deletedByHand() async throws {
        let world = try ExecutorWorld()
        await begin(world)
        try world.setStatus(Self.name, ["phase": "Running"])
        try world.server.objects.delete(ExecutorWorld.place(Self.name), options: ["gracePeriodSeconds": 0])
        let outcome = await outcome(world)
        #expect(outcome?.isLost == true)
        // In which words depends on whether the watch or a look at the pod is first.
        #expect(outcome?.message.isEmpty == false)
        await world.close()
    }

    @Test("What admission denies ends the step in the webhook's words")
    func admissionDenied() async throws {
        let world = try ExecutorWorld()
        world.server.objects.setAdmission { verb, place, _ in
            guard place.resource == "pods", verb == "create" else { return nil }
            return Refusal(403, "Forbidden", "admission webhook \"policy\" denied the request: no latest")
        }
        await world.executor.launch(Self.launch, values: LaunchValues())
        let outcome = await outcome(world)
        #expect(outcome?.phase == .error && outcome?.isLost == false)
        #expect(outcome?.message.contains("denied the request: no latest") == true)
        await world.close()
    }

    @Test("A step that completed while no server ran is taken as it ended, and not run again")
    func completedWhileAway() async throws {
        let world = try ExecutorWorld()
        let pod = try world.executor.renderer.pod(for: Self.launch, owner: nil, token: "")
        _ = try world.server.objects.create(ExecutorWorld.place(""), pod)
        try world.setStatus(Self.name, ExecutorWorld.succeeded)
        await world.executor.launch(Self.launch, values: LaunchValues())
        #expect(await outcome(world)?.phase == .succeeded)
        #expect(world.server.objects.createCounts[ExecutorWorld.place(Self.name)] == 1)
        await world.close()
    }

    @Test("One whose result came and whose pod is gone is not run again either", arguments: [0, 3])
    func completedAndGone(code: Int) async throws {
        let world = try ExecutorWorld()
        let folder = AttemptPaths.attempt(world.directory, key: Self.launch.key) + "/pod"
        try Disk.makeDirectories(folder)
        let result: JSONValue = ["exitCode": .int(code), "complete": true]
        try Disk.write(Array(result.compactText.utf8), to: folder + "/result")
        await world.executor.launch(Self.launch, values: LaunchValues())
        #expect(await outcome(world)?.phase == (code == 0 ? .succeeded : .failed))
        #expect(world.server.objects.createCounts[ExecutorWorld.place(Self.name)] == nil)
        await world.close()
    }
}
