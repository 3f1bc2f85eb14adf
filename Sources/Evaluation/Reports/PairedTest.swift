// Whether two runs over the same samples differ by more than chance.

import Glibc

/// The outcome of a paired test of two runs.
package struct PairedTest: Sendable, Hashable {
    package enum Method: String, Sendable {
        /// McNemar's exact test, two-sided: the discordant pairs against a fair coin.
        case mcNemar = "mcnemar_exact"
        /// The signs of the differences flipped by chance, two-sided; all 2^n ways where n is at most 14.
        case signFlip = "sign_flip_permutation"
    }

    package var method: Method
    /// Pairs that were compared.
    package var pairs: Int
    /// Pairs in which the second run is better, and worse.
    package var better: Int
    package var worse: Int
    /// The mean of second less first.
    package var meanDifference: Double
    /// Of the mean difference; nil from fewer than two pairs.
    package var standardError: Double?
    /// The chance of a difference at least this large if the runs were equally good.
    package var pValue: Double

    /// How often signs are flipped where there are too many ways for all.
    package static let resamples = 10_000

    /// - Parameter pairs: values of the same sample, the first run's first; higher is better.
    package init(_ pairs: [(first: Double, second: Double)], seed: UInt64 = 42) {
        let differences = pairs.map { $0.second - $0.first }
        let isBinary = pairs.allSatisfy {
            ($0.first == 0 || $0.first == 1) && ($0.second == 0 || $0.second == 1)
        }
        self.pairs = pairs.count
        better = differences.filter { $0 > 0 }.count
        worse = differences.filter { $0 < 0 }.count
        let estimate = Estimate.mean(of: differences)
        meanDifference = estimate.value
        standardError = estimate.standardError
        method = isBinary ? .mcNemar : .signFlip
        pValue = isBinary ? Self.exactMcNemar(better, worse) : Self.signFlip(differences, seed: seed)
    }

    /// min(1, 2 P(X <= min(b, c))) for X binomial of b + c fair throws.
    package static func exactMcNemar(_ b: Int, _ c: Int) -> Double {
        let total = b + c
        guard total > 0 else { return 1 }
        var sum = 0.0
        for successes in 0...min(b, c) {
            let logChoose =
                lgamma(Double(total + 1)) - lgamma(Double(successes + 1))
                - lgamma(Double(total - successes + 1))
            sum += exp(logChoose - Double(total) * log(2))
        }
        return min(1, 2 * sum)
    }

    private static func signFlip(_ all: [Double], seed: UInt64) -> Double {
        // A difference of 0 has no sign; leaving it out changes nothing.
        let differences = all.filter { $0 != 0 }
        guard !differences.isEmpty, differences.allSatisfy(\.isFinite) else { return 1 }
        let observed = abs(differences.reduce(0, +))
        // The same numbers added in another order differ in their last bits.
        let threshold = observed - 1e-12 * differences.reduce(0) { $0 + abs($1) }
        if differences.count <= 14 {
            let ways = 1 << differences.count
            var extreme = 0
            for signs in 0..<ways {
                var sum = 0.0
                for (index, difference) in differences.enumerated() {
                    sum += signs >> index & 1 == 1 ? difference : -difference
                }
                if abs(sum) >= threshold { extreme += 1 }
            }
            return Double(extreme) / Double(ways)
        }
        var generator = SplitMix64(seed: seed)
        var extreme = 0
        for _ in 0..<resamples {
            var sum = 0.0
            var bits: UInt64 = 0
            for (index, difference) in differences.enumerated() {
                if index % 64 == 0 { bits = generator.next() }
                sum += bits & 1 == 1 ? difference : -difference
                bits >>= 1
            }
            if abs(sum) >= threshold { extreme += 1 }
        }
        // The observed signs are one of the ways, so that no p-value is 0.
        return Double(extreme + 1) / Double(resamples + 1)
    }
}
