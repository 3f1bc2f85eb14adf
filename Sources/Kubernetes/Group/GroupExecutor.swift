// Runs steps on several nodes as Indexed Jobs, and hands all others on to the executor for single pods.

package import Executors
package import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// The executor for groups, around that for pods. As there, names follow from launches and the cluster is the
/// truth: a Job that is there already is adopted. Job and pods of a namespace are each listed and watched
/// once.
package final class GroupExecutor: Executor {
    enum Stage: Sendable {
        case creating, watching, finishing
    }

    struct Doom: Sendable {
        var at: Timestamp
        var end: PodEnd
    }

    struct Attempt: Sendable {
        var launch: Launch
        var group: NodeGroup
        var jobName: String
        var stage = Stage.creating
        /// Nil: not cancelled; else whether at once.
        var cancel: Bool?
        var isStarted = false
        var waiting = ""
        var limits = LimitClock()
        /// How it ends when its Job has gone, and when it is not waited for any more.
        var doom: Doom?
        var jobUID = ""
        var job = JSONValue.null
        /// By uid.
        var members: [String: GroupVerdict.Member] = [:]
    }

    struct State: Sendable {
        var attempts: [AttemptKey: Attempt] = [:]
        /// Jobs of nodes whose work has ended, for when they are to be deleted.
        var ended: [String: Set<EndedObject>] = [:]
        /// Jobs that are to be deleted later.
        var due = DueRemovals()
        /// Runs whose Jobs from before this process were added to those.
        var recalled: Set<String> = []
        var namespaces: Set<String> = []
        var logs: [AttemptKey: GroupLog] = [:]
        /// Those who bring logs in, by pod's uid.
        var followers: [AttemptKey: [String: Task<Void, Never>]] = [:]
        var isShutDown = false
    }

    enum Order: Sendable {
        case create(AttemptKey)
        case watch(String)
        case look(AttemptKey)
        case delete(AttemptKey)
        case finish(AttemptKey, PodEnd)
        case remove(workflowUID: String, nodeID: NodeID)
        case removeJob(EndedObject)
    }

    package let name = "kubernetes"
    /// Unbounded, since each launch gives a handful of reports and the consumer handed the launch in.
    package let reports: AsyncStream<ExecutorReport>
    package var usage: ExecutorUsage? { base.usage }

    private let base: any Executor
    let pods: KubernetesExecutor
    let renderer: GroupRenderer
    let state = Mutex(State())
    let reporter: AsyncStream<ExecutorReport>.Continuation
    let orders: AsyncStream<Order>.Continuation
    private let tasks = Mutex<[Task<Void, Never>]>([])

    /// - Parameters:
    ///   - base: runs all that is no group.
    ///   - pods: whose connection, settings and exchange with pods are used.
    package init(base: any Executor, pods: KubernetesExecutor) {
        self.base = base
        self.pods = pods
        renderer = GroupRenderer(pods.renderer.settings)
        let (stream, reporter) = AsyncStream.makeStream(of: ExecutorReport.self)
        reports = stream
        self.reporter = reporter
        let (inlet, orders) = AsyncStream.makeStream(of: Order.self)
        self.orders = orders
        // Both are owned here and waited for in `shutDown`.
        let worker = Task { [weak self] in await Self.work(inlet) { [weak self] in self } }
        let relay = Task { for await report in base.reports { reporter.yield(report) } }
        tasks.withLock { $0 = [worker, relay] }
    }

    deinit { tasks.withLock { for task in $0 { task.cancel() } } }

    private static func work(
        _ orders: AsyncStream<Order>, _ executor: @escaping @Sendable () -> GroupExecutor?
    ) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                while (try? await Task.sleep(for: .seconds(1))) != nil {
                    guard let executor = executor() else { return }
                    executor.passLimits()
                    executor.removeDue()
                }
            }
            for await order in orders {
                group.addTask { await executor()?.perform(order) }
            }
            group.cancelAll()
        }
    }

    private func perform(_ order: Order) async {
        switch order {
        case .create(let key): await create(key)
        case .watch(let namespace): await watch(namespace)
        case .look(let key): await look(key)
        case .delete(let key): await delete(key)
        case .finish(let key, let end): await finish(key, end)
        case .remove(let uid, let node): await remove(workflowUID: uid, nodeID: node)
        case .removeJob(let job): await remove(job)
        }
    }

    // MARK: Executor

    package func launch(_ launch: Launch, values: LaunchValues) async {
        let asked: NodeGroup?
        do throws(NodeGroup.Problem) {
            asked = try NodeGroup(launch.template)
        } catch {
            let outcome = AttemptOutcome(phase: .error, message: error.description, failureClass: .user)
            reporter.yield(.finished(launch.key, outcome))
            return
        }
        guard let group = asked else { return await base.launch(launch, values: values) }
        if group.nodes == 1 { return await base.launch(GroupRenderer.alone(launch, group), values: values) }
        let (isNew, isNewNamespace) = state.withLock { state -> (Bool, Bool) in
            guard !state.isShutDown, state.attempts[launch.key] == nil else { return (false, false) }
            state.attempts[launch.key] = Attempt(
                launch: launch, group: group, jobName: GroupMarks.name(launch))
            return (true, state.namespaces.insert(launch.namespace).inserted)
        }
        guard isNew else { return }
        pods.exchange.expect(launch, values)
        if isNewNamespace { orders.yield(.watch(launch.namespace)) }
        orders.yield(.create(launch.key))
    }

    package func cancel(_ key: AttemptKey, immediately: Bool) async {
        let stage = state.withLock { state -> Stage? in
            guard var attempt = state.attempts[key] else { return nil }
            attempt.cancel = immediately || attempt.cancel == true
            state.attempts[key] = attempt
            return attempt.stage
        }
        guard let stage else { return await base.cancel(key, immediately: immediately) }
        // One that is being made finds the word when it is made.
        if stage == .watching { end(key, slowly: KubernetesExecutor.terminated) }
    }

    package func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {
        // Asked first: the base forgets what it removes.
        let isPod = pods.state.withLock { $0.ended["\(workflowUID)/\(nodeID)"] != nil }
        await base.removeWorkingFiles(workflowUID: workflowUID, nodeID: nodeID)
        if !isPod { orders.yield(.remove(workflowUID: workflowUID, nodeID: nodeID)) }
    }

    package func runEnded(_ run: EndedRun) async { await base.runEnded(run) }

    package func runDeleted(_ run: DeletedRun) async { await base.runDeleted(run) }

    package func clearForgotten(known: KnownRuns) async throws -> Int {
        try await base.clearForgotten(known: known)
    }

    package func shutDown() async {
        let followers = state.withLock { state in
            state.isShutDown = true
            defer { state.followers = [:] }
            return state.followers.values.flatMap(\.values)
        }
        orders.finish()
        for task in followers { task.cancel() }
        let (worker, relay) = tasks.withLock { ($0.first, $0.last) }
        worker?.cancel()
        await worker?.value
        for task in followers { await task.value }
        await base.shutDown()
        await relay?.value
        reporter.finish()
    }
}
