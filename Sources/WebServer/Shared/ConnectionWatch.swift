// Tells a request's work that its client went away, and closes connections that send or read too slowly.
import NIOCore
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

/// Stands in a connection's pipeline: sees requests come and the client go.
final class ConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    let watch = ConnectionWatch()
    private let bodyTimeout: TimeAmount
    private var deadline: Scheduled<Void>?

    /// - Parameter bodyTimeout: how long a body may take to arrive, in all. (Heads are limited by the idle
    ///   timeout of the server, because nothing of them is seen here before they are complete.)
    init(bodyTimeout: Duration) {
        self.bodyTimeout = TimeAmount(bodyTimeout)
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
        watch.markGone()
        context.fireErrorCaught(error)
    }
}
