// Work that blocks its thread (deleting trees, hashing) beside the threads that all tasks share.

import Dispatch

enum Blocking {
    /// One after the other: two deletions at once would only wait for the same disk.
    private static let queue = DispatchQueue(label: "martlet.operations.files", qos: .utility)

    /// Runs `body` on a thread where it may block, and returns when it has ended.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: body)) }
        }
    }
}
