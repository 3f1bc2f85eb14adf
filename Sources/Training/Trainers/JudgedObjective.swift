// Learning from single answers that were judged good or bad: KTO.

import Tensors

/// KTO's loss. Source: Ethayarajh et al., arXiv:2402.01306; agrees with TRL's `KTOTrainer`.
package final class JudgedObjective: Objective {
    private let loss: PreferenceLoss
    private let reference: ReferencePolicy
    private let evaluationReference: ReferencePolicy
    /// Prompts with other rows' answers are never the same twice, so nothing is remembered of them.
    private let mismatchedReference: ReferencePolicy

    package init(loss: PreferenceLoss, reference: TransformerModel, remembers: Bool) {
        self.loss = loss
        self.reference = ReferencePolicy(model: reference, remembers: remembers)
        evaluationReference = ReferencePolicy(model: reference, remembers: remembers)
        mismatchedReference = ReferencePolicy(model: reference, remembers: false)
    }

    package func train(_ step: [[NumberedRow]], _ pass: TrainingPass) throws -> ObjectiveResult {
        var totals = PreferenceLoss.StepTotals(rows: step.reduce(0) { $0 + $1.count })
        totals.divergence = try divergence(step, pass)
        var result = ObjectiveResult()
        var tally = PreferenceTally()
        for (index, rows) in step.enumerated() {
            let batch = self.batch(answers(rows))
            let references = try reference.sums(
                batch, rows: rows.map(\.number), perRow: 1, arena: pass.arena)
            var part = PreferenceLoss.SingleResult()
            let scores = try pass.accumulate(
                batch.batch, index: index,
                loss: .computed { [self] scores in
                    part = loss(singles(rows, batch, scores, references), of: totals)
                    return batch.coefficients(part.answers.map { ($0, 0) })
                })
            result.loss += part.loss
            tally += part.tally
            result.count(scores)
        }
        result.samples = totals.rows
        result.metrics = tally.metrics(loss, divergence: totals.divergence)
        return result
    }

    package func evaluate(
        _ batches: some Sequence<[NumberedRow]>, _ pass: TrainingPass
    ) throws -> ObjectiveResult {
        var result = ObjectiveResult()
        var (sum, divergence, tally) = (0.0, 0.0, PreferenceTally())
        for rows in batches {
            var totals = PreferenceLoss.StepTotals(rows: rows.count)
            totals.divergence = try self.divergence([rows], pass)
            let batch = self.batch(answers(rows))
            let references = try evaluationReference.sums(
                batch, rows: rows.map(\.number), perRow: 1, arena: pass.arena)
            let scores = try pass.scores(of: batch.batch)
            let part = loss(singles(rows, batch, scores, references), of: totals)
            sum += part.loss * Double(rows.count)
            divergence += totals.divergence * Double(rows.count)
            tally += part.tally
            result.samples += rows.count
            result.count(scores)
        }
        let count = Double(max(result.samples, 1))
        result.loss = sum / count
        result.metrics = tally.metrics(loss, divergence: divergence / count)
        return result
    }

    // MARK: Pieces

    private func answers(_ rows: [NumberedRow]) -> [UnpairedAnswer] {
        rows.map { numbered in
            guard case .unpaired(let answer) = numbered.row else {
                preconditionFailure("judged answers are what this objective learns from")
            }
            return answer
        }
    }

    private func batch(_ answers: [UnpairedAnswer]) -> PreferenceBatch {
        var batch = PreferenceBatch()
        for answer in answers {
            batch.append(prompt: answer.prompt, answer: answer.completion, span: .completion)
        }
        return batch
    }

    /// How far the policy is from the reference on answers that belong to other prompts: row i has the answer of
    /// row i - 1 of the step, the first that of the last.
    private func divergence(_ step: [[NumberedRow]], _ pass: TrainingPass) throws -> Double {
        let all = step.flatMap(answers)
        guard all.count > 1 else { return 0 }
        var mismatched: [PreferenceLoss.Answer] = []
        var next = 0
        for rows in step {
            let swapped = rows.indices.map { index in
                let row = next + index
                return UnpairedAnswer(
                    prompt: all[row].prompt, completion: all[(row + all.count - 1) % all.count].completion,
                    isDesirable: false)
            }
            next += rows.count
            let batch = self.batch(swapped)
            let policy = batch.sums(try pass.scores(of: batch.batch))
            let references = try mismatchedReference.sums(
                batch, rows: rows.map(\.number), perRow: 1, arena: pass.arena)
            for (index, sums) in policy.enumerated() {
                mismatched.append(
                    PreferenceLoss.Answer(
                        logProb: sums.answer, reference: references[index],
                        tokenCount: batch.counts[index].answer))
            }
        }
        return PreferenceLoss.divergence(mismatched: mismatched)
    }

    private func singles(
        _ rows: [NumberedRow], _ batch: PreferenceBatch, _ scores: TokenScores, _ references: [Double]
    ) -> [PreferenceLoss.Single] {
        let (sums, counts) = (batch.sums(scores), batch.counts)
        return answers(rows).enumerated().map { index, answer in
            PreferenceLoss.Single(
                answer: PreferenceLoss.Answer(
                    logProb: sums[index].answer, reference: references[index],
                    tokenCount: counts[index].answer),
                isDesirable: answer.isDesirable)
        }
    }
}
