// Small exchanges: methods, bodies, headers, redirects and who sees the token, retries, limits.

import Glibc
import Synchronization
import Testing
import Text

@testable import Artifacts

@Suite("Small exchanges")
struct ExchangeTests {
    let fixture: DownloadFixture

    init() throws { fixture = try DownloadFixture() }

    @Test(
        "Method, headers and body go out; status, headers and body come back",
        arguments: [
            ("GET", ""), ("POST", "{\"paths\":[]}"), ("PUT", "data"), ("DELETE", ""), ("HEAD", ""),
        ])
    func plain(method: String, body: String) throws {
        let server = try HostileServer { request in
            HostileAnswer(
                201, Array(request.method.utf8) + request.body,
                [("X-Linked-Size", "7"), ("Link", "a"), ("Link", "b")])
        }
        defer { server.stop() }
        let reply = try Downloader(fixture.settings).exchange(
            HubRequest(
                method, url: server.url + "/p?q=1", headers: ["Accept: text/x"],
                body: body.isEmpty ? .none : .bytes(Array(body.utf8))))
        #expect(reply.status == 201)
        #expect(String(decoding: reply.body, as: UTF8.self) == (method == "HEAD" ? "" : method + body))
        #expect(reply.headers["x-LINKED-size"] == "7")
        #expect(reply.headers.all("link") == ["a", "b"])
        #expect(reply.url == server.url + "/p?q=1")
        #expect(server.requests.first?.headers["accept"] == "text/x")
        #expect(server.requests.first?.path == "/p?q=1")
    }

    @Test("A part of a file is sent, again after a failure")
    func upload() throws {
        let path = fixture.directory.path + "/up"
        try Disk.write(Array("0123456789".utf8), to: path)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        let server = try HostileServer { HostileAnswer($0.count == 0 ? 500 : 200, $0.body) }
        defer { server.stop() }
        let reply = try Downloader(fixture.settings).exchange(
            HubRequest("PUT", url: server.url + "/p", body: .file(descriptor: file, offset: 2, length: 5)))
        #expect(String(decoding: reply.body, as: UTF8.self) == "23456")
        #expect(server.requests.map(\.body) == [Array("23456".utf8), Array("23456".utf8)])
    }

    @Test(
        "Redirects are followed as far as asked, and the token stays at its host",
        arguments: [
            (HubRequest.Redirects.none, 307, 0), (.relativeOnly, 302, 0), (.all, 200, 1),
        ])
    func redirects(row: (HubRequest.Redirects, Int, Int)) throws {
        let other = try HostileServer { _ in HostileAnswer(200, [1]) }
        let server = try HostileServer { request in
            request.path == "/old"
                ? HostileAnswer(307, [9, 9], [("Location", "/new")])
                : HostileAnswer(302, [], [("Location", other.url + "/cdn"), ("X-Linked-ETag", "e")])
        }
        defer {
            server.stop()
            other.stop()
        }
        let reply = try Downloader(fixture.settings).exchange(
            HubRequest(
                "GET", url: server.url + "/old", headers: ["Authorization: Bearer t"], redirects: row.0,
                sign: { method, url, _ in ["X-Sign: \(method) \(url)"] }))
        #expect(reply.status == row.1)
        #expect(other.requests.count == row.2)
        #expect(
            other.requests.allSatisfy { $0.headers["authorization"] == nil && $0.headers["x-sign"] == nil })
        #expect(server.requests.last?.headers["authorization"] == "Bearer t")
        #expect(
            server.requests.last?.headers["x-sign"] == "GET \(server.url)\(server.requests.last?.path ?? "")")
    }

    @Test(
        "Passing failures are tried again, others are the answer",
        arguments: [
            ([500, 503, 408, 200], 200, 4), ([404], 404, 1), ([401], 401, 1), ([429, 200], 200, 2),
            ([500, 500, 500, 500, 500], 500, 5), ([0, 0, 200], 200, 3),
        ])
    func retries(row: (answers: [Int], status: Int, count: Int)) throws {
        let server = try HostileServer { request in
            let status = row.answers[min(request.count, row.answers.count - 1)]
            var answer = HostileAnswer(status == 0 ? 200 : status, Array("body".utf8))
            if status == 0 { answer.dropAfter = 2 }
            return answer
        }
        defer { server.stop() }
        let reply = try Downloader(fixture.settings).exchange(HubRequest(url: server.url + "/p"))
        #expect(reply.status == row.status)
        #expect(server.requests.count == row.count)
        #expect((reply.failure() == nil) == (row.status == 200))
    }

    @Test("An answer above its limit is an error, as is a server that is not there")
    func limits() throws {
        let server = try HostileServer { _ in HostileAnswer(200, [UInt8](repeating: 1, count: 100)) }
        let downloader = Downloader(fixture.settings)
        let long = DownloadFixture.failure {
            _ = try downloader.exchange(HubRequest(url: server.url + "/", outputLimitBytes: 99))
        }
        #expect(long?.kind == .server)
        server.stop()
        let gone = try HostileServer { _ in HostileAnswer(200) }
        gone.stop()
        let away = DownloadFixture.failure {
            _ = try downloader.exchange(HubRequest(url: gone.url + "/", retries: 1))
        }
        #expect(away?.kind == .network)
        let odd = DownloadFixture.failure { _ = try downloader.exchange(HubRequest(url: "ftp://h/")) }
        #expect(odd?.kind == .badRequest)
    }

    @Test("A line break in a header starts no other one")
    func injection() throws {
        let server = try HostileServer { _ in HostileAnswer(200) }
        defer { server.stop() }
        _ = try Downloader(fixture.settings).exchange(
            HubRequest(url: server.url + "/", headers: ["X-A: b\r\nX-Evil: c"]))
        #expect(server.requests.first?.headers["x-evil"] == nil)
        #expect(server.requests.first?.headers["x-a"] == "bX-Evil: c")
    }
}
