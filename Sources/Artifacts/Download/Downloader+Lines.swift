// Answers that go on and on, line by line: event streams and logs that are followed.

import Text

/// Hands on the lines of a good answer as they come, and keeps the beginning of a bad one.
private final class LineReceiver: AnswerReceiver {
    /// What a server says of a failure.
    private static let refusalLimitBytes = 1 << 20

    private let limitBytes: Int
    private let isStopped: () -> Bool
    private let take: (String) -> Bool
    private var line: [UInt8] = []
    private(set) var refusal: [UInt8] = []
    private(set) var isTooLong = false

    init(limitBytes: Int, isStopped: @escaping () -> Bool, take: @escaping (String) -> Bool) {
        self.limitBytes = limitBytes
        self.isStopped = isStopped
        self.take = take
    }

    var shouldStop: Bool { isStopped() }

    func take(_ bytes: UnsafeRawBufferPointer, head: AnswerHead) -> Bool {
        guard (200..<300).contains(head.status) else {
            refusal.append(contentsOf: bytes.prefix(max(0, Self.refusalLimitBytes - refusal.count)))
            return true
        }
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            line.append(contentsOf: rest[..<end])
            if !finish() { return false }
            rest = rest[rest.index(after: end)...]
        }
        line.append(contentsOf: rest)
        isTooLong = line.count > limitBytes
        return !isTooLong
    }

    /// Hands on the line that is complete now; what comes behind the last line break is one, too.
    func finish() -> Bool {
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        defer { line.removeAll(keepingCapacity: line.count < 1 << 16) }
        return take(String(decoding: line, as: UTF8.self))
    }

    var hasRest: Bool { !line.isEmpty }
}

extension Downloader {
    /// Asks once, and hands on the lines of an answer with status 2xx as they come, without their ends. Blocks until
    /// the answer ends.
    /// - Parameters:
    ///   - request: its output limit is that of one line.
    ///   - take: called by the calling thread; false ends the exchange.
    /// - Returns: nil when `take` ended the exchange; else the answer, whose body is empty for status 2xx.
    /// - Throws: `DownloadError` when the connection broke, or a line was too long.
    package func lines(
        _ request: HubRequest, isCancelled: @escaping @Sendable () -> Bool = { false },
        take: @escaping (String) -> Bool
    ) throws -> HubReply? {
        guard let url = WebAddress(request.url), url.scheme != "file" else {
            throw DownloadError(
                .badRequest, path: WebAddress.shown(request.url), problem: "is no http or https address")
        }
        var isDone = false
        let receiver = LineReceiver(limitBytes: request.outputLimitBytes, isStopped: isCancelled) { line in
            isDone = !take(line)
            return !isDone
        }
        let outgoing = OutgoingRequest(
            method: request.method, url: url, origin: url.origin, ownHeaders: request.headers,
            body: request.body, redirects: request.redirects)
        do {
            let (head, end, answering) = try send(outgoing, to: receiver)
            if isDone { return nil }
            if receiver.isTooLong {
                throw DownloadError(
                    .server, path: answering.shown,
                    problem: "sends a line of more than \(request.outputLimitBytes) bytes")
            }
            if let failure = failure(end, path: answering.shown) { throw failure.error }
            if receiver.hasRest, !receiver.finish() { return nil }
            return HubReply(
                status: head.status, headers: head.headers, body: receiver.refusal, url: answering.text)
        } catch let failure as ExchangeFailure {
            throw failure.error
        }
    }
}
