// The formulas of metrics, against numbers made by hand or with Python.

import Evaluation
import TestSupport
import Testing

@Suite("Figures")
struct FigureTests {
    @Test("The first of the likeliest choices counts, by sum, by characters and by bytes")
    func choices() {
        let score = ChoiceScore(logLikelihoods: [-6, -5, -9], choices: ["abc", "ab", "漢字漢字漢"])
        #expect(score.prediction == 1)
        #expect(score.predictionByCharacters == 2)
        #expect(score.predictionByBytes == 2)
        #expect(ChoiceScore(logLikelihoods: [-4, -4], choices: ["ab", "cd"]).prediction == 0)
        let bytes = ChoiceScore(logLikelihoods: [-6, -6], choices: ["漢", "ab"])
        #expect(bytes.predictionByCharacters == 1)
        #expect(bytes.predictionByBytes == 0)
        let odd = ChoiceScore(logLikelihoods: [.nan, -3], choices: ["", "a"])
        #expect(odd.prediction == 1)
        #expect(ChoiceScore(logLikelihoods: [-1, -3], choices: ["", "a"]).predictionByCharacters == 1)
    }

    @Test("Accuracies have the error sqrt(p(1-p)/(n-1))")
    func standardErrors() {
        let values = [1.0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        let estimate = Estimate.mean(of: values)
        #expect(estimate.value == 0.25)
        #expect(abs((estimate.standardError ?? 0) - 0.09933992677987828) < 1e-15)
        #expect(Estimate.mean(of: [1]).standardError == nil)
        #expect(Estimate.mean(of: []).value == 0)
        let macro = Estimate.macro(of: [estimate, Estimate.mean(of: [1, 1])])
        #expect(macro.value == 0.625)
        #expect(abs((macro.standardError ?? 0) - 0.09933992677987828 / 2) < 1e-15)
        #expect(Estimate.macro(of: [estimate, Estimate.mean(of: [1])]).standardError == nil)
    }

    @Test("A bootstrap of a mean comes near its formula, and is the same each time")
    func bootstrap() {
        var generator = SeededGenerator(seed: 4)
        let values = (0..<200).map { _ in Double.random(in: 0..<1, using: &generator) }
        func estimate(_ seed: UInt64) -> Estimate {
            .bootstrap(count: values.count, seed: seed) {
                $0.reduce(0) { $0 + values[$1] } / Double(values.count)
            }
        }
        let formula = Estimate.mean(of: values).standardError ?? 0
        let drawn = estimate(1).standardError ?? 0
        // The deviation of 1,000 resamples is itself known to about 2 %; five times that is far out.
        #expect(abs(drawn - formula) < 0.12 * formula)
        #expect(estimate(1) == estimate(1))
        #expect(estimate(1).standardError != estimate(2).standardError)
    }

    @Test(
        "pass@k is the share of draws of k programs with a right one",
        arguments: [
            (5, 0, 1, 0), (5, 5, 1, 1), (5, 2, 1, 0.4), (5, 2, 2, 0.7), (5, 2, 4, 1),
            (10, 3, 5, 1 - 21.0 / 252),
        ] as [(Int, Int, Int, Double)])
    func passAtK(n: Int, c: Int, k: Int, expected: Double) {
        #expect(abs(PassAtK.estimate(n: n, c: c, k: k) - expected) < 1e-12)
    }

    @Test("Perplexities divide by words, bytes and tokens of all documents")
    func perplexity() {
        let documents = [
            DocumentLikelihood(logLikelihood: -60, tokens: 8, words: 4, bytes: 22),
            DocumentLikelihood(logLikelihood: -40, tokens: 12, words: 6, bytes: 28),
        ]
        #expect(abs(Perplexity.value(documents, per: .word) - 22026.465794806718) < 1e-8)
        #expect(abs(Perplexity.value(documents, per: .byte) - 7.38905609893065) < 1e-12)
        #expect(abs(Perplexity.value(documents, per: .token) - 148.4131591025766) < 1e-10)
        #expect(abs(Perplexity.bitsPerByte(documents) - 2.8853900817779268) < 1e-12)
        #expect(Perplexity.value([], per: .word).isNaN)
    }

    @Test(
        "Words are what stands between blanks, as re.split counts them",
        arguments: [("", 1), ("a", 1), ("a b", 2), (" a", 2), ("a\n\n b ", 3), ("a\u{3000}b\u{A0}c", 3)])
    func words(text: String, count: Int) {
        #expect(DocumentLikelihood.words(in: text) == count)
    }
}
