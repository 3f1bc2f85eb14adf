// Finds the value at which a running total, from the largest value down, reaches a limit: the k-th largest
// logit, or the edge of the most probable tokens. In time linear in the count, whatever the values are.

/// Selection by digits of 11, 11 and 10 bits of an unsigned key, most significant first.
enum Radix {
    static let bits = 11

    /// Unsigned keys in the order of floats: positive ones get their sign bit set, negative ones are turned
    /// around.
    @inline(__always)
    static func key(_ value: Float) -> UInt32 {
        let bits = value.bitPattern
        return bits >> 31 == 0 ? bits | 1 << 31 : ~bits
    }

    static func float(_ key: UInt32) -> Float {
        Float(bitPattern: key >> 31 == 0 ? ~key : key & ~(1 << 31))
    }

    /// Goes down the elements from the largest key and stops at the first whose mass makes the total reach
    /// `limit`.
    ///
    /// - Parameters:
    ///   - limit: above 0. If all mass together does not reach it, the cut is at the smallest key.
    ///   - sums: memory for 2^11 numbers.
    /// - Returns: the key of that element, and the mass of all elements with larger keys.
    @inline(__always)
    static func cut(
        count: Int, limit: Double, sums: UnsafeMutableBufferPointer<Double>, key: (Int) -> UInt32,
        mass: (Int) -> Double
    ) -> (key: UInt32, above: Double) {
        var prefix: UInt32 = 0
        var above = 0.0
        // A shift by 32 or more gives 0 in Swift, so that every key has the empty prefix.
        for (prefixShift, shift) in [(32, 21), (21, 10), (10, 0)] as [(UInt32, UInt32)] {
            let digitMask: UInt32 = (1 << (prefixShift - shift)) - 1
            sums.update(repeating: -1)
            for index in 0..<count {
                let key = key(index)
                guard key >> prefixShift == prefix else { continue }
                let digit = Int(key >> shift & digitMask)
                // A digit that occurs, even without mass, must be told from one that does not.
                sums[digit] = max(sums[digit], 0) + mass(index)
            }
            var chosen = -1
            for digit in stride(from: Int(digitMask), through: 0, by: -1) where sums[digit] >= 0 {
                if chosen >= 0 { above += sums[chosen] }
                chosen = digit
                if above + sums[digit] >= limit { break }
            }
            prefix = prefix << (prefixShift - shift) | UInt32(max(chosen, 0))
        }
        return (prefix, above)
    }
}
