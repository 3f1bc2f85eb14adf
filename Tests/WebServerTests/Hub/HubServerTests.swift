// The hub from a client's side, in both protocols, over real sockets.
import Glibc
import Synchronization
import Testing
import Text

@testable import WebServer

@Suite("The hub server")
struct HubServerTests {
    private static let text = "0123456789"

    private static func folder() throws -> HubFolder {
        let folder = try HubFolder()
        try folder.write("org/net/config.json", #"{"model_type": "llama", "secret": 1}"#)
        try folder.write("org/net/model.bin", text)
        try folder.write("org/net/sub/a b\".txt", "x")
        try folder.write("org/net/.git/config", "hidden")
        try folder.write("alone/README.md", "hi\n")
        try folder.write("datasets/org/rows/train.parquet", "rows")
        return folder
    }

    private static func json(_ answer: RawClient.Answer) throws -> JSONValue {
        try OrderedJSON(parsing: answer.body).jsonValue
    }

    @Test("Models and data sets are listed, page by page") func lists() async throws {
        try await RunningHub.with(try Self.folder(), configure: { $0.pageSize = 1 }) { port in
            let first = try await RawClient.request(port, "GET", "/api/models")
            #expect(try Self.json(first)[0]?["id"] == .string("alone"))
            let next = try #require(first.headers["link"])
            #expect(next == "<http://127.0.0.1/api/models?cursor=alone>; rel=\"next\"")
            let second = try await RawClient.request(port, "GET", "/api/models?cursor=alone")
            #expect(try Self.json(second)[0]?["id"] == .string("org/net"))
            #expect(second.headers["link"] == nil)
            let sets = try await RawClient.request(port, "GET", "/api/datasets?author=org")
            #expect(try Self.json(sets)[0]?["id"] == .string("org/rows"))
            let none = try await RawClient.request(port, "GET", "/api/models?search=nothing")
            #expect(none.body == "[]")
        }
    }

    @Test("A repository is described with its files and their digests") func info() async throws {
        try await RunningHub.with(try Self.folder()) { port in
            let answer = try await RawClient.request(port, "GET", "/api/models/org/net?blobs=true")
            let info = try Self.json(answer)
            #expect(info["config"] == .object(["model_type": .string("llama")]))
            let files = try #require(info["siblings"]?.arrayValue)
            #expect(
                files.map { $0["rfilename"]?.stringValue }
                    == ["config.json", "model.bin", "sub/a b\".txt"])
            #expect(
                files[1]["lfs"]?["sha256"]?.stringValue
                    == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882")
            #expect(files[2]["blobId"]?.stringValue == GitObjects.blobID(Array("x".utf8)))
            let commit = try #require(info["sha"]?.stringValue)
            for revision in ["main", commit, "refs%2Fheads%2Fmain"] {
                let path = "/api/models/org/net/revision/\(revision)"
                #expect(try Self.json(try await RawClient.request(port, "GET", path))["sha"] == info["sha"])
            }
        }
    }

    @Test("A tree comes in pages that are linked") func tree() async throws {
        try await RunningHub.with(try Self.folder(), configure: { $0.pageSize = 2 }) { port in
            var path = "/api/models/org/net/tree/main?recursive=True"
            var found: [String] = []
            for _ in 0..<3 {
                let answer = try await RawClient.request(port, "GET", path)
                found += try #require(Self.json(answer).arrayValue).compactMap { $0["path"]?.stringValue }
                guard let link = answer.headers["link"] else { break }
                path = String(link.dropFirst("<http://127.0.0.1".count).prefix { $0 != ">" })
            }
            #expect(found == ["config.json", "model.bin", "sub", "sub/a b\".txt"])
            let inner = try await RawClient.request(port, "GET", "/api/models/org/net/tree/main/sub")
            #expect(try Self.json(inner)[0]?["path"] == .string("sub/a b\".txt"))
        }
    }

