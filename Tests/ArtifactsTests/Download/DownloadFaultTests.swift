// Downloads from a server that fails and lies: in the end the content is right or there is an error that says
// why, and never anything else under the final name.

import Glibc
import Synchronization
import TestSupport
import Testing
import Text

@testable import Artifacts

@Suite("Downloads from a hostile server")
struct DownloadFaultTests {
    let fixture: DownloadFixture

    init() throws { fixture = try DownloadFixture() }

    /// What goes wrong with one answer.
    enum Fault: Sendable {
        case dropAfter(Int)
        case status(Int, [(String, String)])
        case ignoreRange
        /// Content-Length is so much more than the body.
        case lengthOff(Int)
        /// Another content, by its own ETag.
        case changeContent
        /// Another content under the same name: only the digest tells.
        case corrupt
        case chunked
        case shortRange
        case wrongRange
        case wrongTotal

        func answer(_ content: [UInt8], _ request: HostileRequest) -> HostileAnswer {
            var answer = HostileAnswer.file(content, etag: "\"v\"", request)
            switch self {
            case .dropAfter(let count): answer.dropAfter = min(count, answer.body.count * 3 / 4)
            case .status(let status, let headers): return HostileAnswer(status, Array("{}".utf8), headers)
            case .ignoreRange:
                var whole = request
                whole.headers["range"] = nil
                return .file(content, etag: "\"v\"", whole)
            case .lengthOff(let count): answer.toldLength = max(0, answer.body.count + count)
            case .changeContent:
                return .file(DownloadFixture.content(content.count, seed: 999), etag: "\"other\"", request)
            case .corrupt: if !answer.body.isEmpty { answer.body[answer.body.count / 2] ^= 1 }
            case .chunked: answer.toldLength = -1
            case .shortRange, .wrongRange, .wrongTotal: lie(&answer, content.count, request.range)
            }
            return answer
        }

        private func lie(_ answer: inout HostileAnswer, _ total: Int, _ range: Range<Int>?) {
            guard answer.status == 206, let range else { return }
            var end = min(total, range.upperBound)
            answer.headers.removeAll { $0.0 == "Content-Range" }
            switch self {
            case .shortRange:
                end = range.lowerBound + max(1, (end - range.lowerBound) / 2)
                answer.body = Array(answer.body.prefix(end - range.lowerBound))
                answer.headers.append(("Content-Range", "bytes \(range.lowerBound)-\(end - 1)/\(total)"))
            case .wrongRange:
                answer.headers.append(("Content-Range", "bytes \(range.lowerBound + 1)-\(end)/\(total + 1)"))
            default:
                answer.headers.append(("Content-Range", "bytes \(range.lowerBound)-\(end - 1)/\(total + 5)"))
            }
        }
    }

    static let mended: [(Fault, Int)] = [
        (.dropAfter(0), 3), (.dropAfter(20_000), 6), (.dropAfter(25_000), 3), (.status(500, []), 4),
        (.status(503, [("Retry-After", "7")]), 2), (.status(429, [("Retry-After", "11")]), 4),
        (.status(429, [("RateLimit", "\"api\";r=0;t=55")]), 1), (.status(408, []), 2), (.ignoreRange, 1),
        (.ignoreRange, .max), (.lengthOff(10), 3), (.lengthOff(-10), 3), (.changeContent, 1), (.corrupt, 1),
        (.chunked, .max), (.shortRange, .max), (.wrongRange, 3), (.wrongTotal, 3),
    ]

    @Test("What goes wrong a few times is mended", arguments: mended, [1000, 300_000])
    func mends(row: (Fault, Int), size: Int) throws { try mend(row, size) }

    /// A large file has a thread for its digests, which must end with the content that it follows.
    @Test(
        "A large file whose content begins anew comes to its end",
        arguments: [(.ignoreRange, .max), (.changeContent, 1), (.dropAfter(2_000_000), 2)] as [(Fault, Int)])
    func mendsLarge(row: (Fault, Int)) throws { try mend(row, FetchRun.inlineDigestBytes + 1_000_000) }

    private func mend(_ row: (Fault, Int), _ size: Int) throws {
        let content = DownloadFixture.content(size, seed: 1)
        for skipped in [0, 3] {
            let count = Mutex(0)
            let server = try HostileServer { request in
                let index = count.withLock { count in
                    count += 1
                    return count - 1 - skipped
                }
                return index >= 0 && index < row.1
                    ? row.0.answer(content, request) : .file(content, etag: "\"v\"", request)
            }
            defer { server.stop() }
            let job = fixture.job(
                [server.url + "/f"], size: size, digest: .sha256(DownloadFixture.sha256(content)))
            _ = try Downloader(fixture.settings).fetch([job])
            #expect(fixture.result == content)
            #expect(!Disk.exists(fixture.partial))
            unlink(fixture.destination)
        }
    }

