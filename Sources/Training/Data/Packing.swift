// Puts rows together into packs of a length, so that few tokens of a batch are padding.

/// Bin packing.
enum Packing {
    /// Best fit decreasing: rows from the longest to the shortest, each into the pack in which it leaves the
    /// least room; 11/9 of the fewest packs possible at most (Johnson, 1973).
    /// - Parameters:
    ///   - order: the rows; those of one length are taken in this order.
    ///   - capacity: tokens of a pack, no row having more.
    /// - Returns: the rows of each pack. How many packs there are does not depend on the order.
    static func pack(_ order: [UInt32], lengths: [UInt32], capacity: Int) -> [[UInt32]] {
        let sorted = order.enumerated().sorted { one, other in
            let (left, right) = (lengths[Int(one.element)], lengths[Int(other.element)])
            return left == right ? one.offset < other.offset : left > right
        }.map(\.element)
        var packs: [[UInt32]] = []
        // The packs by the room that they have left.
        var packsByRoom = [[UInt32]](repeating: [], count: capacity + 1)
        var rooms = RoomSet(capacity: capacity)
        for row in sorted {
            let length = Int(lengths[Int(row)])
            var room = capacity
            var pack = packs.count
            if let found = rooms.smallest(atLeast: length), let last = packsByRoom[found].popLast() {
                (room, pack) = (found, Int(last))
                if packsByRoom[found].isEmpty { rooms.remove(found) }
                packs[pack].append(row)
            } else {
                packs.append([row])
            }
            packsByRoom[room - length].append(UInt32(pack))
            rooms.insert(room - length)
        }
        return packs
    }
}

/// A set of small numbers that finds the next one quickly: a bit for each, and a bit for each 64 of these.
private struct RoomSet {
    private var words: [UInt64]
    private var summary: [UInt64]

    init(capacity: Int) {
        words = [UInt64](repeating: 0, count: capacity / 64 + 1)
        summary = [UInt64](repeating: 0, count: capacity / 4096 + 1)
    }

    mutating func insert(_ number: Int) {
        words[number >> 6] |= 1 << UInt64(number & 63)
        summary[number >> 12] |= 1 << UInt64(number >> 6 & 63)
    }

    mutating func remove(_ number: Int) {
        words[number >> 6] &= ~(1 << UInt64(number & 63))
        if words[number >> 6] == 0 { summary[number >> 12] &= ~(1 << UInt64(number >> 6 & 63)) }
    }

    func smallest(atLeast number: Int) -> Int? {
        let first = words[number >> 6] & (~0 << UInt64(number & 63))
        if first != 0 { return number & ~63 | first.trailingZeroBitCount }
        let next = number >> 6 + 1
        for index in (next >> 6)..<max(summary.count, next >> 6) {
            let bits = index == next >> 6 ? summary[index] & (~0 << UInt64(next & 63)) : summary[index]
            if bits != 0 {
                let word = index << 6 | bits.trailingZeroBitCount
                return word << 6 | words[word].trailingZeroBitCount
            }
        }
        return nil
    }
}
