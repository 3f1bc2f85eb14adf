// Runs steps as pods of a cluster.

package import Artifacts
package import Executors
package import Scheduling
import Synchronization
package import Text
import WorkflowLanguage

/// The executor for clusters. The cluster is the truth: a pod's name follows from its launch, so that a
/// create which is repeated finds what it made; what a pod came to is read from its status, by a watch of
/// each namespace.
package final class KubernetesExecutor: Executor {
    enum Stage: Sendable {
        case creating, watching, finishing
    }

    struct Attempt: Sendable {
        let held: HeldLaunch
        var launch: Launch { held.launch }
        var podName: String
        var work: Set<String>
        var stage = Stage.creating
        /// Nil: not cancelled; else whether at once.
        var cancel: Bool?
        var isStarted = false
        var isReady = false
        var waiting = ""
        var limits = LimitClock()
        var podUID = ""
        var host = ""
        /// When it was first seen at work; nil before.
        var runningSince: Timestamp?
        var isFollowed = false
        /// What the watch told while the answer to the create was under way.
        var early: EarlyWord?
        /// How many lists had been taken when the create began.
        var listsBefore = 0
        /// Before the next try of the create.
        var pause = KubernetesExecutor.firstPause
    }

    /// The newest that the watch told of a pod that is being made.
    struct EarlyWord: Sendable {
        let pod: JSONValue
        let isGone: Bool
    }

    struct State: Sendable {
        var attempts: [AttemptKey: Attempt] = [:]
        /// Pods by namespace and name.
        var keys: [String: AttemptKey] = [:]
        /// Pods of nodes whose work has ended, for when they are to be deleted.
        var ended: [String: [EndedObject]] = [:]
        /// Pods that are to be deleted later.
        var due = DueRemovals()
        /// Deletions for runs and nodes that have begun and not ended.
        var openRemovals = 0
        /// Of them those of whole runs.
        var openRunRemovals = 0
        /// Logs that are read while their pods run.
        var liveLogs = 0
        /// Where attempts failed, by run and step, for steps that are to go elsewhere then.
        var failedHosts: [String: Set<String>] = [:]
        var creates = JobLane<AttemptKey>(limit: KubernetesExecutor.writesAtOnce)
        var ends = JobLane<Job>(limit: KubernetesExecutor.readsAtOnce)
        var namespaces: Set<String> = []
        /// Lists of pods that were taken whole.
        var lists = 0
        var isShutDown = false
    }

    enum Job: Sendable {
        case create(AttemptKey)
        case createLater(AttemptKey, Duration)
        case watch(String)
        case delete(namespace: String, pod: String, uid: String?, graceSeconds: Int)
        case finish(AttemptKey, PodEnd, JSONValue)
        case look(AttemptKey)
        case resource(AttemptKey)
        case acknowledge(MetricSample)
        case follow(AttemptKey)
        case endRun(EndedRun, deletesClaims: Bool)
        case removePods(workflowUID: String, nodeID: NodeID)
        case removeRun(DeletedRun)
    }

    /// Requests that change something, at a time: more would only wait in the API.
    static let writesAtOnce = 24
    /// Ends that are being read at a time.
    static let readsAtOnce = 24
    /// Logs that are read live at a time, each over a connection of its own; the others are read at the end.
    static let liveLogLimit = 64
    /// Steps that end sooner have their logs read once, at the end.
    static let liveLogDelay = Duration.seconds(1)

    package let name = "kubernetes"
    /// Unbounded, since each launch gives a handful of reports and the consumer handed the launch in.
    package let reports: AsyncStream<ExecutorReport>

    let client: KubernetesClient
    let renderer: PodRenderer
    let objects: RunObjectKeeper
    let remover: RunRemover
    let traces: ClusterTraces
    package let exchange: StepExchange
    let logs: PodLogs
    let kinds: ResourceKinds
    let lives: PodReports
    let now: @Sendable () -> Timestamp
    let state = Mutex(State())
    let reporter: AsyncStream<ExecutorReport>.Continuation
    let jobs: AsyncStream<Job>.Continuation
    let writes = CallGate(limit: KubernetesExecutor.writesAtOnce)
    let reads = CallGate(limit: KubernetesExecutor.readsAtOnce)
    private let runner: Mutex<Task<Void, Never>?> = Mutex(nil)

    package init(
        client: KubernetesClient, settings: PodSettings, store: LocalArtifactStore, dataDirectory: String,
        now: @escaping @Sendable () -> Timestamp
    ) throws {
        self.client = client
        self.now = now
        renderer = PodRenderer(settings)
        exchange = try StepExchange(store: store, dataDirectory: dataDirectory)
        traces = ClusterTraces(dataDirectory, exchange.dataMark)
        remover = RunRemover(client: client, settings: settings)
        objects = RunObjectKeeper(client: client, settings: settings, traces: traces)
        logs = PodLogs(client: client, dataDirectory: dataDirectory)
        kinds = ResourceKinds(client: client)
        lives = PodReports(dataDirectory: dataDirectory)
        (reports, reporter) = AsyncStream.makeStream(of: ExecutorReport.self)
        let (stream, continuation) = AsyncStream.makeStream(of: Job.self)
        jobs = continuation
        exchange.setListener(reports: lives) { [reporter] key, progress in
            reporter.yield(.progress(key, progress))
        }
        // One task, owned here and waited for in `shutDown`, around a group for everything else.
        let task = Task { [weak self] in await Self.work(stream) { [weak self] in self } }
        runner.withLock { $0 = task }
    }

    deinit { runner.withLock { $0?.cancel() } }

    private static func work(
        _ jobs: AsyncStream<Job>, _ executor: @escaping @Sendable () -> KubernetesExecutor?
    ) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await tick(executor) }
            for await job in jobs {
                switch job {
                // Thousands of these come at once, and a task each would be most of the memory there is.
                case .create(let key):
                    guard executor()?.enter(create: key) == true else { continue }
                    group.addTask { while await executor()?.performCreate() == true {} }
                case .finish, .look:
                    guard executor()?.enter(end: job) == true else { continue }
                    group.addTask { while await executor()?.performEnd() == true {} }
                case .createLater(let key, let pause):
                    group.addTask {
                        guard (try? await Task.sleep(for: pause)) != nil else { return }
                        executor()?.jobs.yield(.create(key))
                    }
                default: group.addTask { await executor()?.perform(job) }
                }
            }
            group.cancelAll()
        }
    }

    private func enter(create key: AttemptKey) -> Bool { state.withLock { $0.creates.enter(key) } }

    private func enter(end job: Job) -> Bool { state.withLock { $0.ends.enter(job) } }

    /// - Returns: whether there may be more.
    private func performCreate() async -> Bool {
        guard !Task.isCancelled, let key = state.withLock({ $0.creates.next() }) else { return false }
        await create(key)
        return true
    }

    private func performEnd() async -> Bool {
        guard !Task.isCancelled, let job = state.withLock({ $0.ends.next() }) else { return false }
        await perform(job)
        return true
    }

    /// Looks for pods whose patience is at its end.
    private static func tick(_ executor: @Sendable () -> KubernetesExecutor?) async {
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            guard let executor = executor() else { return }
            executor.passLimits()
            executor.removeDue()
            executor.followLogs()
        }
    }

    // MARK: Executor

    package func launch(_ launch: Launch, values: LaunchValues) async {
        let key = launch.key
        let name = PodNames.pod(launch)
        let place = Self.place(launch.namespace, name)
        let held = HeldLaunch(launch)
        let (isNew, isNewNamespace) = state.withLock { state -> (Bool, Bool) in
            guard !state.isShutDown, state.attempts[key] == nil else { return (false, false) }
            state.attempts[key] = Attempt(
                held: held, podName: name, work: Self.work(of: launch.template))
            state.keys[place] = key
            return (true, state.namespaces.insert(launch.namespace).inserted)
        }
        guard isNew else { return }
        exchange.expect(held, values)
        if isNewNamespace { jobs.yield(.watch(launch.namespace)) }
        if case .resource = launch.template.kind {
            jobs.yield(.resource(key))
        } else {
            jobs.yield(.create(key))
        }
    }

    package func cancel(_ key: AttemptKey, immediately: Bool) async {
        let attempt = state.withLock { state -> Attempt? in
            guard var attempt = state.attempts[key] else { return nil }
            attempt.cancel = immediately || attempt.cancel == true
            state.attempts[key] = attempt
            return attempt.stage == .watching ? attempt : nil
        }
        // One that is being made finds the word when it is made.
        if let attempt { delete(attempt) }
    }

    func delete(_ attempt: Attempt) {
        // Not 0: the object would go while processes still run and hold their GPUs.
        let grace = attempt.cancel == true ? 1 : renderer.settings.graceSeconds
        jobs.yield(
            .delete(
                namespace: attempt.launch.namespace, pod: attempt.podName,
                uid: attempt.podUID.isEmpty ? nil : attempt.podUID, graceSeconds: grace))
    }

    /// What steps note of themselves while they run.
    package var metrics: AsyncStream<MetricSample> { lives.samples }

    /// Notes that the consumer has kept a sample and those before it of the same attempt.
    package func acknowledge(_ sample: MetricSample) { jobs.yield(.acknowledge(sample)) }

    package func shutDown() async {
        state.withLock { $0.isShutDown = true }
        await finishRemovals()
        jobs.finish()
        let task = runner.withLock { $0 }
        task?.cancel()
        await task?.value
        reporter.finish()
        lives.finish()
        await client.shutDown()
    }

    // MARK: Small things

    static func pods(_ namespace: String) -> String { "/api/v1/namespaces/\(namespace)/pods" }

    static func place(_ namespace: String, _ pod: String) -> String { "\(namespace)/\(pod)" }

    /// Names of the containers that decide about the step.
    static func work(of template: Template) -> Set<String> {
        guard case .containerSet(let set) = template.kind else { return ["main"] }
        return Set(
            set.containers.enumerated().map {
                $0.element.name.isEmpty ? "container-\($0.offset)" : $0.element.name
            })
    }

    static let terminated = PodEnd(.failed, "terminated", .user)

    private func perform(_ job: Job) async {
        switch job {
        case .create, .createLater: break
        case .watch(let namespace): await watch(namespace)
        case .delete(let namespace, let pod, let uid, let grace):
            await delete(namespace: namespace, pod: pod, uid: uid, graceSeconds: grace)
        case .finish(let key, let end, let pod): await finish(key, end, pod)
        case .look(let key): await look(key)
        case .resource(let key): await runResource(key)
        case .acknowledge(let sample):
            try? await BlockingCall.run { [lives] in lives.acknowledge(sample) }
        case .follow(let key): await followLog(key)
        case .endRun(let run, let deletesClaims): await endRun(run, deletesClaims: deletesClaims)
        case .removePods(let uid, let node): await removePods(workflowUID: uid, nodeID: node)
        case .removeRun(let run): await removeRun(run)
        }
    }
}