    static let refused: [(Fault, DownloadError.Kind, String)] = [
        (.status(401, []), .unauthorized, "token"), (.status(403, []), .forbidden, "account"),
        (.status(404, []), .notFound, "404"), (.status(410, []), .notFound, "410"),
        (.status(403, [("X-Error-Code", "GatedRepo")]), .gated, "access"),
        (.status(401, [("X-Error-Code", "RepoNotFound")]), .repositoryNotFound, "name"),
        (.status(404, [("X-Error-Code", "RevisionNotFound")]), .revisionNotFound, "branch"),
        (
            .status(404, [("X-Error-Code", "EntryNotFound"), ("X-Error-Message", "no such a")]), .notFound,
            "no such a"
        ),
        (.status(403, [("X-Error-Message", "Access to this resource is disabled.")]), .forbidden, "disabled"),
        (.status(400, []), .badRequest, "400"), (.status(500, []), .server, "500"),
        (.status(429, []), .rateLimited, "429"),
        (.status(429, [("Retry-After", "1000")]), .rateLimited, "429"),
        (.status(204, []), .corrupt, "204"), (.lengthOff(10), .corrupt, "1010"),
        (.lengthOff(-10), .corrupt, "990"),
        (.dropAfter(0), .network, ""), (.corrupt, .corrupt, "sha256:"),
    ]

    @Test("What does not mend is an error of its kind, and nothing has the final name", arguments: refused)
    func refuses(row: (Fault, DownloadError.Kind, String)) throws {
        let content = DownloadFixture.content(1000, seed: 2)
        let server = try HostileServer { row.0.answer(content, $0) }
        defer { server.stop() }
        let job = fixture.job(
            [server.url + "/f"], size: 1000, digest: .sha256(DownloadFixture.sha256(content)))
        let error = DownloadFixture.failure { _ = try Downloader(fixture.settings).fetch([job]) }
        #expect(error?.kind == row.1)
        #expect(error?.description.contains(row.2) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains(server.url) == true)
        #expect(fixture.result == nil)
        #expect(server.requests.count <= 1 + fixture.settings.retries)
    }

    @Test("A digest that stays wrong tells both, after two more tries, and leaves nothing behind")
    func staysCorrupt() throws {
        let content = DownloadFixture.content(5_000_000, seed: 3)
        let server = try HostileServer { .file(content, etag: "\"v\"", $0) }
        defer { server.stop() }
        let expected = String(repeating: "a", count: 64)
        let job = fixture.job([server.url + "/f"], digest: .sha256(expected))
        let error = DownloadFixture.failure { _ = try Downloader(fixture.settings).fetch([job]) }
        #expect(error?.kind == .corrupt)
        #expect(error?.problem.contains(expected) == true)
        #expect(error?.problem.contains(DownloadFixture.sha256(content)) == true)
        #expect(server.bodyBytes == 3 * content.count)
        #expect(Disk.list(fixture.directory.path + "/out") == [])
    }

    @Test(
        "An answer's wait is waited for, by all connections",
        arguments: ["9", "Wed, 21 Oct 2015 07:28:09 GMT"])
    func retryAfter(value: String) throws {
        let content = DownloadFixture.content(1000, seed: 2)
        let server = try HostileServer { request in
            request.count == 0
                ? HostileAnswer(429, [], [("Retry-After", value)]) : .file(content, etag: nil, request)
        }
        defer { server.stop() }
        _ = try Downloader(fixture.settings).fetch([fixture.job([server.url + "/f"])])
        #expect(fixture.clock.slept >= .seconds(9))
        #expect(fixture.clock.slept < .seconds(12))
    }

    @Test(
        "The next mirror is asked when one has not the file, is broken or sends rubbish",
        arguments: [
            Fault.status(404, []), .status(401, []), .status(500, []), .dropAfter(0), .corrupt,
            .lengthOff(-10),
        ])
    func mirrors(fault: Fault) throws {
        let content = DownloadFixture.content(300_000, seed: 5)
        let bad = try HostileServer { fault.answer(content, $0) }
        let good = try HostileServer { .file(content, etag: "\"elsewhere\"", $0) }
        defer {
            bad.stop()
            good.stop()
        }
        let job = fixture.job(
            [bad.url + "/f", good.url + "/g"], digest: .sha256(DownloadFixture.sha256(content)))
        _ = try Downloader(fixture.settings).fetch([job])
        #expect(fixture.result == content)
        #expect(good.requests.allSatisfy { $0.path == "/g" })
    }

