// Watches, logs and events as streams: framed as clients want, complete, and resumable.

import Controller
import Persistence
import Scheduling
import Testing
import Text

@testable import WebServer

@Suite("Streams of Argo's interface")
struct WorkflowsStreamTests {
    /// Short waits are over at once; those for heartbeats last until the stream ends.
    private static func service() throws -> ServiceHarness {
        try ServiceHarness(groups: { context in
            var context = context
            context.surroundings.sleep = { span in
                if span >= .seconds(1) {
                    let (endless, end) = AsyncStream.makeStream(of: Void.self)
                    for await _ in endless {}
                    end.finish()
                }
                await Task.yield()
                try Task.checkCancellation()
            }
            return [WorkflowRoutes(context: context)]
        })
    }

    private static let events = ["accept": "text/event-stream"]

    /// A finished run of two pods that wrote in turns, one of them with a second container.
    private static func logged() async throws -> ServiceHarness {
        let service = try Self.service()
        let (first, second) = (
            ServiceHarness.pod("a", "x", sequence: 1), ServiceHarness.pod("a", "y", sequence: 2)
        )
        let uid = try await service.addRun("a", nodes: [first, second])
        try service.writeLog(
            uid, first,
            [(1, "main", "loss 3"), (3, "main", "loss 2"), (4, "side", "hidden"), (5, "main", "done \"x\"")])
        try service.writeLog(uid, second, [(2, "main", "epoch 1"), (6, "main", "end")])
        return service
    }

    private static func contents(_ lines: [String]) -> [String] {
        lines.compactMap { line in
            (try? JSONValue(parsing: line))?["result"]?["content"]?.stringValue
        }
    }

    private static let podX = Node.podName(workflow: "a", nodeName: "a.x", template: "main")

    @Test(
        "Logs are merged by time and chosen by what is asked for",
        arguments: [
            ("", ["loss 3", "epoch 1", "loss 2", "done \"x\"", "end"]),
            ("logOptions.container=side", ["hidden"]),
            ("grep=loss%20%5B0-9%5D", ["loss 3", "loss 2"]),
            ("logOptions.tailLines=1", ["done \"x\"", "end"]),
            ("logOptions.tailLines=0", []),
            ("podName=\(podX)", ["loss 3", "loss 2", "done \"x\""]),
            ("logOptions.sinceTime=2026-11-21T12:00:05Z", ["done \"x\"", "end"]),
            ("logOptions.sinceTime.seconds=1795262405", ["done \"x\"", "end"]),
            ("logOptions.limitBytes=7", ["loss 3"]),
            ("selector=workflows.argoproj.io/workflow%3Da&grep=end", ["end"]),
            ("selector=workflows.argoproj.io/workflow%3Db", []),
            ("logOptions.timestamps=true&grep=end", ["2026-11-21T12:00:06.000000000Z end"]),
        ] as [(String, [String])])
    func logs(query: String, expected: [String]) async throws {
        let service = try await Self.logged()
        let answer = try await service.get("/api/v1/workflows/default/a/log?\(query)", headers: Self.events)
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"]?.hasPrefix("text/event-stream") == true)
        #expect(Self.contents(answer.events) == expected)
    }

    @Test(
        "Logs that cannot be are refused",
        arguments: [
            ("/api/v1/workflows/default/b/log", 404), ("/api/v1/workflows/default/a/nothing/log", 404),
            ("/api/v1/workflows/default/a/log?grep=(", 400),
            ("/api/v1/workflows/default/a/log?logOptions.tailLines=-1", 400),
            ("/api/v1/workflows/default/a/log?logOptions.sinceTime=now", 400),
        ])
    func refusedLogs(path: String, status: Int) async throws {
        #expect(try await Self.logged().get(path).status == status)
    }

    @Test("A client that takes a log for one object gets one, in both shapes that clients read")
    func wholeLog() async throws {
        let service = try await Self.logged()
        let answer = try await service.get("/api/v1/workflows/default/a/\(Self.podX)/log")
        #expect(answer.json["content"] == "loss 3\nloss 2\ndone \"x\"")
        #expect(answer.json["podName"] == .string(Self.podX))
        #expect(answer.json["result"]?["content"] == answer.json["content"])
        let lines = try await service.get(
            "/api/v1/workflows/default/a/\(Self.podX)/log", headers: ["accept": "application/x-ndjson"])
        #expect(Self.contents(lines.text.split(separator: "\n").map(String.init)).count == 3)
        let empty = try await service.get("/api/v1/workflows/default/a/log?grep=nothing")
        #expect(empty.json["content"] == "")
    }

