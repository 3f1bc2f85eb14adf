// Artifacts come from and go to where their declarations say, packed or unpacked as Argo has it.

import Glibc
import Testing
import Text
import WorkflowLanguage

@testable import Artifacts

@Suite("Artifact transfer")
struct ArtifactTransferTests {
    let directory: TemporaryDirectory
    let store: LocalArtifactStore
    let transfer: ArtifactTransfer

    init() throws {
        directory = try TemporaryDirectory()
        store = try LocalArtifactStore(directory: directory.path + "/artifacts", isDurable: false)
        transfer = ArtifactTransfer(store: store, namespace: "ns") { name, key in
            name == "secret" ? "value of \(key)" : nil
        }
    }

    private func load(_ declaration: JSONValue, at name: String = "back") throws {
        try transfer.load(Artifact(declaration), at: "\(directory.path)/\(name)")
    }

    private func run(_ words: String...) throws {
        try CommandRun(words).check(path: words[0], action: "run")
    }

    @Test("Raw data is written as it is")
    func raw() throws {
        try load(["name": "a", "raw": ["data": "text"], "mode": 0o600])
        #expect(directory.listing(".").contains("back 600 text"))
    }

    static let keyRows: [(JSONValue, String)] = [
        (["name": "a"], "default/key"), (["name": "a", "s3": ["key": "own"]], "own"),
        (["name": "a", "gcs": ["key": "other"]], "other"),
    ]

    @Test("An output goes to its key, or to the default one, and is read back from there", arguments: keyRows)
    func keys(declaration: JSONValue, key: String) throws {
        try directory.write("x", to: "in/f")
        let (located, tree) = try transfer.save(
            Artifact(declaration), from: directory.path + "/in", defaultKey: "default/key", source: .shared)
        #expect(try ArtifactLocation(located) == .key(key))
        #expect(tree?.isDirectory == true)
        try transfer.load(located, at: directory.path + "/back")
        #expect(directory.listing("back") == ["f 644 x"])
    }

    @Test("A sub-path takes a part of an artifact")
    func subPath() throws {
        try directory.write("x", to: "in/sub/f")
        _ = try transfer.save(
            Artifact(["name": "a"]), from: directory.path + "/in", defaultKey: "k", source: .shared)
        try load(["name": "a", "s3": ["key": "k"], "subPath": "sub/f"])
        #expect(try directory.read("back") == "x")
    }

