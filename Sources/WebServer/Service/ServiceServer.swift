// The HTTP service of `martlet server`: the routes of all parts, listening at one address.

package import Controller
import Glibc
import Logging
import NIOCore
import Text

/// Serves the API, the page and health over HTTP until its task is cancelled.
package struct ServiceServer: Sendable {
    private let settings: ServiceSettings
    private let responder: ServiceResponder
    private let readiness: ReadinessWatch
    private let certificates: ServerCertificates?
    private let surroundings: ServerSurroundings
    private let logger: Logger

    /// - Throws: `CertificateError`; `ServiceStartError` when the settings cannot be served so.
    package init(
        settings: ServiceSettings, operations: WorkflowOperations, feed: RunFeed,
        checks: [ReadinessCheck] = [], log: ServiceLog,
        observability: ServiceObservability = ServiceObservability()
    ) throws {
        self.settings = settings
        logger = log.logger
        surroundings = .system
        certificates = try settings.tls.map(ServerCertificates.init)
        readiness = ReadinessWatch(checks: checks, surroundings: surroundings)
        let context = ServiceContext(
            store: operations.store, operations: operations, feed: feed, artifacts: operations.artifacts,
            dataDirectory: operations.dataDirectory, version: settings.version, surroundings: surroundings,
            logger: logger)
        responder = Self.responder(
            settings, context, readiness: readiness, isSecure: certificates != nil,
            observability: observability)
    }

    /// The service behind its sockets; tests call it without any.
    static func responder(
        _ settings: ServiceSettings, _ context: ServiceContext, readiness: ReadinessWatch,
        isSecure: Bool = false, groups: [any RouteGroup]? = nil,
        observability: ServiceObservability = ServiceObservability()
    ) -> ServiceResponder {
        let mode = settings.accessMode
        let access = AccessControl(
            mode: mode, store: context.store,
            origins: OriginCheck(
                checksHost: mode == .open && settings.isLoopback, allowedHosts: settings.allowedHosts),
            isSecure: isSecure, surroundings: context.surroundings, now: context.now, logger: context.logger)
        let groups =
            groups
            ?? ServiceRoutes.all(
                context, access: access, readiness: readiness, observability: observability)
        return ServiceResponder(
            router: ServiceRoutes.router(groups, page: PageRoutes(directory: settings.pageDirectory)),
            access: access,
            limits: .init(requests: settings.maxRequests, streams: settings.maxStreams),
            metrics: observability.service,
            surroundings: context.surroundings, now: context.now, logger: context.logger)
    }

    /// Reads the certificates again; on an error those that were read before stay.
    package func reloadCertificates() throws { try certificates?.reload() }

    /// Listens and answers until the task is cancelled. Then nothing new is accepted, event streams end at once, and
    /// what else is not done after `drainTimeout` is given up.
    /// - Parameter onReady: called once with the address, such as `http://127.0.0.1:2746`.
    /// - Throws: if the address cannot be used.
    package func run(onReady: @escaping @Sendable (String) -> Void) async throws {
        let (responder, settings) = (responder, settings)
        let server = HTTPServer(
            settings: .init(
                host: settings.host, port: settings.port, maxConnections: settings.maxConnections,
                idleTimeout: settings.idleTimeout, bodyTimeout: settings.bodyTimeout,
                drainTimeout: settings.drainTimeout, writeTimeout: settings.writeTimeout,
                limitsStreamWrites: true, maxBodyBytes: settings.maxBodyBytes,
                refusal: { Array(ServiceError($0.status, 3, $0.message).json.compactText.utf8) },
                certificates: certificates),
            logger: logger, surroundings: surroundings, onDrain: { responder.streams.drain() },
            respond: { try await responder.respond(to: $0) })
        let scheme = certificates == nil ? "http" : "https"
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        let (readiness, surroundings) = (readiness, surroundings)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    try await server.run { onReady("\(scheme)://\(host):\($0)") }
                } catch let error as IOError {
                    throw Self.startError(error, settings)
                }
                return true
            }
            group.addTask {
                await readiness.run()
                return false
            }
            group.addTask {
                while true {
                    try await surroundings.sleep(StreamRegistry.checkInterval)
                    await responder.streams.check { await responder.access.stillCounts($0) }
                }
            }
            defer { group.cancelAll() }
            // The server returns when it was told to stop and has stopped; the others end with it.
            while let result = await group.nextResult() {
                switch result {
                case .success(let isServer): if isServer { group.cancelAll() }
                case .failure(let error): if !(error is CancellationError) { throw error }
                }
            }
        }
    }

    private static func startError(_ error: IOError, _ settings: ServiceSettings) -> ServiceStartError {
        switch error.errnoCode {
        case EADDRINUSE:
            ServiceStartError(
                "port \(settings.port) of \(settings.host) is in use by another program; stop that, or take another "
                    + "port by `--listen \(settings.host):PORT` (port 0 takes a free one)")
        case EADDRNOTAVAIL:
            ServiceStartError(
                "\(settings.host) is no address of this machine; `--listen 0.0.0.0:\(settings.port)` takes all there are"
            )
        case EACCES:
            ServiceStartError(
                "port \(settings.port) is for the administrator only; take one from 1024 on by `--listen`")
        default: ServiceStartError("cannot listen at \(settings.host):\(settings.port): \(error)")
        }
    }
}

/// Why the service does not start, in words for people.
package struct ServiceStartError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
