// The sampler's source of chance: small, fast, the same on every machine, with a stream for each choice of a
// request.

/// PCG-XSH-RR with 64 bits of state and 32 of output (O'Neill, "PCG: A Family of Simple Fast Space-Efficient
/// Statistically Good Algorithms for Random Number Generation", 2014). It gives the numbers of the paper's
/// reference implementation, `pcg32`. Not for secrets.
package struct PermutedGenerator: Sendable, Hashable, RandomNumberGenerator {
    private var state: UInt64 = 0
    private let increment: UInt64

    /// Generators of the same seed and different streams are independent.
    package init(seed: UInt64, stream: UInt64 = 0) {
        increment = (stream << 1) | 1
        _ = next32()
        state &+= seed
        _ = next32()
    }

    package mutating func next32() -> UInt32 {
        let old = state
        state = old &* 6_364_136_223_846_793_005 &+ increment
        let shifted = UInt32(truncatingIfNeeded: ((old >> 18) ^ old) >> 27)
        let rotation = UInt32(truncatingIfNeeded: old >> 59)
        return (shifted >> rotation) | (shifted << ((32 - rotation) & 31))
    }

    package mutating func next() -> UInt64 {
        let high = UInt64(next32())
        return (high << 32) | UInt64(next32())
    }

    /// A number from 0 to below 1, one of 2^53 that are equally far apart.
    package mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
