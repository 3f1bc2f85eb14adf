// What a token of one namespace learns of another one through any route: nothing.

import Controller
import Persistence
import Scheduling
import Testing
import Text

@testable import WebServer

@Suite(
    "Namespaces are closed to those without a role in them",
    .disabled("streams that say nothing are never left by the harness, so it does not end yet"))
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

    @Test("No reading route shows anything of another namespace")
    func reading() async throws {
        let scene = try await Self.scene()
        let queries = [
            "", "?namespace=other", "?q=canary&namespace=other", "?runs=\(scene.uid),\(scene.uid)",
            "?namespace=",
            "?q=canary", "?listOptions.labelSelector=team=\(Self.canary)", "?namePrefix=canary",
            "?listOptions.fieldSelector=metadata.namespace=other",
        ]
        var count = 0
        for route in scene.service.responder.router.routes where route.method == "GET" {
            for namespace in ["mine", "other"] {
                for name in [Self.canary, scene.uid] {
                    let path = Self.path(route, namespace: namespace, name: name, uid: scene.uid)
                    for query in queries {
                        let answer = try await scene.service.call(
                            "GET", path + query, token: scene.token, patience: .milliseconds(20),
                            stopWhen: { _ in true })
                        // Refusals may repeat what was asked for.
                        guard answer.status < 400 else { continue }
                        let shows = answer.text.contains(Self.canary) || answer.text.contains(scene.uid)
                        #expect(!shows, "\(path)\(query): \(answer.text.prefix(300))")
                        count += 1
                    }
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

    @Test("No changing route changes anything of another namespace")
    func changing() async throws {
        let scene = try await Self.scene()
        let before = try await Self.content(scene)
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
            for namespace in ["mine", "other"] {
                for name in [Self.canary, scene.uid] {
                    let path = Self.path(route, namespace: namespace, name: name, uid: scene.uid)
                    for body in bodies {
                        let answer = try await scene.service.send(
                            route.method, path, body, token: scene.token)
                        #expect(answer.status < 500 || answer.status == 501, "\(path) \(answer.text)")
                        if namespace == "other" && route.pattern.contains("{namespace}") {
                            #expect(answer.status == 404, "\(route.method) \(path): \(answer.status)")
                        }
                    }
                }
            }
        }
        #expect(try await Self.content(scene) == before)
    }

    /// What is stored in `other`.
    private static func content(_ scene: Scene) async throws -> [String] {
        let store = scene.service.store
        let runs = try await store.workflows(WorkflowQuery(namespace: "other")).workflows
        var lines = runs.map { "\($0.uid) \($0.name) \($0.phase) \($0.revision)" }
        for kind in [DefinitionKind.workflowTemplate, .cronWorkflow] {
            lines += try await store.definitions(kind, namespace: "other").map { "\($0)" }
        }
        return lines.sorted()
    }
}
