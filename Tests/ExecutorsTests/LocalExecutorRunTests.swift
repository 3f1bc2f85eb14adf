// Steps with real processes: what goes into them, what comes out, and what is said when something is wrong.

import Artifacts
import Glibc
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Executors

@Suite(
    "Local executor: running steps", .enabled(if: LocalWorkshop.hasSupervisor, LocalWorkshop.skipReason),
    .timeLimit(.minutes(30)))
struct LocalExecutorRunTests {
    private let workshop: LocalWorkshop

    init() throws { workshop = try LocalWorkshop() }

    private func run(
        _ template: JSONValue, name: String = "a", settings: (inout LocalExecutorSettings) -> Void = { _ in },
        change: (inout Launch) -> Void = { _ in }
    ) async throws -> AttemptOutcome {
        let executor = try workshop.executor(settings)
        var launch = ExecutorConformance.launch(name, template: template)
        change(&launch)
        let outcome = try await ExecutorConformance.outcome(executor, launch)
        await executor.shutDown()
        return outcome
    }

    private func shell(_ script: String, _ more: [String: JSONValue] = [:]) -> JSONValue {
        .object(
            more.merging(["name": "t", "container": ["command": ["sh", "-c", .string(script)]]]) { old, _ in
                old
            })
    }

    private func directory(_ node: String) -> String { "\(workshop.directory)/runs/uid/\(node)/0" }

    // MARK: What goes in

    @Test("A script runs as a file behind its command, with its variables")
    func script() async throws {
        let outcome = try await run(
            [
                "name": "t",
                "script": [
                    "command": ["sh", "-e"],
                    "env": [["name": "A", "value": "x"], ["name": "B", "value": "$(A)y"]],
                    "source": "echo $B $MARTLET_WORKFLOW $MARTLET_ATTEMPT $0; pwd",
                ],
            ], change: { $0.retryOrdinal = 2 })
        #expect(outcome.outputs.result == "xy wf 2 /argo/staging/script\n/")
    }

    @Test("Input artifacts lie at their paths, also where the machine's directories are read-only")
    func inputs() async throws {
        let artifacts: JSONValue = [
            ["name": "a", "path": "/in/f", "raw": ["data": "one"]],
            ["name": "b", "path": "/etc/martlet-test/g", "raw": ["data": "two"], "mode": 0o600],
            ["name": "c", "path": "/never", "optional": true, "s3": ["key": "absent"]],
            ["name": "d", "path": "/lib/martlet-test/h", "raw": ["data": "three"]],
        ]
        let script = """
            cat /in/f /etc/martlet-test/g /lib/martlet-test/h
            echo more >> /in/f
            test -e /never || test -e /etc/passwd && echo ok
            """
        let outcome = try await run(shell(script, ["inputs": ["artifacts": artifacts]]))
        #expect(outcome.outputs.result == "onetwothreeok")
        #expect(outcome.phase == .succeeded)
    }

    @Test("An artifact goes from one step to the next, and editing it changes only the copy")
    func artifactFlow() async throws {
        let outputs: JSONValue = ["artifacts": [["name": "d", "path": "/out"]]]
        let first = try await run(
            shell("mkdir -p /out/sub; printf v1 > /out/sub/f; chmod 750 /out/sub/f", ["outputs": outputs]))
        let made = try #require(first.outputs.artifacts.first)
        #expect(made.raw["s3"] == ["key": "wf/wf-a/d"])
        let input: JSONValue = ["artifacts": [made.with("path", "/in").json]]
        let script = "cat /in/sub/f; stat -c %a /in/sub/f; printf edited > /in/sub/f"
        for name in ["b", "c"] {
            let next = try await run(shell(script, ["inputs": input]), name: name)
            #expect(next.outputs.result == "v1750")
        }
    }

    @Test("A missing input is an error that names it")
    func missingInput() async throws {
        let artifacts: JSONValue = [["name": "x", "path": "/x", "s3": ["key": "absent"]]]
        let outcome = try await run(shell("true", ["inputs": ["artifacts": artifacts]]))
        #expect(outcome.phase == .error)
        #expect(outcome.message.hasPrefix("failed to load artifact 'x': absent: there is no such key"))
        #expect(outcome.failureClass == .user)
    }

