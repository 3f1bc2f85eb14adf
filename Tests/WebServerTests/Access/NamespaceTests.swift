// What a token of one namespace learns of another one through any route: nothing.

import Controller
import Persistence
import Scheduling
import Testing
import Text

@testable import WebServer

@Suite("Namespaces are closed to those without a role in them")
struct NamespaceTests {
    /// In the names and texts of everything in namespace `other`.
    private static let canary = "canary-4711"

    private struct Scene {
        var service: ServiceHarness
        /// A run in `other`.
        var uid: String
        /// An administrator of `mine` only.
        var token: String
    }

    private static func scene() async throws -> Scene {
        let service = try ServiceHarness(configure: { $0.authentication = .token })
        let workflow: JSONValue = [
            "metadata": ["name": .string(canary), "labels": ["team": .string(canary)]],
            "spec": [
                "entrypoint": "main", "arguments": ["parameters": [["name": "p", "value": .string(canary)]]],
                "templates": [["name": "main", "container": ["image": "x", "command": ["true"]]]],
            ],
        ]
        let state = try await service.operations.create(workflow, namespace: "other")
        for (kind, spec) in [
            (DefinitionKind.workflowTemplate, workflow["spec"] ?? .null),
            (.cronWorkflow, ["schedules": ["0 0 * * *"], "workflowSpec": workflow["spec"] ?? .null]),
        ] as [(DefinitionKind, JSONValue)] {
            _ = try await service.operations.put(
                kind, ["metadata": ["name": .string(canary)], "spec": spec], namespace: "other", if: .absent)
        }
        let token = try await service.token(["mine": .admin])
        return Scene(service: service, uid: state.uid, token: token)
    }

    /// A path of a route with parameters that lead to the other namespace's things, from within one that may be seen.
    private static func path(_ route: ServiceRoute, namespace: String, name: String, uid: String) -> String {
        var path = route.pattern
        for (parameter, value) in [
            ("namespace", namespace), ("uid", uid), ("name", name), ("node", uid), ("nodeId", uid),
            ("path...", "x"),
        ] { path = path.replacing("{\(parameter)}", with: value) }
        while let start = path.firstIndex(of: "{"), let end = path.firstIndex(of: "}") {
            path.replaceSubrange(start...end, with: "x")
        }
        return path
    }

    /// The route's paths with all that they may name, each once.
    private static func paths(_ route: ServiceRoute, _ scene: Scene) -> Set<String> {
        Set(
            ["mine", "other"].flatMap { namespace in
                [canary, scene.uid].map { path(route, namespace: namespace, name: $0, uid: scene.uid) }
            })
    }

    @Test("No reading route shows anything of another namespace")
    func reading() async throws {
        let scene = try await Self.scene()
        try await scene.service.running { try await Self.read(scene) }
    }

    private static func read(_ scene: Scene) async throws {
        let queries = [
            "", "?namespace=other", "?q=canary&namespace=other", "?runs=\(scene.uid),\(scene.uid)",
            "?namespace=", "?q=canary", "?listOptions.labelSelector=team=\(Self.canary)",
            "?namePrefix=canary", "?listOptions.fieldSelector=metadata.namespace=other",
        ]
        var count = 0
        for route in scene.service.responder.router.routes where route.method == "GET" {
            for path in Self.paths(route, scene) {
                for query in queries {
                    let answer = try await scene.service.call(
                        "GET", path + query, headers: ["accept": "text/event-stream"],
                        token: scene.token, stopWhen: Self.isSilent)
                    // Refusals may repeat what was asked for.
                    guard answer.status < 400 else { continue }
                    let shows = answer.text.contains(Self.canary) || answer.text.contains(scene.uid)
                    #expect(!shows, "\(path)\(query): \(answer.text.prefix(300))")
                    count += 1
                }
            }
            if case .run = route.access {
                let path = Self.path(route, namespace: "mine", name: Self.canary, uid: scene.uid)
                let absent = Self.path(route, namespace: "mine", name: Self.canary, uid: "nobody")
                let there = try await scene.service.get(path, token: scene.token)
                let nowhere = try await scene.service.get(absent, token: scene.token)
                #expect(there.status == 404, "\(path)")
                #expect(nowhere.status == 404, "\(absent)")
            }
        }
        #expect(count > 50)
    }

    /// Whether a stream has begun and found nothing more to say: the first comment shows that it is heard, the second
    /// that it waits.
    @Sendable private static func isSilent(_ text: String) -> Bool {
        text.hasPrefix("id: ") || text.split(separator: "\n").filter { $0.hasPrefix(":") }.count > 1
    }

