// Deployments of a cluster as `martlet deployments` has them: state, model and address from the objects, under the
// shipped role.

import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Deployments of a cluster", .timeLimit(.minutes(5)))
struct DeployedModelsTests {
    private static let rolledOut: JSONValue = [
        "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
        "lastUpdateTime": "2027-01-02T00:00:00Z",
    ]
    private static let overdue: JSONValue = [
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
    ]

    private static func status(
        _ updated: Int, _ available: Int, _ all: Int? = nil, _ condition: JSONValue? = nil
    )
        -> JSONValue
    {
        [
            "observedGeneration": 1, "replicas": .int(all ?? updated), "updatedReplicas": .int(updated),
            "availableReplicas": .int(available), "conditions": condition.map { [$0] } ?? [],
        ]
    }

    private static func about(_ number: Int) -> JSONValue {
        let json: JSONValue = [
            "revision": .int(number), "model": .string("m\(number)"), "workflow": "w",
            "url": "http://chat.ml.svc:8000/v1",
        ]
        return .string(json.compactText)
    }

    private struct Case {
        var replicas: Int
        var status: JSONValue
        var notes: [String: JSONValue] = [:]
        var state: String
        var active: Int?
        var wanted: Int?
    }

    private static let cases: [Case] = [
        Case(replicas: 2, status: status(2, 2, nil, rolledOut), state: "ready", active: 1),
        Case(replicas: 2, status: status(1, 0), state: "progressing", wanted: 1),
        Case(
            replicas: 2, status: status(1, 2, 3),
            notes: [DeployMarks.about: about(2), DeployMarks.served: about(1)],
            state: "progressing", active: 1, wanted: 2),
        Case(replicas: 2, status: status(2, 1, nil, rolledOut), state: "degraded", active: 1),
        Case(replicas: 2, status: status(2, 0, nil, rolledOut), state: "down", active: 1),
        Case(replicas: 2, status: status(2, 0, nil, overdue), state: "failed", active: 1),
        Case(replicas: 0, status: status(0, 0, nil, rolledOut), state: "down", active: 1),
        Case(
            replicas: 0, status: status(0, 0), notes: [DeployMarks.failure: "bad"], state: "failed"),
        Case(
            replicas: 2, status: status(2, 2, nil, rolledOut),
            notes: [DeployMarks.failure: "bad", DeployMarks.about: about(3), DeployMarks.served: about(1)],
            state: "ready", active: 1),
    ]

    @Test("State and revisions follow from status and notes", arguments: 0..<9)
    func states(index: Int) {
        let row = Self.cases[index]
        let notes = [DeployMarks.about: Self.about(1)].merging(row.notes) { $1 }
        let metadata: JSONValue = [
            "name": "chat", "namespace": "ml", "generation": 1, "annotations": .object(notes),
            "creationTimestamp": "2027-01-01T00:00:00Z",
        ]
        let found = DeployedModels.deployment([
            "metadata": metadata, "spec": ["replicas": .int(row.replicas)], "status": row.status,
        ])
        #expect(found.state == row.state)
        #expect(found.active == row.active && found.wanted == row.wanted)
        #expect(found.revision.model == "m\(found.revision.number)")
        #expect(found.failure == notes[DeployMarks.failure]?.stringValue)
    }

    @Test("Where a deployment answers, and whether it asks for a key", arguments: [true, false])
    func door(asksForKey: Bool) throws {
        let annotations = asksForKey ? ["martlet.dev/api-key-secret": "keys"] : [:]
        let launch = DeployTests.launch(
            ["name": "chat", "model": "m", "port": 9000],
            annotations: .object(annotations.mapValues(JSONValue.string)))
        let objects = try DeployRenderer(PodSettings(stepImage: "x")).objects(for: launch, token: "")
        let found = DeployedModels.deployment(objects[0])
        #expect(found.door == .init(host: "chat.ml.svc", port: 8000, asksForKey: asksForKey))
        let service = objects.first { $0["kind"] == "Service" }
        #expect(service?["spec"]?["ports"]?.arrayValue?.first?["port"] == 8000)
    }

    private static func waiting(_ reason: String, restarts: Int = 0) -> JSONValue {
        let container: JSONValue = [
            "restartCount": .int(restarts), "state": ["waiting": ["reason": .string(reason)]],
        ]
        return ["phase": "Pending", "containerStatuses": [container]]
    }

