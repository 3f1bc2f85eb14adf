// TLS before a plain server of this machine, and a proxy that connects on request: what stands between a client and a
// cluster's API.

import NIOCore
import NIOPosix
import NIOSSL

/// Passes on what one side of a pair of connections says. Without back-pressure, which tests can do without.
private final class Relay: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel

    init(to other: any Channel) { self.other = other }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        other.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private enum Pair {
    /// Connects to a port of this machine on the loop of the connection that wants it.
    static func upstream(_ port: Int, for channel: any Channel) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: channel.eventLoop).connect(host: "127.0.0.1", port: port)
    }
}

/// Listens with TLS on a free port, and hands what it hears on in the clear.
package final class TLSFront: Sendable {
    package let port: Int
    private let listener: any Channel

    /// - Parameters:
    ///   - chain: PEM certificates, its own first.
    ///   - clientAuthority: PEM; clients must show a certificate of it. Nil asks for none.
    ///   - target: the port to hand on to.
    package init(chain: [UInt8], key: [UInt8], clientAuthority: [UInt8]? = nil, target: Int) async throws {
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(chain).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem)))
        if let clientAuthority {
            settings.certificateVerification = .noHostnameVerification
            settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(clientAuthority))
        }
        let context = try NIOSSLContext(configuration: settings)
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                Pair.upstream(target, for: channel).flatMapThrowing { upstream in
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLServerHandler(context: context), Relay(to: upstream),
                    ])
                    try upstream.pipeline.syncOperations.addHandler(Relay(to: channel))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = listener.localAddress?.port ?? 0
    }

    package func stop() async { try? await listener.close() }
}

/// An HTTP proxy that knows only CONNECT, and remembers for whom it was asked.
package final class ConnectProxy: Sendable {
    package let port: Int
    private let listener: any Channel
    private let asked: AskedList

    package init() async throws {
        let asked = AskedList()
        self.asked = asked
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectHandler(asked))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = listener.localAddress?.port ?? 0
    }

    /// `HOST:PORT` and the credentials of each request, in their order.
    package var requests: [(target: String, authorization: String)] { asked.all }

    package func stop() async { try? await listener.close() }
}

private final class ConnectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let asked: AskedList
    private var head = ""

    init(_ asked: AskedList) { self.asked = asked }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        head += String(buffer: unwrapInboundIn(data))
        guard head.hasSuffix("\r\n\r\n") else { return }
        let lines = head.split(separator: "\r\n").map(String.init)
        let words = (lines.first ?? "").split(separator: " ").map(String.init)
        let target = words.count > 1 ? words[1] : ""
        let login = lines.first { $0.lowercased().hasPrefix("proxy-authorization:") } ?? ""
        asked.note(target, String(login.drop { $0 != ":" }.dropFirst().drop { $0 == " " }))
        guard words.first == "CONNECT", target.hasPrefix("127.0.0.1:"),
            let port = Int(target.dropFirst("127.0.0.1:".count))
        else {
            // A name that only the client can resolve comes to nothing here, as it does with a proxy elsewhere.
            let refusal = ByteBuffer(string: "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            context.writeAndFlush(NIOAny(refusal), promise: nil)
            return
        }
        let channel = context.channel
        let done = ByteBuffer(string: "HTTP/1.1 200 Connected\r\n\r\n")
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        Pair.upstream(port, for: channel).whenSuccess { upstream in
            let pipeline = channel.pipeline.syncOperations
            try? upstream.pipeline.syncOperations.addHandler(Relay(to: channel))
            try? pipeline.addHandler(Relay(to: upstream))
            channel.writeAndFlush(done, promise: nil)
            pipeline.removeHandler(handler.value, promise: nil)
        }
    }
}
