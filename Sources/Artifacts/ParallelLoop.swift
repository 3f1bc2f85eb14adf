// A loop whose turns run on several threads, for work that waits on networks and disks.

import Glibc
import Synchronization

enum ParallelLoop {
    /// Calls `body` with 0..<count, up to `threads` at a time, and returns its results in order.
    /// - Throws: the first error; turns that have not begun by then are left out.
    static func map<Result: Sendable>(
        _ count: Int, threads: Int, _ body: @escaping @Sendable (Int) throws -> Result
    ) throws -> [Result] {
        let turns = Turns(count: count, body: body)
        var handles: [pthread_t] = []
        for _ in 1..<max(1, min(threads, count)) {
            var handle = pthread_t()
            let context = Unmanaged.passRetained(AnyTurns(turns.work))
            let failure = pthread_create(
                &handle, nil,
                { pointer in
                    guard let pointer else { return nil }
                    Unmanaged<AnyTurns>.fromOpaque(pointer).takeRetainedValue().work()
                    return nil
                }, context.toOpaque())
            if failure == 0 {
                handles.append(handle)
            } else {
                // Fewer threads are slower, and no error.
                context.release()
            }
        }
        turns.work()
        for handle in handles { pthread_join(handle, nil) }
        return try turns.results()
    }
}

/// What a thread is handed: C cannot carry a generic type.
private final class AnyTurns: Sendable {
    let work: @Sendable () -> Void

    init(_ work: @escaping @Sendable () -> Void) { self.work = work }
}

private final class Turns<Result: Sendable>: Sendable {
    private struct State {
        var next = 0
        var results: [Int: Result] = [:]
        var failure: (any Error)?
    }

    private let count: Int
    private let body: @Sendable (Int) throws -> Result
    private let state = Mutex(State())

    init(count: Int, body: @escaping @Sendable (Int) throws -> Result) {
        self.count = count
        self.body = body
    }

    @Sendable func work() {
        while let index = take() {
            do {
                let result = try body(index)
                state.withLock { $0.results[index] = result }
            } catch {
                state.withLock { if $0.failure == nil { $0.failure = error } }
            }
        }
    }

    private func take() -> Int? {
        state.withLock { state in
            guard state.failure == nil, state.next < count else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    func results() throws -> [Result] {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            return (0..<count).compactMap { state.results[$0] }
        }
    }
}
