// ConfigMaps and Secrets of the manifest's documents in the cluster, and the pods that read them.

import Artifacts
import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Values that documents define", .timeLimit(.minutes(5)))
struct RunValuesTests {
    private static let template: JSONValue = [
        "name": "step",
        "container": [
            "image": "x", "command": ["run"],
            "env": [
                ["name": "A", "valueFrom": ["configMapKeyRef": ["name": "settings", "key": "a"]]],
                ["name": "B", "valueFrom": ["secretKeyRef": ["name": "keys", "key": "b"]]],
                ["name": "C", "valueFrom": ["configMapKeyRef": ["name": "clusters-own", "key": "c"]]],
            ],
            "envFrom": [["secretRef": ["name": "keys"]]],
        ],
        "volumes": [
            ["name": "v", "secret": ["secretName": "keys"]],
            [
                "name": "p",
                "projected": [
                    "sources": [["secret": ["name": "keys"]], ["configMap": ["name": "settings"]]]
                ],
            ],
        ],
    ]

    private static var values: LaunchValues {
        LaunchValues(
            configMaps: [
                "settings": KeyedValues([
                    "kind": "ConfigMap", "metadata": ["name": "settings"], "data": ["a": "1"],
                ]),
                "unused": KeyedValues([
                    "kind": "ConfigMap", "metadata": ["name": "unused"], "data": ["a": "1"],
                ]),
            ],
            secrets: [
                "keys": KeyedValues([
                    "kind": "Secret", "metadata": ["name": "keys"], "stringData": ["b": "top secret"],
                ])
            ])
    }

    private static var launch: Launch {
        var launch = PodRendererTests.launch(template)
        launch.volumes = launch.template.volumes
        return launch
    }

    @Test("References are led to the run's own objects, and only those that a document defines")
    func led() throws {
        let pod = try PodRenderer(PodRendererTests.settings).pod(for: Self.launch, owner: nil, token: "t")
        let values = RunValues(pod, Self.values) { text in text.contains("top secret") ? "ss" : "cc" }
        #expect(values.entries.map(\.clusterName) == ["settings-cc", "keys-ss"])
        let led = values.leading(pod)
        let text = led["spec"]?.compactText ?? ""
        #expect(text.contains(#""configMapKeyRef":{"key":"a","name":"settings-cc"}"#))
        #expect(text.contains(#""secretKeyRef":{"key":"b","name":"keys-ss"}"#))
        #expect(text.contains(#""secretRef":{"name":"keys-ss"}"#))
        #expect(text.contains(#""secret":{"secretName":"keys-ss"}"#))
        #expect(text.contains(#"{"secret":{"name":"keys-ss"}}"#))
        #expect(text.contains(#"{"configMap":{"name":"settings-cc"}}"#))
        #expect(text.contains(#""name":"clusters-own""#))
    }

    @Test("Pull secrets that a document defines are led, those of the cluster are not, in pods and in groups")
    func pullSecrets() throws {
        var launch = Self.launch
        launch.podSettings = ["imagePullSecrets": [["name": "keys"], ["name": "clusters-own"]]]
        let pod = try PodRenderer(PodRendererTests.settings).pod(for: launch, owner: nil, token: "t")
        let job: JSONValue = ["spec": ["template": pod]]
        for (object, path) in [(pod, ["spec"]), (job, ["spec", "template", "spec"])] {
            let values = RunValues(object, Self.values) { $0.contains("top secret") ? "ss" : "cc" }
            #expect(values.entries.map(\.clusterName) == ["settings-cc", "keys-ss"])
            let led = path.reduce(values.leading(object)) { $0[$1] ?? .null }
            #expect(led["imagePullSecrets"] == [["name": "keys-ss"], ["name": "clusters-own"]])
        }
    }

    @Test("Names change with the run and the content, tell nothing of it, and fit")
    func names() throws {
        let directory = "/tmp/martlet-values-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let exchange = try StepExchange(
            store: try LocalArtifactStore(directory: directory + "/artifacts"), dataDirectory: directory)
        #expect(exchange.mark("a") == exchange.mark("a"))
        #expect(exchange.mark("a") != exchange.mark("b"))
        #expect(exchange.mark("a").utf8.count == 10)
        var other = Self.launch
        other.key.workflowUID = "u-2"
        #expect(exchange.marking(Self.launch)("a") == exchange.marking(Self.launch)("a"))
        #expect(exchange.marking(Self.launch)("a") != exchange.marking(other)("a"))
        #expect(PodNames.marked(String(repeating: "n", count: 300), "0123456789").utf8.count == 253)
    }

    @Test("The objects are made once, before the pod, and go with the run")
    func made() async throws {
        let world = try ExecutorWorld()
        for (node, pod) in [("w-1", "w-step-1"), ("w-2", "w-step-2")] {
            var launch = Self.launch
            launch.key.nodeID = node
            launch.podName = pod
            await world.executor.launch(launch, values: Self.values)
        }
        await world.server.objects.wait { world.podNames.count == 2 }
        #expect(world.podNames.count == 2)
        let secrets = world.server.objects.list(
            ObjectPlace(resource: "secrets", namespace: "ml"), labels: LabelTerms("")
        ).items
        #expect(secrets.count == 1)
        #expect(secrets.first?["stringData"]?["b"] == "top secret" || secrets.first?["data"]?["b"] != nil)
        #expect(secrets.first?["metadata"]?["ownerReferences"]?.arrayValue?.count == 1)
        let owner = ObjectPlace(
            resource: "configmaps", namespace: "ml", name: PodNames.runObject(workflow: "w", uid: "u-1"))
        try world.server.objects.delete(owner, options: [:])
        let left = world.server.objects.list(
            ObjectPlace(resource: "secrets", namespace: "ml"), labels: LabelTerms("")
        ).items
        #expect(left.isEmpty)
        await world.close()
    }
}
