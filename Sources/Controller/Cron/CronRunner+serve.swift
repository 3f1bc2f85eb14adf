// One cron workflow's turn in a pass: ended runs, missed moments, moments that have come, history.

import Persistence
import Scheduling
import Text

extension CronRunner {
    func serve(_ key: Key) async throws {
        if entries[key]?.looksAtRuns == true { try await lookAtRuns(key) }
        try await sync(key)
        try await fire(key)
    }

    private func sync(_ key: Key) async throws {
        let moment = now()
        guard let entry = entries[key], moment >= entry.nextSync else { return }
        try await handle(.sync(uid: Submission.newUID()), key, instant: entry.machine.missed(at: moment))
        entries[key]?.nextSync = moment + Self.syncInterval
    }

    private func fire(_ key: Key) async throws {
        guard let entry = entries[key] else { return }
        let moment = now()
        // A clock that was set back must not keep the schedule silent until it has caught up.
        if entry.cursor - moment > Self.grace { entries[key]?.cursor = moment }
        guard let next = entry.next, next <= moment else { return }
        let (instants, missed) = entry.machine.due(
            after: entry.cursor, now: moment, grace: Self.grace, limit: Self.instantLimit)
        if missed > 0 { metrics?.countCronMissed(missed) }
        for instant in instants {
            try await handle(.due(instant, uid: Submission.newUID()), key, instant: instant)
            entries[key]?.cursor = instant
            metrics?.observeCronLag((now() - instant).inSeconds)
        }
        // What the pass above took long for comes in the next one.
        let seen = max(instants.last ?? moment, missed > 0 ? moment : entry.cursor)
        // Read first: the right-hand side of a change must not look at what is being changed.
        let cursor = max(entries[key]?.cursor ?? seen, min(seen, moment))
        entries[key]?.cursor = cursor
        if let entry = entries[key] { entries[key]?.next = entry.machine.timetable.next(after: entry.cursor) }
    }

    /// Lets the machine decide, then does what it asks for; decides again where the definition has changed since it
    /// was read.
    /// - Throws: `OperationError` when it keeps changing; the moment comes again in the next pass.
    private func handle(_ event: CronEvent, _ key: Key, instant: Timestamp?) async throws {
        for _ in 0..<Self.decisionLimit {
            guard let machine = entries[key]?.machine else { return }
            // A schedule that was just changed may not name this moment any more.
            if case .due(let instant, _) = event, machine.timetable.previous(atOrBefore: instant) != instant {
                return
            }
            if try await decide(event, key, machine, instant) { return }
            try await refresh(key)
        }
        throw OperationError(
            .conflict, "the cron workflow changes faster than its schedule can be followed; it is tried again"
        )
    }

    /// The decision counts only once it is saved.
    /// - Returns: false if the definition is not what it was.
    private func decide(_ event: CronEvent, _ key: Key, _ old: CronMachine, _ instant: Timestamp?)
        async throws
        -> Bool
    {
        var machine = old
        let effects = machine.handle(event, at: now())
        var isSaved = false
        for effect in effects {
            switch effect {
            case .terminate(let child):
                try await ledger.terminate(child.uid)
                metrics?.countCronReplaced(cron: key.name, namespace: key.namespace)
            case .markStopped:
                try await ledger.writeStatus(namespace: key.namespace, cron: key.name, machine.status)
                try await ledger.markStopped(namespace: key.namespace, cron: key.name)
                isSaved = true
            case .submit(let child, let instant):
                switch try await begin(child, instant, machine, key) {
                case .begun:
                    metrics?.countCronFire(cron: key.name, namespace: key.namespace)
                    isSaved = true
                case .changed: return false
                case .existed:
                    try await noteExisting(instant, key)
                    return true
                case .refused(let message):
                    machine = old
                    _ = machine.handle(.refused(instant, message: message), at: now())
                    metrics?.countCronError()
                    report("\(key.namespace)/\(key.name)", message)
                }
            }
        }
        if let skip = machine.lastSkip, instant != nil { metrics?.countCronSkip(skip) }
        if !isSaved, machine.status != old.status {
            try await ledger.writeStatus(namespace: key.namespace, cron: key.name, machine.status)
        }
        entries[key]?.machine = machine
        return true
    }

    private func begin(_ child: CronStatus.Child, _ instant: Timestamp, _ machine: CronMachine, _ key: Key)
        async throws -> CronAnswer
    {
        try await ledger.begin(
            CronRequest(
                namespace: key.namespace, cron: key.name, instant: instant, child: child,
                manifest: machine.manifest(at: instant), status: machine.status,
                ifVersion: entries[key]?.resourceVersion))
    }

    /// Another runner, a backfill, or this runner before it was killed made the run; the status that they wrote
    /// counts, and this moment is not to be made up for again.
    private func noteExisting(_ instant: Timestamp, _ key: Key) async throws {
        try await refresh(key)
        guard var status = entries[key]?.machine.status, status.lastScheduledTime ?? .distantPast < instant
        else { return }
        status.lastScheduledTime = instant
        try await ledger.writeStatus(namespace: key.namespace, cron: key.name, status)
        entries[key]?.machine.status = status
    }

    /// Counts the runs that have ended, and deletes those that the history limits leave no place for.
    private func lookAtRuns(_ key: Key) async throws {
        guard let entry = entries[key] else { return }
        let runs = try await ledger.runs(namespace: key.namespace, cron: key.name)
        let byUID = Dictionary(runs.map { ($0.uid, $0) }, uniquingKeysWith: { first, _ in first })
        for child in entry.machine.status.active {
            guard let run = byUID[child.uid] else {
                // With so many runs it may be older than those that were read.
                if runs.count < Self.runLimit {
                    try await handle(.childEnded(uid: child.uid, nil), key, instant: nil)
                }
                continue
            }
            guard run.finishedAt != nil, let phase = Phase(rawValue: run.phase) else { continue }
            try await handle(.childEnded(uid: child.uid, phase), key, instant: nil)
        }
        let ended = runs.compactMap { run -> CronMachine.EndedRun? in
            guard let finishedAt = run.finishedAt else { return nil }
            return CronMachine.EndedRun(
                uid: run.uid, succeeded: run.phase == Phase.succeeded.rawValue, finishedAt: finishedAt)
        }
        let surplus = entries[key]?.machine.surplus(of: ended) ?? []
        for uid in surplus.prefix(Self.deletionLimit) { try await ledger.delete(uid) }
        entries[key]?.looksAtRuns = surplus.count > Self.deletionLimit
    }
}

extension Timestamp {
    fileprivate static let distantPast = Timestamp(nanoseconds: .min)
}
