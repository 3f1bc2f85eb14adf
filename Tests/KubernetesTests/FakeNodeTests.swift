// The tests' node beside an API server that knows nothing of it: it makes itself known, places pods, and gives logs.

import Artifacts
import Executors
import Glibc
import Synchronization
import Testing
import Text

@testable import FakeCluster
@testable import Kubernetes

@Suite("The node of the tests as another cluster's", .timeLimit(.minutes(5)))
struct FakeNodeTests {
    /// The folder with the Supervisor; nil where it was not built.
    private static let programs = (try? SupervisorClient.locateSupervisor()).map { Disk.parent(of: $0) }

    private static func now() -> Timestamp { Timestamp(seconds: 1_800_000_000) }

    private func with(
        _ body: @Sendable (FakeAPIServer, KubernetesClient, FakeKubelet) async throws -> Void
    ) async throws {
        let directory = "/tmp/martlet-node-\(Disk.uniqueSuffix())"
        let server = try FakeAPIServer(now: Self.now)
        server.start()
        let client = try KubernetesClient(ClusterAccess(server: server.url), now: Self.now)
        let kubelet = try FakeKubelet(
            client: client, settings: .init(directory: directory, programs: Self.programs ?? ""))
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(server, client, kubelet))
        } catch {
            outcome = .failure(error)
        }
        await client.shutDown()
        server.stop()
        Disk.removeTree(directory)
        try outcome.get()
    }

    @Test(
        "A node has room, is Ready, keeps its Lease, and takes away the mark of new ones, however often it comes"
    )
    func registers() async throws {
        try await with { server, client, _ in
            let place = ObjectPlace(resource: "nodes", namespace: "")
            let mark: JSONValue = ["key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"]
            let other: JSONValue = ["key": "kept", "effect": "NoSchedule"]
            _ = try server.objects.create(
                place,
                ["kind": "Node", "metadata": ["name": "fake-node"], "spec": ["taints": [mark, other]]])
            let node = NodeObject(client: client, name: "fake-node", logPort: 10_250, now: Self.now)
            for _ in 0..<2 { try await node.register() }
            await withDiscardingTaskGroup { group in
                group.addTask { await node.run(onTrouble: { Issue.record("\($0)") }) }
                let lease = ObjectPlace(
                    group: "coordination.k8s.io", resource: "leases", namespace: "kube-node-lease",
                    name: "fake-node")
                await server.objects.wait { (try? server.objects.get(lease)) != nil }
                group.cancelAll()
            }
            let there = try await client.get("/api/v1/nodes/fake-node")
            #expect(there["spec"]?["taints"] == [other])
            #expect(there.at(["status", "allocatable", "pods"]) != nil)
            let ready = there["status"]?["conditions"]?.arrayValue?.first { $0["type"] == "Ready" }
            #expect(ready?["status"] == "True")
        }
    }

    private static func pod(_ name: String, _ more: JSONValue = [:]) -> JSONValue {
        let container: JSONValue = [
            "name": "main", "image": "x", "command": ["sh", "-c", "echo hello from $A; sleep 0.3; echo end"],
            "env": [
                ["name": "A", "valueFrom": ["secretKeyRef": ["name": "keys", "key": "a"]]]
            ],
        ]
        return StrategicMerge.apply(
            more,
            to: [
                "metadata": ["name": .string(name)],
                "spec": ["restartPolicy": "Never", "containers": [container]],
            ])
    }

    @Test(
        "Pods that nobody has placed run, those of others and gated ones do not, and logs come through the API",
        .enabled(if: programs != nil, "needs the Supervisor program beside the tests"))
    func runsPods() async throws {
        try await with { server, client, kubelet in
            let logs = try await KubeletLogs(kubelet)
            try await NodeObject(client: client, name: "fake-node", logPort: logs.port, now: Self.now)
                .register()
            let pods = "/api/v1/namespaces/ml/pods"
            _ = try await client.create(
                pods, Self.pod("gated", ["spec": ["schedulingGates": [["name": "wait"]]]]))
            _ = try await client.create(pods, Self.pod("elsewhere", ["spec": ["nodeName": "other-node"]]))
            _ = try await client.create(pods, Self.pod("ours"))
            @Sendable func state(_ name: String) -> JSONValue? {
                try? server.objects.get(ObjectPlace(resource: "pods", namespace: "ml", name: name))
            }
            await withDiscardingTaskGroup { group in
                group.addTask { await kubelet.run() }
                // The Secret that the container wants is not there, then without the key, then whole.
                func waits(_ words: String) async {
                    await server.objects.wait {
                        let main = state("ours")?["status"]?["containerStatuses"]?.arrayValue?.first
                        let waiting = main?["state"]?["waiting"]
                        return waiting?["reason"] == "CreateContainerConfigError"
                            && waiting?["message"]?.stringValue?.contains(words) == true
                    }
                }
                await waits(#"secret "keys" not found"#)
                let secrets = ObjectPlace(resource: "secrets", namespace: "ml")
                _ = try? server.objects.create(
                    secrets, ["metadata": ["name": "keys"], "stringData": ["b": "x"]])
                await waits("couldn't find key a in Secret ml/keys")
                var place = secrets
                place.name = "keys"
                _ = try? server.objects.update(place) { $0.setting(["stringData"], to: ["a": "the secret"]) }
                await server.objects.wait { state("ours")?["status"]?["phase"] != "Pending" }
                let text = try? await client.bytes(
                    "GET", pods + "/ours/log",
                    [("container", "main"), ("follow", "true"), ("timestamps", "true")],
                    mayRepeat: false)
                let lines = String(decoding: text ?? [], as: UTF8.self).split(separator: "\n").map {
                    $0.split(separator: " ", maxSplits: 1).last.map(String.init) ?? ""
                }
                #expect(lines == ["hello from the secret", "end"])
                await server.objects.wait { state("ours")?["status"]?["phase"] == "Succeeded" }
                #expect(state("ours")?["spec"]?["nodeName"] == "fake-node")
                #expect(state("gated")?["spec"]?["nodeName"] == nil)
                #expect(state("elsewhere")?["status"]?["phase"] == "Pending")
                group.cancelAll()
            }
            await logs.stop()
        }
    }
}
