// The event stream: what a reader puts together from it is what is stored, wherever the connection broke.

import Controller
import Persistence
import Scheduling
import TestSupport
import Testing
import Text

@testable import WebServer

@Suite("The event stream of Martlet's own API")
struct MartletAPIStreamTests {
    /// One event as a browser takes it.
    struct Event: Sendable {
        var name: String
        var id: Int64
        var data: JSONValue
    }

    /// Whole events of a text; what was cut off is no event.
    static func events(_ text: String) -> [Event] {
        var found: [Event] = []
        var lines: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.isEmpty else {
                lines.append(String(line))
                continue
            }
            if lines.count == 1, lines[0].hasPrefix("id: ") {
                // A place without an event, as browsers take it, too.
                found.append(Event(name: "", id: Int64(lines[0].dropFirst(4)) ?? -1, data: [:]))
            }
            if lines.count == 3, let data = try? JSONValue(parsing: String(lines[2].dropFirst(6))) {
                found.append(
                    Event(
                        name: String(lines[1].dropFirst(7)), id: Int64(lines[0].dropFirst(4)) ?? -1,
                        data: data))
            }
            lines = []
        }
        return found
    }

    /// What a page keeps of what it hears.
    struct Page {
        var runs: [String: JSONValue] = [:]
        var nodes: [String: JSONValue] = [:]
        var position: Int64?
        /// Revisions of lines that came twice on one connection, or went back.
        var repeated: [String] = []

        mutating func hear(_ events: [Event]) {
            var seen: [String: Int] = [:]
            for event in events {
                if let position, event.id < position {
                    repeated.append("position \(event.id) after \(position)")
                }
                position = event.id
                for item in event.data["items"]?.arrayValue ?? [] {
                    guard let uid = item["uid"]?.stringValue else { continue }
                    if event.name == "deleted" {
                        runs[uid] = nil
                        continue
                    }
                    let revision = item["revision"]?.intValue ?? 0
                    if let old = seen[uid], old >= revision { repeated.append("\(uid) \(revision)") }
                    seen[uid] = revision
                    runs[uid] = item
                }
                guard event.name == "run" else { continue }
                if event.data["whole"] == true { nodes = [:] }
                for node in event.data["nodes"]?.arrayValue ?? [] {
                    if let id = node["id"]?.stringValue { nodes[id] = node }
                }
            }
        }
    }

    @Test(
        "A reader whose connection breaks anywhere misses nothing and hears nothing twice", arguments: 0..<8)
    func resumption(seed: UInt64) async throws {
        let fixture = try MartletAPIFixture()
        let focus = try await fixture.add(
            "focus", phase: "Running", nodes: [MartletAPIFixture.node("n0", of: "focus")])
        for number in 0..<5 { try await fixture.add("r\(number)", phase: "Running") }
        let feed = fixture.service.feed
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed.run() }
            defer { group.cancelAll() }
            try await Self.follow(fixture, focus, seed: seed)
        }
    }

    private static func follow(_ fixture: MartletAPIFixture, _ focus: String, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var page = Page()
        let start = try await fixture.get("/runs?limit=100", "MartletAPI_ListRuns")
        for item in start["items"]?.arrayValue ?? [] { page.runs[item["uid"]?.stringValue ?? ""] = item }
        let run = try await fixture.get("/runs/\(focus)", "MartletAPI_GetRun")
        for node in run["nodes"]?.arrayValue ?? [] { page.nodes[node["id"]?.stringValue ?? ""] = node }
        page.position = Int64(start["revision"]?.intValue ?? 0)
        for round in 0..<6 {
            // Some changes come while nobody listens, others while the stream is open.
            try await change(fixture, focus, round: round, &random)
            let cut = Int.random(in: 1..<3_000, using: &random)
            let seeds = SeededGenerator(seed: seed &* 100 &+ UInt64(round))
            let waits = Bool.random(using: &random)
            let isLast = round == 5
            let text = try await fixture.service.listen(
                MartletRoutes.prefix + "/stream?run=\(focus)",
                headers: ["Last-Event-ID": "\(page.position ?? 0)"]
            ) { client in
                if waits { _ = await client.heard { !$0.isEmpty } }
                var random = seeds
                try await change(fixture, focus, round: round, &random)
                try await fixture.store.apply([
                    WorkflowChange(
                        uid: focus, header: HeaderUpdate(phase: "Running", message: "the end \(round)"))
                ])
                // Whoever has heard of this one has heard of all.
                let end = try await fixture.store.latestRevision()
                fixture.service.feed.signal()
                return await client.heard { text in
                    (!isLast && text.utf8.count > cut) || (events(text).last?.id ?? 0) >= end
                }
            }
            // The connection may break inside an event.
            let kept = isLast ? text : String(decoding: Array(text.utf8).prefix(cut), as: UTF8.self)
            page.hear(events(kept))
        }
        try await compare(page, fixture, focus)
    }

    /// Changes runs at random: new ones, finished ones, deleted ones, nodes of the one in focus.
    private static func change(
        _ fixture: MartletAPIFixture, _ focus: String, round: Int, _ random: inout SeededGenerator
    ) async throws {
        for step in 0..<Int.random(in: 1..<8, using: &random) {
            let name = "r\(Int.random(in: 0..<8, using: &random))"
            let isThere = try await fixture.store.workflowSummary(uid: "uid-\(name)") != nil
            switch Int.random(in: 0..<4, using: &random) {
            case 0 where isThere: try await fixture.store.deleteWorkflow("uid-\(name)")
            case 0, 1:
                guard isThere else {
                    try await fixture.add(name, phase: "Running")
                    break
                }
                let header = HeaderUpdate(phase: "Running", message: "round \(round) step \(step)")
                try await fixture.store.apply([WorkflowChange(uid: "uid-\(name)", header: header)])
            default:
                let node = MartletAPIFixture.node(
                    "n\(Int.random(in: 0..<6, using: &random))", of: "focus", .pod, .running
                ) { $0.message = "round \(round) step \(step)" }
                let isReset = Int.random(in: 0..<6, using: &random) == 0
                try await fixture.store.apply([
                    WorkflowChange(
                        uid: focus, nodes: isReset ? [] : [node], deletedNodes: isReset ? [node.id] : [],
                        progress: "\(step)/9")
                ])
            }
            fixture.service.feed.signal()
        }
    }

    private static func compare(_ page: Page, _ fixture: MartletAPIFixture, _ focus: String) async throws {
        #expect(page.repeated == [])
        let list = try await fixture.get("/runs?limit=100", "MartletAPI_ListRuns")
        let stored = Dictionary(
            (list["items"]?.arrayValue ?? []).map { ($0["uid"]?.stringValue ?? "", $0) },
            uniquingKeysWith: { $1 })
        #expect(Set(page.runs.keys) == Set(stored.keys))
        for (uid, run) in stored where uid != focus { #expect(page.runs[uid]?["message"] == run["message"]) }
        let run = try await fixture.get("/runs/\(focus)", "MartletAPI_GetRun")
        let nodes = Dictionary(
            (run["nodes"]?.arrayValue ?? []).map { ($0["id"]?.stringValue ?? "", $0) },
            uniquingKeysWith: { $1 })
        #expect(Set(page.nodes.keys) == Set(nodes.keys))
        for (id, node) in nodes { #expect(page.nodes[id]?["message"] == node["message"]) }
    }

    @Test("A new reader is greeted, and gets the run in focus whole")
    func greeting() async throws {
        let fixture = try MartletAPIFixture()
        let uid = try await fixture.add("a", phase: "Running", nodes: [MartletAPIFixture.node("n", of: "a")])
        let answer = try await fixture.service.call("GET", MartletRoutes.prefix + "/stream?run=\(uid)") {
            $0.contains("event: run\n")
        }
        #expect(answer.headers["content-type"] == "text/event-stream; charset=utf-8")
        let events = Self.events(answer.text)
        #expect(events.map(\.name) == ["hello", "run"])
        #expect(events.first?.data["reset"] == false)
        #expect(events.last?.data["whole"] == true)
        #expect(events.last?.data["nodes"]?.arrayValue?.count == 1)
    }

    @Test("A reader that was away for too long, or in another database, is told to begin anew")
    func reset() async throws {
        let fixture = try MartletAPIFixture()
        try await fixture.add("a")
        let answer = try await fixture.service.call("GET", MartletRoutes.prefix + "/stream?since=1000000") {
            $0.contains("hello")
        }
        #expect(Self.events(answer.text).first?.data["reset"] == true)
    }

    @Test("New points of curves, longer logs and changed definitions are told")
    func beats() async throws {
        let fixture = try MartletAPIFixture(isHurried: true)
        let node = MartletAPIFixture.node("n", of: "a", .pod, .running)
        let uid = try await fixture.add("a", phase: "Running", nodes: [node])
        try fixture.log(uid, node.id, "2024-11-18T18:17:06.000000001Z stdout F one\n", isOver: false)
        let hasAll: @Sendable (String) -> Bool = { text in
            ["\"complete\":true", "event: metrics\n", "event: schedules\n"].allSatisfy(text.contains)
        }
        let text = try await fixture.service.listen(
            MartletRoutes.prefix + "/stream?run=\(uid)&log=\(node.id)"
        ) { client in
            _ = await client.heard { $0.contains("event: log\n") }
            try await Self.tell(fixture, uid, node.id) { hasAll(client.text) }
            return await client.heard(hasAll)
        }
        let events = Self.events(text)
        let logs = events.filter { $0.name == "log" }.map(\.data)
        #expect(logs.first?["lines"] == 1)
        #expect(logs.last?["lines"] == 2)
        #expect(events.first { $0.name == "metrics" }?.data["names"] == ["loss"])
    }

    /// Goes on writing, because what was there before the stream looked first is no news.
    private static func tell(
        _ fixture: MartletAPIFixture, _ uid: String, _ node: NodeID, until isEnough: () -> Bool
    ) async throws {
        for step in 0..<2_000 where step < 4 || !isEnough() {
            let point = MetricPoint(
                nodeID: node, name: "loss", step: Double(step), value: 1, at: MartletAPIFixture.start)
            try await fixture.store.saveMetrics(uid, [point])
            try await fixture.store.putDefinition(
                .configMap, namespace: "default", name: "c", body: ["data": ["step": .string("\(step)")]],
                at: MartletAPIFixture.start)
            if step == 3 {
                let lines = ["one", "two"].map { "2024-11-18T18:17:06.000000001Z stdout F \($0)\n" }
                try fixture.log(uid, node, lines.joined())
            }
        }
    }
}
