// Prompts with their answers as one batch, and the sums of log-probabilities that losses are made of.

import Tensors

/// Sequences of a prompt and an answer each, side by side.
struct PreferenceBatch {
    /// What of a sequence is scored.
    enum Span {
        case completion
        /// Everything but the first token.
        case all
    }

    private(set) var batch = TrainingBatch()
    /// Targets of each sequence, as positions among the batch's targets, and how many of them come before the answer.
    private(set) var targets: [(range: Range<Int>, prompt: Int)] = []
    private var count = 0

    mutating func append(prompt: [Int32], answer: [Int32], span: Span) {
        let ignored = [Int32](repeating: TokenSequence.ignored, count: prompt.count)
        batch.append(
            TokenSequence(ids: prompt + answer, labels: (span == .all ? prompt : ignored) + answer))
        // The first token of a sequence is nobody's target.
        let promptTargets = span == .all ? max(prompt.count - 1, 0) : 0
        let answerTargets = prompt.isEmpty ? max(answer.count - 1, 0) : answer.count
        targets.append((count..<count + promptTargets + answerTargets, promptTargets))
        count += promptTargets + answerTargets
    }

    /// The sums over the answer's tokens and over all that are scored, by sequence.
    func sums(_ scores: TokenScores) -> [(answer: Double, all: Double)] {
        targets.map { range, prompt in
            let all = scores.logProbs[range].reduce(0.0) { $0 + Double($1) }
            let before = scores.logProbs[range.prefix(prompt)].reduce(0.0) { $0 + Double($1) }
            return (all - before, all)
        }
    }

    /// Tokens of the answers, and all that are scored, by sequence.
    var counts: [(answer: Int, all: Int)] { targets.map { ($0.range.count - $0.prompt, $0.range.count) } }

    /// A coefficient for each target from one for the answer's and one for all of a sequence.
    func coefficients(_ bySequence: [(answer: Double, all: Double)]) -> [Float] {
        var coefficients: [Float] = []
        coefficients.reserveCapacity(count)
        for (target, coefficient) in zip(targets, bySequence) {
            for index in 0..<target.range.count {
                coefficients.append(
                    Float(coefficient.all + (index < target.prompt ? 0 : coefficient.answer)))
            }
        }
        return coefficients
    }
}

/// The model that preferences are measured against: frozen, and asked once a row.
package final class ReferencePolicy {
    private let model: TransformerModel
    private let remembers: Bool
    private var known: [Int: [Double]] = [:]

    /// - Parameter remembers: whether a row's sums are kept for the next epoch.
    package init(model: TransformerModel, remembers: Bool) {
        self.model = model
        self.remembers = remembers
    }

    /// The sums of the answers' log-probabilities, for sequences that belong to `rows` (`perRow` to each, in order).
    func sums(_ batch: PreferenceBatch, rows: [Int], perRow: Int, arena: ActivationArena) throws -> [Double] {
        if remembers, rows.allSatisfy({ known[$0] != nil }) { return rows.flatMap { known[$0] ?? [] } }
        guard batch.batch.targetCount > 0 else { return batch.targets.map { _ in 0 } }
        let sums = batch.sums(try model.scores(of: batch.batch, arena: arena)).map(\.answer)
        if remembers {
            for (index, row) in rows.enumerated() {
                known[row] = Array(sums[index * perRow..<(index + 1) * perRow])
            }
        }
        return sums
    }
}
