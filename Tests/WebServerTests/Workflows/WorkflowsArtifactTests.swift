// Artifacts over HTTP: whole, in ranges, as archives and as lists, and never as somebody who may act for us.

import Artifacts
import Glibc
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import WebServer

@Suite("Artifacts over HTTP")
struct WorkflowsArtifactTests {
    /// A run with a file, a directory, a text and one whose bytes are gone.
    private static func service() async throws -> (service: ServiceHarness, node: String) {
        let service = try ServiceHarness(groups: { [WorkflowRoutes(context: $0)] })
        let folder = service.folder.path + "/made"
        for name in ["", "/tree", "/tree/deep"] { mkdir(folder + name, 0o755) }
        try put("0123456789", folder + "/report.html")
        try put("a,b\n", folder + "/tree/data.csv")
        try put(String(repeating: "x", count: 70_000), folder + "/tree/deep/weights.bin")
        try put("", folder + "/tree/empty")
        symlink("deep/weights.bin", folder + "/tree/link")
        symlink("../../../../etc/passwd", folder + "/tree/outside")
        let file = try service.context.artifacts.save(path: folder + "/report.html", archive: .none)
        try service.context.artifacts.publish(key: "k/report", namespace: "default", tree: file)
        let tree = try service.context.artifacts.save(path: folder + "/tree", archive: .tar)
        try service.context.artifacts.publish(key: "k/tree", namespace: "default", tree: tree)
        var outputs = Outputs()
        outputs.artifacts = [
            Artifact(["name": "report", "path": "/out/report.html", "s3": ["key": "k/report"]]),
            Artifact(["name": "tree", "path": "/out/tree", "s3": ["key": "k/tree"]]),
            Artifact(["name": "text", "raw": ["data": "hello"]]),
            Artifact(["name": "lost", "s3": ["key": "k/lost"]]),
            Artifact(["name": "deleted", "deleted": true, "s3": ["key": "k/report"]]),
            Artifact(["name": "clone", "git": ["repo": "https://example.org/x"]]),
        ]
        let node = ServiceHarness.pod("a", "make", outputs: outputs)
        try await service.addRun("a", nodes: [node])
        return (service, node.id)
    }

