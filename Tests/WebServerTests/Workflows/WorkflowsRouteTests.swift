// Argo's routes over runs: what they answer to good and bad requests.

import Persistence
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import WebServer

@Suite("Argo's routes over runs")
struct WorkflowsRouteTests {
    private static func service() throws -> ServiceHarness {
        try ServiceHarness(groups: { [WorkflowRoutes(context: $0)] })
    }

    private static let workflow: JSONValue = [
        "metadata": ["generateName": "hello-", "labels": ["team": "nlp"]], "spec": ServiceHarness.oneStep,
    ]

    @Test("A created run is answered, stored and listed")
    func creating() async throws {
        let service = try Self.service()
        let answer = try await service.send("POST", "/api/v1/workflows/default", ["workflow": Self.workflow])
        #expect(answer.status == 200)
        let metadata = answer.json["metadata"]
        let name = metadata?["name"]?.stringValue ?? ""
        #expect(name.hasPrefix("hello-") && metadata?["namespace"] == "default")
        #expect(metadata?["uid"]?.stringValue?.isEmpty == false)
        #expect(metadata?["resourceVersion"]?.stringValue != nil)
        #expect(metadata?["labels"]?["workflows.argoproj.io/completed"] == "false")
        #expect(answer.json["status"]?["phase"]?.stringValue?.isEmpty == false)
        let list = try await service.get("/api/v1/workflows/default")
        #expect(list.json["items"]?.arrayValue?.first?["metadata"]?["name"] == .string(name))
        #expect(list.json["metadata"]?["resourceVersion"] == metadata?["resourceVersion"])
        let same = try await service.get("/api/v1/workflows/default/\(name)")
        #expect(same.json["metadata"]?["uid"] == metadata?["uid"])
    }

    @Test(
        "A run that cannot be created is refused and not stored",
        arguments: [
            ([:], 400, 3), (["workflow": ["metadata": ["name": "x"]]], 400, 3),
            (
                [
                    "workflow": [
                        "metadata": ["name": "x"], "spec": ["entrypoint": "nothing", "templates": []],
                    ]
                ], 400, 3
            ),
            (
                [
                    "workflow": [
                        "metadata": ["name": "x", "namespace": "other"], "spec": ServiceHarness.oneStep,
                    ]
                ], 400, 3
            ),
            (["workflow": ["metadata": ["name": "taken"], "spec": ServiceHarness.oneStep]], 409, 6),
            (["workflow": ["kind": "CronWorkflow", "metadata": ["name": "x"], "spec": [:]]], 400, 3),
        ] as [(JSONValue, Int, Int)])
    func refused(body: JSONValue, status: Int, code: Int) async throws {
        let service = try Self.service()
        try await service.addRun("taken")
        let answer = try await service.send("POST", "/api/v1/workflows/default", body)
        #expect(answer.status == status)
        #expect(answer.json["code"] == .int(code))
        #expect(answer.json["message"]?.stringValue?.isEmpty == false)
        #expect(answer.json["details"] == [])
        #expect(try await service.store.workflowCount(WorkflowQuery()) == 1)
    }

    @Test("A dry run answers the run and stores nothing")
    func dryRun() async throws {
        let service = try Self.service()
        for body: JSONValue in [
            ["workflow": Self.workflow, "serverDryRun": true],
            ["workflow": Self.workflow, "createOptions": ["dryRun": ["All"]]],
        ] {
            let answer = try await service.send("POST", "/api/v1/workflows/default", body)
            #expect(answer.status == 200 && answer.json["spec"]?["entrypoint"] == "main")
        }
        #expect(try await service.store.workflowCount(WorkflowQuery()) == 0)
    }

    @Test("Lists are paged without gaps and repeats, and show only what was asked for")
    func listing() async throws {
        let service = try Self.service()
        for number in 0..<7 { try await service.addRun("run-\(number)", ago: number) }
        var names: [String] = []
        var place = ""
        for _ in 0..<4 {
            let page = try await service.get(
                "/api/v1/workflows/default?listOptions.limit=3&fields=metadata,items.metadata.name"
                    + (place.isEmpty ? "" : "&listOptions.continue=\(place)"))
            let items = page.json["items"]?.arrayValue ?? []
            #expect(items.allSatisfy { $0["spec"] == nil && $0["metadata"]?.objectValue?.count == 1 })
            names += items.compactMap { $0["metadata"]?["name"]?.stringValue }
            place = page.json["metadata"]?["continue"]?.stringValue ?? ""
            if place.isEmpty { break }
        }
        #expect(names == (0..<7).map { "run-\($0)" })
    }