    @Test("A missing key is told apart from other failures")
    func missing() {
        #expect { try load(["name": "a", "s3": ["key": "absent"]]) } throws: { error in
            (error as? ArtifactError)?.kind == .notFound
        }
        #expect { try load(["name": "a"]) } throws: { error in (error as? ArtifactError)?.kind == .notFound }
    }

    @Test("An archive from outside is unpacked by default, one of a single entry into its place")
    func unpacksTar() throws {
        try directory.write("1", to: "one/f")
        try directory.write("2", to: "one/g")
        try run("tar", "-czf", directory.path + "/one.tgz", "-C", directory.path, "one")
        _ = try transfer.save(
            Artifact(["name": "a", "archive": ["none": [:]]]), from: directory.path + "/one.tgz",
            defaultKey: "one.tgz", source: .shared)
        try load(["name": "a", "s3": ["key": "one.tgz"]])
        #expect(directory.listing("back") == ["f 644 1", "g 644 2"])
        try load(["name": "a", "s3": ["key": "one.tgz"], "archive": ["none": [:]]], at: "packed")
        #expect(Disk.status(directory.path + "/packed")?.kind == .file)
    }

    @Test("What is in gzip but no archive stays as it is")
    func plainGzip() throws {
        try directory.write("text", to: "f")
        try run("gzip", directory.path + "/f")
        _ = try transfer.save(
            Artifact(["name": "a", "archive": ["none": [:]]]), from: directory.path + "/f.gz",
            defaultKey: "f.gz",
            source: .shared)
        try load(["name": "a", "s3": ["key": "f.gz"]])
        #expect(try Disk.read(directory.path + "/back", limitBytes: 99).prefix(2) == [0x1f, 0x8b])
    }

    @Test("A download has its headers and password, and is unpacked only where it is an archive")
    func download() throws {
        let server = try LoopbackServer(answers: [
            "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndata",
        ])
        defer { server.stop() }
        let basic: JSONValue = [
            "basicAuth": [
                "usernameSecret": ["name": "secret", "key": "user"],
                "passwordSecret": ["name": "secret", "key": "password"],
            ]
        ]
        let headers: JSONValue = [["name": "X-Test", "value": "yes"]]
        try load([
            "name": "a", "http": ["url": .string(server.url + "/file"), "headers": headers, "auth": basic],
        ])
        #expect(try directory.read("back") == "data")
        #expect(server.requests.count == 2)
        #expect(server.requests[0].hasPrefix("GET /file HTTP/1.1\r\n"))
        #expect(server.requests[0].contains("X-Test: yes\r\n"))
        #expect(
            server.requests[0].contains("Authorization: Basic dmFsdWUgb2YgdXNlcjp2YWx1ZSBvZiBwYXNzd29yZA=="))
    }

    @Test(
        "A server's refusal says its status",
        arguments: [
            (404, ArtifactError.Kind.notFound), (403, .permissionDenied), (500, .transfer),
        ])
    func refusals(status: Int, kind: ArtifactError.Kind) throws {
        let server = try LoopbackServer(answers: [
            "HTTP/1.1 \(status) No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
        ])
        defer { server.stop() }
        #expect { try load(["name": "a", "http": ["url": .string(server.url)]]) } throws: { error in
            (error as? ArtifactError)?.kind == kind && "\(error)".contains("status \(status)")
        }
    }

    @Test("An output is sent by PUT, packed unless told otherwise")
    func upload() throws {
        let answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        let server = try LoopbackServer(answers: [answer, answer])
        defer { server.stop() }
        try directory.write("body", to: "f")
        let place: JSONValue = ["url": .string(server.url + "/up")]
        _ = try transfer.save(
            Artifact(["name": "a", "http": place, "archive": ["none": [:]]]), from: directory.path + "/f",
            defaultKey: "k", source: .shared)
        _ = try transfer.save(
            Artifact(["name": "a", "http": place]), from: directory.path + "/f", defaultKey: "k",
            source: .shared)
        #expect(server.requests[0].hasPrefix("PUT /up HTTP/1.1\r\n"))
        #expect(server.requests[0].hasSuffix("\r\n\r\nbody"))
        #expect(!server.requests[1].hasSuffix("\r\n\r\nbody"))
    }

    @Test("An answer beyond the limit is cut and told")
    func limit() throws {
        let server = try LoopbackServer(answers: [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789"
        ])
        defer { server.stop() }
        var exchange = HTTPExchange(url: server.url)
        exchange.outputLimitBytes = 5
        #expect { try exchange.perform(output: -1) } throws: { error in
            "\(error)".contains("larger than 5 bytes")
        }
    }

    @Test("A revision of a repository is cloned")
    func git() throws {
        let repository = directory.path + "/repository"
        try directory.write("first", to: "repository/f")
        let git = [
            "git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-C",
            repository,
        ]
        for words in [["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"], ["tag", "v1"]] {
            try CommandRun(git + words).check(path: repository, action: "prepare")
        }
        try directory.write("second", to: "repository/f")
        try CommandRun(git + ["commit", "-q", "-a", "-m", "two"]).check(path: repository, action: "prepare")
        try load(["name": "a", "git": ["repo": .string("file://" + repository)]], at: "head")
        #expect(try directory.read("head/f") == "second")
        try load(
            ["name": "a", "git": ["repo": .string("file://" + repository), "revision": "v1", "depth": 1]],
            at: "old")
        #expect(try directory.read("old/f") == "first")
    }

    static let optionRows: [JSONValue] = [
        ["repo": "--upload-pack=x"], ["repo": "r", "revision": "--x"], ["repo": "r", "branch": "-b"],
    ]

    @Test("A repository or revision that git would take for an option is refused", arguments: optionRows)
    func gitOptions(settings: JSONValue) {
        #expect { try load(["name": "a", "git": settings]) } throws: { error in
            (error as? ArtifactError)?.kind == .unsupported
        }
    }

    @Test("A program that does not end is ended")
    func commandTimeout() {
        var command = CommandRun(["sleep", "1000"])
        command.timeout = .zero
        #expect { try command.run() } throws: { error in "\(error)".contains("did not end") }
        #expect { try CommandRun(["no-such-program-here"]).run() } throws: { error in
            (error as? ArtifactError)?.remedy == "install no-such-program-here"
        }
    }
}
