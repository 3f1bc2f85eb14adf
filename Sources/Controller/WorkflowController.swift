// The loop: events in, state saved, effects out. One transaction saves what all runs have to save at a time.

package import Artifacts
package import Executors
package import Persistence
import Scheduling
import Synchronization
package import Text
import WorkflowLanguage

/// Which runs a controller drives, and how many at a time.
package struct ControllerSettings: Sendable {
    /// Whether it drives every run of the data directory that nobody else drives: those stored before it began, by
    /// other processes meanwhile, and those whose driver died. Otherwise only those it is told to drive.
    package var servesAll = false
    package var limits = RunLimits()
    /// Called behind each save, from the controller: must be quick.
    package var onSaved: @Sendable () -> Void = {}
    /// Who is told of launches, phases, ends, and the metrics of manifests.
    package var observers = ControllerObservers()
    /// Which code Martlet's own steps run; asked at most once, on a thread where it may take a while.
    package var codeVersion: @Sendable () -> String = { "" }
    /// Who serves models for `deploy` steps; nil hands them to the executor.
    package var deployments: DeploymentRunner?
    /// Models that a cluster serves; nil where steps run on this machine.
    package var clusterDeployments: (any ClusterDeployments)?

    package init() {}
}

/// Drives runs in this process.
package actor WorkflowController {
    /// How often commands, locks and runs of other processes are looked for.
    static let pollInterval = Duration.milliseconds(200)
    /// How long a save that found the disk full or the database busy waits before the next try.
    static let fullDiskPause = Duration.milliseconds(500)
    /// How many runs are taken over before events are looked at again.
    static let takesAtOnce = 256

    let store: Store
    let executor: any Executor
    let artifacts: LocalArtifactStore?
    package nonisolated let settings: ControllerSettings
    private let metrics: MetricsSource?
    let dataDirectory: String
    package nonisolated let mailbox = Mailbox()
    nonisolated let watchers = RunWatchers()
    /// Who may begin; under a mutex so that a submission can look without waiting for the loop.
    nonisolated let admission: Mutex<RunAdmission>
    nonisolated let now: @Sendable () -> Timestamp
    var runs: [String: DrivenRun] = [:]
    /// Runs that were given events, or have done effects, since they were last saved.
    var touched: Set<String> = []
    /// What they asked for in that time.
    var heldEffects: [String: [Effect]] = [:]
    /// Changes and effects that could not be saved because the disk is full; in order, before all newer ones.
    var unsaved: [WorkflowChange] = []
    var unsavedEffects: [(uid: String, effect: Effect, key: String?)] = []
    /// Runs whose end is saved and told: what is left is to note that their effects are done.
    var closing: Set<String> = []
    /// Those who wait until a command is saved.
    var answers: [AsyncStream<CommandOutcome>.Continuation] = []
    var due = DueRuns()
    /// Runs with requests for locks that wait.
    var lockWaiters: Set<String> = []
    /// Unfinished runs that another process drives: looked at again when it may have died.
    var foreign: Set<String> = []
    /// Runs that are to be taken over, a few at a time.
    var wanted = FIFO<String>()
    /// Those of them that the limits do not keep.
    var urgent: Set<String> = []
    /// The newest revision whose changes were looked at for new runs; nil before the first look.
    var seenRevision: Int64?
    var seenDataVersion = -1
    var pollCount = 0
    /// When the oldest event of this turn of the loop came in.
    var turn = ContinuousClock.now
    private let alarm: Alarm
    let saveAlarm: Alarm
    private let pollAlarm: Alarm
    /// Why saving does not work at the moment, for whoever shows the run.
    package internal(set) var storageProblem: String?
    /// Whether the loop runs.
    package private(set) var isServing = false

    package init(
        store: Store, executor: any Executor, artifacts: LocalArtifactStore?, metrics: MetricsSource? = nil,
        dataDirectory: String, settings: ControllerSettings = ControllerSettings(),
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.metrics = metrics
        self.store = store
        self.executor = executor
        self.artifacts = artifacts
        self.dataDirectory = dataDirectory
        self.settings = settings
        self.now = now
        admission = Mutex(RunAdmission(limits: settings.limits))
        let mailbox = mailbox
        alarm = Alarm { mailbox.post(.poll) }
        saveAlarm = Alarm { mailbox.post(.saveAgain) }
        pollAlarm = Alarm { mailbox.post(.poll) }
    }

    /// Serves until `stop()`; running steps go on after it, and are found again by the next driver.
    ///
    /// - Throws: what the store throws, except that a full disk and a busy database are waited out.
    package func run() async throws {
        pollAlarm.repeatEvery(Self.pollInterval)
        isServing = true
        defer {
            isServing = false
            pollAlarm.cancel()
            alarm.cancel()
            saveAlarm.cancel()
        }
        if settings.servesAll { mailbox.post(.poll) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (executor, mailbox, deployments) = (executor, mailbox, settings.deployments)
            group.addTask {
                for await report in executor.reports {
                    mailbox.post(.event(uid: report.key.workflowUID, .report(report)))
                }
            }
            if let metrics { group.addTask { await self.keepMetrics(metrics) } }
            if let deployments {
                // Nobody waits for what is served while a run of this process alone gets its first step going.
                let pause = settings.servesAll ? Duration.zero : DeploymentRunner.tick
                group.addTask { await deployments.run(after: pause) }
            }
            group.addTask {
                defer { mailbox.close() }
                try await self.loop()
            }
            // When the loop has ended, the executor ends its streams, and with them the other tasks.
            for await _ in mailbox.ended { await executor.shutDown() }
            deployments?.stop()
            watchers.end()
            try await group.waitForAll()
        }
    }

    private func loop() async throws {
        for await _ in mailbox.wakes {
            while true {
                let items = mailbox.takeAll()
                if items.isEmpty { break }
                if try await step(items) { return }
            }
        }
    }

    /// Handles what has come in, saves it, and carries out what follows; true when it was told to stop.
    private func step(_ items: [Incoming]) async throws -> Bool {
        var stops = false
        var polls = false
        turn = mailbox.takenSince
        try await takeUp(items)
        for item in items {
            switch item {
            case .event(let uid, let event): handle(event, uid)
            case .command(let uid, let command, _, let answer): obey(command, uid, answer)
            case .withdraw(let uid): admission.withLock { $0.withdraw(uid) }
            case .poll: polls = true
            case .drive, .begin, .saveAgain: break
            case .stop: stops = true
            }
        }
        if polls { try await poll() }
        let moment = now()
        while let uid = due.popDue(at: moment) {
            if let next = runs[uid]?.state.nextTimer, next <= moment { handle(.timer, uid) }
            touched.insert(uid)
        }
        try await save()
        settings.observers.noteTurn(since: turn, waiting: mailbox.count)
        if let next = due.next { alarm.set(after: next - now()) }
        if !wanted.isEmpty, storageProblem == nil { mailbox.post(.saveAgain) }
        return stops
    }

    func handle(_ event: Event, _ uid: String) {
        guard runs[uid] != nil else { return }
        let new = runs[uid]?.state.handle(event, at: now()) ?? []
        touched.insert(uid)
        if !new.isEmpty { heldEffects[uid, default: []] += new }
    }

    private func obey(
        _ command: Scheduling.Command, _ uid: String, _ answer: AsyncStream<CommandOutcome>.Continuation
    ) {
        guard let run = runs[uid], !run.state.isFinished else {
            answer.yield(.notDriven)
            answer.finish()
            return
        }
        handle(.command(command), uid)
        answers.append(answer)
    }
}
