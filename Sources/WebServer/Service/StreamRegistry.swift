// The streams that are being sent: they end at once when the server stops, when their client is gone, and soon after
// their token was revoked, whatever the route waits for.

import Synchronization

/// Runs the writing of streams, and ends it from outside.
final class StreamRegistry: Sendable {
    /// A download was cut off; its connection closes, so that its client sees that something is missing.
    struct CutOff: Error {}

    /// How often it is looked whether those who read streams may still do so.
    static let checkInterval = Duration.seconds(2)

    private struct Entry: Sendable {
        var principal: Principal?
        var isEndless: Bool
        var end: @Sendable () -> Void
    }

    private struct State {
        var nextKey = 0
        var isDraining = false
        var entries: [Int: Entry] = [:]
    }

    private let state = Mutex(State())

    /// How many streams are being sent.
    var count: Int { state.withLock { $0.entries.count } }

    /// Writes a stream to its end, or until it is ended from outside.
    /// - Parameters:
    ///   - isEndless: whether it goes on until somebody stops it, as event streams do. Such a stream ends cleanly, and
    ///     its reader comes back; a download that is cut off must not look complete.
    ///   - principal: who reads it; nil for what everyone may read.
    func run(
        _ sink: any ReplySink, isEndless: Bool, principal: Principal?, connection: ConnectionWatch,
        _ write: @escaping @Sendable (any ReplySink) async throws -> Void
    ) async throws {
        let (ended, end) = AsyncStream<Void>.makeStream()
        let key = state.withLock { state -> Int? in
            if state.isDraining && isEndless { return nil }
            state.nextKey += 1
            state.entries[state.nextKey] = Entry(
                principal: principal, isEndless: isEndless, end: { end.finish() })
            return state.nextKey
        }
        guard let key else { return }
        defer { state.withLock { _ = $0.entries.removeValue(forKey: key) } }
        let registration = connection.whenGone { end.finish() }
        defer { registration.cancel() }
        // Only the child below uses the sink, and this function does not return before that child has ended.
        nonisolated(unsafe) let sink = sink
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await write(sink)
                return true
            }
            group.addTask {
                for await _ in ended {}
                return false
            }
            let isWhole: Bool
            do {
                isWhole = try await group.next() ?? false
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            while await group.nextResult() != nil {}
            if !isWhole && !isEndless { throw CutOff() }
        }
    }

    /// The server stops: ends all endless streams, and those that would begin.
    func drain() {
        let ends = state.withLock { state in
            state.isDraining = true
            return state.entries.values.filter(\.isEndless).map(\.end)
        }
        for end in ends { end() }
    }

    /// Ends the streams of those who may read no more.
    func check(_ isValid: @Sendable (Principal) async -> Bool) async {
        let readers = state.withLock { state in Set(state.entries.values.compactMap(\.principal)) }
        for reader in readers {
            if await isValid(reader) { continue }
            let ends = state.withLock { state in
                state.entries.values.filter { $0.principal == reader }.map(\.end)
            }
            for end in ends { end() }
        }
    }
}
