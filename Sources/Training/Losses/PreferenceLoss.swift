// Losses of preference tuning as functions of log-probabilities: DPO, CPO, SimPO, ORPO of pairs, KTO of
// single answers.

import Glibc

/// A loss over the rows of one step, its derivatives, and what is logged of it. Pure: what a model computes
/// comes in as log-probabilities, and what it must change goes out as derivatives by them.
///
/// A step may come in several micro batches. All means are over the rows of the whole step, so each call is
/// told the step's totals, and the losses of its micro batches add up to the step's loss. Sources: DPO
/// arXiv:2305.18290 (IPO arXiv:2310.12036), CPO arXiv:2401.08417, SimPO arXiv:2405.14734, ORPO
/// arXiv:2403.07691, KTO arXiv:2402.01306; agrees with the trainers of TRL 1.16.
package struct PreferenceLoss: Sendable, Hashable {
    /// Which tokens of a chosen row have their negative log-likelihood summed beside the preference.
    package enum LikelihoodSpan: Sendable, Hashable {
        case none
        case completion
        /// All but the row's first token.
        case promptAndCompletion
    }

    package var method: TrainingParameters.PreferenceMethod
    /// Of dpo and cpo; the others have one form.
    package var lossType: TrainingParameters.PreferenceLossType
    package var beta: Double
    package var labelSmoothing: Double
    /// What the mean negative log-likelihood of the chosen tokens is multiplied by: `rpo_alpha`, `cpo_alpha`.
    package var likelihoodWeight: Double
    package var simpoGamma: Double
    package var desirableWeight: Double
    package var undesirableWeight: Double

    /// - Throws: `TrainingError` with the parameter that cannot be meant.
    package init(_ parameters: TrainingParameters) throws(TrainingError) {
        method = parameters.rlhfType
        lossType = parameters.lossType
        beta = parameters.beta ?? (parameters.rlhfType == .simpo ? 2 : 0.1)
        labelSmoothing = parameters.labelSmoothing
        likelihoodWeight =
            switch parameters.rlhfType {
            case .dpo: parameters.rpoAlpha ?? 0
            case .cpo: parameters.cpoAlpha
            case .orpo: 1
            case .simpo, .kto: 0
            }
        simpoGamma = parameters.simpoGamma
        desirableWeight = parameters.desirableWeight
        undesirableWeight = parameters.undesirableWeight
        func require(_ holds: Bool, _ name: String, _ value: Double, _ wanted: String) throws(TrainingError) {
            guard !holds else { return }
            throw TrainingError(
                .badParameters, "\(name) is \(value), and must be \(wanted)", remedy: "change \(name)")
        }
        try require(beta > 0 && beta.isFinite, "beta", beta, "a number above 0")
        try require(
            labelSmoothing >= 0 && labelSmoothing < 0.5, "label_smoothing", labelSmoothing,
            "from 0 to below 0.5")
        let weightName = method == .cpo ? "cpo_alpha" : "rpo_alpha"
        for (name, value) in [
            (weightName, likelihoodWeight), ("simpo_gamma", simpoGamma),
            ("desirable_weight", desirableWeight), ("undesirable_weight", undesirableWeight),
        ] {
            try require(value >= 0 && value.isFinite, name, value, "a number from 0 on")
        }
    }

    /// Whether log-probabilities of the reference model count.
    package var needsReference: Bool { method == .dpo || method == .kto }

    package var likelihoodSpan: LikelihoodSpan {
        guard likelihoodWeight > 0 else { return .none }
        return method == .orpo ? .promptAndCompletion : .completion
    }
}

// MARK: What comes in and goes out

extension PreferenceLoss {
    /// A completion as policy and reference model see it.
    package struct Answer: Sendable, Hashable {
        /// The sum of its tokens' log-probabilities under the policy.
        package var logProb: Double
        /// The same under the reference model; not read unless `needsReference`.
        package var reference: Double
        /// Tokens of the completion, its end token included.
        package var tokenCount: Int

        package init(logProb: Double, reference: Double = 0, tokenCount: Int) {
            self.logProb = logProb
            self.reference = reference
            self.tokenCount = tokenCount
        }
    }

