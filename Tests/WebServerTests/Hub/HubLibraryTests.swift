// What the hub sees on disk: changes, links, caches of other tools, and digests that are not computed twice.
import Glibc
import Testing

@testable import WebServer

@Suite("The hub's library")
struct HubLibraryTests {
    private static func commit(_ port: Int, _ name: String = "org/net") async throws -> String {
        let answer = try await RawClient.request(port, "HEAD", "/\(name)/resolve/main/a.txt")
        return try #require(answer.headers["x-repo-commit"])
    }

    @Test("A changed file is another commit, and the old one is gone") func changes() async throws {
        let folder = try HubFolder()
        try folder.write("org/net/a.txt", "one")
        try await RunningHub.with(folder) { port in
            let first = try await Self.commit(port)
            #expect(try await Self.commit(port) == first)
            try folder.write("org/net/a.txt", "three")
            let second = try await Self.commit(port)
            #expect(second != first)
            let old = try await RawClient.request(port, "GET", "/org/net/resolve/\(first)/a.txt")
            #expect(old.headers["x-error-code"] == "RevisionNotFound")
            let new = try await RawClient.request(port, "GET", "/org/net/resolve/\(second)/a.txt")
            #expect(new.body == "three")
            try folder.write("org/net/b.txt", "")
            #expect(try await Self.commit(port) != second)
            unlink(folder.path + "/org/net/b.txt")
            #expect(try await Self.commit(port) == second)
        }
    }

    @Test("A file that changed since the last look is never sent under its old digest") func staleLook()
        async throws
    {
        let folder = try HubFolder()
        try folder.write("org/net/a.txt", "one")
        var surroundings = ServerSurroundings.system
        surroundings.now = { .zero }
        try await RunningHub.with(
            folder, surroundings: surroundings, configure: { $0.freshness = .seconds(60) }
        ) { port in
            _ = try await Self.commit(port)
            try folder.write("org/net/a.txt", "three")
            let answer = try await RawClient.request(port, "GET", "/org/net/resolve/main/a.txt")
            #expect(answer.body == "three")
            #expect(answer.headers["etag"] == "\"\(GitObjects.blobID(Array("three".utf8)))\"")
        }
    }

