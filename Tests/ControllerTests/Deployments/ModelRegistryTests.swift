// Models recorded from runs: what is known of them, where they come from, and what garbage collection takes.

import Artifacts
import Foundation
import Persistence
import Testing
import Text
import WorkflowLanguage

@testable import Controller
@testable import Scheduling

/// A data directory in which runs have ended.
private final class RegistryFixture: Sendable {
    let directory = NSTemporaryDirectory() + "martlet-registry-" + UUID().uuidString
    let store: Store
    let artifacts: LocalArtifactStore
    let models: ModelOperations
    static let now = Timestamp(seconds: 1_000_000)

    init() throws {
        store = try Store.open(dataDirectory: directory)
        artifacts = try LocalArtifactStore(directory: directory + "/artifacts", isDurable: false)
        models = ModelOperations(
            store: store, artifacts: artifacts, dataDirectory: directory, version: "0.0.0-test",
            now: { Self.now })
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// Saves a directory with one file as an artifact.
    func artifact(_ name: String, key: String, _ text: String) throws -> Artifact {
        let path = directory + "/made-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/config.json"))
        let artifact = Artifact(name: name)
        let transfer = ArtifactTransfer(store: artifacts, namespace: "default") { _, _ in nil }
        return try transfer.save(artifact, from: path, defaultKey: key, source: .shared).0
    }

    /// A run of one built-in step that has succeeded.
    func run(
        _ name: String, _ step: String, parameters: JSONValue = [:], inputs: [Artifact] = [],
        outputs: [Artifact] = [], metrics: [String: String] = [:], phase: Phase = .succeeded,
        isTakenOver: Bool = false
    ) async throws {
        let template: JSONValue = [
            "name": .string(step), step: parameters, "inputs": ["parameters": [["name": "rate"]]],
        ]
        let members: JSONValue = [
            "uid": .string(name), "name": .string(name), "namespace": "default", "createdAt": 0, "seed": "1",
            "manifest": ["metadata": ["generateName": "tune-"]], "metadata": ["generateName": "tune-"],
            "spec": ["entrypoint": .string(step), "templates": [template]],
        ]
        try await store.insertWorkflow(
            WorkflowRow(
                summary: WorkflowSummary(
                    uid: name, namespace: "default", name: name, phase: "Running", createdAt: Self.now),
                manifest: members))
        var node = Node(
            id: name + "-1", name: name + "[0]." + step, displayName: step, type: .pod, phase: phase,
            sequence: 1)
        node.templateName = step
        node.templateScope = "local/" + name
        node.inputs.artifacts = inputs
        node.inputs.parameters = [Parameter(name: "rate", value: "0.5")]
        node.outputs.artifacts = outputs
        node.outputs.parameters = metrics.sorted { $0.key < $1.key }.map {
            Parameter(name: $0.key, value: $0.value)
        }
        node.finishedAt = Self.now
        if isTakenOver { node.memoization = .init(hit: true, key: "k", cacheName: ContentEntry.cacheName) }
        try await store.apply([
            WorkflowChange(
                uid: name, header: HeaderUpdate(phase: "Succeeded", finishedAt: Self.now), nodes: [node])
        ])
    }
}

