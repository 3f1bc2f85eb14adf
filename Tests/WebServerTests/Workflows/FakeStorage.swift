// A server that artifacts lie on: an S3 bucket and plain addresses, in memory, which notes what it was asked.

import Logging
import Synchronization
import Testing
import Text

@testable import WebServer

/// Answers under `/bucket/` as an S3 server that wants signatures, and under `/web/` as a web server.
final class FakeStorage: Sendable {
    struct Seen: Sendable {
        var method: String
        var path: String
        var range: String?
        var authorization: String?
        var sentBytes: Int
    }

    struct State: Sendable {
        var objects: [String: [UInt8]] = [:]
        /// Changes with each byte that the tests change.
        var version = 1
        var knowsRanges = true
        /// Where `/web/moved` leads.
        var elsewhere = ""
        var seen: [Seen] = []
    }

    static let accessKey = "AKIATESTACCESS"
    static let secretKey = "canary-secret-key-7f3a"
    let state = Mutex(State())

    /// Runs the server beside `body`, which gets its port.
    func with(_ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (ports, found) = AsyncStream<Int>.makeStream()
            let server = HTTPServer(
                settings: .init(
                    host: "127.0.0.1", port: 0, maxConnections: 100, idleTimeout: .seconds(60),
                    bodyTimeout: .seconds(60), drainTimeout: .seconds(1)),
                logger: Logger(label: "test"), surroundings: .system, onDrain: {},
                respond: { self.answer($0) })
            group.addTask {
                defer { found.finish() }
                try await server.run { found.yield($0) }
            }
            defer { group.cancelAll() }
            for await port in ports {
                try await body(port)
                break
            }
        }
    }

    func put(_ path: String, _ bytes: [UInt8]) { state.withLock { $0.objects[path] = bytes } }

    /// The longest body that was sent.
    var longestAnswer: Int { state.withLock { $0.seen.map(\.sentBytes).max() ?? 0 } }

    private func answer(_ call: HTTPCall) -> HTTPReply {
        state.withLock { state in
            let reply = Self.answer(call, state)
            var sent = 0
            if case .bytes(let bytes) = reply.body, call.method != "HEAD" { sent = bytes.count }
            state.seen.append(
                Seen(
                    method: call.method, path: call.path, range: call.headers["range"],
                    authorization: call.headers["authorization"], sentBytes: sent))
            return reply
        }
    }

    private static func answer(_ call: HTTPCall, _ state: State) -> HTTPReply {
        if call.path == "/web/moved" {
            return HTTPReply(status: 302, headers: [("Location", state.elsewhere)])
        }
        if call.path.hasPrefix("/bucket") {
            guard call.headers["authorization"]?.contains("Credential=\(accessKey)/") == true else {
                return text(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
            }
            if call.path == "/bucket" { return list(call, state) }
        } else if call.path.hasPrefix("/web/private") {
            // user:password
            guard call.headers["authorization"] == "Basic dXNlcjpwYXNzd29yZA==" else {
                return text(401, "who are you?")
            }
        }
        guard let bytes = state.objects[call.path] else {
            return text(404, "<Error><Code>NoSuchKey</Code></Error>")
        }
        let tag = "\"v\(state.version)-\(bytes.count)\""
        if let wanted = call.headers["if-match"], wanted != tag { return text(412, "") }
        let headers = [("ETag", tag), ("Set-Cookie", "canary-cookie=1"), ("Content-Type", "text/html")]
        guard state.knowsRanges, let range = call.headers["range"] else {
            let length = [("Content-Length", "\(bytes.count)")]
            return HTTPReply(headers: headers + length, body: .bytes(call.method == "HEAD" ? [] : bytes))
        }
        guard case .part(let part) = ByteRange(range, sizeBytes: bytes.count) else {
            return HTTPReply(status: 416, headers: headers + [("Content-Range", "bytes */\(bytes.count)")])
        }
        let place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(bytes.count)"
        return HTTPReply(
            status: 206, headers: headers + [("Content-Range", place)], body: .bytes(Array(bytes[part])))
    }

    private static func list(_ call: HTTPCall, _ state: State) -> HTTPReply {
        let prefix = URLQuery(call.query)["prefix"] ?? ""
        let found = state.objects.filter { $0.key.hasPrefix("/bucket/" + prefix) }.sorted { $0.key < $1.key }
        let contents = found.map { key, bytes in
            "<Contents><Key>\(key.dropFirst("/bucket/".count))</Key><Size>\(bytes.count)</Size>"
                + "<ETag>\"v\(state.version)-\(bytes.count)\"</ETag></Contents>"
        }
        return text(200, "<R><IsTruncated>false</IsTruncated>\(contents.joined())</R>")
    }

    private static func text(_ status: Int, _ text: String) -> HTTPReply {
        HTTPReply(status: status, body: .bytes(Array(text.utf8)))
    }
}
