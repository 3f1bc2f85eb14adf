// The order that chance gives to rows: the same for the same seed, on every machine and with every compiler,
// so that a run can be resumed.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct SplitMix64: Sendable {
    private var state: UInt64

    /// - Parameter stream: numbers of different streams have nothing to do with each other.
    init(seed: UInt64, stream: UInt64) {
        state = seed
        let first = next()
        state = first ^ (stream &* 0xD1B5_4A32_D192_ED03)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below the bound, each equally likely (Lemire, arXiv:1805.10941).
    mutating func next(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "there is no number below 0")
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }
}

/// Permutations by Fisher and Yates. The standard library's `shuffle` may change with its version.
enum SeededPermutation {
    /// What an order is drawn for; each has numbers of its own. Epochs come behind these.
    enum Purpose: UInt64 {
        case sample, split, stream, epoch
    }

    /// The numbers below `count` in an order by chance.
    static func order(count: Int, seed: UInt64, _ purpose: Purpose, number: Int = 0) -> [UInt32] {
        var generator = SplitMix64(seed: seed, stream: purpose.rawValue + UInt64(number) * 4)
        var order = [UInt32](0..<UInt32(count))
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(generator.next(below: UInt64(last + 1))))
        }
        return order
    }
}
