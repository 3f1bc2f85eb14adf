// Downloads from a server that behaves: lengths, digests, connections, resuming, cancelling, redirects,
// mirrors.

import Glibc
import Synchronization
import TestSupport
import Testing
import Text

@testable import Artifacts

@Suite("Downloader")
struct DownloaderTests {
    let fixture: DownloadFixture

    init() throws { fixture = try DownloadFixture() }

    static let sizes = [0, 1, 1000, 32_768, 65_536, 65_537, 350_000, 5_000_000]

    @Test("A file arrives as it is, whatever is known of it before", arguments: sizes, [true, false])
    func plain(size: Int, isKnown: Bool) throws {
        let content = DownloadFixture.content(size, seed: UInt64(size))
        let server = try HostileServer { .file(content, etag: "\"v1\"", $0) }
        defer { server.stop() }
        let digest = ExpectedDigest.sha256(DownloadFixture.sha256(content))
        let job = fixture.job([server.url + "/f"], size: isKnown ? size : nil, digest: isKnown ? digest : nil)
        let files = try Downloader(fixture.settings).fetch([job])
        #expect(fixture.result == content)
        #expect(files.map(\.bytes) == [size])
        #expect(files.map(\.bytesFetched) == [size])
        #expect(files.map(\.sha256) == [DownloadFixture.sha256(content)])
        #expect(server.bodyBytes == size)
        #expect(!Disk.exists(fixture.partial))
        #expect(!Disk.exists(fixture.partial + ".journal"))
        let isParallel = size > 2 * fixture.settings.segmentBytes
        #expect((server.requests.count > 1) == isParallel)
    }

    /// What `git hash-object` says of as many letters "a".
    static let gitBlobs = [
        (0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), (10, "1a4ef0a13676bd250bc7a339220069966d340462"),
        (5_000_000, "e8923bfaee48a572a1895e0c7660c5aeaec7a164"),
    ]

    @Test("A git blob's SHA-1 is verified", arguments: gitBlobs)
    func gitBlob(size: Int, name: String) throws {
        let content = [UInt8](repeating: UInt8(ascii: "a"), count: size)
        let server = try HostileServer { .file(content, etag: nil, $0) }
        defer { server.stop() }
        let digest = ExpectedDigest.gitBlobSHA1(name)
        _ = try Downloader(fixture.settings).fetch([fixture.job([server.url + "/f"], digest: digest)])
        #expect(fixture.result == content)
        unlink(fixture.destination)
        let wrong = fixture.job([server.url + "/f"], digest: .gitBlobSHA1(String(repeating: "0", count: 40)))
        let error = DownloadFixture.failure { _ = try Downloader(fixture.settings).fetch([wrong]) }
        #expect(error?.kind == .corrupt)
        #expect(fixture.result == nil)
    }

    @Test("Many small files share a few connections, and progress tells them all")
    func manyFiles() throws {
        let server = try HostileServer { request in
            .file(DownloadFixture.content(100 + request.path.utf8.count, seed: 1), etag: nil, request)
        }
        defer { server.stop() }
        let jobs = (0..<60).map { index in
            let path = fixture.directory.path + "/many/\(index)"
            let file = RemoteFile(name: "\(index)", addresses: [RemoteAddress(url: "\(server.url)/\(index)")])
            return DownloadJob(file: file, destination: path, partial: path + ".incomplete")
        }
        let told = Mutex(DownloadProgress())
        let files = try Downloader(fixture.settings).fetch(
            jobs, progress: { now in told.withLock { $0 = now } })
        #expect(files.map(\.path) == jobs.map(\.destination))
        #expect(server.connections <= fixture.settings.maxConnections)
        let last = told.withLock { $0 }
        #expect(last.filesDone == 60 && last.filesTotal == 60)
        #expect(last.bytesDone == server.bodyBytes && last.bytesTotal == server.bodyBytes)
    }

