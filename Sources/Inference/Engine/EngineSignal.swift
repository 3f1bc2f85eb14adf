// How other tasks reach the engine's loop without waiting for its thread.

import Synchronization

/// Requests that were given up, and a bell for the loop. The thread may be computing for a second; whoever gives up
/// a request does not wait for that.
final class EngineSignal: Sendable {
    private struct State {
        var abandoned: [RequestID] = []
        var isRung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Nobody waits for the request any more.
    func abandon(_ id: RequestID) {
        ring { $0.abandoned.append(id) }
    }

    /// There is something to do.
    func ring() { ring { _ in } }

    private func ring(_ change: (inout sending State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            state.isRung = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func takeAbandoned() -> [RequestID] {
        state.withLock { state in
            defer { state.abandoned = [] }
            return state.abandoned
        }
    }

    /// Returns at once if the bell was rung since the last time, else when it is, or when the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    let goesOn = state.isRung || Task.isCancelled
                    if !goesOn { state.waiter = continuation }
                    return goesOn
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
        state.withLock { $0.isRung = false }
    }
}
