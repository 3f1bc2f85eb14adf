// What a run finds around it: directories, variables, and the wish to stop.

import Synchronization

/// A wish to end, which the loop looks at between steps.
package final class StopRequest: Sendable {
    private let flag = Atomic<Bool>(false)

    package init() {}

    package var isMade: Bool { flag.load(ordering: .acquiring) }
    package func make() { flag.store(true, ordering: .releasing) }
}

/// The surroundings of a run.
package struct RunEnvironment: Sendable {
    /// A variable of the process's environment.
    package var variable: @Sendable (String) -> String?
    /// Takes a sentence for the user that is no error.
    package var say: @Sendable (String) -> Void
    /// Whether progress is shown on standard error.
    package var showsProgress: Bool
    /// Memory that activations may take; nil: what the machine has.
    package var memoryLimitBytes: Int?
    /// Looks at the counted data before any weight is read; what it throws ends the run.
    package var admit: @Sendable (DataSummary) throws -> Void
    /// Called when an update and what was due after it is done, with the number of updates so far.
    package var stepDone: @Sendable (Int) -> Void = { _ in }

    package init(
        variable: @escaping @Sendable (String) -> String? = { _ in nil },
        say: @escaping @Sendable (String) -> Void = { _ in }, showsProgress: Bool = false,
        admit: @escaping @Sendable (DataSummary) throws -> Void = { _ in }
    ) {
        self.variable = variable
        self.say = say
        self.showsProgress = showsProgress
        self.admit = admit
    }
}

/// What came of a run.
package struct RunSummary: Sendable, Hashable {
    package var steps = 0
    package var trainLoss: Double?
    package var evalLoss: Double?
    package var tokensPerSecond = 0.0
    /// The last step's rewards, of rlhf.
    package var metrics: [NamedValue] = []
    /// The last evaluation's; empty where nothing was evaluated.
    package var evaluationMetrics: [NamedValue] = []
    package var lastCheckpoint: String?
    package var bestCheckpoint: String?

    package init() {}
}
