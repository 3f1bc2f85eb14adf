// Where everything that happens waits for the controller's loop: reports, timers, commands of other processes.

package import Scheduling
import Synchronization

/// What became of a command that was given to the controller of this process.
package enum CommandOutcome: Sendable, Hashable {
    /// Carried out, and on the disk.
    case saved
    /// This process does not drive the run.
    case notDriven
    /// Carried out in memory, but it cannot be saved now; it will be.
    case unsaved(problem: String)
}

/// Something for the loop to do.
package enum Incoming: Sendable {
    case event(uid: String, Event)
    /// A command whose sender waits until it is saved. With `takes` the run is taken over for it if need be.
    case command(uid: String, Command, takes: Bool, AsyncStream<CommandOutcome>.Continuation)
    /// Commands of other processes, locks that others released, new runs: look whether there are any.
    case poll
    /// Take over a run that is stored; the lock is the run's, if whoever asks holds it.
    case drive(uid: String, lock: DriverLock?)
    /// Begin a run that its sender has just stored.
    case begin(NewRun)
    /// A run that waits for its turn is not wanted any more.
    case withdraw(uid: String)
    /// Something is left to save.
    case saveAgain
    case stop
}

/// A queue with many writers and one reader, who takes all that is there at once: what comes while one transaction
/// is on its way to the disk is saved together in the next.
package final class Mailbox: Sendable {
    private struct Contents {
        var items: [Incoming] = []
        /// When the first of the items came.
        var since = ContinuousClock.now
        /// The same of the items that were taken last.
        var takenSince = ContinuousClock.now
    }

    private let waiting = Mutex(Contents())
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
        waiting.withLock { contents in
            if contents.items.isEmpty { contents.since = .now }
            contents.items.append(item)
        }
        wake.yield()
    }

    package func takeAll() -> [Incoming] {
        waiting.withLock { contents in
            contents.takenSince = contents.items.isEmpty ? .now : contents.since
            defer { contents.items = [] }
            return contents.items
        }
    }

    /// When the oldest of the items that were taken last had come.
    var takenSince: ContinuousClock.Instant { waiting.withLock { $0.takenSince } }

    /// How many items wait for the loop.
    package var count: Int { waiting.withLock { $0.items.count } }

    /// No more is read. Whoever waits for an answer hears that nobody will give it.
    package func close() {
        for case .command(_, _, _, let answer) in takeAll() {
            answer.yield(.notDriven)
            answer.finish()
        }
        wake.finish()
        end.yield()
        end.finish()
    }
}
