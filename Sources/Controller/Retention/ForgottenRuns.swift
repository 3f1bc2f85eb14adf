// What deleted runs have left outside of the data directory, and looking for it until all of it is gone.

package import Executors
import Persistence

extension WorkflowController {
    /// Clears away what a run that was just deleted has elsewhere.
    package nonisolated func runDeleted(_ run: DeletedRun) async { await executor.runDeleted(run) }

    /// Clears away what is left of runs that the database does not know.
    /// - Returns: of how many runs something was left.
    package nonisolated func clearForgotten() async throws -> Int {
        let store = store
        return try await executor.clearForgotten { uids in
            Set(try await store.workflowSummaries(uids).keys)
        }
    }
}

/// Looks for such things when it begins, until it has been everywhere, and then once a day: for runs that another
/// process deleted, which did not know of the cluster.
package struct ForgottenRuns: Sendable {
    private static let interval = Duration.seconds(86_400)
    private static let firstPause = Duration.seconds(5)
    private static let longestPause = Duration.seconds(300)

    private let clear: @Sendable () async throws -> Int
    private let sleep: @Sendable (Duration) async throws -> Void
    private let note: @Sendable (Result<Int, any Error>) -> Void

    /// - Parameters:
    ///   - clear: `WorkflowController.clearForgotten`.
    ///   - note: told of each look that found something or could not be finished.
    package init(
        clear: @escaping @Sendable () async throws -> Int,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        note: @escaping @Sendable (Result<Int, any Error>) -> Void
    ) {
        self.clear = clear
        self.sleep = sleep
        self.note = note
    }

    /// Goes on until it is cancelled.
    package func run() async throws {
        var pause = Self.firstPause
        while true {
            do {
                let count = try await clear()
                if count > 0 { note(.success(count)) }
                pause = Self.firstPause
                try await sleep(Self.interval)
            } catch let error as CancellationError {
                throw error
            } catch {
                note(.failure(error))
                try await sleep(pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }
}
