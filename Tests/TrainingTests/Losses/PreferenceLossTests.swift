// Preference losses: values of the reference implementations, derivatives by finite differences, shares of a
// step.

import TestSupport
import Testing
import Training

@Suite("Preference losses")
struct PreferenceLossTests {
    typealias Loss = PreferenceLoss

    private static func loss(_ change: (inout TrainingParameters) -> Void) throws -> Loss {
        var parameters = TrainingParameters()
        change(&parameters)
        return try Loss(parameters)
    }

    private static func answer(_ logProb: Double, _ reference: Double, _ tokens: Int) -> Loss.Answer {
        Loss.Answer(logProb: logProb, reference: reference, tokenCount: tokens)
    }

    private static func close(_ one: Double, _ other: Double, _ tolerance: Double) -> Bool {
        abs(one - other) <= tolerance
    }

    private static func metrics(_ tally: PreferenceTally, _ loss: Loss, divergence: Double = 0) -> [String:
        Double]
    {
        Dictionary(
            uniqueKeysWithValues: tally.metrics(loss, divergence: divergence).map { ($0.name, $0.value) })
    }

    // Step 10 of runs of a small model with TRL 1.16 (fp32), two rows each.
    private static let references = (
        first: (-32.64548110961914, -108.21536254882812),
        second: (-131.94635009765625, -30.149673461914062)
    )

    private static func pair(
        _ chosen: Double, _ rejected: Double, _ reference: (Double, Double), _ tokens: (Int, Int)
    ) -> Loss.Pair {
        Loss.Pair(
            chosen: answer(chosen, reference.0, tokens.0), rejected: answer(rejected, reference.1, tokens.1),
            likelihoodSum: -chosen, likelihoodTokens: tokens.0)
    }

    private static func step(_ values: (Double, Double, Double, Double)) -> [Loss.Pair] {
        [
            pair(values.0, values.1, references.first, (4, 15)),
            pair(values.2, values.3, references.second, (18, 4)),
        ]
    }

    @Test("DPO of sums with the sigmoid has the reference's loss and rewards")
    func dpo() throws {
        let loss = try Self.loss { _ in }
        let pairs = Self.step(
            (-31.71954345703125, -112.24256896972656, -130.0924072265625, -30.66651725769043))
        let result = loss(pairs, of: .init(pairs))
        #expect(Self.close(result.loss, 0.528733491897583, 1e-5) && result.likelihood == 0)
        let metrics = Self.metrics(result.tally, loss)
        #expect(Self.close(metrics["rewards/chosen"] ?? 0, 0.1389932632446289, 1e-5))
        #expect(Self.close(metrics["rewards/rejected"] ?? 0, -0.22720174491405487, 1e-5))
        #expect(Self.close(metrics["rewards/margins"] ?? 0, 0.36619502305984497, 1e-5))
        #expect(metrics["rewards/accuracies"] == 1 && metrics["nll_loss"] == nil)
        #expect(Self.close(metrics["logps/rejected"] ?? 0, -71.45453643798828, 1e-5))
    }

    @Test("IPO is of means over tokens, its rewards of sums")
    func ipo() throws {
        let loss = try Self.loss { $0.lossType = .ipo }
        let pairs = Self.step(
            (-30.42068099975586, -110.71133422851562, -130.82254028320312, -31.412546157836914))
        let result = loss(pairs, of: .init(pairs))
        #expect(Self.close(result.loss, 19.828819274902344, 1e-5))
        let metrics = Self.metrics(result.tally, loss)
        #expect(Self.close(metrics["rewards/margins"] ?? 0, 0.35537320375442505, 1e-6))
    }

    @Test("rpo_alpha adds the mean over the chosen tokens of the step")
    func rpo() throws {
        let loss = try Self.loss { $0.rpoAlpha = 0.5 }
        let pairs = Self.step(
            (-31.311080932617188, -110.79613494873047, -128.8037872314453, -30.18693733215332))
        let result = loss(pairs, of: .init(pairs))
        #expect(loss.likelihoodSpan == .completion && Self.close(result.loss, 4.170559883117676, 1e-5))
        #expect(Self.close(Self.metrics(result.tally, loss)["nll_loss"] ?? 0, 7.277947902679443, 1e-5))
        #expect(result.likelihood == 0.5 / 22)
    }

