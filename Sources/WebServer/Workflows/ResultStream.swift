// Streams of results as Argo's server sends them: events of an event stream, or one JSON object a line.

import Text

/// How the results of a stream are set off from each other.
enum StreamFraming: Sendable, Hashable {
    case events
    case lines

    init(accept: String?) {
        self = (accept ?? "").contains("text/event-stream") ? .events : .lines
    }

    var headers: [(name: String, value: String)] {
        switch self {
        case .events: ServerSentEvents.headers
        case .lines: [("Content-Type", "application/json"), ("Cache-Control", "no-cache")]
        }
    }

    /// One message, given as compact JSON.
    func frame(_ text: [UInt8]) -> [UInt8] {
        switch self {
        case .events: Array("data: ".utf8) + text + [0x0A, 0x0A]
        case .lines: text + [0x0A]
        }
    }

    /// One result.
    func frame(result: JSONValue) -> [UInt8] {
        var bytes = Array("{\"result\":".utf8)
        result.appendCompact(to: &bytes)
        bytes.append(UInt8(ascii: "}"))
        return frame(bytes)
    }

    /// Shows that the connection lives. Argo's command line takes each line of more than six bytes for a result, so
    /// that comments must be short, and ids and names of events must not be sent.
    var heartbeat: [UInt8] { self == .events ? Array(":\n\n".utf8) : [] }

    /// What went wrong after the stream had begun, as grpc-gateway says it.
    func frame(error: ServiceError) -> [UInt8] {
        let value: JSONValue = .object([
            "error": .object([
                "grpc_code": .int(error.code), "http_code": .int(error.status),
                "message": .string(error.message),
                "http_status": .string(""), "code": .int(error.code), "details": .array([]),
            ])
        ])
        return frame(Array(value.compactText.utf8))
    }
}

/// Sends what a producer makes, piece by piece, with heartbeats in silence, until it ends or the client goes away.
struct ResultStream: Sendable {
    /// Pieces that may wait between the producer and the connection.
    static let queueLimit = 16
    static let heartbeatAfter = Duration.seconds(10)
    /// A client that leaves a piece unread for so long is let go.
    static let writeTimeout = Duration.seconds(60)

    /// Where the producer puts what is to be sent.
    struct Outlet: Sendable {
        fileprivate let mailbox: Mailbox<Piece>
        let framing: StreamFraming

        /// Waits while the client is slow.
        func send(_ bytes: [UInt8]) async throws {
            if !bytes.isEmpty { try await mailbox.put(.bytes(bytes)) }
        }
    }

    fileprivate enum Piece: Sendable {
        case bytes([UInt8])
        case heartbeat
        case end
    }

    var framing: StreamFraming
    var connection: ConnectionWatch
    var surroundings: ServerSurroundings

    func reply(_ produce: @escaping @Sendable (Outlet) async throws -> Void) -> HTTPReply {
        HTTPReply(headers: framing.headers, body: .stream { try await send(to: $0, produce) })
    }

    private func send(
        to sink: any ReplySink, _ produce: @escaping @Sendable (Outlet) async throws -> Void
    ) async throws {
        let mailbox = Mailbox<Piece>(capacity: Self.queueLimit)
        let progress = WriteProgress()
        let registration = connection.whenGone { mailbox.close(ClientGone()) }
        defer { registration.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                do {
                    try await produce(Outlet(mailbox: mailbox, framing: framing))
                    try await mailbox.put(.end)
                } catch {
                    mailbox.close(error)
                }
            }
            group.addTask { try await watch(mailbox, progress) }
            // The head goes out with the first bytes, and shows the client that it is heard.
            if framing == .events { try await sink.write(framing.heartbeat) }
            while true {
                let pieces: [Piece]
                do {
                    pieces = try await mailbox.take()
                } catch {
                    guard let known = ServiceError(error) else { throw error }
                    return try await sink.write(framing.frame(error: known))
                }
                var bytes: [UInt8] = []
                var isEnd = false
                for piece in pieces {
                    switch piece {
                    case .bytes(let more): bytes += more
                    case .heartbeat: bytes += framing.heartbeat
                    case .end: isEnd = true
                    }
                }
                progress.begin(at: surroundings.now())
                if !bytes.isEmpty { try await sink.write(bytes) }
                progress.end()
                if isEnd { return }
            }
        }
    }

    private func watch(_ mailbox: Mailbox<Piece>, _ progress: WriteProgress) async throws {
        var seen = -1
        while true {
            try await surroundings.sleep(Self.heartbeatAfter)
            let (writes, since) = progress.state
            if let since, surroundings.now() - since >= Self.writeTimeout { connection.close() }
            if writes == seen, since == nil { mailbox.offer(.heartbeat) }
            seen = writes
        }
    }
}
