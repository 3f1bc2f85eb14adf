// The tokens of one step, of one or many sequences.

/// What a step computes: rows of tokens, sequence after sequence.
package struct ForwardBatch: Sendable {
    /// One sequence's rows.
    package struct Sequence: Sendable {
        /// The first row, and how many.
        package var start: Int
        package var count: Int
        /// Tokens in the cache when the step's own are stored, these included.
        package var contextLength: Int
        /// The block of each 16 tokens.
        package var blockTable: [Int32]

        package init(start: Int, count: Int, contextLength: Int, blockTable: [Int32]) {
            self.start = start
            self.count = count
            self.contextLength = contextLength
            self.blockTable = blockTable
        }
    }

    package var tokenIDs: [Int32] = []
    package var positions: [Int32] = []
    /// Where each token's keys and values go: block * 16 + offset.
    package var slots: [Int32] = []
    package var sequences: [Sequence] = []
    /// Rows with an adapter; all others are the base model's.
    package var adapters: [(rows: Range<Int>, adapter: LoRAAdapter)] = []
    /// Rows whose final hidden states are wanted, in this order.
    package var outputRows: [Int] = []

    package init() {}

    package var count: Int { tokenIDs.count }

    /// Appends a sequence's tokens from position `start` on.
    /// - Returns: the row of the first.
    @discardableResult
    package mutating func append(
        _ ids: [Int32], start: Int, slots: [Int32], blockTable: [Int32], adapter: LoRAAdapter? = nil
    ) -> Int {
        precondition(ids.count == slots.count && !ids.isEmpty, "a slot is needed for each token")
        let row = tokenIDs.count
        tokenIDs += ids
        positions += (start..<start + ids.count).map { Int32($0) }
        self.slots += slots
        sequences.append(
            Sequence(start: row, count: ids.count, contextLength: start + ids.count, blockTable: blockTable))
        if let adapter {
            // Neighbours with the same adapter are one product.
            if let last = adapters.last, last.adapter === adapter, last.rows.upperBound == row {
                adapters[adapters.count - 1].rows = last.rows.lowerBound..<row + ids.count
            } else {
                adapters.append((row..<row + ids.count, adapter))
            }
        }
        return row
    }
}
