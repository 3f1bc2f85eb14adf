// The hub's read protocols over a directory: starts, looks at what is there, answers, and stops in order.
import Logging
import NIOPosix
import Synchronization

/// Serves a directory of models and data sets over HTTP until its task is cancelled.
package struct HubServer: Sendable {
    /// Looks and digests at once; each may wait for a disk.
    private static let lookers = 4

    private let settings: HubServingSettings
    private let surroundings: ServerSurroundings
    private let routes: HubRoutes
    private let library: HubLibrary
    private let pool: NIOThreadPool
    private let logger: Logger

    /// - Throws: `HubSettingsError` if the directory or that for the state cannot be used.
    package init(settings: HubServingSettings) throws {
        try self.init(settings: settings, surroundings: .system)
    }

    init(settings: HubServingSettings, surroundings: ServerSurroundings) throws {
        var logger = Logger(label: "martlet.hub") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: settings.logLevel.rawValue) ?? .notice
        self.logger = logger
        self.settings = settings
        self.surroundings = surroundings
        pool = NIOThreadPool(numberOfThreads: Self.lookers)
        library = HubLibrary(
            scan: try RepositoryScan(directory: settings.directory),
            digests: try FileDigests(stateDirectory: settings.stateDirectory), pool: pool,
            freshness: settings.freshness, now: surroundings.now)
        routes = HubRoutes(settings: settings, surroundings: surroundings, library: library, logger: logger)
    }

    /// Listens and answers until the task is cancelled. Then nothing new is accepted, and running downloads
    /// are given up after `drainTimeout`.
    /// - Parameter onReady: called once with the port.
    /// - Throws: if the address cannot be used.
    package func run(onReady: @escaping @Sendable (Int) -> Void) async throws {
        pool.start()
        let result: Result<Void, any Error>
        do {
            result = .success(try await serve(onReady))
        } catch {
            result = .failure(error)
        }
        library.digests.stop()
        try await pool.shutdownGracefully()
        try result.get()
    }

    private func serve(_ onReady: @escaping @Sendable (Int) -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            if settings.faults?.redirects ?? false { try await openSecondPort(&group) }
            group.addTask {
                try await server(port: settings.port, isBehindRedirect: false).run(onReady: onReady)
            }
            group.addTask { await lookThrough() }
            // The lookers end by themselves, a server only when it was told to or failed.
            for _ in 0..<2 { try await group.next() }
        }
    }

    private func openSecondPort(_ group: inout ThrowingTaskGroup<Void, any Error>) async throws {
        let (ports, opened) = AsyncStream<Int>.makeStream()
        group.addTask {
            defer { opened.finish() }
            try await server(port: 0, isBehindRedirect: true).run { opened.yield($0) }
        }
        for await port in ports {
            routes.secondPort.store(port, ordering: .relaxed)
            return
        }
        try await group.next()
    }

    private func server(port: Int, isBehindRedirect: Bool) -> HTTPServer {
        let routes = routes
        return HTTPServer(
            settings: .init(
                host: settings.host, port: port, maxConnections: settings.maxConnections,
                idleTimeout: settings.idleTimeout, bodyTimeout: settings.bodyTimeout,
                drainTimeout: settings.drainTimeout, writeTimeout: settings.writeTimeout),
            logger: logger, surroundings: surroundings,
            onDrain: { [digests = library.digests] in digests.stop() },
            respond: { try await routes.respond(to: $0, isBehindRedirect: isBehindRedirect) })
    }

    /// Reads all files once in the background, because a client waits ten seconds for a description, and the
    /// digests of a large model take longer.
    private func lookThrough() async {
        for kind in RepositoryKind.allCases {
            for name in (try? await library.repositories(kind)) ?? [] {
                if Task.isCancelled { return }
                do {
                    _ = try await library.snapshot(of: name, revision: "main", .recent)
                } catch {
                    logger.warning(
                        "repository cannot be shown",
                        metadata: ["name": .string(name.id.shortened), "cause": "\(error)"])
                }
            }
        }
    }
}
