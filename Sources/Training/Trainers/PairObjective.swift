// Learning from a better and a worse answer: DPO, ORPO, SimPO, CPO.

import Tensors

/// The losses of `PreferenceLoss` over pairs.
package final class PairObjective: Objective {
    private let loss: PreferenceLoss
    private let reference: ReferencePolicy?
    /// For held-out rows, whose numbers are others'.
    private let evaluationReference: ReferencePolicy?

    /// - Parameters:
    ///   - reference: needed if the loss says so.
    ///   - evaluationReference: the same model for held-out rows.
    package init(
        loss: PreferenceLoss, reference: ReferencePolicy?, evaluationReference: ReferencePolicy? = nil
    ) {
        precondition(!loss.needsReference || reference != nil, "this loss is relative to a reference")
        self.loss = loss
        self.reference = reference
        self.evaluationReference = evaluationReference
    }

    package func train(_ step: [[NumberedRow]], _ pass: TrainingPass) throws -> ObjectiveResult {
        let batches = step.map(self.batch)
        var totals = PreferenceLoss.StepTotals(rows: step.reduce(0) { $0 + $1.count })
        totals.likelihoodTokens = batches.reduce(0) { $0 + likelihoodTokens($1) }
        var result = ObjectiveResult()
        var tally = PreferenceTally()
        for (index, batch) in batches.enumerated() {
            let references = try referenceSums(batch, step[index], reference, pass)
            var part = PreferenceLoss.PairResult()
            let scores = try pass.accumulate(
                batch.batch, index: index,
                loss: .computed { [self] scores in
                    part = loss(pairs(batch, scores, references), of: totals)
                    return coefficients(batch, part)
                })
            result.loss += part.loss
            tally += part.tally
            result.count(scores)
        }
        result.samples = totals.rows
        result.metrics = tally.metrics(loss)
        return result
    }

    package func evaluate(
        _ batches: some Sequence<[NumberedRow]>, _ pass: TrainingPass
    ) throws -> ObjectiveResult {
        var result = ObjectiveResult()
        var pairs: [PreferenceLoss.Pair] = []
        for rows in batches {
            let batch = self.batch(rows)
            let references = try referenceSums(batch, rows, evaluationReference ?? reference, pass)
            let scores = try pass.scores(of: batch.batch)
            pairs += self.pairs(batch, scores, references)
            result.count(scores)
        }
        let part = loss(pairs, of: PreferenceLoss.StepTotals(pairs))
        result.loss = part.loss
        result.samples = pairs.count
        result.metrics = part.tally.metrics(loss)
        return result
    }

    // MARK: Pieces

    /// Chosen and rejected in turn.
    private func batch(_ rows: [NumberedRow]) -> PreferenceBatch {
        var batch = PreferenceBatch()
        for numbered in rows {
            guard case .preference(let pair) = numbered.row else {
                preconditionFailure("pairs are what this objective learns from")
            }
            let span: PreferenceBatch.Span = loss.likelihoodSpan == .promptAndCompletion ? .all : .completion
            batch.append(prompt: pair.prompt, answer: pair.chosen, span: span)
            batch.append(prompt: pair.prompt, answer: pair.rejected, span: .completion)
        }
        return batch
    }

    private func likelihoodTokens(_ batch: PreferenceBatch) -> Int {
        guard loss.likelihoodSpan != .none else { return 0 }
        let counts = batch.counts
        return stride(from: 0, to: counts.count, by: 2).reduce(0) { $0 + counts[$1].all }
    }

    private func referenceSums(
        _ batch: PreferenceBatch, _ rows: [NumberedRow], _ policy: ReferencePolicy?, _ pass: TrainingPass
    ) throws -> [Double] {
        guard loss.needsReference, let policy else { return batch.targets.map { _ in 0 } }
        return try policy.sums(batch, rows: rows.map(\.number), perRow: 2, arena: pass.arena)
    }

    private func pairs(
        _ batch: PreferenceBatch, _ scores: TokenScores, _ references: [Double]
    ) -> [PreferenceLoss.Pair] {
        let (sums, counts) = (batch.sums(scores), batch.counts)
        func answer(_ index: Int) -> PreferenceLoss.Answer {
            PreferenceLoss.Answer(
                logProb: sums[index].answer, reference: references[index], tokenCount: counts[index].answer)
        }
        return stride(from: 0, to: sums.count, by: 2).map { index in
            var pair = PreferenceLoss.Pair(chosen: answer(index), rejected: answer(index + 1))
            if loss.likelihoodSpan != .none {
                pair.likelihoodSum = -sums[index].all
                pair.likelihoodTokens = counts[index].all
            }
            return pair
        }
    }

    private func coefficients(_ batch: PreferenceBatch, _ part: PreferenceLoss.PairResult) -> [Float] {
        var bySequence: [(answer: Double, all: Double)] = []
        for (chosen, rejected) in zip(part.chosen, part.rejected) {
            bySequence.append((chosen, -part.likelihood))
            bySequence.append((rejected, 0))
        }
        return batch.coefficients(bySequence)
    }
}
