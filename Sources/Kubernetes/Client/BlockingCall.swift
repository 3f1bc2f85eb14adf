// Waiting for files and programs without holding up the tasks of others: on threads of its own.

import Dispatch

enum BlockingCall {
    /// Threads come and go as needed; each caller waits for its own call only.
    private static let queue = DispatchQueue(label: "martlet.kubernetes", attributes: .concurrent)

    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
