// A queue between tasks with a limit: who puts into a full one waits, so that a slow reader of a stream holds
// back its source instead of filling memory.
import Synchronization

/// Many tasks put, one takes. The cancellation of any of them, and `close`, end it for all.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var waiting: [Element] = []
        var taker: CheckedContinuation<[Element], any Error>?
        var putters: [CheckedContinuation<Void, any Error>] = []
        var closed: (any Error)?
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: how many elements may wait before `put` does.
    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Adds an element, and waits while more than the capacity are there. Throws what the mailbox was closed
    /// with.
    func put(_ element: Element) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (putter: CheckedContinuation<Void, any Error>) in
                let resume: () -> Void = state.withLock { state in
                    if let error = state.closed { return { putter.resume(throwing: error) } }
                    if let taker = state.taker {
                        state.taker = nil
                        return {
                            taker.resume(returning: [element])
                            putter.resume()
                        }
                    }
                    state.waiting.append(element)
                    if state.waiting.count < capacity { return { putter.resume() } }
                    state.putters.append(putter)
                    return {}
                }
                resume()
            }
        } onCancel: {
            close(CancellationError())
        }
    }

    /// Adds an element only if the taker waits for one.
    func offer(_ element: Element) {
        let taker = state.withLock { state in
            let taker = state.taker
            state.taker = nil
            return taker
        }
        taker?.resume(returning: [element])
    }

    /// All elements that are there, at least one; waits for the first. Throws what the mailbox was closed
    /// with, once it is empty.
    func take() async throws -> [Element] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (taker: CheckedContinuation<[Element], any Error>) in
                let resume: () -> Void = state.withLock { state in
                    if !state.waiting.isEmpty {
                        let (elements, putters) = (state.waiting, state.putters)
                        state.waiting = []
                        state.putters = []
                        return {
                            putters.forEach { $0.resume() }
                            taker.resume(returning: elements)
                        }
                    }
                    if let error = state.closed { return { taker.resume(throwing: error) } }
                    precondition(state.taker == nil, "a mailbox has one taker")
                    state.taker = taker
                    return {}
                }
                resume()
            }
        } onCancel: {
            close(CancellationError())
        }
    }

    /// Ends the mailbox: elements that are there can still be taken, then `take` throws the error. Only the
    /// first call counts.
    func close(_ error: any Error) {
        let (taker, putters) = state.withLock { state in
            guard state.closed == nil else {
                return (
                    CheckedContinuation<[Element], any Error>?.none, [CheckedContinuation<Void, any Error>]()
                )
            }
            state.closed = error
            defer {
                state.taker = nil
                state.putters = []
            }
            return (state.taker, state.putters)
        }
        taker?.resume(throwing: error)
        putters.forEach { $0.resume(throwing: error) }
    }
}
