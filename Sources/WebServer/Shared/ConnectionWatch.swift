// Tells a request's work that its client went away, and closes connections that send or read too slowly.
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Synchronization

/// The client's side closed before its answer was complete.
struct ClientGone: Error {}

/// One connection, as the tasks see that answer its requests.
final class ConnectionWatch: Sendable {
    private struct State {
        var isGone = false
        var nextKey = 0
        var actions: [Int: @Sendable () -> Void] = [:]
        var channel: (any Channel)?
    }

    private let state = Mutex(State())

    init() {}

    /// Runs `action` when the client goes away, at once if it already did, and never after `cancel`.
    func whenGone(_ action: @escaping @Sendable () -> Void) -> Registration {
        let key: Int? = state.withLock { state in
            if state.isGone { return nil }
            state.nextKey += 1
            state.actions[state.nextKey] = action
            return state.nextKey
        }
        if key == nil { action() }
        return Registration(watch: self, key: key)
    }

    /// Runs an operation, and cancels it and throws `ClientGone` when the client goes away.
    func whileConnected<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let (gone, signal) = AsyncStream<Void>.makeStream()
        let registration = whenGone { signal.finish() }
        defer { registration.cancel() }
        return try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask(operation: operation)
            group.addTask {
                for await _ in gone {}
                try Task.checkCancellation()
                throw ClientGone()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }

    /// Closes the connection at once, which also fails writes that wait for a slow reader.
    func close() {
        state.withLock { $0.channel }?.close(promise: nil)
    }

    /// The client went away.
    func markGone() {
        let actions = state.withLock { state in
            state.isGone = true
            defer { state.actions = [:] }
            return Array(state.actions.values)
        }
        actions.forEach { $0() }
    }

    fileprivate func bind(_ channel: (any Channel)?) { state.withLock { $0.channel = channel } }

    private func remove(_ key: Int) { state.withLock { _ = $0.actions.removeValue(forKey: key) } }

    /// An action that waits; it must be cancelled when its request ends, because connections serve many.
    struct Registration: Sendable {
        fileprivate let watch: ConnectionWatch
        fileprivate let key: Int?
        func cancel() { if let key { watch.remove(key) } }
    }
}

/// Why a request could not even be read.
struct MalformedRequest: Sendable, Hashable {
    var status: Int
    var message: String

    init(_ error: HTTPParserError) {
        if case .headerOverflow = error {
            status = 431
            message = "the request's address and headers are longer than this server reads"
        } else {
            status = 400
            message = "this is no request of HTTP/1.1: \(error)"
        }
    }
}

/// Stands in a connection's pipeline: sees requests come and the client go.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    let watch = ConnectionWatch()
    private let bodyTimeout: TimeAmount
    private let refusal: @Sendable (MalformedRequest) -> [UInt8]
    private var deadline: Scheduled<Void>?
    private var malformed: MalformedRequest?

    /// - Parameters:
    ///   - bodyTimeout: how long a body may take to arrive, in all. (Heads are limited by the idle timeout of the
    ///     server, because nothing of them is seen here before they are complete.)
    ///   - refusal: the JSON that answers what is no request.
    init(bodyTimeout: Duration, refusal: @escaping @Sendable (MalformedRequest) -> [UInt8]) {
        self.bodyTimeout = TimeAmount(bodyTimeout)
        self.refusal = refusal
    }

    /// The library answers what it cannot read with a status and no words; here it gets them.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard let malformed, case .head(let head) = unwrapOutboundIn(data), head.status == .badRequest,
            head.headerFields[.contentLength] == "0"
        else { return context.write(data, promise: promise) }
        self.malformed = nil
        let body = refusal(malformed)
        let fields: HTTPFields = [
            .contentType: "application/json", .contentLength: "\(body.count)", .connection: "close",
        ]
        let answer = HTTPResponse(status: .init(code: malformed.status), headerFields: fields)
        context.write(wrapOutboundOut(.head(answer)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body))), promise: promise)
    }

    func handlerAdded(context: ChannelHandlerContext) { watch.bind(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        watch.markGone()
        watch.bind(nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            let channel = context.channel
            deadline?.cancel()
            deadline = context.eventLoop.scheduleTask(in: bodyTimeout) { channel.close(promise: nil) }
        case .body: break
        case .end:
            deadline?.cancel()
            deadline = nil
        }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        watch.markGone()
        context.fireChannelInactive()
    }

    /// A client that closed its sending side is taken for gone, as other servers of this kind do: a vanished
    /// client and a half-closed connection look the same.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { watch.markGone() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError { malformed = MalformedRequest(error) }
        watch.markGone()
        context.fireErrorCaught(error)
    }
}