@Suite("Models that runs have made")
struct ModelRegistryTests {
    @Test("A model is recorded with all that it comes from, and served under its name")
    func recording() async throws {
        let fixture = try RegistryFixture()
        let base = try fixture.artifact("model", key: "a/model", "base")
        try await fixture.run("a", "pretrain", outputs: [base], metrics: ["train_loss": "2.5"])
        let data = try fixture.artifact("dataset", key: "b/data", "rows")
        let tuned = try fixture.artifact("model", key: "b/model", "tuned")
        try await fixture.run(
            "b", "sft", parameters: ["learning_rate": "{{inputs.parameters.rate}}"], inputs: [base, data],
            outputs: [tuned])
        try await fixture.run(
            "c", "evaluate", inputs: [tuned],
            outputs: [try fixture.artifact("report", key: "c/report", "{}")], metrics: ["score": "0.75"])
        let list = try await fixture.models.list(nil)
        #expect(list.map(\.model.name) == ["tune-sft", "tune-pretrain"])
        let row = try await fixture.models.model("tune-sft", namespace: "default")
        #expect(row.version == 1)
        #expect(row.json["parameters"]?["learning_rate"] == "0.5")
        #expect(row.json["codeVersion"] == "0.0.0-test")
        #expect(
            row.json["inputs"]?.arrayValue?.compactMap { $0["role"]?.stringValue } == ["model", "dataset"])
        #expect(row.parents.map(\.role) == ["model"])
        let family = try await fixture.models.family(of: row)
        #expect(family.map(\.model.name) == ["tune-pretrain", "tune-sft"])
        #expect(family[0].json["metrics"]?["train_loss"] == 2.5)
        let evaluations = try await fixture.models.evaluations(of: row)
        #expect(evaluations.map(\.metrics) == [["score": 0.75]])
        let detail = try await fixture.models.detail(of: row)
        #expect(detail["evaluations"]?.arrayValue?.compactMap { $0["model"] } == ["tune-sft:v1"])
        #expect(detail["family"]?.arrayValue?.count == 2)
        let unseen = try await fixture.models.detail(of: row, isVisible: { _ in false })
        #expect(unseen["family"] == [] && unseen["evaluations"] == [] && unseen["deployments"] == [])
        let file = fixture.models.shelf.path(of: row) + "/config.json"
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "tuned")
        let reference = fixture.models.shelf.directory + "/models--tune-sft/refs/v1"
        #expect(try String(contentsOfFile: reference, encoding: .utf8) == String(row.model.sha256.prefix(40)))
    }

    @Test(
        "What a later run took over is no new version and no new evaluation, unless the files were collected")
    func takenOver() async throws {
        let fixture = try RegistryFixture()
        let model = try fixture.artifact("model", key: "a/model", "one")
        let report = try fixture.artifact("report", key: "b/report", "{}")
        try await fixture.run("a", "sft", outputs: [model])
        try await fixture.run("b", "evaluate", inputs: [model], outputs: [report], metrics: ["score": "1"])
        try await fixture.run("c", "sft", outputs: [model], isTakenOver: true)
        try await fixture.run(
            "d", "evaluate", inputs: [model], outputs: [report], metrics: ["score": "1"], isTakenOver: true)
        let rows = try await fixture.models.list(nil)
        #expect(rows.map(\.workflow) == ["a"])
        #expect(try await fixture.models.evaluations(of: rows[0]).map(\.workflow) == ["b"])
        _ = try await fixture.store.markModelsDeleted(rows.map(\.id), at: RegistryFixture.now)
        try await fixture.run("e", "sft", outputs: [model], isTakenOver: true)
        let again = try await fixture.models.model("tune-sft", namespace: "default")
        #expect(again.version == 2 && again.workflow == "e" && again.deletedAt == nil)
    }

    @Test("Recording again, or from the beginning after a crash, records nothing twice")
    func twice() async throws {
        let fixture = try RegistryFixture()
        try await fixture.run("a", "sft", outputs: [try fixture.artifact("model", key: "a/model", "one")])
        try await fixture.models.refresh()
        try await fixture.models.refresh()
        try await fixture.store.setSetting("models.recorded", nil)
        try await fixture.models.refresh()
        #expect(try await fixture.models.list(nil).count == 1)
    }

    @Test("A node that failed, and a step of another kind, give no model")
    func others() async throws {
        let fixture = try RegistryFixture()
        let made = try fixture.artifact("model", key: "a/model", "one")
        try await fixture.run("a", "sft", outputs: [made], phase: .failed)
        try await fixture.run("b", "generate", outputs: [made])
        // Served elsewhere, or refused here: either way it made nothing.
        try await fixture.run("c", "deploy", parameters: ["backend": "vllm"], inputs: [made], phase: .error)
        try await fixture.run("d", "deploy", inputs: [made], outputs: [made])
        #expect(try await fixture.models.list(nil).isEmpty)
    }

    @Test("A model's bytes stay when its run's artifacts are deleted")
    func outlives() async throws {
        let fixture = try RegistryFixture()
        try await fixture.run("a", "sft", outputs: [try fixture.artifact("model", key: "a/model", "one")])
        try await fixture.models.refresh()
        try fixture.artifacts.delete(key: "a/model", namespace: "default")
        _ = try fixture.artifacts.collectGarbage(now: .max, age: .zero)
        let row = try await fixture.models.model("tune-sft", namespace: "default")
        let target = fixture.directory + "/exported"
        try await fixture.models.export(row, to: target)
        #expect(try String(contentsOfFile: target + "/config.json", encoding: .utf8) == "one")
        await #expect(throws: OperationError.self) { try await fixture.models.export(row, to: target) }
    }

    @Test("Tags name versions, move between them, and cannot take the names of versions")
    func tags() async throws {
        let fixture = try RegistryFixture()
        for name in ["a", "b"] {
            try await fixture.run(
                name, "sft", outputs: [try fixture.artifact("model", key: name + "/model", name)])
        }
        let models = fixture.models
        func model(_ text: String) async throws -> ModelRow {
            try await models.model(text, namespace: "default")
        }
        #expect(try await model("tune-sft").version == 2)
        try await models.tag(try await model("tune-sft:v1"), "production")
        #expect(try await model("tune-sft:production").version == 1)
        try await models.tag(try await model("tune-sft:2"), "production")
        #expect(try await model("tune-sft:production").version == 2)
        let row = try await model("default/tune-sft:v1")
        for tag in ["main", "v3", "7", "latest", "a/b", "", "-x"] {
            await #expect(throws: OperationError.self) { try await models.tag(row, tag) }
        }
        try await models.untag("tune-sft:production", namespace: "default")
        await #expect(throws: OperationError.self) { try await model("tune-sft:production") }
        await #expect(throws: OperationError.self) { try await model("nothing") }
    }

    @Test("Garbage collection spares what is tagged, deployed, young or the newest")
    func collection() async throws {
        let fixture = try RegistryFixture()
        for name in ["a", "b", "c", "d"] {
            try await fixture.run(
                name, "sft", outputs: [try fixture.artifact("model", key: name + "/model", name)])
        }
        let models = fixture.models
        try await models.tag(try await models.model("tune-sft:v1", namespace: "default"), "kept")
        let served = try await models.model("tune-sft:v2", namespace: "default")
        let deployment = Deployment(name: "chat", namespace: "default", replicas: 1, at: RegistryFixture.now)
        let hash = served.model.sha256
        try await fixture.store.changeDeployment("chat", orMake: deployment) { deployment in
            let number = deployment.prepare(
                DeploymentSpec(name: "chat"), DeploymentOrigin(launch: "x"), at: RegistryFixture.now)
            deployment.noteModel(number, hash: hash)
        }
        var rule = ModelOperations.Collection()
        #expect(try await models.collect(rule).models.isEmpty)
        rule.age = .seconds(-1)
        rule.isDryRun = true
        #expect(try await models.collect(rule).models.map(\.version) == [3])
        rule.isDryRun = false
        let done = try await models.collect(rule)
        #expect(done.models.map(\.version) == [3])
        #expect(done.bytes == 1)
        #expect(!Disk.exists(models.shelf.path(of: done.models[0])))
        #expect(Disk.exists(models.shelf.path(of: served)))
        // What is known of it stays.
        #expect(try await models.list(nil).count == 4)
        await #expect(throws: OperationError.self) {
            try await models.model("tune-sft:v3", namespace: "default")
        }
    }

    @Test(
        "Names are parts of addresses",
        arguments: [
            ("tune-sft", "tune-sft"), ("a//b  c", "a-b-c"), ("--x--", "x"), ("Ünïcode", "n-code"),
            ("", "model"),
            ("a..b", "a.b"),
        ])
    func names(text: String, name: String) {
        #expect(ModelRecorder.plain(text) == name)
        #expect(RepositoryWords.isPart(ModelRecorder.plain(text)))
    }
}
