// The client: kubeconfig files, lists by pages, waiting when asked to, and rights by the role that is shipped.

import Artifacts
import Executors
import FakeCluster
import Glibc
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("The Kubernetes client", .timeLimit(.minutes(5)))
struct KubernetesClientTests {
    private func kubeconfig(_ text: String) throws -> Kubeconfig {
        let path = "/tmp/martlet-kubeconfig-\(Disk.uniqueSuffix())"
        defer { unlink(path) }
        try Disk.write(Array(text.utf8), to: path)
        return try Kubeconfig(paths: [path])
    }

    private static let text = """
        apiVersion: v1
        kind: Config
        current-context: a
        clusters:
        - name: one
          cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: Y2E=, tls-server-name: api, proxy-url: "http://p:3128"}
        - name: two
          cluster: {server: "https://two/k8s/clusters/x", insecure-skip-tls-verify: true}
        users:
        - name: cert
          user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}
        - name: plug
          user:
            exec:
              apiVersion: client.authentication.k8s.io/v1
              command: get-token
              args: [--cluster, x]
              env: [{name: A, value: b}]
              interactiveMode: Never
        contexts:
        - name: a
          context: {cluster: one, user: cert, namespace: ml}
        - name: b
          context: {cluster: two, user: plug}
        """

    @Test("A kubeconfig's contexts say where and as whom")
    func contexts() throws {
        let config = try kubeconfig(Self.text)
        let first = try config.access(context: nil)
        #expect(first.server == "https://10.0.0.1:6443")
        #expect(first.authority == Array("ca".utf8))
        #expect(first.tlsServerName == "api")
        #expect(first.proxy == "http://p:3128")
        #expect(first.namespace == "ml")
        #expect(first.credentials.certificate?.key == Array("key".utf8))
        let second = try config.access(context: "b")
        #expect(second.skipsVerification)
        #expect(second.credentials.plugin?.command == "get-token")
        #expect(second.credentials.plugin?.arguments == ["--cluster", "x"])
        #expect(second.credentials.plugin?.environment == ["A": "b"])
        #expect { try config.access(context: "c") } throws: { "\($0)".contains("it has a, b") }
    }