    package struct Pair: Sendable, Hashable {
        package var chosen: Answer
        package var rejected: Answer
        /// The chosen row's negative log-likelihood, summed over `likelihoodSpan`; 0 for none.
        package var likelihoodSum: Double
        /// How many tokens it is the sum of.
        package var likelihoodTokens: Int

        package init(
            chosen: Answer, rejected: Answer, likelihoodSum: Double = 0, likelihoodTokens: Int = 0
        ) {
            self.chosen = chosen
            self.rejected = rejected
            self.likelihoodSum = likelihoodSum
            self.likelihoodTokens = likelihoodTokens
        }
    }

    /// An answer of KTO.
    package struct Single: Sendable, Hashable {
        package var answer: Answer
        package var isDesirable: Bool

        package init(answer: Answer, isDesirable: Bool) {
            self.answer = answer
            self.isDesirable = isDesirable
        }
    }

    /// What the means of a step are over.
    package struct StepTotals: Sendable, Hashable {
        package var rows: Int
        /// The step's `likelihoodTokens` together.
        package var likelihoodTokens: Int
        /// KTO's reference point z, of `PreferenceLoss.divergence`.
        package var divergence: Double

        package init(rows: Int, likelihoodTokens: Int = 0, divergence: Double = 0) {
            self.rows = rows
            self.likelihoodTokens = likelihoodTokens
            self.divergence = divergence
        }

        /// Of a step that is one batch.
        package init(_ pairs: [Pair]) {
            self.init(rows: pairs.count, likelihoodTokens: pairs.reduce(0) { $0 + $1.likelihoodTokens })
        }
    }

    /// Losses of a micro batch, as its share of the step's.
    package struct PairResult: Sendable, Hashable {
        package var loss: Double = 0
        /// The derivative of the step's loss by each pair's `chosen.logProb`.
        package var chosen: [Double] = []
        /// The derivative by each `rejected.logProb`.
        package var rejected: [Double] = []
        /// The derivative by every `likelihoodSum`, the same for all.
        package var likelihood: Double = 0
        package var tally = PreferenceTally()
    }

    package struct SingleResult: Sendable, Hashable {
        package var loss: Double = 0
        /// The derivative of the step's loss by each `answer.logProb`.
        package var answers: [Double] = []
        package var tally = PreferenceTally()
    }
}

// MARK: Pairs

extension PreferenceLoss {
    /// The loss of pairs, by any method but kto.
    package func callAsFunction(_ pairs: [Pair], of totals: StepTotals) -> PairResult {
        var result = PairResult()
        let rows = Double(max(totals.rows, 1))
        for pair in pairs {
            let (chosenScale, rejectedScale) = (scale(pair.chosen), scale(pair.rejected))
            let chosen = score(pair.chosen) * chosenScale
            let rejected = score(pair.rejected) * rejectedScale
            let term = method == .orpo ? oddsTerm(chosen, rejected) : marginTerm(chosen - rejected)
            result.loss += term.loss / rows
            result.chosen.append(term.chosen * chosenScale / rows)
            result.rejected.append(term.rejected * rejectedScale / rows)
            result.tally.add(
                pair, rewards: (reward(pair.chosen), reward(pair.rejected)), logOdds: term.logOdds)
        }
        if likelihoodSpan != .none {
            let weight = likelihoodWeight / Double(max(totals.likelihoodTokens, 1))
            result.likelihood = weight
            result.loss += pairs.reduce(0) { $0 + $1.likelihoodSum } * weight
        }
        return result
    }

    private func score(_ answer: Answer) -> Double {
        answer.logProb - (needsReference ? answer.reference : 0)
    }

    /// Whether the loss is of means over tokens in place of sums.
    private var isLengthNormalized: Bool {
        switch method {
        case .orpo, .simpo: true
        case .dpo, .cpo: lossType == .ipo
        case .kto: false
        }
    }

