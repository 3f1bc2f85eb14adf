// What the store promises: content comes back as it was, keys name it, and nothing else can change it.

import Glibc
import Testing
import WorkflowLanguage

@testable import Artifacts

@Suite("Local artifact store")
struct LocalArtifactStoreTests {
    let directory: TemporaryDirectory
    let store: LocalArtifactStore

    init() throws {
        directory = try TemporaryDirectory()
        store = try LocalArtifactStore(directory: directory.path + "/artifacts", isDurable: false)
    }

    private func save(_ name: String, as key: String, archive: ArchiveStrategy = .tar) throws -> StoredTree {
        let tree = try store.save(path: "\(directory.path)/\(name)", archive: archive)
        try store.publish(key: key, namespace: "ns", tree: tree)
        return tree
    }

    private func materialize(_ key: String, at name: String) throws {
        let tree = try #require(try store.resolve(key: key, namespace: "ns"))
        try store.materialize(tree, at: "\(directory.path)/\(name)")
    }

    @Test("A file comes back with its bytes and mode, named by the SHA-256 of its bytes")
    func fileRoundTrip() throws {
        try directory.write("abc", to: "in", mode: 0o750)
        let tree = try save("in", as: "wf/pod/out")
        #expect(tree.hash == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(tree.bytes == 3)
        try materialize("wf/pod/out", at: "back")
        #expect(directory.listing(".").contains("back 750 abc"))
    }

    @Test("A directory comes back with modes, empty directories and links")
    func directoryRoundTrip() throws {
        try directory.write("1", to: "in/a/x", mode: 0o600)
        try directory.write("run", to: "in/tool", mode: 0o755)
        try Disk.makeDirectories(directory.path + "/in/empty")
        #expect(symlink("a/x", directory.path + "/in/link") == 0)
        #expect(symlink("/nowhere", directory.path + "/in/dangling") == 0)
        let tree = try save("in", as: "d")
        #expect(tree.isDirectory && tree.bytes == 4)
        try materialize("d", at: "back")
        #expect(directory.listing("back") == directory.listing("in"))
        #expect(directory.listing("in").count == 6)
    }

    @Test(
        "Editing what was laid out never changes what the store holds",
        arguments: [
            LocalArtifactStore.Source.shared, .attemptEnded,
        ])
    func copiesAreTheirOwn(source: LocalArtifactStore.Source) throws {
        try directory.write("original", to: "in/f")
        let tree = try store.save(path: directory.path + "/in", source: source)
        try store.publish(key: "k", namespace: "ns", tree: tree)
        try materialize("k", at: "first")
        try directory.write("edited", to: "first/f")
        try materialize("k", at: "second")
        #expect(try directory.read("second/f") == "original")
    }

    @Test("A file with a second name is copied, since its other name may be written to")
    func linkedSourceIsCopied() throws {
        try directory.write("original", to: "f")
        #expect(link(directory.path + "/f", directory.path + "/g") == 0)
        let tree = try store.save(path: directory.path + "/f", source: .attemptEnded)
        try directory.write("edited", to: "g")
        try store.materialize(tree, at: directory.path + "/back")
        #expect(try directory.read("back") == "original")
    }