    @Test("A credential plugin's token is used until it expires")
    func plugin() async throws {
        let counter = "/tmp/martlet-plugin-\(Disk.uniqueSuffix())"
        defer { unlink(counter) }
        let script = """
            echo noise >&2; echo x >> \(counter)
            echo '{"kind":"ExecCredential","status":{"token":"t'$(wc -l < \(counter))'","expirationTimestamp":"2026-01-01T01:00:00Z"}}'
            """
        var access = ClusterAccess(server: "https://x")
        access.credentials.plugin = CredentialPlugin(
            apiVersion: "client.authentication.k8s.io/v1", command: "sh", arguments: ["-c", script],
            environment: [:], installHint: nil, cluster: nil)
        let moment = Mutex(try #require(Timestamp(rfc3339: "2026-01-01T00:00:00Z")))
        let source = CredentialSource(access, now: { moment.withLock { $0 } })
        #expect(try await source.current().authorization == "Bearer t1")
        #expect(try await source.current().authorization == "Bearer t1")
        moment.withLock { $0 = $0 + .seconds(3590) }
        #expect(try await source.current().authorization == "Bearer t2")
    }

    @Test("A token file is read again, since tokens change")
    func tokenFile() async throws {
        let path = "/tmp/martlet-token-\(Disk.uniqueSuffix())"
        defer { unlink(path) }
        var access = ClusterAccess(server: "https://x")
        access.credentials.tokenFile = path
        let moment = Mutex(Timestamp(seconds: 0))
        let source = CredentialSource(access, now: { moment.withLock { $0 } })
        try Disk.write(Array("one\n".utf8), to: path)
        #expect(try await source.current().authorization == "Bearer one")
        try Disk.write(Array("two\n".utf8), to: path)
        #expect(try await source.current().authorization == "Bearer one")
        moment.withLock { $0 = $0 + .seconds(61) }
        #expect(try await source.current().authorization == "Bearer two")
    }

    @Test("Base64 is read as it is written", arguments: ["", "a", "ab", "abc", "abcd", "\u{0}\u{7F}é"])
    func base64(text: String) {
        let bytes = Array(text.utf8)
        #expect(Base64Text.bytes(Base64Text.text(bytes)) == bytes)
    }

    @Test(
        "Addresses of servers are taken apart",
        arguments: [
            ("https://10.0.0.1:6443", "10.0.0.1", 6443, ""), ("https://[::1]:8443/x", "::1", 8443, "/x"),
            ("http://proxy", "proxy", nil, ""), ("https://u:p@h:1/a/b", "h", 1, "/a/b"),
        ] as [(String, String, Int?, String)])
    func addresses(text: String, host: String, port: Int?, path: String) throws {
        let address = try #require(ServerAddress(text))
        #expect(address.host == host && address.port == port && address.path == path)
    }

    private func world() throws -> (FakeAPIServer, KubernetesClient) {
        let server = try FakeAPIServer(now: { Timestamp(seconds: 0) })
        server.start()
        return (
            server, try KubernetesClient(ClusterAccess(server: server.url), now: { Timestamp(seconds: 0) })
        )
    }

    @Test("A list of more than a page is read whole")
    func pages() async throws {
        let (server, client) = try world()
        for index in 0..<1203 {
            let place = ObjectPlace(resource: "configmaps", namespace: "ml")
            _ = try server.objects.create(place, ["metadata": ["name": .string("c\(index)")]])
        }
        let (items, _) = try await client.list("/api/v1/namespaces/ml/configmaps")
        #expect(items.count == 1203)
        await client.shutDown()
        server.stop()
    }

    @Test("A request that the API puts off is sent again, also one that changes something")
    func putOff() async throws {
        let (server, client) = try world()
        let count = Mutex(0)
        server.setFaults { _ in
            count.withLock { count in
                count += 1
                return count < 3 ? .refuse(Refusal(429, "TooManyRequests", "wait"), retryAfter: 0) : nil
            }
        }
        let made = try await client.create(
            "/api/v1/namespaces/ml/configmaps", ["metadata": ["generateName": "a-"]])
        #expect(made["metadata"]?["name"]?.stringValue?.hasPrefix("a-") == true)
        #expect(count.withLock { $0 } == 3)
        await client.shutDown()
        server.stop()
    }

    @Test("An update with an old version is a conflict, and one with the current version is not")
    func conflicts() async throws {
        let (server, client) = try world()
        let path = "/api/v1/namespaces/ml/configmaps"
        let first = try await client.create(path, ["metadata": ["name": "a"], "data": ["x": "1"]])
        let next = StrategicMerge.apply(["data": ["x": "2"]], to: first)
        _ = try await client.replace(path + "/a", next)
        await #expect {
            try await client.replace(path + "/a", first)
        } throws: { ($0 as? KubernetesError)?.isConflict == true }
        await client.shutDown()
        server.stop()
    }

    @Test("The shipped role allows what is done, and nothing that is not")
    func roleIsExact() async throws {
        let role = try GroupExecutorTests.role(["role.yaml", "lease.yaml"])
        let world = try ExecutorWorld(role: role)
        var reports = world.executor.reports.makeAsyncIterator()
        var launch = PodRendererTests.launch([
            "name": "step",
            "container": [
                "image": "x", "command": ["true"], "volumeMounts": [["name": "d", "mountPath": "/d"]],
            ],
        ])
        launch.volumeClaimTemplates = [
            [
                "metadata": ["name": "d"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ]
        ]
        // Made by an earlier life of the server: they are found, for which it must be allowed to look.
        let owner = RunObjects.owner(
            workflow: "w", uid: "u-1", namespace: "ml", settings: PodSettings(stepImage: "x"))
        _ = try world.server.objects.create(ObjectPlace(resource: "configmaps", namespace: "ml"), owner)
        let claim = ObjectPlace(resource: "persistentvolumeclaims", namespace: "ml")
        _ = try world.server.objects.create(
            claim, ["metadata": ["name": "w-d", "annotations": ["martlet.dev/run-id": "u-1"]]])
        let pod = try world.executor.renderer.pod(for: launch, owner: nil, token: "")
        _ = try world.server.objects.create(ExecutorWorld.place(""), pod)
        await world.executor.launch(launch, values: LaunchValues())
        try world.setStatus("w-step-1", ExecutorWorld.succeeded)
        #expect(await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome?.phase == .succeeded)
        await world.executor.removeWorkingFiles(workflowUID: "u-1", nodeID: "w-1")
        await world.server.objects.wait { world.podNames.isEmpty }
        #expect(world.podNames.isEmpty)
        var allowed: Set<String> = []
        for rule in Fields(role).list("rules").map({ Fields($0) }) {
            for resource in rule.strings("resources") {
                for verb in rule.strings("verbs") { allowed.insert("\(verb) \(resource)") }
            }
        }
        for scenario in RoleScenarios.all { try await scenario(world) }
        #expect(Set(world.server.usedVerbs.keys) == allowed)
        await world.close()
    }
}
