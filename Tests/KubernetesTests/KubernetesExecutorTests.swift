// The executor against an API server that enforces the rules: each step runs once, whatever is lost on the way.

import Artifacts
import Executors
import FakeCluster
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Steps as pods", .timeLimit(.minutes(5)))
struct KubernetesExecutorTests {
    private static let template: JSONValue = [
        "name": "step", "container": ["image": "busybox", "command": ["true"]],
    ]
    private static var launch: Launch { PodRendererTests.launch(template) }
    private static let running: JSONValue = [
        "phase": "Running", "containerStatuses": [["name": "main", "state": ["running": [:]]]],
    ]

    /// Waits for the pod to be there: the executor reports nothing about a pod that just waits.
    private func podAppears(_ world: ExecutorWorld, _ name: String) async throws {
        await world.server.objects.wait { world.podNames.contains(name) }
        #expect(world.podNames.contains(name))
    }

    @Test("A step is made, begins, ends, and is told once")
    func stepRuns() async throws {
        let world = try ExecutorWorld()
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        try world.setStatus("w-step-1", Self.running)
        #expect(await KubernetesExecutor.next(&reports, where: \.isStart) != nil)
        try world.setStatus("w-step-1", ExecutorWorld.failed(3))
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .failed)
        #expect(outcome?.message == "main: Error (exit code 3)")
        #expect(outcome?.outputs.exitCode == "3")
        #expect(
            world.server.objects.createCounts.filter { $0.key.resource == "pods" }.values.allSatisfy {
                $0 == 1
            })
        await world.close()
    }

    @Test("A create whose answer is lost is not repeated as another pod: the first one is adopted")
    func lostAnswerIsAdopted() async throws {
        let world = try ExecutorWorld()
        let lost = Mutex(0)
        world.server.setFaults { request in
            guard request.method == "POST", request.place?.resource == "pods" else { return nil }
            return lost.withLock { count in
                count += 1
                return count <= 2 ? .loseAnswer : nil
            }
        }
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        try world.setStatus("w-step-1", ExecutorWorld.succeeded)
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .succeeded)
        #expect(world.server.objects.createCounts[ExecutorWorld.place("w-step-1")] == 1)
        await world.close()
    }

    @Test("A watch that is cut, too old or refused for a while loses nothing")
    func watchIsTakenUpAgain() async throws {
        let world = try ExecutorWorld()
        let count = Mutex(0)
        world.server.setFaults { request in
            guard request.verb == "watch" else { return nil }
            return count.withLock { count in
                count += 1
                if count % 3 == 1 { return .cutWatch(afterEvents: 1) }
                return count % 3 == 2
                    ? .refuse(Refusal(429, "TooManyRequests", "slow down"), retryAfter: 0)
                    : .refuse(Refusal(410, "Expired", "too old"), retryAfter: nil)
            }
        }
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        try world.setStatus("w-step-1", Self.running)
        #expect(await KubernetesExecutor.next(&reports, where: \.isStart) != nil)
        try world.setStatus("w-step-1", ExecutorWorld.succeeded)
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .succeeded)
        await world.close()
    }

    @Test("A pod that somebody deletes at work is lost, which uses up no attempt")
    func deletedByHand() async throws {
        let world = try ExecutorWorld()
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        try world.setStatus("w-step-1", Self.running)
        #expect(await KubernetesExecutor.next(&reports, where: \.isStart) != nil)
        try world.server.objects.delete(ExecutorWorld.place("w-step-1"), options: ["gracePeriodSeconds": 0])
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.isLost == true)
        await world.close()
    }

    @Test("A cancelled step's pod is deleted, and the step ends as terminated")
    func cancelled() async throws {
        let world = try ExecutorWorld()
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        await world.executor.cancel(Self.launch.key, immediately: false)
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .failed)
        #expect(outcome?.message == "terminated")
        #expect(world.podNames.isEmpty)
        await world.close()
    }

    @Test("What the cluster refuses ends the step in the cluster's words")
    func admissionDenied() async throws {
        let world = try ExecutorWorld()
        world.server.setFaults { request in
            guard request.method == "POST", request.place?.resource == "pods" else { return nil }
            return .refuse(
                Refusal(403, "Forbidden", "violates PodSecurity \"restricted:latest\""), retryAfter: nil)
        }
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .error)
        #expect(outcome?.message.contains("violates PodSecurity") == true)
        await world.close()
    }

    @Test("A quota that is full makes the step wait and say so")
    func quotaWaits() async throws {
        let world = try ExecutorWorld()
        let isFull = Mutex(true)
        world.server.setFaults { request in
            guard request.method == "POST", request.place?.resource == "pods", isFull.withLock({ $0 }) else {
                return nil
            }
            return .refuse(Refusal(403, "Forbidden", "exceeded quota: gpus"), retryAfter: nil)
        }
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        let waiting = await KubernetesExecutor.next(&reports) { $0.waitingMessage != nil }?.waitingMessage
        #expect(waiting?.contains("exceeded quota") == true)
        isFull.withLock { $0 = false }
        try await podAppears(world, "w-step-1")
        await world.close()
    }

    @Test("A result and parameters come by the termination message when there is no server")
    func terminationMessageCarries() async throws {
        let world = try ExecutorWorld()
        var launch = PodRendererTests.launch([
            "name": "step", "container": ["image": "x", "command": ["run"]],
            "outputs": ["parameters": [["name": "loss", "valueFrom": ["path": "/loss"]]]],
        ])
        launch.capturesResult = true
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        let message = #"{"exitCode":0,"result":"hi\n","parameters":{"loss":"0.5\n"},"complete":true}"#
        try world.setStatus(
            "w-step-1",
            [
                "phase": "Succeeded",
                "containerStatuses": [
                    [
                        "name": "main",
                        "state": ["terminated": ["exitCode": 0, "message": .string(message)]],
                    ]
                ],
            ])
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.outputs.result == "hi")
        #expect(outcome?.outputs.parameter("loss")?.value == "0.5")
        await world.close()
    }

    @Test("Deleting the run's object deletes all that it owns")
    func ownerTakesAll() async throws {
        let world = try ExecutorWorld()
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        let owner = ObjectPlace(
            resource: "configmaps", namespace: "ml", name: PodNames.runObject(workflow: "w", uid: "u-1"))
        try world.server.objects.delete(owner, options: [:])
        #expect(world.podNames.isEmpty)
        await world.close()
    }
}
