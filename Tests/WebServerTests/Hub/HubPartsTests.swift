// The pure parts of the hub: addresses, ranges, names, Git's ids, and what faults do to a body.
import TestSupport
import Testing
import Text

@testable import WebServer

@Suite("Parts of the hub")
struct HubPartsTests {
    private static func name(_ text: String, _ kind: RepositoryKind = .models) -> RepositoryName {
        guard let name = RepositoryName(kind, text.split(separator: "/").map(String.init)) else {
            preconditionFailure("\(text) is no name")
        }
        return name
    }

    @Test(
        "An address of either protocol leads to its route",
        arguments: [
            ("/api/models", .list(.models)), ("/api/datasets/", .list(.datasets)),
            ("/api/models/o/n", .info(name("o/n"), revision: nil)),
            ("/api/models/n", .info(name("n"), revision: nil)),
            ("/api/models/o/n/revision/refs%2Fpr%2F1", .info(name("o/n"), revision: "refs/pr/1")),
            ("/api/models/n/revision/main", .info(name("n"), revision: "main")),
            (
                "/api/datasets/o/n/tree/main/a%20b/c",
                .tree(name("o/n", .datasets), revision: "main", path: "a b/c")
            ),
            ("/api/models/n/tree/v1", .tree(name("n"), revision: "v1", path: "")),
            ("/api/models/o/n/paths-info/main", .pathsInfo(name("o/n"), revision: "main")),
            ("/api/models/n/refs", .references(name("n"))),
            ("/api/models/o/n/refs", .references(name("o/n"))),
            ("/api/models/o/n/auth-check", .authCheck(name("o/n"))),
            ("/api/whoami-v2", .whoAmI),
            ("/o/n/resolve/main/a/b.bin", .resolve(name("o/n"), revision: "main", path: "a/b.bin")),
            ("/n/resolve/main/b.bin", .resolve(name("n"), revision: "main", path: "b.bin")),
            (
                "/datasets/o/n/resolve/main/x%2Fy",
                .resolve(name("o/n", .datasets), revision: "main", path: "x/y")
            ),
            ("/api/v1/models/o/n", .scopeInfo(name("o/n"))),
            ("/api/v1/models/o/n/repo", .scopeDownload(name("o/n"))),
            ("/api/v1/models/o/n/repo/files", .scopeFiles(name("o/n"))),
            ("/api/v1/datasets/o/n/repo/tree", .scopeFiles(name("o/n", .datasets))),
            ("/api/v1/models/o/n/revisions", .scopeRevisions(name("o/n"))),
            ("/-/stats", .statistics),
        ] as [(String, HubRoute)])
    func routes(path: String, route: HubRoute) throws {
        #expect(try HubRoute.find(path) == route)
    }

    @Test(
        "Addresses that could leave the directory lead nowhere",
        arguments: [
            "/", "/api/models/../x", "/api/models/%2e%2e/etc", "/api/models/o%2F..%2F..%2Fetc/x",
            "/..%2f..%2fetc/resolve/main/passwd", "/o/.git/resolve/main/config", "/o/n/resolve/main",
            "/api/spaces/o/n", "/api/v1/models/o", "/api/models/o/n/unknown/main", "/o/n/blob/main/x",
        ])
    func nowhere(path: String) {
        #expect(throws: HubError.self) { try HubRoute.find(path) }
    }

    @Test(
        "One range of bytes is honored as the standard says",
        arguments: [
            (nil, .whole), ("bytes=0-", .part(0..<10)), ("bytes=3-4", .part(3..<5)),
            ("bytes=3-99", .part(3..<10)), ("bytes=-4", .part(6..<10)), ("bytes=-99", .part(0..<10)),
            ("bytes=9-9", .part(9..<10)), ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=5-4", .whole), ("bytes=0-1,3-4", .whole), ("lines=0-1", .whole), ("bytes=x-", .whole),
            ("bytes=99999999999999999999-", .whole), ("bytes=-", .whole),
        ] as [(String?, ByteRange)])
    func ranges(header: String?, range: ByteRange) {
        #expect(ByteRange(header, sizeBytes: 10) == range)
    }

    @Test("Of an empty file no range can be had") func emptyRange() {
        #expect(ByteRange("bytes=0-", sizeBytes: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-1", sizeBytes: 0) == .unsatisfiable)
    }

    @Test("Folders of a cache name their repositories") func cacheFolders() {
        #expect(RepositoryName(cacheFolder: "models--o--n") == Self.name("o/n"))
        #expect(RepositoryName(cacheFolder: "datasets--n") == Self.name("n", .datasets))
        #expect(RepositoryName(cacheFolder: "models--") == nil)
        #expect(RepositoryName(cacheFolder: "models--..--n") == nil)
        #expect(Self.name("o/n").cacheFolder == "models--o--n")
    }

