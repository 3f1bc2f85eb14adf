// Whole downloads against a hub in memory: what is fetched, what is not, and what is left behind.

import Glibc
import Synchronization
import Testing
import Text

@testable import Artifacts

struct SnapshotDownloadTests {
    private static let repository = HubRepository(id: "org/name")
    private static let files: [(String, FakeHub.File)] = [
        ("config.json", .init("{}")), ("README.md", .init("hello")),
        ("weights/m.safetensors", .init("some weights", isLarge: true)),
        ("weights/copy.safetensors", .init("some weights", isLarge: true)), ("empty", .init("")),
    ]
    private static let totalBytes = 2 + 5 + 12 + 12

    private static func download(
        _ hub: FakeHub, _ directory: TemporaryDirectory, revision: String = "main",
        endpoints: [HubSettings.Endpoint] = [.init(url: "http://hub")]
    ) -> SnapshotDownload {
        var download = SnapshotDownload(
            source: HuggingFaceSource(repository, revision: revision, endpoints: endpoints),
            store: HubCache(root: directory.path, repository: repository), revision: revision, transport: hub)
        download.clock = DownloadClock(
            now: { .zero }, wallTime: { Timestamp(nanoseconds: 0) }, sleep: { _ in usleep(1000) })
        return download
    }

    // MARK: Hugging Face

