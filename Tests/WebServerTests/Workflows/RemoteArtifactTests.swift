// Artifacts that lie in a bucket or behind an address: streamed through the service, in parts, without a trace of the keys.

import Artifacts
import Persistence
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import WebServer

@Suite("Artifacts on other servers", .timeLimit(.minutes(5)))
struct RemoteArtifactTests {
    private static let big = (0..<(RemoteObject.pieceBytes + 1_234)).map {
        UInt8(truncatingIfNeeded: $0 / 251)
    }

    /// A run whose node has the artifacts.
    private static func service(_ artifacts: [JSONValue]) async throws -> ServiceHarness {
        let service = try ServiceHarness(groups: { [WorkflowRoutes(context: $0), MartletRoutes($0)] })
        var outputs = Outputs()
        outputs.artifacts = artifacts.map { Artifact($0) }
        try await service.addRun("a", nodes: [ServiceHarness.pod("a", "make", outputs: outputs)])
        for (name, values) in [
            ("keys", ["access": FakeStorage.accessKey, "secret": FakeStorage.secretKey]),
            ("wrong", ["access": "AKIAWRONG", "secret": FakeStorage.secretKey]),
            ("login", ["user": "user", "password": "password"]),
        ] {
            let body: JSONValue = .object([
                "kind": "Secret", "metadata": .object(["name": .string(name)]),
                "stringData": .object(values.mapValues(JSONValue.string)),
            ])
            try await service.store.putDefinition(
                .secret, namespace: "default", name: name, body: body, at: service.clock.now)
        }
        return service
    }

    private static func s3(_ name: String, _ key: String, _ port: Int, secret: String = "keys") -> JSONValue {
        func reference(_ key: String) -> JSONValue {
            .object(["name": .string(secret), "key": .string(key)])
        }
        return .object([
            "name": .string(name), "path": .string("/out/\(name)"),
            "s3": .object([
                "bucket": "bucket", "key": .string(key), "endpoint": .string("127.0.0.1:\(port)"),
                "insecure": true, "accessKeySecret": reference("access"),
                "secretKeySecret": reference("secret"),
            ]),
        ])
    }

    private static func web(_ name: String, _ path: String, _ port: Int, login: Bool = false) -> JSONValue {
        func reference(_ key: String) -> JSONValue { .object(["name": "login", "key": .string(key)]) }
        var http: [String: JSONValue] = ["url": .string("http://127.0.0.1:\(port)/web/\(path)")]
        if login {
            http["auth"] = .object([
                "basicAuth": .object([
                    "usernameSecret": reference("user"), "passwordSecret": reference("password"),
                ])
            ])
        }
        return .object(["name": .string(name), "http": .object(http)])
    }

    /// No answer holds a key, a cookie of the other server, or its types.
    private static func isClean(_ answer: HarnessAnswer) -> Bool {
        // Where words are looked for is kept short: the bytes of large artifacts are compared as a whole.
        let body = String(decoding: answer.bytes.prefix(2_000), as: UTF8.self)
        let all = answer.headers.map { "\($0): \($1)" }.joined(separator: "\n") + body
        return !["canary", FakeStorage.accessKey, "AKIAWRONG", "dXNlcjpw"].contains { all.contains($0) }
    }

    private static let base = "/artifacts/default/a/\(ServiceHarness.pod("a", "make").id)"

    @Test("A file in a bucket comes whole and in ranges, in parts that stay small")
    func file() async throws {
        let storage = FakeStorage()
        storage.put("/bucket/runs/model.bin", Self.big)
        try await storage.with { port in
            let service = try await Self.service([Self.s3("model", "runs/model.bin", port)])
            let path = Self.base + "/model"
            let whole = try await service.get(path)
            #expect(whole.status == 200 && whole.bytes == Self.big && Self.isClean(whole))
            #expect(whole.headers["content-length"] == "\(Self.big.count)")
            #expect(whole.headers["accept-ranges"] == "bytes")
            #expect(whole.headers["content-disposition"]?.contains("model.bin") == true)
            #expect(storage.longestAnswer <= RemoteObject.pieceBytes)
            let tag = try #require(whole.headers["etag"])
            #expect(try await service.get(path, headers: ["if-none-match": tag]).status == 304)
            for (range, part) in [("bytes=5-9", 5..<10), ("bytes=-3", (Self.big.count - 3)..<Self.big.count)]
            {
                let answer = try await service.get(path, headers: ["range": range, "if-range": tag])
                #expect(answer.status == 206 && answer.bytes == Array(Self.big[part]))
                let place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(Self.big.count)"
                #expect(answer.headers["content-range"] == place)
            }
            #expect(try await service.get(path, headers: ["range": "bytes=99999999-"]).status == 416)
            let head = try await service.call("HEAD", path)
            #expect(head.bytes.isEmpty && head.headers["content-length"] == "\(Self.big.count)")
            // Other bytes are another artifact: no range of them is put behind a part of the old.
            storage.state.withLock { $0.version = 2 }
            let other = try await service.get(path, headers: ["range": "bytes=5-9", "if-range": tag])
            #expect(other.status == 200 && other.headers["etag"] != tag)
        }
    }

