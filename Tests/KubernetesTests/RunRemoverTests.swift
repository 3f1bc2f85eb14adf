// Deleting a run takes all that it has in the cluster, also when the API is away or the server dies in between, and
// nothing of anybody else.

import Artifacts
import Executors
import FakeCluster
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("What deleted runs had in a cluster", .timeLimit(.minutes(5)))
struct RunRemoverTests {
    private static let gone = DeletedRun(workflowUID: "u-1", workflowName: "w", namespace: "ml")
    private static let template: JSONValue = [
        "name": "step",
        "container": [
            "image": "x", "command": ["run"],
            "env": [["name": "B", "valueFrom": ["secretKeyRef": ["name": "keys", "key": "b"]]]],
        ],
    ]
    private static var values: LaunchValues {
        LaunchValues(secrets: [
            "keys": KeyedValues(["kind": "Secret", "metadata": ["name": "keys"], "stringData": ["b": "x"]])
        ])
    }

    private static func launch(run: String = "u-1", workflow: String = "w", namespace: String = "ml")
        -> Launch
    {
        var launch = PodRendererTests.launch(template)
        launch.key = AttemptKey(workflowUID: run, nodeID: "\(workflow)-1", attempt: 0)
        (launch.workflowName, launch.namespace) = (workflow, namespace)
        launch.podName = "\(workflow)-step-1"
        launch.volumeClaimTemplates = [
            [
                "metadata": ["name": "work"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ]
        ]
        return launch
    }

    /// Kinds of which a namespace has objects, each as often as it has them.
    private static func kinds(_ world: ExecutorWorld, _ namespace: String = "ml") -> [String] {
        ["configmaps", "persistentvolumeclaims", "pods", "secrets"].flatMap { resource in
            world.server.objects.list(
                ObjectPlace(resource: resource, namespace: namespace), labels: LabelTerms("")
            ).items.map { _ in resource }
        }
    }

    private static let everything = ["configmaps", "persistentvolumeclaims", "pods", "secrets"]

    private func appears(_ world: ExecutorWorld, _ launch: Launch) async {
        let pods = ObjectPlace(resource: "pods", namespace: launch.namespace, name: launch.podName)
        await world.server.objects.wait { (try? world.server.objects.get(pods)) != nil }
    }

    @Test("Pods, claims and Secrets go with the run, though the API is away for a while at first")
    func deleted() async throws {
        let world = try ExecutorWorld()
        await world.executor.launch(Self.launch(), values: Self.values)
        let other = Self.launch(run: "u-2", workflow: "v")
        await world.executor.launch(other, values: Self.values)
        await appears(world, Self.launch())
        await appears(world, other)
        let refusals = Mutex(0)
        world.server.setFaults { request in
            guard request.place?.resource == "configmaps" else { return nil }
            return refusals.withLock { count in
                count += 1
                return count <= 8
                    ? .refuse(Refusal(503, "ServiceUnavailable", "later"), retryAfter: 0)
                    : count == 10 ? .loseAnswer : nil
            }
        }
        await world.executor.runDeleted(Self.gone)
        await world.server.objects.wait { Self.kinds(world) == Self.everything }
        #expect(
            Self.kinds(world) == Self.everything, "what is left is the other run's, with a Secret of its own")
        #expect(world.podNames == ["v-step-1"])
        await world.close()
    }

    @Test(
        "What a killed server has not deleted is found by the next, in all namespaces, and nothing else is touched"
    )
    func forgotten() async throws {
        let world = try ExecutorWorld()
        for (run, workflow, namespace) in [("u-1", "w", "ml"), ("u-2", "v", "ml"), ("u-3", "x", "lab")] {
            let launch = Self.launch(run: run, workflow: workflow, namespace: namespace)
            await world.executor.launch(launch, values: Self.values)
            await appears(world, launch)
        }
        // Another data directory's with the same instance, one of another instance, and one without a mark.
        var settings = PodSettings(stepImage: "x")
        let maps = ObjectPlace(resource: "configmaps", namespace: "ml")
        for (uid, instance, mark) in [
            ("other-1", "martlet", "0011223344"), ("other-2", "theirs", world.executor.traces.dataMark),
            ("other-3", "martlet", nil),
        ] as [(String, String, String?)] {
            settings.instance = instance
            let object = RunObjects.owner(
                workflow: "o", uid: uid, namespace: "ml", settings: settings, dataMark: mark)
            _ = try world.server.objects.create(maps, object)
        }
        await world.executor.shutDown()
        let next = try world.restarted()
        let asked = Mutex<Set<String>>([])
        let count = try await next.clearForgotten { uids in
            asked.withLock { $0.formUnion(uids) }
            return Set(uids).intersection(["u-2"])
        }
        #expect(count == 2)
        #expect(asked.withLock { $0 } == ["u-1", "u-2", "u-3"])
        #expect(world.podNames == ["v-step-1"])
        #expect(Self.kinds(world, "lab").isEmpty)
        #expect(Self.kinds(world).filter { $0 == "configmaps" }.count == 4)
        #expect(try await next.clearForgotten { Set($0).intersection(["u-2"]) } == 0)
        await next.shutDown()
        await world.close()
    }

    @Test(
        "A namespace that is closed to us keeps no other, and is told; without an answer of the database nothing goes"
    )
    func partly() async throws {
        let world = try ExecutorWorld()
        for (workflow, namespace) in [("w", "closed"), ("v", "ml")] {
            let launch = Self.launch(run: "u-\(workflow)", workflow: workflow, namespace: namespace)
            await world.executor.launch(launch, values: Self.values)
            await appears(world, launch)
        }
        struct Busy: Error {}
        await #expect(throws: Busy.self) { try await world.executor.clearForgotten { _ in throw Busy() } }
        #expect(Self.kinds(world) == Self.everything)
        world.server.setFaults { request in
            guard request.place?.namespace == "closed", request.verb == "list" else { return nil }
            return .refuse(Refusal(403, "Forbidden", "no"), retryAfter: nil)
        }
        await #expect(throws: KubernetesError.self) { try await world.executor.clearForgotten { _ in [] } }
        #expect(Self.kinds(world).isEmpty)
        #expect(Self.kinds(world, "closed") == Self.everything)
        await world.close()
    }

    @Test("What stands under the name of a run's object and is another's stays")
    func foreign() async throws {
        let world = try ExecutorWorld()
        let name = PodNames.runObject(workflow: "w", uid: "u-1")
        let maps = ObjectPlace(resource: "configmaps", namespace: "ml")
        _ = try world.server.objects.create(maps, ["metadata": ["name": .string(name)]])
        await world.executor.runDeleted(Self.gone)
        await world.executor.shutDown()
        #expect(Self.kinds(world) == ["configmaps"])
        await world.close()
    }
}