    @Test(
        "Lists are filtered",
        arguments: [
            ("listOptions.labelSelector=team%3Dnlp", ["b"]),
            ("listOptions.labelSelector=workflows.argoproj.io/phase%3DFailed", ["b"]),
            ("listOptions.fieldSelector=metadata.name%3Da", ["a"]),
            ("listOptions.fieldSelector=metadata.name%3Dx", []),
            ("createdAfter=2026-11-21T11:59:00Z", ["a"]), ("finishedBefore=2026-11-21T11:59:00Z", ["b"]),
            ("", ["a", "b"]),
        ] as [(String, [String])])
    func filtering(query: String, names: [String]) async throws {
        let service = try Self.service()
        try await service.addRun("a", ago: 10)
        try await service.addRun("b", phase: "Failed", labels: ["team": "nlp"], ago: 100)
        try await service.addRun("c", namespace: "other")
        let answer = try await service.get("/api/v1/workflows/default?\(query)")
        let found = answer.json["items"]?.arrayValue?.compactMap { $0["metadata"]?["name"]?.stringValue }
        #expect(found == names)
    }

    @Test("An empty namespace means all in reading, and is refused in writing")
    func allNamespaces() async throws {
        let service = try Self.service()
        try await service.addRun("c", namespace: "other")
        try await service.addRun("a")
        for path in ["/api/v1/workflows/", "/api/v1/workflows"] {
            let answer = try await service.get(path)
            #expect(answer.json["items"]?.arrayValue?.count == 2)
        }
        let created = try await service.send(
            "POST", "/api/v1/workflows/", ["namespace": "third", "workflow": Self.workflow])
        #expect(created.status == 400)
    }

    @Test(
        "A run is found by name, by uid and as the latest; others are not found",
        arguments: [
            ("a", 200), ("uid-default-a", 200), ("@latest", 200), ("c", 404), ("uid-other-c", 404),
            ("x?uid=uid-default-a", 200),
            ("x?uid=uid-other-c", 404),
        ])
    func finding(name: String, status: Int) async throws {
        let service = try Self.service()
        try await service.addRun("a", nodes: [ServiceHarness.pod("a", "")])
        try await service.addRun("c", namespace: "other")
        let answer = try await service.get("/api/v1/workflows/default/\(name)")
        #expect(answer.status == status)
        guard status == 200 else {
            #expect(answer.json["code"] == 5)
            return
        }
        #expect(answer.json["metadata"]?["name"] == "a")
        #expect(answer.json["metadata"]?["labels"]?["workflows.argoproj.io/phase"] == "Succeeded")
        #expect(answer.json["status"]?["nodes"]?["a"]?["type"] == "Pod")
        #expect(answer.json["status"]?["finishedAt"] == "2026-11-21T12:00:01Z")
    }

    @Test(
        "Verbs of a run that is not there, and bodies that make no sense, are refused",
        arguments: [
            ("retry", "x", [:], 404), ("resubmit", "x", [:], 404), ("stop", "x", [:], 404),
            ("retry", "a", ["nodeFieldSelector": "what"], 400), ("retry", "a", ["parameters": ["b"]], 400),
            ("retry", "a", [:], 400), ("set", "a", [:], 400), ("set", "a", ["phase": "Running"], 400),
            ("set", "a", ["outputParameters": "[1]"], 400), ("resume", "a", ["nodeFieldSelector": "x"], 400),
        ] as [(String, String, JSONValue, Int)])
    func verbs(verb: String, name: String, body: JSONValue, status: Int) async throws {
        let service = try Self.service()
        try await service.addRun("a")
        let answer = try await service.send("PUT", "/api/v1/workflows/default/\(name)/\(verb)", body)
        #expect(answer.status == status)
    }

    @Test("Resubmitting makes a new run with the arguments that are given")
    func resubmitting() async throws {
        let service = try Self.service()
        try await service.addRun("a")
        let answer = try await service.send(
            "PUT", "/api/v1/workflows/default/a/resubmit", ["parameters": ["message=bye=now"]])
        #expect(answer.status == 200)
        #expect(answer.json["metadata"]?["name"]?.stringValue?.hasPrefix("a-") == true)
        let parameters = answer.json["spec"]?["arguments"]?["parameters"]
        #expect(parameters == [["name": "message", "value": "bye=now"]])
        let archived = try await service.send("PUT", "/api/v1/archived-workflows/uid-default-a/resubmit")
        #expect(archived.status == 200)
    }

