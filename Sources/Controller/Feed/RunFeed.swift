// Tells many readers which runs changed: each reader gets every change, or the newest of each run if it is slow.

package import Persistence
import Synchronization
import Text

/// The changes of all runs of a data directory, whoever makes them. One look at the database serves all readers.
package final class RunFeed: Sendable {
    /// How often the changes of other processes are looked for while there are readers.
    static let pollInterval = Duration.milliseconds(200)
    /// The same while nobody reads. What this process saves is signaled and does not wait for it.
    static let idleInterval = Duration.seconds(1)
    /// Between two looks at least, so that a thousand saves a second are not a thousand looks.
    static let lookPause = Duration.milliseconds(10)
    /// How many changes one query reads.
    static let changesAtOnce = 1_000

    package let store: Store

    /// The feed does not keep its readers: one that nobody reads from any more is gone.
    private struct Entry {
        weak var reader: FeedReader?
    }

    private struct State {
        var next = 0
        /// Readers of all runs, and those of one, by its uid.
        var general: [Int: Entry] = [:]
        var single: [String: [Int: Entry]] = [:]
        /// Up to here the readers were told; nil while there are none.
        var seen: Int64?
        var isSignaled = false
        var isEnded = false

        var isEmpty: Bool { general.isEmpty && single.isEmpty }
    }

    private let state = Mutex(State())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    package init(store: Store) {
        self.store = store
        (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Something may have been saved: looks at once. Called by the controller behind each save.
    package func signal() {
        let hasReaders = state.withLock { state in
            state.isSignaled = true
            return !state.isEmpty
        }
        if hasReaders { wake.yield() }
    }

    /// How many readers there are, for metrics.
    package var readerCount: Int {
        state.withLock { $0.general.count + $0.single.values.reduce(0) { $0 + $1.count } }
    }

    /// Watches the database until cancelled; without readers it costs nothing but a look at a flag once a second.
    /// Readers end when it does.
    package func run() async throws {
        defer { end() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    let hasReaders = self.readerCount > 0
                    if hasReaders { self.wake.yield() }
                    try await Task.sleep(for: hasReaders ? Self.pollInterval : Self.idleInterval)
                }
            }
            group.addTask {
                var version: Int?
                for await _ in self.wakes {
                    try await self.look(&version)
                    try await Task.sleep(for: Self.lookPause)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func end() {
        for reader in state.withLock({ state -> [FeedReader] in
            state.isEnded = true
            return Self.readers(state)
        }) { reader.end() }
    }

    private static func readers(_ state: State) -> [FeedReader] {
        state.general.values.compactMap(\.reader)
            + state.single.values.flatMap { $0.values.compactMap(\.reader) }
    }

    // MARK: Looking

    /// Tells the readers what is new in the database.
    private func look(_ version: inout Int?) async throws {
        let (seen, isSignaled) = state.withLock { state in
            defer { state.isSignaled = false }
            return (state.seen, state.isSignaled)
        }
        guard let seen else { return }
        do {
            // Before the changes: what is saved in between is found by the next look.
            let newest = try await store.dataVersion()
            guard isSignaled || newest != version else { return }
            try await tell(after: seen)
            version = newest
        } catch StoreError.busy {
            return
        } catch StoreError.expired {
            // The database was replaced by a backup: everybody begins anew.
            let readers = state.withLock { state in
                defer {
                    (state.general, state.single) = ([:], [:])
                    state.seen = nil
                }
                return Self.readers(state)
            }
            for reader in readers { reader.end() }
        }
    }

    /// All that is new at once: a run that changed early and late is found late only, and whoever was told of what lies
    /// between would seem to know of its early change. There is one change a run, which limits how many there are.
    private func tell(after revision: Int64) async throws {
        var changes: [RunChange] = []
        while true {
            let more = try await store.runChanges(
                after: changes.last?.revision ?? revision, limit: Self.changesAtOnce)
            changes += more
            if more.count < Self.changesAtOnce { break }
        }
        if let last = changes.last { offer(changes, upTo: last.revision) }
    }

    private func offer(_ changes: [RunChange], upTo revision: Int64) {
        let (general, single) = state.withLock { state -> ([FeedReader], [(FeedReader, RunChange)]) in
            if let seen = state.seen { state.seen = max(seen, revision) }
            let general = state.general.values.compactMap(\.reader)
            var single: [(FeedReader, RunChange)] = []
            guard !state.single.isEmpty else { return (general, single) }
            for change in changes {
                for entry in (state.single[change.uid] ?? [:]).values {
                    if let reader = entry.reader { single.append((reader, change)) }
                }
            }
            return (general, single)
        }
        for reader in general { reader.offer(changes) }
        for (reader, change) in single { reader.offer([change]) }
    }

    // MARK: Reading

    /// The changes after a revision, then those to come; ends when the feed does or the reader stops.
    ///
    /// A reader that is slow finds of each run only its newest change, so that what waits for it has a limit; it
    /// never misses the last state of a run. Revisions ascend.
    /// - Parameters:
    ///   - revision: where the reader was; nil for the newest there is.
    ///   - uid: only this run's.
    ///   - namespaces: only theirs; nil for all.
    /// - Throws: `StoreError.expired` if the reader was away for too long: it begins anew from a list.
    package func changes(
        after revision: Int64? = nil, uid: String? = nil, namespaces: Set<String>? = nil
    ) async throws -> AsyncStream<[RunChange]> {
        let latest = try await store.latestRevision()
        if let revision, revision > latest { throw StoreError.expired(revision: revision) }
        let revision = revision ?? latest
        let (reader, told) = enroll(after: revision, from: latest, uid: uid, namespaces: namespaces)
        // The backlog is read once the reader is enrolled: what is saved meanwhile comes by both ways, and counts
        // once. The others may have been told of more than was there a moment ago, and are not told again.
        if revision < max(latest, told) {
            if let uid {
                try await offerRun(uid, after: revision, to: reader)
            } else {
                try await offerBacklog(after: revision, to: reader)
            }
        }
        reader.release()
        return AsyncStream {
            await reader.next()
        } onCancel: {
            reader.end()
        }
    }

    /// - Returns: the reader, and up to where the readers were told when it joined them.
    private func enroll(
        after revision: Int64, from latest: Int64, uid: String?, namespaces: Set<String>?
    ) -> (FeedReader, told: Int64) {
        let (reader, told, isEnded) = state.withLock { state in
            state.next += 1
            let id = state.next
            let reader = FeedReader(after: revision, uid: uid, namespaces: namespaces) { [weak self] in
                self?.leave(id, uid)
            }
            let told = state.seen ?? latest
            state.seen = told
            if let uid {
                state.single[uid, default: [:]][id] = Entry(reader: reader)
            } else {
                state.general[id] = Entry(reader: reader)
            }
            return (reader, told, state.isEnded)
        }
        if isEnded { reader.end() }
        return (reader, told)
    }

    private func leave(_ id: Int, _ uid: String?) {
        state.withLock { state in
            if let uid {
                state.single[uid]?[id] = nil
                if state.single[uid]?.isEmpty == true { state.single[uid] = nil }
            } else {
                state.general[id] = nil
            }
            if state.isEmpty { state.seen = nil }
        }
    }

    private func offerBacklog(after revision: Int64, to reader: FeedReader) async throws {
        var revision = revision
        while true {
            let changes = try await store.runChanges(after: revision, limit: Self.changesAtOnce)
            reader.offer(changes)
            guard changes.count == Self.changesAtOnce, let last = changes.last else { return }
            revision = last.revision
        }
    }

    /// Of one run the newest change is all that is missing, however many there were of others.
    private func offerRun(_ uid: String, after revision: Int64, to reader: FeedReader) async throws {
        guard let row = try await store.workflow(uid: uid) else {
            // Deleted: its tombstone is somewhere in the backlog.
            return try await offerBacklog(after: revision, to: reader)
        }
        reader.offer([
            RunChange(
                revision: row.revision, uid: uid, namespace: row.namespace, name: row.name,
                labels: row.labels,
                phase: row.phase)
        ])
    }
}
