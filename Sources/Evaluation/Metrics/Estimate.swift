// A figure with its standard error, and the ways in which both are computed.

import Glibc

/// A metric's value over samples.
package struct Estimate: Sendable, Hashable {
    /// How a standard error was got; reports say which.
    package enum Method: String, Sendable {
        /// The sample standard deviation over the root of n, with n - 1 in the deviation; for outcomes of 0
        /// and 1 this is sqrt(p(1-p)/(n-1)).
        case sampleMean = "sample_mean"
        /// The standard deviation over 1,000 samples of the documents drawn with replacement.
        case bootstrap
        /// sqrt(sum of squared standard errors) / number of groups, for a mean of means.
        case stratified
    }

    package var value: Double
    /// nil where it cannot be known: from fewer than two samples.
    package var standardError: Double?
    package var method: Method

    package init(value: Double, standardError: Double?, method: Method) {
        self.value = value
        self.standardError = standardError
        self.method = method
    }

    /// The mean of values; 0 without an error for none at all.
    package static func mean(of values: [Double]) -> Estimate {
        guard !values.isEmpty else { return Estimate(value: 0, standardError: nil, method: .sampleMean) }
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        guard values.count > 1 else { return Estimate(value: mean, standardError: nil, method: .sampleMean) }
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let error = (squares / (count - 1)).squareRoot() / count.squareRoot()
        return Estimate(value: mean, standardError: error, method: .sampleMean)
    }

    /// The mean of groups' means, each group counting the same.
    package static func macro(of groups: [Estimate]) -> Estimate {
        guard !groups.isEmpty else { return Estimate(value: 0, standardError: nil, method: .stratified) }
        let count = Double(groups.count)
        let errors = groups.compactMap(\.standardError)
        let error =
            errors.count == groups.count ? errors.reduce(0) { $0 + $1 * $1 }.squareRoot() / count : nil
        return Estimate(
            value: groups.reduce(0) { $0 + $1.value } / count, standardError: error, method: .stratified)
    }

    /// A statistic of documents with the deviation it has over documents drawn with replacement.
    /// - Parameter statistic: of the documents at these indexes.
    package static func bootstrap(
        count: Int, seed: UInt64, resamples: Int = 1_000, statistic: ([Int]) -> Double
    ) -> Estimate {
        let value = statistic(Array(0..<count))
        guard count > 1 else { return Estimate(value: value, standardError: nil, method: .bootstrap) }
        var generator = SplitMix64(seed: seed)
        var drawn = [Int](repeating: 0, count: count)
        var values: [Double] = []
        for _ in 0..<resamples {
            for index in drawn.indices { drawn[index] = Int(generator.next(below: UInt64(count))) }
            values.append(statistic(drawn))
        }
        let mean = values.reduce(0, +) / Double(values.count)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let error = (squares / Double(max(1, values.count - 1))).squareRoot()
        return Estimate(value: value, standardError: error.isFinite ? error : nil, method: .bootstrap)
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). The same numbers
/// for the same seed with every compiler, so that examples and resamples can be drawn again.
struct SplitMix64: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below the bound. The bias of taking the upper half of a product is below bound /
    /// 2^64.
    mutating func next(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "there is no number below 0")
        return next().multipliedFullWidth(by: bound).high
    }
}