    @Test("Following a finished run gives all of its log once and ends")
    func followingFinished() async throws {
        let service = try await Self.logged()
        let answer = try await service.get(
            "/api/v1/workflows/default/a/log?logOptions.follow=true", headers: Self.events)
        #expect(Self.contents(answer.events) == ["loss 3", "epoch 1", "loss 2", "done \"x\"", "end"])
        let lines = try await service.get("/api/v1/workflows/default/a/log?logOptions.follow=true")
        #expect(lines.text.split(separator: "\n").count == 5)
    }

    @Test("Following goes on with what is written, and ends with the run")
    func followingRunning() async throws {
        let service = try Self.service()
        var node = ServiceHarness.pod("a", "x", phase: .running)
        let uid = try await service.addRun("a", phase: "Running", nodes: [node])
        try service.writeLog(uid, node, [(1, "main", "one")])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.feed.run() }
            let answer = try await service.call(
                "GET", "/api/v1/workflows/default/a/log?logOptions.follow=true", headers: Self.events,
                stopWhen: { $0.contains("one") })
            #expect(Self.contents(answer.events) == ["one"])
            node.phase = .succeeded
            let ended = node
            group.addTask {
                try service.writeLog(uid, ended, [(2, "main", "two"), (3, "main", "three")])
                try await service.store.apply([
                    WorkflowChange(
                        uid: uid,
                        header: HeaderUpdate(
                            phase: "Succeeded", startedAt: service.clock.now, finishedAt: service.clock.now),
                        nodes: [ended])
                ])
                service.feed.signal()
            }
            let rest = try await service.get(
                "/api/v1/workflows/default/a/log?logOptions.follow=true", headers: Self.events)
            #expect(Self.contents(rest.events) == ["one", "two", "three"])
            group.cancelAll()
        }
    }

    @Test("Following is in the order of time, however long the logs, and takes up nodes that begin later")
    func followingInOrder() async throws {
        let service = try Self.service()
        var nodes = ["x", "y", "z"].enumerated().map {
            ServiceHarness.pod("a", $1, sequence: $0 + 1, phase: .running)
        }
        nodes[2].phase = .pending
        let uid = try await service.addRun("a", phase: "Running", nodes: nodes)
        // One wrote all it has in the first seconds, the other in those behind.
        let filling = String(repeating: "-", count: 500)
        for (index, seconds) in [(0, 0..<20), (1, 20..<40)] {
            let lines = seconds.flatMap { second in
                (0..<40).map { (second, "main", "\(second * 40 + $0) \(filling)") }
            }
            try service.writeLog(uid, nodes[index], lines)
        }
        let (started, ended) = (
            nodes[2].with { $0.phase = .running }, nodes.map { $0.with { $0.phase = .succeeded } }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.feed.run() }
            let seen = AsyncStream.makeStream(of: Void.self)
            group.addTask {
                for await _ in seen.stream { break }
                try service.writeLog(uid, started, [(50, "main", "late")])
                try await service.store.apply([WorkflowChange(uid: uid, nodes: [started])])
                service.feed.signal()
                let header = HeaderUpdate(
                    phase: "Succeeded", startedAt: service.clock.now, finishedAt: service.clock.now)
                try await service.store.apply([WorkflowChange(uid: uid, header: header, nodes: ended)])
                service.feed.signal()
            }
            let answer = try await service.call(
                "GET", "/api/v1/workflows/default/a/log?logOptions.follow=true", headers: Self.events,
                stopWhen: { text in
                    if text.contains("1599 ") { seen.continuation.yield() }
                    return false
                })
            let numbers = Self.contents(answer.events).map { Int($0.prefix { $0 != " " }) }
            #expect(numbers == Array(0..<1_600).map(Optional.some) + [nil])
            group.cancelAll()
        }
    }

    // MARK: Watches

    private static func types(_ answer: HarnessAnswer) -> [String] {
        answer.events.compactMap { event in
            guard let result = (try? JSONValue(parsing: event))?["result"] else { return nil }
            let name = result["object"]?["metadata"]?["name"]?.stringValue ?? "?"
            return "\(result["type"]?.stringValue ?? "?") \(name)"
        }
    }

    @Test("A watch begins with what there is, and tells each change once from there")
    func watching() async throws {
        let service = try Self.service()
        try await service.addRun("old")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.feed.run() }
            let began = AsyncStream.makeStream(of: Void.self)
            group.addTask {
                for await _ in began.stream { break }
                let uid = try await service.addRun("new", phase: "", ago: -5)
                service.feed.signal()
                try await service.store.apply([
                    WorkflowChange(
                        uid: uid, header: HeaderUpdate(phase: "Running", startedAt: service.clock.now))
                ])
                service.feed.signal()
                try await service.store.deleteWorkflow("uid-default-old")
                service.feed.signal()
            }
            let answer = try await service.call(
                "GET", "/api/v1/workflow-events/default", headers: Self.events,
                stopWhen: { text in
                    if text.contains("old") { began.continuation.yield() }
                    return text.contains("DELETED")
                })
            let types = Self.types(answer)
            #expect(types.first == "ADDED old" && types.last == "DELETED old")
            // The two changes of the new run may come as one.
            #expect(types.dropFirst().first == "ADDED new")
            #expect(types.count <= 4)
            group.cancelAll()
        }
    }

    @Test("A watch from a list's version tells what came since, and nothing of before")
    func resuming() async throws {
        let service = try Self.service()
        try await service.addRun("a")
        let version =
            try await service.get("/api/v1/workflows/default").json["metadata"]?["resourceVersion"]?
            .stringValue ?? ""
        try await service.addRun("b")
        try await service.addRun("c", namespace: "other")
        try await service.addRun("d", labels: ["team": "nlp"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.feed.run() }
            let watch = "/api/v1/workflow-events/default?listOptions.resourceVersion="
            let answer = try await service.call(
                "GET", watch + version, headers: Self.events, stopWhen: { $0.contains("\"d\"") })
            #expect(Self.types(answer).map { $0.split(separator: " ").last } == ["b", "d"])
            let last = answer.events.first.flatMap { try? JSONValue(parsing: $0) }
            let place = last?["result"]?["object"]?["metadata"]?["resourceVersion"]?.stringValue ?? ""
            let rest = try await service.call(
                "GET", watch + place + "&fields=result.object.metadata.name", headers: Self.events,
                stopWhen: { $0.contains("\"d\"") })
            #expect(
                rest.events == [
                    "{\"result\":{\"object\":{\"metadata\":{\"name\":\"d\"}},\"type\":\"MODIFIED\"}}"
                ]
                    || rest.events == [
                        "{\"result\":{\"object\":{\"metadata\":{\"name\":\"d\"}},\"type\":\"ADDED\"}}"
                    ])
            let lines = try await service.call(
                "GET", watch + version + "&listOptions.labelSelector=team", stopWhen: { $0.contains("\"d\"") }
            )
            #expect(lines.text.split(separator: "\n").count == 1)
            group.cancelAll()
        }
    }

    @Test(
        "A version that nobody can go on from is told as gone",
        arguments: [("999999", 410), ("abc", 400), ("-1", 400)])
    func expired(version: String, status: Int) async throws {
        let service = try Self.service()
        try await service.addRun("a")
        let answer = try await service.get(
            "/api/v1/workflow-events/default?listOptions.resourceVersion=\(version)")
        #expect(answer.status == status)
    }

    @Test("Heartbeats are no lines that Argo's command line would take for results")
    func heartbeats() {
        let lines = String(decoding: StreamFraming.events.heartbeat, as: UTF8.self).split(separator: "\n")
        #expect(!lines.isEmpty && lines.allSatisfy { $0.hasPrefix(":") && $0.utf8.count <= 5 })
        #expect(StreamFraming.lines.heartbeat.isEmpty)
    }

    @Test("What happened in a run is told as events of Kubernetes")
    func kubernetesEvents() async throws {
        let service = try Self.service()
        let uid = try await service.addRun("a", phase: "Running")
        try await service.store.apply([
            WorkflowChange(
                uid: uid,
                events: [
                    EventRow(at: service.clock.now, kind: "WorkflowRunning", message: "began"),
                    EventRow(
                        at: service.clock.now, nodeID: "a-1", kind: "WorkflowNodeFailed", message: "exit 1"),
                ])
        ])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.feed.run() }
            let answer = try await service.call(
                "GET", "/api/v1/stream/events/default?listOptions.fieldSelector=involvedObject.name%3Da",
                headers: Self.events, stopWhen: { $0.contains("exit 1") })
            let events = answer.events.compactMap { (try? JSONValue(parsing: $0))?["result"] }
            #expect(events.map { $0["reason"] } == ["WorkflowRunning", "WorkflowNodeFailed"])
            #expect(events.map { $0["type"] } == ["Normal", "Warning"])
            #expect(events.first?["involvedObject"]?["uid"] == .string(uid))
            group.cancelAll()
        }
    }
}
