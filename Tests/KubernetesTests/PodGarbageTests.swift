// `podGC` on a cluster: which pods go, and when.

import Artifacts
import Executors
import FakeCluster
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Pods that have done their work", .timeLimit(.minutes(5)))
struct PodGarbageTests {
    private static let template: JSONValue = [
        "name": "step", "container": ["image": "busybox", "command": ["true"]],
    ]

    private static func launch(_ podGC: JSONValue, labels: [String: String] = [:]) -> Launch {
        var launch = PodRendererTests.launch(template)
        launch.podSettings = ["podGC": podGC]
        launch.labels = labels
        return launch
    }

    @Test(
        "A label selector takes what Kubernetes' own would",
        arguments: [
            ([:], true), (["matchLabels": ["a": "1"]], true), (["matchLabels": ["a": "2"]], false),
            (["matchExpressions": [["key": "a", "operator": "In", "values": ["1", "2"]]]], true),
            (["matchExpressions": [["key": "a", "operator": "NotIn", "values": ["1"]]]], false),
            (["matchExpressions": [["key": "b", "operator": "NotIn", "values": ["1"]]]], true),
            (["matchExpressions": [["key": "b", "operator": "Exists"]]], false),
            (["matchExpressions": [["key": "b", "operator": "DoesNotExist"]]], true),
            (["matchExpressions": [["key": "a", "operator": "Like"]]], false),
        ] as [(JSONValue, Bool)])
    func selectors(selector: JSONValue, isSelected: Bool) {
        #expect(ObjectSelector(selector).matches(["a": "1"]) == isSelected)
    }

    @Test("Delays are Go durations or seconds, and a plain strategy leaves no note at the pod")
    func notes() {
        #expect(PodGarbage(["deleteDelayDuration": "90s"]).delay == .seconds(90))
        #expect(PodGarbage(["deleteDelayDuration": 5]).delay == .seconds(5))
        #expect(PodGarbage(["strategy": "OnPodCompletion"]).note == nil)
        let note = PodGarbage(["strategy": "OnPodSuccess", "deleteDelayDuration": "1m"]).note
        #expect(note == #"{"deleteDelayDuration":"1m"}"#)
    }

    private func runToEnd(_ world: ExecutorWorld, _ launch: Launch) async throws {
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(launch, values: LaunchValues())
        await world.server.objects.wait { world.podNames.contains("w-step-1") }
        try world.setStatus("w-step-1", ExecutorWorld.succeeded)
        _ = await KubernetesExecutor.next(&reports) { $0.outcome != nil }
    }

    /// A server that begins after the step has ended, and learns of the namespace by another step.
    private func nextServer(_ world: ExecutorWorld) async throws -> KubernetesExecutor {
        let next = try world.restarted()
        var other = Self.launch([:])
        other.key.nodeID = "w-2"
        other.podName = "w-step-2"
        await next.launch(other, values: LaunchValues())
        await world.server.objects.wait { world.podNames.contains("w-step-2") }
        return next
    }

    @Test("Without a delay the pod goes at once, though the process ends right after")
    func atOnce() async throws {
        let world = try ExecutorWorld()
        let launch = Self.launch(["strategy": "OnPodCompletion"])
        try await runToEnd(world, launch)
        await world.executor.removeWorkingFiles(workflowUID: "u-1", nodeID: launch.key.nodeID)
        await world.executor.shutDown()
        #expect(world.podNames.isEmpty)
        await world.close()
    }

    @Test("Pods that the selector does not take stay")
    func selected() async throws {
        let world = try ExecutorWorld()
        let launch = Self.launch(
            ["strategy": "OnPodCompletion", "labelSelector": ["matchLabels": ["keep": "no"]]],
            labels: ["keep": "yes"])
        try await runToEnd(world, launch)
        await world.executor.removeWorkingFiles(workflowUID: "u-1", nodeID: launch.key.nodeID)
        await world.executor.shutDown()
        #expect(world.podNames == ["w-step-1"])
        await world.close()
    }

