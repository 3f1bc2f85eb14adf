// Those in this process who watch a run: told after each saved change, and how it went.

import Synchronization

/// Watchers of runs. What is kept of a run goes with its last watcher, and has a limit besides.
final class RunWatchers: Sendable {
    /// Runs whose outcome is remembered for watchers that look late.
    private static let outcomeLimit = 256

    /// What became of a run that this process does not drive any more.
    enum Outcome: Sendable, Hashable {
        /// The run has ended and its end is on disk.
        case finished
        /// The run was not taken over, or was given up: why.
        case refused(String)
    }

    private struct State {
        var next = 0
        var watchers: [String: [Int: AsyncStream<Void>.Continuation]] = [:]
        var outcomes: [String: Outcome] = [:]
        /// The order in which outcomes came.
        var order: [String] = []
    }

    private let state = Mutex(State())

    /// A signal now and after each saved change of a run; signals that nobody took are one.
    func changes(of uid: String) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.next += 1
            state.watchers[uid, default: [:]][state.next] = continuation
            return state.next
        }
        continuation.onTermination = { [weak self] _ in self?.leave(uid, id) }
        continuation.yield()
        return stream
    }

    private func leave(_ uid: String, _ id: Int) {
        // Let go outside of the lock: the end of a continuation may call back.
        _ = state.withLock { state in
            let left = state.watchers[uid]?.removeValue(forKey: id)
            if state.watchers[uid]?.isEmpty == true { state.watchers[uid] = nil }
            return left
        }
    }

    func signal(_ uid: String) {
        for watcher in state.withLock({ Array(($0.watchers[uid] ?? [:]).values) }) { watcher.yield() }
    }

    func signalAll() {
        for watcher in state.withLock({ $0.watchers.values.flatMap(\.values) }) { watcher.yield() }
    }

    /// Notes what became of a run, if anybody watches it, and tells them.
    func note(_ outcome: Outcome, of uid: String) {
        state.withLock { state in
            guard state.watchers[uid] != nil else { return }
            if state.outcomes.updateValue(outcome, forKey: uid) == nil { state.order.append(uid) }
            while state.order.count > Self.outcomeLimit {
                state.outcomes[state.order.removeFirst()] = nil
            }
        }
        signal(uid)
    }

    /// The run is driven (again): what became of it before counts no more.
    func forgetOutcome(of uid: String) {
        state.withLock { state in
            guard state.outcomes.removeValue(forKey: uid) != nil else { return }
            state.order.removeAll { $0 == uid }
        }
    }

    func outcome(of uid: String) -> Outcome? { state.withLock { $0.outcomes[uid] } }

    /// No more comes: ends the streams of a run, or of all.
    func end(_ uid: String? = nil) {
        let ended = state.withLock { state in
            guard let uid else {
                defer { state.watchers = [:] }
                return state.watchers.values.flatMap { $0.values }
            }
            return Array((state.watchers.removeValue(forKey: uid) ?? [:]).values)
        }
        for watcher in ended { watcher.finish() }
    }

    /// For tests: how many streams and outcomes are kept.
    var counts: (streams: Int, outcomes: Int) {
        state.withLock { ($0.watchers.values.reduce(0) { $0 + $1.count }, $0.outcomes.count) }
    }
}