    private static func put(_ text: String, _ path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw RawClient.SocketError(call: "open") }
        defer { close(file) }
        _ = write(file, text, text.utf8.count)
    }

    @Test("A file is sent with its type, its hash and headers that tie scripts down")
    func file() async throws {
        let (service, node) = try await Self.service()
        for path in ["/artifacts/default/a/\(node)/report", "/artifacts-by-uid/uid-default-a/\(node)/report"]
        {
            let answer = try await service.get(path)
            #expect(answer.status == 200 && answer.text == "0123456789")
            #expect(answer.headers["content-type"] == "text/html; charset=utf-8")
            #expect(answer.headers["x-content-type-options"] == "nosniff")
            #expect(
                answer.headers["content-security-policy"]?.hasPrefix("sandbox; default-src 'none'") == true)
            #expect(
                answer.headers["content-disposition"]?.hasPrefix("attachment; filename=\"report.html\"")
                    == true)
            let etag = answer.headers["etag"] ?? ""
            #expect(try await service.get(path, headers: ["if-none-match": etag]).status == 304)
            #expect(etag.count == 66)
        }
        let shown = try await service.get("/artifact-files/default/workflows/a/\(node)/outputs/report")
        #expect(shown.headers["content-disposition"]?.hasPrefix("inline") == true)
        let head = try await service.call("HEAD", "/artifacts/default/a/\(node)/report")
        #expect(head.bytes.isEmpty && head.headers["content-length"] == "10")
    }

    @Test(
        "Ranges are honored as the standard has them",
        arguments: [
            ("bytes=0-3", 206, "0123", "bytes 0-3/10"), ("bytes=7-", 206, "789", "bytes 7-9/10"),
            ("bytes=-2", 206, "89", "bytes 8-9/10"), ("bytes=9-100", 206, "9", "bytes 9-9/10"),
            ("bytes=10-", 416, "", "bytes */10"), ("lines=1-2", 200, "0123456789", nil),
            ("bytes=0-1,4-5", 200, "0123456789", nil),
        ] as [(String, Int, String, String?)])
    func ranges(header: String, status: Int, body: String, contentRange: String?) async throws {
        let (service, node) = try await Self.service()
        let answer = try await service.get("/artifacts/default/a/\(node)/report", headers: ["range": header])
        #expect(answer.status == status && answer.text == body)
        #expect(answer.headers["content-range"] == contentRange)
        #expect(status != 206 || answer.headers["content-length"] == "\(body.utf8.count)")
    }

    @Test("A range of other contents than these is answered with the whole")
    func ifRange() async throws {
        let (service, node) = try await Self.service()
        let answer = try await service.get(
            "/artifacts/default/a/\(node)/report", headers: ["range": "bytes=0-3", "if-range": "\"other\""])
        #expect(answer.status == 200 && answer.text == "0123456789")
    }

    @Test(
        "What is not there, or lies elsewhere, is said",
        arguments: [
            ("/artifacts/default/a/NODE/nothing", 404), ("/artifacts/default/a/nothing/report", 404),
            ("/artifacts/default/b/NODE/report", 404), ("/artifacts/default/a/NODE/lost", 404),
            ("/artifacts/default/a/NODE/deleted", 404), ("/artifacts/default/a/NODE/clone", 501),
            ("/input-artifacts/default/a/NODE/report", 404),
            ("/artifact-files/default/workflows/a/NODE/outputs/tree/nothing", 404),
            ("/artifact-files/default/workflows/a/NODE/outputs/tree/outside", 404),
            ("/artifact-files/default/workflows/a/NODE/outputs/tree/%2e%2e/%2e%2e", 400),
            ("/artifact-files/default/workflows/a/NODE/outputs/tree/..%2f..%2fx", 400),
            ("/artifact-files/default/workflows/a/NODE/outputs/report/inside", 404),
            ("/artifact-files/default/workflows/a/NODE/sideways/report", 400),
            ("/artifact-files/default/runs/a/NODE/outputs/report", 400),
        ])
    func missing(path: String, status: Int) async throws {
        let (service, node) = try await Self.service()
        let answer = try await service.get(path.replacing("NODE", with: node))
        #expect(answer.status == status)
        #expect(answer.json["message"]?.stringValue?.isEmpty == false)
    }

    @Test("A directory is a list to look at, and its files are found by their paths")
    func directory() async throws {
        let (service, node) = try await Self.service()
        let base = "/artifact-files/default/workflows/a/\(node)/outputs/tree"
        let moved = try await service.get(base)
        #expect(moved.status == 307 && moved.headers["location"] == "./tree/")
        let list = try await service.get(base + "/")
        #expect(list.headers["content-type"] == "text/html; charset=utf-8")
        for link in ["./data.csv", "./deep/", "./empty"] { #expect(list.text.contains("href=\"\(link)\"")) }
        #expect(try await service.get(base + "/data.csv").text == "a,b\n")
        #expect(try await service.get(base + "/link").bytes.count == 70_000)
        #expect(try await service.get(base + "/empty").bytes.isEmpty)
        #expect(try await service.get(base + "/deep/").text.contains("./weights.bin"))
        let text = try await service.get("/artifact-files/default/workflows/a/\(node)/outputs/text")
        #expect(text.text == "hello")
    }

    @Test("A whole directory is a .tgz that says the same every time")
    func archive() async throws {
        let (service, node) = try await Self.service()
        let answer = try await service.get("/artifacts/default/a/\(node)/tree")
        #expect(answer.headers["content-type"] == "application/gzip")
        #expect(answer.headers["content-disposition"]?.contains("tree.tgz") == true)
        let entries = try TarReading.entries(of: try TarReading.gunzipped(answer.bytes))
        #expect(
            entries.map(\.name).sorted() == [
                "tree/", "tree/data.csv", "tree/deep/", "tree/deep/weights.bin", "tree/empty", "tree/link",
                "tree/outside",
            ])
        let weights = entries.first { $0.name == "tree/deep/weights.bin" }
        #expect(weights?.bytes == [UInt8](repeating: 0x78, count: 70_000))
        #expect(entries.first { $0.name == "tree/link" }?.target == "deep/weights.bin")
        #expect(try await service.get("/artifacts/default/a/\(node)/tree").bytes == answer.bytes)
    }

    @Test("CRC-32 and long names are as their standards have them")
    func formats() throws {
        var checksum = CRC32()
        checksum.update(Array("123456789".utf8))
        #expect(checksum.value == 0xCBF4_3926)
        let long = String(repeating: "d/", count: 100) + "file"
        let header = TarHeader.bytes(path: long, kind: .file, mode: 0o644, size: 3)
        let entries = try TarReading.entries(of: header + TarHeader.padded([1, 2, 3]) + TarHeader.end)
        #expect(entries.map(\.name) == [long])
        #expect(entries.first?.bytes == [1, 2, 3])
    }
}

