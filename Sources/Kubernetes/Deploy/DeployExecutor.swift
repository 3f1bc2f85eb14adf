// Takes `deploy` steps to a cluster, and hands all others on.

import Artifacts
package import Executors
package import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// The executor for deployments, around another. A deploy step is a roll-out: it is watched to its end, and
/// rolled back when it fails. The Deployment itself remembers which launch it stands for, so that a later
/// process goes on.
package final class DeployExecutor: Executor {
    package let name = "kubernetes"
    /// Unbounded, since each launch gives a handful of reports and the consumer handed the launch in.
    package let reports: AsyncStream<ExecutorReport>
    package var usage: ExecutorUsage? { base.usage }

    private struct State {
        /// Roll-outs under way, each with the task that watches it.
        var rollouts: [AttemptKey: Task<Void, Never>] = [:]
        /// Those that were asked to end.
        var cancelled: Set<AttemptKey> = []
        var isShutDown = false
    }

    private let base: any Executor
    private let pods: KubernetesExecutor
    private let pause: Duration
    private let state = Mutex(State())
    private let reporter: AsyncStream<ExecutorReport>.Continuation
    private let relay: Task<Void, Never>

    /// - Parameters:
    ///   - base: runs all that is no deployment.
    ///   - pods: whose connection, settings and exchange with pods are used.
    ///   - pause: between two looks at a roll-out.
    package init(base: any Executor, pods: KubernetesExecutor, pause: Duration = .seconds(2)) {
        self.base = base
        self.pods = pods
        self.pause = pause
        let (stream, reporter) = AsyncStream.makeStream(of: ExecutorReport.self)
        reports = stream
        self.reporter = reporter
        // Owned here and waited for in `shutDown`.
        relay = Task { for await report in base.reports { reporter.yield(report) } }
    }

    package func launch(_ launch: Launch, values: LaunchValues) async {
        guard launch.isDeployment else { return await base.launch(launch, values: values) }
        let key = launch.key
        pods.exchange.expect(launch, values)
        state.withLock { state in
            guard !state.isShutDown, state.rollouts[key] == nil else { return }
            state.rollouts[key] = Task { [weak self] in await self?.run(launch) }
        }
    }

    package func cancel(_ key: AttemptKey, immediately: Bool) async {
        let isKnown = state.withLock { state in
            guard state.rollouts[key] != nil else { return false }
            state.cancelled.insert(key)
            return true
        }
        if !isKnown { await base.cancel(key, immediately: immediately) }
    }

    package func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {
        await base.removeWorkingFiles(workflowUID: workflowUID, nodeID: nodeID)
    }

    package func runEnded(_ run: EndedRun) async { await base.runEnded(run) }

    package func runDeleted(_ run: DeletedRun) async { await base.runDeleted(run) }

    package func clearForgotten(known: KnownRuns) async throws -> Int {
        try await base.clearForgotten(known: known)
    }

    /// What steps in pods note of themselves while they run.
    package var metrics: AsyncStream<MetricSample> { pods.metrics }

    package func acknowledge(_ sample: MetricSample) { pods.acknowledge(sample) }

    package func shutDown() async {
        let tasks = state.withLock { state in
            state.isShutDown = true
            return Array(state.rollouts.values)
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await base.shutDown()
        await relay.value
        reporter.finish()
    }

    /// The models that the cluster serves for this installation.
    package var deployments: any ClusterDeployments {
        DeployedModels(client: pods.client, settings: pods.renderer.settings, traces: pods.traces)
    }

    private func modelHash(of launch: Launch) async -> String {
        guard let key = launch.inputs.artifact("model")?.location?.settings["key"]?.stringValue else {
            return ""
        }
        let (store, namespace) = (pods.exchange.store, launch.namespace)
        return (try? await BlockingCall.run { try store.resolve(key: key, namespace: namespace)?.hash }) ?? ""
    }

    private func run(_ launch: Launch) async {
        let key = launch.key
        // Where it can be looked for; without the note it is only not shown.
        try? await pods.traces.note(launch.namespace)
        let rollout = Rollout(
            client: pods.client, launch: launch, settings: pods.renderer.settings,
            token: pods.exchange.token(key), modelHash: await modelHash(of: launch),
            pause: pause, now: pods.now,
            values: { [exchange = pods.exchange] template in
                // A launch's own, whatever other launches have of the same content: theirs may go before.
                RunValues(template, exchange.values(key)) {
                    exchange.mark("\(DeployMarks.identity(launch)) \($0)")
                }
            },
            started: { [reporter, now = pods.now] in reporter.yield(.started(key, host: "", at: now())) },
            waiting: { [reporter] in reporter.yield(.waiting(key, message: $0)) },
            isCancelled: { [weak self] in self?.state.withLock { $0.cancelled.contains(key) } ?? true })
        guard var outcome = await rollout.run() else { return }
        outcome.finishedAt = pods.now()
        state.withLock { state in
            state.rollouts[key] = nil
            state.cancelled.remove(key)
        }
        pods.exchange.forget(key)
        reporter.yield(.finished(key, outcome))
    }
}
