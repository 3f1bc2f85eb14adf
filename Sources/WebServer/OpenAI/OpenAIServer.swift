// The OpenAI-compatible server of one model: starts, answers, and stops in order.
package import Inference
import Logging

/// Serves a model over HTTP until its task is cancelled.
package struct OpenAIServer: Sendable {
    private let settings: ServingSettings
    private let routes: OpenAIRoutes
    private let server: HTTPServer

    /// - Throws: if the chat template cannot be compiled.
    package init(service: any InferenceService, settings: ServingSettings) throws {
        try self.init(service: service, settings: settings, surroundings: .system)
    }

    init(
        service: any InferenceService, settings: ServingSettings, surroundings: ServerSurroundings
    ) throws {
        var logger = Logger(label: "martlet.serve") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: settings.logLevel.rawValue) ?? .notice
        let routes = try OpenAIRoutes(
            service: service, settings: settings, surroundings: surroundings, logger: logger)
        self.settings = settings
        self.routes = routes
        server = HTTPServer(
            settings: .init(
                host: settings.host, port: settings.port, maxConnections: settings.maxConnections,
                idleTimeout: settings.idleTimeout, bodyTimeout: settings.bodyTimeout,
                drainTimeout: settings.drainTimeout),
            logger: logger, surroundings: surroundings, onDrain: { routes.drain() },
            respond: { try await routes.respond(to: $0) })
    }

    /// Listens and answers until the task is cancelled. Then nothing new is accepted, running requests are
    /// finished, and what is not done after `drainTimeout` is given up.
    /// - Parameter onReady: called once with the port.
    /// - Throws: if the address cannot be used.
    package func run(onReady: @escaping @Sendable (Int) -> Void) async throws {
        try await server.run(onReady: onReady)
    }
}
