// Hands out the blocks of the KV cache, and finds the blocks whose content a new sequence can use (Kwon et
// al., "Efficient Memory Management for Large Language Model Serving with PagedAttention", arXiv:2309.06180).

/// The blocks of the KV cache: who holds them, which are free, and what the full ones contain.
///
/// A full block is known by its tokens and the block before it, so that equal chains of blocks mean equal
/// beginnings of text. The whole key is compared, never only a hash of it, hence different content is never
/// shared. A block that nobody holds keeps its content until it is needed for something else; the least
/// recently used goes first, and of a chain the end before the beginning. That order matters beyond the hit
/// rate: as long as a block is known, so is the one before it, and a block number in a key cannot come to
/// mean something else.
package struct BlockAllocator: Sendable {
    /// Tokens in a block; the same as `CK_KV_BLOCK` of the kernels.
    package static let blockSize = 16

    /// The content of a full block.
    private struct Key: Sendable, Hashable {
        /// The block before this one, or -1.
        var parent: Int32
        /// Whose cache it is; said by the first block for its whole chain.
        var scope: CacheScope?
        var tokens: SIMD16<Int32>
    }

    private struct Block: Sendable {
        /// How many tables it is in.
        var references = 0
        /// Its content, if others may use it.
        var key: Key?
        /// Known blocks whose key has this one as parent.
        var children = 0
        /// Neighbors in the list of free blocks.
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    package let sharesPrefixes: Bool
    private var blocks: [Block]
    private var known: [Key: Int32] = [:]
    /// The free block to use next, and the one to use last.
    private var firstFree: Int32 = -1
    private var lastFree: Int32 = -1

    /// Blocks that can be allocated, those included whose content is still known.
    package private(set) var freeCount = 0
    /// Tokens that were looked up, and those of them that were found.
    package private(set) var queriedTokens = 0
    package private(set) var hitTokens = 0
    /// Known blocks that were given up for others.
    package private(set) var evictions = 0

    package var blockCount: Int { blocks.count }
    package var usedCount: Int { blocks.count - freeCount }

    /// - Parameter sharesPrefixes: false forgets content with its last holder.
    package init(blockCount: Int, sharesPrefixes: Bool) {
        precondition(blockCount >= 0 && blockCount <= Int(Int32.max) / Self.blockSize, "slots are Int32")
        self.sharesPrefixes = sharesPrefixes
        blocks = Array(repeating: Block(), count: blockCount)
        for block in 0..<Int32(blockCount) { appendFree(block) }
    }

    /// The blocks that `tokens` need.
    package static func blocks(for tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    // MARK: What sequences do

    /// A table with room for all of `tokens`, whose first blocks are shared where their content is known. The
    /// last token is never among what is shared, since a step has to compute something to go on from.
    ///
    /// - Parameters:
    ///   - mayShare: false if all tokens have to be computed anyway.
    ///   - reserve: blocks that must stay free besides.
    /// - Returns: nil, with nothing changed, if there are too few free blocks.
    package mutating func allocate(
        _ tokens: [Int32], scope: CacheScope = CacheScope(), mayShare: Bool = true, reserve: Int = 0
    ) -> BlockTable? {
        let looksUp = sharesPrefixes && mayShare
        let shared = looksUp ? knownPrefix(of: tokens, scope: scope) : []
        // Shared blocks that nobody holds stop being free, too.
        let revived = shared.count { blocks[Int($0)].references == 0 }
        let fresh = Self.blocks(for: tokens.count) - shared.count
        guard fresh + revived + reserve <= freeCount else { return nil }
        for block in shared { hold(block) }
        if looksUp {
            queriedTokens += tokens.count
            hitTokens += shared.count * Self.blockSize
        }
        return BlockTable(
            blocks: shared + (0..<fresh).map { _ in takeFree() }, cachedBlocks: shared.count, scope: scope)
    }

    /// Makes room for `count` tokens in all.
    ///
    /// - Returns: false, with nothing changed, if there are too few free blocks.
    package mutating func extend(_ table: inout BlockTable, toHold count: Int) -> Bool {
        let missing = Self.blocks(for: count) - table.blocks.count
        guard missing <= freeCount else { return false }
        for _ in 0..<max(0, missing) { table.blocks.append(takeFree()) }
        return true
    }

    /// Offers the full blocks to others whose tokens have been computed. If another sequence offered the same
    /// content meanwhile, the table changes over to that block and its own is free.
    ///
    /// - Parameters:
    ///   - tokens: all tokens of the sequence.
    ///   - computed: how many of the first have their keys and values stored.
    package mutating func offer(_ table: inout BlockTable, tokens: [Int32], computed: Int) {
        guard sharesPrefixes else { return }
        precondition(computed <= tokens.count && computed <= table.capacity, "computed past the blocks")
        for index in table.cachedBlocks..<max(table.cachedBlocks, computed / Self.blockSize) {
            let parent = index > 0 ? table.blocks[index - 1] : -1
            let key = Self.key(index, of: tokens, parent: parent, scope: table.scope)
            let own = table.blocks[index]
            if let other = known[key] {
                hold(other)
                table.blocks[index] = other
                release(own)
            } else {
                known[key] = own
                blocks[Int(own)].key = key
                if parent >= 0 { blocks[Int(parent)].children += 1 }
            }
            table.cachedBlocks = index + 1
        }
    }

    /// A second table for a sequence that goes on in two ways after `computed` tokens. Full blocks are
    /// shared.
    ///
    /// - Returns: the new table, and which block the caller has to copy into which, if the last one is not
    ///   full; nil, with nothing changed, if that needs a block and none is free.
    package mutating func fork(
        _ table: BlockTable, computed: Int
    ) -> (table: BlockTable, copy: (from: Int32, to: Int32)?)? {
        precondition(computed <= table.capacity, "computed past the blocks")
        let full = computed / Self.blockSize
        let isPartial = computed % Self.blockSize > 0
        guard !isPartial || freeCount > 0 else { return nil }
        var forked = table
        forked.blocks = Array(table.blocks[..<full])
        forked.cachedBlocks = min(table.cachedBlocks, full)
        for block in forked.blocks { hold(block) }
        guard isPartial else { return (forked, nil) }
        let copy = takeFree()
        forked.blocks.append(copy)
        return (forked, (table.blocks[full], copy))
    }

    /// Gives all blocks back. Nothing else may be done with the table then but extending it again.
    package mutating func free(_ table: inout BlockTable) {
        // From the end, so that the beginning, which more texts share, is used for something else last.
        for block in table.blocks.reversed() { release(block) }
        table.blocks = []
        table.cachedBlocks = 0
    }

    // MARK: Content

    private func knownPrefix(of tokens: [Int32], scope: CacheScope) -> [Int32] {
        var found: [Int32] = []
        for index in 0..<max(0, (tokens.count - 1) / Self.blockSize) {
            let key = Self.key(index, of: tokens, parent: found.last ?? -1, scope: scope)
            guard let block = known[key] else { break }
            found.append(block)
        }
        return found
    }

    private static func key(_ index: Int, of tokens: [Int32], parent: Int32, scope: CacheScope) -> Key {
        let content = SIMD16<Int32>(tokens[(index * blockSize)..<((index + 1) * blockSize)])
        return Key(parent: parent, scope: parent < 0 ? scope : nil, tokens: content)
    }

    private mutating func forget(_ block: Int32) {
        guard let key = blocks[Int(block)].key else { return }
        precondition(blocks[Int(block)].children == 0, "block \(block) would leave others without parent")
        known[key] = nil
        blocks[Int(block)].key = nil
        if key.parent >= 0 { blocks[Int(key.parent)].children -= 1 }
        evictions += 1
    }

    // MARK: Holding and the list of free blocks

    private mutating func hold(_ block: Int32) {
        if blocks[Int(block)].references == 0 { removeFree(block) }
        blocks[Int(block)].references += 1
    }

    private mutating func release(_ block: Int32) {
        precondition(blocks[Int(block)].references > 0, "block \(block) was released twice")
        blocks[Int(block)].references -= 1
        guard blocks[Int(block)].references == 0 else { return }
        if blocks[Int(block)].key != nil {
            appendFree(block)
        } else {
            prependFree(block)
        }
    }

    private mutating func takeFree() -> Int32 {
        let block = firstFree
        precondition(block >= 0, "no block is free")
        removeFree(block)
        forget(block)
        blocks[Int(block)].references = 1
        return block
    }

    private mutating func appendFree(_ block: Int32) {
        blocks[Int(block)].previous = lastFree
        blocks[Int(block)].next = -1
        if lastFree >= 0 { blocks[Int(lastFree)].next = block } else { firstFree = block }
        lastFree = block
        freeCount += 1
    }

    private mutating func prependFree(_ block: Int32) {
        blocks[Int(block)].previous = -1
        blocks[Int(block)].next = firstFree
        if firstFree >= 0 { blocks[Int(firstFree)].previous = block } else { lastFree = block }
        firstFree = block
        freeCount += 1
    }

    private mutating func removeFree(_ block: Int32) {
        let (previous, next) = (blocks[Int(block)].previous, blocks[Int(block)].next)
        if previous >= 0 { blocks[Int(previous)].next = next } else { firstFree = next }
        if next >= 0 { blocks[Int(next)].previous = previous } else { lastFree = previous }
        freeCount -= 1
    }
}

// MARK: Checks

extension BlockAllocator {
    /// What does not hold although it always should, given all tables there are; empty if all is well. For
    /// tests: it looks at everything.
    package func violations(tables: [BlockTable]) -> [String] {
        var wrong: [String] = []
        var holders = Array(repeating: 0, count: blocks.count)
        for table in tables {
            for block in table.blocks { holders[Int(block)] += 1 }
            if Set(table.blocks).count != table.blocks.count { wrong.append("a table has a block twice") }
        }
        var order: [Int32: Int] = [:]
        var (block, last) = (firstFree, Int32(-1))
        while block >= 0 && order.count <= blocks.count {
            order[block] = order.count
            if blocks[Int(block)].previous != last { wrong.append("free block \(block) is linked wrongly") }
            (last, block) = (block, blocks[Int(block)].next)
        }
        if last != lastFree || order.count != freeCount { wrong.append("the list of free blocks is broken") }
        var children = Array(repeating: 0, count: blocks.count)
        for (number, block) in blocks.enumerated() {
            if block.references != holders[number] {
                wrong.append("block \(number) has \(block.references) references, \(holders[number]) holders")
            }
            if (block.references == 0) != (order[Int32(number)] != nil) {
                wrong.append("block \(number) is held and free, or neither")
            }
            guard let key = block.key else { continue }
            if known[key] != Int32(number) { wrong.append("block \(number) is not known by its key") }
            guard key.parent >= 0 else { continue }
            children[Int(key.parent)] += 1
            if blocks[Int(key.parent)].key == nil { wrong.append("block \(number) has an unknown parent") }
            if let parent = order[key.parent], parent < order[Int32(number)] ?? Int.max {
                wrong.append("block \(number) outlives its parent")
            }
        }
        if known.count != blocks.count(where: { $0.key != nil }) { wrong.append("keys without blocks") }
        if children != blocks.map(\.children) { wrong.append("children are miscounted") }
        return wrong
    }
}
