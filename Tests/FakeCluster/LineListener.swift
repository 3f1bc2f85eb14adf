// A small HTTP/1.1 server on threads: one a connection, on a free port of the loopback address.

import Artifacts
import Glibc
import Synchronization
import Text

package final class LineListener: Sendable {
    package let port: Int
    private let socket: Int32
    private let isStopped = Mutex(false)

    /// - Parameter wanted: the port; 0 takes a free one.
    package init(port wanted: Int = 0) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = UInt16(wanted).bigEndian
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = socket
        let isReady = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, size) == 0 && listen(socket, 512) == 0 && getsockname(socket, $0, &size) == 0
            }
        }
        guard isReady else { throw ArtifactError(errno: errno, path: "127.0.0.1", while: "listen at") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    /// - Parameter serve: called on a thread of its own for each connection, which is closed behind it.
    package func start(_ serve: @escaping @Sendable (LineConnection) -> Void) {
        FakeThread.start { [self] in
            while true {
                let connection = accept(socket, nil, nil)
                if isStopped.withLock({ $0 }) { break }
                if connection < 0 { continue }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                var on: Int32 = 1
                setsockopt(
                    connection, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
                FakeThread.start {
                    serve(LineConnection(connection))
                    close(connection)
                }
            }
            close(socket)
        }
    }

    package func stop() {
        isStopped.withLock { $0 = true }
        shutdown(socket, Int32(SHUT_RDWR))
    }
}

package enum FakeThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    package static func start(_ body: @escaping @Sendable () -> Void) {
        // Without `pthread_attr_t()`, which is not always seen beside Dispatch.
        withUnsafeTemporaryAllocation(of: pthread_attr_t.self, capacity: 1) { room in
            guard let attributes = room.baseAddress else { return }
            pthread_attr_init(attributes)
            pthread_attr_setstacksize(attributes, 16 << 20)
            var thread = pthread_t()
            let context = Unmanaged.passRetained(Body(body))
            pthread_create(
                &thread, attributes,
                { context in
                    if let context { Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run() }
                    return nil
                }, context.toOpaque())
            pthread_detach(thread)
            pthread_attr_destroy(attributes)
        }
    }
}

/// One connection; used by one thread.
package final class LineConnection {
    private static let bodyLimitBytes = 32 << 20
    private let socket: Int32
    private var pending: [UInt8] = []

    init(_ socket: Int32) { self.socket = socket }

    // MARK: In

    /// Nil when the client has gone.
    func nextRequest() -> FakeAPIServer.Request? {
        let mark = Array("\r\n\r\n".utf8)
        var end: Int?
        while end == nil {
            end = Self.find(mark, in: pending)
            if end == nil && !receive() { return nil }
        }
        guard let end else { return nil }
        let head = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeFirst(end + mark.count)
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
        let words = lines[0].split(separator: " ").map(String.init)
        guard words.count >= 2 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(
                line[line.index(after: colon)...].drop { $0 == " " })
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        guard length <= Self.bodyLimitBytes else { return nil }
        while pending.count < length { if !receive() { return nil } }
        let body = Array(pending[..<length])
        pending.removeFirst(length)
        let (path, query) = Self.split(words[1])
        let token = headers["authorization"].map { String($0.dropFirst("Bearer ".count)) } ?? ""
        // Parameters such as the character set change nothing.
        let type = headers["content-type"].map { String($0.split(separator: ";").first ?? "") } ?? ""
        return .init(
            method: words[0], path: path, query: query, token: token, contentType: type, body: body)
    }

    private static func find(_ mark: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= mark.count else { return nil }
        return (0...(bytes.count - mark.count)).first { bytes[$0...].starts(with: mark) }
    }

    private static func split(_ target: String) -> (String, [String: String]) {
        let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
        var query: [String: String] = [:]
        for pair in parts.count > 1 ? parts[1].split(separator: "&") : [] {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            query[decoded(words[0])] = words.count > 1 ? decoded(words[1]) : ""
        }
        return (parts.first ?? "/", query)
    }

    private static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func receive() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let length = recv(socket, &chunk, chunk.count, 0)
        guard length > 0 else { return false }
        pending.append(contentsOf: chunk[..<length])
        return true
    }

    // MARK: Out

    func send(_ status: Int, _ object: JSONValue, retryAfter: Int? = nil) -> Bool {
        let body = Array(object.compactText.utf8)
        var head =
            "HTTP/1.1 \(status) X\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        if let retryAfter { head += "Retry-After: \(retryAfter)\r\n" }
        return write(Array((head + "\r\n").utf8) + body)
    }

    func beginStream() -> Bool {
        write(
            Array(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".utf8
            ))
    }

    func sendLine(_ object: JSONValue) -> Bool {
        sendPiece(Array((object.compactText + "\n").utf8))
    }

    func sendPiece(_ bytes: [UInt8]) -> Bool {
        if bytes.isEmpty { return true }
        return write(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [13, 10])
    }

    func endStream() { _ = write(Array("0\r\n\r\n".utf8)) }

    /// Whether the client has closed its end.
    var isGone: Bool {
        var byte: UInt8 = 0
        let length = recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return length == 0 || (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let length = rest.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if length <= 0 { return false }
            rest = rest.dropFirst(length)
        }
        return true
    }
}
