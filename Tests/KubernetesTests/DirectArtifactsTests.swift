// Artifacts that go from pods to stores without the server.

import Artifacts
import Executors
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Artifacts without the server")
struct DirectArtifactsTests {
    private static let bucket: JSONValue = [
        "bucket": "b", "key": "a/model", "endpoint": "minio:9000",
        "accessKeySecret": ["name": "keys", "key": "id"], "secretKeySecret": ["name": "keys", "key": "secret"],
    ]

    private static func launch(_ output: JSONValue) -> Launch {
        PodRendererTests.launch([
            "name": "step", "container": ["image": "x", "command": ["train"]],
            "inputs": ["artifacts": [["name": "data", "path": "/data", "raw": ["data": "hello"]]]],
            "outputs": ["artifacts": [output]],
        ])
    }

    private static let settings = PodSettings(stepImage: "martlet:test")

    @Test("With a bucket the step image's containers do it, and only they have its Secrets")
    func rendered() throws {
        let launch = Self.launch(["name": "model", "path": "/model", "s3": Self.bucket])
        let pod = try PodRenderer(Self.settings).pod(for: launch, owner: nil, token: "t")
        let initial = pod["spec"]?["initContainers"]?.arrayValue ?? []
        #expect(initial.compactMap { $0["name"]?.stringValue } == ["martlet-init", "martlet-save"])
        for container in initial {
            let text = container["env"]?.compactText ?? ""
            #expect(text.contains("MARTLET_STEP_ARTIFACTS"))
            #expect(text.contains(#""secretKeyRef":{"key":"secret","name":"keys"}"#))
        }
        let main = pod["spec"]?["containers"]?.arrayValue?.first
        #expect(main?["env"]?.compactText.contains("SECRET") == false)
        #expect(main?["command"]?.arrayValue?.contains("--saved") == true)
    }

    @Test("Without bucket and without the server's address an artifact is refused, with both ways out")
    func refused() {
        do throws(PodProblem) {
            _ = try PodRenderer(Self.settings).pod(
                for: Self.launch(["name": "model", "path": "/model"]), owner: nil, token: "t")
            Issue.record("it was taken")
        } catch {
            #expect(error.description.contains("\"model\""))
            #expect(error.description.contains("--step-url") && error.description.contains("bucket"))
        }
    }

    @Test("A model cache is a claim, or a directory of the node where that is allowed, and each step's HF_HOME")
    func modelCache() throws {
        let launch = PodRendererTests.launch([
            "name": "get", "download": ["model": "org/name"],
        ])
        func volume(_ change: (inout PodSettings) -> Void) throws -> JSONValue? {
            var settings = PodRendererTests.settings
            change(&settings)
            let pod = try PodRenderer(settings).pod(for: launch, owner: nil, token: "t")
            let main = pod["spec"]?["containers"]?.arrayValue?.first
            #expect(main?["env"]?.compactText.contains(#"{"name":"HF_HOME","value":"/.martlet-models"}"#) == true)
            #expect(main?["volumeMounts"]?.compactText.contains(#""mountPath":"/.martlet-models""#) == true)
            return pod["spec"]?["volumes"]?.arrayValue?.first { $0["name"] == "martlet-models" }
        }
        #expect(
            try volume { $0.modelCacheClaim = "models" }?["persistentVolumeClaim"] == ["claimName": "models"])
        #expect(throws: PodProblem.self) { try volume { $0.modelCachePath = "/var/models" } }
        let local = try volume {
            $0.modelCachePath = "/var/models"
            $0.security = .privileged
        }
        #expect(local?["hostPath"]?["path"] == "/var/models")
    }

    @Test("Orders are read back, and what lies in the manifest is laid without anybody's help")
    func orders() throws {
        let directory = "/tmp/martlet-direct-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let launch = Self.launch(["name": "model", "path": "/model", "s3": Self.bucket])
        let direct = DirectArtifacts(
            inputs: launch.inputs.artifacts, outputs: launch.template.outputs.artifacts)
        let orders = direct.environment.first?["value"]?.stringValue
        let none = try DirectTransfer(directory: directory) { _ in nil }
        #expect(none == nil)
        let transfer = try #require(
            try DirectTransfer(directory: directory) { $0 == DirectArtifacts.ordersVariable ? orders : nil })
        try transfer.load("data", to: directory + "/data")
        #expect(try Disk.read(directory + "/data", limitBytes: 100) == Array("hello".utf8))
        #expect(try !transfer.save("other", from: directory + "/data"))
    }

    @Test("What was sent is an output where it was declared, what failed says why, what was not there is missing")
    func outcomes() throws {
        let directory = "/tmp/martlet-direct-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let exchange = try StepExchange(
            store: try LocalArtifactStore(directory: directory + "/artifacts"), dataDirectory: directory)
        let launch = Self.launch(["name": "model", "path": "/model", "s3": Self.bucket])
        func outcome(_ saved: String) -> AttemptOutcome {
            let message = #"{"exitCode":0,"parameters":{},"complete":true,"saved":\#(saved)}"#
            let pod: JSONValue = [
                "status": [
                    "containerStatuses": [
                        ["name": "main", "state": ["terminated": ["exitCode": 0, "message": .string(message)]]]
                    ]
                ]
            ]
            return PodOutcome(launch: launch, end: PodEnd(.succeeded, exitCode: 0), pod: pod, exchange: exchange)
                .outcome(logPath: "")
        }
        let sent = outcome(#"{"artifacts":{"model":true},"failures":{}}"#)
        #expect(sent.phase == .succeeded && sent.outputs.artifact("model")?.location?.store == "s3")
        let failed = outcome(#"{"artifacts":{},"failures":{"model":"no such bucket"}}"#)
        #expect(failed.phase == .error && failed.message.contains("no such bucket"))
        #expect(outcome(#"{"artifacts":{},"failures":{}}"#).message.contains("path not found"))
    }
}
