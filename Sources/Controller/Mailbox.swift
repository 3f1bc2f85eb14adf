// Where everything that happens waits for the controller's loop: reports, timers, commands of other processes.

package import Scheduling
import Synchronization

/// Something for the loop to do.
package enum Incoming: Sendable {
    case event(uid: String, Event)
    /// Commands of other processes, locks that others released: look whether there are any.
    case poll
    /// Take over a run that is stored.
    case drive(uid: String)
    /// A save failed for want of space: try again.
    case saveAgain
    case stop
}

/// A queue with many writers and one reader, who takes all that is there at once: what comes while one transaction
/// is on its way to the disk is saved together in the next.
package final class Mailbox: Sendable {
    private let waiting = Mutex<[Incoming]>([])
    package let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    /// Gives one element when the reader has closed the mailbox.
    let ended: AsyncStream<Void>
    private let end: AsyncStream<Void>.Continuation

    package init() {
        (ended, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    package func post(_ item: Incoming) {
        waiting.withLock { $0.append(item) }
        wake.yield()
    }

    package func takeAll() -> [Incoming] {
        waiting.withLock { items in
            defer { items = [] }
            return items
        }
    }

    package func close() {
        wake.finish()
        end.yield()
        end.finish()
    }
}
