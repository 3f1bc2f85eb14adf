// The tokens of one micro batch: sequences side by side, without padding.

/// Sequences as rows of one matrix. Each has positions of its own and sees nothing of the others.
package struct TrainingBatch: Sendable, Hashable {
    package private(set) var ids: [Int32] = []
    package private(set) var positions: [Int32] = []
    /// The token that each row is to foresee: the next one of its sequence where that is learned, else -1.
    package private(set) var targets: [Int32] = []
    /// Where each sequence begins, and the end of the last.
    package private(set) var starts: [Int64] = [0]

    package init() {}

    package init(_ sequences: [TokenSequence]) {
        for sequence in sequences { append(sequence) }
    }

    /// Appends a sequence, which must not be empty.
    package mutating func append(_ sequence: TokenSequence) {
        let count = sequence.ids.count
        precondition(count > 0, "a sequence has tokens")
        ids += sequence.ids
        positions += (0..<Int32(count))
        for index in 1..<count {
            let label = sequence.labels[index]
            targets.append(label == TokenSequence.ignored ? -1 : label)
        }
        targets.append(-1)
        starts.append(Int64(ids.count))
    }

    package var count: Int { ids.count }
    package var sequenceCount: Int { starts.count - 1 }
    /// Rows of sequence `index`.
    package func rows(_ index: Int) -> Range<Int> { Int(starts[index])..<Int(starts[index + 1]) }
    /// Rows that foresee something.
    package var targetCount: Int { targets.count { $0 >= 0 } }
    package var longestSequence: Int { (0..<sequenceCount).map { rows($0).count }.max() ?? 0 }
}
