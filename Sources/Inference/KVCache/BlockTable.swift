// Where the keys and values of one sequence lie: its blocks, in the order of its tokens.

/// Which sequences may share what is cached. Keys and values depend on the adapter beside the tokens, and a
/// client may ask not to share with others, so that it cannot be timed what they sent (vLLM's `cache_salt`).
package struct CacheScope: Sendable, Hashable {
    /// Names are compared as bytes: Swift's strings call different spellings of "é" equal.
    private let adapter: [UInt8]?
    private let adapterVersion: Int
    private let salt: [UInt8]?

    /// - Parameter adapterVersion: tells weights apart that were loaded under the same name one after
    ///   another.
    package init(adapter: String? = nil, adapterVersion: Int = 0, salt: String? = nil) {
        self.adapter = adapter.map { Array($0.utf8) }
        self.adapterVersion = adapterVersion
        self.salt = salt.map { Array($0.utf8) }
    }
}

/// The blocks that a sequence holds. Made, changed and emptied by a `BlockAllocator` only.
package struct BlockTable: Sendable, Hashable {
    /// Block numbers, one for each 16 tokens.
    package internal(set) var blocks: [Int32] = []
    /// How many of the first blocks are full, computed and offered to others.
    package internal(set) var cachedBlocks = 0
    package let scope: CacheScope

    /// Tokens that fit into the blocks.
    package var capacity: Int { blocks.count * BlockAllocator.blockSize }

    /// The place of the token at `position` in the cache.
    package func slot(_ position: Int) -> Int32 {
        let size = BlockAllocator.blockSize
        return blocks[position / size] * Int32(size) + Int32(position % size)
    }
}
