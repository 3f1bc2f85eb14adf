// Blocks of GGUF files: sizes, and what encoding loses.

import Models
import TestSupport
import Testing

@Suite("GGUF blocks")
struct GGUFBlockTests {
    @Test("Encoded blocks have their size and decode to within a step", arguments: GGUFBlock.allCases)
    func roundTrip(block: GGUFBlock) {
        var random = SeededGenerator(seed: 1)
        let values = (0..<512).map { _ in Float.random(in: -2...2, using: &random) }
        guard let bytes = block.encode(values) else {
            #expect([.q4K, .q5K, .q6K].contains(block))
            let zeros = block.decode([UInt8](repeating: 0, count: block.byteCount))
            #expect(zeros == [Float](repeating: 0, count: block.elementCount))
            return
        }
        #expect(bytes.count == 512 / block.elementCount * block.byteCount)
        let steps: [GGUFBlock: Float] = [.q40: 8, .q41: 15, .q50: 16, .q51: 31, .q80: 127]
        let step = (block == .q41 || block == .q51 ? 4 : 2) / (steps[block] ?? 1)
        for (one, other) in zip(values, block.decode(bytes)) { #expect(abs(one - other) <= 1.1 * step) }
    }

    @Test("Any bytes decode to as many numbers as there are weights", arguments: GGUFBlock.allCases)
    func anyBytes(block: GGUFBlock) {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<50 {
            let bytes = (0..<block.byteCount).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(block.decode(bytes).count == block.elementCount)
        }
    }
}
