// Until when this process may act: asked before each change, and watched by a thread that no busy pool holds up.

import Dispatch
import Synchronization
import Text

/// Closed until the Lease is held, and again from the moment in which it might be another's.
package final class LeaseFence: Sendable, Hashable {
    private static let zero = ContinuousClock.now

    private let validUntil = Mutex<Duration?>(nil)
    private let clock: @Sendable () -> Duration

    /// - Parameter clock: goes on while the machine sleeps; default: the system's.
    package init(clock: (@Sendable () -> Duration)? = nil) {
        // Set once, here, so that all spans begin at the same moment.
        let zero = Self.zero
        self.clock = clock ?? { ContinuousClock.now - zero }
    }

    package var now: Duration { clock() }

    package var isOpen: Bool { validUntil.withLock { $0 }.map { clock() < $0 } ?? false }

    /// - Parameter moment: nil closes it.
    func open(until moment: Duration?) { validUntil.withLock { $0 = moment } }

    /// Calls `lost` once when the fence closes without having been told to, on a thread of its own.
    package func watch(_ lost: @escaping @Sendable () -> Void) {
        Self.look(self, DispatchQueue(label: "martlet.lease"), lost)
    }

    private static func look(
        _ fence: LeaseFence, _ queue: DispatchQueue, _ lost: @escaping @Sendable () -> Void
    ) {
        guard let end = fence.validUntil.withLock({ $0 }) else { return }
        let left = end - fence.clock()
        guard left > .zero else { return lost() }
        // It is usually moved on long before.
        queue.asyncAfter(deadline: .now() + .nanoseconds(Int(left.wholeNanoseconds))) {
            look(fence, queue, lost)
        }
    }

    package static func == (left: LeaseFence, right: LeaseFence) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
