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

    @Test("Creates that lose the race for a quota are tried again")
    func quotaConflict() async throws {
        let world = try ExecutorWorld()
        let left = Mutex(2)
        world.server.setFaults { request in
            guard request.method == "POST", request.place?.resource == "pods" else { return nil }
            return left.withLock { left in
                guard left > 0 else { return nil }
                left -= 1
                return .refuse(
                    Refusal(409, "Conflict", "Operation cannot be fulfilled on resourcequotas \"gpus\""),
                    retryAfter: nil)
            }
        }
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        #expect(left.withLock { $0 } == 0)
        await world.close()
    }

    @Test("A watch that is refused is told to the steps that wait")
    func watchRefused() async throws {
        let world = try ExecutorWorld()
        world.server.setFaults { request in
            guard request.verb == "list", request.place?.resource == "pods" else { return nil }
            return .refuse(Refusal(403, "Forbidden", "may not list pods"), retryAfter: nil)
        }
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(Self.launch, values: LaunchValues())
        let told = await KubernetesExecutor.next(&reports) { $0.waitingMessage != nil }?.waitingMessage
        #expect(told?.contains("the pods of namespace ml cannot be watched") == true, "\(told ?? "")")
        #expect(told?.contains("may not list pods") == true)
        await world.close()
    }

    @Test("What a run owns is made again when somebody has deleted its object, and the step goes on")
    func ownerIsMadeAgain() async throws {
        let world = try ExecutorWorld()
        var reports = world.executor.reports.makeAsyncIterator()
        let maps = ObjectPlace(resource: "configmaps", namespace: "ml")
        func owners() -> [JSONValue] { world.server.objects.list(maps, labels: LabelTerms("")).items }
        await world.executor.launch(Self.launch, values: LaunchValues())
        try await podAppears(world, "w-step-1")
        let first = try #require(owners().first)
        var place = maps
        place.name = try #require(first["metadata"]?["name"]?.stringValue)
        try world.server.objects.delete(place, options: [:])
        #expect(await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome?.isLost == true)
        var again = Self.launch
        again.key.attempt = 1
        await world.executor.launch(again, values: LaunchValues())
        await world.server.objects.wait { !world.podNames.isEmpty }
        let second = try #require(owners().first)
        #expect(second["metadata"]?["uid"] != first["metadata"]?["uid"])
        let pods = world.server.objects.list(
            ObjectPlace(resource: "pods", namespace: "ml"), labels: LabelTerms("")
        ).items
        #expect(
            pods.first?["metadata"]?["ownerReferences"]?.arrayValue?.first?["uid"]
                == second["metadata"]?["uid"])
        await world.close()
    }

    @Test("Runs that use the same Secret have one each, which goes with its run")
    func secretsOfRuns() async throws {
        let world = try ExecutorWorld()
        var values = LaunchValues()
        values.secrets["token"] = KeyedValues([
            "kind": "Secret", "metadata": ["name": "token"], "stringData": ["key": "s3cret"],
        ])
        var launch = PodRendererTests.launch([
            "name": "step",
            "container": [
                "image": "x", "command": ["run"],
                "env": [["name": "T", "valueFrom": ["secretKeyRef": ["name": "token", "key": "key"]]]],
            ],
        ])
        for uid in ["run-a", "run-b"] {
            launch.key.workflowUID = uid
            launch.workflowName = uid
            await world.executor.launch(launch, values: values)
        }
        await world.server.objects.wait { world.podNames.count == 2 }
        let secrets = world.server.objects.list(
            ObjectPlace(resource: "secrets", namespace: "ml"), labels: LabelTerms("")
        ).items
        #expect(Set(secrets.compactMap { $0["metadata"]?["name"]?.stringValue }).count == 2)
        await world.close()
    }

    @Test("Jobs go through a lane in their order, by no more tasks than it has")
    func lane() {
        var lane = JobLane<Int>(limit: 2)
        #expect((0..<300).map { lane.enter($0) } == (0..<300).map { $0 < 2 })
        #expect((0..<300).map { _ in lane.next() } == Array(0..<300))
        #expect(lane.next() == nil && lane.next() == nil)
        #expect(lane.enter(7) && lane.next() == 7)
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