    @Test("Volumes hold values, are shared between containers, and keep what claims keep")
    func volumes() async throws {
        let mounts: JSONValue = [
            ["name": "config", "mountPath": "/etc/app/config"], ["name": "work", "mountPath": "/scratch"],
            ["name": "claim", "mountPath": "/claim", "subPath": "inner"],
        ]
        let template: JSONValue = [
            "name": "t",
            "volumes": [
                [
                    "name": "config",
                    "configMap": ["name": "m", "items": [["key": "k", "path": "dir/file"]]],
                ],
                ["name": "work", "emptyDir": [:]],
                ["name": "claim", "persistentVolumeClaim": ["claimName": "c"]],
            ],
            "initContainers": [
                [
                    "name": "prepare", "command": ["sh", "-c", "echo ready > /shared/f"],
                    "volumeMounts": [["name": "work", "mountPath": "/shared"]],
                ]
            ],
            "container": [
                "command": [
                    "sh", "-c",
                    "cat /etc/app/config/dir/file /scratch/f; echo x >> /claim/n; wc -l < /claim/n",
                ],
                "volumeMounts": mounts,
            ],
        ]
        let map: JSONValue = ["kind": "ConfigMap", "metadata": ["name": "m"], "data": ["k": "value\n"]]
        for (name, count) in [("a", "1"), ("b", "2")] {
            let executor = try workshop.executor()
            let launch = ExecutorConformance.launch(name, template: template)
            await executor.launch(launch, values: LaunchValues(configMaps: ["m": KeyedValues(map)]))
            let last = await ExecutorConformance.reports(executor, until: launch.key).last
            guard case .finished(_, let outcome)? = last else { return }
            #expect(outcome.outputs.result == "value\nready\n\(count)", "\(outcome.message)")
            await executor.shutDown()
        }
    }

    @Test("A GPU step sees the GPUs that are its own")
    func gpus() async throws {
        let template: JSONValue = [
            "name": "t",
            "container": [
                "command": ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES"],
                "resources": ["limits": ["nvidia.com/gpu": 2]],
            ],
        ]
        let outcome = try await run(template, settings: { $0.gpuCount = 4 })
        #expect(outcome.outputs.result == "0,1")
    }

    @Test("The checkpoint directory is kept from one attempt to the next")
    func checkpoints() async throws {
        let script = "echo x >> $MARTLET_CHECKPOINT_DIR/f; wc -l < $MARTLET_CHECKPOINT_DIR/f"
        for (attempt, count) in [(0, "1"), (1, "2")] {
            let outcome = try await run(
                shell(script),
                change: { launch in
                    launch.key.attempt = attempt
                    launch.checkpointNodeID = "retry"
                })
            #expect(outcome.outputs.result == count)
        }
    }

    // MARK: What comes out

    @Test("Parameters are read from files, with one newline less, or have their default")
    func parameters() async throws {
        let outputs: JSONValue = [
            "parameters": [
                ["name": "p", "valueFrom": ["path": "/p"]],
                ["name": "q", "valueFrom": ["path": "/absent", "default": "fallback"]],
            ]
        ]
        let outcome = try await run(shell("printf 'a\\n\\n' > /p", ["outputs": outputs]))
        #expect(outcome.outputs.parameter("p")?.value == "a\n")
        #expect(outcome.outputs.parameter("q")?.value == "fallback")
    }

    static let badOutputs: [(String, JSONValue, String)] = [
        (
            "true", ["parameters": [["name": "p", "valueFrom": ["path": "/absent"]]]],
            "cannot save parameter 'p': /absent: path not found"
        ),
        (
            "head -c 300000 /dev/zero > /big",
            ["parameters": [["name": "p", "valueFrom": ["path": "/big"]]]],
            "cannot save parameter 'p': /big: is larger than 262144 bytes"
        ),
        (
            "true", ["artifacts": [["name": "x", "path": "/absent"]]],
            "failed to save artifact 'x': /absent: path not found"
        ),
    ]

    @Test("A declared output that is not there is an error that names it", arguments: badOutputs)
    func badOutput(script: String, outputs: JSONValue, words: String) async throws {
        let outcome = try await run(shell(script, ["outputs": outputs]))
        #expect(outcome.phase == .error)
        #expect(outcome.message.hasPrefix(words))
        #expect(outcome.exitCode == 0)
    }

