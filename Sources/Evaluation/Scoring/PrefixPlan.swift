// Which rows share what they begin with, so that nothing is computed twice.

/// Rows in an order in which neighbors share as much of their beginning as they can: the leaves of the tree
/// of their tokens, from left to right. A row that is the beginning of another is part of that one, and
/// continuations that differ in their last token alone are one.
struct PrefixPlan {
    /// A path from the root to a leaf.
    struct Leaf {
        /// What the model reads.
        var ids: [Int32]
        /// Where this leaf's own tokens begin, at the start of a block: those before are the same as in the
        /// leaf before it, and are computed already.
        var start: Int
        /// What is to be known of this leaf's own tokens, by position.
        var targets: [Target] = []
    }

    /// A token whose probability is wanted.
    struct Target {
        /// The token read last before it.
        var position: Int
        var id: Int32
        /// The row that it is a part of.
        var row: Int
    }

    private(set) var leaves: [Leaf] = []

    /// - Parameter blockSize: tokens of a block of the cache; blocks are shared as a whole.
    init(_ rows: [RatedTokens], blockSize: Int) {
        let order = rows.indices.sorted { Self.precedes(rows[$0], rows[$1]) }
        // The leaf that computes each block of the present path.
        var owners: [Int] = []
        var waiting: [Int] = []
        for (place, index) in order.enumerated() {
            waiting.append(index)
            let ids = rows[index].ids
            let count = rows[index].inputCount
            if place + 1 < order.count {
                let next = rows[order[place + 1]]
                if Self.commonCount(ids, count, next.ids, next.inputCount) == count { continue }
            }
            let last = leaves.last.map { Self.commonCount(ids, count, $0.ids, $0.ids.count) } ?? 0
            let shared = last / blockSize
            owners.removeSubrange(min(shared, owners.count)...)
            let blocks = (count + blockSize - 1) / blockSize
            owners += [Int](repeating: leaves.count, count: max(0, blocks - owners.count))
            leaves.append(Leaf(ids: Array(ids[..<count]), start: shared * blockSize))
            for row in waiting {
                let rated = rows[row]
                for place in rated.firstRated..<rated.ids.count {
                    leaves[owners[(place - 1) / blockSize]].targets.append(
                        Target(position: place - 1, id: rated.ids[place], row: row))
                }
            }
            waiting = []
        }
        for index in leaves.indices { leaves[index].targets.sort { $0.position < $1.position } }
    }

    /// Tokens that are computed.
    var computedCount: Int { leaves.reduce(0) { $0 + $1.ids.count - $1.start } }
    /// Tokens of the longest leaf.
    var longest: Int { leaves.map(\.ids.count).max() ?? 0 }

    private static func precedes(_ one: RatedTokens, _ other: RatedTokens) -> Bool {
        let (left, right) = (one.inputCount, other.inputCount)
        let common = commonCount(one.ids, left, other.ids, right)
        guard common < left, common < right else { return left < right }
        return one.ids[common] < other.ids[common]
    }

    /// How many of the first ids are the same.
    private static func commonCount(_ one: [Int32], _ left: Int, _ other: [Int32], _ right: Int) -> Int {
        one.withUnsafeBufferPointer { one in
            other.withUnsafeBufferPointer { other in
                let limit = min(left, right)
                var count = 0
                while count < limit, one[count] == other[count] { count += 1 }
                return count
            }
        }
    }
}
