// Which choice a model takes, from the likelihoods of the continuations.

/// The choice by each rule, as lm-evaluation-harness has them. Of equal scores the first counts.
package struct ChoiceScore: Sendable, Hashable {
    /// The likeliest continuation.
    package var prediction: Int
    /// The likeliest by log-likelihood divided by the choice's characters (Unicode scalars).
    package var predictionByCharacters: Int
    /// The same by bytes of UTF-8.
    package var predictionByBytes: Int

    /// - Parameters:
    ///   - logLikelihoods: one a choice.
    ///   - choices: the texts without the space that leads a continuation.
    /// - Precondition: as many texts as likelihoods, at least one.
    package init(logLikelihoods: [Double], choices: [String]) {
        precondition(
            !choices.isEmpty && choices.count == logLikelihoods.count, "a likelihood for each choice")
        prediction = Self.best(logLikelihoods)
        predictionByCharacters = Self.best(
            zip(logLikelihoods, choices).map { Self.divided($0, by: $1.unicodeScalars.count) })
        predictionByBytes = Self.best(
            zip(logLikelihoods, choices).map { Self.divided($0, by: $1.utf8.count) })
    }

    /// An empty choice has no length to divide by; as with NumPy, its likelihood becomes infinitely small.
    private static func divided(_ sum: Double, by length: Int) -> Double {
        length > 0 ? sum / Double(length) : -.infinity
    }

    private static func best(_ scores: [Double]) -> Int {
        var best = 0
        for index in scores.indices where scores[index] > scores[best] || scores[best].isNaN {
            best = index
        }
        return best
    }
}
