// Layouts on disk against trees made by hand: what is found there, what is written, and what is not believed.

import Glibc
import Testing

@testable import Artifacts

struct SnapshotStoreTests {
    private static let commit = String(repeating: "a1", count: 20)
    private static let repository = HubRepository(id: "org/name")

    private static func file(_ path: String, _ text: String, isLarge: Bool = false) -> SourceFile {
        let content = FakeHub.File(text, isLarge: isLarge)
        return SourceFile(
            RemoteFile(
                name: path, addresses: [], sizeBytes: content.content.count,
                digest: isLarge ? .sha256(content.sha256) : .gitBlobSHA1(content.oid)),
            gitObjectID: content.oid)
    }

    // MARK: Hugging Face's cache

    @Test("A cache that huggingface_hub made is used")
    func existingCache() throws {
        let directory = try TemporaryDirectory()
        let store = HubCache(root: directory.path, repository: Self.repository)
        let small = Self.file("config.json", "{}")
        let large = Self.file("sub/m.bin", "weights", isLarge: true)
        let folder = "models--org--name"
        try directory.write("{}", to: "\(folder)/blobs/\(try #require(small.tag))")
        try directory.write("weights", to: "\(folder)/blobs/\(try #require(large.tag))")
        try directory.write(Self.commit, to: "\(folder)/refs/main")
        try Disk.makeDirectories("\(directory.path)/\(folder)/snapshots/\(Self.commit)")
        symlink("../../blobs/\(small.tag ?? "")", "\(store.directory(commit: Self.commit))/config.json")

        let places = try [small, large].map { try store.place(of: $0) }
        #expect(store.state(of: small, at: places[0], commit: Self.commit) == .complete)
        #expect(store.state(of: large, at: places[1], commit: Self.commit) == .stored)
        try store.add(large, at: places[1], commit: Self.commit)
        #expect(store.state(of: large, at: places[1], commit: Self.commit) == .complete)
        #expect(
            Disk.linkTarget("\(store.directory(commit: Self.commit))/sub/m.bin")
                == "../../../blobs/\(large.tag ?? "")")
        let found = try #require(store.existing(revision: "main", filter: FileFilter()))
        #expect(found.commit == Self.commit)
        #expect(found.files == 2)
        #expect(found.bytes == 9)
        #expect(!found.isListed)
    }

    @Test("A blob of another length is fetched again")
    func truncated() throws {
        let directory = try TemporaryDirectory()
        let store = HubCache(root: directory.path, repository: Self.repository)
        let file = Self.file("a", "content")
        let place = try store.place(of: file)
        try directory.write("cont", to: "models--org--name/blobs/\(try #require(file.tag))")
        try store.begin(SourceListing(commit: Self.commit, files: [file]), wanted: [file])
        #expect(store.state(of: file, at: place, commit: Self.commit) == .absent)
        try store.add(file, at: place, commit: Self.commit)
        #expect(store.state(of: file, at: place, commit: Self.commit) == .absent)
    }

    @Test("A link that leads nowhere is no file")
    func broken() throws {
        let directory = try TemporaryDirectory()
        let store = HubCache(root: directory.path, repository: Self.repository)
        let file = Self.file("a", "content")
        try Disk.makeDirectories(store.directory(commit: Self.commit))
        symlink("../../blobs/gone", "\(store.directory(commit: Self.commit))/a")
        #expect(store.state(of: file, at: try store.place(of: file), commit: Self.commit) == .absent)
    }

    @Test("A tag that would be another path is refused", arguments: ["../../x", "a/b", "", ".x"])
    func hostileTags(tag: String) {
        let store = HubCache(root: "/nowhere", repository: Self.repository)
        let file = SourceFile(RemoteFile(name: "a", addresses: [], etag: tag))
        #expect(throws: DownloadError.self) { try store.place(of: file) }
    }

    @Test("A commit and a reference that would be other paths are refused")
    func hostileCommits() throws {
        let directory = try TemporaryDirectory()
        let store = HubCache(root: directory.path, repository: Self.repository)
        #expect(throws: DownloadError.self) {
            try store.begin(SourceListing(commit: "../..", files: []), wanted: [])
        }
        try directory.write("../../../etc\n", to: "models--org--name/refs/main")
        #expect(store.existing(revision: "main", filter: FileFilter()) == nil)
        #expect(store.existing(revision: "../main", filter: FileFilter()) == nil)
    }

    @Test("The listing of a commit tells offline which files are missing")
    func listing() throws {
        let directory = try TemporaryDirectory()
        let store = HubCache(root: directory.path, repository: Self.repository)
        let files = [Self.file("b.bin", "weights", isLarge: true), Self.file("a.json", "{}")]
        let listing = SourceListing(commit: Self.commit, files: files)
        try store.begin(listing, wanted: files)
        let text = try directory.read("models--org--name/trees/\(Self.commit).json")
        #expect(
            text.filter { $0 != " " && $0 != "\n" }
                == """
                {"format_version":1,"files":{"a.json":{"size":2,"blob_id":"\(files[1].gitObjectID ?? "")"},\
                "b.bin":{"size":7,"blob_id":"\(files[0].gitObjectID ?? "")",\
                "lfs_sha256":"\(files[0].tag ?? "")","lfs_size":7}}}
                """)
        let place = try store.place(of: files[1])
        try Disk.write(Array("{}".utf8), to: place.destination)
        try store.add(files[1], at: place, commit: Self.commit)
        try store.finish(listing, revision: "refs/pr/1")
        #expect(try directory.read("models--org--name/refs/refs/pr/1") == Self.commit)
        let all = try #require(store.existing(revision: "refs/pr/1", filter: FileFilter()))
        #expect(all.missing == ["b.bin"])
        #expect(!all.isComplete)
        let some = try #require(
            store.existing(revision: Self.commit, filter: FileFilter(include: ["*.json"])))
        #expect(some.isComplete)
        #expect(store.existing(revision: "main", filter: FileFilter()) == nil)
    }

    // MARK: Directories

    @Test("A file that was noted and not changed since is not read again")
    func notes() throws {
        let directory = try TemporaryDirectory()
        let store = DirectoryStore(localDirectory: directory.path)
        let file = Self.file("sub/a.txt", "text")
        let place = try store.place(of: file)
        try store.begin(SourceListing(commit: Self.commit, files: [file]), wanted: [file])
        #expect(store.state(of: file, at: place, commit: Self.commit) == .absent)
        try directory.write("text", to: "sub/a.txt")
        // Nobody noted it, but its digest is right.
        #expect(store.state(of: file, at: place, commit: Self.commit) == .stored)
        try store.add(file, at: place, commit: Self.commit)
        #expect(store.state(of: file, at: place, commit: Self.commit) == .complete)
        #expect(store.state(of: file, at: place, commit: String(repeating: "b", count: 40)) == .stored)
        let lines = try directory.read(".cache/huggingface/download/sub/a.txt.metadata").split(
            separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.prefix(2) == [Self.commit[...], (file.tag ?? "")[...]])
        #expect(try directory.read(".cache/huggingface/.gitignore") == "*")
        #expect(
            try directory.read(".cache/huggingface/CACHEDIR.TAG").hasPrefix("Signature: 8a477f597d28d172789f")
        )
        #expect(place.lock == "\(directory.path)/.cache/huggingface/download/sub/a.txt.lock")
    }

    @Test("A file that was changed after its note is judged by its content")
    func changed() throws {
        let directory = try TemporaryDirectory()
        let store = DirectoryStore(localDirectory: directory.path, now: { 1_000_000_000 })
        let file = Self.file("a", "text")
        let place = try store.place(of: file)
        try store.begin(SourceListing(commit: Self.commit, files: [file]), wanted: [file])
        try directory.write("tEXT", to: "a")
        try store.add(file, at: place, commit: Self.commit)
        #expect(store.state(of: file, at: place, commit: Self.commit) == .absent)
    }

    @Test(
        "A note that is damaged counts for nothing",
        arguments: ["", "x", "a\nb\n", "a\nb\nnan\n", "a\nb\n1e400\n"])
    func damagedNotes(text: String) throws {
        let directory = try TemporaryDirectory()
        let store = DirectoryStore(localDirectory: directory.path)
        let file = SourceFile(RemoteFile(name: "a", addresses: [], sizeBytes: 4, etag: "b"))
        try directory.write("text", to: "a")
        try directory.write(text, to: ".cache/huggingface/download/a.metadata")
        #expect(store.state(of: file, at: try store.place(of: file), commit: "a") == .absent)
    }

    @Test("The bookkeeping's own place cannot be overwritten by a repository")
    func bookkeeping() {
        let store = DirectoryStore(localDirectory: "/nowhere")
        #expect(throws: DownloadError.self) {
            try store.place(of: Self.file(".cache/huggingface/download/a.metadata", "x"))
        }
    }

    @Test("ModelScope's cache has its own paths")
    func modelScope() throws {
        let repository = HubRepository(hub: .modelScope, id: "Owner/Name-1.0")
        let store = DirectoryStore(modelScopeCache: "/c", repository: repository, revision: "master")
        let place = try store.place(of: Self.file("sub/a.json", "x"))
        #expect(place.destination == "/c/models/Owner--Name-1.0/snapshots/master/sub/a.json")
        #expect(place.partial == "/c/models/Owner--Name-1.0/.martlet/master/sub/a.json.incomplete")
        #expect(place.lock == "/c/.lock/model_Owner___Name-1.0_sub___a_json.lock")
        #expect(store.directory(commit: "x") == "/c/models/Owner--Name-1.0/snapshots/master")
    }

    @Test("Both digests of a file are known without the hub")
    func digests() throws {
        let directory = try TemporaryDirectory()
        try directory.write("hello\n", to: "a")
        // As `git hash-object` and `sha256sum` give them.
        let path = directory.path + "/a"
        #expect(FileDigest.matches(path, .gitBlobSHA1("ce013625030ba8dba906f756967f9e9ca394464a")))
        #expect(
            FileDigest.matches(
                path, .sha256("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")))
        #expect(!FileDigest.matches(path, .sha256(String(repeating: "0", count: 64))))
        #expect(!FileDigest.matches(path + "x", .sha256(String(repeating: "0", count: 64))))
    }

    // MARK: Locks

    @Test("A lock is held by one value at a time and is free when that is gone")
    func locks() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a.lock"
        var first = try FileLock.take(path)
        #expect(first != nil)
        #expect(try FileLock.take(path) == nil)
        first = nil
        #expect(try FileLock.take(path) != nil)
    }

    @Test("A lock whose file was replaced is another lock")
    func replacedLock() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a.lock"
        let first = try #require(try FileLock.take(path))
        unlink(path)
        let second = try FileLock.take(path)
        #expect(second != nil)
        withExtendedLifetime(first) {}
    }
}
