// A run that one process submits and drives: it is stored as its driver's own, together with what its first step needs,
// so that one wait for the disk is enough before that step and nothing is claimed or read again.

import Persistence
package import Scheduling
import Text

/// A run whose lock is held and which is not on disk yet.
package struct NewRun: Sendable {
    /// That of the first driver. A run that nobody drives yet has none, 0.
    static let epoch = 1

    /// As it will be stored.
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
}