    /// Ids as the program `git` 2.39 gives them, by `git hash-object` and `git write-tree`.
    @Test("Ids of blobs and trees are Git's") func gitObjects() {
        #expect(GitObjects.blobID([]) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
        #expect(GitObjects.blobID(Array("hi\n".utf8)) == "45b983be36b73c0788dc9cbcb76cbb80fc7bb057")
        let blob = "45b983be36b73c0788dc9cbcb76cbb80fc7bb057"
        // Files a.txt, a/x and a-b: Git sorts the directory as "a/", behind "a-b" and "a.txt".
        let inner = GitObjects.treeID([.init(name: Array("x".utf8), id: blob, isDirectory: false)])
        #expect(inner == "488958086aadb031695daea66ee5dec69cb80f15")
        let outer = GitObjects.treeID([
            .init(name: Array("a".utf8), id: inner, isDirectory: true),
            .init(name: Array("a.txt".utf8), id: blob, isDirectory: false),
            .init(name: Array("a-b".utf8), id: blob, isDirectory: false),
        ])
        #expect(outer == "e40e9073736f6f00e29f2214cb659c7e0ec043ff")
    }

    private static func file(_ path: String, _ digest: String = "0") -> HubFile {
        HubFile(
            path: path, realPath: "/r/" + path,
            stamp: FileStamp(sizeBytes: 3, modifiedNanoseconds: 0, inode: 1),
            sha256: String(repeating: digest, count: 64), gitBlob: String(repeating: "a", count: 40))
    }

    @Test("A snapshot knows its directories, and what is in them") func snapshotEntries() {
        let snapshot = RepositorySnapshot(files: ["b", "a/y/z", "a-b", "a/x"].map { Self.file($0) })
        #expect(snapshot.entries.map(\.path) == ["a", "a-b", "a/x", "a/y", "a/y/z", "b"])
        #expect(snapshot.entries(in: "", recursive: false)?.map(\.path) == ["a", "a-b", "b"])
        #expect(snapshot.entries(in: "a", recursive: false)?.map(\.path) == ["a/x", "a/y"])
        #expect(snapshot.entries(in: "a", recursive: true)?.map(\.path) == ["a/x", "a/y", "a/y/z"])
        #expect(snapshot.entries(in: "b", recursive: true) == nil)
        #expect(snapshot.entries(in: "c", recursive: true) == nil)
        #expect(snapshot.file("a") == nil)
        #expect(snapshot.file("a/y/z")?.path == "a/y/z")
    }

    @Test("Names that only look alike are two files") func unicodeNames() {
        let snapshot = RepositorySnapshot(files: [Self.file("\u{E9}", "1"), Self.file("e\u{301}", "2")])
        #expect(snapshot.file("\u{E9}")?.sha256.first == "1")
        #expect(snapshot.file("e\u{301}")?.sha256.first == "2")
    }

    @Test("The commit depends on names, sizes and contents, not on the order found") func commits() {
        let files = [Self.file("a"), Self.file("b")]
        let commit = RepositorySnapshot(files: files).commit
        #expect(RepositorySnapshot(files: files.reversed()).commit == commit)
        #expect(RepositorySnapshot(files: [Self.file("a"), Self.file("c")]).commit != commit)
        #expect(RepositorySnapshot(files: [Self.file("a"), Self.file("b", "1")]).commit != commit)
    }

    @Test(
        "Large files and those with known endings are kept apart from Git",
        arguments: [
            ("a.bin", 1, true), ("a.BIN", 1, true), ("a.bin", 0, false), ("a.json", 100, false),
            ("a.json", 10_000_000, true), ("model", 5, false), ("x/tokenizer.model", 5, true),
        ])
    func largeFiles(path: String, bytes: Int, isLarge: Bool) {
        #expect(LargeFiles.contains(path, sizeBytes: bytes) == isLarge)
    }

    @Test("Queries survive being written and read", arguments: 0..<50)
    func queries(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("ab &=+%/?ö\u{1F600}%41")
        func word() -> String {
            String(
                (0..<Int.random(in: 1...8, using: &generator)).map { _ in
                    alphabet.randomElement(using: &generator)!
                })
        }
        let (name, value) = (word(), word())
        let text = URLQuery("x=1").text(replacing: name, with: value)
        #expect(URLQuery(text)[name] == value)
        #expect(PercentEncoding.decoded(PercentEncoding.encoded(value)) == value)
    }
}
