// What many readers want at the same time is made once: the first who asks makes it, the others wait for it.

import Synchronization

/// The newest payloads by key. The same key must always mean the same payload.
package final class SharedPayloads<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Those who wait for a payload that is being made.
    private final class Flight: Sendable {
        private let state = Mutex(
            (next: 0, isDone: false, waiters: [Int: CheckedContinuation<Void, Never>]()))

        func wait() async {
            let id = state.withLock { state in
                state.next += 1
                return state.next
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { waiter in
                    let isOver = Task.isCancelled
                    let isDone = state.withLock { state -> Bool in
                        if state.isDone || isOver { return true }
                        state.waiters[id] = waiter
                        return false
                    }
                    if isDone { waiter.resume() }
                }
            } onCancel: {
                state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
            }
        }

        func land() {
            let waiters = state.withLock { state in
                state.isDone = true
                defer { state.waiters = [:] }
                return state.waiters.values.map { $0 }
            }
            for waiter in waiters { waiter.resume() }
        }
    }

    private struct State {
        var made: [Key: Value] = [:]
        /// Keys of what was made, the oldest first.
        var order: [Key] = []
        var flights: [Key: Flight] = [:]
    }

    private enum Step {
        case known(Value)
        case make(Flight)
        case wait(Flight)
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: how many payloads are kept; the oldest go first.
    package init(limit: Int = 256) { self.limit = max(1, limit) }

    /// The payload of a key, made by `make` unless it is there or being made. A failed making is the failure of who
    /// made it; the next of those who wait tries again.
    package func value(for key: Key, make: @Sendable () async throws -> Value) async throws -> Value {
        while true {
            switch step(key) {
            case .known(let value): return value
            case .wait(let flight):
                await flight.wait()
                try Task.checkCancellation()
            case .make(let flight):
                do {
                    let value = try await make()
                    keep(value, key)
                    flight.land()
                    return value
                } catch {
                    state.withLock { $0.flights[key] = nil }
                    flight.land()
                    throw error
                }
            }
        }
    }

    private func step(_ key: Key) -> Step {
        state.withLock { state in
            if let value = state.made[key] { return .known(value) }
            if let flight = state.flights[key] { return .wait(flight) }
            let flight = Flight()
            state.flights[key] = flight
            return .make(flight)
        }
    }

    private func keep(_ value: Value, _ key: Key) {
        let dropped = state.withLock { state -> [Value?] in
            state.flights[key] = nil
            if state.made.updateValue(value, forKey: key) == nil { state.order.append(key) }
            guard state.order.count > limit else { return [] }
            let old = state.order.prefix(state.order.count - limit)
            defer { state.order.removeFirst(old.count) }
            return old.map { state.made.removeValue(forKey: $0) }
        }
        // Large payloads are let go outside of the lock.
        _ = dropped
    }
}