    @Test("A snapshot lies in the cache as huggingface_hub lays it")
    func layout() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        let result = try Self.download(hub, directory).run()
        let commit = hub.with { $0.commit }
        #expect(result.directory == "\(directory.path)/models--org--name/snapshots/\(commit)")
        #expect(result.commit == commit)
        #expect(result.bytes == Self.totalBytes)
        // The copy is the same blob and is fetched once.
        #expect(result.bytesFetched == Self.totalBytes - 12)
        let blob = { (index: Int) in Self.files[index].1.tag }
        #expect(
            directory.listing("models--org--name/snapshots/\(commit)") == [
                "snapshots/\(commit)/README.md -> ../../blobs/\(blob(1))",
                "snapshots/\(commit)/config.json -> ../../blobs/\(blob(0))",
                "snapshots/\(commit)/empty -> ../../blobs/\(blob(4))",
                "snapshots/\(commit)/weights/ 755",
                "snapshots/\(commit)/weights/copy.safetensors -> ../../../blobs/\(blob(2))",
                "snapshots/\(commit)/weights/m.safetensors -> ../../../blobs/\(blob(2))",
            ])
        #expect(try directory.read("models--org--name/refs/main") == commit)
        #expect((Disk.list("\(directory.path)/models--org--name/blobs") ?? []).count == 4)
        #expect(hub.violations.isEmpty)
        // One question for the commit, three pages of the listing.
        #expect(hub.requests.count == 4)
        #expect(hub.requests.allSatisfy { $0.hasPrefix("GET http://hub/api/models/org/name/") })
    }

    @Test("What is there is not fetched again, and a commit that is complete asks nobody")
    func again() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        let first = try Self.download(hub, directory).run()
        let bytes = hub.totalBytes
        #expect(try Self.download(hub, directory).run().bytesFetched == 0)
        #expect(hub.totalBytes == bytes)
        let asked = hub.requests.count
        let pinned = try Self.download(hub, directory, revision: first.commit).run()
        #expect(pinned.directory == first.directory)
        #expect(pinned.bytes == Self.totalBytes)
        #expect(hub.requests.count == asked)
        var forced = Self.download(hub, directory)
        forced.isForced = true
        #expect(try forced.run().bytesFetched == Self.totalBytes)
    }

    @Test("A new commit brings only what changed")
    func newCommit() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        let first = try Self.download(hub, directory).run()
        hub.with {
            $0.commit = String(repeating: "b2", count: 20)
            $0.files[0].file = .init("{\"a\":1}")
        }
        let second = try Self.download(hub, directory).run()
        #expect(second.bytesFetched == 7)
        #expect(second.directory != first.directory)
        #expect(try directory.read("models--org--name/refs/main") == second.commit)
        #expect(try Disk.read("\(first.directory)/config.json", limitBytes: 99) == Array("{}".utf8))
    }

    @Test("A failed download keeps what it has, and the next goes on")
    func goesOn() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        hub.with { $0.failsAfter = 2 }
        #expect(throws: DownloadError.self) { try Self.download(hub, directory).run() }
        #expect(hub.totalBytes == 7)
        #expect(!Disk.exists("\(directory.path)/models--org--name/refs/main"))
        hub.with { $0.failsAfter = nil }
        #expect(try Self.download(hub, directory).run().bytesFetched == Self.totalBytes - 12 - 7)
        #expect(hub.totalBytes == Self.totalBytes - 12)
    }

    @Test("Two downloads of one repository fetch each byte once")
    func together() async throws {
        let directory = try TemporaryDirectory()
        let files = (0..<40).map { ("f\($0)", FakeHub.File("content \($0)", isLarge: $0 % 2 == 0)) }
        let hub = FakeHub(files, during: { usleep(500) })
        let results = try await withThrowingTaskGroup(of: SnapshotResult.self) { group in
            for size in [3, 7] {
                var download = Self.download(hub, directory)
                download.batchSize = size
                let own = download
                group.addTask { try own.run() }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let total = files.reduce(0) { $0 + $1.1.content.count }
        #expect(results.map(\.bytes) == [total, total])
        #expect(results.reduce(0) { $0 + $1.bytesFetched } == total)
        #expect(hub.totalBytes == total)
        #expect(hub.violations.isEmpty)
    }

    @Test("Who holds a lock without fetching anything is not waited for without end")
    func stuck() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        var download = Self.download(hub, directory)
        let time = Mutex(Duration.zero)
        let waits = Mutex(0)
        download.clock = DownloadClock(
            now: { time.withLock { $0 } }, wallTime: { Timestamp(nanoseconds: 0) },
            sleep: { span in time.withLock { $0 += span + .seconds(60) } })
        let lock = try download.store.place(
            of: SourceFile(
                RemoteFile(name: "x", addresses: [], digest: .gitBlobSHA1(Self.files[0].1.oid)))
        ).lock
        try Disk.makeDirectories(Disk.parent(of: lock))
        let held = try #require(try FileLock.take(lock))
        let error = #expect(throws: DownloadError.self) {
            try download.run(progress: { if $0.isWaiting { waits.withLock { $0 += 1 } } })
        }
        #expect(error?.problem.contains("30 minutes") == true)
        #expect(error?.path == lock)
        #expect(waits.withLock { $0 } == 1)
        // The other files came all the same.
        #expect(hub.totalBytes == Self.totalBytes - 12 - 2)
        withExtendedLifetime(held) {}
    }

    @Test(
        "A server's file names that could do harm stop the download before the first byte",
        arguments: ["../x", "/etc/x", "", "a\u{0}b", "config.json", "README.md/x", ".git/config"])
    func hostile(name: String) throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files + [(name, .init("harm"))])
        let error = #expect(throws: DownloadError.self) { try Self.download(hub, directory).run() }
        #expect(error?.kind == .badRequest)
        #expect(hub.totalBytes == 0)
        #expect((Disk.list(directory.path) ?? []).isEmpty)
    }

    @Test("A renamed repository is fetched by its new name and kept under the one that was asked for")
    func renamed() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        hub.with { $0.id = "new-org/new" }
        let result = try Self.download(hub, directory).run()
        #expect(result.directory.contains("/models--org--name/"))
        #expect(
            hub.requests.dropFirst().allSatisfy {
                $0.hasPrefix("GET http://hub/api/models/new-org/new/tree/")
            })
    }

    @Test("Mirrors are asked in their order, and get no token that is not theirs")
    func mirrors() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        hub.with {
            $0.token = "t"
            $0.unreachable = ["http://hub/"]
        }
        let endpoints: [HubSettings.Endpoint] = [
            .init(url: "http://hub", token: "t"), .init(url: "http://mirror"),
        ]
        let result = try Self.download(hub, directory, endpoints: endpoints).run()
        #expect(result.bytes == Self.totalBytes)
        #expect(hub.violations.isEmpty)
        #expect(hub.requests.first?.hasPrefix("GET http://hub/") == true)
        #expect(hub.requests.dropFirst().allSatisfy { $0.hasPrefix("GET http://mirror/") })
    }

    @Test("A file without a digest in the listing is asked for by itself")
    func bareListing() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub([
            ("a", .init("one", isBare: true)), ("b", .init("two", isLarge: true, isBare: true)),
        ])
        let result = try Self.download(hub, directory).run()
        #expect(result.bytes == 6)
        #expect(hub.requests.count { $0.hasPrefix("HEAD http://hub/org/name/resolve/") } == 2)
        #expect(
            (Disk.list("\(directory.path)/models--org--name/blobs") ?? []).sorted()
                == [FakeHub.File("one").oid, FakeHub.File("two").sha256].sorted())
    }

    @Test("Only what the patterns take is fetched, and no match is an error that names files")
    func filtered() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        var download = Self.download(hub, directory)
        download.filter = FileFilter(include: ["*.safetensors", "*.json"], exclude: ["*copy*"])
        let result = try download.run()
        #expect(result.paths.sorted() == ["config.json", "weights/m.safetensors"])
        #expect(hub.totalBytes == 14)
        download.filter = FileFilter(include: ["*.gguf"])
        let error = #expect(throws: DownloadError.self) { try download.run() }
        #expect(error?.remedy.contains("config.json") == true)
    }

    // MARK: Offline

    @Test("Offline the snapshot that is there is found, and what is missing is named")
    func offline() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        var download = Self.download(hub, directory)
        download.isOffline = true
        let none = #expect(throws: DownloadError.self) { try download.run() }
        #expect(none?.kind == .offline)
        download.isOffline = false
        download.filter = FileFilter(exclude: ["weights/*"])
        let online = try download.run()
        download.isOffline = true
        let asked = hub.requests.count
        let found = try download.run()
        #expect(found.directory == online.directory)
        #expect(found.paths == ["README.md", "config.json", "empty"])
        #expect(found.warnings.isEmpty)
        download.filter = FileFilter()
        let partial = #expect(throws: DownloadError.self) { try download.run() }
        #expect(partial?.problem.contains("weights/copy.safetensors, weights/m.safetensors") == true)
        #expect(hub.requests.count == asked)
    }

    @Test("A hub that cannot be reached is no matter where all is there, but a warning")
    func unreachable() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        let first = try Self.download(hub, directory).run()
        hub.with { $0.unreachable = ["http://hub/"] }
        let second = try Self.download(hub, directory).run()
        #expect(second.directory == first.directory)
        #expect(second.warnings.count == 1)
        #expect(second.warnings.first?.contains(first.commit) == true)
        #expect(throws: DownloadError.self) { try Self.download(hub, directory, revision: "other").run() }
    }

    @Test("A repository that was taken away is not used from the cache behind the user's back")
    func gone() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        _ = try Self.download(hub, directory).run()
        hub.with { $0.replies = [("http://hub/", 403, ["X-Error-Code: GatedRepo"])] }
        let error = #expect(throws: DownloadError.self) { try Self.download(hub, directory).run() }
        #expect(error?.kind == .gated)
    }

    // MARK: Directories

    @Test("A directory gets real files, and only what changed is fetched again")
    func localDirectory() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        var download = Self.download(hub, directory)
        download.store = DirectoryStore(localDirectory: directory.path + "/out")
        let result = try download.run()
        #expect(result.directory == directory.path + "/out")
        // Each file by itself: there are no blobs to share.
        #expect(result.bytesFetched == Self.totalBytes)
        #expect(Disk.status("\(result.directory)/weights/copy.safetensors")?.kind == .file)
        #expect(try download.run().bytesFetched == 0)
        try directory.write("HELLO", to: "out/README.md")
        var times = [
            timespec(tv_sec: 4_000_000_000, tv_nsec: 0), timespec(tv_sec: 4_000_000_000, tv_nsec: 0),
        ]
        utimensat(AT_FDCWD, "\(result.directory)/README.md", &times, 0)
        #expect(try download.run().bytesFetched == 5)
        #expect(try directory.read("out/README.md") == "hello")
    }

    @Test("A snapshot is exported whole, without bookkeeping", arguments: [true, false])
    func export(isLinked: Bool) throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        var download = Self.download(hub, directory)
        if isLinked { download.store = DirectoryStore(localDirectory: directory.path + "/out") }
        let result = try download.run()
        try directory.write("old", to: "model/old")
        try result.export(to: directory.path + "/model", isLinked: isLinked)
        #expect(
            directory.listing("model") == [
                "README.md 644 hello", "config.json 644 {}", "empty 644 ", "weights/ 755",
                "weights/copy.safetensors 644 some weights", "weights/m.safetensors 644 some weights",
            ])
        #expect(Disk.status("\(directory.path)/model/README.md")?.links == (isLinked ? 2 : 1))
        #expect((Disk.list(directory.path) ?? []).allSatisfy { !$0.hasPrefix("model.") })
    }

    @Test("A directory of this machine is a source like others")
    func directorySource() throws {
        let directory = try TemporaryDirectory()
        try directory.write("one", to: "in/a b.txt")
        try directory.write("two", to: "in/sub/c")
        try directory.write("no", to: "in/.cache/huggingface/x")
        symlink("sub", "\(directory.path)/in/loop")
        var download = Self.download(FakeHub(), directory)
        download.source = DirectorySource(path: directory.path + "/in")
        download.store = DirectoryStore(localDirectory: directory.path + "/out")
        let result = try download.run()
        #expect(result.paths == ["a b.txt", "sub/c"])
        #expect(try directory.read("out/a b.txt") == "one")
        download.source = DirectorySource(path: directory.path + "/nothing")
        #expect(throws: DownloadError.self) { try download.run() }
    }

    @Test(
        "The address of a file names it",
        arguments: [
            ("http://h/a/model%20x.gguf?token=1", "model x.gguf"), ("https://h/x", "x"), ("https://h/", nil),
            ("https://h", nil), ("https://h/a/..", nil), ("https://h/a%2F..%2Fb", nil),
            ("https://h/x#sha256=12", nil),
        ] as [(String, String?)])
    func addresses(url: String, name: String?) {
        #expect((try? AddressSource(url: url))?.fileName == name)
    }

    // MARK: ModelScope

    @Test("A repository of ModelScope lies in its cache, and a changed file is fetched again")
    func modelScope() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        let repository = HubRepository(hub: .modelScope, id: "org/name")
        var download = Self.download(hub, directory)
        download.revision = "master"
        download.source = ModelScopeSource(
            repository, revision: "master", endpoints: [.init(url: "http://hub")])
        download.store = DirectoryStore(
            modelScopeCache: directory.path, repository: repository, revision: "master")
        let result = try download.run()
        #expect(result.directory == "\(directory.path)/models/org--name/snapshots/master")
        #expect(result.commit == hub.with { $0.commit })
        #expect(result.bytesFetched == Self.totalBytes)
        #expect(try download.run().bytesFetched == 0)
        hub.with { $0.files[0].file = .init("{1}") }
        #expect(try download.run().bytesFetched == 3)
        #expect(try Disk.read("\(result.directory)/config.json", limitBytes: 9) == Array("{1}".utf8))
        #expect(hub.violations.isEmpty)
    }

    // MARK: Ends

    @Test("An interrupted download says that the same command goes on")
    func cancelled() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        let error = #expect(throws: DownloadError.self) {
            try Self.download(hub, directory).run(isCancelled: { hub.totalBytes >= 7 })
        }
        #expect(error?.kind == .cancelled)
        #expect(try Self.download(hub, directory).run().bytesFetched == Self.totalBytes - 12 - 7)
    }

    @Test("What cannot fit on the disk is refused before the first byte")
    func space() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub()
        var download = Self.download(hub, directory)
        download.source = Huge()
        let error = #expect(throws: DownloadError.self) { try download.run() }
        #expect(error?.kind == .noSpace)
        #expect(error?.problem.contains("4000 TB") == true)
        #expect(hub.totalBytes == 0)
    }

    @Test("A plan tells files and sizes and fetches nothing")
    func plan() throws {
        let directory = try TemporaryDirectory()
        let hub = FakeHub(Self.files)
        var download = Self.download(hub, directory)
        download.filter = FileFilter(include: ["*.json"])
        _ = try download.run()
        download.filter = FileFilter()
        let plan = try download.plan()
        #expect(plan.bytes == Self.totalBytes)
        #expect(plan.bytesMissing == Self.totalBytes - 2)
        #expect(plan.files.filter(\.isPresent).map(\.path) == ["config.json"])
        #expect(hub.totalBytes == 2)
    }

    private struct Huge: DownloadSource {
        let name = "huge"
        func listing(
            _ transport: any HubTransport, isCancelled: @escaping @Sendable () -> Bool
        ) throws -> SourceListing {
            let digest = String(repeating: "0", count: 64)
            let file = RemoteFile(
                name: "huge", addresses: [], sizeBytes: 4_000_000_000_000_000, digest: .sha256(digest))
            return SourceListing(commit: String(repeating: "a", count: 40), files: [SourceFile(file)])
        }
    }
}
