// The registry by HTTP: the own API, and `/hf` for Hugging Face's clients.

import Controller
import Executors
import Persistence
import Scheduling
import Testing
import Text

@testable import WebServer

@Suite("Models over HTTP", .timeLimit(.minutes(5)))
struct ModelRoutesTests {
    private static let sha = String(repeating: "ab", count: 32)
    private static let otherSHA = String(repeating: "cd", count: 32)

    /// A service with a model, and another that was made of it.
    private static func service(tokens: Bool = false) async throws -> ServiceHarness {
        let service = try ServiceHarness(configure: { if tokens { $0.authentication = .token } })
        var models: [NewModel] = []
        for (name, sha) in [("base", sha), ("tuned", otherSHA)] {
            let place = "models--ml--\(name)/snapshots/\(sha.prefix(40))"
            try service.folder.write("models/\(place)/config.json", "{\"model_type\": \"\(name)\"}")
            var model = NewModel(
                namespace: "ml", name: name, kind: .model, step: "sft", sha256: sha, place: place, bytes: 22,
                workflowUID: "uid-\(name)", workflow: "run-\(name)", nodeID: "node",
                createdAt: Timestamp(seconds: 1_000))
            if name == "tuned" { model.inputs = [ModelInput(role: "model", sha256: Self.sha)] }
            models.append(model)
        }
        try await service.store.record(models, [], upTo: 0)
        let operations = ModelOperations(
            store: service.store, artifacts: service.context.artifacts, dataDirectory: service.folder.path,
            version: "", now: service.context.now)
        try await operations.nameAll()
        return service
    }

    @Test("A version comes with its family, by name, version and tag")
    func detail() async throws {
        let service = try await Self.service()
        let list = try await service.get("/api/martlet/v1/models?namespace=ml")
        #expect(list.json["items"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["tuned", "base"])
        let tagged = try await service.send(
            "POST", "/api/martlet/v1/models/ml/tuned/tags", ["tag": "production", "reference": "v1"])
        #expect(tagged.status == 200, "\(tagged.text)")
        for reference in ["", "?reference=v1", "?reference=production", "?reference=cdcdcdcd"] {
            let found = try await service.get("/api/martlet/v1/models/ml/tuned" + reference)
            #expect(found.json["family"]?.arrayValue?.count == 2, "\(found.text)")
            #expect(found.json["tags"] == ["production"])
        }
        #expect(try await service.get("/api/martlet/v1/models/ml/tuned?reference=v2").status == 404)
        #expect(try await service.get("/api/martlet/v1/models/other/tuned").status == 404)
        let untagged = try await service.call("DELETE", "/api/martlet/v1/models/ml/tuned/tags/production")
        #expect(untagged.status == 200)
        #expect(try await service.get("/api/martlet/v1/models/ml/tuned?reference=production").status == 404)
    }

    @Test("Hugging Face's clients find files at the main branch, a version and a commit")
    func hub() async throws {
        let service = try await Self.service()
        let info = try await service.get("/hf/api/models/ml/tuned/revision/main")
        #expect(info.status == 200, "\(info.text)")
        #expect(info.json["sha"]?.stringValue == String(Self.otherSHA.prefix(40)))
        for revision in ["main", "v1", String(Self.otherSHA.prefix(40))] {
            let file = try await service.get("/hf/ml/tuned/resolve/\(revision)/config.json")
            #expect(file.status == 200)
            #expect(file.json["model_type"] == "tuned")
            #expect(file.headers["x-repo-commit"] == String(Self.otherSHA.prefix(40)))
        }
        let missing = try await service.get("/hf/api/models/ml/nothing")
        #expect(missing.headers["x-error-code"] == "RepoNotFound")
        #expect(try await service.get("/hf/api/models/ml/tuned/revision/nothing").status == 404)
        let list = try await service.get("/hf/api/models?limit=1")
        #expect(list.json.arrayValue?.count == 1)
        #expect(list.headers["link"]?.contains("/hf/api/models?") == true)
    }

    @Test("A token sees the models of its namespaces only, and only an editor tags")
    func rights() async throws {
        let service = try await Self.service(tokens: true)
        let viewer = try await service.token(["ml": .viewer])
        let other = try await service.token(["else": .admin])
        let path = "/hf/ml/tuned/resolve/main/config.json"
        #expect(try await service.get(path, token: viewer).status == 200)
        #expect(try await service.get(path, token: other).status == 404)
        #expect(try await service.get(path).status == 401)
        #expect(try await service.get("/hf/api/models", token: viewer).status == 403)
        let list = try await service.get("/api/martlet/v1/models", token: other)
        #expect(list.json["items"] == [])
        let tag: JSONValue = ["tag": "x"]
        let tags = "/api/martlet/v1/models/ml/tuned/tags"
        #expect(try await service.send("POST", tags, tag, token: viewer).status == 403)
        #expect(try await service.send("POST", "/api/martlet/v1/models/gc", token: other).status == 403)
    }