    @Test("What a failed step left is still taken, and optional outputs may be absent")
    func outputsOfFailure() async throws {
        let outputs: JSONValue = [
            "parameters": [
                ["name": "p", "valueFrom": ["path": "/p"]], ["name": "q", "valueFrom": ["path": "/q"]],
            ],
            "artifacts": [["name": "x", "path": "/absent", "optional": true], ["name": "y", "path": "/p"]],
        ]
        let outcome = try await run(shell("echo v > /p; exit 9", ["outputs": outputs]))
        #expect(outcome.phase == .failed)
        #expect(outcome.outputs.parameters.map(\.value) == ["v"])
        #expect(outcome.outputs.artifacts.map(\.name) == ["y"])
    }

    @Test("A link that a step leaves leads where the step would get, not out of its view")
    func linkedOutput() async throws {
        let secret = workshop.directory + "/secret"
        try Disk.write(Array("hidden".utf8), to: secret)
        let outputs: JSONValue = ["parameters": [["name": "p", "valueFrom": ["path": "/p"]]]]
        let outcome = try await run(shell("ln -s \(secret) /p", ["outputs": outputs]))
        #expect(outcome.message.hasPrefix("cannot save parameter 'p': /p: path not found"))
    }

    @Test("The log becomes an artifact when it is asked for")
    func archivedLog() async throws {
        let outcome = try await run(
            shell("echo out; echo err >&2; printf end"), change: { $0.archivesLogs = true })
        let log = try #require(outcome.outputs.artifacts.first { $0.name == "main-logs" })
        let transfer = ArtifactTransfer(store: workshop.store, namespace: "ns") { _, _ in nil }
        try transfer.load(log, at: workshop.directory + "/log")
        let bytes = try Disk.read(workshop.directory + "/log", limitBytes: 4096)
        #expect(
            String(decoding: bytes, as: UTF8.self).split(separator: "\n").sorted() == ["end", "err", "out"])
    }

    static let failures: [(String, String, FailureClass)] = [
        ("exit 4", "main: Error (exit code 4)", .user),
        ("kill -TERM $$$$", "main: Error (exit code 143)", .user),
        // Nobody here asked for that.
        ("kill -KILL $$$$", "main: Error (exit code 137)", .infrastructure),
        ("sh -c 'kill -KILL $$$$'; exit 137", "main: Error (exit code 137)", .infrastructure),
        (
            "echo \"terminate called after throwing 'std::bad_alloc'\"; exit 134",
            "main: Error (exit code 134)", .memory
        ),
        (
            "echo 'torch.cuda.OutOfMemoryError' >&2; seq 1 2000; exit 137", "main: Error (exit code 137)",
            .memory
        ),
        (
            "echo 'torch.OutOfMemoryError: CUDA out of memory' >&2; exit 1", "main: Error (exit code 1)",
            .memory
        ),
    ]

    @Test("A failure has Argo's words and its class", arguments: failures)
    func failure(script: String, message: String, kind: FailureClass) async throws {
        let outcome = try await run(shell(script))
        #expect(outcome.phase == .failed)
        #expect(outcome.message == message)
        #expect(outcome.failureClass == kind)
    }

    @Test("A deadline ends a step with the words it was given")
    func deadline() async throws {
        let outcome = try await run(
            shell("sleep 1000"),
            change: { launch in
                launch.deadlineSeconds = 0.1
                launch.deadlineMessage = "too long"
            })
        #expect(outcome.phase == .failed)
        #expect(outcome.message == "too long")
    }

    @Test("Containers of a set tell how each one ended")
    func containerSet() async throws {
        func container(_ name: String, _ script: String, _ after: [String] = []) -> JSONValue {
            [
                "name": .string(name), "command": ["sh", "-c", .string(script)],
                "dependencies": .array(after.map(JSONValue.string)),
            ]
        }
        let template: JSONValue = [
            "name": "t",
            "containerSet": [
                "containers": [
                    container("a", "true"), container("b", "exit 5", ["a"]), container("main", "true", ["b"]),
                ]
            ],
        ]
        let outcome = try await run(template)
        #expect(outcome.message == "b: Error (exit code 5)")
        #expect(outcome.containers.map(\.name) == ["a", "b", "main"])
        #expect(outcome.containers.map(\.phase) == [.succeeded, .failed, .omitted])
    }

    @Test("A template without a command is refused with the remedy, unless its image is mapped")
    func imageCommand() async throws {
        let template: JSONValue = ["name": "t", "container": ["image": "tool:1", "args": ["hello"]]]
        let refused = try await run(template)
        #expect(refused.phase == .error)
        #expect(refused.message.contains("write it as `command`, or map the image"))
        let mapped = try await run(
            template, name: "b", settings: { $0.imageMap = ["tool": .command(["echo", "mapped"])] })
        #expect(mapped.outputs.result == "mapped hello")
    }

    @Test("A request beyond the machine is an error with the numbers")
    func impossibleRequest() async throws {
        let container: JSONValue = ["command": ["true"], "resources": ["requests": ["memory": "2Gi"]]]
        let outcome = try await run(
            ["name": "t", "container": container], settings: { $0.memoryBytes = 1 << 30 })
        #expect(outcome.phase == .error && outcome.failureClass == .infrastructure)
        #expect(outcome.message.contains("asks for 2 GiB memory, the machine has 1 GiB"))
    }

    // MARK: Other kinds

    @Test("One of our own steps gets a file of parameters and gives artifacts and parameters by name")
    func builtInStep() async throws {
        let program = workshop.directory + "/martlet"
        let script = """
            #!/bin/sh
            test "$1 $2" = "sft --config" || exit 2
            cat "$3" > $MARTLET_OUTPUT_DIR/model
            cat /.martlet/inputs/dataset >> $MARTLET_OUTPUT_DIR/model
            touch /.martlet/inputs/dataset 2>/dev/null && exit 1
            echo '{"train_loss": 0.5}' > $MARTLET_OUTPUT_DIR/parameters.json
            """
        try Disk.write(Array(script.utf8), to: program, mode: 0o755)
        let template: JSONValue = [
            "name": "t", "sft": ["learning_rate": 1],
            "inputs": ["artifacts": [["name": "dataset", "raw": ["data": "DATA"]]]],
        ]
        let outcome = try await run(template, settings: { $0.martletExecutablePath = program })
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        #expect(outcome.outputs.parameter("train_loss")?.value == "0.5")
        let model = try #require(outcome.outputs.artifacts.first { $0.name == "model" })
        let transfer = ArtifactTransfer(store: workshop.store, namespace: "ns") { _, _ in nil }
        try transfer.load(model, at: workshop.directory + "/model")
        let text = String(
            decoding: try Disk.read(workshop.directory + "/model", limitBytes: 4096), as: UTF8.self)
        #expect(text == "{\"dataset\":\"/.martlet/inputs/dataset\",\"learning_rate\":1}DATA")
    }

    @Test("What a template says of an artifact of our own steps counts: its key, and that it must be there")
    func builtInKey() async throws {
        let program = workshop.directory + "/martlet"
        try Disk.write(
            Array("#!/bin/sh\necho weights > $MARTLET_OUTPUT_DIR/adapter\n".utf8), to: program, mode: 0o755)
        func template(_ artifact: JSONValue) -> JSONValue {
            ["name": "t", "sft": [:], "outputs": ["artifacts": [artifact]]]
        }
        let kept: JSONValue = ["name": "adapter", "s3": ["key": "kept/here"]]
        let outcome = try await run(template(kept), settings: { $0.martletExecutablePath = program })
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        let transfer = ArtifactTransfer(store: workshop.store, namespace: "ns") { _, _ in nil }
        try transfer.load(Artifact(kept), at: workshop.directory + "/adapter")
        let bytes = try Disk.read(workshop.directory + "/adapter", limitBytes: 64)
        #expect(String(decoding: bytes, as: UTF8.self) == "weights\n")
        let missing = try await run(
            template(["name": "model"]), name: "b", settings: { $0.martletExecutablePath = program })
        #expect(missing.phase == .error || missing.phase == .failed)
        #expect(missing.message.contains("the step gave no artifact 'model'"))
    }

    @Test(
        "Our own steps' exit codes have words and classes",
        arguments: [
            (86, FailureClass.memory), (75, .infrastructure), (87, .user), (65, .user), (2, .user),
        ])
    func builtInFailure(code: Int, kind: FailureClass) async throws {
        let program = workshop.directory + "/martlet"
        try Disk.write(Array("#!/bin/sh\nexit \(code)\n".utf8), to: program, mode: 0o755)
        let outcome = try await run(
            ["name": "t", "merge": [:]], settings: { $0.martletExecutablePath = program })
        #expect(outcome.phase == .failed && outcome.failureClass == kind)
        #expect(outcome.message.hasPrefix("main: Error (exit code \(code)): "))
    }

    @Test(
        "An http step gives its answer's body, or says what was wrong with it",
        arguments: [
            ("200", Phase.succeeded, ""), ("404", .failed, "received non-2xx response code: 404"),
        ])
    func httpStep(status: String, phase: Phase, message: String) async throws {
        let program = workshop.directory + "/martlet"
        let script = """
            #!/bin/sh
            test "$1 $2" = "internal-http /.martlet/http.json" || exit 2
            printf \(status) > /.martlet/response-status
            printf body > /.martlet/response-body
            """
        try Disk.write(Array(script.utf8), to: program, mode: 0o755)
        let outcome = try await run(
            ["name": "t", "http": ["url": "http://x"]], settings: { $0.martletExecutablePath = program })
        #expect(outcome.phase == phase)
        #expect(outcome.message == message)
        #expect(outcome.outputs.result == "body")
    }

    @Test("A data step lists keys")
    func dataStep() async throws {
        for key in ["logs/b", "logs/a", "other"] {
            try workshop.store.publish(key: key, namespace: "ns", tree: try workshop.store.save(bytes: [1]))
        }
        let outcome = try await run([
            "name": "t",
            "data": ["source": ["artifactPaths": ["name": "x", "s3": ["bucket": "b", "key": "logs/"]]]],
        ])
        #expect(outcome.outputs.result == "[\"logs/a\",\"logs/b\"]")
        let filtered = try await run(
            [
                "name": "t",
                "data": [
                    "source": ["artifactPaths": ["name": "x", "s3": ["key": ""]]],
                    "transformation": [
                        ["expression": "filter(data, {# endsWith \"r\"})"],
                        ["expression": "map(data, {# + \"!\"})"],
                    ],
                ],
            ], name: "b")
        #expect(filtered.outputs.result == "[\"other!\"]")
        let broken = try await run(
            [
                "name": "t",
                "data": [
                    "source": ["artifactPaths": ["name": "x"]], "transformation": [["expression": "1 +"]],
                ],
            ], name: "c")
        #expect(broken.phase == .error && broken.message.hasPrefix("transformation '1 +'"))
    }

    @Test("A daemon without a probe is ready when it runs, and ends when it is told to")
    func daemon() async throws {
        let executor = try workshop.executor()
        let launch = ExecutorConformance.launch("a", template: shell("sleep 100000", ["daemon": true]))
        await executor.launch(launch, values: LaunchValues())
        for await report in executor.reports {
            if report == .ready(launch.key, address: "127.0.0.1") { break }
        }
        await executor.cancel(launch.key, immediately: true)
        let last = await ExecutorConformance.reports(executor, until: launch.key).last
        guard case .finished(_, let outcome)? = last else { return }
        #expect(outcome.message == "terminated")
        await executor.shutDown()
    }

    @Test("Metrics and progress come while or after a step runs, each sample once")
    func metrics() async throws {
        let executor = try workshop.executor()
        let script = "for i in 1 2 3; do echo \"{\\\"step\\\": $i}\" >> $MARTLET_METRICS_FILE; done"
        let launch = ExecutorConformance.launch("a", template: shell(script))
        let outcome = try await ExecutorConformance.outcome(executor, launch)
        #expect(outcome.phase == .succeeded)
        await executor.shutDown()
        var samples: [JSONValue] = []
        for await sample in executor.metrics { samples.append(sample.values) }
        #expect(samples == [["step": 1], ["step": 2], ["step": 3]])
    }

    // MARK: Crashes

    @Test("A half-prepared directory is prepared again from scratch")
    func halfPrepared() async throws {
        let path = directory("a")
        try Disk.makeDirectories(path + "/root/in")
        try Disk.write(Array("old".utf8), to: path + "/root/in/f")
        try Disk.write(Array("half".utf8), to: path + "/spec")
        let artifacts: JSONValue = [["name": "a", "path": "/in/f", "raw": ["data": "new"]]]
        let outcome = try await run(shell("cat /in/f", ["inputs": ["artifacts": artifacts]]))
        #expect(outcome.outputs.result == "new")
    }

    @Test("An attempt that was started and left no result is lost")
    func lost() async throws {
        let path = directory("a")
        try Disk.makeDirectories(path)
        for name in ["lock", "started"] { try Disk.write([], to: "\(path)/\(name)") }
        let outcome = try await run(shell("true"))
        #expect(outcome.isLost)
        #expect(outcome.phase == .error && outcome.failureClass == .infrastructure)
    }

    @Test("An attempt that has ended is told again when its working files are gone")
    func toldAgain() async throws {
        let executor = try workshop.executor()
        let outputs: JSONValue = ["parameters": [["name": "p", "valueFrom": ["path": "/p"]]]]
        let launch = ExecutorConformance.launch("a", template: shell("echo v > /p", ["outputs": outputs]))
        let first = try await ExecutorConformance.outcome(executor, launch)
        Disk.removeTree(directory("a") + "/root")
        #expect(try await ExecutorConformance.outcome(executor, launch) == first)
        #expect(first.outputs.parameter("p")?.value == "v")
        await executor.shutDown()
    }

    @Test("Working files go when they are told to, logs and outcomes stay")
    func removal() async throws {
        let executor = try workshop.executor()
        let launch = ExecutorConformance.launch("a", template: shell("echo hello"))
        let outcome = try await ExecutorConformance.outcome(executor, launch)
        await executor.removeWorkingFiles(workflowUID: "uid", nodeID: "a")
        await executor.removeWorkingFiles(workflowUID: "uid", nodeID: "never")
        var root: Bool { Disk.exists(directory("a") + "/root") }
        // It happens on another thread; the suite's time limit is the limit of this wait.
        while root { await Task.yield() }
        #expect(StepLog(path: directory("a") + "/log").lines().map(\.text) == ["hello"])
        #expect(try await ExecutorConformance.outcome(executor, launch) == outcome)
        await executor.shutDown()
    }

    @Test("A waiting step says for what, and may be cancelled before it ever runs")
    func cancelledInQueue() async throws {
        let executor = try workshop.executor { $0.maxParallel = 1 }
        let first = ExecutorConformance.launch("a", template: shell("sleep 100000"))
        let second = ExecutorConformance.launch("b", template: shell("true"))
        await executor.launch(first, values: LaunchValues())
        for await report in executor.reports {
            if case .started(first.key, _, _) = report { break }
        }
        await executor.launch(second, values: LaunchValues())
        for await report in executor.reports {
            if case .waiting(second.key, let message) = report {
                #expect(message.hasPrefix("waiting for a slot"))
                break
            }
        }
        await executor.cancel(second.key, immediately: false)
        let last = await ExecutorConformance.reports(executor, until: second.key).last
        guard case .finished(_, let outcome)? = last else { return }
        #expect(outcome.phase == .failed && outcome.message == "terminated")
        await executor.cancel(first.key, immediately: true)
        #expect(await ExecutorConformance.reports(executor, until: first.key).count == 1)
        await executor.shutDown()
    }

    @Test("Without a sandbox a step still runs, with its files where the machine has them")
    func plainMode() async throws {
        let place = workshop.directory + "/plain"
        let template: JSONValue = [
            "name": "t",
            "inputs": ["artifacts": [["name": "i", "path": .string(place + "/in"), "raw": ["data": "in"]]]],
            "outputs": ["parameters": [["name": "p", "valueFrom": ["path": .string(place + "/out")]]]],
            "script": [
                "command": ["sh"], "source": .string("cat \(place)/in > \(place)/out; echo $MARTLET_NODE"),
            ],
        ]
        let outcome = try await run(template, settings: { $0.sandboxMode = .plain })
        #expect(outcome.outputs.result == "wf.a")
        #expect(outcome.outputs.parameter("p")?.value == "in")
    }
}
