// A listening HTTP/1.1 server around a function from request to reply: accepting, writing, and stopping in
// order. Types of the HTTP library are met in this folder only.
import Glibc
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOPosix
import Synchronization
import Text

/// Serves until its task is cancelled.
struct HTTPServer: Sendable {
    struct Settings: Sendable {
        var host: String
        var port: Int
        var maxConnections: Int
        /// Connections without a request for so long are closed.
        var idleTimeout: Duration
        /// How long a body may take to arrive.
        var bodyTimeout: Duration
        /// How long running requests may take after the server was told to stop.
        var drainTimeout: Duration
        /// How long a client may leave a piece of a file unread.
        var writeTimeout = Duration.seconds(60)
        /// Whether `writeTimeout` holds for the pieces of streams, too.
        var limitsStreamWrites = false
        /// What the bodies of all requests together may hold in memory.
        var maxBodyBytes = 1 << 30
        /// The JSON that answers what is no request, in the shape of this server's other errors.
        var refusal: @Sendable (MalformedRequest) -> [UInt8] = { request in
            Array(APIError.malformed(request).json.compactText.utf8)
        }
        /// Certificates, which change when their files do; nil for plain HTTP.
        var certificates: ServerCertificates?
    }

    /// A body that is not read keeps its connection open up to this length.
    private static let shortBodyBytes = 64 << 10

    let settings: Settings
    let logger: Logger
    let surroundings: ServerSurroundings
    /// Called once when the server is told to stop, before it stops accepting.
    let onDrain: @Sendable () -> Void
    /// Answers a request. What it throws closes the connection.
    let respond: @Sendable (HTTPCall) async throws -> HTTPReply
    private let bodyBytes: BodyMeter

    init(
        settings: Settings, logger: Logger, surroundings: ServerSurroundings,
        onDrain: @escaping @Sendable () -> Void,
        respond: @escaping @Sendable (HTTPCall) async throws -> HTTPReply
    ) {
        self.settings = settings
        self.logger = logger
        self.surroundings = surroundings
        self.onDrain = onDrain
        self.respond = respond
        bodyBytes = BodyMeter(limitBytes: settings.maxBodyBytes)
    }

    /// Listens, calls `onReady` with the port, and returns when the task was cancelled and all requests are
    /// answered, or were given up after the drain timeout. Throws if the address cannot be used.
    func run(onReady: @escaping @Sendable (Int) -> Void) async throws {
        Self.raiseFileLimit()
        let (stopping, stop) = AsyncStream<Void>.makeStream()
        // Our own cancellation must not reach the connections, which are to be finished in order: this task
        // does not inherit it, and is waited for on the next line.
        let serving = Task { try await serve(until: stopping, onReady: onReady) }
        try await withTaskCancellationHandler {
            try await serving.value
        } onCancel: {
            stop.finish()
        }
    }

    /// Every connection is an open file, and the usual limit of a process is 1024.
    private static func raiseFileLimit() {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else { return }
        let wanted = min(limits.rlim_max, 65_536)
        guard limits.rlim_cur < wanted else { return }
        limits.rlim_cur = wanted
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    }

    private enum Progress { case ended, stopRequested, quiesced, expired }

