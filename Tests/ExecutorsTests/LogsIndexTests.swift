// The index of a log against a plain reading of it, over seeded logs that grow piece by piece.

import Artifacts
import Glibc
import TestSupport
import Testing
import Text

@testable import Executors

@Suite("The index of a log")
struct LogsIndexTests {
    @Test(
        "Reading any lines of a growing log by its index gives what reading it plainly gives",
        arguments: 0..<12)
    func equalsPlainReading(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let file = try LogFileFixture()
        var index = LogIndex(path: file.path, container: nil)
        var side = LogIndex(path: file.path, container: "side")
        for _ in 0..<4 {
            file.append(LogText.records(Int.random(in: 0..<6_000, using: &random), &random))
            // A record may be written by halves.
            let half = Int.random(in: 0..<2, using: &random) == 0 ? "2026-01-01T00:00:09.000000001Z std" : ""
            file.append(half)
            while !index.extend(limitBytes: Int.random(in: 1..<300_000, using: &random)) {}
            _ = side.extend()
            let plain = file.lines()
            try Self.compare(index, plain.whole, &random)
            try Self.compare(side, plain.whole.filter { $0.container == "side" }, &random)
            #expect(index.rest().map(\.line.text) == plain.rest.map(\.text))
            let all = index.read(from: 0, count: .max / 2, complete: true)
            #expect(all.map(\.line) == plain.whole + plain.rest)
            if !half.isEmpty { file.append("out F mended\n") }
        }
        #expect(index.memoryBytes < 100_000)
    }

    private static func compare(
        _ index: LogIndex, _ plain: [LogLine], _ random: inout SeededGenerator
    ) throws {
        #expect(index.lines == plain.count)
        for _ in 0..<20 {
            let from = Int.random(in: 0...(plain.count + 5), using: &random)
            let count = Int.random(in: 0..<2_500, using: &random)
            let found = index.read(from: from, count: count, complete: false)
            #expect(found.map(\.line) == Array(plain.dropFirst(from).prefix(count)))
            #expect(found.map(\.number) == Array(from..<(from + found.count)))
        }
        guard let line = plain.randomElement(using: &random) else { return }
        #expect(index.firstLine(from: line.time) == plain.firstIndex { $0.time >= line.time })
        #expect(index.firstLine(from: "2999") == plain.count)
        #expect(index.latest == plain.map(\.time).max())
    }

    @Test(
        "A search finds the lines that a plain search finds",
        arguments: [
            ("loss", false, false), ("LOSS", false, false), ("LOSS", false, true), ("Ünï", false, false),
            ("ünï", false, true), ("step [0-9]*7 ", true, true), ("LOSS=.*9", true, false), ("", false, true),
        ])
    func search(text: String, isExpression: Bool, isCaseSensitive: Bool) throws {
        var random = SeededGenerator(seed: 7)
        let file = try LogFileFixture()
        file.append(LogText.records(5_000, &random))
        var index = LogIndex(path: file.path, container: nil)
        _ = index.extend()
        let pattern = try LogPattern(text, isExpression: isExpression, isCaseSensitive: isCaseSensitive)
        let expression = try RegularExpression(isCaseSensitive ? text : "(?i)" + text)
        let plain = file.lines().whole.map { line in
            if isExpression { return expression.matches(line.text) }
            return isCaseSensitive
                ? Self.contains(line.text, text) : Self.contains(line.text.lowercased(), text.lowercased())
        }
        for from in [0, 1, 1_700, plain.count] {
            let expected = plain.indices.filter { $0 >= from && plain[$0] }
            let found = LogSearch(pattern).matches(in: index, from: from, limit: 50)
            #expect(found.total == expected.count)
            #expect(found.lines == Array(expected.prefix(50)))
            #expect(found.stoppedAt == nil)
        }
    }

    private static func contains(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        guard text.count >= part.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
    }

    @Test("A search ends where it is told to, and at the limit of its count")
    func searchEnds() throws {
        let file = try LogFileFixture()
        file.append(String(repeating: "2026-01-01T00:00:00.000000001Z stdout F word\n", count: 100_010))
        var index = LogIndex(path: file.path, container: nil)
        _ = index.extend()
        let part = LogSearch(.text("word")).matches(in: index, from: 5, upTo: 4_000, limit: 3)
        #expect(part.lines == [5, 6, 7])
        #expect(part.total == 3_995)
        #expect(part.stoppedAt == nil)
        let all = LogSearch(.text("word")).matches(in: index, from: 0, limit: 1)
        #expect(all.total == LogSearch.countLimit)
        #expect(all.stoppedAt == 100_000)
    }

