// Wakes the controller at a moment, or at a steady pace, without a thread that waits.

import Dispatch
import Text

/// One pending wake-up; setting it again replaces it.
final class Alarm: Sendable {
    // Dispatch sources may be scheduled and cancelled from any thread; the type only lacks the word Sendable.
    private nonisolated(unsafe) let source: any DispatchSourceTimer

    init(_ action: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "martlet.alarm"))
        source.setEventHandler { action() }
        source.schedule(deadline: .distantFuture)
        source.activate()
    }

    deinit { source.cancel() }

    /// Wakes once after a span; a span that is over wakes at once.
    func set(after span: Duration) {
        source.schedule(deadline: .now() + .nanoseconds(Int(max(span.wholeNanoseconds, 0))))
    }

    /// Wakes again and again.
    func repeatEvery(_ span: Duration) {
        let interval = DispatchTimeInterval.nanoseconds(Int(span.wholeNanoseconds))
        source.schedule(deadline: .now() + interval, repeating: interval, leeway: .milliseconds(20))
    }

    func cancel() { source.schedule(deadline: .distantFuture) }
}
