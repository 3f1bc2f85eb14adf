// One reader of the feed: what it has not fetched yet, the newest of each run, and the moment it waits for more.

import Persistence
import Synchronization

/// The buffer between the feed and one reader. What waits in it has at most one change a run.
final class FeedReader: Sendable {
    private struct State {
        var pending: [String: RunChange] = [:]
        /// The newest revision that the reader fetched, or that it said it knows.
        var fetched: Int64
        /// Nothing is handed out before the backlog is in, so that revisions ascend.
        var isHeld = true
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// Only this run's changes; nil for those of all runs.
    let uid: String?
    /// Only those of these namespaces; nil for all.
    let namespaces: Set<String>?
    private let state: Mutex<State>
    private let onEnd: @Sendable () -> Void

    init(
        after revision: Int64, uid: String?, namespaces: Set<String>?, onEnd: @escaping @Sendable () -> Void
    ) {
        self.uid = uid
        self.namespaces = namespaces
        self.onEnd = onEnd
        state = Mutex(State(fetched: revision))
    }

    deinit { onEnd() }

    private func wants(_ change: RunChange) -> Bool {
        (uid == nil || uid == change.uid) && (namespaces?.contains(change.namespace) ?? true)
    }

    /// Adds changes, which may be known already.
    func offer(_ changes: [RunChange]) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isEnded else { return nil }
            for change in changes where change.revision > state.fetched && wants(change) {
                if let waiting = state.pending[change.uid], waiting.revision >= change.revision { continue }
                state.pending[change.uid] = change
            }
            return Self.wakes(&state)
        }
        waiter?.resume()
    }

    /// The backlog is in.
    func release() {
        let waiter = state.withLock { state in
            state.isHeld = false
            return Self.wakes(&state)
        }
        waiter?.resume()
    }

    /// The reader gets what waits, and then its end.
    func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            return Self.wakes(&state)
        }
        waiter?.resume()
    }

    private static func wakes(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard state.isEnded || (!state.isHeld && !state.pending.isEmpty) else { return nil }
        defer { state.waiter = nil }
        return state.waiter
    }

    /// What has changed since the last call, oldest revision first; waits until there is something. Nil at the end.
    func next() async -> [RunChange]? {
        while true {
            let (changes, isEnded) = state.withLock { state -> ([RunChange], Bool) in
                guard !state.isHeld, !state.pending.isEmpty else { return ([], state.isEnded) }
                let changes = state.pending.values.sorted { $0.revision < $1.revision }
                state.pending = [:]
                state.fetched = changes.last?.revision ?? state.fetched
                return (changes, false)
            }
            if !changes.isEmpty { return changes }
            if isEnded { return nil }
            await wait()
        }
    }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isDue = state.withLock { state -> Bool in
                    if state.isEnded || (!state.isHeld && !state.pending.isEmpty) { return true }
                    state.waiter = waiter
                    return false
                }
                if isDue { waiter.resume() }
            }
        } onCancel: {
            end()
        }
    }
}
