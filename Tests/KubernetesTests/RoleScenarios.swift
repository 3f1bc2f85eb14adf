// What else the server does with the rights of the shipped role, beside running a step: one function for each part.

import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

enum RoleScenarios {
    /// Each acts as the token that the role binds.
    static let all: [@Sendable (ExecutorWorld) async throws -> Void] = [
        lease, groups, deploys, endedRun, deletedRuns,
    ]

    static func client(_ world: ExecutorWorld) throws -> KubernetesClient {
        var access = ClusterAccess(server: world.server.url)
        access.credentials.token = "martlet"
        return try KubernetesClient(access, now: { world.clock.now })
    }

    /// Takes a Lease, renews it once, and gives it back.
    @Sendable private static func lease(_ world: ExecutorWorld) async throws {
        let client = try client(world)
        var settings = LeaseSettings(namespace: "ml", name: "martlet", identity: "a")
        settings.retry = .milliseconds(1)
        let keeper = LeaseKeeper(client: client, settings: settings, now: { world.clock.now })
        try await keeper.acquire(onStandby: { _, _ in })
        #expect(keeper.fence.isOpen)
        await keeper.release()
        #expect(!keeper.fence.isOpen)
        let place = ObjectPlace(
            group: "coordination.k8s.io", resource: "leases", namespace: "ml", name: "martlet")
        #expect(try world.server.objects.get(place)["spec"]?["holderIdentity"] == "")
        await client.shutDown()
    }

    /// A run with a Secret and a claim of its own, whose pod is to go later, comes to its end.
    @Sendable private static func endedRun(_ world: ExecutorWorld) async throws {
        let secret: JSONValue = ["secretKeyRef": ["name": "keys", "key": "b"]]
        var launch = PodRendererTests.launch([
            "name": "step",
            "container": [
                "image": "x", "command": ["run"], "env": [["name": "B", "valueFrom": secret]],
            ],
        ])
        launch.key = AttemptKey(workflowUID: "u-2", nodeID: "w2-1", attempt: 0)
        (launch.workflowName, launch.podName) = ("w2", "w2-step-1")
        launch.podSettings = ["podGC": ["strategy": "OnPodCompletion", "deleteDelayDuration": "60s"]]
        launch.volumeClaimTemplates = [
            [
                "metadata": ["name": "work"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ]
        ]
        let keys: JSONValue = ["kind": "Secret", "metadata": ["name": "keys"], "stringData": ["b": "x"]]
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(
            launch, values: LaunchValues(configMaps: [:], secrets: ["keys": KeyedValues(keys)]))
        let objects = world.server.objects
        await objects.wait { world.podNames.contains("w2-step-1") }
        try world.setStatus("w2-step-1", ExecutorWorld.succeeded)
        #expect(await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome?.phase == .succeeded)
        await world.executor.removeWorkingFiles(workflowUID: "u-2", nodeID: "w2-1")
        let place = ExecutorWorld.place("w2-step-1")
        await objects.wait {
            (try? objects.get(place))?["metadata"]?["annotations"]?[PodGarbage.dueAnnotation] != nil
        }
        let spec: JSONValue = [
            "volumeClaimTemplates": .array(launch.volumeClaimTemplates),
            "volumeClaimGC": ["strategy": "OnWorkflowCompletion"],
        ]
        await world.executor.runEnded(
            EndedRun(
                workflowUID: "u-2", workflowName: "w2", namespace: "ml", phase: .succeeded,
                spec: WorkflowSpec(spec)))
        let claims = ObjectPlace(
            resource: "persistentvolumeclaims", namespace: "ml", name: "w2-work")
        await objects.wait { (try? objects.get(claims)) == nil }
        #expect((try? objects.get(claims)) == nil)
    }

    /// A run is deleted with what it had, and what another left is found.
    @Sendable private static func deletedRuns(_ world: ExecutorWorld) async throws {
        let objects = world.server.objects
        let maps = ObjectPlace(resource: "configmaps", namespace: "ml")
        @Sendable func names() -> Set<String> {
            Set(objects.list(maps, labels: LabelTerms("")).items.compactMap { PodMarks.runID(of: $0) })
        }
        #expect(names().contains("u-2"))
        await world.executor.runDeleted(
            DeletedRun(workflowUID: "u-2", workflowName: "w2", namespace: "ml"))
        await objects.wait { !names().contains("u-2") }
        #expect(try await world.executor.clearForgotten { Set($0) } == 0)
    }
}
