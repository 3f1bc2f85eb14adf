// The service that makes runs when their moments come: sleeps to the next one, and notices changed definitions and
// ended runs within a second.

import Persistence
import Scheduling
package import Text
import WorkflowLanguage

/// Fires the cron workflows of a data directory. What a moment asks for is one transaction of the ledger, so that
/// neither a crash between any two steps nor a second runner makes two runs of one moment.
package actor CronRunner {
    /// A moment that is older when it is looked at was missed: only `startingDeadlineSeconds` makes up for it. Short
    /// restarts of the server miss nothing.
    package static let grace = Duration.seconds(60)
    /// How often missed moments are looked for, as Argo does.
    static let syncInterval = Duration.seconds(10)
    /// The longest sleep: what other processes change is noticed after it.
    static let longestPause = Duration.milliseconds(500)
    /// The sleep after a pass that failed.
    static let failurePause = Duration.seconds(1)
    /// Runs of one cron workflow that are looked at for its history.
    package static let runLimit = 1_000
    /// Moments of one cron workflow that one pass handles.
    static let instantLimit = 100
    /// How often a decision is made anew because the definition changed under it.
    static let decisionLimit = 5
    /// Runs that one pass deletes; the rest waits for the next.
    static let deletionLimit = 20

    let ledger: any CronLedger
    let now: @Sendable () -> Timestamp
    private let sleep: @Sendable (Duration) async throws -> Void
    private let local: TimeZoneRules
    let metrics: ControllerMetrics?
    let report: @Sendable (_ cron: String, _ problem: String) -> Void

    var entries: [Key: Entry] = [:]
    private var revision: Int64?
    private var version: Int?

    struct Key: Hashable, Comparable {
        var namespace: String
        var name: String

        static func < (left: Key, right: Key) -> Bool {
            (left.namespace, left.name) < (right.namespace, right.name)
        }
    }

    /// A cron workflow of this pass.
    struct Entry {
        var machine: CronMachine
        var resourceVersion: Int
        /// Moments up to here were looked at.
        var cursor: Timestamp
        /// When missed moments are looked for again.
        var nextSync: Timestamp
        /// The first moment behind the cursor; nil if none comes.
        var next: Timestamp?
        /// Whether its runs may have ended, or be too many.
        var looksAtRuns = true
    }

    /// - Parameters:
    ///   - local: the zone of cron workflows that name none.
    ///   - sleep: waits, or throws when the task is cancelled.
    ///   - report: told what went wrong with a cron workflow, for the log.
    package init(
        ledger: any CronLedger, now: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Duration) async throws -> Void = {
            try await Task.sleep(for: $0, clock: .continuous)
        },
        local: TimeZoneRules = TimeZones.local, metrics: ControllerMetrics? = nil,
        report: @escaping @Sendable (_ cron: String, _ problem: String) -> Void = { _, _ in }
    ) {
        self.ledger = ledger
        self.now = now
        self.sleep = sleep
        self.local = local
        self.metrics = metrics
        self.report = report
    }

    /// Fires until the task is cancelled. A store that is full, busy or broken for a while delays, and nothing more.
    /// - Throws: `CancellationError`; `StoreError` when the database was migrated by a newer program.
    package func run() async throws {
        while true {
            try Task.checkCancellation()
            var pause = Self.failurePause
            do {
                let next = try await pass()
                pause = min(Self.longestPause, next.map { max($0 - now(), .zero) } ?? Self.longestPause)
            } catch let error as CancellationError {
                throw error
            } catch let error as StoreError {
                if case .newerSchema = error { throw error }
                report("", error.message)
            } catch {
                report("", "\(error)")
            }
            // Never shorter than a millisecond: a clock that stands still must not make a hot loop.
            try await sleep(max(pause, .milliseconds(1)))
        }
    }

    /// Does what is due now.
    /// - Returns: the next moment at which something is due; nil if nothing is planned.
    @discardableResult
    package func pass() async throws -> Timestamp? {
        let newVersion = try await ledger.version()
        if newVersion != version {
            try await reload()
            for key in entries.keys where entries[key]?.machine.status.active.isEmpty == false {
                entries[key]?.looksAtRuns = true
            }
            version = newVersion
        }
        for key in entries.keys.sorted() {
            do {
                try await serve(key)
            } catch let error as StoreError where error.concernsAll {
                throw error
            } catch let error as CancellationError {
                throw error
            } catch {
                // One cron workflow's trouble is not the others'; its moments come again in the next pass.
                metrics?.countCronError()
                report("\(key.namespace)/\(key.name)", "\(error)")
            }
        }
        let next = entries.values.compactMap(\.next).min()
        metrics?.setCronNext(next)
        let nextSync = entries.values.filter { $0.machine.cron.startingDeadlineSeconds != nil }
            .map(\.nextSync).min()
        return [next, nextSync].compactMap { $0 }.min()
    }

    // MARK: Definitions

    private func reload() async throws {
        let newRevision = try await ledger.definitionRevision()
        guard newRevision != revision else { return }
        let rows = try await ledger.crons()
        var gone = Set(entries.keys)
        for row in rows {
            let key = Key(namespace: row.namespace, name: row.name)
            gone.remove(key)
            guard entries[key]?.resourceVersion != row.resourceVersion else { continue }
            try await take(row, key)
        }
        for key in gone { entries[key] = nil }
        // Only now: a crash of the reading above must read again.
        revision = newRevision
    }

    /// Takes a new or changed definition. One that cannot be used says so in its status, and fires no more.
    private func take(_ row: DefinitionRow, _ key: Key) async throws {
        let moment = now()
        do {
            let machine = try CronMachine(row: row, local: local)
            var cursor = Self.firstCursor(machine.status, changedAt: row.updatedAt, at: moment)
            if let old = entries[key], old.machine.scheduleText == machine.scheduleText,
                old.machine.cron.suspend == machine.cron.suspend
            {
                cursor = old.cursor
            }
            entries[key] = Entry(
                machine: machine, resourceVersion: row.resourceVersion, cursor: cursor,
                nextSync: entries[key]?.nextSync ?? moment, next: machine.timetable.next(after: cursor))
        } catch {
            entries[key] = nil
            var status = CronStatus(row.status)
            let message = "spec.schedules: \(error.message)"
            guard !status.conditions.contains(where: { $0.message == message }) else { return }
            status.note(problem: message)
            report("\(key.namespace)/\(key.name)", message)
            try await ledger.writeStatus(namespace: key.namespace, cron: key.name, status)
        }
    }

    /// Where a server that just began, or met a definition, begins to look: not before the grace period, what was
    /// looked at already, or the last change of the definition.
    private static func firstCursor(_ status: CronStatus, changedAt: Timestamp, at now: Timestamp)
        -> Timestamp
    {
        [
            now + (.zero - grace), changedAt, status.lastScheduledTime ?? changedAt,
            status.lastSkippedTime ?? changedAt,
        ].max() ?? now
    }

    /// Reads a cron workflow again whose status somebody else has written.
    func refresh(_ key: Key) async throws {
        guard let row = try await ledger.cron(namespace: key.namespace, name: key.name) else {
            entries[key] = nil
            return
        }
        try await take(row, key)
    }
}

extension StoreError {
    /// Whether the database as a whole cannot do its work now.
    fileprivate var concernsAll: Bool {
        switch self {
        case .full, .busy, .corrupt, .newerSchema, .olderSchema, .io: true
        default: false
        }
    }
}

extension CronStatus {
    /// Replaces the conditions by one that says why nothing fires.
    mutating func note(problem: String) {
        conditions = [Condition(type: Condition.specError, message: problem)]
    }
}
