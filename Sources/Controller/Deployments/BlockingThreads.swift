// Work that blocks for moments or, while a server is asked something, for longer: beside the threads that
// tasks share.

import Dispatch

enum BlockingThreads {
    private static let queue = DispatchQueue(
        label: "martlet.deployments", qos: .userInitiated, attributes: .concurrent)

    /// Runs `body` on a thread where it may block. A task that is cancelled does not wait for the end of it.
    /// - Throws: what `body` throws; `CancellationError`.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let (results, continuation) = AsyncStream.makeStream(of: Result<Value, any Error>.self)
        queue.async {
            continuation.yield(Result(catching: body))
            continuation.finish()
        }
        for await result in results { return try result.get() }
        throw CancellationError()
    }
}
