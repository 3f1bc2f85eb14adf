// A run that one process submits and drives: stored as its own from the beginning, so that nothing of it has to be
// claimed or read again before its first step.

package import Persistence
package import Scheduling
import Text

/// A run whose lock is held and which is, or is about to be, on disk.
package struct NewRun: Sendable {
    /// That of the first driver. A run that nobody drives yet has none, 0.
    static let epoch = 1

    /// As it is stored.
    let row: WorkflowRow
    let lock: DriverLock

    package var uid: String { row.uid }

    /// - Parameter lock: the run's; taken before anybody can see the run, so that a server on this directory does not
    ///   begin it.
    package init(_ definition: RunDefinition, lock: DriverLock) throws {
        var row = Submission.row(of: definition, phase: Phase.pending.rawValue)
        row.summary.driverEpoch = Self.epoch
        // What a later driver will read, to the last digit of a number: both must decide alike.
        row.manifest = try JSONValue(parsing: row.manifest.compactText)
        self.row = row
        self.lock = lock
    }

    /// When this returns the run is on disk.
    /// - Throws: `StoreError.nameTaken` if its namespace has a run of that name, archived ones included.
    package func store(in store: Store) async throws { try await store.insertWorkflow(row) }
}
