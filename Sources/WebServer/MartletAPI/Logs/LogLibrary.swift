// The logs that are being looked at: their indexes, kept while they are in use, so that any line of a log of gigabytes
// is there at once.

import Executors
import NIOPosix

/// A log as it is now.
struct LogSnapshot: Sendable {
    var attempt: StepLogs.Attempt
    var index: LogIndex
    /// Nothing more will be written.
    var isComplete: Bool

    var lines: Int { index.lines + (isComplete ? index.begunLines : 0) }
}

/// Indexes by file and container. Who asks for one that is being brought up to date waits for that.
actor LogLibrary {
    private struct Key: Hashable {
        var path: String
        var container: String?
    }

    private struct Entry {
        var snapshot: LogSnapshot
        var checkedAt: Duration
        var usedAt: Int
    }

    /// Logs whose indexes are kept.
    private static let countLimit = 256
    /// What they may take together.
    private static let memoryLimitBytes = 64 << 20
    /// A log is looked at no more often, however many watch it.
    private static let freshness = Duration.milliseconds(100)
    /// One thread is not kept longer than this takes.
    private static let sliceBytes = 32 << 20

    nonisolated let logs: StepLogs
    private let surroundings: ServerSurroundings
    private var entries: [Key: Entry] = [:]
    private var waiting: [Key: [CheckedContinuation<Void, Never>]] = [:]
    private var useCount = 0

    init(dataDirectory: String, surroundings: ServerSurroundings) {
        logs = StepLogs(dataDirectory: dataDirectory)
        self.surroundings = surroundings
    }

    /// The log of an attempt, by default the newest, brought up to date.
    /// - Returns: nil if the node has no such attempt.
    func snapshot(_ log: NodeLog, attempt number: Int? = nil) async throws -> LogSnapshot? {
        let logs = logs
        let attempt = try await NIOThreadPool.singleton.runIfActive { logs.attempt(log, number) }
        guard let attempt else { return nil }
        let key = Key(path: attempt.path, container: log.container)
        while waiting[key] != nil {
            await withCheckedContinuation { waiting[key]?.append($0) }
        }
        useCount += 1
        if var entry = entries[key], surroundings.now() - entry.checkedAt < Self.freshness {
            entry.usedAt = useCount
            entries[key] = entry
            return entry.snapshot
        }
        waiting[key] = []
        defer { for waiter in waiting.removeValue(forKey: key) ?? [] { waiter.resume() } }
        // Taken out, so that the index is changed in its place.
        let index = entries.removeValue(forKey: key)?.snapshot.index
        let snapshot = try await Self.grown(
            index ?? LogIndex(path: attempt.path, container: log.container), attempt)
        entries[key] = Entry(snapshot: snapshot, checkedAt: surroundings.now(), usedAt: useCount)
        trim()
        return snapshot
    }

    private static func grown(_ index: LogIndex, _ attempt: StepLogs.Attempt) async throws -> LogSnapshot {
        // Asked first: what is written between reading and asking would be missed the other way round.
        var snapshot = LogSnapshot(attempt: attempt, index: index, isComplete: false)
        snapshot.isComplete = try await NIOThreadPool.singleton.runIfActive { attempt.isOver }
        var isAtEnd = false
        while !isAtEnd {
            let last = snapshot.index
            (snapshot.index, isAtEnd) = try await NIOThreadPool.singleton.runIfActive {
                var index = last
                let isAtEnd = index.extend(limitBytes: sliceBytes)
                return (index, isAtEnd)
            }
            try Task.checkCancellation()
        }
        return snapshot
    }

    /// Forgets what was used longest ago.
    private func trim() {
        var memory = entries.values.reduce(0) { $0 + $1.snapshot.index.memoryBytes }
        while entries.count > Self.countLimit || (memory > Self.memoryLimitBytes && entries.count > 1) {
            guard let oldest = entries.min(by: { $0.value.usedAt < $1.value.usedAt }) else { return }
            memory -= oldest.value.snapshot.index.memoryBytes
            entries[oldest.key] = nil
        }
    }
}
