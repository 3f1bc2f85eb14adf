// Threads of the system for what blocks: the threads that all tasks share must never wait.

import Glibc

package enum SystemThread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a thread made for it, which nobody waits for.
    /// - Parameter stackBytes: nil for as much as the system gives.
    /// - Returns: 0, or why the system refuses a thread (`errno`); then `body` never runs.
    package static func start(stackBytes: Int? = nil, _ body: @escaping @Sendable () -> Void) -> Int32 {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        if let stackBytes { pthread_attr_setstacksize(&attributes, stackBytes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        if status != 0 { work.release() }
        return status
    }

    /// Runs what blocks on a thread made for it.
    /// - Throws: what `body` throws, or `ArtifactError` when the system refuses a thread.
    package static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let status = start { continuation.resume(with: Result(catching: body)) }
            if status != 0 {
                // The body is not begun, so that nothing else resumes.
                continuation.resume(throwing: ArtifactError(errno: status, path: "thread", while: "start"))
            }
        }
    }
}
