// An HTTP server on loopback that misbehaves as a test wants it to: it drops, lies about lengths, ignores
// ranges, changes its content. One thread a connection, connections stay open, and everything is counted.

import Glibc
import Synchronization

struct HostileRequest: Sendable {
    var method: String
    /// With query.
    var path: String
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]
    /// How often this path was asked for before.
    var count: Int

    /// The last bound is exclusive.
    var range: Range<Int>? {
        guard let text = headers["range"], text.hasPrefix("bytes=") else { return nil }
        let parts = text.dropFirst(6).split(separator: "-").map { Int($0) }
        guard parts.count == 2, let first = parts[0], let last = parts[1], last >= first else { return nil }
        return first..<last + 1
    }
}

struct HostileAnswer: Sendable {
    var status = 200
    var headers: [(String, String)] = []
    var body: [UInt8] = []
    /// Told as Content-Length instead of the body's own; -1 for none at all (chunked).
    var toldLength: Int?
    /// The connection ends after so many bytes of the body.
    var dropAfter: Int?
    /// After `dropAfter` nothing comes any more, but the connection stays until the server is stopped.
    var hangs = false

    init(_ status: Int = 200, _ body: [UInt8] = [], _ headers: [(String, String)] = []) {
        self.status = status
        self.body = body
        self.headers = headers
    }

    /// What an honest server says of a file.
    static func file(_ content: [UInt8], etag: String?, _ request: HostileRequest) -> HostileAnswer {
        var answer = HostileAnswer(200, content)
        if let etag { answer.headers.append(("ETag", etag)) }
        guard let range = request.range else { return answer }
        if let wanted = request.headers["if-range"], wanted != etag { return answer }
        guard range.lowerBound < content.count else {
            answer.status = 416
            answer.headers.append(("Content-Range", "bytes */\(content.count)"))
            answer.body = []
            return answer
        }
        let end = min(range.upperBound, content.count)
        answer.status = 206
        answer.headers.append(("Content-Range", "bytes \(range.lowerBound)-\(end - 1)/\(content.count)"))
        answer.body = Array(content[range.lowerBound..<end])
        return answer
    }
}

/// What a thread of the server runs.
private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

final class HostileServer: Sendable {
    typealias Handler = @Sendable (HostileRequest) -> HostileAnswer

    let port: UInt16
    private let listener: Int32
    private let handler: Handler
    private struct Seen {
        var requests: [HostileRequest] = []
        var bodyBytes = 0
        var connections = 0
        var isStopped = false
        var open: Set<Int32> = []
    }
    private let seen = Mutex(Seen())

    init(_ handler: @escaping Handler) throws {
        self.handler = handler
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = bind(listener, pointer, size)
                _ = listen(listener, 64)
                _ = getsockname(listener, pointer, &size)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        Self.thread { self.accept() }
    }

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [HostileRequest] { seen.withLock { $0.requests } }
    /// Of all answers' bodies, as far as they were sent.
    var bodyBytes: Int { seen.withLock { $0.bodyBytes } }
    var connections: Int { seen.withLock { $0.connections } }

    func stop() {
        let open = seen.withLock { seen in
            seen.isStopped = true
            return seen.open
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for connection in open { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, Unmanaged.passRetained(ThreadBody(body)).toOpaque())
        pthread_detach(thread)
    }

    private func accept() {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            if connection < 0 { break }
            let isStopped = seen.withLock { seen in
                seen.connections += 1
                seen.open.insert(connection)
                return seen.isStopped
            }
            if isStopped {
                close(connection)
                continue
            }
            Self.thread { self.serve(connection) }
        }
        close(listener)
    }

    private func serve(_ connection: Int32) {
        var rest: [UInt8] = []
        while let request = read(connection, &rest) {
            guard send(handler(request), to: request, on: connection) else { break }
        }
        seen.withLock { _ = $0.open.remove(connection) }
        // What was sent must arrive: closing with unread input would reset the connection.
        shutdown(connection, Int32(SHUT_WR))
        close(connection)
    }

    private func read(_ connection: Int32, _ rest: inout [UInt8]) -> HostileRequest? {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var headEnd: Int?
        while true {
            if headEnd == nil, rest.count >= 4 {
                headEnd = (3..<rest.count).first { rest[($0 - 3)...$0].elementsEqual([13, 10, 13, 10]) }
            }
            if let headEnd {
                let lines = String(decoding: rest[..<headEnd], as: UTF8.self).split(separator: "\r\n")
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    if parts.count == 2 {
                        headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
                    }
                }
                let length = Int(headers["content-length"] ?? "") ?? 0
                if rest.count >= headEnd + 1 + length {
                    let words = lines[0].split(separator: " ")
                    let path = String(words[1])
                    let body = Array(rest[(headEnd + 1)..<(headEnd + 1 + length)])
                    rest.removeFirst(headEnd + 1 + length)
                    return seen.withLock { seen in
                        let count = seen.requests.count { $0.path == path }
                        let request = HostileRequest(
                            method: String(words[0]), path: path, headers: headers, body: body, count: count)
                        seen.requests.append(request)
                        return request
                    }
                }
            }
            let length = recv(connection, &chunk, chunk.count, 0)
            if length <= 0 { return nil }
            rest.append(contentsOf: chunk[..<length])
        }
    }

    /// - Returns: false when the connection is over.
    private func send(_ answer: HostileAnswer, to request: HostileRequest, on connection: Int32) -> Bool {
        var head = "HTTP/1.1 \(answer.status) Status\r\n"
        for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
        let isChunked = answer.toldLength == -1
        head +=
            isChunked
            ? "Transfer-Encoding: chunked\r\n"
            : "Content-Length: \(answer.toldLength ?? answer.body.count)\r\n"
        guard write(Array((head + "\r\n").utf8), connection) else { return false }
        if request.method == "HEAD" || answer.status == 204 { return true }
        let body = Array(answer.body.prefix(answer.dropAfter ?? .max))
        if isChunked && !body.isEmpty {
            guard write(Array("\(String(body.count, radix: 16))\r\n".utf8), connection) else { return false }
        }
        seen.withLock { $0.bodyBytes += body.count }
        guard write(body, connection) else { return false }
        if answer.hangs {
            var byte: UInt8 = 0
            _ = recv(connection, &byte, 1, 0)
            return false
        }
        if answer.dropAfter != nil { return false }
        if isChunked { return write(Array((body.isEmpty ? "0\r\n\r\n" : "\r\n0\r\n\r\n").utf8), connection) }
        return answer.toldLength ?? answer.body.count == answer.body.count
    }

    private func write(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var done = 0
        while done < bytes.count {
            let length = bytes.withUnsafeBytes { buffer in
                Glibc.send(
                    connection, buffer.baseAddress?.advanced(by: done), buffer.count - done,
                    Int32(MSG_NOSIGNAL))
            }
            if length <= 0 { return false }
            done += length
        }
        return true
    }
}
