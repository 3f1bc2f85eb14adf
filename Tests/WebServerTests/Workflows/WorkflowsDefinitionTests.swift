// Argo's routes over templates, cron workflows, semaphores and event bindings.

import Persistence
import Testing
import Text

@testable import WebServer

@Suite("Argo's routes over definitions")
struct WorkflowsDefinitionTests {
    private static func service() throws -> ServiceHarness {
        try ServiceHarness(groups: { [WorkflowRoutes(context: $0)] })
    }

    struct Door: Sendable, CustomTestStringConvertible {
        var path: String
        var key: String
        var object: JSONValue
        var kind: String
        var name: String
        var testDescription: String { kind }
    }

    private static let doors = [
        Door(
            path: "/api/v1/workflow-templates/default", key: "template", object: ServiceHarness.template,
            kind: "WorkflowTemplate", name: "steps"),
        Door(
            path: "/api/v1/cluster-workflow-templates", key: "template", object: ServiceHarness.template,
            kind: "ClusterWorkflowTemplate", name: "steps"),
        Door(
            path: "/api/v1/cron-workflows/default", key: "cronWorkflow", object: ServiceHarness.cron,
            kind: "CronWorkflow", name: "nightly"),
    ]

    @Test("A definition is created, shown, listed, changed and deleted", arguments: doors)
    func life(_ door: Door) async throws {
        let service = try Self.service()
        let created = try await service.send("POST", door.path, .object([door.key: door.object]))
        #expect(created.status == 200)
        #expect(created.json["kind"] == .string(door.kind))
        let uid = created.json["metadata"]?["uid"]?.stringValue ?? ""
        #expect(uid.count == 36)
        let again = try await service.send("POST", door.path, .object([door.key: door.object]))
        #expect(again.status == 409 && again.json["code"] == 6)

        let list = try await service.get(door.path)
        #expect(list.json["kind"] == .string(door.kind + "List"))
        #expect(list.json["items"]?.arrayValue?.first?["metadata"]?["name"] == .string(door.name))
        #expect(list.json["metadata"]?["resourceVersion"]?.stringValue != nil)

        let shown = try await service.get("\(door.path)/\(door.name)")
        #expect(shown.json["metadata"] == created.json["metadata"])
        let changed = shown.json.with(["metadata", "labels", "stage"], "two")
        let update = try await service.send("PUT", "\(door.path)/\(door.name)", .object([door.key: changed]))
        #expect(update.status == 200)
        #expect(update.json["metadata"]?["generation"] == 2)
        #expect(update.json["metadata"]?["uid"] == .string(uid))
        #expect(update.json["metadata"]?["labels"]?["stage"] == "two")
        // The version that was read is not the newest any more.
        let late = try await service.send(
            "PUT", "\(door.path)/\(door.name)",
            .object([door.key: changed.with(["metadata", "labels"], nil)]))
        #expect(late.status == 409)
        let other = changed.with(["metadata", "name"], "other")
        let wrong = try await service.send("PUT", "\(door.path)/\(door.name)", .object([door.key: other]))
        #expect(wrong.status == 400)

        #expect(try await service.call("DELETE", "\(door.path)/\(door.name)").json == [:])
        #expect(try await service.call("DELETE", "\(door.path)/\(door.name)").status == 404)
        #expect(try await service.get("\(door.path)/\(door.name)").status == 404)
        let gone = try await service.send(
            "PUT", "\(door.path)/\(door.name)", .object([door.key: door.object]))
        #expect(gone.status == 404)
    }

    @Test("Lint answers the object, or all that is wrong with it", arguments: doors)
    func linting(_ door: Door) async throws {
        let service = try Self.service()
        let fine = try await service.send("POST", door.path + "/lint", .object([door.key: door.object]))
        #expect(fine.status == 200 && fine.json["metadata"]?["name"] == .string(door.name))
        let field = door.key == "template" ? ["spec", "templates"] : ["spec", "workflowSpec", "templates"]
        let broken = door.object.with(field, [["name": "main", "contaner": [:]]])
        let refused = try await service.send("POST", door.path + "/lint", .object([door.key: broken]))
        #expect(refused.status == 400 && refused.json["code"] == 3)
        #expect(refused.json["message"]?.stringValue?.contains("contaner") == true)
        #expect(refused.json["diagnostics"]?.arrayValue?.isEmpty == false)
        #expect(try await service.send("POST", door.path + "/lint").status == 400)
        #expect(try await service.get(door.path).json["items"] == [])
    }