    // Rows and results of TRL's functions in double precision, without the cast to floats that it has for
    // ORPO.
    private static let rows = [
        (chosen: -12.5, rejected: -14.0, tokens: (9, 11)), (-40.25, -33.5, (21, 17)), (-8, -8.75, (4, 6)),
    ].map { row in
        Loss.Pair(chosen: answer(row.0, -1e9, row.2.0), rejected: answer(row.1, 1e9, row.2.1))
    }

    @Test(
        "CPO and SimPO have the values and derivatives of TRL's functions",
        arguments: [
            ("sigmoid", 0.0, 0.1, 0.0, 0.7879526738280598, [-0.01541900515520835, -0.022087394572336085]),
            ("sigmoid", 0.1, 0.3, 0, 1.0313971629777836, [-0.02893607660507781, -0.07833970308388606]),
            ("hinge", 0, 0.5, 0, 1.75, [-0.16666666666666666, -0.16666666666666666]),
            ("ipo", 0, 0.2, 0, 7.3597791351381545, [-0.19378974934530488, -0.07765328353563647]),
            ("simpo", 0, 2, 1, 1.6414949627372197, [-0.0573499952278166, -0.02251857373652986]),
            ("simpo", 0.05, 2.5, 0.5, 1.3019875316823952, [-0.05906648882479357, -0.021440383873757917]),
        ])
    func cpo(
        type: String, smoothing: Double, beta: Double, gamma: Double, expected: Double, derivatives: [Double]
    ) throws {
        let loss = try Self.loss {
            $0.rlhfType = type == "simpo" ? .simpo : .cpo
            $0.lossType = TrainingParameters.PreferenceLossType(rawValue: type) ?? .sigmoid
            ($0.labelSmoothing, $0.beta, $0.simpoGamma) = (smoothing, beta, gamma)
            $0.cpoAlpha = 0
        }
        let result = loss(Self.rows, of: .init(Self.rows))
        #expect(!loss.needsReference && loss.likelihoodSpan == .none)
        #expect(Self.close(result.loss, expected, 1e-12))
        #expect(zip(result.chosen, derivatives).allSatisfy { Self.close($0, $1, 1e-12) })
    }

    @Test("ORPO's odds have the values and derivatives of TRL's formula, its rewards are of means")
    func orpo() throws {
        let loss = try Self.loss { $0.rlhfType = .orpo }
        let result = loss(Self.rows, of: .init(Self.rows))
        #expect(
            loss.likelihoodSpan == .promptAndCompletion && Self.close(result.loss, 0.0838241205114693, 1e-12)
        )
        let chosen = [-0.0026614200242110414, -0.0009012568574680939, -0.006355950932099187]
        let rejected = [0.002270425365442023, 0.0011033284932238225, 0.00477450781411867]
        #expect(zip(result.chosen, chosen).allSatisfy { Self.close($0, $1, 1e-14) })
        #expect(zip(result.rejected, rejected).allSatisfy { Self.close($0, $1, 1e-14) })
        let metrics = Self.metrics(result.tally, loss)
        #expect(Self.close(metrics["rewards/chosen"] ?? 0, -0.17685185372829437, 1e-8))
        #expect(Self.close(metrics["log_odds_ratio"] ?? 0, -0.8382412051146928, 1e-12))
        #expect(Self.close(metrics["log_odds_chosen"] ?? 0, -0.25201221982329725, 1e-12))
    }

    @Test("KTO has the reference's loss and rewards, and no rewards of a side without rows")
    func kto() throws {
        let loss = try Self.loss { $0.rlhfType = .kto }
        let values = [
            (-121.992919921875, -125.57328796386719, true), (-92.09072875976562, -99.27503967285156, true),
            (-43.49468231201172, -41.53175354003906, false), (-41.32501220703125, -43.00703048706055, true),
        ]
        let rows = values.map { Loss.Single(answer: Self.answer($0.0, $0.1, 9), isDesirable: $0.2) }
        let divergence = 0.7599163055419922
        let result = loss(rows, of: .init(rows: 4, divergence: divergence))
        #expect(Self.close(result.loss, 0.420989453792572, 1e-6))
        let metrics = Self.metrics(result.tally, loss, divergence: divergence)
        #expect(Self.close(metrics["rewards/chosen"] ?? 0, 0.4148893753687541, 1e-6))
        #expect(Self.close(metrics["rewards/rejected"] ?? 0, -0.19629287719726562, 1e-6))
        #expect(Self.close(metrics["rewards/margins"] ?? 0, 0.6111822525660198, 1e-6))
        #expect(metrics["kl"] == divergence && metrics["rewards/accuracies"] == nil)
        let onlyGood = loss([rows[0]], of: .init(rows: 1))
        #expect(Self.metrics(onlyGood.tally, loss)["rewards/rejected"] == nil)
        #expect(Self.metrics(onlyGood.tally, loss)["rewards/margins"] == nil)
    }

    @Test("KTO's reference point is a mean, and never below zero")
    func divergence() {
        let up = [Self.answer(-1, -3, 1), Self.answer(-5, -4, 1)]
        #expect(Loss.divergence(mismatched: up) == 0.5)
        #expect(Loss.divergence(mismatched: [Self.answer(-5, -4, 1)]) == 0)
        #expect(Loss.divergence(mismatched: []) == 0)
    }
}

