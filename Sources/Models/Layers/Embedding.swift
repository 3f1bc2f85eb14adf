// From token ids to vectors.

package import Tensors

/// The embedding table [vocabSize, hiddenSize]: either the output layer's own weights, where the two are tied, or the
/// file's, of which only the rows that are used come into memory.
package enum Embedding: Sendable {
    case tied(PackedWeights)
    case stored(TensorView)

    /// Copies the rows of `ids` to `destination`, [ids.count, hiddenSize]. The ids are within the vocabulary.
    func forward(_ ids: [Int32], hiddenSize: Int, into destination: UnsafeMutablePointer<Float>) {
        for (row, id) in ids.enumerated() {
            let target = destination + row * hiddenSize
            switch self {
            case .tied(let weights): weights.copyRow(Int(id), into: target)
            case .stored(let tensor):
                tensor.copyFloats(
                    from: Int(id) * hiddenSize,
                    into: UnsafeMutableBufferPointer(start: target, count: hiddenSize))
            }
        }
    }
}
