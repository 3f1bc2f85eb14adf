// One request to a replica or a cluster's Service, its answer taken piece by piece: nothing is read before it is
// wanted, and whoever lets go of it closes the connection, which ends the work behind it.

import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What is asked of it.
struct UpstreamRequest: Sendable {
    var method: String
    /// With the query.
    var target: String
    var headers: [(name: String, value: String)]
    var body: [UInt8]
}

/// A connection of its own for each request: there is none that could have been closed while it lay idle.
final class Upstream: Sendable {
    /// The replica did not answer, or broke off.
    struct Broken: Error {}

    struct Head: Sendable {
        var status: Int
        /// Names as they came.
        var headers: [(name: String, value: String)]

        func value(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
    }

    private static let connectTimeout = TimeAmount.seconds(5)
    /// The longest that an answer may take in all.
    private static let answerTimeout = TimeAmount.hours(1)

    private let channel: any Channel
    private let inbox: UpstreamInbox

    private init(_ channel: any Channel, _ inbox: UpstreamInbox) {
        self.channel = channel
        self.inbox = inbox
    }

    deinit { channel.close(promise: nil) }

    /// Connects and sends.
    /// - Throws: `Broken`.
    static func open(host: String, port: Int, _ request: UpstreamRequest) async throws -> Upstream {
        let inbox = UpstreamInbox()
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(connectTimeout)
            .channelOption(.autoRead, value: false)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(UpstreamHandler(inbox))
                }
            }
        do {
            let channel = try await bootstrap.connect(host: host, port: port).get()
            let upstream = Upstream(channel, inbox)
            try await upstream.send(request, to: host)
            return upstream
        } catch let error as CancellationError {
            throw error
        } catch {
            throw Broken()
        }
    }

    private func send(_ request: UpstreamRequest, to host: String) async throws {
        var headers = HTTPHeaders(request.headers.map { ($0.name, $0.value) })
        headers.replaceOrAdd(name: "Host", value: host)
        headers.replaceOrAdd(name: "Connection", value: "close")
        if !request.body.isEmpty || request.method == "POST" {
            headers.replaceOrAdd(name: "Content-Length", value: "\(request.body.count)")
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: request.target,
            headers: headers)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if !request.body.isEmpty {
            let buffer = channel.allocator.buffer(bytes: request.body)
            channel.write(HTTPClientRequestPart.body(.byteBuffer(buffer)), promise: nil)
        }
        try await channel.writeAndFlush(HTTPClientRequestPart.end(nil)).get()
        let channel = channel
        channel.eventLoop.scheduleTask(in: Self.answerTimeout) { channel.close(promise: nil) }
    }

    /// The head of the answer. To be called once, before `next`.
    /// - Throws: `Broken`; `CancellationError`.
    func head() async throws -> Head {
        while let part = try await inbox.next(channel) {
            guard case .head(let head) = part else { continue }
            // What announces that the answer comes later.
            if (100..<200).contains(head.status.code) { continue }
            return Head(
                status: Int(head.status.code), headers: head.headers.map { (name: $0.name, value: $0.value) })
        }
        throw Broken()
    }

    /// The next bytes of the body; nil at its end.
    func next() async throws -> [UInt8]? {
        while let part = try await inbox.next(channel) {
            switch part {
            case .head: continue
            case .body(let buffer): return Array(buffer.readableBytesView)
            case .end: return nil
            }
        }
        throw Broken()
    }
}

/// Parts that have arrived and were not taken, and who waits for the next.
private final class UpstreamInbox: Sendable {
    private struct State {
        var parts: [HTTPClientResponsePart] = []
        var waiting: CheckedContinuation<HTTPClientResponsePart?, any Error>?
        var isEnded = false
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// - Returns: nil when the connection has ended.
    func next(_ channel: any Channel) async throws -> HTTPClientResponsePart? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enum Step { case give(HTTPClientResponsePart?), cancelled, wait }
                let step = state.withLock { state -> Step in
                    if state.isCancelled { return .cancelled }
                    if !state.parts.isEmpty { return .give(state.parts.removeFirst()) }
                    if state.isEnded { return .give(nil) }
                    state.waiting = continuation
                    return .wait
                }
                switch step {
                case .give(let part): continuation.resume(returning: part)
                case .cancelled: continuation.resume(throwing: CancellationError())
                case .wait: channel.read()
                }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                state.isCancelled = true
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(throwing: CancellationError())
            channel.close(promise: nil)
        }
    }

    func take(_ part: HTTPClientResponsePart) {
        let waiting = state.withLock { state in
            if state.waiting == nil { state.parts.append(part) }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: part)
    }

    func end() {
        let waiting = state.withLock { state in
            state.isEnded = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: nil)
    }

    /// Whether somebody waits: what was read may have held no whole part.
    var isWanted: Bool { state.withLock { $0.waiting != nil } }
}

private final class UpstreamHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let inbox: UpstreamInbox

    init(_ inbox: UpstreamInbox) { self.inbox = inbox }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { inbox.take(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        if inbox.isWanted { context.read() }
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        inbox.end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        inbox.end()
        context.close(promise: nil)
    }
}