    @Test(
        "A directory in a bucket is a list, its files are found, and the whole is a .tgz",
        arguments: [true, false])
    func directory(isOurs: Bool) async throws {
        let storage = FakeStorage()
        storage.put("/bucket/runs/tree/data.csv", Array("a,b\n".utf8))
        storage.put("/bucket/runs/tree/deep/weights.bin", Self.big)
        if isOurs {
            // As a step of ours writes it: with a list, which is what counts.
            let digest = String(repeating: "0", count: 64)
            let files: [JSONValue] = [("data.csv", 4), ("deep/weights.bin", Self.big.count)].map {
                .object(["path": .string($0.0), "size": .int($0.1), "sha256": .string(digest), "mode": "644"])
            }
            let list: JSONValue = .object([
                "format": "martlet-tree/1", "location": "runs/tree", "mode": "755",
                "directories": .array([.object(["path": "deep", "mode": "755"])]),
                "links": .array([.object(["path": "link", "target": "deep/weights.bin"])]),
                "files": .array(files),
            ])
            storage.put("/bucket/runs/tree/.martlet-tree.json", Array(list.compactText.utf8))
        }
        try await storage.with { port in
            let service = try await Self.service([Self.s3("tree", "runs/tree", port)])
            let files =
                Self.base.replacing("/artifacts/default/a", with: "/artifact-files/default/workflows/a")
                + "/outputs/tree"
            let list = try await service.get(files + "/")
            #expect(list.text.contains("href=\"./data.csv\"") && list.text.contains("href=\"./deep/\""))
            #expect(!list.text.contains(".martlet-tree"))
            #expect(try await service.get(files + "/data.csv").text == "a,b\n")
            let part = try await service.get(files + "/deep/weights.bin", headers: ["range": "bytes=0-1"])
            #expect(part.status == 206 && part.bytes == Array(Self.big[0..<2]))
            #expect(try await service.get(files + "/link").status == (isOurs ? 200 : 404))
            #expect(try await service.get(files + "/nothing").status == 404)
            let answer = try await service.get(Self.base + "/tree")
            #expect(answer.headers["content-type"] == "application/gzip" && Self.isClean(answer))
            let entries = try TarReading.entries(of: try TarReading.gunzipped(answer.bytes))
            let names = ["tree/", "tree/data.csv", "tree/deep/", "tree/deep/weights.bin"]
            #expect(entries.map(\.name).sorted() == names + (isOurs ? ["tree/link"] : []))
            #expect(entries.first { $0.name == "tree/deep/weights.bin" }?.bytes == Self.big)
            #expect(storage.longestAnswer <= RemoteObject.pieceBytes)
        }
    }

