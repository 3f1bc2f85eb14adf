// From the tree of what is to be read to steps of the model: which tokens go together, and in which blocks
// of the cache their keys and values lie.

import Models

/// Hands out steps until every leaf of a plan is computed. Blocks that a leaf shares with the one before it
/// are theirs together; a block that no later leaf needs is free when the step that reads it last is done.
struct PrefixSteps {
    /// A step, and whose targets its output rows are.
    struct Step {
        var batch = ForwardBatch()
        /// One for each output row of the batch: its targets.
        var targets: [[PrefixPlan.Target]] = []
    }

    private let leaves: [PrefixPlan.Leaf]
    private let stepTokens: Int
    private let blockSize: Int
    private let adapter: LoRAAdapter?
    private var free: [Int32]
    /// Blocks that the step handed out last may still read.
    private var retired: [Int32] = []
    /// Blocks of the present leaf, or of the one before it while none of its tokens is in a step.
    private var table: [Int32] = []
    private var leaf = 0
    /// The next token of the present leaf; nil before it begins.
    private var position: Int?
    /// The next target of the present leaf.
    private var target = 0

    /// Blocks that a cache needs for leaves of so many tokens: those of the longest leaf, and room for the
    /// many short ends of a step.
    static func blockCount(longest: Int, stepTokens: Int, blockSize: Int) -> Int {
        (longest + blockSize - 1) / blockSize + max(8, stepTokens / 4)
    }

    init(
        _ plan: PrefixPlan, stepTokens: Int, blockCount: Int, blockSize: Int, adapter: LoRAAdapter? = nil
    ) {
        precondition(
            blockCount * blockSize > plan.longest && stepTokens > 0, "the cache has room for the longest row")
        leaves = plan.leaves
        self.stepTokens = stepTokens
        self.blockSize = blockSize
        self.adapter = adapter
        free = (0..<Int32(blockCount)).reversed()
    }

    /// The next step; nil when all is computed. The one before it must have been computed.
    mutating func next() -> Step? {
        guard leaf < leaves.count else { return nil }
        free += retired
        retired = []
        var step = Step()
        while leaf < leaves.count, step.batch.count < stepTokens {
            guard append(to: &step) else { break }
        }
        precondition(step.batch.count > 0, "a step computes something")
        return step
    }

    /// Appends what fits of the present leaf.
    /// - Returns: false if there is no free block.
    private mutating func append(to step: inout Step) -> Bool {
        let start = leaves[leaf].start
        if position == nil {
            // Nothing of this step reads them yet where it has no tokens.
            if step.batch.count == 0 {
                free += table[(start / blockSize)...]
            } else {
                retired += table[(start / blockSize)...]
            }
            table.removeSubrange((start / blockSize)...)
            position = start
            target = 0
        }
        let first = position ?? start
        var end = min(leaves[leaf].ids.count, first + stepTokens - step.batch.count)
        while table.count * blockSize < end, let block = free.popLast() { table.append(block) }
        end = min(end, table.count * blockSize)
        guard end > first else { return false }
        let slots = (first..<end).map { table[$0 / blockSize] * Int32(blockSize) + Int32($0 % blockSize) }
        let row = step.batch.append(
            Array(leaves[leaf].ids[first..<end]), start: first, slots: slots, blockTable: table,
            adapter: adapter)
        appendTargets(upTo: end, row: row - first, &step)
        position = end
        if end == leaves[leaf].ids.count {
            leaf += 1
            position = nil
        }
        return true
    }

    private mutating func appendTargets(upTo end: Int, row: Int, _ step: inout Step) {
        let targets = leaves[leaf].targets
        while target < targets.count, targets[target].position < end {
            let place = row + targets[target].position
            if step.batch.outputRows.last != place {
                step.batch.outputRows.append(place)
                step.targets.append([])
            }
            step.targets[step.targets.count - 1].append(targets[target])
            target += 1
        }
    }
}
