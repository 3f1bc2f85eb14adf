// Learning to foresee the next token: pretraining and supervised fine-tuning.

import Tensors

/// The mean negative log-likelihood of the labels.
package final class SupervisedObjective: Objective {
    private let reduction: TrainingParameters.LossReduction

    package init(reduction: TrainingParameters.LossReduction = .token) { self.reduction = reduction }

    package func train(_ step: [[NumberedRow]], _ pass: TrainingPass) throws -> ObjectiveResult {
        let batches = step.map(Self.batch)
        let total = batches.reduce(0) { $0 + $1.targetCount }
        var result = ObjectiveResult()
        for (index, batch) in batches.enumerated() {
            // The mean is over the step's tokens: a mean of means would weigh the tokens of short micro batches more.
            let weight =
                switch reduction {
                case .token: 1 / Double(max(total, 1))
                case .microMean: 1 / Double(max(batch.targetCount, 1) * batches.count)
                }
            let coefficients = [Float](repeating: Float(-weight), count: batch.targetCount)
            let scores = try pass.accumulate(batch, index: index, loss: .known(coefficients))
            result.loss -= scores.logProbs.reduce(0.0) { $0 + Double($1) } * weight
            result.count(scores)
        }
        result.samples = step.reduce(0) { $0 + $1.count }
        return result
    }

    package func evaluate(
        _ batches: some Sequence<[NumberedRow]>, _ pass: TrainingPass
    ) throws -> ObjectiveResult {
        var result = ObjectiveResult()
        var sum = 0.0
        for rows in batches {
            let scores = try pass.scores(of: Self.batch(rows))
            sum -= scores.logProbs.reduce(0.0) { $0 + Double($1) }
            result.count(scores)
            result.samples += rows.count
        }
        result.loss = sum / Double(max(result.tokens, 1))
        return result
    }

    private static func batch(_ rows: [NumberedRow]) -> TrainingBatch {
        var batch = TrainingBatch()
        for numbered in rows {
            guard case .sequence(let sequence) = numbered.row else {
                preconditionFailure("sequences are what this objective learns from")
            }
            if !sequence.ids.isEmpty { batch.append(sequence) }
        }
        return batch
    }
}
