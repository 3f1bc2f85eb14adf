// A client of bare sockets: it can do what no decent client does, such as vanish in the middle of an answer.
import Dispatch
import Glibc

/// One connection to 127.0.0.1. Calls run on a queue of their own, because they block.
final class RawClient: Sendable {
    struct Answer: Sendable {
        var status = 0
        var headers: [String: String] = [:]
        var body = ""

        /// The payloads of an event stream's data lines.
        var events: [String] {
            body.split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
        }
    }

    struct SocketError: Error { var call: String }

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "raw client")

    /// - Parameter receiveBytes: the size of the receiving buffer, small for a client that reads slowly.
    init(port: Int, receiveBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError(call: "socket") }
        if var receiveBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, socklen_t(MemoryLayout<Int32>.size))
        }
        // A test that would wait for ever fails instead.
        var patience = timeval(tv_sec: 600, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // What is thrown from here on still runs `deinit`, which closes.
        guard result == 0 else { throw SocketError(call: "connect") }
    }

    deinit { Glibc.close(descriptor) }

    private func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws
        -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body() }) }
        }
    }

    func send(_ text: String) async throws {
        let (bytes, descriptor) = (Array(text.utf8), descriptor)
        try await blocking {
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw SocketError(call: "send") }
                sent += count
            }
        }
    }

    /// What comes next; empty at the end.
    func receive() async throws -> [UInt8] {
        let descriptor = descriptor
        return try await blocking {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            // A connection that was reset has ended, too.
            guard count >= 0 || errno == ECONNRESET else { throw SocketError(call: "recv") }
            return Array(bytes.prefix(max(0, count)))
        }
    }

    /// Everything until the text appears, or the end.
    func receive(until text: String) async throws -> String {
        var bytes: [UInt8] = []
        while true {
            let more = try await receive()
            bytes += more
            let all = String(decoding: bytes, as: UTF8.self)
            if more.isEmpty || all.contains(text) { return all }
        }
    }

    /// Everything until the server closes.
    func receiveAll() async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let more = try await receive()
            if more.isEmpty { return bytes }
            bytes += more
        }
    }

    /// Closes without a word to the server beyond what TCP says.
    func vanish() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    // MARK: HTTP

    static func text(_ method: String, _ path: String, body: String? = nil, headers: [String] = []) -> String
    {
        var lines = ["\(method) \(path) HTTP/1.1", "Host: 127.0.0.1"] + headers
        if let body {
            lines.append("Content-Length: \(body.utf8.count)")
            if !headers.contains(where: { $0.lowercased().hasPrefix("content-type") }) {
                lines.append("Content-Type: application/json")
            }
        }
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
    }

    /// One request on a connection of its own.
    static func request(
        _ port: Int, _ method: String, _ path: String, body: String? = nil, headers: [String] = []
    ) async throws -> Answer {
        let client = try RawClient(port: port)
        try await client.send(text(method, path, body: body, headers: headers + ["Connection: close"]))
        return parse(try await client.receiveAll())
    }

    static func parse(_ bytes: [UInt8]) -> Answer {
        var answer = Answer()
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(ofText: "\r\n\r\n") else { return answer }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        answer.status = lines.first.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } ?? 0
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            answer.headers[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].drop { $0 == " " }
                .description
        }
        let body = Array(text[end.upperBound...].utf8)
        let isChunked = answer.headers["transfer-encoding"] == "chunked"
        answer.body = String(decoding: isChunked ? unchunked(body) : body, as: UTF8.self)
        return answer
    }

    private static func unchunked(_ bytes: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0D),
            let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), size > 0
        {
            let start = end + 2
            guard start + size <= rest.endIndex else { break }
            body += rest[start..<(start + size)]
            rest = rest[(start + size)...].dropFirst(2)
        }
        return body
    }
}

extension String {
    /// The first place of a text, compared by Unicode scalars: to Character, CR and LF are one.
    func range(ofText text: String) -> Range<String.Index>? {
        let (here, there) = (Array(utf8), Array(text.utf8))
        guard there.count <= here.count else { return nil }
        for start in 0...(here.count - there.count) where here[start...].starts(with: there) {
            return utf8.index(
                utf8.startIndex, offsetBy: start)..<utf8.index(
                    utf8.startIndex, offsetBy: start + there.count)
        }
        return nil
    }
}