    private func serve(
        until stopping: AsyncStream<Void>, onReady: @escaping @Sendable (Int) -> Void
    ) async throws {
        let server = makeServer(onReady: onReady)
        try await withThrowingTaskGroup(of: Progress.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                try await server.run()
                return .ended
            }
            group.addTask {
                for await _ in stopping {}
                return .stopRequested
            }
            while let progress = try await group.next() {
                switch progress {
                case .ended, .expired: return
                case .quiesced: continue
                case .stopRequested:
                    onDrain()
                    group.addTask {
                        try await server.shutdownGracefully()
                        return .quiesced
                    }
                    group.addTask {
                        try await surroundings.sleep(settings.drainTimeout)
                        return .expired
                    }
                }
            }
        }
    }

    private func makeServer(onReady: @escaping @Sendable (Int) -> Void) -> Server<SecurableChannel> {
        let (bodyTimeout, refusal) = (settings.bodyTimeout, settings.refusal)
        let channel = HTTP1Channel(
            responder: { request, writer, channel in try await answer(request, writer, channel) },
            configuration: .init(
                additionalChannelHandlers: [ConnectionHandler(bodyTimeout: bodyTimeout, refusal: refusal)],
                idleTimeout: TimeAmount(settings.idleTimeout),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 64 << 10, maxHeaderFieldCount: 200)))
        return Server(
            childChannelSetup: SecurableChannel(plain: channel, certificates: settings.certificates),
            configuration: .init(
                address: .hostname(settings.host, port: settings.port),
                availableConnectionsDelegate: MaximumAvailableConnections(
                    settings.maxConnections, logger: logger)),
            onServerRunning: { onReady($0.localAddress?.port ?? settings.port) },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
    }

    // MARK: One request

    private func answer(
        _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        let watch = try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: ConnectionHandler.self).watch
        }.get()
        let body = RequestBodyReader(request, channel, bodyBytes)
        let reply = try await respond(call(request, watch, body, peer: channel.remoteAddress?.ipAddress))
        // What nobody wants to read is not read to its end either, however long it is.
        let endsConnection = body.isLeftUnread(beyond: Self.shortBodyBytes)
        var fields = HTTPFields()
        for (name, value) in reply.headers {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        fields[.date] = HTTPDate.text(seconds: surroundings.wallSeconds())
        if endsConnection { fields[.connection] = "close" }
        let status = HTTPResponse.Status(code: reply.status)
        switch reply.body {
        case .bytes(let bytes):
            // 204 has no body, and may not say how long it is; 304 would have to say how long the file is.
            // The route knows better what HEAD would have sent.
            if reply.status != 204 && reply.status != 304 && fields[.contentLength] == nil {
                fields[.contentLength] = "\(bytes.count)"
            }
            let sent = request.method == .head ? [] : bytes
            try await writer.write(
                response: HTTPResponse(status: status, headerFields: fields),
                body: sent.isEmpty ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: sent)))
        case .stream(let write):
            let writer = try await writer.writeHead(HTTPResponse(status: status, headerFields: fields))
            let sink = BodySink(
                writer, channel, writeTimeout: settings.writeTimeout, limitsAll: settings.limitsStreamWrites)
            try await write(sink)
            try await sink.finish()
        }
        if endsConnection {
            await body.discard()
            // Beyond this the server's loop would read on.
            throw RequestBodyReader.Refused()
        }
    }

    private func call(
        _ request: Request, _ watch: ConnectionWatch, _ body: RequestBodyReader, peer: String?
    ) -> HTTPCall {
        // Of a header that comes twice, the last counts.
        var headers = Dictionary(
            request.headers.map { ($0.name.canonicalName, $0.value) }, uniquingKeysWith: { $1 })
        // The library takes the Host header out of the others.
        headers["host"] = request.head.authority
        return HTTPCall(
            method: request.method.rawValue, path: request.uri.path, query: request.uri.query ?? "",
            headers: headers, readBody: { try await body.read($0) }, connection: watch, peer: peer ?? "")
    }
}

/// Writes the pieces of a body to the connection.
private final class BodySink: ReplySink {
    /// A piece of a file in memory: large enough that calls cost nothing, small enough for 1,000 readers.
    private static let pieceBytes = 512 << 10

    private var writer: any ResponseBodyWriter
    private let channel: any Channel
    private let writeTimeout: TimeAmount
    private let limitsAll: Bool

    init(
        _ writer: any ResponseBodyWriter, _ channel: any Channel, writeTimeout: Duration, limitsAll: Bool
    ) {
        self.writer = writer
        self.channel = channel
        self.writeTimeout = TimeAmount(writeTimeout)
        self.limitsAll = limitsAll
    }

    func write(_ bytes: [UInt8]) async throws {
        guard limitsAll else { return try await pass(ByteBuffer(bytes: bytes)) }
        let channel = channel
        let deadline = channel.eventLoop.scheduleTask(in: writeTimeout) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        try await pass(ByteBuffer(bytes: bytes))
    }

    private func pass(_ buffer: ByteBuffer) async throws {
        try await Self.naming { try await writer.write(buffer) }
    }

    /// What a connection takes no more has nobody to read it.
    private static func naming(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch is ChannelError {
            throw ClientGone()
        } catch is IOError {
            throw ClientGone()
        }
    }

    func writeFile(
        _ descriptor: Int32, from offset: Int, count: Int, sent: @Sendable (Int) -> Void
    ) async throws {
        var (place, rest) = (offset, count)
        while rest > 0 {
            let (start, wanted) = (place, min(rest, Self.pieceBytes))
            // Reading may wait for a disk, which must hold up no thread that all requests share.
            let buffer = try await NIOThreadPool.singleton.runIfActive {
                try Self.read(descriptor, from: start, count: wanted)
            }
            let bytes = buffer.readableBytes
            try await send(buffer)
            sent(bytes)
            (place, rest) = (place + bytes, rest - bytes)
        }
    }

    /// Writes past the stream of pieces to the connection itself, because only that tells when the bytes
    /// left: a piece counts as sent when it was, and a reader that stopped is noticed.
    private func send(_ buffer: ByteBuffer) async throws {
        let channel = channel
        let deadline = channel.eventLoop.scheduleTask(in: writeTimeout) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        try await Self.naming { try await channel.writeAndFlush(HTTPResponsePart.body(buffer)).get() }
    }

    private static func read(_ descriptor: Int32, from offset: Int, count: Int) throws -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        while buffer.readableBytes < count {
            let (place, missing) = (offset + buffer.readableBytes, count - buffer.readableBytes)
            let length = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { bytes in
                max(0, pread(descriptor, bytes.baseAddress, min(bytes.count, missing), off_t(place)))
            }
            if length == 0 { break }
        }
        guard buffer.readableBytes > 0 else { throw FileEnded() }
        return buffer
    }

    func finish() async throws { try await writer.finish(nil) }
}