    @Test("Deleting a run forgets it; deleting it again finds nothing")
    func deleting() async throws {
        let service = try Self.service()
        try await service.addRun("a")
        #expect(try await service.call("DELETE", "/api/v1/workflows/default/a").json == [:])
        #expect(try await service.call("DELETE", "/api/v1/workflows/default/a").status == 404)
    }

    @Test("The archive has the runs that have ended, by uid")
    func archive() async throws {
        let service = try Self.service()
        try await service.addRun("a", labels: ["team": "nlp"])
        try await service.addRun("b", phase: "Running")
        let list = try await service.get(
            "/api/v1/archived-workflows?listOptions.fieldSelector=metadata.namespace%3Ddefault")
        #expect(list.json["items"]?.arrayValue?.map { $0["metadata"]?["name"] } == ["a"])
        #expect(try await service.get("/api/v1/archived-workflows?namePrefix=b").json["items"] == [])
        #expect(
            try await service.get("/api/v1/archived-workflows/uid-default-a").json["metadata"]?["name"] == "a"
        )
        #expect(try await service.get("/api/v1/archived-workflows/uid-default-b").status == 404)
        #expect(try await service.get("/api/v1/archived-workflows/nothing").status == 404)
        #expect(try await service.get("/api/v1/archived-workflows-label-keys").json["items"] == ["team"])
        let values = try await service.get(
            "/api/v1/archived-workflows-label-values?listOptions.labelSelector=team")
        #expect(values.json["items"] == ["nlp"])
        #expect(try await service.get("/api/v1/archived-workflows-label-values").status == 400)
        #expect(try await service.call("DELETE", "/api/v1/archived-workflows/uid-default-a").status == 200)
        #expect(try await service.get("/api/v1/archived-workflows/uid-default-a").status == 404)
    }

    @Test("Runs of namespaces that a token may not see are not there for it")
    func namespaces() async throws {
        let service = try ServiceHarness(
            configure: { $0.authentication = .token }, groups: { [WorkflowRoutes(context: $0)] })
        try await service.addRun("a")
        try await service.addRun("c", namespace: "other", labels: ["secret-project": "x"])
        let token = try await service.token(["default": .editor])
        func get(_ path: String) async throws -> HarnessAnswer { try await service.get(path, token: token) }
        #expect(try await get("/api/v1/workflows/").json["items"]?.arrayValue?.count == 1)
        #expect(try await get("/api/v1/workflows/other/c").status == 404)
        #expect(try await get("/api/v1/archived-workflows").json["items"]?.arrayValue?.count == 1)
        #expect(try await get("/api/v1/archived-workflows/uid-other-c").status == 404)
        #expect(try await get("/api/v1/archived-workflows-label-keys").json["items"] == [])
        #expect(try await get("/artifacts-by-uid/uid-other-c/n/a").status == 404)
        #expect(
            try await get("/artifact-files/default/archived-workflows/uid-other-c/n/outputs/a").status == 404)
        let body: JSONValue = ["namespace": "other", "workflow": Self.workflow]
        #expect(try await service.send("POST", "/api/v1/workflows/", body, token: token).status == 400)
        let own = try await service.send(
            "POST", "/api/v1/workflows/default", ["workflow": Self.workflow], token: token)
        #expect(own.json["metadata"]?["labels"]?["workflows.argoproj.io/creator"] == "test")
    }

    @Test(
        "What Argo Events would do is refused in words",
        arguments: ["event-sources", "sensors", "stream/sensors"])
    func eventSources(path: String) async throws {
        let answer = try await Self.service().get("/api/v1/\(path)/default")
        #expect(answer.status == 501 && answer.json["code"] == 12)
    }

    @Test("Info, version and user have all the members that clients demand")
    func info() async throws {
        let service = try Self.service()
        #expect(try await service.get("/api/v1/info").json["links"] == [])
        let version = try await service.get("/api/v1/version").json.objectValue ?? [:]
        #expect(
            Set(version.keys) == [
                "buildDate", "compiler", "gitCommit", "gitTag", "gitTreeState", "goVersion", "platform",
                "version",
            ])
        #expect(version.values.allSatisfy { $0.stringValue?.isEmpty == false })
        #expect(try await service.get("/api/v1/userinfo").json["subject"] == "local")
        #expect(try await service.send("POST", "/api/v1/tracking/event", ["name": "x"]).json == [:])
    }
}
