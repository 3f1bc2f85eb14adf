// Sequences side by side.

import Testing

@testable import Training

@Suite("Micro batches")
struct TrainingBatchTests {
    @Test("Sequences lie side by side, each with positions of its own and the next token as target")
    func sequences() {
        let batch = TrainingBatch([
            TokenSequence(ids: [5, 6, 7], labels: [-100, 6, -100]),
            TokenSequence(ids: [8], labels: [8]),
            TokenSequence(ids: [9, 10], labels: [9, 10]),
        ])
        #expect(batch.ids == [5, 6, 7, 8, 9, 10])
        #expect(batch.positions == [0, 1, 2, 0, 0, 1])
        #expect(batch.targets == [6, -1, -1, -1, 10, -1])
        #expect(batch.starts == [0, 3, 4, 6])
        #expect(batch.targetCount == 2)
        #expect(batch.longestSequence == 3)
    }
}
