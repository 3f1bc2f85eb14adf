// Waits that block their thread, beside the threads that all tasks share.

import Glibc

enum OwnThread {
    private final class Job: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs what blocks on a thread made for it.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job = Job { continuation.resume(with: Result(catching: body)) }
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().body()
                    return nil
                }, Unmanaged.passRetained(job).toOpaque())
            guard status == 0 else {
                // The job is not begun, so that nothing else resumes.
                continuation.resume(
                    throwing: CommandError("a thread cannot be made: \(String(cString: strerror(status)))"))
                return
            }
            pthread_detach(thread)
        }
    }
}
