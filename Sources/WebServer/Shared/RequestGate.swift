// How many requests are answered at once, and how many wait. What is more is told to come back, instead of
// waiting without limit.
import Synchronization

/// Counts places that are taken. They are given back when the last reference to their slot goes, so that no
/// path of errors, cancellation or a vanished client can keep one.
final class RequestGate: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(limit: Int) { self.limit = max(1, limit) }

    /// Takes places; nil when there are not as many.
    func enter(places: Int = 1) -> Slot? {
        let entered = count.withLock { count in
            guard places <= limit - count else { return false }
            count += places
            return true
        }
        return entered ? Slot(self, places) : nil
    }

    /// How many places are taken now.
    var current: Int { count.withLock { $0 } }

    private func leave(_ places: Int) { count.withLock { $0 -= places } }

    /// Places that are taken.
    final class Slot: Sendable {
        private let gate: RequestGate
        private let places: Mutex<Int>

        fileprivate init(_ gate: RequestGate, _ places: Int) {
            self.gate = gate
            self.places = Mutex(places)
        }

        /// Gives one place back before the others.
        func leaveOne() {
            let hadOne = places.withLock { places in
                guard places > 0 else { return false }
                places -= 1
                return true
            }
            if hadOne { gate.leave(1) }
        }

        deinit { gate.leave(places.withLock { $0 }) }
    }
}