    @Test("Never more connections at once than allowed")
    func budget() throws {
        let content = DownloadFixture.content(400_000, seed: 4)
        let busy = Mutex((now: 0, most: 0))
        let server = try HostileServer { request in
            busy.withLock { busy in
                busy.now += 1
                busy.most = max(busy.most, busy.now)
            }
            defer { busy.withLock { $0.now -= 1 } }
            return .file(content, etag: "\"v\"", request)
        }
        defer { server.stop() }
        _ = try Downloader(fixture.settings).fetch([fixture.job([server.url + "/f"])])
        #expect(busy.withLock { $0.most } <= fixture.settings.maxConnections)
        #expect(server.connections <= fixture.settings.maxConnections)
        #expect(server.requests.allSatisfy { ($0.range?.count ?? 0) <= 2 * fixture.settings.segmentBytes })
    }

    @Test("A rate limit holds on average", arguments: [1 << 10, 200_000, 10_000_000])
    func rateLimit(bytesPerSecond: Int) throws {
        let content = DownloadFixture.content(min(3_000_000, bytesPerSecond * 20), seed: 5)
        let server = try HostileServer { .file(content, etag: nil, $0) }
        defer { server.stop() }
        var settings = fixture.settings
        // With the clock of this test, the sleep of one thread is the sleep of all.
        settings.maxConnections = 1
        settings.rateLimitBytesPerSecond = bytesPerSecond
        _ = try Downloader(settings).fetch([fixture.job([server.url + "/f"])])
        let expected = Double(content.count) / Double(bytesPerSecond)
        #expect(abs(fixture.clock.slept.inSeconds - expected) < 0.1 * expected + 0.11)
    }

    @Test("Cancelling keeps what came, and the next download fetches only the rest", arguments: [1, 2, 3])
    func cancel(seed: UInt64) throws {
        let content = DownloadFixture.content(300_000, seed: seed)
        let isFirst = Mutex(true)
        let server = try HostileServer { request in
            var answer = HostileAnswer.file(content, etag: "\"v\"", request)
            if isFirst.withLock({ $0 }), request.count > 4 {
                answer.dropAfter = Int(seed) * 7_000
                answer.hangs = true
            }
            return answer
        }
        defer { server.stop() }
        var settings = fixture.settings
        settings.clock = .system
        let job = fixture.job([server.url + "/f"], size: content.count)
        let clock = settings.clock
        // Cancelled when nothing has come for a while and all that was sent is on disk, so that nothing is under way.
        let quiet = Mutex((bytes: -1, since: clock.now()))
        let onDisk = Mutex(0)
        let error = DownloadFixture.failure {
            _ = try Downloader(settings).fetch(
                [job], progress: { progress in onDisk.withLock { $0 = progress.bytesDone } },
                isCancelled: {
                    quiet.withLock { quiet in
                        if quiet.bytes != server.bodyBytes { quiet = (server.bodyBytes, clock.now()) }
                        return server.requests.count > 4 && clock.now() - quiet.since > .milliseconds(400)
                            && onDisk.withLock { $0 } == quiet.bytes
                    }
                })
        }
        #expect(error?.kind == .cancelled)
        #expect(fixture.result == nil)
        let before = server.bodyBytes
        #expect(before < content.count)
        isFirst.withLock { $0 = false }
        // In the fixture's time, which sleeping makes pass, a slow machine would look like a server that stalls.
        settings.stallTimeout = .seconds(600)
        let files = try Downloader(settings).fetch([job])
        #expect(fixture.result == content)
        #expect(files.map(\.bytesFetched) == [content.count - before])
        #expect(server.bodyBytes == content.count)
    }

