// Deployments as values: revisions come, go and come back, and are stored whole.

import Testing
import Text

@testable import Scheduling

@Suite("A deployment and its revisions")
struct DeploymentTests {
    private static let now = Timestamp(seconds: 1_000_000)

    private static func made(_ count: Int) -> Deployment {
        var deployment = Deployment(name: "chat", namespace: "default", replicas: 1, at: now)
        for number in 1...count {
            _ = deployment.prepare(
                DeploymentSpec(name: "chat"), DeploymentOrigin(launch: "\(number)"), at: now)
            deployment.begin(number, at: now)
            deployment.activate(number, at: now + .seconds(number))
        }
        return deployment
    }

    @Test("The same launch finds its revision again")
    func sameLaunch() {
        var deployment = Self.made(2)
        let spec = DeploymentSpec(name: "chat")
        #expect(deployment.prepare(spec, DeploymentOrigin(launch: "2"), at: Self.now) == 2)
        #expect(deployment.prepare(spec, DeploymentOrigin(launch: "3"), at: Self.now) == 3)
        #expect(deployment.revisions.count == 3)
    }

    @Test("Beginning, activating and failing twice changes nothing the second time")
    func twice() {
        var deployment = Self.made(2)
        let before = deployment
        deployment.begin(1, at: Self.now)
        deployment.activate(1, at: Self.now)
        deployment.fail(2, "late news", at: Self.now)
        #expect(deployment == before)
    }

    @Test("A newer revision takes the place of one that is being rolled out")
    func superseded() {
        var deployment = Self.made(1)
        for number in [2, 3] {
            _ = deployment.prepare(
                DeploymentSpec(name: "chat"), DeploymentOrigin(launch: "\(number)"), at: Self.now)
            deployment.begin(number, at: Self.now)
        }
        #expect(deployment.revision(2)?.phase == .failed)
        #expect(deployment.revision(2)?.message == "revision 3 came in between")
        #expect(deployment.active == 1)
        #expect(deployment.wanted == 3)
    }

    @Test("Rolling back takes the one before, or the one that is named")
    func rollBack() throws {
        var deployment = Self.made(3)
        #expect(try deployment.rollBack(to: nil, at: Self.now) == 2)
        #expect(deployment.wanted == 2)
        deployment.activate(2, at: Self.now)
        #expect(try deployment.rollBack(to: 1, at: Self.now) == 1)
        // During that, going back to what is active gives it up.
        #expect(try deployment.rollBack(to: 2, at: Self.now) == 2)
        #expect(deployment.wanted == nil)
        #expect(deployment.revision(1)?.phase == .failed)
        #expect(throws: DeploymentProblem.self) { try deployment.rollBack(to: 2, at: Self.now) }
        #expect(throws: DeploymentProblem.self) { try deployment.rollBack(to: 99, at: Self.now) }
        var first = Self.made(1)
        #expect(throws: DeploymentProblem.self) { try first.rollBack(to: nil, at: Self.now) }
    }

    @Test("Old revisions are forgotten, those in use never, and no number comes twice")
    func history() {
        let deployment = Self.made(30)
        #expect(deployment.revisions.count <= Deployment.historyLimit + 1)
        #expect(deployment.revision(deployment.active)?.number == 30)
        #expect(deployment.nextNumber == 31)
    }

    @Test("What is stored is read back")
    func stored() {
        var deployment = Self.made(3)
        deployment.noteModel(3, hash: "abc")
        deployment.fail(3, "no", at: Self.now)
        #expect(
            Deployment(name: "chat", namespace: "default", stored: deployment.storedJSON) == deployment)
        #expect(Deployment(name: "chat", namespace: "default", stored: [:]) == nil)
    }

    @Test(
        "Parameters that cannot be are refused in a sentence",
        arguments: [
            (["replicas": 0], "replicas must be from 1 to 32"),
            (["port": -1], "port must be from 0 to 65000"),
            (["quant": "int2"], "quant: \"int2\" is none of stored, int8, int4"),
            (["min_ready_seconds": "soon"], "min_ready_seconds must be from 0 to 3600 seconds"),
            (["adapters": ["x"]], "adapters: write NAME: PLACE, or a list of NAME=PLACE"),
            (
                ["backend": "vllm"],
                "a deployment on this machine is served by Martlet itself, not by `backend: vllm`"
            ),
            (["replica": 1], "deploy has no parameter \"replica\"; it has "),
            (["name": "Chat_1"], "\"Chat_1\" is no name of a deployment"),
        ] as [(JSONValue, String)])
    func parameters(json: JSONValue, problem: String) {
        do throws(DeploymentProblem) {
            _ = try DeploymentSpec(parameters: json, fallbackName: "chat")
            Issue.record("it was taken")
        } catch {
            #expect(error.description.hasPrefix(problem), "\(error)")
        }
    }

    @Test("Numbers may be written as texts, as tags give them")
    func texts() throws {
        let spec = try DeploymentSpec(
            parameters: ["replicas": "2", "port": "8000", "min_ready_seconds": "1.5", "adapters": ["a=/x"]],
            fallbackName: "chat")
        #expect((spec.replicas, spec.port, spec.minReadySeconds) == (2, 8_000, 1.5))
        #expect(spec.adapters == ["a": "/x"])
        #expect(try DeploymentSpec(parameters: spec.json, fallbackName: "") == spec)
    }
}
