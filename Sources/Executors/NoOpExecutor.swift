// An executor that runs nothing: every step succeeds at once. For measuring and testing what is above it.

package import Scheduling
package import Text
import WorkflowLanguage

package final class NoOpExecutor: Executor {
    package let name = "none"
    package let reports: AsyncStream<ExecutorReport>
    private let continuation: AsyncStream<ExecutorReport>.Continuation
    private let now: @Sendable () -> Timestamp

    package init(now: @escaping @Sendable () -> Timestamp) {
        (reports, continuation) = AsyncStream.makeStream(of: ExecutorReport.self)
        self.now = now
    }

    package func launch(_ launch: Launch, values: LaunchValues) async {
        var outcome = AttemptOutcome(phase: .succeeded, exitCode: 0, finishedAt: now())
        outcome.outputs.exitCode = "0"
        continuation.yield(.finished(launch.key, outcome))
    }

    package func cancel(_ key: AttemptKey, immediately: Bool) async {}
    package func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {}
    package func shutDown() async { continuation.finish() }
}