// MARK: Derivatives and shares

extension PreferenceLossTests {
    private static let settings:
        [(TrainingParameters.PreferenceMethod, TrainingParameters.PreferenceLossType)] = [
            (.dpo, .sigmoid), (.dpo, .hinge), (.dpo, .ipo), (.cpo, .sigmoid), (.cpo, .hinge), (.cpo, .ipo),
            (.simpo, .sigmoid), (.orpo, .sigmoid),
        ]

    private static func randomPairs(_ generator: inout SeededGenerator) -> [Loss.Pair] {
        (0..<5).map { _ in
            func answer() -> Loss.Answer {
                Self.answer(
                    .random(in: -30 ... -2, using: &generator), .random(in: -30 ... -2, using: &generator),
                    .random(in: 2...12, using: &generator))
            }
            return Loss.Pair(
                chosen: answer(), rejected: answer(), likelihoodSum: .random(in: 1...40, using: &generator),
                likelihoodTokens: .random(in: 1...12, using: &generator))
        }
    }

    @Test("Every derivative by a pair is the slope of the loss", arguments: settings)
    func slopes(
        method: TrainingParameters.PreferenceMethod, type: TrainingParameters.PreferenceLossType
    ) throws {
        var generator = SeededGenerator(seed: 11)
        let loss = try Self.loss {
            ($0.rlhfType, $0.lossType, $0.rpoAlpha, $0.cpoAlpha) = (method, type, 0.7, 0.3)
            $0.labelSmoothing = 0.1
        }
        for _ in 0..<20 {
            let pairs = Self.randomPairs(&generator)
            let totals = Loss.StepTotals(pairs)
            let result = loss(pairs, of: totals)
            func slope(_ change: (inout [Loss.Pair], Double) -> Void) -> Double {
                let h = 1e-5
                var (up, down) = (pairs, pairs)
                change(&up, h)
                change(&down, -h)
                return (loss(up, of: totals).loss - loss(down, of: totals).loss) / (2 * h)
            }
            // Steps of 1e-5 leave errors of about 1e-10 by curvature and 1e-10 by rounding; kinks are not
            // hit.
            for row in pairs.indices {
                #expect(Self.close(result.chosen[row], slope { $0[row].chosen.logProb += $1 }, 1e-7))
                #expect(Self.close(result.rejected[row], slope { $0[row].rejected.logProb += $1 }, 1e-7))
                #expect(Self.close(result.likelihood, slope { $0[row].likelihoodSum += $1 }, 1e-7))
            }
        }
    }

