// Logs through the own API, and the numbers of charts.

import Controller
import Executors
import Persistence
import Scheduling
import TestSupport
import Testing
import Text
import WorkflowLanguage

@testable import WebServer

@Suite("Logs and charts in Martlet's own API")
struct MartletAPILogTests {
    private static func stamp(_ millis: Int) -> String {
        String((MartletAPIFixture.start + .milliseconds(millis)).milliText.dropLast()) + "000000Z"
    }

    private static func filled(_ count: Int, isOver: Bool = true) async throws -> MartletAPIFixture {
        let fixture = try MartletAPIFixture()
        let node = MartletAPIFixture.node("a", of: "a")
        try await fixture.add("a", nodes: [node])
        let lines = (0..<count).map {
            "\(stamp($0)) \($0 % 2 == 0 ? "stdout" : "stderr:side") F line \($0)\n"
        }
        try fixture.log(
            "uid-a", node.id, lines.joined() + "\(stamp(count)) stdout P last words\n", isOver: isOver)
        return fixture
    }

    @Test(
        "Lines are found by their numbers, from either end, of one container or all",
        arguments: [
            ("from=0&count=2", 0, ["line 0", "line 1"], 101),
            ("from=-2", 99, ["line 99", "last words"], 101),
            ("from=99", 99, ["line 99", "last words"], 101), ("from=500", 500, [], 101),
            ("container=side&from=48", 48, ["line 97", "line 99"], 50),
            ("container=main&from=-1", 50, ["last words"], 51), ("from=-1000&count=1", 0, ["line 0"], 101),
        ])
    func lines(query: String, from: Int, texts: [String], total: Int) async throws {
        let fixture = try await Self.filled(100)
        let answer = try await fixture.get("/runs/uid-a/nodes/a/log/lines?\(query)", "MartletAPI_GetLogLines")
        #expect(answer["from"]?.intValue == from)
        #expect(answer["lines"]?.arrayValue?.compactMap { $0["s"]?.stringValue } == texts)
        #expect(answer["total"]?.intValue == total)
    }

    @Test("A log says how long it is and whether more may come")
    func length() async throws {
        let open = try await Self.filled(10, isOver: false)
        let growing = try await open.get("/runs/uid-a/nodes/a/log", "MartletAPI_GetLog")
        #expect(growing["lines"] == 10)
        #expect(growing["complete"] == false)
        let over = try await Self.filled(10)
        let whole = try await over.get("/runs/uid-a/nodes/a/log", "MartletAPI_GetLog")
        #expect(whole["lines"] == 11)
        #expect(whole["complete"] == true)
        try await over.add("b", nodes: [MartletAPIFixture.node("b", of: "b")])
        let none = try await over.get("/runs/uid-b/nodes/b/log", "MartletAPI_GetLog")
        #expect(none == ["attempt": nil, "lines": 0, "bytes": 0, "complete": false])
    }

    @Test(
        "A search gives the numbers of lines",
        arguments: [
            ("q=line%209", 11, [9, 90, 91]), ("q=LINE%209&case=true", 0, []),
            ("q=9$&regex=true", 10, [9, 19, 29]),
            ("q=line&from=98", 2, [98, 99]), ("q=line&limit=1", 100, [0]), ("q=nothing", 0, []),
        ])
    func search(query: String, total: Int, first: [Int]) async throws {
        let fixture = try await Self.filled(100)
        let answer = try await fixture.get("/runs/uid-a/nodes/a/log/search?\(query)", "MartletAPI_SearchLog")
        #expect(answer["total"]?.intValue == total)
        let lines = answer["matches"]?.arrayValue?.compactMap(\.intValue) ?? []
        #expect(Array(lines.prefix(first.count)) == first)
        #expect(answer["capped"] == false)
    }

    @Test("The whole log is a file of text")
    func raw() async throws {
        let fixture = try await Self.filled(3_000)
        let answer = try await fixture.service.get(MartletRoutes.prefix + "/runs/uid-a/nodes/a/log/raw")
        #expect(answer.headers["content-type"] == "text/plain; charset=utf-8")
        #expect(answer.text == (0..<3_000).map { "line \($0)\n" }.joined() + "last words\n")
    }

