// The page's files: all of them inside, with the right heads, and nothing beside them.

import Glibc
import Testing
import Text

@testable import WebServer

@Suite("The page's files")
struct PageTests {
    /// The repository's `web/`, above this file.
    private static var webFolder: String {
        let parts = #filePath.split(separator: "/").dropLast(4)
        return "/" + parts.joined(separator: "/") + "/web"
    }

    private static func files(below folder: String, prefix: String = "") -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") || name.hasSuffix(".md") { continue }
            if entry.pointee.d_type == UInt8(DT_DIR) {
                found += files(below: "\(folder)/\(name)", prefix: "\(prefix)\(name)/")
            } else {
                found.append(prefix + name)
            }
        }
        return found
    }

    @Test("Every file of web/ is in the binary; `make web-list` writes the list")
    func listIsComplete() {
        #expect(PageRoutes.embeddedPaths == Self.files(below: Self.webFolder).sorted())
    }

    @Test("Files have their types and are sent again only when they changed")
    func files() async throws {
        let service = try ServiceHarness()
        for path in PageRoutes.embeddedPaths {
            let answer = try await service.get("/\(path)")
            #expect(answer.status == 200, "\(path)")
            #expect(answer.headers["content-type"] != "application/octet-stream", "\(path)")
            let etag = try #require(answer.headers["etag"])
            let again = try await service.get("/\(path)", headers: ["if-none-match": "W/\(etag)"])
            #expect(again.status == 304 && again.bytes.isEmpty, "\(path)")
        }
    }

    @Test(
        "Views are the index; what is no view is no page",
        arguments: [
            ("/", 200), ("/runs/abc", 200), ("/runs/abc/v1.2", 200), ("/pipelines/default/train", 200),
            ("/api/unknown", 404), ("/api/v1/unknown/x", 404), ("/nothing.js", 404), ("/.git/config", 200),
            ("/runs/../../etc/passwd", 400), ("/%2e%2e/%2e%2e/etc/passwd", 400), ("/..%2fetc%2fpasswd", 400),
            ("/a%00", 400), ("/metrics2/x", 200),
        ])
    func views(path: String, status: Int) async throws {
        let service = try ServiceHarness()
        let answer = try await service.get(path)
        #expect(answer.status == status)
        if status == 200 { #expect(answer.headers["content-type"] == "text/html; charset=utf-8") }
    }

    @Test("A folder's files are served while the page is worked on, links and secrets are not")
    func folder() async throws {
        let folder = try HubFolder()
        try folder.write("web/index.html", "<p>new</p>")
        try folder.write("web/a/b.css", "p {}")
        try folder.write("secret.txt", "secret")
        try folder.link("web/link.txt", to: folder.path + "/secret.txt")
        let service = try ServiceHarness(configure: { $0.pageDirectory = folder.path + "/web" })
        #expect(try await service.get("/").text == "<p>new</p>")
        #expect(try await service.get("/a/b.css").text == "p {}")
        #expect(try await service.get("/link.txt").status == 404)
        #expect(try await service.get("/../secret.txt").status == 400)
        try folder.write("web/index.html", "<p>newer</p>")
        #expect(try await service.get("/runs").text == "<p>newer</p>")
    }
}