    @Test("A damaged journal costs bytes, never correctness", arguments: 0..<12)
    func damagedJournal(seed: UInt64) throws {
        let content = DownloadFixture.content(300_000, seed: seed)
        let isBroken = Mutex(true)
        let server = try HostileServer { request in
            if request.count > 5, isBroken.withLock({ $0 }) { return HostileAnswer(404) }
            return .file(content, etag: "\"v\"", request)
        }
        defer { server.stop() }
        let job = fixture.job(
            [server.url + "/f"], size: content.count, digest: .sha256(DownloadFixture.sha256(content)))
        #expect(
            DownloadFixture.failure { _ = try Downloader(fixture.settings).fetch([job]) }?.kind == .notFound)
        isBroken.withLock { $0 = false }
        let journal = fixture.partial + ".journal"
        var bytes = try Disk.read(journal, limitBytes: 1 << 20)
        var generator = SeededGenerator(seed: seed)
        bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
        if seed % 3 == 1, !bytes.isEmpty { bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 4 }
        try Disk.write(bytes, to: journal)
        let there = DownloadJournal(reading: bytes, boot: PartialFile.boot)?.received.count ?? 0
        let files = try Downloader(fixture.settings).fetch([job])
        #expect(fixture.result == content)
        #expect(files.map(\.bytesFetched) == [content.count - there])
    }

    @Test("Content that changed while nobody looked is fetched from the beginning", arguments: [true, false])
    func changedBetween(heedsIfRange: Bool) throws {
        let contents = [1, 2].map { DownloadFixture.content(300_000, seed: $0) }
        let version = Mutex(0)
        let server = try HostileServer { request in
            let now = version.withLock { $0 }
            if now == 0, request.count > 5 { return HostileAnswer(404) }
            var request = request
            if !heedsIfRange { request.headers["if-range"] = nil }
            return .file(contents[now], etag: "\"v\(now)\"", request)
        }
        defer { server.stop() }
        let job = fixture.job([server.url + "/f"])
        #expect(
            DownloadFixture.failure { _ = try Downloader(fixture.settings).fetch([job]) }?.kind == .notFound)
        version.withLock { $0 = 1 }
        let files = try Downloader(fixture.settings).fetch([job])
        #expect(fixture.result == contents[1])
        #expect(files.map(\.etag) == ["v1"])
    }

    @Test(
        "A file of this machine is copied, verified and resumed like any other",
        arguments: [0, 1000, 300_000])
    func localFile(size: Int) throws {
        let content = DownloadFixture.content(size, seed: 9)
        let source = fixture.directory.path + "/a b.bin"
        try Disk.write(content, to: source)
        let url = "file://" + fixture.directory.path + "/a%20b.bin"
        let digest = ExpectedDigest.sha256(DownloadFixture.sha256(content))
        _ = try Downloader(fixture.settings).fetch([fixture.job([url + ".missing", url], digest: digest)])
        #expect(fixture.result == content)
        let missing = DownloadFixture.failure {
            _ = try Downloader(fixture.settings).fetch([fixture.job([url + ".missing"])])
        }
        #expect(missing?.kind == .notFound)
    }

    @Test("A disk without room is told before the first byte")
    func noSpace() throws {
        let server = try HostileServer { .file([1, 2, 3], etag: nil, $0) }
        defer { server.stop() }
        var settings = fixture.settings
        settings.spareDiskBytes = 1 << 60
        let error = DownloadFixture.failure {
            _ = try Downloader(settings).fetch([fixture.job([server.url + "/f"], size: 3)])
        }
        #expect(error?.kind == .noSpace)
        #expect(error?.description.contains(fixture.directory.path) == true)
        #expect(server.requests.isEmpty)
    }

    @Test("Two downloads do not write one partial file")
    func locked() throws {
        try Disk.makeDirectories(fixture.directory.path + "/out")
        let other = try PartialFile(fixture.partial)
        let error = DownloadFixture.failure {
            _ = try Downloader(fixture.settings).fetch([fixture.job(["http://127.0.0.1:1/f"], size: 3)])
        }
        #expect(error?.kind == .disk)
        _ = other.sizeBytes
    }
}