    @Test("Lines that are too long are cut, records that are no records left out")
    func longLines() throws {
        let file = try LogFileFixture()
        let stamp = "2026-01-01T00:00:00.000000001Z"
        for _ in 0..<100 { file.append("\(stamp) stdout P " + String(repeating: "x", count: 16_384) + "\n") }
        file.append("\(stamp) stdout F end\n")
        file.append(String(repeating: "y", count: 3 << 20) + "\n\(stamp) stderr F short\n")
        var index = LogIndex(path: file.path, container: nil)
        _ = index.extend()
        let lines = index.read(from: 0, count: 10, complete: true)
        #expect(lines.map(\.line.text.utf8.count) == [16_384, 16_384, 5])
        #expect(lines.map(\.isCut) == [true, true, false])
        #expect(index.memoryBytes < 200_000)
    }

    @Test("A file that became shorter is read anew; one that is not there has no lines")
    func replaced() throws {
        let file = try LogFileFixture()
        var index = LogIndex(path: file.path, container: nil)
        _ = index.extend()
        #expect(index.lines == 0)
        file.append(
            "2026-01-01T00:00:00.000000001Z stdout F one\n2026-01-01T00:00:00.000000001Z stdout F two\n")
        _ = index.extend()
        #expect(index.lines == 2)
        unlink(file.path)
        file.append("2026-01-01T00:00:00.000000001Z stdout F new\n")
        _ = index.extend()
        #expect(index.read(from: 0, count: 5, complete: false).map(\.line.text) == ["new"])
    }

    @Test("Attempts are found by their directories, the newest with a log is the one that counts")
    func attempts() throws {
        let file = try LogFileFixture()
        let logs = StepLogs(dataDirectory: file.directory)
        let log = NodeLog(workflowUID: "u", nodeID: "n")
        #expect(logs.attempt(log) == nil)
        for number in [0, 1, 10] { try Disk.makeDirectories("\(file.directory)/runs/u/n/\(number)") }
        try Disk.makeDirectories("\(file.directory)/runs/u/n/checkpoints")
        #expect(logs.attempt(log)?.number == 10)
        try Disk.write(Array("text".utf8), to: "\(file.directory)/runs/u/n/1/log")
        #expect(logs.attempts(log).map(\.number) == [0, 1, 10])
        #expect(logs.attempts(log).map(\.bytes) == [0, 4, 0])
        #expect(logs.attempt(log)?.number == 1)
        #expect(logs.attempt(log, 0)?.number == 0)
        #expect(logs.attempt(log, 5) == nil)
    }
}

/// A log file in a directory that goes with its last user.
private final class LogFileFixture {
    let directory: String
    var path: String { directory + "/log" }

    init() throws {
        directory = "/tmp/martlet-logs-" + Disk.uniqueSuffix()
        try Disk.makeDirectories(directory)
    }

    deinit { Disk.removeTree(directory) }

    func append(_ text: String) {
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        defer { close(file) }
        try? Disk.append(Array(text.utf8), to: file, path: path)
    }

    /// By the plain parser.
    func lines() -> (whole: [LogLine], rest: [LogLine]) {
        var parser = LogParser()
        let whole = parser.take((try? Disk.read(path, limitBytes: 1 << 30)) ?? [])
        return (whole, parser.finish())
    }
}

/// Seeded log text.
private enum LogText {
    private static let tags = ["stdout", "stdout", "stderr", "stdout:side", "stderr:side"]

    static func records(_ count: Int, _ random: inout SeededGenerator) -> String {
        var text = ""
        for step in 0..<count {
            let second = Int.random(in: 10..<60, using: &random)
            let tag = tags[Int.random(in: 0..<tags.count, using: &random)]
            let flag = Int.random(in: 0..<10, using: &random) == 0 ? "P" : "F"
            let words = String(repeating: "Ünï ", count: Int.random(in: 0..<5, using: &random))
            text += "2026-01-01T00:00:\(second).\(100_000_000 + step)Z \(tag) \(flag) "
            text += "step \(step) Loss=\(Int.random(in: 0..<1_000, using: &random)) \(words)\n"
            if Int.random(in: 0..<200, using: &random) == 0 { text += "\nno record\n" }
        }
        return text
    }
}
