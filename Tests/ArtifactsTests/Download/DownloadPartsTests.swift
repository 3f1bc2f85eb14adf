// The pure parts of a download: addresses, ranges, the journal, retries, the rate limit, the judgement of
// answers.

import TestSupport
import Testing
import Text

@testable import Artifacts

@Suite("Parts of a download")
struct DownloadPartsTests {
    static let references = [
        ("http://h/a/b?c", "d", "http://h/a/d"), ("http://h/a/b?c", "/d/e?f", "http://h/d/e?f"),
        ("http://h/a/b?c", "?x=1", "http://h/a/b?x=1"), ("http://h/a/b", "../../../d", "http://h/d"),
        ("http://h/a/b/", "./d/./e/..", "http://h/a/b/d/"), ("http://h:8/a", "//i/d", "http://i/d"),
        ("https://h/a", "http://H:80/X Y#z", "http://h:80/X%20Y"), ("http://u:p@h/a", "b", "http://u:p@h/b"),
        ("http://h", "d", "http://h/d"), ("http://h/a", "é", "http://h/%C3%A9"),
        ("http://[::1]:9/a", "/b", "http://[::1]:9/b"),
        ("http://h/a", "/b?u=http://x/../y", "http://h/b?u=http://x/../y"),
    ]

    @Test("A redirect's target is resolved as the standard says", arguments: references)
    func resolves(row: (String, String, String)) {
        #expect(WebAddress(row.0)?.resolved(row.1)?.text == row.2)
    }

    @Test(
        "What is no address, or leads out of http, is refused",
        arguments: [
            ("ftp://h/a", nil), ("http://", nil), ("http://h:99999/", nil), ("h/a", nil), ("", nil),
            ("http://h/a", "ftp://h/b"), ("http://h/a", "file:///etc/passwd"), ("http://h/a", "mailto:x"),
        ] as [(String, String?)])
    func refuses(row: (String, String?)) {
        let address = WebAddress(row.0)
        #expect((row.1.map { address?.resolved($0) } ?? address) == nil)
    }

    @Test(
        "Hosts are the same only with the same scheme and port",
        arguments: [
            ("http://h/a", "http://H:80/b", true), ("https://h", "https://h:443/", true),
            ("http://h", "https://h", false),
            ("http://h:81", "http://h:82", false), ("http://h", "http://h.i", false),
            ("http://x@h", "http://h", true),
        ])
    func origins(row: (String, String, Bool)) {
        #expect((WebAddress(row.0)?.origin == WebAddress(row.1)?.origin) == row.2)
    }

