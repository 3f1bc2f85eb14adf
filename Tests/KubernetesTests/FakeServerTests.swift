// The API server of the tests as a client sees it: patches, applied configurations, fields, kinds, bookmarks.

import FakeCluster
import Glibc
import Synchronization
import Testing
import Text

@testable import Kubernetes

@Suite("The API server of the tests over HTTP", .timeLimit(.minutes(5)))
struct FakeServerTests {
    private static let deployments = "/apis/apps/v1/namespaces/ml/deployments"
    private static let deployment: JSONValue = [
        "metadata": ["name": "d"],
        "spec": [
            "replicas": 1, "selector": ["matchLabels": ["app": "d"]],
            "template": [
                "metadata": ["labels": ["app": "d"]],
                "spec": [
                    "containers": [["name": "a", "image": "x", "tty": true], ["name": "b", "image": "y"]]
                ],
            ],
        ],
    ]
    private static let pod: JSONValue = [
        "metadata": ["name": "p"], "spec": ["containers": [["name": "main", "image": "x"]]],
    ]

    private func withServer(_ body: (FakeAPIServer, KubernetesClient) async throws -> Void) async throws {
        let server = try FakeAPIServer(now: { Timestamp(seconds: 0) })
        server.start()
        let client = try KubernetesClient(ClusterAccess(server: server.url), now: { Timestamp(seconds: 0) })
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(server, client))
        } catch {
            outcome = .failure(error)
        }
        await client.shutDown()
        server.stop()
        try outcome.get()
    }

    private func status(_ body: () async throws -> Void) async -> Int {
        do {
            try await body()
            return 200
        } catch {
            return (error as? KubernetesError)?.status ?? -1
        }
    }

    private func containers(_ object: JSONValue) -> [JSONValue] {
        object["spec"]?["template"]?["spec"]?["containers"]?.arrayValue ?? []
    }

    @Test("Each kind of patch does what it says")
    func patches() async throws {
        try await withServer { _, client in
            _ = try await client.create(Self.deployments, Self.deployment)
            let path = Self.deployments + "/d"
            let images: JSONValue = [
                "spec": ["template": ["spec": ["containers": [["name": "b", "image": "z"]]]]]
            ]
            let strategic = try await client.patch(path, .strategic, images)
            #expect(
                containers(strategic) == [
                    ["name": "a", "image": "x", "tty": true], ["name": "b", "image": "z"],
                ])
            let tty: JSONValue = [["name": "b", "image": "z", "tty": true]]
            let merge = try await client.patch(
                path, .merge, ["spec": ["template": ["spec": ["containers": tty]]]])
            #expect(containers(merge) == [["name": "b", "image": "z", "tty": true]])
            let operations: JSONValue = [
                ["op": "test", "path": "/spec/replicas", "value": 1],
                ["op": "replace", "path": "/spec/replicas", "value": 3],
                [
                    "op": "add", "path": "/spec/template/spec/containers/0",
                    "value": ["name": "n", "image": "n"],
                ],
                ["op": "remove", "path": "/spec/template/spec/containers/1/tty"],
            ]
            let listed = try await client.patch(path, .json, operations)
            #expect(listed["spec"]?["replicas"] == 3)
            #expect(containers(listed) == [["name": "n", "image": "n"], ["name": "b", "image": "z"]])
            // The first operation no longer holds, so nothing is done.
            #expect(await status { _ = try await client.patch(path, .json, operations) } == 422)
            let custom = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/ml/jobsets"
            _ = try await client.create(custom, ["kind": "JobSet", "metadata": ["name": "j"], "spec": [:]])
            #expect(
                await status { _ = try await client.patch(custom + "/j", .strategic, ["spec": [:]]) } == 415)
            #expect(await status { _ = try await client.create(custom, ["metadata": ["name": "k"]]) } == 400)
            let wrong: JSONValue = ["apiVersion": "v1", "kind": "JobSet", "metadata": ["name": "k"]]
            #expect(await status { _ = try await client.create(custom, wrong) } == 400)
        }
    }

    @Test(
        "Lists are merged by the key of their kind, and directives do what they say",
        arguments: [
            (
                ["ports": [["port": 80, "name": "web"], ["port": 443, "name": "tls"]]],
                [80: "web", 443: "tls", 2: "b"]
            ),
            (["ports": [["port": 2, "$patch": "delete"]]], [80: "a"]),
            (["ports": [["$patch": "replace"], ["port": 5, "name": "e"]]], [5: "e"]),
        ] as [(JSONValue, [Int: String])])
    func strategicLists(patch: JSONValue, ports: [Int: String]) async throws {
        try await withServer { _, client in
            let services = "/api/v1/namespaces/ml/services"
            _ = try await client.create(
                services,
                [
                    "metadata": ["name": "s"],
                    "spec": ["ports": [["port": 80, "name": "a"], ["port": 2, "name": "b"]]],
                ])
            let after = try await client.patch(services + "/s", .strategic, ["spec": patch])
            let found = after["spec"]?["ports"]?.arrayValue ?? []
            #expect(found.count == ports.count)
            for port in found { #expect(port["name"]?.stringValue == ports[port["port"]?.intValue ?? 0]) }
            let nameless: JSONValue = ["spec": ["ports": [["name": "x"]]]]
            #expect(await status { _ = try await client.patch(services + "/s", .strategic, nameless) } == 400)
        }
    }

    @Test("Fields belong to who applied them; another's are a conflict, and what is no longer applied goes")
    func serverSideApply() async throws {
        try await withServer { server, client in
            func apply(_ manager: String, _ spec: JSONValue, force: Bool = false) async throws -> JSONValue {
                let query = [("fieldManager", manager), ("force", force ? "true" : "false")]
                let body: JSONValue = [
                    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "d"], "spec": spec,
                ]
                let bytes = try await client.bytes(
                    "PATCH", Self.deployments + "/d", query, body: body, type: "application/apply-patch+yaml",
                    mayRepeat: false)
                return try JSONValue(parsingUTF8: bytes)
            }
            func pods(_ list: JSONValue) -> JSONValue { ["template": ["spec": ["containers": list]]] }
            // What the kind demands, and one applies throughout.
            func needed(_ more: [String: JSONValue]) -> JSONValue {
                let template: JSONValue = [
                    "metadata": ["labels": ["app": "d"]],
                    "spec": ["containers": [["name": "base", "image": "y"]]],
                ]
                let rest: [String: JSONValue] = [
                    "selector": ["matchLabels": ["app": "d"]], "template": template,
                ]
                return .object(more.merging(rest) { $1 })
            }
            _ = try await apply("one", needed(["replicas": 1, "paused": true]))
            let second = try await apply("two", pods([["name": "a", "image": "x"]]))
            #expect(second["spec"]?["replicas"] == 1 && containers(second).count == 2)
            #expect(await status { _ = try await apply("two", ["replicas": 5]) } == 409)
            let forced = try await apply("two", ["replicas": 5], force: true)
            #expect(forced["spec"]?["replicas"] == 5)
            // The container was only its own, and it applies it no more.
            #expect(containers(forced) == [["name": "base", "image": "y"]])
            // What it lost is not taken away with the rest.
            let less = try await apply("one", needed([:]))
            #expect(less["spec"]?["replicas"] == 5 && less["spec"]?["paused"] == nil)
            let again = try await apply("one", needed([:]))
            #expect(again["metadata"]?["resourceVersion"] == less["metadata"]?["resourceVersion"])
            // What somebody made in another way is owned by nobody who applies.
            _ = try await client.create(
                Self.deployments, ["metadata": ["name": "e"], "spec": needed(["replicas": 2])])
            let body: JSONValue = ["metadata": ["name": "e"], "spec": ["replicas": 3]]
            let taken = await status {
                _ = try await client.bytes(
                    "PATCH", Self.deployments + "/e", [("fieldManager", "one")], body: body,
                    type: "application/apply-patch+yaml", mayRepeat: false)
            }
            #expect(taken == 409)
        }
    }

    @Test("Fields select where they can, and others are refused")
    func fields() async throws {
        try await withServer { _, client in
            for name in ["a", "b"] {
                _ = try await client.create(
                    "/api/v1/namespaces/ml/pods", Self.pod.setting(["metadata", "name"], to: .string(name)))
            }
            let path = "/api/v1/pods"
            #expect(try await client.list(path, fieldSelector: "metadata.name=a").items.count == 1)
            #expect(try await client.list(path, fieldSelector: "status.phase!=Pending").items.isEmpty)
            #expect(await status { _ = try await client.list(path, fieldSelector: "spec.image=x") } == 400)
        }
    }

    @Test(
        "What a kind does not have, or lacks, is refused as strict validation refuses it",
        arguments: [
            (["spec", "containers"], [], "spec.containers: Required value"),
            (["spec", "container"], [], #"unknown field "spec.container""#),
            (["spec", "priority"], "high", "cannot unmarshal spec.priority into a value of type int64"),
            (
                ["metadata", "labels"], ["a": 1],
                "cannot unmarshal metadata.labels.a into a value of type string"
            ),
            (["spec", "containers"], [["name": "main"]], "spec.containers[0].image: Required value"),
            (
                ["spec", "containers"], [["name": "m", "image": "x", "env": [["name": "A", "value": 1]]]],
                "cannot unmarshal spec.containers[0].env[0].value into a value of type string"
            ),
        ] as [([String], JSONValue, String)])
    func strictFields(path: [String], value: JSONValue, words: String) async throws {
        try await withServer { _, client in
            let pods = "/api/v1/namespaces/ml/pods"
            await #expect {
                try await client.create(pods, Self.pod.setting(path, to: value))
            } throws: { "\($0)".contains(words) }
            _ = try await client.create(pods, Self.pod)
        }
    }

    @Test(
        "Values that make no sense are refused as Kubernetes does",
        arguments: [
            (["metadata", "labels"], ["a": "no label!"], 422), (["spec", "restartPolicy"], "Maybe", 422),
            (["spec", "activeDeadlineSeconds"], 0, 422),
            (["spec", "volumes"], [["name": "v"], ["name": "v"]], 422),
            (["spec", "containers"], [["name": "Main", "image": "x"]], 422),
            (["spec", "containers"], [["name": "a", "image": "x"], ["name": "a", "image": "x"]], 422),
            (
                ["spec", "containers"],
                [["name": "a", "image": "x", "volumeMounts": [["name": "v", "mountPath": "/v"]]]], 422
            ),
            (
                ["spec", "containers"],
                [["name": "a", "image": "x", "ports": [["containerPort": 70_000]]]], 422
            ),
            (
                ["spec", "containers"],
                [
                    [
                        "name": "a", "image": "x",
                        "resources": ["limits": ["memory": "1Gi"], "requests": ["memory": "1025Mi"]],
                    ]
                ], 422
            ),
            (
                ["spec", "containers"],
                [["name": "a", "image": "x", "resources": ["limits": ["cpu": "1x"]]]], 400
            ),
            (["kind"], "Secret", 400), (["metadata", "namespace"], "other", 400),
        ] as [([String], JSONValue, Int)])
    func wrongValues(path: [String], value: JSONValue, expected: Int) async throws {
        try await withServer { _, client in
            let pods = "/api/v1/namespaces/ml/pods"
            let wrong = Self.pod.setting(path, to: value)
            #expect(await status { _ = try await client.create(pods, wrong) } == expected)
            _ = try await client.create(pods, Self.pod)
        }
    }

    @Test(
        "A selector that is none is refused",
        arguments: ["a in (1", "a in 1)", "=", "a=1,", "a=no value!", "/a", "a/b/c"])
    func wrongSelectors(selector: String) async throws {
        try await withServer { _, client in
            #expect(
                await status {
                    _ = try await client.list("/api/v1/namespaces/ml/pods", labelSelector: selector)
                } == 400)
        }
    }

    @Test("What a kind fixes at its creation stays, and the rest may change")
    func immutableFields() async throws {
        try await withServer { _, client in
            let jobs = "/apis/batch/v1/namespaces/ml/jobs"
            let spec = Self.pod.setting(["spec", "restartPolicy"], to: "Never")["spec"] ?? [:]
            let job = try await client.create(
                jobs,
                ["metadata": ["name": "j"], "spec": ["completions": 1, "template": ["spec": spec]]])
            let selected = job.at(["spec", "selector", "matchLabels"])?.objectValue ?? [:]
            let labels = job.at(["spec", "template", "metadata", "labels"])?.objectValue ?? [:]
            #expect(!selected.isEmpty && selected.allSatisfy { labels[$0.key] == $0.value })
            let image: JSONValue = [
                "spec": ["template": ["spec": ["containers": [["name": "main", "image": "z"]]]]]
            ]
            #expect(await status { _ = try await client.patch(jobs + "/j", .strategic, image) } == 422)
            #expect(
                await status { _ = try await client.patch(jobs + "/j", .merge, ["spec": ["suspend": true]]) }
                    == 200)

            _ = try await client.create(Self.deployments, Self.deployment)
            let other: JSONValue = ["matchLabels": ["app": "other"]]
            let renamed: JSONValue = [
                "spec": ["selector": other, "template": ["metadata": ["labels": ["app": "other"]]]]
            ]
            #expect(
                await status { _ = try await client.patch(Self.deployments + "/d", .merge, renamed) } == 422)
            let unmatched = Self.deployment.setting(["spec", "selector"], to: other)
                .setting(["metadata", "name"], to: "e")
            #expect(await status { _ = try await client.create(Self.deployments, unmatched) } == 422)

            let services = "/api/v1/namespaces/ml/services"
            let service = try await client.create(
                services,
                ["metadata": ["name": "s"], "spec": ["selector": ["a": "b"], "ports": [["port": 80]]]])
            let address = try #require(service.at(["spec", "clusterIP"])?.stringValue)
            #expect(address.hasPrefix("10.96."))
            let headless = service.setting(["spec", "clusterIP"], to: "None")
            #expect(await status { _ = try await client.replace(services + "/s", headless) } == 422)
            let silent = try await client.replace(
                services + "/s", service.setting(["spec", "clusterIP"], to: nil))
            #expect(silent.at(["spec", "clusterIP"])?.stringValue == address)

            let secrets = "/api/v1/namespaces/ml/secrets"
            let secret = try await client.create(
                secrets,
                [
                    "metadata": ["name": "k"], "immutable": true, "stringData": ["a": "x"],
                    "data": ["b": "eQ=="],
                ])
            #expect(secret["stringData"] == nil && secret["data"] == ["a": "eA==", "b": "eQ=="])
            let changed: JSONValue = ["stringData": ["a": "z"]]
            #expect(await status { _ = try await client.patch(secrets + "/k", .merge, changed) } == 422)
        }
    }

    @Test("Kinds can be looked up, a list says what it is, and its items do not")
    func kinds() async throws {
        try await withServer { _, client in
            let found = try await client.get("/apis/batch/v1")
            let names = found["resources"]?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
            #expect(names.contains("jobs"))
            _ = try await client.create("/api/v1/namespaces/ml/configmaps", ["metadata": ["name": "a"]])
            let list = try await client.get("/api/v1/namespaces/ml/configmaps")
            #expect(list["kind"] == "ConfigMapList" && list["items"]?.arrayValue?.first?["kind"] == nil)
            let one = try await client.get("/api/v1/namespaces/ml/configmaps/a")
            #expect(one["kind"] == "ConfigMap" && one["apiVersion"] == "v1")
            #expect(
                await status { _ = try await client.get("/api/v1/namespaces/ml/configmaps/a/status") } == 404)
        }
    }

    @Test("A watch begins with what is there, goes on with what comes, and quiet ones get bookmarks")
    func watches() async throws {
        try await withServer { server, client in
            let path = "/api/v1/namespaces/ml/configmaps"
            _ = try await client.create(path, ["metadata": ["name": "a"]])
            let kinds = Mutex<[String]>([])
            struct Enough: Error {}
            await #expect(throws: Enough.self) {
                try await client.watch(path, from: "") { event in
                    let name = event.object["metadata"]?["name"]?.stringValue ?? ""
                    let seen = kinds.withLock { kinds in
                        kinds.append("\(event.kind.rawValue) \(name)")
                        return kinds
                    }
                    if seen.count == 1 { _ = try await client.create(path, ["metadata": ["name": "b"]]) }
                    // One may have come before the second object, where this reader is slow.
                    if event.kind == .bookmark, seen.contains("ADDED b") { throw Enough() }
                }
            }
            #expect(kinds.withLock { $0 }.filter { $0 != "BOOKMARK " } == ["ADDED a", "ADDED b"])
        }
    }
}