    @Test("Lists of definitions are filtered and paged")
    func listing() async throws {
        let service = try Self.service()
        let path = "/api/v1/workflow-templates/default"
        for name in ["alpha", "beta", "gamma"] {
            let object = ServiceHarness.template.with(["metadata", "name"], .string(name))
                .with(["metadata", "labels"], ["team": .string(name == "beta" ? "cv" : "nlp")])
            #expect(try await service.send("POST", path, ["template": object]).status == 200)
        }
        func names(_ query: String) async throws -> [String] {
            try await service.get("\(path)?\(query)").json["items"]?.arrayValue?
                .compactMap { $0["metadata"]?["name"]?.stringValue } ?? []
        }
        #expect(try await names("namePattern=a") == ["alpha", "beta", "gamma"])
        #expect(try await names("namePattern=mm") == ["gamma"])
        #expect(try await names("listOptions.labelSelector=team%3Dcv") == ["beta"])
        #expect(try await names("listOptions.fieldSelector=metadata.name%3Dalpha") == ["alpha"])
        let first = try await service.get("\(path)?listOptions.limit=2")
        #expect(first.json["items"]?.arrayValue?.count == 2)
        let place = first.json["metadata"]?["continue"]?.stringValue ?? ""
        #expect(
            try await names("listOptions.limit=2&listOptions.continue=\(PercentEncoding.encoded(place))") == [
                "gamma"
            ])
        #expect(try await names("fields=metadata") == [])
    }

    @Test("A cron workflow is suspended and resumed")
    func suspending() async throws {
        let service = try Self.service()
        let path = "/api/v1/cron-workflows/default"
        _ = try await service.send("POST", path, ["cronWorkflow": ServiceHarness.cron])
        let suspended = try await service.send("PUT", path + "/nightly/suspend")
        #expect(suspended.status == 200 && suspended.json["spec"]?["suspend"] == true)
        #expect(try await service.send("PUT", path + "/nightly/resume").json["spec"]?["suspend"] == false)
        #expect(try await service.send("PUT", path + "/nothing/resume").status == 404)
    }

    @Test("A run is submitted from a template with what its submitter wants otherwise")
    func submitting() async throws {
        let service = try Self.service()
        _ = try await service.send(
            "POST", "/api/v1/workflow-templates/default", ["template": ServiceHarness.template])
        let answer = try await service.send(
            "POST", "/api/v1/workflows/default/submit",
            [
                "resourceKind": "WorkflowTemplate", "resourceName": "steps",
                "submitOptions": [
                    "generateName": "mine-", "parameters": ["message=a=b"], "labels": "x=1,y=2",
                    "annotations": "note=z", "priority": 5,
                ],
            ])
        #expect(answer.status == 200)
        let metadata = answer.json["metadata"]
        #expect(metadata?["name"]?.stringValue?.hasPrefix("mine-") == true)
        #expect(metadata?["labels"]?["x"] == "1" && metadata?["annotations"]?["note"] == "z")
        #expect(metadata?["labels"]?["workflows.argoproj.io/workflow-template"] == "steps")
        let parameters = answer.json["spec"]?["arguments"]?["parameters"]?.arrayValue
        #expect(parameters?.contains(["name": "message", "value": "a=b"]) == true)
    }

    @Test(
        "What cannot be submitted is refused",
        arguments: [
            ([:], 400), (["resourceKind": "Pod", "resourceName": "x"], 400),
            (["resourceKind": "WorkflowTemplate"], 400),
            (["resourceKind": "WorkflowTemplate", "resourceName": "nothing"], 404),
            (
                [
                    "resourceKind": "WorkflowTemplate", "resourceName": "x",
                    "submitOptions": ["labels": "what"],
                ], 400
            ),
        ] as [(JSONValue, Int)])
    func refused(body: JSONValue, status: Int) async throws {
        let answer = try await Self.service().send("POST", "/api/v1/workflows/default/submit", body)
        #expect(answer.status == status)
    }

    // MARK: Semaphores

    @Test(
        "A semaphore's size is set, changed and forgotten, in the database and in a ConfigMap",
        arguments: [
            (["type": "DATABASE"], ""), (["type": "CONFIGMAP", "cmName": "sizes"], "?cmName=sizes"),
            ([:], ""),
        ] as [(JSONValue, String)])
    func limits(extra: JSONValue, query: String) async throws {
        let service = try Self.service()
        let path = "/api/v1/sync/default"
        let body = extra.with(["key"], "gpu")
        #expect(try await service.send("POST", path, body).status == 400)
        #expect(try await service.send("POST", path, body.with(["limit"], 0)).status == 400)
        let made = try await service.send("POST", path, body.with(["limit"], 2))
        #expect(made.status == 200 && made.json["limit"] == 2 && made.json["key"] == "gpu")
        #expect(try await service.send("POST", path, body.with(["limit"], 3)).status == 409)
        #expect(try await service.send("PUT", path + "/gpu", extra.with(["limit"], 4)).json["limit"] == 4)
        #expect(try await service.get(path + "/gpu" + query).json["limit"] == 4)
        #expect(try await service.send("PUT", path + "/cpu", extra.with(["limit"], 4)).status == 404)
        #expect(try await service.call("DELETE", path + "/gpu" + query).json == [:])
        #expect(try await service.get(path + "/gpu" + query).status == 404)
        #expect(try await service.call("DELETE", path + "/gpu" + query).status == 404)
        let map = try await service.store.definition(.configMap, namespace: "default", name: "sizes")
        #expect((map != nil) == !query.isEmpty)
    }

    @Test("A semaphore without a ConfigMap's name, or of an unknown kind, is refused")
    func wrongLimits() async throws {
        let service = try Self.service()
        let path = "/api/v1/sync/default"
        for body: JSONValue in [
            ["key": "a", "limit": 1, "type": "CONFIGMAP"], ["key": "a", "limit": 1, "type": "REDIS"],
            ["limit": 1], ["key": "a", "limit": "many"],
        ] {
            #expect(try await service.send("POST", path, body).status == 400)
        }
    }

    // MARK: Events

    private static let binding: JSONValue = [
        "metadata": ["name": "on-push"],
        "spec": [
            "event": ["selector": "payload.ref == \"main\" && discriminator == \"git\""],
            "submit": [
                "workflowTemplateRef": ["name": "steps"],
                "metadata": ["labels": ["from": "payload.sender.name"]],
                "arguments": [
                    "parameters": [
                        ["name": "message", "valueFrom": ["event": "payload.commit"]],
                        ["name": "agent", "valueFrom": ["event": "metadata[\"user-agent\"][0]"]],
                        ["name": "fixed", "value": "f"],
                    ]
                ],
            ],
        ],
    ]

    private static let bindings = "/api/martlet/v1/event-bindings/default"

    private static func withBinding(_ binding: JSONValue) async throws -> ServiceHarness {
        let service = try Self.service()
        _ = try await service.send(
            "POST", "/api/v1/workflow-templates/default", ["template": ServiceHarness.template])
        let made = try await service.send("POST", bindings, binding)
        #expect(made.status == 200)
        return service
    }

    @Test("An event begins what its binding wants, with arguments from it")
    func event() async throws {
        let service = try await Self.withBinding(Self.binding)
        let payload: JSONValue = ["ref": "main", "commit": "c0ffee", "sender": ["name": "ada"]]
        let answer = try await service.send(
            "POST", "/api/v1/events/default/git", payload, headers: ["user-agent": "hook", "x-a": "b"])
        #expect(answer.status == 200)
        let name = answer.json["workflows"]?.arrayValue?.first?["name"]?.stringValue ?? ""
        let run = try await service.get("/api/v1/workflows/default/\(name)")
        let parameters = run.json["spec"]?["arguments"]?["parameters"]?.arrayValue ?? []
        let values = Dictionary(
            parameters.map { ($0["name"]?.stringValue ?? "", $0["value"]?.stringValue ?? "") },
            uniquingKeysWith: { $1 })
        #expect(values == ["message": "c0ffee", "agent": "hook", "fixed": "f"])
        #expect(run.json["metadata"]?["labels"]?["from"] == "ada")
    }

    @Test(
        "An event that no binding wants begins nothing",
        arguments: [
            ("/api/v1/events/default/git", ["ref": "next"]), ("/api/v1/events/default/mail", ["ref": "main"]),
            ("/api/v1/events/other/git", ["ref": "main"]), ("/api/v1/events/default", ["ref": "main"]),
        ] as [(String, JSONValue)])
    func unwanted(path: String, payload: JSONValue) async throws {
        let service = try await Self.withBinding(Self.binding)
        let answer = try await service.send("POST", path, payload)
        #expect(answer.status == 200 && answer.json == [:])
        #expect(try await service.store.workflowCount(WorkflowQuery()) == 0)
    }

    @Test("Credentials of a webhook's sender do not reach expressions")
    func credentials() async throws {
        let spy = Self.binding.with(
            ["spec", "event", "selector"], "metadata[\"cookie\"] != nil || metadata[\"authorization\"] != nil"
        )
        let service = try await Self.withBinding(spy)
        let answer = try await service.send(
            "POST", "/api/v1/events/default/git", [:],
            headers: ["cookie": "a=b", "authorization": "Bearer x"])
        #expect(answer.json == [:])
    }

    @Test("Where one binding fails, none begins anything, and the sender hears why")
    func failing() async throws {
        let service = try await Self.withBinding(
            Self.binding.with(["spec", "event", "selector"], "payload.ref == \"main\""))
        let second = Self.binding.with(["metadata", "name"], "broken")
            .with(["spec", "event", "selector"], "payload.ref")
        #expect(try await service.send("POST", Self.bindings, second).status == 200)
        let payload: JSONValue = ["ref": "main", "commit": "c", "sender": ["name": "a"]]
        let answer = try await service.send("POST", "/api/v1/events/default/git", payload)
        #expect(answer.status == 400)
        #expect(answer.json["message"]?.stringValue?.contains("\"broken\"") == true)
        #expect(try await service.store.workflowCount(WorkflowQuery()) == 0)
    }

    @Test("Bindings are listed, replaced and deleted, and wrong ones refused")
    func bindingLife() async throws {
        let service = try await Self.withBinding(Self.binding)
        let list = try await service.get("/api/v1/workflow-event-bindings/default")
        #expect(list.json["items"]?.arrayValue?.first?["metadata"]?["name"] == "on-push")
        #expect(try await service.send("POST", Self.bindings, Self.binding).status == 409)
        let changed = Self.binding.with(["spec", "event", "selector"], "true")
        #expect(
            try await service.send("PUT", Self.bindings + "/on-push", changed).json["metadata"]?["generation"]
                == 2)
        for wrong in [
            Self.binding.with(["spec", "event", "selector"], "payload."),
            Self.binding.with(["spec", "event"], nil),
            Self.binding.with(["spec", "submit", "workflowTemplateRef"], nil),
            Self.binding.with(["metadata", "name"], "Not/Legal"),
            Self.binding.with(["metadata", "namespace"], "other"),
            Self.binding.with(["spec", "submit", "arguments", "parameters"], [["name": "x"]]),
        ] {
            #expect(try await service.send("POST", Self.bindings, wrong).status == 400)
        }
        #expect(try await service.call("DELETE", Self.bindings + "/on-push").status == 200)
        #expect(try await service.call("DELETE", Self.bindings + "/on-push").status == 404)
    }
}
