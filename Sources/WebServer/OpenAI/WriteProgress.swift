// Whether the writer of a stream moves on, as the task beside it sees that watches over silence.
import Synchronization

/// Counts writes, and remembers since when the present one waits.
final class WriteProgress: Sendable {
    private struct State {
        var writes = 0
        var since: Duration?
    }

    private let value = Mutex(State())

    func begin(at now: Duration) { value.withLock { $0.since = now } }

    func end() {
        value.withLock { state in
            state.since = nil
            state.writes += 1
        }
    }

    /// How many writes ended, and since when one waits.
    var state: (writes: Int, since: Duration?) { value.withLock { ($0.writes, $0.since) } }
}
