// Log files: read in any pieces, merged by time, and printed with the pod's name.

import Artifacts
import Executors
import Glibc
import Scheduling
import Testing
import Text

@testable import martlet

@Suite("Logs")
struct LogTests {
    private static let file = """
        2026-01-01T00:00:00.000000001Z stdout F first
        2026-01-01T00:00:01.000000001Z stdout P sec
        2026-01-01T00:00:01.500000001Z stderr F oops
        2026-01-01T00:00:02.000000001Z stdout F ond
        2026-01-01T00:00:03.000000001Z stdout:side F aside
        2026-01-01T00:00:04.000000001Z stdout F

        no record
        2026-01-01T00:00:05.000000001Z stdout P progress 50%

        """

    @Test("Lines come out the same in whatever pieces the file is read", arguments: [1, 2, 7, 30, 1_000])
    func pieces(size: Int) {
        var parser = LogParser()
        let bytes = Array(Self.file.utf8)
        var lines: [LogLine] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            lines += parser.take(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        #expect(lines.map(\.text) == ["first", "oops", "second", "aside", ""])
        #expect(lines.map(\.container) == ["main", "main", "main", "side", "main"])
        #expect(lines.map(\.isError) == [false, true, false, false, false])
        #expect(lines[2].time == "2026-01-01T00:00:01.000000001Z")
        #expect(parser.finish().map(\.text) == ["progress 50%"])
        #expect(parser.finish().isEmpty)
    }

    @Test("A line that never ends is given in parts")
    func endless() {
        var parser = LogParser()
        let piece = "2026-01-01T00:00:00.000000001Z stdout P " + String(repeating: "x", count: 16_384) + "\n"
        var lines: [LogLine] = []
        for _ in 0..<100 { lines += parser.take(Array(piece.utf8)) }
        #expect(lines.map(\.text.count) == [LogParser.longestLine])
    }

    @Test(
        "Lines are shown when they are late enough and match",
        arguments: [
            (nil, nil, true), ("loss", nil, true), ("^loss", nil, false), (nil, "2026-01-01T00:00:05Z", true),
            (nil, "2026-01-01T00:00:06Z", false),
        ] as [(String?, String?, Bool)])
    func shown(pattern: String?, earliest: String?, isShown: Bool) throws {
        let line = LogLine(
            time: "2026-01-01T00:00:05.000000001Z", container: "main", isError: false, text: "step 1 loss 2.5"
        )
        let printer = LogPrinter(
            isColored: false, hasTimes: false, pattern: try pattern.map { try RegularExpression($0) },
            earliest: earliest)
        #expect(printer.shows(line) == isShown)
    }

    @Test("Each line begins with its pod, colored by its name")
    func printed() {
        let line = LogLine(time: "T", container: "main", isError: false, text: "hello")
        let plain = LogPrinter(isColored: false, hasTimes: true, pattern: nil, earliest: nil)
        #expect(plain.text(line, pod: "pod-1") == "pod-1: T hello")
        let colored = LogPrinter(isColored: true, hasTimes: false, pattern: nil, earliest: nil)
        #expect(colored.text(line, pod: "pod-1").hasSuffix("mpod-1\u{1B}[0m: hello"))
    }

    @Test("Logs of several nodes are merged by time, of each the latest attempt")
    func merged() throws {
        let directory = try TemporaryDirectory()
        var run = SyntheticRun("w")
        let root = run.add("w", .dag, .succeeded)
        let ids = ["a", "b", "c"].map { run.add("w.\($0)", .pod, .succeeded, in: root) }
        let state = run.state(.succeeded)
        for (index, id) in ids.enumerated() {
            let lines = (0..<20_000).map { line in
                let second = line * 3 + index
                return "2026-01-01T\(Self.clock(second)).000000000Z stdout F \(index)-\(line)\n"
            }
            try directory.write("runs/\(state.uid)/\(id)/1/log", lines.joined())
            try directory.write("runs/\(state.uid)/\(id)/0/log", "2026-01-01T00:00:00Z stdout F old\n")
        }
        let nodes = ids.compactMap { state.nodes[$0] }
        var merge = LogMerge(
            nodes.map { LogFile(node: $0, state: state, dataDirectory: directory.path, containers: ["main"]) }
        )
        var texts: [String] = []
        while let (_, line) = merge.next() { texts.append(line.text) }
        #expect(texts == (0..<60_000).map { "\($0 % 3)-\($0 / 3)" })
    }

    @Test(
        "The last lines of a log are found from its end, and reading goes on behind them",
        arguments: [0, 1, 3, 500, 5_000, 90_000])
    func last(count: Int) throws {
        let directory = try TemporaryDirectory()
        var run = SyntheticRun("w")
        let id = run.add("w", .pod, .running)
        let state = run.state(.running)
        let node = try #require(state.nodes[id])
        // Lines in two records, others between their halves, and one at the end that was only begun.
        let text = (0..<30_000).map { number in
            let time = "2026-01-01T\(Self.clock(number)).000000000Z"
            return "\(time) stdout P \(number)-\n\(time) stderr F e\(number)\n\(time) stdout F end\n"
        }.joined()
        let path = "runs/\(state.uid)/\(id)/0/log"
        let begun = "2026-01-02T00:00:00.000000000Z stdout P begun\n"
        try directory.write(path, text + begun)
        func file() -> LogFile {
            LogFile(node: node, state: state, dataDirectory: directory.path, containers: ["main"])
        }
        var plain = file()
        var all: [String] = []
        while case let lines = plain.next(), !lines.isEmpty { all += lines.map(\.text) }
        #expect(all.count == 60_000)
        var log = file()
        #expect(log.last(count, isOver: false) { _ in true }.map(\.text) == all.suffix(count))
        #expect(log.next().isEmpty)
        try directory.write(path, text + begun + "2026-01-02T00:00:01.000000000Z stdout F ended\n")
        #expect(log.next().map(\.text) == ["begunended"])
        var over = file()
        try directory.write(path, text + begun)
        #expect(over.last(count, isOver: true) { _ in true }.map(\.text) == (all + ["begun"]).suffix(count))
        var chosen = file()
        let wanted = all.filter { $0.hasPrefix("e7") }.suffix(count)
        #expect(chosen.last(count, isOver: false) { $0.text.hasPrefix("e7") }.map(\.text) == Array(wanted))
    }

    @Test("Later lines wait for one look, in case another log gets an earlier one, but no longer")
    func settling() throws {
        let directory = try TemporaryDirectory()
        var run = SyntheticRun("w")
        let root = run.add("w", .dag, .running)
        let ids = ["a", "b"].map { run.add("w.\($0)", .pod, .running, in: root) }
        let state = run.state(.running)
        var merge = LogMerge()
        func write(_ index: Int, _ lines: [(second: Int, text: String)]) throws {
            let text = lines.map { "2026-01-01T\(Self.clock($0.second)).000000000Z stdout F \($0.text)\n" }
            try directory.write("runs/\(state.uid)/\(ids[index])/0/log", text.joined())
        }
        func look(at second: Int) -> [String] {
            merge.refresh()
            var texts: [String] = []
            while let (_, line) = merge.next(notAfter: "2026-01-01T\(Self.clock(second)).000000000Z") {
                texts.append(line.text)
            }
            return texts
        }
        for node in ids.compactMap({ state.nodes[$0] }) {
            merge.add(
                LogFile(node: node, state: state, dataDirectory: directory.path, containers: ["main"]),
                isOver: false)
        }
        #expect(look(at: 0).isEmpty)
        try write(0, [(1, "a1"), (5, "a5")])
        #expect(look(at: 3) == ["a1"])
        try write(1, [(2, "b2"), (4, "b4"), (6, "b6")])
        #expect(look(at: 4) == ["b2", "b4", "a5"])
        #expect(look(at: 4) == ["b6"], "clocks of other machines may be ahead")
        try write(1, [(2, "b2"), (4, "b4"), (6, "b6"), (7, "b7")])
        merge.end(1)
        #expect(look(at: 9) == ["b7"])
        #expect(look(at: 9).isEmpty)
    }

    @Test("A log that grows is read on from where it was; one that is not there yet is empty")
    func growing() throws {
        let directory = try TemporaryDirectory()
        var run = SyntheticRun("w")
        let id = run.add("w", .pod, .running)
        let state = run.state(.running)
        let node = try #require(state.nodes[id])
        var log = LogFile(node: node, state: state, dataDirectory: directory.path, containers: ["main"])
        #expect(log.next().isEmpty)
        try directory.write(
            "runs/\(state.uid)/\(id)/0/log", "2026-01-01T00:00:00Z stdout F one\n2026-01-01T0")
        #expect(log.next().map(\.text) == ["one"])
        #expect(log.next().isEmpty)
        try directory.write(
            "runs/\(state.uid)/\(id)/0/log",
            "2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stdout F two\n")
        #expect(log.next().map(\.text) == ["two"])
        try directory.write("runs/\(state.uid)/\(id)/1/log", "2026-01-01T00:00:02Z stdout F again\n")
        #expect(log.next().map(\.text) == ["again"])
    }

    private static func clock(_ second: Int) -> String {
        [second / 3_600, second / 60 % 60, second % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(
            separator: ":")
    }
}

/// A directory that goes with its last user.
private final class TemporaryDirectory {
    let path: String

    init() throws {
        path = "/tmp/martlet-commands-" + Disk.uniqueSuffix()
        try Disk.makeDirectories(path)
    }

    deinit { Disk.removeTree(path) }

    func write(_ name: String, _ text: String) throws {
        try Disk.makeDirectories(Disk.parent(of: "\(path)/\(name)"))
        try Disk.write(Array(text.utf8), to: "\(path)/\(name)")
    }
}
