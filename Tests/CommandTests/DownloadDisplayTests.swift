// What `martlet download` shows while it works and when it is done.

import ArgumentParser
import Glibc
import Synchronization
import Testing
import Text

@testable import Artifacts
@testable import martlet

struct DownloadDisplayTests {
    private static func progress(_ done: Int, _ total: Int, rate: Double = 0, waiting: Bool = false)
        -> SnapshotProgress
    {
        var progress = SnapshotProgress()
        (progress.filesDone, progress.filesTotal) = (1, 4)
        (progress.bytesDone, progress.bytesTotal) = (done, total)
        (progress.bytesPerSecond, progress.isWaiting) = (rate, waiting)
        return progress
    }

    @Test(
        "The line tells files, bytes, speed and time left",
        arguments: [
            (progress(0, 0), "x  1/4 files  0 B"),
            (progress(500, 2000), "x  1/4 files  500 B of 2 kB (25 %)"),
            (
                progress(1_000_000, 4_000_000, rate: 10_000),
                "x  1/4 files  1 MB of 4 MB (25 %)  10 kB/s  5m00s left"
            ),
            (progress(2000, 2000, rate: 5), "x  1/4 files  2 kB of 2 kB (100 %)  5 B/s  0s left"),
            (
                progress(1, 2000, rate: 9, waiting: true),
                "x  1/4 files  1 B of 2 kB (0 %)  waiting for another process that fetches the same"
            ),
        ])
    func lines(progress: SnapshotProgress, text: String) {
        #expect(DownloadDisplay.text("x", progress) == text)
    }

    @Test(
        "Spans are short",
        arguments: [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (7500, "2h05m")])
    func spans(seconds: Int, text: String) {
        #expect(DownloadDisplay.span(seconds) == text)
    }

    /// All that a display writes while its clock moves by a second between calls.
    private static func written(_ style: DownloadDisplay.Style, calls: Int) -> [String] {
        let collected = Collected()
        let display = DownloadDisplay(
            name: "x", style: style, now: { collected.time }, write: { collected.add($0) })
        for call in 0..<calls {
            collected.time = .seconds(call)
            display.show(progress(call, 100))
        }
        display.finish()
        return collected.texts
    }

    private final class Collected: Sendable {
        private let state = Mutex((time: Duration.zero, texts: [String]()))
        var time: Duration {
            get { state.withLock { $0.time } }
            set { state.withLock { $0.time = newValue } }
        }
        var texts: [String] { state.withLock { $0.texts } }
        func add(_ text: String) { state.withLock { $0.texts.append(text) } }
    }

    @Test("A terminal's line is drawn over itself and taken away, and is never wider than the terminal")
    func terminal() {
        let texts = Self.written(.terminal(columns: 20), calls: 3)
        #expect(texts.count == 4)
        #expect(
            texts.dropLast().allSatisfy {
                $0.hasPrefix("\r") && $0.hasSuffix("\u{1B}[K") && $0.count <= 20 + 4
            })
        #expect(texts.last == "\r\u{1B}[K")
    }

    @Test("A log gets a line every ten seconds, and none of a short download")
    func plain() {
        #expect(Self.written(.plain, calls: 5).isEmpty)
        #expect(
            Self.written(.plain, calls: 25) == [
                "x  1/4 files  10 B of 100 B (10 %)\n", "x  1/4 files  20 B of 100 B (20 %)\n",
            ])
        #expect(Self.written(.none, calls: 25).isEmpty)
    }

    @Test("The result is a directory, a file's path, or a line of JSON")
    func results() throws {
        let result = SnapshotResult(
            directory: "/d", commit: "c1", paths: ["a.gguf"], bytes: 7, bytesFetched: 3, warnings: [])
        #expect(DownloadReport.lines(result, try Self.request(["--repo=a/b"])) == ["/d"])
        #expect(DownloadReport.lines(result, try Self.request(["--repo=https://h/a.gguf"])) == ["/d/a.gguf"])
        #expect(
            DownloadReport.lines(result, try Self.request(["--repo=a/b"], json: true)) == [
                "{\"directory\":\"/d\",\"revision\":\"c1\",\"files\":1,\"bytes\":7,"
                    + "\"bytes_fetched\":3,\"warnings\":[]}"
            ])
    }

    private static func request(_ words: [String], json: Bool = false) throws -> DownloadRequest {
        try DownloadRequest(
            DownloadOptions.parse(words), DownloadPlaceOptions.parse(["--local-dir=/d"]),
            DownloadTransferOptions.parse(json ? ["--json=true"] : [])
        ) { ["HOME": "/u"][$0] }
    }

    @Test("A dry run lists files, sizes, and what is missing; names cannot move the cursor")
    func plans() throws {
        let plan = SnapshotPlan(
            directory: "/d", commit: "c1",
            files: [
                .init(path: "a", sizeBytes: 12_000, isPresent: true),
                .init(path: "b\u{1B}[2J", sizeBytes: nil, isPresent: false),
            ])
        #expect(
            DownloadReport.lines(plan, try Self.request(["--repo=a/b"])) == [
                "12 kB  a  (there)", "    ?  b\u{FFFD}[2J", "2 files, 12 kB, 0 B to be fetched, to /d",
            ])
        let json = try #require(
            DownloadReport.lines(plan, try Self.request(["--repo=a/b"], json: true)).first)
        #expect(try JSONValue(parsing: json)["files"]?.arrayValue?.count == 2)
    }

    @Test("A step leaves its parameters for the engine and for a plain Argo")
    func parameters() throws {
        let directory = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try StepParameters.write([("revision", "main"), ("bytes", 12)], to: directory)
        let text = String(
            decoding: try Disk.read(directory + "/parameters.json", limitBytes: 999), as: UTF8.self)
        #expect(try JSONValue(parsing: text) == ["revision": "main", "bytes": 12])
        #expect(try Disk.read(directory + "/parameters/bytes", limitBytes: 99) == Array("12".utf8))
    }

    @Test(
        "Exit codes tell what trying again would not help",
        arguments: [
            (DownloadError.Kind.repositoryNotFound, Int32(2)), (.revisionNotFound, 2), (.badRequest, 2),
            (.gated, 1),
            (.network, 1), (.noSpace, 1), (.corrupt, 1), (.cancelled, 130),
        ])
    func codes(kind: DownloadError.Kind, status: Int32) {
        #expect(DownloadCommand.status(of: kind) == status)
    }
}
