// Logs and metrics as files that grow while they are read.

import Artifacts
import Glibc
import Scheduling
import Testing
import Text

@testable import Executors

@Suite("Local executor: logs and metrics")
final class LocalExecutorLogTests {
    private let directory: String

    init() throws {
        directory = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        try Disk.makeDirectories(directory + "/.martlet")
    }

    deinit { Disk.removeTree(directory) }

    private var log: String { directory + "/log" }

    private func append(_ text: String, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        defer { close(file) }
        try Disk.append(Array(text.utf8), to: file, path: path)
    }

    private func line(_ second: Int, _ tag: String, _ text: String) -> String {
        "2026-01-02T03:04:0\(second).000000000Z \(tag) \(text)\n"
    }

    @Test("Lines have their stream and container, and pieces come together again")
    func lines() throws {
        try append(line(1, "stdout P", "be") + line(1, "stderr F", "oops"), to: log)
        try append(
            line(2, "stdout F", "gun") + line(3, "stdout:side F", "") + line(4, "stdout P", "last"), to: log)
        let lines = StepLog(path: log).lines()
        #expect(lines.map(\.text) == ["oops", "begun", "", "last"])
        #expect(lines.map(\.stream) == [.standardError, .standardOutput, .standardOutput, .standardOutput])
        #expect(lines.map(\.container) == ["main", "main", "side", "main"])
        #expect(lines[0].time == Timestamp(rfc3339: "2026-01-02T03:04:01Z"))
    }

    @Test("A log that is not there has no lines")
    func absent() {
        #expect(StepLog(path: directory + "/none").lines() == [])
    }

    @Test("A filter takes the last lines, those since a moment, of a container, or those that match")
    func filters() throws {
        for second in 1...9 {
            try append(
                line(second, second.isMultiple(of: 2) ? "stdout:b F" : "stdout F", "n\(second)"), to: log)
        }
        func texts(_ change: (inout StepLog.Filter) -> Void) -> [String] {
            var filter = StepLog.Filter()
            change(&filter)
            return StepLog(path: log).lines(filter).map(\.text)
        }
        #expect(texts { $0.tail = 2 } == ["n8", "n9"])
        #expect(texts { $0.tail = 0 } == [])
        #expect(texts { $0.tail = 100 }.count == 9)
        #expect(texts { $0.since = Timestamp(rfc3339: "2026-01-02T03:04:08Z") } == ["n8", "n9"])
        #expect(
            texts {
                $0.container = "b"; $0.tail = 1
            } == ["n8"])
        #expect(texts { $0.matches = { $0.hasSuffix("3") } } == ["n3"])
    }

    @Test("A tail of a long log begins where it should", arguments: [1, 10, 5000])
    func longTail(count: Int) throws {
        let filler = String(repeating: "x", count: 100)
        try append((0..<6000).map { line(1, "stdout F", "\($0) \(filler)") }.joined(), to: log)
        var filter = StepLog.Filter()
        filter.tail = count
        let lines = StepLog(path: log).lines(filter)
        #expect(lines.count == count)
        #expect(lines.first?.text == "\(6000 - count) \(filler)")
    }

    @Test("A follower gives each line once, when it is whole")
    func following() throws {
        var follower = StepLog.Follower(path: log)
        #expect(follower.next() == [])
        try append(line(1, "stdout F", "one") + "2026-01-02T03:04:05.0", to: log)
        #expect(follower.next().map(\.text) == ["one"])
        try append("00000000Z stdout F two\n", to: log)
        #expect(follower.next().map(\.text) == ["two"])
        #expect(follower.next() == [])
    }

    private func read(_ offset: inout Int, isOver: Bool = false, room: Int = 100) -> [MetricSample] {
        let key = AttemptKey(workflowUID: "u", nodeID: "n", attempt: 0)
        var samples: [MetricSample] = []
        MetricsTail(key: key, root: directory).read(from: &offset, isOver: isOver) { sample in
            guard samples.count < room else { return false }
            samples.append(sample)
            return true
        }
        return samples
    }

    @Test("Metrics are objects, one a line; other lines are passed over, half ones wait")
    func metrics() throws {
        let path = directory + "/.martlet/metrics.jsonl"
        var offset = 0
        #expect(read(&offset) == [])
        try append("{\"a\":1}\nnoise\n[1]\n{\"a\":2}\n{\"a\"", to: path)
        let first = read(&offset)
        #expect(first.map(\.values) == [["a": 1], ["a": 2]])
        #expect(first.map(\.endOffset) == [8, 26])
        #expect(offset == 26)
        #expect(read(&offset) == [])
        try append(":3}", to: path)
        #expect(read(&offset) == [])
        #expect(read(&offset, isOver: true).map(\.values) == [["a": 3]])
        #expect(offset == 33)
    }

    @Test("Where there is no room, nothing is lost")
    func metricsWithoutRoom() throws {
        try append("{\"a\":1}\n{\"a\":2}\n", to: directory + "/.martlet/metrics.jsonl")
        var offset = 0
        #expect(read(&offset, room: 1).count == 1)
        #expect(read(&offset).map(\.values) == [["a": 2]])
    }

    @Test("The kept offset is read back, and 0 without one")
    func keptOffset() {
        #expect(MetricsTail.keptOffset(attemptDirectory: directory) == 0)
        MetricsTail.keep(offset: 1234, attemptDirectory: directory)
        #expect(MetricsTail.keptOffset(attemptDirectory: directory) == 1234)
    }

    @Test(
        "Progress is N/M and nothing else",
        arguments: [
            ("3/10\n", "3/10"), ("0/1", "0/1"), ("10/3", nil), ("x", nil), ("1/0", nil), ("-1/2", nil),
            ("", nil), ("1/2/3", nil),
        ] as [(String, String?)])
    func progress(text: String, expected: String?) throws {
        try Disk.write(Array(text.utf8), to: directory + "/.martlet/progress")
        #expect(MetricsTail.progress(root: directory) == expected)
    }

    @Test("Files of the step that are links are not followed")
    func linkedFiles() throws {
        try Disk.write(Array("1/2".utf8), to: directory + "/elsewhere")
        #expect(symlink(directory + "/elsewhere", directory + "/.martlet/progress") == 0)
        #expect(MetricsTail.progress(root: directory) == nil)
    }
}