    @Test(
        "No stream tells what happens in another namespace",
        arguments: [
            "/api/martlet/v1/stream", "/api/v1/workflow-events/", "/api/v1/workflow-events/mine",
            "/api/v1/stream/events/", "/api/v1/stream/events/mine",
        ])
    func streams(target: String) async throws {
        let scene = try await Self.scene()
        let service = scene.service
        let own = try await service.addRun("own", namespace: "mine", phase: "Running")
        let text = try await service.running {
            try await service.listen(
                target, headers: ["accept": "text/event-stream"], token: scene.token
            ) { client in
                _ = await client.heard { !$0.isEmpty }
                for (uid, word) in [(scene.uid, Self.canary), (own, "seen-by-me")] {
                    let event = EventRow(at: service.clock.now, kind: "WorkflowRunning", message: word)
                    try await service.store.apply([
                        WorkflowChange(
                            uid: uid, header: HeaderUpdate(phase: "Running", message: word), events: [event])
                    ])
                }
                try await service.addRun(Self.canary + "-2", namespace: "other")
                try await service.addRun("own-2", namespace: "mine")
                try await service.store.deleteWorkflow(scene.uid)
                let last = EventRow(at: service.clock.now, kind: "WorkflowRunning", message: "the-end")
                try await service.store.apply([
                    WorkflowChange(
                        uid: own, header: HeaderUpdate(phase: "Running", message: "the-end"), events: [last])
                ])
                service.feed.signal()
                return await client.heard { $0.contains("the-end") }
            }
        }
        #expect(text.contains("the-end"))
        #expect(!text.contains(Self.canary) && !text.contains(scene.uid), "\(target): \(text.prefix(500))")
    }

    @Test("Who may see several namespaces gets whole pages of their runs, whatever lies between")
    func pagesOfSeveralNamespaces() async throws {
        let service = try ServiceHarness(configure: { $0.authentication = .token })
        for number in 0..<120 {
            let namespace = number % 40 == 0 ? "a" : number % 40 == 1 ? "b" : "noise"
            try await service.addRun("r\(number)", namespace: namespace, ago: number)
        }
        let token = try await service.token(["a": .viewer, "b": .viewer])
        let expected = [0, 1, 40, 41, 80, 81].map { "r\($0)" }
        var (names, cursor) = ([String](), "")
        repeat {
            let page = try await service.get(
                "/api/martlet/v1/runs?limit=2" + (cursor.isEmpty ? "" : "&after=\(cursor)"), token: token)
            let items = (page.json["items"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
            #expect(items.count == 2)
            names += items
            cursor = page.json["next"]?.stringValue ?? ""
        } while !cursor.isEmpty && names.count < 10
        #expect(names == expected)
        (names, cursor) = ([], "")
        repeat {
            let page = try await service.get(
                "/api/v1/workflows/?listOptions.limit=2"
                    + (cursor.isEmpty ? "" : "&listOptions.continue=\(cursor)"), token: token)
            let items = (page.json["items"]?.arrayValue ?? []).compactMap {
                $0["metadata"]?["name"]?.stringValue
            }
            #expect(items.count == 2)
            names += items
            cursor = page.json["metadata"]?["continue"]?.stringValue ?? ""
        } while !cursor.isEmpty && names.count < 10
        #expect(names == expected)
    }

    @Test("No changing route changes anything of another namespace")
    func changing() async throws {
        let scene = try await Self.scene()
        try await scene.service.running { try await Self.change(scene) }
    }

    private static func change(_ scene: Scene) async throws {
        let before = try await Self.content(scene)
        var count = 0
        let bodies: [JSONValue] = [
            .object([:]),
            ["namespace": "other", "name": .string(Self.canary), "memoized": false, "force": true],
            ["namespace": "other", "text": "kind: Workflow\nmetadata: {name: x}", "replace": true],
            ["namespace": "other", "pipeline": .string(Self.canary)],
            [
                "workflow": [
                    "metadata": ["name": "intruder", "namespace": "other"],
                    "spec": ["workflowTemplateRef": ["name": .string(Self.canary)]],
                ]
            ],
            [
                "namespace": "other", "resourceKind": "WorkflowTemplate",
                "resourceName": .string(Self.canary),
                "submitOptions": ["name": "intruder"],
            ],
        ]
        for route in scene.service.responder.router.routes where route.method != "GET" {
            // Its own session is nobody else's.
            if route.operation.hasPrefix("AccessService_Sign") { continue }
            count += 1
            for path in Self.paths(route, scene) {
                for body in bodies {
                    let answer = try await scene.service.send(route.method, path, body, token: scene.token)
                    #expect(answer.status < 500 || answer.status == 501, "\(path) \(answer.text)")
                    if path.contains("/other") && route.pattern.contains("{namespace}") {
                        #expect(answer.status == 404, "\(route.method) \(path): \(answer.status)")
                    }
                }
            }
            let after = try await Self.content(scene)
            try #require(after == before, "\(route.method) \(route.pattern)")
        }
        #expect(count > 50)
    }

    /// What is stored in `other`.
    private static func content(_ scene: Scene) async throws -> [String] {
        let store = scene.service.store
        let runs = try await store.workflows(WorkflowQuery(namespace: "other")).workflows
        var lines = runs.map { "\($0.uid) \($0.name) \($0.phase) \($0.revision)" }
        for kind in [DefinitionKind.workflowTemplate, .cronWorkflow] {
            lines += try await store.definitions(kind, namespace: "other").map { row in
                "\(row.name) \(row.generation) \(row.resourceVersion) \(row.body.compactText)"
                    + row.status.compactText
            }
        }
        return lines.sorted()
    }
}
