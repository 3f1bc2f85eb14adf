// Why a run cannot start or go on, with the exit status that tells a retry what to do.

/// A failure of a training run. `description` is what the user sees: what is wrong, where, and what to do.
package struct TrainingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The exit status of the command, as DESIGN.md lists them.
    package enum Kind: Int32, Sendable, Hashable {
        case failed = 1
        case badParameters = 2
        case badData = 65
        /// SIGTERM came, the state is saved: resume me.
        case interrupted = 75
        case outOfMemory = 86
        case diverged = 87
    }

    package var kind: Kind
    package var problem: String
    package var remedy: String

    package init(_ kind: Kind, _ problem: String, remedy: String) {
        self.kind = kind
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String { remedy.isEmpty ? problem : "\(problem); \(remedy)" }
}
