// Tells many readers which runs changed: each reader gets every change, or the newest of each run if it is slow.

package import Persistence

/// The changes of all runs of a data directory, whoever makes them.
package final class RunFeed: Sendable {
    package let store: Store

    package init(store: Store) { self.store = store }

    /// Something may have been saved: looks at once. Called by the controller behind each save.
    package func signal() {}

    /// Watches the database until cancelled; without readers it costs nothing but a look five times a second.
    package func run() async throws {}

    /// The changes after a revision, then those to come; ends when the feed does or the reader stops.
    ///
    /// A reader that is slow finds of each run only its newest change, so that what waits for it has a limit; it
    /// never misses the last state of a run. Revisions ascend.
    /// - Parameters:
    ///   - revision: where the reader was; nil for the newest there is.
    ///   - uid: only this run's.
    ///   - namespaces: only theirs; nil for all.
    package func changes(
        after revision: Int64? = nil, uid: String? = nil, namespaces: Set<String>? = nil
    ) async throws -> AsyncStream<[RunChange]> {
        AsyncStream { $0.finish() }
    }
}
