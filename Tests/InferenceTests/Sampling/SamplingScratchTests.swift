// The quick selection of candidates agrees with the plain definition, whatever the logits look like.

import Glibc
import TestSupport
import Testing

@testable import Inference

@Suite("Quick sampling")
struct SamplingScratchTests {
    /// Logits of several characters, among them those that make selection by digits work hard.
    enum Shape: CaseIterable { case spread, close, tied, masked, offset, equal }

    private static func logits(_ shape: Shape, _ count: Int, _ generator: inout SeededGenerator) -> [Float] {
        (0..<count).map { index in
            let normal = (0..<6).reduce(-3.0) { sum, _ in sum + Double.random(in: 0..<1, using: &generator) }
            return switch shape {
            case .spread: Float(normal * 6)
            case .close: Float(normal * 0.01)
            case .tied: Float(Int(normal * 3))
            case .masked: index % 3 == 0 || index == count - 1 ? Float(normal * 2) : -.infinity
            case .offset: Float(-30 + normal)
            case .equal: 0.25
            }
        }
    }

    private static func parameters(_ generator: inout SeededGenerator) -> SamplingParameters {
        var parameters = SamplingParameters(maxTokens: 1)
        func flip() -> Bool { Bool.random(using: &generator) }
        parameters.temperature = Double.random(in: 0.2..<2, using: &generator)
        if flip() { parameters.topK = Int.random(in: 1..<80, using: &generator) }
        if flip() { parameters.topP = Double.random(in: 0.05..<1, using: &generator) }
        if flip() { parameters.minP = Double.random(in: 0..<0.3, using: &generator) }
        return parameters
    }

    @Test("It keeps the same tokens with the same weights as the plain way", arguments: Shape.allCases)
    func agreesWithDistribution(shape: Shape) throws {
        let scratch = SamplingScratch()
        for seed in 0..<60 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let count = [1, 7, 64, 129, 500, 1_031][Int(seed % 6)]
            let logits = Self.logits(shape, count, &generator)
            let parameters = Self.parameters(&generator)
            let order = seed % 2 == 0 ? Sampler.Order.huggingFace : .vLLM
            let plain = try Sampler(parameters, promptIDs: [], order: order).distribution(
                logits.map(Double.init))
            let quick = logits.withUnsafeBufferPointer { buffer in
                let candidates = scratch.candidates(buffer, parameters, order)
                var weights = Array(repeating: 0.0, count: count)
                for (id, weight) in zip(candidates.ids, candidates.weights) {
                    weights[Int(id)] = Double(weight)
                }
                let total = weights.reduce(0, +)
                return weights.map { $0 / total }
            }
            // Weights are floats there, and their exponential is right to two units of the last place.
            let worst = zip(plain, quick).map { abs($0 - $1) }.max() ?? 0
            // By rounding, one token more or less may be kept at the edge; then all others share the
            // difference.
            let kept = (plain.count { $0 > 0 }, quick.count { $0 > 0 })
            #expect(abs(kept.0 - kept.1) <= 1, "seed \(seed): \(kept) of \(parameters)")
            #expect(kept.0 != kept.1 || worst < 2e-6, "seed \(seed): differs by \(worst)")
        }
    }

    @Test("The cut by digits finds the k-th largest of any floats")
    func cutFindsThreshold() {
        let sums = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1 << Radix.bits)
        defer { sums.deallocate() }
        sums.initialize(repeating: 0)
        var generator = SeededGenerator(seed: 5)
        for count in [1, 2, 31, 300] {
            let values = (0..<count).map { _ in
                let bits = UInt32.random(in: 0...UInt32.max, using: &generator)
                let value = Float(bitPattern: bits)
                return value.isNaN ? Float(bits % 7) : value
            }
            let sorted = values.sorted(by: >)
            for place in 1...count {
                let cut = Radix.cut(
                    count: count, limit: Double(place), sums: sums, key: { Radix.key(values[$0]) },
                    mass: { _ in 1 })
                #expect(Radix.float(cut.key) == sorted[place - 1])
                #expect(Int(cut.above) == values.count { $0 > sorted[place - 1] })
            }
        }
    }

    @Test("Same seed, same tokens; another seed or choice, others")
    func seeds() throws {
        var generator = SeededGenerator(seed: 9)
        let logits = Self.logits(.close, 200, &generator)
        func tokens(_ seed: UInt64?, _ other: UInt64, choice: Int = 0) throws -> [Int32] {
            var parameters = SamplingParameters(maxTokens: 1)
            parameters.seed = seed
            var sampler = Sampler(parameters, promptIDs: [], seed: other, choice: choice)
            return try (0..<8).map { _ in try SamplerTests.sample(&sampler, logits).id }
        }
        #expect(try tokens(1, 5) == tokens(1, 6))
        #expect(try tokens(nil, 5) == tokens(nil, 5))
        let all = try [tokens(1, 5), tokens(2, 5), tokens(nil, 5), tokens(nil, 6), tokens(1, 5, choice: 1)]
        #expect(Set(all).count == all.count)
    }

    @Test("Tokens are drawn as often as their probability says")
    func frequencies() throws {
        var parameters = SamplingParameters(maxTokens: 1)
        parameters.topK = 4
        var sampler = Sampler(parameters, promptIDs: [], seed: 11)
        let logits = [0.05, 0.4, 0.2, 0.1, 0.25].map { Float(log($0)) }
        let expected = try sampler.distribution(logits.map(Double.init))
        var counts = Array(repeating: 0, count: logits.count)
        for _ in 0..<4_000 { counts[Int(try SamplerTests.sample(&sampler, logits).id)] += 1 }
        for (count, probability) in zip(counts, expected) {
            // Six standard deviations; the seed is fixed, so that this passes always or never.
            let deviation = (4_000 * probability * (1 - probability)).squareRoot()
            #expect(abs(Double(count) - 4_000 * probability) <= 6 * deviation)
        }
    }
}