    @Test(
        "A file behind an address comes in ranges, or as a stream from a server that knows none",
        arguments: [true, false])
    func web(knowsRanges: Bool) async throws {
        let storage = FakeStorage()
        storage.put("/web/data.bin", Self.big)
        storage.put("/web/empty", [])
        storage.put("/web/private/data", Array("hello".utf8))
        storage.state.withLock { $0.knowsRanges = knowsRanges }
        try await storage.with { port in
            let service = try await Self.service([
                Self.web("data", "data.bin", port), Self.web("empty", "empty", port),
                Self.web("mine", "private/data", port, login: true), Self.web("closed", "private/data", port),
                Self.web("gone", "nothing", port),
            ])
            let whole = try await service.get(Self.base + "/data")
            #expect(whole.status == 200 && whole.bytes == Self.big && Self.isClean(whole))
            #expect(whole.headers["content-length"] == "\(Self.big.count)")
            #expect(whole.headers["accept-ranges"] == (knowsRanges ? "bytes" : "none"))
            #expect(whole.headers["content-type"] == "application/octet-stream")
            let part = try await service.get(Self.base + "/data", headers: ["range": "bytes=1-3"])
            #expect(part.status == (knowsRanges ? 206 : 200))
            #expect(part.bytes == (knowsRanges ? Array(Self.big[1...3]) : Self.big))
            #expect(try await service.call("HEAD", Self.base + "/data").bytes.isEmpty)
            #expect(try await service.get(Self.base + "/empty").bytes.isEmpty)
            #expect(try await service.get(Self.base + "/mine").text == "hello")
            let closed = try await service.get(Self.base + "/closed")
            #expect(
                closed.status == 502 && closed.json["message"]?.stringValue?.contains("status 401") == true)
            #expect(try await service.get(Self.base + "/gone").status == 404)
        }
    }

    @Test("A login goes to its own server only, however it leads elsewhere")
    func redirect() async throws {
        let (first, second) = (FakeStorage(), FakeStorage())
        second.put("/web/data.bin", Self.big)
        try await second.with { other in
            first.state.withLock { $0.elsewhere = "http://127.0.0.1:\(other)/web/data.bin" }
            try await first.with { port in
                let service = try await Self.service([Self.web("data", "moved", port, login: true)])
                let answer = try await service.get(Self.base + "/data", headers: ["range": "bytes=3-4"])
                #expect(answer.status == 206 && answer.bytes == Array(Self.big[3...4]))
            }
        }
        #expect(first.state.withLock { $0.seen.allSatisfy { $0.authorization?.hasPrefix("Basic ") == true } })
        #expect(second.state.withLock { !$0.seen.isEmpty && $0.seen.allSatisfy { $0.authorization == nil } })
    }

    @Test("What goes wrong over there is told in words, and without the keys")
    func failures() async throws {
        let storage = FakeStorage()
        storage.put("/bucket/file", Array("hello".utf8))
        try await storage.with { port in
            let service = try await Self.service([
                Self.s3("refused", "file", port, secret: "wrong"),
                Self.s3("keyless", "file", port, secret: "none"),
                Self.s3("gone", "nothing", port), Self.s3("file", "file", port),
            ])
            for (name, status, word) in [
                ("refused", 502, "403"), ("keyless", 404, "Secret"), ("gone", 404, "nothing"),
            ] {
                let node = "\(MartletRoutes.prefix)/runs/uid-default-a/nodes/make"
                for path in [Self.base + "/\(name)", "\(node)/artifacts/\(name)/preview"] {
                    let answer = try await service.get(path)
                    #expect(answer.status == status, "\(path): \(answer.text)")
                    #expect(answer.json["message"]?.stringValue?.contains(word) == true)
                    #expect(Self.isClean(answer))
                }
            }
        }
        // The server is gone: nothing waits for ever, and nothing is our own failure.
        let service = try await Self.service([Self.web("data", "x", 1)])
        #expect(try await service.get(Self.base + "/data").status == 502)
    }

    @Test("Bytes that change while they are read break the answer off, instead of mixing two artifacts")
    func changed() async throws {
        let storage = FakeStorage()
        storage.put("/bucket/model", Self.big)
        try await storage.with { port in
            let service = try await Self.service([Self.s3("model", "model", port)])
            let watch = ConnectionWatch()
            let reply = try await service.responder.respond(
                to: service.request("GET", Self.base + "/model", connection: watch))
            storage.state.withLock { $0.version = 2 }
            guard case .stream(let write) = reply.body else {
                Issue.record("no stream")
                return
            }
            let sink = CountingSink()
            await #expect(throws: ArtifactError.self) { try await write(sink) }
            #expect(sink.count == 0)
        }
    }

    @Test("The page's preview shows how a file elsewhere begins, and where it lies")
    func preview() async throws {
        let storage = FakeStorage()
        storage.put("/bucket/runs/report.csv", Array("x,y\n1,2\n".utf8))
        storage.put("/bucket/runs/tree/a.txt", Array("hello".utf8))
        storage.put("/web/log.txt", [UInt8](repeating: 0x61, count: 1 << 20))
        storage.state.withLock { $0.knowsRanges = true }
        try await storage.with { port in
            let service = try await Self.service([
                Self.s3("report.csv", "runs/report.csv", port), Self.s3("tree", "runs/tree", port),
                Self.web("log", "log.txt", port),
            ])
            let path = "\(MartletRoutes.prefix)/runs/uid-default-a"
            let items = try await service.get(path + "/artifacts").json["items"]?.arrayValue ?? []
            #expect(items.first?["place"] == "s3://bucket/runs/report.csv")
            #expect(storage.state.withLock { $0.seen.isEmpty })
            let table = try await service.get(path + "/nodes/make/artifacts/report.csv/preview").json
            #expect(table["kind"] == "table" && table["table"]?["rows"] == [["1", "2"]])
            let tree = try await service.get(path + "/nodes/make/artifacts/tree/preview").json
            #expect(tree["entries"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["a.txt"])
            let inner = try await service.get(path + "/nodes/make/artifacts/tree/preview?path=a.txt").json
            #expect(inner["text"] == "hello")
            let outside = try await service.get(
                path + "/nodes/make/artifacts/tree/preview?path=../report.csv")
            #expect(outside.status == 404)
            for knowsRanges in [true, false] {
                storage.state.withLock { $0.knowsRanges = knowsRanges }
                let log = try await service.get(path + "/nodes/make/artifacts/log/preview").json
                #expect(log["truncated"] == true && log["bytes"] == .int(1 << 20))
                #expect(log["text"]?.stringValue?.utf8.count == ArtifactShelf.textLimit)
            }
        }
    }
}

/// Counts what is written.
private final class CountingSink: ReplySink {
    private(set) var count = 0

    func write(_ bytes: [UInt8]) async throws { count += bytes.count }

    func writeFile(
        _ descriptor: Int32, from offset: Int, count: Int, sent: @Sendable (Int) -> Void
    ) async throws {}
}
