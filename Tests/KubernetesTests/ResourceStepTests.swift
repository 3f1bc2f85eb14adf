// `resource` templates on an API server: JobSet, PyTorchJob and TrainJob are made once, waited for, and read.

import Artifacts
import Executors
import FakeCluster
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Resource templates", .timeLimit(.minutes(5)))
struct ResourceStepTests {
    private static func launch(_ resource: JSONValue, outputs: JSONValue = [:]) -> Launch {
        PodRendererTests.launch(["name": "step", "resource": resource, "outputs": outputs])
    }

    private static let jobSet = """
        apiVersion: jobset.x-k8s.io/v1alpha2
        kind: JobSet
        metadata:
          generateName: train-
        spec:
          replicatedJobs:
          - name: workers
            replicas: 1
        """

    private static func place(_ group: String, _ plural: String, _ name: String) -> ObjectPlace {
        ObjectPlace(group: group, resource: plural, namespace: "ml", name: name)
    }

    /// Waits until the cluster has one object of the kind.
    private func appears(_ world: ExecutorWorld, _ group: String, _ plural: String) async throws -> String {
        let place = ObjectPlace(group: group, resource: plural, namespace: "ml")
        let objects = world.server.objects
        @Sendable func name() -> String? {
            objects.list(place, labels: LabelTerms("")).items.first?["metadata"]?["name"]?.stringValue
        }
        await objects.wait { name() != nil }
        return try #require(name())
    }

    private func setStatus(_ world: ExecutorWorld, _ place: ObjectPlace, _ status: JSONValue) throws {
        var place = place
        place.subresource = "status"
        _ = try world.server.objects.update(place) { object throws(Refusal) in
            StrategicMerge.apply(["status": status], to: object)
        }
    }

    private func outcome(_ world: ExecutorWorld) async -> AttemptOutcome? {
        var reports = world.executor.reports.makeAsyncIterator()
        return await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
    }