    @Test(
        "What gc cannot mean is refused, whatever its size",
        arguments: [
            ["ageSeconds": -1], ["ageSeconds": 1e300], ["ageSeconds": "1d"], ["keep": -292_003],
            ["keep": 1.5], ["keep": 1e18], ["dryRun": "yes"],
        ] as [JSONValue])
    func oddCollections(body: JSONValue) async throws {
        let service = try await Self.service(tokens: false)
        let answer = try await service.send("POST", "/api/martlet/v1/models/gc", body)
        #expect(answer.status == 400)
        let list = try await service.get("/api/martlet/v1/models")
        #expect(list.json["items"]?.arrayValue?.contains { $0["deletedAt"]?.isNull == false } == false)
    }

    @Test("Deployments are listed and changed by those who may")
    func deployments() async throws {
        let service = try ServiceHarness(configure: { $0.authentication = .token })
        let now = service.clock.now
        let fresh = Deployment(name: "chat", namespace: "ml", replicas: 1, at: now)
        try await service.store.changeDeployment("chat", orMake: fresh) { deployment in
            let number = deployment.prepare(
                DeploymentSpec(name: "chat"), DeploymentOrigin(launch: "a"), at: now)
            deployment.begin(number, at: now)
            deployment.activate(number, at: now)
        }
        let viewer = try await service.token(["ml": .viewer])
        let editor = try await service.token(["ml": .editor])
        let other = try await service.token(["else": .admin])
        let path = "/api/martlet/v1/deployments"
        let list = try await service.get(path, token: viewer)
        #expect(list.json["items"]?.arrayValue?.first?["state"] == "down")
        #expect(try await service.get(path, token: other).json["items"] == [])
        #expect(try await service.get(path + "/chat", token: other).status == 404)
        let body: JSONValue = ["replicas": 2]
        #expect(try await service.send("POST", path + "/chat/scale", body, token: viewer).status == 403)
        let scaled = try await service.send("POST", path + "/chat/scale", body, token: editor)
        #expect(scaled.json["replicas"] == 2, "\(scaled.text)")
        #expect(
            try await service.send("POST", path + "/chat/scale", ["replicas": 0], token: editor).status == 400
        )
        let back = try await service.send("POST", path + "/chat/rollback", [:], token: editor)
        #expect(back.status == 400)
        let deleted = try await service.call("DELETE", path + "/chat", token: editor)
        #expect(deleted.json["state"] == "deleting")
        #expect(try await service.get(path + "/chat/log", token: viewer).json["lines"] == [])
    }

    /// A cluster with one deployment.
    private struct Cluster: ClusterDeployments {
        func deployments(named name: String?) async throws -> [ClusterDeployment] {
            guard name == nil || name == "far" else { return [] }
            var revision = ClusterDeployment.Revision()
            revision.url = "http://far.ml.svc:8000/v1"
            let moment = Timestamp(seconds: 1)
            return [
                ClusterDeployment(
                    name: "far", namespace: "ml", state: "ready", replicas: 1, ready: 1, revision: revision,
                    createdAt: moment, updatedAt: moment)
            ]
        }

        func scale(_ name: String, namespace: String, to count: Int) async throws -> String? {
            count > 4 ? "too many" : nil
        }

        func delete(_ name: String, namespace: String) async throws {}
    }

    @Test(
        "Deployments of a cluster stand beside the machine's, for those who may, and say what they cannot do")
    func clusterDeployments() async throws {
        let service = try ServiceHarness(
            configure: { $0.authentication = .token },
            groups: { context in
                var routes = MartletRoutes(context)
                routes.cluster = ClusterDeploymentOperations(Cluster())
                return [routes]
            })
        let viewer = try await service.token(["ml": .viewer])
        let editor = try await service.token(["ml": .editor])
        let other = try await service.token(["else": .admin])
        let path = "/api/martlet/v1/deployments"
        let list = try await service.get(path, token: viewer).json["items"]?.arrayValue
        #expect(list?.count == 1 && list?.first?["place"] == "cluster")
        #expect(list?.first?["url"] == "http://far.ml.svc:8000/v1")
        #expect(try await service.get(path, token: other).json["items"] == [])
        #expect(try await service.get(path + "/far", token: viewer).json["state"] == "ready")
        #expect(try await service.get(path + "/far", token: other).status == 404)
        #expect(try await service.get(path + "/near", token: viewer).status == 404)
        let scale = path + "/far/scale"
        #expect(try await service.send("POST", scale, ["replicas": 2], token: viewer).status == 403)
        #expect(try await service.send("POST", scale, ["replicas": 2], token: editor).json["replicas"] == 2)
        #expect(
            try await service.send("POST", scale, ["replicas": 5], token: editor).text.contains("too many"))
        let back = try await service.send("POST", path + "/far/rollback", [:], token: editor)
        #expect(back.status == 400 && back.text.contains("kubectl -n ml rollout undo deployment/far"))
        let log = try await service.get(path + "/far/log", token: viewer)
        #expect(log.status == 400 && log.text.contains("kubectl -n ml logs deployment/far"))
        let deleted = try await service.call("DELETE", path + "/far", token: editor)
        #expect(deleted.json["state"] == "deleting")
    }
}
