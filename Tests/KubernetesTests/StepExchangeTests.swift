// What pods and the server hand each other, and the program that wraps a step's command in its pod.

import Artifacts
import Executors
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Between a pod and the server")
struct StepExchangeTests {
    private static let template: JSONValue = [
        "name": "step", "container": ["image": "x", "command": ["run"]],
        "inputs": ["artifacts": [["name": "data", "path": "/data", "raw": ["data": "hello"]]]],
        "outputs": ["artifacts": [["name": "model", "path": "/model"]]],
    ]

    private func withExchange(_ body: (StepExchange, Launch, String) throws -> Void) throws {
        let directory = "/tmp/martlet-exchange-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let store = try LocalArtifactStore(directory: directory + "/artifacts")
        let exchange = try StepExchange(store: store, dataDirectory: directory)
        let launch = PodRendererTests.launch(Self.template)
        exchange.expect(launch, LaunchValues())
        try body(exchange, launch, directory)
    }

    private func request(
        _ method: String, _ path: String, _ token: String, offset: Int = 0, body: [UInt8] = []
    ) -> StepExchange.Request {
        .init(
            method: method, path: "/steps/v1/\(path)", offset: offset, authorization: "Bearer \(token)",
            body: body)
    }

    @Test("A token opens its own attempt, a changed one nothing, and a restart changes neither")
    func tokens() throws {
        try withExchange { exchange, launch, directory in
            let token = exchange.token(launch.key)
            #expect(exchange.key(ofToken: token) == launch.key)
            var other = launch.key
            other.attempt = 1
            let parts = token.split(separator: ".")
            let forged = "\(exchange.token(other).split(separator: ".")[0]).\(parts[1])"
            #expect(exchange.key(ofToken: forged) == nil)
            #expect(exchange.key(ofToken: "") == nil)
            #expect(exchange.answer(request("GET", "inputs/data", forged)).status == 401)
            let again = try StepExchange(store: exchange.store, dataDirectory: directory)
            #expect(again.key(ofToken: token) == launch.key)
            // A step that the new life has not heard of yet is asked to wait.
            #expect(again.answer(request("GET", "inputs/data", token)).status == 503)
        }
    }

    @Test("An input comes as an archive, and one that nobody declared does not come")
    func inputs() throws {
        try withExchange { exchange, launch, directory in
            let token = exchange.token(launch.key)
            let answer = exchange.answer(request("GET", "inputs/data", token))
            guard case .file(let path) = answer.content else {
                Issue.record("\(answer)")
                return
            }
            let folder = directory + "/x"
            try Disk.makeDirectories(folder)
            try CommandRun(["tar", "-xf", path, "-C", folder]).check(path: path, action: "unpack")
            #expect(try Disk.read(folder + "/artifact", limitBytes: 100) == Array("hello".utf8))
            #expect(exchange.answer(request("GET", "inputs/../x", token)).status == 404)
            #expect(exchange.answer(request("DELETE", "inputs/data", token)).status == 404)
        }
    }

    @Test("An output comes in pieces, repeated and in order, and is kept once")
    func outputs() throws {
        try withExchange { exchange, launch, directory in
            let token = exchange.token(launch.key)
            try Disk.makeDirectories(directory + "/p")
            try Disk.write(Array("weights".utf8), to: directory + "/p/artifact")
            let packed = directory + "/p.tar"
            try CommandRun(["tar", "-cf", packed, "-C", directory + "/p", "artifact"]).check(
                path: packed, action: "pack")
            let bytes = try Disk.read(packed, limitBytes: 1 << 20)
            func send(_ range: Range<Int>) -> Int {
                exchange.answer(
                    request(
                        "PUT", "outputs/model", token, offset: range.lowerBound, body: Array(bytes[range]))
                ).status
            }
            #expect(send(1000..<2000) == 409)
            #expect(send(0..<1000) == 200)
            #expect(send(0..<1000) == 200)
            #expect(send(1000..<bytes.count) == 200)
            let artifact = try #require(launch.template.outputs.artifacts.first)
            let saved = try #require(try exchange.save(artifact, of: launch))
            #expect(saved.location != nil)
            // The end may be heard of twice.
            #expect(try exchange.save(artifact, of: launch) == saved)
        }
    }

    @Test("The wrapped command keeps its exit code, and leaves output, parameters and artifacts")
    func wrapped() throws {
        let directory = "/tmp/martlet-pod-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory + "/run")
        let script =
            "echo hi; mkdir \(directory)/tree; echo w > \(directory)/tree/a; echo 0.5 > \(directory)/loss; exit 3"
        let words = [
            try SupervisorClient.locateSupervisor(), "--pod", directory, "--name", "main", "--result",
            "--parameter", "loss=\(directory)/loss", "--artifact", "tree=\(directory)/tree", "--artifact",
            "none=\(directory)/none", "--", "sh", "-c", script,
        ]
        let outcome = try CommandRun(words).run()
        #expect(outcome.exitCode == 3)
        #expect(outcome.output == "hi\n")
        func text(_ name: String) throws -> String {
            String(decoding: try Disk.read("\(directory)/run/main/\(name)", limitBytes: 100), as: UTF8.self)
        }
        #expect(try text("exit") == "3")
        #expect(try text("stdout") == "hi\n")
        #expect(try text("parameters/loss") == "0.5\n")
        #expect(try text("artifacts/tree/a") == "w\n")
        #expect(!Disk.exists("\(directory)/run/main/artifacts/none"))
    }

    @Test("A member whose forerunner failed is not run, and one whose forerunner did well is")
    func order() throws {
        let directory = "/tmp/martlet-pod-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let supervisor = try SupervisorClient.locateSupervisor()
        for (code, said) in [("1", ""), ("0", "ran\n")] {
            try Disk.makeDirectories(directory + "/run/first")
            try Disk.write(Array(code.utf8), to: directory + "/run/first/exit")
            let outcome = try CommandRun(
                [supervisor, "--pod", directory, "--name", "then", "--after", "first", "--", "echo", "ran"]
            ).run()
            #expect(outcome.exitCode == 0)
            #expect(outcome.output == said)
        }
    }

    @Test("A sidecar ends when the work has")
    func sidecar() throws {
        let directory = "/tmp/martlet-pod-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory + "/run/main")
        try Disk.write(Array("0".utf8), to: directory + "/run/main/exit")
        let outcome = try CommandRun(
            [
                try SupervisorClient.locateSupervisor(), "--pod", directory, "--name", "side", "--until",
                "main",
                "--", "sleep", "600",
            ]
        ).run()
        #expect(outcome.exitCode == 0)
    }
}
