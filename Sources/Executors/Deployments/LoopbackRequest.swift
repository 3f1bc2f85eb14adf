// Small questions to a server on this machine: is it well, and does it answer. Blocks, so it belongs on a
// thread.

import Glibc
package import Text

/// One HTTP/1.1 request to 127.0.0.1, past any proxy.
struct LoopbackRequest {
    struct Reply {
        var status: Int
        var body: [UInt8]
    }

    /// Of the whole answer.
    private static let answerLimitBytes = 256 << 10

    let port: Int
    var method = "GET"
    var path: String
    var body: [UInt8] = []
    /// For connecting, and for each wait while the answer comes.
    var timeoutSeconds: Int

    /// Nil without a complete answer in time.
    func perform() -> Reply? {
        guard let number = UInt16(exactly: port), let descriptor = connected(number) else { return nil }
        defer { close(descriptor) }
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        if !body.isEmpty {
            head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        }
        guard send(Array((head + "\r\n").utf8) + body, to: descriptor) else { return nil }
        return Self.parsed(receive(from: descriptor))
    }

    private func connected(_ number: UInt16) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        guard LoopbackPort.withAddress(number, { connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func receive(from descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < Self.answerLimitBytes {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : [] }
            bytes += chunk[..<count]
        }
        return []
    }

    private static func parsed(_ bytes: [UInt8]) -> Reply? {
        let gap = Array("\r\n\r\n".utf8)
        guard bytes.count >= 16, bytes.starts(with: "HTTP/1.".utf8),
            let status = Int(String(decoding: bytes[9..<12], as: UTF8.self)),
            let end = bytes.indices.dropLast(3).first(where: { bytes[$0...].starts(with: gap) })
        else { return nil }
        return Reply(status: status, body: Array(bytes[(end + 4)...]))
    }
}

/// Ports of this machine's loopback address.
package enum LoopbackPort {
    /// Whether a server could listen there now; another may be quicker.
    package static func isFree(_ port: Int) -> Bool {
        guard let number = UInt16(exactly: port) else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        return withAddress(number) { bind(descriptor, $0, $1) } == 0
    }

    static func withAddress(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// What a replica is asked to see whether it may get requests.
package enum ReplicaProbe {
    private static let healthSeconds = 5
    /// The first completion may wait for pages of the weights to be read.
    private static let completionSeconds = 120
    private static let smokeTokens = 4

    /// Whether the server says that it is well.
    package static func isWell(port: Int) -> Bool {
        let request = LoopbackRequest(port: port, path: "/health", timeoutSeconds: healthSeconds)
        return request.perform()?.status == 200
    }

    /// Asks for a completion of a few tokens.
    /// - Returns: nil if it is one; else what is wrong with it.
    package static func smokeTest(port: Int, model: String) -> String? {
        let question: JSONValue = [
            "model": .string(model), "prompt": "Hello", "max_tokens": .int(smokeTokens), "temperature": 0,
            "logprobs": 1, "ignore_eos": true,
        ]
        let request = LoopbackRequest(
            port: port, method: "POST", path: "/v1/completions", body: Array(question.compactText.utf8),
            timeoutSeconds: completionSeconds)
        guard let reply = request.perform() else {
            return "no answer to a completion within \(completionSeconds) seconds"
        }
        guard let json = try? JSONValue(parsingUTF8: reply.body) else {
            return "the answer to a completion is no JSON (status \(reply.status))"
        }
        guard reply.status == 200 else {
            let said =
                json["error"]?["message"]?.stringValue ?? json["message"]?.stringValue ?? "no reason given"
            return "a completion was refused with status \(reply.status): \(said.prefix(300))"
        }
        return problem(inCompletion: json)
    }

    /// What no model that works would answer: nothing at all, or tokens whose probabilities are no numbers.
    package static func problem(inCompletion json: JSONValue) -> String? {
        guard let choice = json["choices"]?.arrayValue?.first, choice["text"]?.stringValue != nil else {
            return "a completion has no choice with a text"
        }
        let numbers = choice["logprobs"]?["token_logprobs"]?.arrayValue ?? []
        guard !numbers.isEmpty else { return "a completion of \(smokeTokens) tokens came back without any" }
        guard numbers.allSatisfy({ $0.doubleValue?.isFinite == true }) else {
            return "the probabilities of its tokens are no numbers: its weights are broken"
        }
        return nil
    }
}
