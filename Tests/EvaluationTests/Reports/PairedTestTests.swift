// Whether two runs differ, against numbers made with SciPy's binomtest and by counting all ways.

import Evaluation
import Testing

@Suite("Paired tests")
struct PairedTestTests {
    @Test(
        "McNemar's exact test is a fair coin's",
        arguments: [
            (0, 0, 1.0), (5, 5, 1), (1, 9, 0.021484375), (0, 6, 0.03125), (3, 12, 0.03515625), (0, 1, 1),
        ])
    func mcNemar(b: Int, c: Int, expected: Double) {
        #expect(abs(PairedTest.exactMcNemar(b, c) - expected) < 1e-12)
        #expect(abs(PairedTest.exactMcNemar(c, b) - expected) < 1e-12)
    }

    @Test("Thousands of pairs neither overflow nor vanish")
    func large() {
        let p = PairedTest.exactMcNemar(4_800, 5_200)
        #expect(p > 6e-5 && p < 6.8e-5)
        #expect(PairedTest.exactMcNemar(50_000, 50_000) == 1)
    }

    @Test("Outcomes of 0 and 1 are tested by McNemar, others by flipped signs")
    func methods() {
        let binary = PairedTest([(1, 0), (1, 1), (0, 0), (1, 0), (0, 1)])
        #expect(binary.method == .mcNemar)
        #expect((binary.better, binary.worse, binary.pairs) == (1, 2, 5))
        #expect(abs(binary.meanDifference + 0.2) < 1e-12)
        // Of the 8 ways to sign 1, 2 and 4, only two have a sum as large as 7.
        let graded = PairedTest([(0, 1), (0, 2), (0, 4), (3, 3)])
        #expect(graded.method == .signFlip)
        #expect(graded.pValue == 0.25)
    }

    @Test("Drawn signs give the same p-value for the same seed, and a small one for a clear difference")
    func drawnSigns() {
        let pairs = (0..<40).map { (first: 0.5, second: 0.5 + 0.1 * Double($0 % 5) + 0.01) }
        let test = PairedTest(pairs, seed: 3)
        #expect(test == PairedTest(pairs, seed: 3))
        #expect(test.pValue < 0.001 && test.pValue > 0)
        let mixed = (0..<40).map { (first: 0.5, second: 0.5 + ($0 % 2 == 0 ? 0.1 : -0.1)) }
        #expect(PairedTest(mixed).pValue > 0.9)
    }
}