    @Test("Every derivative by a single answer is the slope of the loss")
    func singleSlopes() throws {
        var generator = SeededGenerator(seed: 12)
        let loss = try Self.loss {
            ($0.rlhfType, $0.desirableWeight, $0.undesirableWeight) = (.kto, 1.3, 0.6)
        }
        let totals = Loss.StepTotals(rows: 7, divergence: 0.4)
        for _ in 0..<20 {
            let rows = (0..<5).map { row in
                Loss.Single(
                    answer: Self.answer(
                        .random(in: -30 ... -2, using: &generator),
                        .random(in: -30 ... -2, using: &generator), 3),
                    isDesirable: row % 2 == 0)
            }
            let result = loss(rows, of: totals)
            for row in rows.indices {
                var (up, down) = (rows, rows)
                up[row].answer.logProb += 1e-5
                down[row].answer.logProb -= 1e-5
                let slope = (loss(up, of: totals).loss - loss(down, of: totals).loss) / 2e-5
                #expect(Self.close(result.answers[row], slope, 1e-7))
            }
        }
    }

    @Test("Micro batches add up to their step", arguments: settings)
    func shares(
        method: TrainingParameters.PreferenceMethod, type: TrainingParameters.PreferenceLossType
    ) throws {
        var generator = SeededGenerator(seed: 13)
        let loss = try Self.loss { ($0.rlhfType, $0.lossType, $0.rpoAlpha) = (method, type, 1) }
        let pairs = Self.randomPairs(&generator)
        let totals = Loss.StepTotals(pairs)
        let whole = loss(pairs, of: totals)
        let (first, second) = (loss(Array(pairs[..<2]), of: totals), loss(Array(pairs[2...]), of: totals))
        #expect(Self.close(whole.loss, first.loss + second.loss, 1e-12))
        #expect(
            whole.chosen == first.chosen + second.chosen && whole.rejected == first.rejected + second.rejected
        )
        var tally = first.tally
        tally += second.tally
        for (one, other) in zip(tally.metrics(loss), whole.tally.metrics(loss)) {
            #expect(one.name == other.name && Self.close(one.value, other.value, 1e-12))
        }
    }

    @Test("Extreme log-probabilities and empty rows give finite numbers", arguments: settings)
    func extremes(
        method: TrainingParameters.PreferenceMethod, type: TrainingParameters.PreferenceLossType
    ) throws {
        let loss = try Self.loss { ($0.rlhfType, $0.lossType) = (method, type) }
        for (chosen, rejected) in [(0.0, 0.0), (-1e5, 0), (0, -1e5)] {
            let pairs = [
                Loss.Pair(chosen: Self.answer(chosen, 0, 0), rejected: Self.answer(rejected, 0, 0))
            ]
            let result = loss(pairs, of: .init(pairs))
            #expect(result.loss.isFinite && (result.chosen + result.rejected).allSatisfy(\.isFinite))
        }
        #expect(loss([Loss.Pair](), of: .init(rows: 0)).loss == 0)
    }

    @Test("Each method has its own default of beta")
    func defaults() throws {
        for method in TrainingParameters.PreferenceMethod.allCases {
            #expect(try Self.loss { $0.rlhfType = method }.beta == (method == .simpo ? 2 : 0.1))
        }
    }

    @Test("Numbers that cannot be meant are refused by name")
    func refuses() {
        let cases: [(String, (inout TrainingParameters) -> Void)] = [
            ("beta", { $0.beta = 0 }), ("beta", { $0.beta = .nan }),
            ("label_smoothing", { $0.labelSmoothing = 0.5 }),
            ("label_smoothing", { $0.labelSmoothing = -0.1 }),
            ("rpo_alpha", { $0.rpoAlpha = -1 }), ("simpo_gamma", { $0.simpoGamma = .infinity }),
            ("cpo_alpha", { ($0.rlhfType, $0.cpoAlpha) = (.cpo, -1) }),
            ("desirable_weight", { $0.desirableWeight = -1 }),
            ("undesirable_weight", { $0.undesirableWeight = -.infinity }),
        ]
        for (name, change) in cases {
            let error = #expect(throws: TrainingError.self) { try Self.loss(change) }
            #expect(error?.kind == .badParameters && error?.problem.hasPrefix(name) == true)
        }
    }
}
