// The loop: events in, state saved, effects out. One transaction saves what all runs have to save at a time.

package import Artifacts
package import Executors
package import Persistence
package import Scheduling
package import Text
import WorkflowLanguage

/// Drives runs in this process.
package actor WorkflowController {
    /// How often commands and locks of other processes are looked for.
    static let pollInterval = Duration.milliseconds(200)
    /// How long a save that found the disk full waits before the next try.
    static let fullDiskPause = Duration.milliseconds(500)

    let store: Store
    let executor: any Executor
    let artifacts: LocalArtifactStore?
    private let metrics: MetricsSource?
    let dataDirectory: String
    package nonisolated let mailbox = Mailbox()
    let now: @Sendable () -> Timestamp
    var runs: [String: DrivenRun] = [:]
    /// Changes and effects that could not be saved because the disk is full; in order, before all newer ones.
    private var unsaved: [WorkflowChange] = []
    private var unsavedEffects: [(uid: String, effect: Effect, key: String?)] = []
    private let alarm: Alarm
    private let saveAlarm: Alarm
    private let pollAlarm: Alarm
    private var seenDataVersion = -1
    /// Why runs were not taken over, by uid.
    private var refusals: [String: String] = [:]
    private var finished: Set<String> = []
    private var watchers: [String: AsyncStream<Void>.Continuation] = [:]
    /// Why saving does not work at the moment, for whoever shows the run.
    package private(set) var storageProblem: String?

    package init(
        store: Store, executor: any Executor, artifacts: LocalArtifactStore?, metrics: MetricsSource? = nil,
        dataDirectory: String, now: @escaping @Sendable () -> Timestamp
    ) {
        self.metrics = metrics
        self.store = store
        self.executor = executor
        self.artifacts = artifacts
        self.dataDirectory = dataDirectory
        self.now = now
        let mailbox = mailbox
        alarm = Alarm { mailbox.post(.poll) }
        saveAlarm = Alarm { mailbox.post(.saveAgain) }
        pollAlarm = Alarm { mailbox.post(.poll) }
    }

    /// Serves until `stop()`; running steps go on after it, and are found again by the next driver.
    ///
    /// - Throws: what the store throws, except that a full disk is waited out.
    package func run() async throws {
        pollAlarm.repeatEvery(Self.pollInterval)
        defer {
            pollAlarm.cancel()
            alarm.cancel()
            saveAlarm.cancel()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (executor, mailbox) = (executor, mailbox)
            group.addTask {
                for await report in executor.reports {
                    mailbox.post(.event(uid: report.key.workflowUID, .report(report)))
                }
            }
            if let metrics { group.addTask { await self.keepMetrics(metrics) } }
            group.addTask {
                defer { mailbox.close() }
                try await self.loop()
            }
            // When the loop has ended, the executor ends its streams, and with them the other tasks.
            for await _ in mailbox.ended { await executor.shutDown() }
            for watcher in watchers.values { watcher.finish() }
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
        var effects: [String: [Effect]] = [:]
        var stops = false
        var polls = false
        for item in items {
            switch item {
            case .event(let uid, let event): handle(event, uid, &effects)
            case .drive(let uid): try await take(uid, &effects)
            case .poll: polls = true
            case .saveAgain: break
            case .stop: stops = true
            }
        }
        if polls { try await poll(&effects) }
        let moment = now()
        for (uid, run) in runs {
            if let next = run.state.nextTimer, next <= moment { handle(.timer, uid, &effects) }
        }
        try await save(effects)
        setAlarm()
        return stops
    }

    private func handle(_ event: Event, _ uid: String, _ effects: inout [String: [Effect]]) {
        guard runs[uid] != nil else { return }
        let new = runs[uid]?.state.handle(event, at: now()) ?? []
        effects[uid, default: []] += new
    }

    private func setAlarm() {
        guard let next = runs.values.compactMap(\.state.nextTimer).min() else { return }
        alarm.set(after: next - now())
    }

    // MARK: Saving

    /// Saves all changes in one transaction, then carries out the effects. On a full disk both wait, and with them
    /// everything that would start.
    private func save(_ effects: [String: [Effect]]) async throws {
        for uid in runs.keys.sorted() {
            guard let (change, keyed) = runs[uid]?.takeChange(effects[uid] ?? []) else { continue }
            if let change { unsaved.append(change) }
            unsavedEffects += keyed.map { (uid, $0.0, $0.key) }
        }
        guard !unsaved.isEmpty || !unsavedEffects.isEmpty else { return }
        do {
            if !unsaved.isEmpty { try await store.apply(unsaved) }
        } catch StoreError.full(let path) {
            storageProblem = StoreError.full(path: path).message
            for watcher in watchers.values { watcher.yield() }
            saveAlarm.set(after: Self.fullDiskPause)
            return
        } catch StoreError.superseded(let uid) {
            // Another process drives this run now: it is no longer ours to write.
            runs[uid] = nil
            unsaved.removeAll { $0.uid == uid }
            unsavedEffects.removeAll { $0.uid == uid }
            refuse(uid, "another process has taken this run over")
            mailbox.post(.saveAgain)
            return
        }
        storageProblem = nil
        let changed = Set(unsaved.map(\.uid))
        unsaved = []
        let due = unsavedEffects
        unsavedEffects = []
        for (uid, effect, key) in due {
            do {
                try await perform(effect, uid)
                if let key { runs[uid]?.doneEffects.append(key) }
            } catch StoreError.full {
                unsavedEffects.append((uid, effect, key))
                saveAlarm.set(after: Self.fullDiskPause)
            }
        }
        for uid in changed { watchers[uid]?.yield() }
    }

    // MARK: Taking runs over

    /// Takes over a stored run and goes on with it.
    private func take(_ uid: String, _ effects: inout [String: [Effect]]) async throws {
        guard runs[uid] == nil else { return }
        guard let lock = try DriverLock.take(runDirectory: "\(dataDirectory)/runs/\(uid)") else {
            refuse(uid, "another process drives this run; `martlet watch` shows it, `martlet stop` ends it")
            return
        }
        let epoch = try await store.claimRun(uid)
        guard let stored = try await store.loadRun(uid),
            var definition = RunDefinition(stored: stored.row.manifest)
        else {
            refuse(uid, "the run's definition cannot be read: it was written by another version of martlet")
            return
        }
        definition.zones = TimeZones.mentioned(in: definition.manifest)
        let state = WorkflowState(
            definition: definition, header: stored.row.state, nodes: stored.nodes, at: now())
        var run = DrivenRun(state: state, epoch: epoch, lock: lock)
        run.effectCount = stored.effects.count
        runs[uid] = run
        for row in stored.effects {
            guard let effect = Effect(row: row, uid: uid) else { continue }
            unsavedEffects.append((uid, effect, row.key))
        }
        handle(.attached, uid, &effects)
        // Whoever waits for a change looks now: a run that already waits for a person has none to offer.
        if runs[uid]?.state.isFinished == true { close(uid) } else { watchers[uid]?.yield() }
    }

    /// Notes that a run has ended and that its end is saved.
    func close(_ uid: String) {
        finished.insert(uid)
        watchers[uid]?.yield()
    }

    /// Forgets a run; its lock is given back.
    package func forget(_ uid: String) {
        runs[uid] = nil
        watchers[uid]?.finish()
        watchers[uid] = nil
    }

    // MARK: For those who ask

    /// Begins or goes on with a stored run. Returns when the request is queued.
    package func drive(_ uid: String) { mailbox.post(.drive(uid: uid)) }

    package func send(_ command: Scheduling.Command, to uid: String) {
        mailbox.post(.event(uid: uid, .command(command)))
    }

    package func stop() { mailbox.post(.stop) }

    /// The run as it is now, for showing; nil if this process does not drive it.
    package func state(of uid: String) -> WorkflowState? { runs[uid]?.state }

    /// Whether nothing of the run happens without a person.
    package func waitsForPerson(_ uid: String) -> Bool { runs[uid]?.state.waitsForPerson ?? false }

    /// Whether the run has ended and its end is on disk.
    package func isFinished(_ uid: String) -> Bool { finished.contains(uid) }

    /// A signal after each saved change of a run; one consumer a run.
    package func changes(of uid: String) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        watchers[uid] = continuation
        continuation.yield()
        return stream
    }

    /// Why this process does not drive a run that it was asked to drive.
    package func refusal(of uid: String) -> String? { refusals[uid] }

    private func refuse(_ uid: String, _ reason: String) {
        refusals[uid] = reason
        watchers[uid]?.yield()
    }

    // MARK: Other processes

    private func poll(_ effects: inout [String: [Effect]]) async throws {
        guard !runs.isEmpty else { return }
        let version = try await store.dataVersion()
        guard version != seenDataVersion else { return }
        seenDataVersion = version
        for uid in runs.keys.sorted() {
            try await takeCommands(uid, &effects)
            try await askForLocksAgain(uid)
        }
    }

    private func takeCommands(_ uid: String, _ effects: inout [String: [Effect]]) async throws {
        for command in try await store.takeCommands(uid) {
            guard runs[uid]?.takenCommands.insert(command.id).inserted == true else { continue }
            if let known = Scheduling.Command(verb: command.verb, payload: command.payload) {
                handle(.command(known), uid, &effects)
                runs[uid]?.finishedCommands.append(.init(id: command.id))
            } else {
                runs[uid]?.finishedCommands.append(
                    .init(id: command.id, error: "this martlet does not know the verb \"\(command.verb)\""))
            }
        }
    }
}