    @Test("Links that leave the directory are not followed, links inside are") func links() async throws {
        let (folder, outside) = (try HubFolder(), try HubFolder())
        try outside.write("secret.txt", "secret")
        try outside.write("net/a.txt", "secret")
        try folder.write("org/net/a.txt", "one")
        try folder.write("shared/b.txt", "two")
        try folder.link("org/net/b.txt", to: "../../shared/b.txt")
        try folder.link("org/net/out.txt", to: outside.path + "/secret.txt")
        try folder.link("org/net/loop", to: ".")
        try folder.link("org/net/gone.txt", to: "nowhere")
        try folder.link("org/other", to: outside.path + "/net")
        try folder.link("far", to: outside.path)
        try await RunningHub.with(folder) { port in
            let tree = try await RawClient.request(
                port, "GET", "/api/models/org/net/tree/main?recursive=true")
            #expect(tree.body.contains("b.txt") && tree.body.contains("a.txt"))
            for name in ["out.txt", "loop", "gone.txt"] { #expect(!tree.body.contains(name)) }
            #expect(try await RawClient.request(port, "GET", "/org/net/resolve/main/b.txt").body == "two")
            for path in [
                "/org/net/resolve/main/out.txt", "/org/net/resolve/main/loop/a.txt",
                "/org/other/resolve/main/a.txt", "/far/net/resolve/main/a.txt",
                "/far/resolve/main/secret.txt",
            ] {
                #expect(try await RawClient.request(port, "GET", path).status == 404, "\(path)")
            }
            let list = try await RawClient.request(port, "GET", "/api/models")
            #expect(!list.body.contains("other") && !list.body.contains("far"))
        }
    }

    @Test("A folder of Hugging Face's cache is served with its own commits and names") func cache()
        async throws
    {
        let folder = try HubFolder()
        let (old, new) = (String(repeating: "1", count: 40), String(repeating: "2", count: 40))
        let cache = "models--org--net"
        let blob = GitObjects.blobID(Array("one".utf8))
        // In a cache the name of a large file's blob is believed, so that nothing needs to be read.
        let sha256 = String(repeating: "c", count: 64)
        try folder.write("\(cache)/blobs/\(blob)", "one")
        try folder.write("\(cache)/blobs/\(sha256)", "large")
        try folder.link("\(cache)/snapshots/\(old)/a.txt", to: "../../blobs/\(blob)")
        try folder.link("\(cache)/snapshots/\(new)/a.txt", to: "../../blobs/\(blob)")
        try folder.link("\(cache)/snapshots/\(new)/x/m.bin", to: "../../../blobs/\(sha256)")
        try folder.write("\(cache)/refs/main", new)
        try folder.write("\(cache)/refs/refs/pr/1", old)
        try folder.write("\(cache)/refs/lost", String(repeating: "3", count: 40))
        try await RunningHub.with(folder) { port in
            #expect(try await Self.commit(port) == new)
            for (revision, status) in [
                (old, 404), (new, 200), ("main", 200), ("master", 200), ("refs%2Fpr%2F1", 404), ("lost", 404),
            ] {
                let path = "/org/net/resolve/\(revision)/x/m.bin"
                let answer = try await RawClient.request(port, "GET", path)
                #expect(answer.status == status, "\(revision)")
                if status == 200 {
                    #expect(answer.body == "large")
                    #expect(answer.headers["x-linked-etag"] == "\"\(sha256)\"")
                }
            }
            let file = try await RawClient.request(port, "GET", "/org/net/resolve/\(old)/a.txt")
            #expect(file.body == "one" && file.headers["etag"] == "\"\(blob)\"")
            let branches = try await RawClient.request(port, "GET", "/api/models/org/net/refs")
            #expect(branches.body.contains("refs/pr/1") && !branches.body.contains("lost"))
            let list = try await RawClient.request(port, "GET", "/api/models")
            #expect(list.body.contains(#""id":"org/net""#))
        }
    }

    @Test("Downloads under way and folders of tools are not shown") func hidden() async throws {
        let folder = try HubFolder()
        try folder.write("org/net/a.txt", "one")
        for name in [".cache/x", ".git/x", "._____temp/x", "m.bin.incomplete", "m.bin.partial"] {
            try folder.write("org/net/" + name, "hidden")
        }
        try await RunningHub.with(folder) { port in
            let answer = try await RawClient.request(port, "GET", "/api/models/org/net/tree/main?recursive=1")
            #expect(answer.body.split(separator: "\"path\"").count == 2)
        }
    }

    @Test("Digests are computed once, and a restart finds them again, even behind a torn line") func digests()
        throws
    {
        let folder = try HubFolder()
        try folder.write("a.txt", "one")
        let path = folder.path + "/a.txt"
        func stamp() -> FileStamp {
            var status = stat()
            stat(path, &status)
            return FileStamp(status)
        }
        let state = folder.path + "/state"
        let first = try FileDigests(stateDirectory: state)
        let value = try first.digests(path, stamp(), withGitBlob: true)
        #expect(value.gitBlob == GitObjects.blobID(Array("one".utf8)))
        #expect(try first.digests(path, stamp(), withGitBlob: false) == value)
        #expect(first.computedCount == 1)

        let log = open(state + "/digests.jsonl", O_WRONLY | O_APPEND)
        _ = Glibc.write(log, "{\"path\": \"/torn", 14)
        close(log)
        let second = try FileDigests(stateDirectory: state)
        #expect(try second.digests(path, stamp(), withGitBlob: true) == value)
        #expect(second.computedCount == 0)

        try folder.write("a.txt", "three")
        #expect(try second.digests(path, stamp(), withGitBlob: true) != value)
        #expect(second.computedCount == 1)
        // What follows a torn line is read all the same.
        let third = try FileDigests(stateDirectory: state)
        #expect(try third.digests(path, stamp(), withGitBlob: true) != value)
        #expect(third.computedCount == 0)
    }

    @Test("A stamp that is no longer true gives an error, not a digest") func staleStamp() throws {
        let folder = try HubFolder()
        try folder.write("a.txt", "one")
        let digests = try FileDigests(stateDirectory: nil)
        let wrong = FileStamp(sizeBytes: 4, modifiedNanoseconds: 0, inode: 1)
        #expect(throws: UnreadableFile.self) {
            try digests.digests(folder.path + "/a.txt", wrong, withGitBlob: true)
        }
        #expect(throws: UnreadableFile.self) {
            try digests.digests(folder.path + "/none", wrong, withGitBlob: true)
        }
    }

    @Test("A directory that is none is refused by name") func noDirectory() throws {
        let error = try #require(throws: HubSettingsError.self) {
            try HubServer(settings: HubServingSettings(directory: "/nonexistent/hub"))
        }
        #expect(error.description.hasPrefix("/nonexistent/hub: "))
    }
}