    @Test("Paths are looked up by form and by JSON") func paths() async throws {
        try await RunningHub.with(try Self.folder()) { port in
            let path = "/api/models/org/net/paths-info/main"
            let form = try await RawClient.request(
                port, "POST", path, body: "paths=model.bin&paths=no&expand=True",
                headers: ["Content-Type: application/x-www-form-urlencoded"])
            let json = try await RawClient.request(
                port, "POST", path, body: #"{"paths": ["model.bin", "no"], "expand": true}"#)
            #expect(form.body == json.body)
            let found = try #require(Self.json(form).arrayValue)
            #expect(found.count == 1)
            #expect(found[0]["lastCommit"]?["id"]?.stringValue?.count == 40)
        }
    }

    @Test(
        "A file's bytes come whole or in part, and HEAD tells the same",
        arguments: [
            ([], 200, text, nil), (["Range: bytes=3-5"], 206, "345", "bytes 3-5/10"),
            (["Range: bytes=8-"], 206, "89", "bytes 8-9/10"), (["Range: bytes=-1"], 206, "9", "bytes 9-9/10"),
            (["Range: bytes=10-"], 416, "", "bytes */10"),
            (["Range: bytes=3-", "If-Range: \"other\""], 200, text, nil),
        ] as [([String], Int, String, String?)])
    func contents(headers: [String], status: Int, body: String, range: String?) async throws {
        try await RunningHub.with(try Self.folder()) { port in
            let path = "/org/net/resolve/main/model.bin"
            let answer = try await RawClient.request(port, "GET", path, headers: headers)
            #expect(answer.status == status)
            #expect(answer.body == body)
            #expect(answer.headers["content-range"] == range)
            let head = try await RawClient.request(port, "HEAD", path, headers: headers)
            #expect(head.status == status)
            #expect(head.body == "")
            for name in ["content-length", "etag", "x-linked-etag", "x-linked-size", "x-repo-commit"] {
                #expect(head.headers[name] == answer.headers[name])
                #expect(head.headers[name] != nil)
            }
            let set = try await RawClient.request(
                port, "GET", "/datasets/org/rows/resolve/main/train.parquet")
            #expect(set.body == "rows")
            let tag = try #require(answer.headers["etag"])
            let known = try await RawClient.request(port, "GET", path, headers: ["If-None-Match: \(tag)"])
            #expect(known.status == 304)
        }
    }

    @Test(
        "What is not there is told in the words that clients know",
        arguments: [
            ("/api/models/org/no", 404, "RepoNotFound"), ("/api/models/no", 404, "RepoNotFound"),
            ("/api/models/org", 404, "RepoNotFound"), ("/api/models/org/net/sub", 404, nil),
            ("/api/models/org/net/revision/v9", 404, "RevisionNotFound"),
            ("/org/net/resolve/0123456789012345678901234567890123456789/x", 404, "RevisionNotFound"),
            ("/org/net/resolve/main/no", 404, "EntryNotFound"),
            ("/org/net/resolve/main/..%2F..%2Falone%2FREADME.md", 404, "EntryNotFound"),
            ("/org/net/resolve/main/.git/config", 404, "EntryNotFound"),
            ("/org/net/resolve/main/sub", 404, "EntryNotFound"),
            ("/api/models/org/net/tree/main/no", 404, "EntryNotFound"), ("/nothing", 404, nil),
        ] as [(String, Int, String?)])
    func missing(path: String, status: Int, code: String?) async throws {
        try await RunningHub.with(try Self.folder()) { port in
            let answer = try await RawClient.request(port, "GET", path)
            #expect(answer.status == status)
            #expect(answer.headers["x-error-code"] == code)
            #expect(answer.headers["x-error-message"] != nil)
        }
    }

    @Test("The hub is for reading") func methods() async throws {
        try await RunningHub.with(try Self.folder()) { port in
            for (method, path) in [("POST", "/api/models/org/net"), ("PUT", "/x/resolve/main/y")] {
                let answer = try await RawClient.request(port, method, path, body: "{}")
                #expect(answer.status == 405)
            }
        }
    }

    @Test("On loopback without tokens, pages of a name that was rebound to it learn nothing")
    func foreignHosts()
        async throws
    {
        @Sendable func status(_ port: Int, host: String) async throws -> Int {
            let client = try RawClient(port: port)
            try await client.send(
                "GET /api/models HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
            return RawClient.parse(try await client.receiveAll()).status
        }
        try await RunningHub.with(try Self.folder()) { port in
            let (own, foreign) = (
                try await status(port, host: "localhost:\(port)"),
                try await status(port, host: "evil.example")
            )
            #expect(own == 200 && foreign == 403)
        }
        try await RunningHub.with(try Self.folder(), configure: { $0.tokens = ["secret"] }) { port in
            let answer = try await status(port, host: "hub.example")
            #expect(answer == 401)
        }
    }

    @Test("Where tokens are demanded, nothing is told without one") func tokens() async throws {
        try await RunningHub.with(try Self.folder(), configure: { $0.tokens = ["one", "two"] }) { port in
            let paths = [
                "/api/models", "/org/net/resolve/main/model.bin", "/-/stats", "/api/whoami-v2",
                "/api/v1/models/org/net/repo/files", "/api/models/org/no",
            ]
            for path in paths {
                #expect(try await RawClient.request(port, "GET", path).status == 401)
                let wrong = try await RawClient.request(
                    port, "GET", path, headers: ["Authorization: Bearer x"])
                #expect(wrong.status == 401)
                #expect(wrong.headers["x-error-message"] == "Invalid credentials in Authorization header")
                let status = path == "/api/models/org/no" ? 404 : 200
                for header in ["Authorization: Bearer two", "Cookie: a=b; m_session_id=one"] {
                    #expect(
                        try await RawClient.request(port, "GET", path, headers: [header]).status == status)
                }
            }
            #expect(try await RawClient.request(port, "GET", "/-/health").status == 200)
        }
    }

    @Test("ModelScope's answers come in its envelope") func modelScope() async throws {
        try await RunningHub.with(try Self.folder()) { port in
            let start = "/api/v1/models/org/net"
            let files = try Self.json(
                try await RawClient.request(
                    port, "GET", start + "/repo/files?Revision=master&Recursive=True"))
            #expect(files["Code"] == .int(200) && files["Success"] == .bool(true))
            let list = try #require(files["Data"]?["Files"]?.arrayValue)
            #expect(
                list.map { $0["Path"]?.stringValue } == ["config.json", "model.bin", "sub", "sub/a b\".txt"])
            #expect(list.map { $0["Type"]?.stringValue } == ["blob", "blob", "tree", "blob"])
            #expect(
                list[1]["Sha256"]?.stringValue
                    == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882")
            let body = try await RawClient.request(
                port, "GET", start + "/repo?Revision=master&FilePath=sub%2Fa+b%22.txt",
                headers: ["Range: bytes=0-"])
            #expect(body.status == 206 && body.body == "x")
            let revisions = try Self.json(try await RawClient.request(port, "GET", start + "/revisions"))
            #expect(
                revisions["Data"]?["RevisionMap"]?["Branches"]?[0]?["Revision"] == .string("master"))
            let missing = try await RawClient.request(port, "GET", "/api/v1/models/org/no/repo/files")
            #expect(missing.status == 404)
            #expect(try Self.json(missing)["Success"] == .bool(false))
            #expect(try await RawClient.request(port, "GET", start + "/repo").status == 400)
        }
    }

    @Test("Data sets of ModelScope come in pages of the size asked for") func modelScopePages() async throws {
        let folder = try Self.folder()
        for index in 0..<5 { try folder.write("datasets/org/rows/more/\(index).csv", "\(index)") }
        try await RunningHub.with(folder) { port in
            var sizes: [Int] = []
            for page in 1...4 {
                let path = "/api/v1/datasets/org/rows/repo/tree?Recursive=True&PageNumber=\(page)&PageSize=3"
                let answer = try Self.json(try await RawClient.request(port, "GET", path))
                sizes.append(answer["Data"]?["Files"]?.arrayValue?.count ?? -1)
            }
            #expect(sizes == [3, 3, 1, 0])
        }
    }

    @Test("Requests and bytes are counted by file, whatever the protocol") func statistics() async throws {
        try await RunningHub.with(try Self.folder()) { port in
            _ = try await RawClient.request(port, "GET", "/org/net/resolve/main/model.bin")
            _ = try await RawClient.request(port, "HEAD", "/org/net/resolve/main/model.bin")
            _ = try await RawClient.request(
                port, "GET", "/api/v1/models/org/net/repo?FilePath=model.bin", headers: ["Range: bytes=7-"])
            let counts = try Self.json(try await RawClient.request(port, "GET", "/-/stats"))["paths"]
            let file = try #require(counts?["models/org/net/model.bin"])
            #expect(file["requests"] == .int(3) && file["heads"] == .int(1) && file["bytes"] == .int(13))
            #expect(file["statuses"] == .object(["200": .int(2), "206": .int(1)]))
        }
    }

    @Test("Planned faults reach the client") func faults() async throws {
        let plan = try FaultPlan(
            OrderedJSON(
                parsing: """
                    {"faults": [{"path": "*.bin", "kind": "drop", "after": 4, "times": 1},
                      {"path": "*.bin", "kind": "ignore_range"}, {"path": "*config.json", "kind": "gated"},
                      {"path": "*README.md", "kind": "too_many", "retry_after": 2, "times": 1},
                      {"path": "/api/datasets*", "kind": "status", "status": 502}]}
                    """), file: "plan")
        try await RunningHub.with(try Self.folder(), configure: { $0.faults = plan }) { port in
            let path = "/org/net/resolve/main/model.bin"
            let broken = try await RawClient.request(port, "GET", path)
            #expect(broken.headers["content-length"] == "10")
            #expect(broken.body == "0123")
            let whole = try await RawClient.request(port, "GET", path, headers: ["Range: bytes=5-"])
            #expect(whole.status == 200 && whole.body == Self.text)
            let gated = try await RawClient.request(port, "HEAD", "/org/net/resolve/main/config.json")
            #expect(gated.status == 403 && gated.headers["x-error-code"] == "GatedRepo")
            let busy = try await RawClient.request(port, "GET", "/alone/resolve/main/README.md")
            #expect(busy.status == 429 && busy.headers["retry-after"] == "2")
            #expect(try await RawClient.request(port, "GET", "/alone/resolve/main/README.md").body == "hi\n")
            #expect(try await RawClient.request(port, "GET", "/api/datasets/org/rows").status == 502)
        }
    }

    @Test("A slow line is slow by waiting between small pieces") func slowLine() async throws {
        let plan = FaultPlan(faults: [.init(kind: .slow(bytesPerSecond: 40))])
        let waits = Mutex<[Duration]>([])
        var surroundings = ServerSurroundings.system
        surroundings.sleep = { span in waits.withLock { $0.append(span) } }
        try await RunningHub.with(
            try Self.folder(), surroundings: surroundings, configure: { $0.faults = plan }
        ) { port in
            let answer = try await RawClient.request(port, "GET", "/org/net/resolve/main/model.bin")
            #expect(answer.body == Self.text)
            #expect(waits.withLock { $0 } == Array(repeating: .milliseconds(50), count: 5))
        }
    }

    @Test("A redirect leads to a second port, which tells whether a token came along") func redirects()
        async throws
    {
        let plan = FaultPlan(faults: [.init(kind: .redirect)])
        try await RunningHub.with(
            try Self.folder(),
            configure: {
                $0.faults = plan
                $0.tokens = ["secret"]
            }
        ) { port in
            let token = "Authorization: Bearer secret"
            let path = "/org/net/resolve/main/model.bin"
            let sent = try await RawClient.request(port, "GET", path, headers: [token])
            #expect(sent.status == 302)
            #expect(sent.headers["x-linked-size"] == "10")
            let target = try #require(sent.headers["location"])
            #expect(target.hasSuffix(path))
            let digits = target.dropFirst("http://127.0.0.1:".count).prefix { $0 != "/" }
            let second = try #require(Int(digits))
            #expect(second != port)
            #expect(try await RawClient.request(second, "GET", path).body == Self.text)
            _ = try await RawClient.request(second, "GET", path, headers: [token])
            let counts = try Self.json(
                try await RawClient.request(port, "GET", "/-/stats", headers: [token]))
            #expect(counts["redirect_requests"] == .int(2))
            #expect(counts["redirect_requests_with_token"] == .int(1))
        }
    }

    @Test("A long file goes out whole, and what its reader leaves is not held in memory") func longFile()
        async throws
    {
        let folder = try Self.folder()
        let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) & 0x7F }
        try folder.write("org/net/long.bin", content)
        try await RunningHub.with(folder) { port in
            let path = "/org/net/resolve/main/long.bin"
            let answer = try await RawClient.request(port, "GET", path)
            #expect(Array(answer.body.utf8) == content)
            // The client never reads: the server must wait for it, and end in order all the same.
            let idle = try RawClient(port: port, receiveBytes: 4_096)
            try await idle.send(RawClient.text("GET", path))
            _ = try await idle.receive()
            let other = try await RawClient.request(port, "GET", path, headers: ["Range: bytes=-5"])
            #expect(Array(other.body.utf8) == content.suffix(5))
            idle.vanish()
        }
    }
}
