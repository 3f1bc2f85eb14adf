// Taking runs over: those this process is told to drive, and, in a server, all that nobody else drives.

import Persistence
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension WorkflowController {
    private static let unfinished: Set<String> = ["", Phase.pending.rawValue, Phase.running.rawValue]
    /// Changed runs that one look reads at a time.
    private static let changesAtOnce = 1_000
    /// Runs of other processes whose locks one look tries.
    private static let foreignAtOnce = 1_000
    /// Every so many polls it is looked whether the drivers of other runs still live: once a second.
    private static let foreignPolls = 5

    /// A run to take over.
    private struct Claim {
        var uid: String
        var lock: DriverLock
    }

    /// Takes over what the items ask for, and some of what waits to be taken over.
    func takeUp(_ items: [Incoming]) async throws {
        var asked: [(uid: String, lock: DriverLock?)] = []
        for item in items {
            switch item {
            case .begin(let run) where runs[run.row.uid] == nil:
                attach(StoredRun(row: run.row), epoch: NewRun.epoch, lock: run.lock)
            case .drive(let uid, let lock): asked.append((uid, lock))
            case .command(let uid, _, let takes, _) where takes && runs[uid] == nil:
                asked.append((uid, nil))
                urgent.insert(uid)
            default: continue
            }
        }
        while asked.count < Self.takesAtOnce, let uid = wanted.popFirst() { asked.append((uid, nil)) }
        guard !asked.isEmpty else { return }
        var claims: [Claim] = []
        var seen: Set<String> = []
        for (uid, given) in asked where runs[uid] == nil && seen.insert(uid).inserted {
            if urgent.remove(uid) == nil, try await mustWait(uid) { continue }
            if let lock = given ?? takeLock(uid) { claims.append(Claim(uid: uid, lock: lock)) }
        }
        do {
            try await attach(claims)
        } catch let error as StoreError {
            guard error.isPassing else { throw error }
            // The alarm brings them up again.
            for claim in claims where runs[claim.uid] == nil { wanted.append(claim.uid) }
            report(error)
        }
    }

    /// The lock of a run; nil, with whoever watches told why, if it cannot be had now.
    private func takeLock(_ uid: String) -> DriverLock? {
        let reason: String
        do throws(ControllerError) {
            if let lock = try DriverLock.take(runDirectory: "\(dataDirectory)/runs/\(uid)") { return lock }
            reason = "another process drives this run; `martlet watch` shows it, `martlet stop` ends it"
        } catch {
            reason = error.message
        }
        // It is tried again once a second.
        if settings.servesAll { foreign.insert(uid) }
        watchers.note(.refused(reason), of: uid)
        return nil
    }

    /// Whether a limit keeps the run from beginning; it then waits in the queue, and its row says so.
    private func mustWait(_ uid: String) async throws -> Bool {
        guard !settings.limits.isUnlimited, let row = try await store.workflow(uid: uid) else { return false }
        // One that began before has its place: what it holds may be what others wait for.
        guard row.startedAt == nil, row.finishedAt == nil else { return false }
        let run = WaitingRun(
            uid: uid, namespace: row.namespace, priority: row.priority, createdAt: row.createdAt)
        let reason = admission.withLock { admission -> String? in
            guard let reason = admission.blocked(run.namespace) else { return nil }
            admission.wait(run)
            return reason
        }
        guard let reason else { return false }
        if row.message != reason || row.phase != Phase.pending.rawValue {
            unsaved.append(
                WorkflowChange(
                    uid: uid, header: HeaderUpdate(phase: Phase.pending.rawValue, message: reason)))
        }
        return true
    }

    /// Goes on with runs whose locks are held now.
    private func attach(_ claims: [Claim]) async throws {
        guard !claims.isEmpty else { return }
        let epochs = try await store.claimRuns(claims.map(\.uid))
        for claim in claims {
            let uid = claim.uid
            guard let epoch = epochs[uid], let stored = try await store.loadRun(uid) else {
                watchers.note(.refused("the run has been deleted"), of: uid)
                continue
            }
            attach(stored, epoch: epoch, lock: claim.lock)
        }
    }

    /// Goes on with a run as it is on disk.
    private func attach(_ stored: StoredRun, epoch: Int, lock: DriverLock) {
        let uid = stored.row.uid
        guard var definition = RunDefinition(stored: stored.row.manifest) else {
            return watchers.note(
                .refused("the run's definition cannot be read: it was written by another version of martlet"),
                of: uid)
        }
        definition.zones = TimeZones.mentioned(in: definition.manifest)
        let state = WorkflowState(
            definition: definition, header: stored.row.state, nodes: stored.nodes, at: now())
        foreign.remove(uid)
        watchers.forgetOutcome(of: uid)
        guard !state.isFinished || !stored.effects.isEmpty else { return watchers.note(.finished, of: uid) }
        var run = DrivenRun(state: state, epoch: epoch, lock: lock)
        run.effectCount = stored.effects.count
        run.isCounted = !state.isFinished
        if state.isFinished { closing.insert(uid) }
        if run.isCounted { admission.withLock { $0.began(state.definition.namespace) } }
        runs[uid] = run
        for row in stored.effects {
            guard let effect = Effect(row: row, uid: uid) else { continue }
            unsavedEffects.append((uid, effect, row.key))
        }
        handle(.attached, uid)
        // Whoever waits for a change looks now: a run that already waits for a person has none to offer.
        if state.isFinished { watchers.note(.finished, of: uid) } else { watchers.signal(uid) }
    }

    // MARK: Other processes

    /// Looks for what other processes left: commands, free locks, new and abandoned runs.
    func poll() async throws {
        pollCount += 1
        guard settings.servesAll || !runs.isEmpty else { return }
        if pollCount % Self.foreignPolls == 0 { lookAtForeign() }
        let version = try await store.dataVersion()
        guard version != seenDataVersion else { return }
        seenDataVersion = version
        if settings.servesAll { try await lookForRuns() }
        if settings.servesAll || !runs.isEmpty {
            try await takeCommands()
            try await askForLocksAgain()
        }
    }

    /// Runs whose driver died are taken over.
    private func lookAtForeign() {
        for uid in foreign.prefix(Self.foreignAtOnce)
        where !DriverLock.isHeld(runDirectory: "\(dataDirectory)/runs/\(uid)") {
            foreign.remove(uid)
            wanted.append(uid)
        }
        if !wanted.isEmpty { mailbox.post(.saveAgain) }
    }

    /// Finds unfinished runs that are not known here: all of them at first, then those that changed.
    private func lookForRuns() async throws {
        guard var revision = seenRevision else {
            seenRevision = try await store.latestRevision()
            return try await lookForAllRuns()
        }
        while true {
            let changes: [RunChange]
            do {
                changes = try await store.runChanges(after: revision, limit: Self.changesAtOnce)
            } catch StoreError.expired {
                seenRevision = nil
                return try await lookForRuns()
            }
            for change in changes { await note(change) }
            revision = changes.last?.revision ?? revision
            seenRevision = revision
            if changes.count < Self.changesAtOnce { break }
        }
        if !wanted.isEmpty { mailbox.post(.saveAgain) }
    }

    private func note(_ change: RunChange) async {
        if !change.isDeleted, Self.unfinished.contains(change.phase) { return want(change.uid) }
        foreign.remove(change.uid)
        guard change.isDeleted else { return }
        admission.withLock { $0.withdraw(change.uid) }
        await endDeleted(change.uid)
    }

    private func want(_ uid: String) {
        guard runs[uid] == nil, !foreign.contains(uid), !admission.withLock({ $0.isWaiting(uid) }) else {
            return
        }
        wanted.append(uid)
    }

    /// All unfinished runs: those that had begun first, as what they hold may be what others wait for, then by their
    /// turn.
    private func lookForAllRuns() async throws {
        var query = WorkflowQuery(phases: Self.unfinished, limit: WorkflowQuery.pageLimit)
        var found: [WorkflowSummary] = []
        while true {
            let page = try await store.workflows(query)
            found += page.workflows
            guard let next = page.next else { break }
            query.after = next
        }
        found.sort { left, right in
            let (a, b) = (left.startedAt == nil ? 1 : 0, right.startedAt == nil ? 1 : 0)
            return (a, -left.priority, left.createdAt, left.uid)
                < (b, -right.priority, right.createdAt, right.uid)
        }
        for run in found { want(run.uid) }
        if !wanted.isEmpty { mailbox.post(.saveAgain) }
    }

    /// Takes the commands that other processes left for runs of this one.
    private func takeCommands() async throws {
        for command in try await store.takeCommands(nil) {
            let uid = command.workflowUID
            if runs[uid] == nil, admission.withLock({ $0.isWaiting(uid) }) {
                // A run that waits for its turn obeys too: it is taken over for the command, whatever the limits say.
                admission.withLock { $0.withdraw(uid) }
                urgent.insert(uid)
                wanted.append(uid)
                seenDataVersion = -1
                mailbox.post(.poll)
                continue
            }
            guard runs[uid]?.takenCommands.insert(command.id).inserted == true else { continue }
            touched.insert(uid)
            if let known = Scheduling.Command(verb: command.verb, payload: command.payload) {
                handle(.command(known), uid)
                runs[uid]?.finishedCommands.append(.init(id: command.id))
            } else {
                runs[uid]?.finishedCommands.append(
                    .init(id: command.id, error: "this martlet does not know the verb \"\(command.verb)\""))
            }
        }
    }
}
