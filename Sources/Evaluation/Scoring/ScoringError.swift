// Why a model or a server cannot answer what an evaluation asks of it.

/// A failure to rate or to generate, with what to do about it.
package struct ScoringError: Error, Sendable, Hashable, CustomStringConvertible {
    package var problem: String
    package var remedy: String

    package init(_ problem: String, remedy: String) {
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String { "\(problem); \(remedy)" }
}