    @Test("The same content is kept once, and may be saved twice at once")
    func concurrentSaves() async throws {
        for index in 0..<20 { try directory.write("same", to: "in/\(index)") }
        let (store, path) = (store, directory.path + "/in")
        let hashes = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<4 { group.addTask { try store.save(path: path).hash } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(hashes.count == 1)
        let blobs = (Disk.list(store.root + "/blobs") ?? []).flatMap {
            Disk.list("\(store.root)/blobs/\($0)") ?? []
        }
        #expect(blobs.count == 2)
        #expect(Disk.list(store.root + "/temporary") == [])
    }

    @Test("A mode applies to the top, or to everything when asked")
    func modes() throws {
        try directory.write("x", to: "in/f", mode: 0o644)
        let tree = try store.save(path: directory.path + "/in")
        try store.materialize(tree, at: directory.path + "/top", mode: 0o700)
        try store.materialize(tree, at: directory.path + "/all", mode: 0o777, recurseMode: true)
        #expect(Disk.status(directory.path + "/top")?.mode == 0o700)
        #expect(directory.listing("top") == ["f 644 x"])
        #expect(directory.listing("all") == ["f 777 x"])
    }

    @Test("A key below a saved directory names that part; a key above others names their directory")
    func partsAndPrefixes() throws {
        try directory.write("1", to: "in/a/x")
        try directory.write("2", to: "two")
        _ = try save("in", as: "top/dir")
        _ = try save("two", as: "top/two")
        try materialize("top/dir/a/x", at: "x")
        #expect(try directory.read("x") == "1")
        try materialize("top/dir/a", at: "a")
        #expect(directory.listing("a") == ["x 644 1"])
        try materialize("top/", at: "all")
        #expect(directory.listing("all") == ["dir/ 755", "dir/a/ 755", "dir/a/x 644 1", "two 644 2"])
        #expect(try store.resolve(key: "top/other", namespace: "ns") == nil)
        #expect(try store.resolve(key: "top/dir", namespace: "elsewhere") == nil)
    }

    @Test("A key and a longer key of the same beginning both exist")
    func keyAndPrefix() throws {
        try directory.write("1", to: "one")
        try directory.write("2", to: "two")
        _ = try save("one", as: "a")
        _ = try save("two", as: "a/b")
        try materialize("a", at: "x")
        try materialize("a/b", at: "y")
        #expect(try directory.read("x") + directory.read("y") == "12")
    }

    @Test("Keys are listed by prefix; directories saved loose count as their files")
    func listing() throws {
        try directory.write("1", to: "in/f")
        try directory.write("2", to: "in/sub/g")
        _ = try save("in", as: "data/loose", archive: .none)
        _ = try save("in", as: "data/packed")
        _ = try save("in/f", as: "date")
        let loose = ["data/loose/f", "data/loose/sub/g"]
        #expect(try store.keys(prefix: "", namespace: "ns") == loose + ["data/packed", "date"])
        #expect(try store.keys(prefix: "data/", namespace: "ns") == loose + ["data/packed"])
        #expect(try store.keys(prefix: "dat", namespace: "ns").count == 4)
        #expect(try store.keys(prefix: "data/loose/s", namespace: "ns") == ["data/loose/sub/g"])
        #expect(try store.keys(prefix: "data", namespace: "other") == [])
    }

    @Test("Publishing again replaces; deleting forgets and leaves no empty directories")
    func replaceAndDelete() throws {
        try directory.write("1", to: "f")
        _ = try save("f", as: "a/b/c")
        try directory.write("2", to: "f")
        _ = try save("f", as: "a/b/c")
        try materialize("a/b/c", at: "back")
        #expect(try directory.read("back") == "2")
        try store.delete(key: "a/b/c", namespace: "ns")
        try store.delete(key: "a/b/c", namespace: "ns")
        #expect(try store.resolve(key: "a/b/c", namespace: "ns") == nil)
        #expect(Disk.list(store.root + "/references") == [])
    }

    @Test("Garbage is what no key names and is old; the rest stays whole")
    func garbage() throws {
        try directory.write("kept", to: "in/f")
        try directory.write("lost", to: "g")
        _ = try save("in", as: "kept")
        let lost = try save("g", as: "lost")
        try store.delete(key: "lost", namespace: "ns")
        let now = Disk.status(store.blobPath(lost.hash))?.changedNanoseconds ?? 0
        #expect(try store.collectGarbage(now: now, age: .seconds(3600)).files == 0)
        let later = now + 7200 * 1_000_000_000
        #expect(try store.collectGarbage(now: later, age: .seconds(3600)) == .init(files: 1, bytes: 4))
        try materialize("kept", at: "back")
        #expect(directory.listing("back") == ["f 644 kept"])
        #expect(throws: ArtifactError.self) { try store.publish(key: "again", namespace: "ns", tree: lost) }
    }

    @Test("A reference that a power failure cut off counts as absent", arguments: [0, 1, 40, 100])
    func cutReference(length: Int) throws {
        try directory.write("x", to: "f")
        _ = try save("f", as: "k")
        let path = store.root + "/references/ns/=k"
        let whole = try Disk.read(path, limitBytes: 4096)
        try Disk.write(Array(whole.prefix(length)), to: path)
        #expect(try store.resolve(key: "k", namespace: "ns") == nil)
    }

    @Test("A missing path, a forbidden place and a strange file are told apart")
    func errors() throws {
        #expect { try store.save(path: directory.path + "/absent") } throws: { error in
            (error as? ArtifactError)?.kind == .notFound && "\(error)".hasSuffix("path not found")
        }
        #expect(mkfifo(directory.path + "/pipe", 0o600) == 0)
        #expect { try store.save(path: directory.path + "/pipe") } throws: { error in
            (error as? ArtifactError)?.kind == .unsupported
        }
        let full = ArtifactError(errno: ENOSPC, path: "/x", while: "write")
        #expect(full.kind == .noSpace)
        #expect(full.description.contains("free space"))
    }

    @Test("Read-only views link the store's own bytes")
    func readOnlyLinks() throws {
        try directory.write("weights", to: "in/f")
        let tree = try store.save(path: directory.path + "/in")
        try store.materialize(tree, at: directory.path + "/view", access: .readOnly)
        #expect(Disk.status(directory.path + "/view/f")?.links == 2)
        #expect(try directory.read("view/f") == "weights")
    }

    @Test("Durable saves keep the same promises")
    func durable() throws {
        let durable = try LocalArtifactStore(directory: directory.path + "/durable")
        for index in 0..<20 { try directory.write("\(index)", to: "in/\(index)") }
        let tree = try durable.save(path: directory.path + "/in")
        try durable.publish(key: "k", namespace: "ns", tree: tree)
        #expect(try durable.resolve(key: "k", namespace: "ns") == tree)
    }
}
