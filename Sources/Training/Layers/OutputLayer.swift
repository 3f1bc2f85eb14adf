// The output layer and the logarithms of its probabilities, fused: logits exist for some rows at a time only.

import Tensors

/// From normalized hidden states to log p(target), and back. Agrees with the cross-entropy of
/// `LlamaForCausalLM` in transformers; the fusion follows Hsu et al., arXiv:2410.10989.
package struct OutputLayer {
    /// [vocabSize, hiddenSize].
    package let weight: Parameter
    /// Rows whose logits are held at once.
    static let rowsAtOnce = 256

    /// - Parameters:
    ///   - hidden: normalized states of the rows that have a target, [count, hiddenSize].
    ///   - targets: of each row, at least 0.
    ///   - coefficients: what each row's gradient is multiplied by; nil for 1.
    ///   - dHidden: [count, hiddenSize], F32: coefficient * d log p / d hidden; nil if it is not wanted.
    ///   - addsWeightGradient: whether coefficient * d log p / d weight is added to the weight's gradient.
    func forward(
        _ hidden: Matrix, targets: [Int32], coefficients: [Float]?, dHidden: Matrix?,
        addsWeightGradient: Bool, _ context: LayerContext
    ) throws(OutOfMemory) -> TokenScores {
        var scores = TokenScores()
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        let vocabulary = weight.value.rows
        let room = min(Self.rowsAtOnce, hidden.rows)
        let logitsRoom = try context.arena.matrix(room, vocabulary, .f32)
        let wantsGradients = dHidden != nil || addsWeightGradient
        // In bf16 the gradients, which are at most 1 here, take half the room.
        let gradientsRoom =
            wantsGradients ? try context.arena.matrix(room, vocabulary, context.activationType) : nil
        for start in stride(from: 0, to: hidden.rows, by: Self.rowsAtOnce) {
            let rows = start..<min(start + Self.rowsAtOnce, hidden.rows)
            let logits = logitsRoom.rows(0..<rows.count)
            let gradients = gradientsRoom?.rows(0..<rows.count)
            let inputs = hidden.rows(rows)
            context.multiply(inputs, weight.value, transposingB: true, into: logits)
            let part = context.backend.crossEntropy(
                logits, targets: Array(targets[rows]), coefficients: coefficients.map { Array($0[rows]) },
                gradients: gradients)
            scores.logProbs += part.logProbs
            scores.isCorrect += part.isCorrect
            scores.meanLogits += part.meanLogits
            guard let gradients else { continue }
            if let dHidden { context.multiply(gradients, weight.value, into: dHidden.rows(rows)) }
            if addsWeightGradient, let gradient = weight.gradient {
                context.multiply(gradients, inputs, transposingA: true, into: gradient, accumulate: true)
            }
        }
        return scores
    }
}
