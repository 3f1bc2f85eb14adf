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
            guard case .pipe(let pipe) = answer.content else {
                Issue.record("\(answer)")
                return
            }
            let path = directory + "/x.tar"
            var archive: [UInt8] = []
            while case let piece = try pipe.read(limitBytes: 1000), !piece.isEmpty { archive += piece }
            try Disk.write(archive, to: path)
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

    @Test(
        "Artifacts whose names differ in a letter are two",
        arguments: [("train_data", "train-data"), ("Model", "model"), ("a.", "a"), ("a/b", "a-b")])
    func exactNames(one: String, other: String) throws {
        let directory = "/tmp/martlet-exchange-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let store = try LocalArtifactStore(directory: directory + "/artifacts")
        let exchange = try StepExchange(store: store, dataDirectory: directory)
        func artifact(_ name: String) -> JSONValue { ["name": .string(name), "path": .string("/" + name)] }
        let launch = PodRendererTests.launch([
            "name": "step", "container": ["image": "x", "command": ["run"]],
            "inputs": ["artifacts": [artifact(one), artifact(other)]],
            "outputs": ["artifacts": [artifact(one), artifact(other)]],
        ])
        exchange.expect(launch, LaunchValues())
        for (name, text) in [(one, "one"), (other, "other, and longer")] {
            let folder = "\(directory)/\(text.utf8.count)"
            try Disk.makeDirectories(folder)
            try Disk.write(Array(text.utf8), to: folder + "/artifact")
            try CommandRun(["tar", "-cf", folder + ".tar", "-C", folder, "artifact"]).check(
                path: folder, action: "pack")
            let bytes = try Disk.read(folder + ".tar", limitBytes: 1 << 20)
            let place = "outputs/\(URLText.encoded(name))"
            #expect(
                exchange.answer(request("PUT", place, exchange.token(launch.key), body: bytes)).status == 200)
        }
        let saved = try launch.template.outputs.artifacts.map { try exchange.save($0, of: launch) }
        let texts = try saved.map { try exchange.text(of: try #require($0), launch) }
        #expect(texts == ["one", "other, and longer"])
        let places = try PodPlan(launch, PodRendererTests.settings).inputs.map(\.directory)
        #expect(Set(places).count == 2)
        #expect(PodPlan.fileName("..") == "%2E%2E" && PodPlan.fileName("data") == "data")
    }

    @Test("Of a message that a node has cut, what came before the cut is taken", arguments: 0...60)
    func cutMessage(dropped: Int) throws {
        let text =
            #"{"exitCode":3,"saved":{"artifacts":{"a,\"b":true},"failures":{}},"result":"x","complete":true}"#
        let result = try #require(PodResult(termination: String(text.dropLast(dropped))))
        #expect(result.exitCode == 3)
        #expect(result.isComplete == (dropped == 0))
        #expect(result.isSaved == (dropped <= 29))
        #expect(result.sent == (result.isSaved ? [#"a,"b"#] : []))
        #expect(PodResult(termination: "out of memory") == nil)
    }

    @Test("What a container says at its end fits beside what the pod's others may say", arguments: 0...6)
    func messageLimits(sidecars: Int) throws {
        let pod = try PodRenderer(PodRendererTests.settings).pod(
            for: PodRendererTests.launch([
                "name": "step", "container": ["image": "x", "command": ["run"]],
                "sidecars": .array(
                    (0..<sidecars).map { ["name": .string("s\($0)"), "image": "x", "command": ["wait"]] }),
                "outputs": ["parameters": [["name": "loss", "valueFrom": ["path": "/loss"]]]],
            ]), owner: nil, token: "t")
        let containers = pod["spec"]?["containers"]?.arrayValue ?? []
        let count = containers.count + (pod["spec"]?["initContainers"]?.arrayValue?.count ?? 0)
        let words = (containers.first { $0["name"] == "main" }?["command"]?.arrayValue ?? []).compactMap(
            \.stringValue)
        let place = words.firstIndex(of: "--message-limit")
        #expect(place.flatMap { Int(words[$0 + 1]) } == (count > 3 ? 12_288 / count : nil))
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

    @Test("A command that closes its output and works on costs nothing to wait for")
    func closedOutput() throws {
        let directory = "/tmp/martlet-pod-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory)
        // The supervisor's own processor time, in hundredths of a second, after two seconds of waiting.
        let script = "exec >&- 2>&-; sleep 2; cut -d' ' -f14,15 /proc/$PPID/stat > \(directory)/ticks"
        let words = [
            try SupervisorClient.locateSupervisor(), "--pod", directory, "--result", "--", "sh", "-c", script,
        ]
        #expect(try CommandRun(words).run().exitCode == 0)
        let text = String(decoding: try Disk.read(directory + "/ticks", limitBytes: 100), as: UTF8.self)
        let ticks = text.split { $0 == " " || $0 == "\n" }.compactMap { Int($0) }
        #expect(ticks.count == 2 && ticks.reduce(0, +) <= 10, "\(ticks)")
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

    @Test("A member that is killed with its supervisor ends those that wait for it")
    func killedMember() throws {
        let directory = "/tmp/martlet-pod-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory)
        func run(_ words: [String]) throws -> CommandRun.Outcome {
            var run = CommandRun([try SupervisorClient.locateSupervisor(), "--pod", directory] + words)
            // Where nothing tells of the end, they would wait for ever.
            run.timeout = .seconds(60)
            return try run.run()
        }
        // As the kernel does when a container has no memory left: nobody writes how it ended.
        #expect(try run(["--name", "first", "--", "sh", "-c", "kill -9 $PPID"]).exitCode != 0)
        #expect(!Disk.exists(directory + "/run/first/exit"))
        let then = try run(["--name", "then", "--after", "first", "--", "echo", "ran"])
        #expect(then.exitCode == 0 && then.output == "")
        #expect(try Disk.read(directory + "/run/then/exit", limitBytes: 20) == Array("omitted".utf8))
        #expect(try run(["--name", "side", "--until", "first", "--", "sleep", "600"]).exitCode == 0)
    }

    @Test("A member of a set that could not even begin ends the step, though others still wait for it")
    func neverBegan() {
        let pod: JSONValue = [
            "status": [
                "phase": "Running",
                "containerStatuses": [
                    [
                        "name": "first",
                        "state": [
                            "terminated": [
                                "exitCode": 128, "reason": "StartError", "message": "no such file",
                            ]
                        ],
                    ],
                    ["name": "then", "state": ["running": [:]]],
                ],
            ]
        ]
        let verdict = PodVerdict(pod, work: ["first", "then"], deadlineMessage: "")
        guard case .ended(let end) = verdict.standing() else {
            Issue.record("\(verdict.standing())")
            return
        }
        #expect(end.phase == .failed && end.message.contains("no such file"))
    }

    @Test("Containers of a set have the times of their commands, not those of their containers")
    func timesOfSets() throws {
        try withExchange { exchange, _, directory in
            let launch = PodRendererTests.launch([
                "name": "step",
                "containerSet": [
                    "containers": [
                        ["name": "a", "image": "x", "command": ["a"]],
                        ["name": "b", "image": "x", "command": ["b"], "dependencies": ["a"]],
                    ]
                ],
            ])
            func state(_ name: String, _ message: String) -> JSONValue {
                let ended: JSONValue = [
                    "exitCode": 0, "startedAt": "2027-01-15T08:00:00Z", "finishedAt": "2027-01-15T08:00:03Z",
                    "message": .string(message),
                ]
                return ["name": .string(name), "state": ["terminated": ended]]
            }
            let second = 1_800_000_000_000_000_000
            let told =
                "{\"exitCode\":0,\"began\":\(second + 500),\"ended\":\(second + 900),\"complete\":true}"
            let pod: JSONValue = [
                "status": ["phase": "Succeeded", "containerStatuses": [state("a", ""), state("b", told)]]
            ]
            let taker = PodOutcome(
                launch: launch, end: PodEnd(.succeeded, exitCode: 0), pod: pod, exchange: exchange)
            let outcome = taker.outcome(logPath: directory + "/log")
            let containers = outcome.containers
            #expect(containers.map(\.name) == ["a", "b"])
            #expect(containers.first?.startedAt == Timestamp(rfc3339: "2027-01-15T08:00:00Z"))
            #expect(containers.last?.startedAt == Timestamp(nanoseconds: Int64(second + 500)))
            #expect(containers.last?.finishedAt == Timestamp(nanoseconds: Int64(second + 900)))
        }
    }

    @Test("A command says when it began and ended beside how, though its container waited for others")
    func toldTimes() throws {
        let told = try #require(
            PodResult(termination: "{\"exitCode\":3,\"began\":5,\"ended\":9,\"result\":\"cut"))
        #expect(told.exitCode == 3 && told.beganAt?.nanoseconds == 5 && told.endedAt?.nanoseconds == 9)
        #expect(PodResult(termination: "{\"exitCode\":3,\"complete\":true}")?.beganAt == nil)
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