    @Test("A JobSet is made once though the answer is lost, owned by the run, waited for and read")
    func jobSet() async throws {
        let world = try ExecutorWorld()
        let lost = Mutex(0)
        world.server.setFaults { request in
            guard request.method == "POST", request.place?.resource == "jobsets" else { return nil }
            return lost.withLock { count in
                count += 1
                return count == 1 ? .loseAnswer : nil
            }
        }
        let launch = Self.launch(
            [
                "action": "create", "setOwnerReference": true, "manifest": .string(Self.jobSet),
                "successCondition": "status.terminalState == Completed",
                "failureCondition": "status.terminalState == Failed",
            ],
            outputs: [
                "parameters": [
                    ["name": "name", "valueFrom": ["jsonPath": "{.metadata.name}"]],
                    ["name": "state", "valueFrom": ["jqFilter": ".status.terminalState"]],
                ]
            ])
        await world.executor.launch(launch, values: LaunchValues())
        let name = try await appears(world, "jobset.x-k8s.io", "jobsets")
        #expect(name.hasPrefix("train-") && name.utf8.count > 6)
        let place = Self.place("jobset.x-k8s.io", "jobsets", name)
        let owners = try world.server.objects.get(place)["metadata"]?["ownerReferences"]?.arrayValue
        #expect(owners?.first?["kind"] == "ConfigMap")
        try setStatus(world, place, ["terminalState": "Completed"])
        let outcome = await outcome(world)
        #expect(outcome?.phase == .succeeded)
        #expect(outcome?.outputs.parameter("name")?.value == name)
        #expect(outcome?.outputs.parameter("state")?.value == "Completed")
        #expect(
            world.server.objects.createCounts.filter { $0.key.resource == "jobsets" }.values.allSatisfy {
                $0 == 1
            })
        #expect(lost.withLock { $0 } == 2)
        await world.close()
    }

    @Test(
        "A JSON patch of which nobody knows whether it was applied is not sent again, others are",
        arguments: [(500, true), (504, true), (429, false), (503, true)], ["json", "merge"])
    func uncertainPatch(answer: (status: Int, isUncertain: Bool), strategy: String) async throws {
        let world = try ExecutorWorld()
        let place = ObjectPlace(resource: "configmaps", namespace: "ml")
        _ = try world.server.objects.create(place, ["metadata": ["name": "list"], "data": ["x": "1"]])
        let count = Mutex(0)
        world.server.setFaults { request in
            guard request.method == "PATCH" else { return nil }
            let isFirst = count.withLock { count in
                count += 1
                return count == 1
            }
            let refusal = Refusal(answer.status, "Timeout", "etcdserver: request timed out")
            guard isFirst else { return nil }
            return answer.isUncertain ? .failAfterwards(refusal) : .refuse(refusal, retryAfter: 0)
        }
        let patch =
            strategy == "json"
            ? #"[{"op": "test", "path": "/data/x", "value": "1"}, {"op": "replace", "path": "/data/x", "value": "2"}]"#
            : #"{"data": {"x": "2"}}"#
        await world.executor.launch(
            Self.launch([
                "action": "patch", "mergeStrategy": .string(strategy), "flags": ["configmap", "list"],
                "manifest": .string(patch),
            ]), values: LaunchValues())
        let outcome = await outcome(world)
        let isGivenUp = strategy == "json" && answer.isUncertain
        #expect(outcome?.phase == (isGivenUp ? .error : .succeeded), "\(outcome?.message ?? "")")
        #expect(count.withLock { $0 } == (isGivenUp ? 1 : 2))
        #expect(!isGivenUp || outcome?.message.contains("whether the JSON patch was applied") == true)
        await world.close()
    }

    @Test("A PyTorchJob whose failure condition holds fails the step in the condition's words")
    func pyTorchJob() async throws {
        let world = try ExecutorWorld()
        let manifest = """
            {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "ddp"},
             "spec": {"pytorchReplicaSpecs": {"Master": {"replicas": 1}}}}
            """
        let launch = Self.launch([
            "action": "apply", "manifest": .string(manifest),
            "successCondition": "status.replicaStatuses.Master.succeeded > 0",
            "failureCondition": "status.replicaStatuses.Master.failed > 0",
        ])
        await world.executor.launch(launch, values: LaunchValues())
        _ = try await appears(world, "kubeflow.org", "pytorchjobs")
        try setStatus(
            world, Self.place("kubeflow.org", "pytorchjobs", "ddp"),
            ["replicaStatuses": ["Master": ["failed": 1]]])
        let outcome = await outcome(world)
        #expect(outcome?.phase == .failed)
        #expect(
            outcome?.message == "failure condition 'status.replicaStatuses.Master.failed > 0' evaluated true")
        await world.close()
    }

    @Test("A server that restarts takes a TrainJob up where it was, and makes no second one")
    func restart() async throws {
        let world = try ExecutorWorld()
        let manifest = """
            apiVersion: trainer.kubeflow.org/v1alpha1
            kind: TrainJob
            metadata: {name: tune}
            spec: {runtimeRef: {name: torch-distributed}}
            """
        let launch = Self.launch([
            "action": "create", "manifest": .string(manifest),
            "successCondition": #"status.conditions.#(type=="Complete").status == True"#,
        ])
        await world.executor.launch(launch, values: LaunchValues())
        _ = try await appears(world, "trainer.kubeflow.org", "trainjobs")
        let next = try world.restarted()
        await world.executor.shutDown()
        await next.launch(launch, values: LaunchValues())
        try setStatus(
            world, Self.place("trainer.kubeflow.org", "trainjobs", "tune"),
            ["conditions": [["type": "Complete", "status": "True"]]])
        var reports = next.reports.makeAsyncIterator()
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .succeeded)
        #expect(
            world.server.objects.createCounts.filter { $0.key.resource == "trainjobs" }.values.allSatisfy {
                $0 == 1
            })
        await next.shutDown()
        await world.close()
    }

    @Test("A kind that was installed while the server ran is found, also by its name with the group")
    func lateKind() async throws {
        let world = try ExecutorWorld()
        let kinds = ResourceKinds(client: world.executor.client)
        world.server.hide(["JobSet"])
        let version = "jobset.x-k8s.io/v1alpha2"
        await #expect(throws: PodProblem.self) { try await kinds.kind("JobSet", apiVersion: version) }
        await #expect(throws: PodProblem.self) { try await kinds.kind(word: "jobsets.jobset.x-k8s.io") }
        world.server.hide([])
        #expect(try await kinds.kind(word: "jobsets.jobset.x-k8s.io").plural == "jobsets")
        world.server.hide(["JobSet"])
        // What was found once needs no second question.
        #expect(try await kinds.kind("JobSet", apiVersion: version).plural == "jobsets")
        await world.close()
    }

    @Test("An object of somebody else's is not taken for the step's own")
    func foreign() async throws {
        let world = try ExecutorWorld()
        let place = ObjectPlace(resource: "configmaps", namespace: "ml")
        _ = try world.server.objects.create(
            place, ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "taken"]])
        let manifest = #"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken"}}"#
        await world.executor.launch(
            Self.launch(["action": "create", "manifest": .string(manifest)]), values: LaunchValues())
        let outcome = await outcome(world)
        #expect(outcome?.phase == .failed)
        #expect(outcome?.message.contains("already exists") == true)
        await world.close()
    }

    @Test("Patch, get and delete find the object by manifest or by words")
    func otherActions() async throws {
        let world = try ExecutorWorld()
        let place = ObjectPlace(resource: "configmaps", namespace: "ml")
        _ = try world.server.objects.create(
            place,
            ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "c"], "data": ["a": "1"]])
        let patch =
            #"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"b": "2"}}"#
        var reports = world.executor.reports.makeAsyncIterator()
        func run(_ resource: JSONValue, _ node: String, outputs: JSONValue = [:]) async -> AttemptOutcome? {
            var launch = Self.launch(resource, outputs: outputs)
            launch.key.nodeID = node
            await world.executor.launch(launch, values: LaunchValues())
            return await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        }
        let patched = await run(
            ["action": "patch", "mergeStrategy": "merge", "manifest": .string(patch)], "n-1",
            outputs: ["parameters": [["name": "both", "valueFrom": ["jqFilter": ".data.a + .data.b"]]]])
        #expect(patched?.outputs.parameter("both")?.value == "12", "\(patched?.message ?? "")")
        let read = await run(
            ["action": "get", "flags": ["configmap", "c"]], "n-2",
            outputs: ["parameters": [["name": "b", "valueFrom": ["jsonPath": "{.data.b}"]]]])
        #expect(read?.outputs.parameter("b")?.value == "2", "\(read?.message ?? "")")
        let gone = await run(["action": "delete", "flags": ["configmap/c"]], "n-3")
        #expect(gone?.phase == .succeeded, "\(gone?.message ?? "")")
        #expect(
            (try? world.server.objects.get(ObjectPlace(resource: "configmaps", namespace: "ml", name: "c")))
                == nil)
        // Once more it is no failure: what was asked for is so.
        #expect(await run(["action": "delete", "flags": ["configmap/c"]], "n-4")?.phase == .succeeded)
        let missing = await run(["action": "get", "flags": ["configmap", "c"]], "n-5")
        #expect(missing?.phase == .failed)
        await world.close()
    }

    @Test("A step that is cancelled waits no longer, and leaves what it made")
    func cancelled() async throws {
        let world = try ExecutorWorld()
        let launch = Self.launch([
            "action": "create", "manifest": .string(Self.jobSet), "successCondition": "status.done == true",
        ])
        await world.executor.launch(launch, values: LaunchValues())
        let name = try await appears(world, "jobset.x-k8s.io", "jobsets")
        await world.executor.cancel(launch.key, immediately: false)
        #expect(await outcome(world)?.message == "terminated")
        #expect((try? world.server.objects.get(Self.place("jobset.x-k8s.io", "jobsets", name))) != nil)
        await world.close()
    }

    @Test(
        "What cannot be carried out is refused before the cluster is asked",
        arguments: [
            (["action": "create", "manifest": "a: 1"], "apiVersion, kind and metadata"),
            (["action": "delete"], "of which object"),
            (
                [
                    "action": "create",
                    "manifest": "{kind: A, apiVersion: v1}\n---\n{kind: A, apiVersion: v1}",
                ], "2 documents"
            ),
            (["action": "get", "flags": ["--raw"]], "--raw"),
            (["action": "get", "flags": ["pods", "a"], "successCondition": "a ~ b"], "a ~ b"),
        ] as [(JSONValue, String)])
    func refused(resource: JSONValue, why: String) {
        do throws(PodProblem) {
            _ = try ResourceTemplate(resource, manifest: resource["manifest"]?.stringValue)
            Issue.record("it was taken")
        } catch {
            #expect(error.description.contains(why), "\(error.description)")
        }
    }
}