    @Test(
        "A pod says how it is and why",
        arguments: [
            (["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]], "ready", ""),
            (waiting("ImagePullBackOff"), "starting", "ImagePullBackOff"),
            (waiting("PodInitializing"), "starting", ""),
            (waiting("CrashLoopBackOff", restarts: 3), "silent", "CrashLoopBackOff"),
            (["phase": "Failed", "reason": "Evicted"], "ended", "Evicted"),
        ] as [(JSONValue, String, String)])
    func processes(status: JSONValue, state: String, reason: String) {
        let process = DeployedModels.process(["metadata": ["name": "chat-1"], "status": status])
        #expect(process.state == state && process.reason == reason)
    }

    /// A cluster in which models come up unless they are bad.
    private func withWorld(_ body: @Sendable (ExecutorWorld, DeployExecutor) async throws -> Void)
        async throws
    {
        let world = try ExecutorWorld(role: GroupExecutorTests.role())
        let deploys = DeployExecutor(base: world.executor, pods: world.executor, pause: .milliseconds(5))
        let controller = FakeDeploymentController(objects: world.server.objects) {
            !$0.compactText.contains("\"bad\"")
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await controller.run() }
            try await body(world, deploys)
            tasks.cancelAll()
        }
        await deploys.shutDown()
        await world.close()
    }

    @Test(
        "What steps deployed is listed, scaled and taken down; what is another's is neither seen nor touched")
    func verbs() async throws {
        try await withWorld { world, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let annotations: JSONValue = [
                "martlet.dev/ingress-host": "chat.example.com", "martlet.dev/api-key-secret": "keys",
            ]
            for (attempt, model) in ["good", "bad"].enumerated() {
                let launch = DeployTests.launch(
                    ["name": "chat", "model": .string(model), "replicas": 2], annotations: annotations,
                    attempt: attempt)
                await deploys.launch(launch, values: LaunchValues())
                _ = await KubernetesExecutor.next(&reports) { $0.outcome != nil }
            }
            let objects = world.server.objects
            let place = ObjectPlace(group: "apps", resource: "deployments", namespace: "ml")
            for (name, instance) in [("theirs", "other"), ("plain", "")] {
                var labels: [String: JSONValue] = [:]
                if !instance.isEmpty {
                    labels = [
                        PodMarks.managedBy: "martlet", PodMarks.instance: .string(instance),
                        DeployMarks.deployment: .string(name),
                    ]
                }
                _ = try objects.create(
                    place,
                    [
                        "metadata": ["name": .string(name), "labels": .object(labels)],
                        "spec": ["replicas": 1],
                    ])
            }
            let served = deploys.deployments
            // The controller of Deployments sees what was restored a moment later.
            let template = ObjectPlace(group: "apps", resource: "deployments", namespace: "ml", name: "chat")
            await objects.wait {
                (try? objects.get(template)).map(RolloutVerdict.init) == .complete
            }
            let all = try await served.deployments(named: nil)
            #expect(all.map(\.name) == ["chat"])
            let found = try #require(all.first)
            #expect(found.state == "ready" && found.ready == 2 && found.active == 1)
            #expect(found.revision.number == 2 && found.revision.url == "http://chat.example.com/v1")
            #expect(found.failure?.contains("rolled back") == true)
            for name in ["theirs", "plain", "none", "no/name"] {
                #expect(try await served.deployments(named: name).isEmpty, "\(name)")
            }
            #expect(try await served.scale("chat", namespace: "ml", to: 3) == nil)
            #expect(try objects.get(template)["spec"]?["replicas"] == 3)
            #expect(try await served.scale("theirs", namespace: "ml", to: 3) != nil)
            for name in ["chat", "theirs", "plain", "none"] {
                try await served.delete(name, namespace: "ml")
            }
            let left = objects.list(place, labels: LabelTerms("")).items
            #expect(left.compactMap { $0["metadata"]?["name"]?.stringValue } == ["plain", "theirs"])
            for resource in ["services", "ingresses", "poddisruptionbudgets"] {
                let group = ["services": "", "ingresses": "networking.k8s.io"][resource] ?? "policy"
                let place = ObjectPlace(group: group, resource: resource, namespace: "ml")
                #expect(objects.list(place, labels: LabelTerms("")).items.isEmpty, "\(resource)")
            }
        }
    }

    @Test("An autoscaler is not overruled")
    func autoscaler() async throws {
        try await withWorld { _, deploys in
            var reports = deploys.reports.makeAsyncIterator()
            let launch = DeployTests.launch(
                ["name": "chat", "model": "good"], annotations: ["martlet.dev/max-replicas": "4"])
            await deploys.launch(launch, values: LaunchValues())
            _ = await KubernetesExecutor.next(&reports) { $0.outcome != nil }
            let refusal = try await deploys.deployments.scale("chat", namespace: "ml", to: 2)
            #expect(refusal?.contains("martlet.dev/max-replicas") == true)
        }
    }
}
