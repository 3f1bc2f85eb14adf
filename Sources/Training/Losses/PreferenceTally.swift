// What preference tuning logs beside its loss, summed over the rows of a step or of an evaluation.

/// Sums over rows, from which the means that are logged follow.
package struct PreferenceTally: Sendable, Hashable {
    package var rows = 0
    private var chosen = Side()
    private var rejected = Side()
    private var accurateRows = 0
    private var logOddsSum = 0.0
    private var logOddsRatioSum = 0.0
    private var likelihoodSum = 0.0
    private var likelihoodTokens = 0

    private struct Side: Sendable, Hashable {
        var rows = 0
        var reward = 0.0
        var logProb = 0.0

        mutating func add(reward: Double, logProb: Double) {
            rows += 1
            self.reward += reward
            self.logProb += logProb
        }

        static func += (left: inout Side, right: Side) {
            left.rows += right.rows
            left.reward += right.reward
            left.logProb += right.logProb
        }
    }

    package init() {}

    mutating func add(
        _ pair: PreferenceLoss.Pair, rewards: (chosen: Double, rejected: Double), logOdds: Double
    ) {
        rows += 1
        chosen.add(reward: rewards.chosen, logProb: pair.chosen.logProb)
        rejected.add(reward: rewards.rejected, logProb: pair.rejected.logProb)
        if rewards.chosen > rewards.rejected { accurateRows += 1 }
        logOddsSum += logOdds
        logOddsRatioSum += PreferenceLoss.logSigmoid(logOdds)
        likelihoodSum += pair.likelihoodSum
        likelihoodTokens += pair.likelihoodTokens
    }

    mutating func add(_ row: PreferenceLoss.Single, reward: Double) {
        rows += 1
        if row.isDesirable {
            chosen.add(reward: reward, logProb: row.answer.logProb)
        } else {
            rejected.add(reward: reward, logProb: row.answer.logProb)
        }
    }

    package static func += (left: inout PreferenceTally, right: PreferenceTally) {
        left.rows += right.rows
        left.chosen += right.chosen
        left.rejected += right.rejected
        left.accurateRows += right.accurateRows
        left.logOddsSum += right.logOddsSum
        left.logOddsRatioSum += right.logOddsRatioSum
        left.likelihoodSum += right.likelihoodSum
        left.likelihoodTokens += right.likelihoodTokens
    }

    /// The means by the names that TRL logs them under, in a fixed order; without what no row tells of.
    /// `logps/...` are of sums over tokens for every method.
    /// - Parameter divergence: KTO's reference point, logged as `kl`.
    package func metrics(
        _ loss: PreferenceLoss, divergence: Double = 0
    ) -> [(name: String, value: Double)] {
        var metrics: [(name: String, value: Double)] = []
        func add(_ name: String, _ sum: Double, over count: Int) {
            if count > 0 { metrics.append((name, sum / Double(count))) }
        }
        add("rewards/chosen", chosen.reward, over: chosen.rows)
        add("rewards/rejected", rejected.reward, over: rejected.rows)
        if chosen.rows > 0, rejected.rows > 0 {
            let means = (chosen.reward / Double(chosen.rows), rejected.reward / Double(rejected.rows))
            metrics.append(("rewards/margins", means.0 - means.1))
        }
        if loss.method != .kto { add("rewards/accuracies", Double(accurateRows), over: rows) }
        add("logps/chosen", chosen.logProb, over: chosen.rows)
        add("logps/rejected", rejected.logProb, over: rejected.rows)
        if loss.likelihoodSpan != .none { add("nll_loss", likelihoodSum, over: likelihoodTokens) }
        switch loss.method {
        case .orpo:
            add("log_odds_ratio", logOddsRatioSum, over: rows)
            add("log_odds_chosen", logOddsSum, over: rows)
        case .kto: metrics.append(("kl", divergence))
        case .dpo, .simpo, .cpo: break
        }
        return metrics
    }
}
