// What is known of a step while its pod runs: its log, its metrics, its progress.

import Artifacts
import Executors
import FakeCluster
import Glibc
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Steps while they run", .timeLimit(.minutes(5)))
struct LiveStepTests {
    @Test("Lines that were taken before are left out, also those of the same moment")
    func filter() {
        let lines = (0..<6).map { index in
            Array("2027-01-01T00:00:0\(index / 2).5Z line \(index)".utf8)[...]
        }
        var first = LineFilter(mark: PodLogs.Mark())
        #expect(first.since == nil)
        #expect(lines[0..<3].allSatisfy { first.takes($0) })
        var second = LineFilter(mark: first.mark)
        #expect(second.since == "2027-01-01T00:00:01Z")
        #expect(lines.map { second.takes($0) } == [false, false, false, true, true, true])
        var third = LineFilter(mark: second.mark)
        #expect(lines.map { third.takes($0) }.allSatisfy { !$0 })
    }

    @Test("A log is there while its step runs, whole and without doubles at the end")
    func log() async throws {
        let world = try ExecutorWorld()
        let source = world.directory + "/node-log"
        func write(_ range: Range<Int>) throws {
            let text = range.map { "2027-01-01T00:00:00.\(100 + $0)Z stdout F line \($0)\n" }
            try PodLogs.append(Array(text.joined().utf8), to: source)
        }
        world.server.setLogs { _, container in container == "main" ? source : nil }
        let launch = PodRendererTests.launch([
            "name": "step", "container": ["image": "busybox", "command": ["true"]],
        ])
        var reports = world.executor.reports.makeAsyncIterator()
        await world.executor.launch(launch, values: LaunchValues())
        await world.server.objects.wait { world.podNames.contains("w-step-1") }
        try write(0..<3)
        try world.setStatus(
            "w-step-1",
            ["phase": "Running", "containerStatuses": [["name": "main", "state": ["running": [:]]]]])
        #expect(await KubernetesExecutor.next(&reports, where: \.isStart) != nil)
        world.clock.advance(.seconds(2))
        let log = StepLog(path: AttemptPaths.log(world.directory, key: launch.key))
        let growth = try FileGrowth(of: log.path)
        try await growth.wait { log.lines().count == 3 }
        try write(3..<5)
        try await growth.wait { log.lines().count == 5 }
        try write(5..<7)
        try world.setStatus("w-step-1", ExecutorWorld.succeeded)
        #expect(await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome?.phase == .succeeded)
        #expect(log.lines().map(\.text) == (0..<7).map { "line \($0)" })
        await world.close()
    }

    @Test("Metrics come in pieces, each sample once, and progress is passed on")
    func reports() async throws {
        let world = try ExecutorWorld()
        let launch = PodRendererTests.launch([
            "name": "step", "container": ["image": "x", "command": ["train"]],
        ])
        let exchange = world.executor.exchange
        exchange.expect(launch, LaunchValues())
        let token = exchange.token(launch.key)
        func put(_ place: String, _ text: String, offset: Int = 0) -> Int {
            exchange.answer(
                .init(
                    method: "PUT", path: "/steps/v1/\(place)", offset: offset,
                    authorization: "Bearer \(token)",
                    body: Array(text.utf8))
            ).status
        }
        #expect(put("metrics", #"{"step": 1, "loss": 2}"# + "\n" + #"{"st"#) == 200)
        #expect(put("metrics", #"{"step": 1, "loss": 2}"# + "\n" + #"{"st"#) == 200)
        #expect(put("metrics", #"ep": 2, "loss": 1}"# + "\n", offset: 27) == 200)
        #expect(put("metrics", "x", offset: 4000) == 409)
        #expect(put("progress", "3/10\n") == 200)
        #expect(put("progress", "ten of them") == 400)
        var samples = world.executor.metrics.makeAsyncIterator()
        #expect(await samples.next()?.values["step"] == 1)
        let second = await samples.next()
        #expect(second?.values["loss"] == 1 && second?.endOffset == 46)
        var reports = world.executor.reports.makeAsyncIterator()
        guard case .progress(let key, let text)? = await reports.next() else {
            Issue.record("no progress came")
            return
        }
        #expect(key == launch.key && text == "3/10")
        await world.close()
    }

    @Test("A step that names the files for it, or says so, has a companion that reports")
    func companion() throws {
        func names(_ template: JSONValue, annotations: [String: String] = [:]) throws -> [String] {
            var launch = PodRendererTests.launch(template)
            launch.annotations = annotations
            let pod = try PodRenderer(PodRendererTests.settings).pod(for: launch, owner: nil, token: "t")
            return (pod["spec"]?["initContainers"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        }
        let silent: JSONValue = ["name": "s", "container": ["image": "x", "command": ["train"]]]
        let telling: JSONValue = [
            "name": "s",
            "container": [
                "image": "x", "command": ["sh", "-c"], "args": ["echo 1/2 > $ARGO_PROGRESS_FILE"],
            ],
        ]
        #expect(try names(silent).isEmpty)
        #expect(try names(telling).contains("martlet-save"))
        #expect(try names(silent, annotations: ["martlet.dev/metrics": "true"]).contains("martlet-save"))
    }

    @Test("Outputs that did not arrive are told apart from those that never were")
    func notSent() throws {
        let directory = "/tmp/martlet-outcome-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        let exchange = try StepExchange(
            store: try LocalArtifactStore(directory: directory + "/artifacts"), dataDirectory: directory)
        let launch = PodRendererTests.launch([
            "name": "step", "container": ["image": "x", "command": ["run"]],
            "outputs": ["artifacts": [["name": "model", "path": "/model"]]],
        ])
        exchange.expect(launch, LaunchValues())
        let pod: JSONValue = [
            "status": [
                "containerStatuses": [
                    [
                        "name": "main",
                        "state": [
                            "terminated": ["exitCode": 0, "message": #"{"exitCode":0,"complete":true}"#]
                        ],
                    ]
                ]
            ]
        ]
        let end = PodEnd(.succeeded, exitCode: 0)
        let lost = PodOutcome(launch: launch, end: end, pod: pod, exchange: exchange).outcome(logPath: "")
        #expect(lost.phase == .error && lost.failureClass == .infrastructure)
        #expect(lost.message.contains("ended before it was sent"))
        let result = exchange.answer(
            .init(
                method: "PUT", path: "/steps/v1/result", offset: 0,
                authorization: "Bearer \(exchange.token(launch.key))", body: Array(#"{"exitCode":0}"#.utf8)))
        #expect(result.status == 200)
        let never = PodOutcome(launch: launch, end: end, pod: pod, exchange: exchange).outcome(logPath: "")
        #expect(never.message.contains("path not found"), "\(never.message)")
    }
}