    private func scale(_ answer: Answer) -> Double {
        isLengthNormalized ? 1 / Double(max(answer.tokenCount, 1)) : 1
    }

    /// The implicit reward, for logs. DPO's is of sums even where IPO's loss is of means.
    private func reward(_ answer: Answer) -> Double {
        beta * score(answer) * (method == .dpo ? 1 : scale(answer))
    }

    /// A row's loss and its derivatives by the (normalized) scores.
    private struct Term {
        var loss: Double
        var chosen: Double
        var rejected: Double
        var logOdds: Double = 0
    }

    /// A loss of the scores' difference alone.
    private func marginTerm(_ difference: Double) -> Term {
        let loss: Double
        let slope: Double
        switch method == .simpo ? .sigmoid : lossType {
        case .sigmoid:
            let x = beta * difference - (method == .simpo ? simpoGamma : 0)
            loss = -Self.logSigmoid(x) * (1 - labelSmoothing) - Self.logSigmoid(-x) * labelSmoothing
            slope = beta * (sigmoid(x) * labelSmoothing - sigmoid(-x) * (1 - labelSmoothing))
        case .hinge:
            loss = max(0, 1 - beta * difference)
            slope = loss > 0 ? -beta : 0
        case .ipo:
            let distance = difference - 1 / (2 * beta)
            loss = distance * distance
            slope = 2 * distance
        }
        return Term(loss: loss, chosen: slope, rejected: -slope)
    }

    /// ORPO's -beta log sigmoid(log odds ratio), of mean log-probabilities.
    private func oddsTerm(_ chosen: Double, _ rejected: Double) -> Term {
        // A probability of one has infinite odds. The floor is half of what a float keeps of numbers near
        // one.
        let (chosen, rejected) = (min(chosen, -3e-8), min(rejected, -3e-8))
        let (chosenRest, rejectedRest) = (-expm1(chosen), -expm1(rejected))
        let logOdds = chosen - rejected - (log(chosenRest) - log(rejectedRest))
        let slope = -beta * sigmoid(-logOdds)
        return Term(
            loss: -beta * Self.logSigmoid(logOdds), chosen: slope / chosenRest,
            rejected: -slope / rejectedRest,
            logOdds: logOdds)
    }
}

// MARK: Single answers

extension PreferenceLoss {
    /// KTO's reference point: an estimate of how far the policy has moved from the reference model, from
    /// prompts with completions of other rows. It is a constant of the step: no derivative goes through it.
    /// - Parameter mismatched: row i of the step with the completion of row i - 1, row 0 with that of the
    ///   last.
    package static func divergence(mismatched: [Answer]) -> Double {
        guard !mismatched.isEmpty else { return 0 }
        let sum = mismatched.reduce(0) { $0 + $1.logProb - $1.reference }
        return max(0, sum / Double(mismatched.count))
    }

    /// The loss of kto.
    package func callAsFunction(_ rows: [Single], of totals: StepTotals) -> SingleResult {
        var result = SingleResult()
        let count = Double(max(totals.rows, 1))
        for row in rows {
            let ratio = row.answer.logProb - row.answer.reference
            let sign: Double = row.isDesirable ? 1 : -1
            let weight = row.isDesirable ? desirableWeight : undesirableWeight
            let x = sign * beta * (ratio - totals.divergence)
            result.loss += weight * sigmoid(-x) / count
            result.answers.append(-sign * weight * beta * sigmoid(x) * sigmoid(-x) / count)
            result.tally.add(row, reward: beta * ratio)
        }
        return result
    }
}

// MARK: The logistic function

extension PreferenceLoss {
    private func sigmoid(_ x: Double) -> Double {
        // Neither branch takes the exponential of a large positive number.
        x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
    }

    static func logSigmoid(_ x: Double) -> Double { min(x, 0) - log1p(exp(-abs(x))) }
}
