// The verbs that command line and server share: what they store, what they answer, what they refuse.

import Executors
import Persistence
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Controller

@Suite("Operations on runs", .timeLimit(.minutes(5)))
struct OperationsTests {
    private func refusal(_ body: () async throws -> Void) async -> OperationError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? OperationError
        }
    }

    @Test("A created run is Running in the answer and goes to its end")
    func creates() async throws {
        let world = try ControllerWorld()
        let controller = world.controller(NoOpExecutor(now: world.clock.now))
        let operations = try world.operations(controller)
        try await world.serving(controller) {
            var options = SubmissionOptions()
            options.labels = ["team": "nlp"]
            options.annotations = ["note": "x"]
            options.creator = "Ann <ann@example.com>"
            let state = try await operations.create(
                ControllerWorld.json(ControllerWorld.oneStep), namespace: "science", options: options)
            #expect(state.phase == .running)
            #expect(state.definition.namespace == "science")
            let labels = state.definition.metadata.labels
            #expect(labels["team"] == "nlp")
            #expect(labels[Submission.creatorLabel] == "Ann--ann-example.com")
            #expect(state.definition.metadata.annotations["note"] == "x")
            try await world.until { try await world.phase(state.uid) == "Succeeded" }
            #expect(try await operations.uid(of: "@latest", namespace: "science") == state.uid)
            #expect(try await operations.uid(of: state.name, namespace: "science") == state.uid)
            let events = try await world.store.events(state.uid).map(\.event.kind)
            #expect(events.first == "WorkflowRunning")
            #expect(events.last == "WorkflowSucceeded")
            #expect(events.contains("WorkflowNodeSucceeded"))
            #expect(try await world.store.workflow(uid: state.uid)?.progress == "1/1")
        }
        try world.remove()
    }

    @Test("A dry run stores nothing, and a run without a driver is Pending")
    func dryRun() async throws {
        let world = try ControllerWorld()
        let operations = try world.operations(nil)
        let manifest = try ControllerWorld.json(ControllerWorld.oneStep)
        _ = try await operations.create(manifest, namespace: "default", dryRun: true)
        #expect(try await world.store.workflows(WorkflowQuery()).workflows.isEmpty)
        let state = try await operations.create(manifest, namespace: "default")
        #expect(state.phase == .pending)
        #expect(try await operations.state(state.uid).phase == .pending)
        try world.remove()
    }

    @Test(
        "What is wrong with a manifest is told by path, and nothing is stored",
        arguments: [
            (#"{"spec": {"entrypoint": "main", "templates": []}}"#, "spec"),
            (#"{"kind": "Pod", "spec": {}}"#, ""),
            (#"[]"#, ""),
            (
                #"{"metadata": {"name": "UPPER"}, "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "x", "command": ["true"]}}]}}"#,
                "metadata.name"
            ),
            (
                #"{"metadata": {"generateName": "a/../b-"}, "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "x", "command": ["true"]}}]}}"#,
                ""
            ),
            (
                #"{"spec": {"entrypoint": "main", "arguments": {"parameters": [{"name": "p"}]}, "templates": [{"name": "main", "container": {"image": "x", "command": ["true"]}}]}}"#,
                "spec.arguments.parameters"
            ),
        ])
    func refusesManifests(text: String, path: String) async throws {
        let world = try ControllerWorld()
        let operations = try world.operations(nil)
        let manifest = try ControllerWorld.json(text)
        let error = await refusal { _ = try await operations.create(manifest, namespace: "default") }
        #expect(error?.reason == .invalid)
        if !path.isEmpty {
            #expect(error?.diagnostics.contains { $0.path.hasPrefix(path) && $0.line == 0 } == true)
        }
        #expect(try await world.store.workflows(WorkflowQuery()).workflows.isEmpty)
        try world.remove()
    }

    @Test("Unknown fields are left aside by the API and refused by a strict check")
    func unknownFields() async throws {
        let world = try ControllerWorld()
        let operations = try world.operations(nil)
        var members = try ControllerWorld.json(ControllerWorld.oneStep).objectValue ?? [:]
        var spec = members["spec"]?.objectValue ?? [:]
        spec["surprise"] = true
        members["spec"] = .object(spec)
        let manifest = JSONValue.object(members)
        _ = try await operations.create(manifest, namespace: "default")
        var strict = SubmissionOptions()
        strict.strict = true
        let error = await refusal {
            _ = try await operations.create(manifest, namespace: "default", options: strict)
        }
        #expect(error?.message.contains("surprise") == true)
        let lint = try await operations.lint(manifest, kind: "Workflow", namespace: "default")
        #expect(lint.hasErrors)
        try world.remove()
    }

    @Test("A taken name is a conflict; a uid of another namespace is not found")
    func names() async throws {
        let world = try ControllerWorld()
        let operations = try world.operations(nil)
        var options = SubmissionOptions()
        options.name = "fixed"
        let manifest = try ControllerWorld.json(ControllerWorld.oneStep)
        let state = try await operations.create(manifest, namespace: "a", options: options)
        let taken = await refusal { _ = try await operations.create(manifest, namespace: "a", options: options) }
        #expect(taken?.reason == .conflict)
        _ = try await operations.create(manifest, namespace: "b", options: options)
        let hidden = await refusal { _ = try await operations.uid(of: state.uid, namespace: "b") }
        #expect(hidden?.reason == .notFound)
        #expect(try await operations.uid(of: state.uid, namespace: "") == state.uid)
        try world.remove()
    }

    @Test("A suspended run is resumed, stopped and retried through its controller")
    func controls() async throws {
        let world = try ControllerWorld()
        let controller = world.controller(NoOpExecutor(now: world.clock.now), servesAll: true)
        let operations = try world.operations(controller)
        try await world.serving(controller) {
            let manifest = try ControllerWorld.json(ControllerWorld.approval)
            let first = try await operations.create(manifest, namespace: "default").uid
            try await world.until { try await operations.state(first).waitsForPerson }
            let wrong = await self.refusal {
                _ = try await operations.control(
                    first, .resume(selector: NodeSelector("displayName=other")))
            }
            #expect(wrong?.reason == .precondition)
            _ = try await operations.control(first, .resume(selector: nil))
            try await world.until { try await world.phase(first) == "Succeeded" }
            let late = await self.refusal { _ = try await operations.control(first, .terminate) }
            #expect(late?.reason == .precondition)

            let second = try await operations.create(manifest, namespace: "default").uid
            try await world.until { try await operations.state(second).waitsForPerson }
            let stopped = try await operations.control(second, .stop(message: "no", selector: nil))
            #expect(stopped.shutdown == .stop)
            try await world.until { try await world.phase(second) == "Failed" }
            let again = try await operations.retry(second, RetryRequest())
            #expect(again.phase == .running)
            try await world.until { try await operations.state(second).waitsForPerson }
            _ = try await operations.control(second, .resume(selector: nil))
            try await world.until { try await world.phase(second) == "Succeeded" }
            let succeeded = await self.refusal { _ = try await operations.retry(second, RetryRequest()) }
            #expect(succeeded?.reason == .precondition)

            let third = try await operations.resubmit(second)
            #expect(third.definition.metadata.labels[Resubmission.label] != nil)
            try await world.until { try await operations.state(third.uid).waitsForPerson }
            let kept = await self.refusal { _ = try await operations.delete(third.uid) }
            #expect(kept?.reason == .precondition)
            try await operations.delete(third.uid, force: true)
            #expect(try await world.store.workflow(uid: third.uid) == nil)
            try await world.until { await controller.counts.driven == 0 }
        }
        try world.remove()
    }

    @Test("A definition is stored without what the server notes, and a changed one is a conflict")
    func definitions() async throws {
        let world = try ControllerWorld()
        let operations = try world.operations(nil)
        var document = try ControllerWorld.json(ControllerWorld.oneStep)
        document = .object([
            "metadata": ["name": "t", "resourceVersion": "7", "creationTimestamp": .null],
            "spec": document["spec"] ?? .null, "status": ["x": 1],
        ])
        let row = try await operations.put(.workflowTemplate, document, namespace: "default", if: .absent)
        #expect(row.body["metadata"] == ["name": "t"])
        #expect(row.body["kind"] == "WorkflowTemplate")
        #expect(row.body["status"] == nil)
        let twice = await refusal {
            _ = try await operations.put(.workflowTemplate, document, namespace: "default", if: .absent)
        }
        #expect(twice?.reason == .conflict)
        let absent = await refusal {
            _ = try await operations.put(.workflowTemplate, document, namespace: "other", if: .present)
        }
        #expect(absent?.reason == .notFound)
        let run = try await operations.submit(
            .workflowTemplate, name: "t", namespace: "default", options: SubmissionOptions())
        #expect(run.name.hasPrefix("t-"))
        #expect(run.definition.metadata.labels["workflows.argoproj.io/workflow-template"] == "t")
        let unknown = await refusal {
            _ = try await operations.submit(
                .workflowTemplate, name: "u", namespace: "default", options: SubmissionOptions())
        }
        #expect(unknown?.message.contains("there are t") == true)
        try world.remove()
    }
}