    @Test("A delay is kept, also by a server that began after the pod had ended")
    func delayed() async throws {
        let world = try ExecutorWorld()
        let launch = Self.launch(["strategy": "OnPodCompletion", "deleteDelayDuration": "60s"])
        try await runToEnd(world, launch)
        await world.executor.removeWorkingFiles(workflowUID: "u-1", nodeID: launch.key.nodeID)
        await world.executor.shutDown()
        #expect(world.podNames == ["w-step-1"])
        let notes = try world.server.objects.get(ExecutorWorld.place("w-step-1"))["metadata"]?["annotations"]
        #expect(notes?[PodGarbage.dueAnnotation] != nil)
        let next = try await nextServer(world)
        #expect(world.podNames.contains("w-step-1"))
        world.clock.advance(.seconds(61))
        await world.server.objects.wait { !world.podNames.contains("w-step-1") }
        await next.shutDown()
        await world.close()
    }

    @Test("What a run leaves goes although the API fails for a while, of pods from before this process, too")
    func patience() async throws {
        let world = try ExecutorWorld()
        var launch = Self.launch(["strategy": "OnPodCompletion"])
        launch.volumeClaimTemplates = [
            [
                "metadata": ["name": "work"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ]
        ]
        try await runToEnd(world, launch)
        await world.executor.shutDown()
        let next = try await nextServer(world)
        // Longer than a question is asked again by itself.
        let left = Mutex(14)
        world.server.setFaults { request in
            let isMeant =
                request.verb == "delete" || request.query["labelSelector"]?.contains("run-id") == true
            guard isMeant, left.withLock({ $0 > 0 }) else { return nil }
            left.withLock { $0 -= 1 }
            return .refuse(Refusal(503, "ServiceUnavailable", "not now"), retryAfter: nil)
        }
        await next.removeWorkingFiles(workflowUID: "u-1", nodeID: launch.key.nodeID)
        let spec: JSONValue = [
            "volumeClaimTemplates": .array(launch.volumeClaimTemplates),
            "volumeClaimGC": ["strategy": "OnWorkflowCompletion"],
        ]
        await next.runEnded(
            EndedRun(
                workflowUID: "u-1", workflowName: "w", namespace: "ml", phase: .failed,
                spec: WorkflowSpec(spec)))
        let place = ObjectPlace(resource: "persistentvolumeclaims", namespace: "ml")
        let objects = world.server.objects
        await objects.wait {
            !world.podNames.contains("w-step-1") && objects.list(place, labels: LabelTerms("")).items.isEmpty
        }
        #expect(world.podNames == ["w-step-2"])
        #expect(objects.list(place, labels: LabelTerms("")).items.isEmpty && left.withLock { $0 } == 0)
        await next.shutDown()
        await world.close()
    }

    @Test(
        "Claims of a run go when volumeClaimGC says so",
        arguments: [
            (nil, Phase.succeeded, true), (nil, .failed, false), ("OnWorkflowCompletion", .failed, true),
            ("OnWorkflowSuccess", .failed, false),
        ] as [(String?, Phase, Bool)])
    func claims(strategy: String?, phase: Phase, isGone: Bool) async throws {
        let world = try ExecutorWorld()
        var spec: [String: JSONValue] = [
            "volumeClaimTemplates": [
                [
                    "metadata": ["name": "work"],
                    "spec": [
                        "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]],
                    ],
                ]
            ]
        ]
        if let strategy { spec["volumeClaimGC"] = ["strategy": .string(strategy)] }
        var launch = Self.launch([:])
        launch.volumeClaimTemplates = spec["volumeClaimTemplates"]?.arrayValue ?? []
        try await runToEnd(world, launch)
        let place = ObjectPlace(resource: "persistentvolumeclaims", namespace: "ml")
        #expect(world.server.objects.list(place, labels: LabelTerms("")).items.count == 1)
        await world.executor.runEnded(
            EndedRun(
                workflowUID: "u-1", workflowName: "w", namespace: "ml", phase: phase,
                spec: WorkflowSpec(.object(spec))))
        await world.executor.shutDown()
        #expect(world.server.objects.list(place, labels: LabelTerms("")).items.isEmpty == isGone)
        await world.close()
    }
}
