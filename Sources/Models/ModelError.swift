// Why a model cannot be used: which file, what is wrong, what to do.

/// Files that are sound each for itself do not make a model together.
package struct ModelError: Error, Sendable, Hashable, CustomStringConvertible {
    package var file: String
    package var problem: String
    package var remedy: String

    package init(file: String, problem: String, remedy: String) {
        self.file = file
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String { "\(file): \(problem); \(remedy)" }
}
