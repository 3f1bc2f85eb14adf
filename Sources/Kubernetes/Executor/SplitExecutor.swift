// Steps that need no container run in the server, the others as pods.

package import Executors
package import Scheduling
import Synchronization
import WorkflowLanguage

package final class SplitExecutor: Executor {
    /// Launches that run in the server.
    private final class LocalKeys: Sendable {
        let all = Mutex<Set<AttemptKey>>([])
    }

    package let name = "kubernetes"
    package let reports: AsyncStream<ExecutorReport>
    private let pods: KubernetesExecutor
    private let local: LocalExecutor
    private let continuation: AsyncStream<ExecutorReport>.Continuation
    private let localKeys = LocalKeys()
    private let relays: [Task<Void, Never>]
    private let kept: (any Sendable)?

    /// - Parameters:
    ///   - local: runs http and data templates.
    ///   - kept: what must live as long as this does, such as the door that pods come to.
    package init(pods: KubernetesExecutor, local: LocalExecutor, keeping kept: (any Sendable)? = nil) {
        self.kept = kept
        self.pods = pods
        self.local = local
        let (stream, continuation) = AsyncStream.makeStream(of: ExecutorReport.self)
        reports = stream
        self.continuation = continuation
        // They end with the streams that they read, which `shutDown` ends and waits for.
        let keys = localKeys
        relays = [pods.reports, local.reports].map { reports in
            Task {
                for await report in reports {
                    if case .finished(let key, _) = report { keys.all.withLock { _ = $0.remove(key) } }
                    continuation.yield(report)
                }
            }
        }
    }

    package func launch(_ launch: Launch, values: LaunchValues) async {
        switch launch.template.kind {
        case .http, .data:
            localKeys.all.withLock { _ = $0.insert(launch.key) }
            await local.launch(launch, values: values)
        default: await pods.launch(launch, values: values)
        }
    }

    package func cancel(_ key: AttemptKey, immediately: Bool) async {
        if localKeys.all.withLock({ $0.contains(key) }) {
            await local.cancel(key, immediately: immediately)
        } else {
            await pods.cancel(key, immediately: immediately)
        }
    }

    package func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {
        await pods.removeWorkingFiles(workflowUID: workflowUID, nodeID: nodeID)
        await local.removeWorkingFiles(workflowUID: workflowUID, nodeID: nodeID)
    }

    package func runEnded(_ run: EndedRun) async { await pods.runEnded(run) }

    package func runDeleted(_ run: DeletedRun) async { await pods.runDeleted(run) }

    package func clearForgotten(known: KnownRuns) async throws -> Int {
        try await pods.clearForgotten(known: known)
    }

    /// What steps in pods note of themselves while they run.
    package var metrics: AsyncStream<MetricSample> { pods.metrics }

    package func acknowledge(_ sample: MetricSample) { pods.acknowledge(sample) }

    package func shutDown() async {
        await pods.shutDown()
        await local.shutDown()
        for relay in relays { await relay.value }
        continuation.finish()
    }
}
