// What a model gave for one sample, before anybody judges it.

/// The raw answer to a sample; its case follows the sample's body.
package enum SampleOutcome: Sendable, Hashable {
    /// One result a continuation, in their order.
    case choices([LikelihoodResult])
    /// At least one completion.
    case completions([Completion])
    /// Of the whole text.
    case text(RollingLikelihood)
    /// The completions and how each of them fared in the tests, in the same order.
    case code([Completion], [CodeVerdict])
}

/// How a program fared.
package struct CodeVerdict: Sendable, Hashable {
    package var passed: Bool
    /// `passed`, `failed`, `timed out`, and the last line that the program wrote; for the reader of a review.
    package var detail: String

    package init(passed: Bool, detail: String) {
        self.passed = passed
        self.detail = detail
    }
}

/// Runs programs that a model wrote. Nobody knows what they do, so that only a sandbox should implement this.
package protocol CodeRunner: Sendable {
    /// Runs a Python program to its end.
    /// - Parameter secondsLimit: the program fails when it takes longer.
    /// - Throws: only if the sandbox itself does not work; a program that fails is a verdict.
    func run(_ program: String, secondsLimit: Double) async throws -> CodeVerdict
}
