// Runs steps on this machine, each under a supervisor that outlives this process.

package import Artifacts
import Glibc
package import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// The local executor. Its calls return at once; work is done on a small number of threads, since files,
/// locks and networks block. What runs on disk is the truth: a launch that this process knows nothing of is
/// looked up there before anything is started.
package final class LocalExecutor: Executor {
    /// Where an attempt that this process holds stands.
    enum Stage: Sendable {
        case examining, queued, preparing, running, collecting
    }

    struct Attempt: Sendable {
        var launch: Launch
        var values: LaunchValues
        var plan: StepPlan?
        var stage = Stage.examining
        /// Nil: not cancelled; else whether at once.
        var cancel: Bool?
        /// Up to where the metrics file was read; nil: not yet.
        var metricsOffset: Int?
        var isReadingMetrics = false
        var progress = ""
        var probe: ReadinessProbe?
        var startedTick = 0
        var isProbing = false
    }

    struct State: Sendable {
        var attempts: [AttemptKey: Attempt] = [:]
        var keys: [String: AttemptKey] = [:]
        var admission: Admission
        var ticks = 0
        var isShutDown = false
    }

    /// Samples that wait for their consumer; more stay in their files.
    private static let sampleLimit = 65_536

    package let name = "local"
    /// Unbounded, since each launch gives a handful of reports and the consumer handed the launch in.
    package let reports: AsyncStream<ExecutorReport>
    /// Metrics of running steps. A sample that was acknowledged does not come again after a restart; others
    /// may.
    package let metrics: AsyncStream<MetricSample>

    let host: HostSetup
    let store: LocalArtifactStore
    let state: Mutex<State>
    let reporter: AsyncStream<ExecutorReport>.Continuation
    let sampler: AsyncStream<MetricSample>.Continuation
    /// For steps without files to move; nothing here takes longer than a few milliseconds.
    private let steps: WorkerPool
    /// For steps whose artifacts may take minutes, so that they hold up each other only.
    private let transfers: WorkerPool
    private let relay: ExitRelay
    let watcher: ExitWatcher
    private let ticker: Ticker

    /// Why steps run without a sandbox; nil where they have one.
    package var plainReason: String? { host.plainReason }

    /// - Throws: when there is no supervisor, or a sandbox was demanded and none works.
    package init(settings: LocalExecutorSettings, store: LocalArtifactStore) throws {
        host = try HostSetup(settings)
        self.store = store
        let capacity = MachineCapacity.detect(settings)
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let slots = settings.maxParallel ?? max(32, 4 * processors)
        state = Mutex(State(admission: Admission(capacity: capacity, slots: slots)))
        (reports, reporter) = AsyncStream.makeStream(of: ExecutorReport.self)
        (metrics, sampler) = AsyncStream.makeStream(
            of: MetricSample.self, bufferingPolicy: .bufferingOldest(Self.sampleLimit))
        steps = try WorkerPool(threads: min(8, max(2, processors)))
        transfers = try WorkerPool(threads: 4)
        let relay = ExitRelay()
        self.relay = relay
        watcher = try ExitWatcher { relay.ended($0) }
        ticker = try Ticker { relay.tick() }
        relay.executor.withLock { $0 = Relayed(executor: self) }
        steps.submit { [directory = host.dataDirectory] in SecretMemory.sweep(dataDirectory: directory) }
    }

    deinit {
        watcher.stop()
        ticker.stop()
        steps.stop()
        transfers.stop()
    }

    // MARK: Executor

    package func launch(_ launch: Launch, values: LaunchValues) async {
        let key = launch.key
        let isNew = state.withLock { state in
            guard !state.isShutDown, state.attempts[key] == nil else { return false }
            state.attempts[key] = Attempt(launch: launch, values: values)
            return true
        }
        if isNew { submit(key) { $0.examine(key) } }
    }

    package func cancel(_ key: AttemptKey, immediately: Bool) async {
        enum Action { case nothing, leaveQueue, signal, lookUp }
        let action = state.withLock { state -> Action in
            guard !state.isShutDown else { return .nothing }
            guard var attempt = state.attempts[key] else { return .lookUp }
            attempt.cancel = immediately || attempt.cancel == true
            defer { state.attempts[key] = attempt }
            switch attempt.stage {
            case .queued:
                attempt.stage = .collecting
                return .leaveQueue
            case .running: return .signal
            case .examining, .preparing, .collecting: return .nothing
            }
        }
        switch action {
        case .nothing: break
        case .leaveQueue: submit(key) { $0.finish(key, Self.terminated) }
        case .signal, .lookUp: steps.submit { [weak self] in self?.signal(key, immediately: immediately) }
        }
    }

    package func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {
        transfers.submit { [weak self] in
            guard let self else { return }
            let node = AttemptPaths.node(host.dataDirectory, workflowUID: workflowUID, nodeID: nodeID)
            for name in Disk.list(node) ?? [] {
                // Only what was reported can do without its files: `outcome` says so.
                guard Int(name) != nil, Disk.exists("\(node)/\(name)/outcome") else { continue }
                for part in ["root", "inputs", "volumes"] { Disk.removeTree("\(node)/\(name)/\(part)") }
            }
        }
    }

    package func shutDown() async {
        state.withLock { $0.isShutDown = true }
        watcher.stop()
        ticker.stop()
        steps.stop()
        transfers.stop()
        reporter.finish()
        sampler.finish()
    }

    /// Notes that the consumer has kept a sample and those before it of the same attempt: they do not come
    /// again after a restart.
    package func acknowledge(_ sample: MetricSample) {
        steps.submit { [weak self] in
            guard let self else { return }
            let directory = AttemptPaths.attempt(host.dataDirectory, key: sample.key)
            MetricsTail.keep(offset: sample.endOffset, attemptDirectory: directory)
        }
    }

    // MARK: Threads

    /// Runs a job for an attempt on the threads that suit it.
    func submit(_ key: AttemptKey, _ job: @escaping @Sendable (LocalExecutor) -> Void) {
        let movesFiles = state.withLock { state in
            guard let attempt = state.attempts[key] else { return false }
            return !attempt.launch.inputs.artifacts.isEmpty
                || !attempt.launch.template.outputs.artifacts.isEmpty
                || attempt.launch.archivesLogs || attempt.launch.template.isBuiltIn
        }
        (movesFiles ? transfers : steps).submit { [weak self] in
            if let self { job(self) }
        }
    }

    func submitTransfer(_ job: @escaping @Sendable (LocalExecutor) -> Void) {
        transfers.submit { [weak self] in
            if let self { job(self) }
        }
    }

    func keepTicking() { ticker.wake() }

    func transfer(for attempt: Attempt) -> ArtifactTransfer {
        let values = attempt.values
        return ArtifactTransfer(store: store, namespace: attempt.launch.namespace) { name, key in
            values.secret(name, key: key)
        }
    }

    static let terminated = AttemptOutcome(phase: .failed, message: "terminated", failureClass: .user)
}

/// Lets the watcher and the ticker exist before the executor does, and not keep it alive.
final class ExitRelay: Sendable {
    let executor = Mutex<Relayed?>(nil)

    func ended(_ directory: String) { executor.withLock { $0?.executor }?.supervisorEnded(directory) }

    func tick() -> Bool { executor.withLock { $0?.executor }?.tick() ?? false }
}

struct Relayed: Sendable {
    weak var executor: LocalExecutor?
}

extension Template {
    var isBuiltIn: Bool {
        if case .martlet = kind { return true }
        return false
    }
}