/// Reads what `TarStream` writes, by the formats' own rules.
enum TarReading {
    struct Entry {
        var name: String
        var target: String
        var bytes: [UInt8]
    }

    struct Damaged: Error { var what: String }

    /// A gzip member of stored blocks.
    static func gunzipped(_ bytes: [UInt8]) throws -> [UInt8] {
        guard bytes.prefix(4).elementsEqual([0x1F, 0x8B, 8, 0]) else { throw Damaged(what: "head") }
        var place = 10
        var out: [UInt8] = []
        while true {
            guard bytes.count >= place + 5 else { throw Damaged(what: "block") }
            let isLast = bytes[place] == 1
            let length = Int(bytes[place + 1]) | Int(bytes[place + 2]) << 8
            let check = Int(bytes[place + 3]) | Int(bytes[place + 4]) << 8
            guard bytes[place] <= 1, length ^ check == 0xFFFF else { throw Damaged(what: "length") }
            out += bytes[(place + 5)..<(place + 5 + length)]
            place += 5 + length
            if isLast { break }
        }
        var checksum = CRC32()
        checksum.update(out)
        func little(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[place + offset + $1]) << ($1 * 8) }
        }
        guard bytes.count == place + 8, little(0) == checksum.value, Int(little(4)) == out.count else {
            throw Damaged(what: "tail")
        }
        return out
    }

    static func entries(of bytes: [UInt8]) throws -> [Entry] {
        var entries: [Entry] = []
        var place = 0
        var longName: String?
        while place + 512 <= bytes.count, bytes[place] != 0 {
            let header = Array(bytes[place..<(place + 512)])
            func text(_ start: Int, _ count: Int) -> String {
                String(
                    decoding: header[start..<(start + count)].prefix { $0 != 0 && $0 != 0x20 }, as: UTF8.self)
            }
            var sum = header.reduce(0) { $0 + Int($1) }
            for index in 148..<156 { sum += 0x20 - Int(header[index]) }
            guard Int(text(148, 8), radix: 8) == sum, text(257, 5) == "ustar" else {
                throw Damaged(what: "header")
            }
            let size = Int(text(124, 12), radix: 8) ?? 0
            let body = Array(bytes[(place + 512)..<(place + 512 + size)])
            place += 512 + (size + 511) / 512 * 512
            if header[156] == 0x78 {
                let record = String(decoding: body, as: UTF8.self)
                longName = record.split(separator: "path=").last.map { String($0.dropLast()) }
                continue
            }
            entries.append(Entry(name: longName ?? text(0, 100), target: text(157, 100), bytes: body))
            longName = nil
        }
        return entries
    }
}