    @Test(
        "Messages show no password and no signature",
        arguments: [
            ("https://u:p@h/a", "https://h/a"), ("https://h/a?X-Amz-Signature=1", "https://h/a?..."),
            ("https://h/a?Revision=main&FilePath=b", "https://h/a?Revision=main&FilePath=b"),
            ("odd?token=1", "odd"),
        ])
    func shown(row: (String, String)) { #expect(WebAddress.shown(row.0) == row.1) }

    @Test("Ranges behave like the set of their numbers", arguments: 0..<50)
    func ranges(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var ranges = ByteRanges()
        var reference: Set<Int> = []
        for _ in 0..<60 {
            let start = Int.random(in: 0...60, using: &generator)
            let range = start..<start + Int.random(in: 0...12, using: &generator)
            if Bool.random(using: &generator) {
                ranges.insert(range)
                reference.formUnion(range)
            } else {
                ranges.remove(range)
                reference.subtract(range)
            }
            #expect(Set(ranges.ranges.flatMap { Array($0) }) == reference)
            #expect(ranges.count == reference.count)
            #expect(ranges.prefixCount == (0...80).first { !reference.contains($0) })
            #expect(
                zip(ranges.ranges, ranges.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
            let missing = ranges.firstMissing(from: 5, to: 50, limit: 7)
            #expect(missing?.lowerBound == (5..<50).first { !reference.contains($0) })
            #expect(missing.map { $0.count <= 7 && reference.isDisjoint(with: $0) } ?? true)
        }
    }

    static let journal = DownloadJournal(
        identity: DownloadIdentity(
            sizeBytes: 1000, digest: "sha256:ab",
            validator: ContentValidator(etag: "\"a b%\n\"", lastModified: nil, origin: "http://h:80")),
        received: ByteRanges([0..<10, 20..<40, 900..<1000]), durable: ByteRanges([20..<30]))

    @Test("A journal is read as it was written, by the same boot; by another only what is durable")
    func journalRoundTrip() {
        let bytes = Array(Self.journal.text(boot: "one").utf8)
        #expect(DownloadJournal(reading: bytes, boot: "one") == Self.journal)
        let later = DownloadJournal(reading: bytes, boot: "two")
        #expect(later?.identity == Self.journal.identity)
        #expect(later?.received == Self.journal.durable)
    }

    @Test("A journal that is cut or damaged anywhere never says more than was true")
    func journalDamage() {
        let bytes = Array(Self.journal.text(boot: "one").utf8)
        for end in bytes.indices {
            let cut = DownloadJournal(reading: Array(bytes[..<end]), boot: "one")
            #expect(cut.map { $0.received.ranges.allSatisfy(Self.journal.received.contains) } ?? true)
            var damaged = bytes
            damaged[end] ^= 1
            let read = DownloadJournal(reading: damaged, boot: "one")
            #expect(read.map { $0.received.ranges.allSatisfy(Self.journal.received.contains) } ?? true)
            #expect(read.map { $0.identity == Self.journal.identity } ?? true)
        }
        let outside = Self.journal.text(boot: "one") + DownloadJournal.written(990..<1001)
        #expect(DownloadJournal(reading: Array(outside.utf8), boot: "one") == Self.journal)
    }

    @Test(
        "The server's wish to be left alone is understood",
        arguments: [
            (429, "Retry-After: 12", 12.0), (503, "Retry-After: 1.5", 1.5), (429, "Retry-After: -1", nil),
            (429, "Retry-After: Wed, 21 Oct 2015 07:28:30 GMT", 30),
            (429, "Retry-After: Wed, 21 Oct 2015 07:00:00 GMT", 0),
            (429, "Retry-After: soon", nil), (429, "RateLimit: \"api\";r=0;t=55", 55),
            (429, "RateLimit: \"a\";r=5;t=99, \"b\";r=0; t=7", 7), (503, "RateLimit: \"api\";r=0;t=55", nil),
            (429, "Retry-After: 99999999999999999999", 1e9),
        ] as [(Int, String, Double?)])
    func retryAfter(row: (Int, String, Double?)) {
        var headers = ReplyHeaders()
        headers.append(line: row.1)
        let wait = RetryAfter.wait(status: row.0, headers: headers, wallTime: VirtualClock.start)
        #expect(wait?.inSeconds == row.2)
    }

    private func pauses(
        _ failures: [(FailureClass, started: Double, now: Double)], jitter: Double = 1
    ) -> [Double?] {
        var settings = DownloadSettings()
        settings.retries = 4
        var ledger = RetryLedger()
        return failures.map { failure in
            let error = DownloadError(.network, path: "", problem: "")
            return ledger.pause(
                after: ExchangeFailure(failure.0, error), started: .seconds(failure.started),
                now: .seconds(failure.now), jitter: jitter, settings: settings)?.inSeconds
        }
    }

    @Test("Pauses double, jitter halves them at most, and each class has its own number of tries")
    func backoff() {
        let row = (0..<5).map { (FailureClass.server, started: Double($0 * 100), now: Double($0 * 100)) }
        #expect(pauses(row) == [0.5, 1, 2, 4, nil])
        #expect(pauses(row, jitter: 0) == [0.25, 0.5, 1, 2, nil])
        #expect(pauses(row + [(.connection, 600, 600)]) == [0.5, 1, 2, 4, nil, 0.5])
        #expect(pauses([(.permanent, 0, 0)]) == [nil])
    }

    @Test("What several connections meet at once counts once")
    func oneOutage() {
        let rows = [0.0, 0.1, 0.2].map { (FailureClass.connection, started: $0, now: 10 + $0) }
        #expect(
            pauses(rows + [(.connection, 20, 20)]).compactMap { $0 }.map { ($0 * 10).rounded() } == [
                5, 4, 3, 10,
            ])
    }

    @Test("Progress makes failures forgotten, but not without end")
    func progress() {
        var settings = DownloadSettings()
        settings.retries = 3
        var ledger = RetryLedger()
        var count = 0
        for index in 0..<1000 {
            let error = ExchangeFailure(.connection, DownloadError(.network, path: "", problem: ""))
            let now = Duration.seconds(index * 100)
            if ledger.pause(after: error, started: now, now: now, jitter: 1, settings: settings) == nil {
                break
            }
            count += 1
            ledger.progressed(1 << 20, sizeBytes: 1 << 30)
        }
        #expect(count == settings.retries * RetryLedger.totalFactor)
    }

    @Test("All connections together keep the rate", arguments: [100, 5_000, 1 << 20, 1 << 30])
    func rate(bytesPerSecond: Int) {
        let limiter = RateLimiter(bytesPerSecond: bytesPerSecond)
        var generator = SeededGenerator(seed: 7)
        // Connections that become ready at their times; the earliest receives next.
        var ready = [Duration](repeating: .seconds(50), count: 8)
        var bytes = 0
        while let index = ready.indices.min(by: { ready[$0] < ready[$1] }), ready[index] < .seconds(60) {
            let piece = Int.random(in: 1...limiter.pieceBytes, using: &generator)
            bytes += piece
            ready[index] = max(ready[index], limiter.take(piece, now: ready[index]))
        }
        let slack = Double(limiter.pieceBytes * 8)
        #expect(abs(Double(bytes) - Double(bytesPerSecond) * 10) < Double(bytesPerSecond) + slack)
    }

    /// Status, headers, what was asked for; and the verdict in words, for a file of 1000 bytes of which "v"
    /// is there.
    static let verdicts: [(Int, [String], Range<Int>?, String)] = [
        (206, ["Content-Range: bytes 100-199/1000", "ETag: \"v\""], 100..<200, "content 100 200"),
        (206, ["Content-Range: bytes 100-149/1000", "ETag: W/\"v\""], 100..<200, "content 100 150"),
        (206, ["Content-Range: bytes 100-299/1000", "ETag: \"v\""], 100..<200, "content 100 200"),
        (206, ["Content-Range: bytes 100-199/*", "ETag: \"v\""], 100..<200, "restart"),
        (206, ["Content-Range: bytes 100-199/1000", "ETag: \"w\""], 100..<200, "restart"),
        (206, ["Content-Range: bytes 101-199/1000", "ETag: \"v\""], 100..<200, "answer"),
        (206, ["Content-Range: bytes 100-199/1001", "ETag: \"v\""], 100..<200, "restart"),
        (
            206, ["Content-Range: bytes 100-199/1000", "Content-Length: 99", "ETag: \"v\""], 100..<200,
            "answer"
        ),
        (206, ["Content-Range: bytes 100-99/1000"], 100..<200, "answer"), (206, [], 100..<200, "answer"),
        (206, ["Content-Range: bytes 0-9/1000"], nil, "answer"),
        (206, ["Content-Range: bytes 100-99999999999999999999/1000"], 100..<200, "answer"),
        (200, ["Content-Length: 1000", "ETag: \"v\""], 100..<200, "content 0 1000 fresh"),
        (200, ["Content-Length: 1007", "ETag: \"w\""], 100..<200, "content 0 1007 fresh"),
        (200, ["ETag: \"w\""], 100..<200, "content 0 end fresh"),
        (416, ["Content-Range: bytes */1000"], 100..<200, "answer"),
        (416, ["Content-Range: bytes */50"], 100..<200, "restart"), (416, [], 100..<200, "restart"),
        (404, [], 100..<200, "permanent"), (500, [], 100..<200, "server"),
        (429, [], 100..<200, "rateLimited"),
        (304, [], 100..<200, "answer"),
    ]

    @Test("An answer's head decides what becomes of its body", arguments: verdicts)
    func judges(row: (Int, [String], Range<Int>?, String)) {
        let file = RemoteFile(name: "f", addresses: [RemoteAddress(url: "http://h/f")])
        var state = FetchState([DownloadJob(file: file, destination: "/d", partial: "/p")])
        _ = state.next(segmentBytes: 100, maxActive: 1)
        state.setSize(0, 1000)
        state.files[0].validator = ContentValidator(etag: "\"v\"", lastModified: nil, origin: "http://h:80")
        var headers = ReplyHeaders()
        for line in row.1 { headers.append(line: line) }
        let facts = AnswerFacts(
            status: row.0, headers: headers, origin: "http://h:80", isDirect: true, asked: row.2,
            generation: 0,
            shownURL: "http://h/f", wallTime: VirtualClock.start)
        let words: String =
            switch state.judge(0, facts) {
            case .content(let position, let end, let isFresh):
                "content \(position) " + (end.map { "\($0)" } ?? "end") + (isFresh ? " fresh" : "")
            case .complete: "complete"
            case .restart: "restart"
            case .failed(let failure): "\(failure.failureClass)"
            }
        #expect(words == row.3)
    }
}
