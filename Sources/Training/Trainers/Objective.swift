// What a run learns from its rows: the seam between the loop over steps and the losses.

package import Tensors

/// A row and its number in the data set.
package struct NumberedRow: Sendable {
    package var number: Int
    package var row: TrainingRow

    package init(number: Int, row: TrainingRow) {
        self.number = number
        self.row = row
    }
}

extension TrainingRow {
    /// The highest id of its tokens; -1 for a row without any.
    var highestID: Int32 {
        switch self {
        case .sequence(let row): row.ids.max() ?? -1
        case .preference(let row): [row.prompt, row.chosen, row.rejected].compactMap { $0.max() }.max() ?? -1
        case .unpaired(let row): [row.prompt, row.completion].compactMap { $0.max() }.max() ?? -1
        }
    }
}

/// What a pass over a step's rows needs beside them.
package struct TrainingPass {
    package let model: TransformerModel
    package let arena: ActivationArena
    package let checkpointing: Bool
    /// NEFTune's alpha, 0 for none.
    package let noise: Double
    /// Where this step's dropout comes from.
    package let seed: UInt64

    package init(
        model: TransformerModel, arena: ActivationArena, checkpointing: Bool, noise: Double, seed: UInt64
    ) {
        self.model = model
        self.arena = arena
        self.checkpointing = checkpointing
        self.noise = noise
        self.seed = seed
    }

    /// Adds the gradients of micro batch `index` of the step.
    func accumulate(
        _ batch: TrainingBatch, index: Int, loss: LossCoefficients
    ) throws -> TokenScores {
        // Micro batches that have nothing to learn leave nothing behind.
        guard batch.targetCount > 0 else { return TokenScores() }
        return try model.accumulateGradients(
            batch, arena: arena, checkpointing: checkpointing,
            dropoutSeed: seed &+ UInt64(index) &* 0xD1B5_4A32_D192_ED03, noise: noise, loss: loss)
    }

    func scores(of batch: TrainingBatch) throws -> TokenScores {
        guard batch.targetCount > 0 else { return TokenScores() }
        return try model.scores(of: batch, arena: arena)
    }
}

/// What came of a step, or of an evaluation.
package struct ObjectiveResult: Sendable {
    package var loss = 0.0
    /// Tokens with a target, those of them that had the largest logit, and rows.
    package var tokens = 0
    package var correctTokens = 0
    package var samples = 0
    /// Rewards and the like, by the names that TRL logs.
    package var metrics: [(name: String, value: Double)] = []

    package init() {}

    mutating func count(_ scores: TokenScores) {
        tokens += scores.logProbs.count
        correctTokens += scores.isCorrect.count { $0 }
    }

    package var tokenAccuracy: Double? {
        tokens == 0 ? nil : Double(correctTokens) / Double(tokens)
    }
}

/// A way of learning from rows.
package protocol Objective: AnyObject {
    /// Adds the gradients of a step's loss; the step comes in micro batches.
    func train(_ step: [[NumberedRow]], _ pass: TrainingPass) throws -> ObjectiveResult
    /// The loss of held-out rows, which come in batches of any number, and its metrics.
    func evaluate(_ batches: some Sequence<[NumberedRow]>, _ pass: TrainingPass) throws -> ObjectiveResult
}