    @Test("The logs of a run come as one, page after page, nothing lost and nothing twice", arguments: 0..<6)
    func merged(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let fixture = try MartletAPIFixture()
        let nodes = (0..<5).map { MartletAPIFixture.node("w.\($0)", of: "w", sequence: $0 + 1) }
        try await fixture.add("w", nodes: nodes)
        var expected: [(time: String, node: Int, number: Int)] = []
        for (index, node) in nodes.enumerated() {
            var text = ""
            var millis = 0
            for number in 0..<Int.random(in: 0..<400, using: &random) {
                // Clocks stand still and, sometimes, go back.
                let step = Int.random(in: 0..<4, using: &random)
                text +=
                    "\(Self.stamp(millis + step - (step == 3 ? 5 : 0) + 10)) stdout F \(index)-\(number)\n"
                millis += step
                expected.append((Self.stamp(millis + step - (step == 3 ? 5 : 0) + 10 - step), index, number))
            }
            try fixture.log("uid-w", node.id, text)
        }
        var seen: [String] = []
        var cursor = ""
        while true {
            let count = Int.random(in: 1..<90, using: &random)
            let page = try await fixture.get(
                "/runs/uid-w/log?count=\(count)\(cursor)", "MartletAPI_GetRunLog")
            let lines = page["lines"]?.arrayValue?.compactMap { $0["s"]?.stringValue } ?? []
            seen += lines
            guard let next = page["next"]?.stringValue, !lines.isEmpty else { break }
            cursor = "&from=\(next)"
        }
        // From the end back the same lines come in the same order.
        var back: [String] = []
        cursor = "end"
        while true {
            let count = Int.random(in: 1..<90, using: &random)
            let page = try await fixture.get(
                "/runs/uid-w/log?count=\(count)&to=\(cursor)", "MartletAPI_GetRunLog")
            let lines = page["lines"]?.arrayValue?.compactMap { $0["s"]?.stringValue } ?? []
            back = lines + back
            guard let first = page["first"]?.stringValue, !lines.isEmpty else { break }
            cursor = first
        }
        #expect(back == seen)
        #expect(seen.count == expected.count)
        #expect(Set(seen) == Set(expected.map { "\($0.node)-\($0.number)" }))
        for node in 0..<5 {
            let own = seen.filter { $0.hasPrefix("\(node)-") }.compactMap { Int($0.dropFirst(2)) }
            #expect(own == Array(0..<own.count))
        }
    }

    // MARK: Charts

    @Test(
        "A thinned curve keeps its ends, its peaks and its gaps, in order, within the limit",
        arguments: 0..<40)
    func thinning(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let points = (0..<Int.random(in: 1..<3_000, using: &random)).map { step in
            let isGap = seed % 2 == 0 && Int.random(in: 0..<50, using: &random) == 0
            return MetricPoint(
                nodeID: "n", name: "loss", step: Double(step),
                value: isGap ? .nan : Double.random(in: -5...5, using: &random), at: MartletAPIFixture.start)
        }
        let limit = Int.random(in: 2..<400, using: &random)
        let thinned = MetricThinning.thinned(points, limit: limit)
        let steps = thinned.map(\.step)
        #expect(thinned.count <= max(limit, 0))
        #expect(steps == Set(steps).sorted())
        #expect(steps.first == points.first?.step && steps.last == points.last?.step)
        if limit >= 5 || points.count <= limit {
            let numbers = points.map(\.value).filter { !$0.isNaN }
            let kept = thinned.map(\.value).filter { !$0.isNaN }
            #expect(kept.max() == numbers.max() && kept.min() == numbers.min())
            let hasGap = points.contains { $0.value.isNaN }
            #expect(thinned.contains { $0.value.isNaN } == hasGap)
        }
        if points.count <= limit { #expect(thinned.count == points.count) }
    }

    @Test("Curves come thinned, of the nodes and names asked for")
    func metrics() async throws {
        let fixture = try MartletAPIFixture()
        let node = MartletAPIFixture.node("a", of: "a")
        try await fixture.add("a", nodes: [node])
        let points = ["loss", "lr"].flatMap { name in
            (0..<500).map { step in
                MetricPoint(
                    nodeID: node.id, name: name, step: Double(step), value: step == 321 ? 99 : 1,
                    at: MartletAPIFixture.start + .seconds(step))
            }
        }
        try await fixture.store.saveMetrics("uid-a", points)
        let all = try await fixture.get("/runs/uid-a/metrics?maxPoints=20", "MartletAPI_GetMetrics")
        #expect(all["names"] == ["loss", "lr"])
        let series = all["series"]?.arrayValue ?? []
        #expect(series.count == 2)
        #expect(series.allSatisfy { ($0["steps"]?.arrayValue?.count ?? 0) <= 20 })
        #expect(series.first?["values"]?.arrayValue?.contains { $0.doubleValue == 99 } == true)
        let one = try await fixture.get(
            "/runs/uid-a/metrics?names=lr&nodes=\(node.id)", "MartletAPI_GetMetrics")
        #expect(one["series"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["lr"])
        let none = try await fixture.get("/runs/uid-a/metrics?nodes=x", "MartletAPI_GetMetrics")
        #expect(none["series"] == [])
    }
}
