// An HTTP server for tests: one thread, one answer for each request, on a free port of the loopback address.

import Glibc
import Synchronization

final class LoopbackServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let answers: Mutex<[String]>
    private let seen = Mutex<[String]>([])

    /// - Parameter answers: whole responses, given in this order; then the connection is just closed.
    init(answers: [String]) throws {
        self.answers = Mutex(answers)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = bind(listener, pointer, size)
                _ = listen(listener, 8)
                _ = getsockname(listener, pointer, &size)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<LoopbackServer>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        pthread_detach(thread)
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// Requests as they came, head and body.
    var requests: [String] { seen.withLock { $0 } }

    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func run() {
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0 { break }
            let request = read(connection)
            seen.withLock { $0.append(request) }
            let answer = answers.withLock { $0.isEmpty ? "" : $0.removeFirst() }
            _ = Array(answer.utf8).withUnsafeBytes {
                send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            close(connection)
        }
        close(listener)
    }

    private func read(_ connection: Int32) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let length = recv(connection, &chunk, chunk.count, 0)
            if length <= 0 { break }
            bytes.append(contentsOf: chunk[..<length])
            let text = String(decoding: bytes, as: UTF8.self)
            guard let head = text.range(of: "\r\n\r\n") else { continue }
            let expected = text.split(separator: "\r\n").first {
                $0.lowercased().hasPrefix("content-length:")
            }
            let size = expected.flatMap { Int($0.dropFirst(15).drop { $0 == " " }) } ?? 0
            if text[head.upperBound...].utf8.count >= size { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    /// Where a text stands in this one.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
