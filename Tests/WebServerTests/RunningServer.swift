// A server on a free port for the length of a test.
import Inference
import Synchronization

@testable import WebServer

enum RunningServer {
    /// Runs a server beside `body`, which gets its port; stops it behind.
    static func with(
        _ service: any InferenceService, surroundings: ServerSurroundings = .system,
        configure: (inout ServingSettings) -> Void = { _ in },
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        var settings = ServingSettings()
        settings.port = 0
        settings.logLevel = .critical
        settings.drainTimeout = .seconds(10)
        configure(&settings)
        let server = try OpenAIServer(service: service, settings: settings, surroundings: surroundings)
        let (ports, found) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await server.run { found.yield($0) }
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else {
                try await group.waitForAll()
                return
            }
            do {
                try await body(port)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
