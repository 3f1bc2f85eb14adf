// Which pairs of tokens become one, and in which order.

/// A hash table from pairs of ids to the rank and the result of their merge.
struct MergeTable: Sendable {
    /// Rank in the upper half, id of the result in the lower.
    typealias Merge = UInt64

    static let none = Merge.max
    private static let seed = UInt64.random(in: .min ... .max) | 1

    /// Pair and merge in turn; open addressing, a power of two.
    private var slots: [UInt64]
    private var shift: UInt64
    private(set) var count = 0

    init(capacity: Int) {
        var size = 32
        while size < capacity + capacity / 2 { size *= 2 }
        slots = [UInt64](repeating: .max, count: size * 2)
        shift = UInt64(64 - size.trailingZeroBitCount)
    }

    @inline(__always)
    static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    static func rank(_ merge: Merge) -> UInt32 { UInt32(truncatingIfNeeded: merge >> 32) }

    @inline(__always)
    static func result(_ merge: Merge) -> Int32 { Int32(truncatingIfNeeded: merge) }

    /// The merge of two tokens, `none` if they never become one.
    @inline(__always)
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        let pair = Self.pair(left, right)
        return slots.withUnsafeBufferPointer { slots in
            let mask = slots.count / 2 - 1
            var slot = Int(truncatingIfNeeded: (pair &* Self.seed) >> shift)
            while true {
                let found = slots[2 * slot]
                if found == pair { return slots[2 * slot + 1] }
                if found == .max { return Self.none }
                slot = (slot + 1) & mask
            }
        }
    }

    /// Of the same pair given twice, the later counts.
    mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, result: Int32) {
        if count + count / 2 >= slots.count / 2 { grow() }
        place(Self.pair(left, right), UInt64(rank) << 32 | UInt64(UInt32(bitPattern: result)))
    }

    private mutating func place(_ pair: UInt64, _ merge: Merge) {
        let mask = slots.count / 2 - 1
        var slot = Int(truncatingIfNeeded: (pair &* Self.seed) >> shift)
        while slots[2 * slot] != .max, slots[2 * slot] != pair { slot = (slot + 1) & mask }
        if slots[2 * slot] == .max { count += 1 }
        slots[2 * slot] = pair
        slots[2 * slot + 1] = merge
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: .max, count: old.count * 2)
        shift -= 1
        count = 0
        for slot in stride(from: 0, to: old.count, by: 2) where old[slot] != .max {
            place(old[slot], old[slot + 1])
        }
    }
}