    @Test("Of several mirrors' failures the most telling is the error's kind, and all are named")
    func mirrorErrors() throws {
        let servers = try [404, 403, 500].map { status in try HostileServer { _ in HostileAnswer(status) } }
        defer { for server in servers { server.stop() } }
        let error = DownloadFixture.failure {
            _ = try Downloader(fixture.settings).fetch([fixture.job(servers.map { $0.url + "/f" })])
        }
        #expect(error?.kind == .forbidden)
        for server in servers { #expect(error?.description.contains(server.url) == true) }
    }

    @Test("After a redirect to another host the token stays behind, and ranges go there directly")
    func redirect() throws {
        let content = DownloadFixture.content(300_000, seed: 6)
        let store = try HostileServer { .file(content, etag: "\"v\"", $0) }
        let hub = try HostileServer { request in
            switch request.path {
            case "/f": HostileAnswer(302, [], [("Location", "/a/../b%20c/f?x=1")])
            default: HostileAnswer(307, [], [("Location", store.url + "/blob?Signature=secret")])
            }
        }
        defer {
            store.stop()
            hub.stop()
        }
        let job = fixture.job(
            [hub.url + "/f"], size: content.count, digest: .sha256(DownloadFixture.sha256(content)),
            headers: ["Authorization: Bearer hf_secret", "Cookie: m_session_id=secret"])
        _ = try Downloader(fixture.settings).fetch([job])
        #expect(fixture.result == content)
        #expect(hub.requests.map(\.path).contains("/b%20c/f?x=1"))
        #expect(hub.requests.allSatisfy { $0.headers["authorization"] == "Bearer hf_secret" })
        #expect(
            store.requests.allSatisfy { $0.headers["authorization"] == nil && $0.headers["cookie"] == nil })
        #expect(hub.requests.count < store.requests.count)
    }

    @Test(
        "An address from a redirect that has expired is asked for again, and its signature is in no message")
    func expired() throws {
        let content = DownloadFixture.content(300_000, seed: 6)
        let store = try HostileServer { request in
            request.count >= 2 ? HostileAnswer(403) : .file(content, etag: "\"v\"", request)
        }
        let hub = try HostileServer { request in
            HostileAnswer(302, [], [("Location", store.url + "/blob?Signature=secret\(request.count)")])
        }
        defer {
            store.stop()
            hub.stop()
        }
        _ = try Downloader(fixture.settings).fetch([fixture.job([hub.url + "/f"], size: content.count)])
        #expect(fixture.result == content)
        let gone = try HostileServer { _ in HostileAnswer(302, [], [("Location", hub.url + "/f")]) }
        let lost = try HostileServer { _ in HostileAnswer(403) }
        let last = try HostileServer { _ in
            HostileAnswer(302, [], [("Location", lost.url + "/?Signature=secret")])
        }
        defer { for server in [gone, lost, last] { server.stop() } }
        let error = DownloadFixture.failure {
            _ = try Downloader(fixture.settings).fetch([fixture.job([last.url + "/f"])])
        }
        #expect(error?.kind == .forbidden)
        #expect(error?.description.contains("secret") == false)
        #expect(error?.description.contains(lost.url) == true)
    }

    @Test("Redirects in a circle end")
    func circle() throws {
        let server = try HostileServer { _ in HostileAnswer(302, [], [("Location", "/f")]) }
        defer { server.stop() }
        let error = DownloadFixture.failure {
            _ = try Downloader(fixture.settings).fetch([fixture.job([server.url + "/f"])])
        }
        #expect(error?.kind == .server)
        #expect(server.requests.count == Downloader.redirectLimit + 1)
    }

    /// A plan that the seed draws: each request may meet a fault, up to a number.
    static func plan(_ seed: UInt64) -> (faults: [Int: Fault], size: Int) {
        var generator = SeededGenerator(seed: seed)
        var faults: [Int: Fault] = [:]
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let place = Int.random(in: 0...20, using: &generator)
            let fault: Fault =
                switch Int.random(in: 0...11, using: &generator) {
                case 0, 1: .dropAfter(Int.random(in: 0...30_000, using: &generator))
                case 2: .status([500, 502, 503, 408].randomElement(using: &generator) ?? 500, [])
                case 3: .status(429, [("Retry-After", "\(Int.random(in: 0...3, using: &generator))")])
                case 4: .ignoreRange
                case 5: .lengthOff(Int.random(in: -2000...2000, using: &generator))
                case 6: .changeContent
                case 7: .corrupt
                case 8: .chunked
                case 9: .shortRange
                case 10: .wrongRange
                default: .wrongTotal
                }
            faults[place] = fault
        }
        return (faults, Int.random(in: 1...200_000, using: &generator))
    }

    @Test("Whatever the plan: the right content or an error, never anything else", arguments: 0..<40)
    func plans(seed: UInt64) throws {
        let (faults, size) = Self.plan(seed)
        let content = DownloadFixture.content(size, seed: seed)
        let count = Mutex(0)
        let server = try HostileServer { request in
            let index = count.withLock { count in
                count += 1
                return count - 1
            }
            return faults[index]?.answer(content, request) ?? .file(content, etag: "\"v\"", request)
        }
        defer { server.stop() }
        let digest = DownloadFixture.sha256(content)
        let job = fixture.job([server.url + "/f"], size: seed % 2 == 0 ? size : nil, digest: .sha256(digest))
        var error: DownloadError?
        // Several processes after another, as a user would start them.
        for _ in 0..<3 where fixture.result == nil {
            error = DownloadFixture.failure { _ = try Downloader(fixture.settings).fetch([job]) }
            #expect((error == nil) == (fixture.result != nil))
        }
        #expect(fixture.result == content, "\(error?.description ?? "")")
    }
}
