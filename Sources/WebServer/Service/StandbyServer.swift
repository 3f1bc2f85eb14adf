// What a server says while it only waits for another's end: that it is alive, and that it is not the one to ask.

import Logging
import Synchronization
import Text

/// Answers at the service's own address until the service itself begins.
package final class StandbyServer: Sendable {
    private let settings: ServiceSettings
    private let certificates: ServerCertificates?
    /// Who serves instead; empty while nobody is known.
    private let holder = Mutex("")

    /// - Throws: `CertificateError` when the certificates cannot be used.
    package init(_ settings: ServiceSettings) throws {
        self.settings = settings
        certificates = try settings.tls.map(ServerCertificates.init)
    }

    package func set(holder name: String) { holder.withLock { $0 = name } }

    /// Serves until the task is cancelled.
    /// - Parameter onReady: called once with the address.
    package func run(onReady: @escaping @Sendable (String) -> Void) async throws {
        var logger = Logger(label: "martlet.standby")
        logger.logLevel = .error
        let server = HTTPServer(
            settings: .init(
                host: settings.host, port: settings.port, maxConnections: settings.maxConnections,
                idleTimeout: .seconds(60), bodyTimeout: .seconds(30), drainTimeout: .milliseconds(200),
                certificates: certificates),
            logger: logger, surroundings: .system, onDrain: {}, respond: { self.respond(to: $0) })
        let scheme = certificates == nil ? "http" : "https"
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        try await server.run(onReady: { onReady("\(scheme)://\(host):\($0)") })
    }

    private func respond(to call: HTTPCall) -> HTTPReply {
        let holder = holder.withLock { $0 }
        let whole = JSONValue.object([
            "status": "standby", "holder": .string(holder),
            "message": .string(
                "this server is on standby; \(holder.isEmpty ? "another server" : holder) drives the runs"),
            "code": 14,
        ])
        let isAlive = call.path == "/healthz"
        return HTTPReply(
            status: isAlive ? 200 : 503,
            headers: [
                ("Content-Type", "application/json"), ("Retry-After", "2"), ("Cache-Control", "no-store"),
            ],
            body: .bytes(Array(whole.compactText.utf8)))
    }
}
