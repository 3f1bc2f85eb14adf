// Rates rows of tokens with a model: steps over shared beginnings, the output layer for the rated rows alone.

import CKernels
package import Models
package import Tensors

/// Computes log-probabilities of given tokens, a step of the model at a time. Its memory is used by one set
/// of rows at a time, and its steps take as long as the arithmetic does.
package actor TokenRater {
    private let model: CausalLanguageModel
    private let adapter: LoRAAdapter?
    private let workspace: Workspace
    private let hidden: MemoryRegion
    private let logits: MemoryRegion
    private let stepTokens: Int
    private var cache: KVCache?
    private var rows: [RatedTokens] = []
    private var ratings: [TokenRating] = []
    private var steps: PrefixSteps?

    /// Rows that go through the output layer at once.
    private static let logitRows = 64

    /// Tokens of all steps so far.
    package private(set) var computedTokens = 0

    /// - Parameter stepTokens: tokens of a step.
    /// - Throws: `OutOfMemory` if the buffers do not fit.
    package init(
        model: CausalLanguageModel, pool: ThreadPool, adapter: LoRAAdapter? = nil, stepTokens: Int = 512
    ) throws(OutOfMemory) {
        precondition(stepTokens > 0, "a step has tokens")
        self.model = model
        self.adapter = adapter
        self.stepTokens = stepTokens
        let configuration = model.configuration
        workspace = try Workspace(model, maxTokens: max(stepTokens, Self.logitRows), pool: pool)
        hidden = try MemoryRegion(
            byteCount: stepTokens * configuration.hiddenSize * 4, purpose: "hidden states")
        logits = try MemoryRegion(
            byteCount: Self.logitRows * configuration.vocabSize * 4, purpose: "logits")
    }

    /// Makes rows the ones to rate; those that begin alike share what is computed for it.
    /// - Throws: `ScoringError` for an id that the model does not have, `OutOfMemory` for the cache.
    package func begin(_ rows: [RatedTokens]) throws {
        let vocabSize = model.configuration.vocabSize
        for row in rows {
            if let id = row.ids.first(where: { $0 < 0 || Int($0) >= vocabSize }) {
                throw ScoringError(
                    "the tokenizer gives token \(id), and the model's vocabulary has \(vocabSize) tokens",
                    remedy: "use the tokenizer that belongs to the model")
            }
        }
        let plan = PrefixPlan(rows, blockSize: KVCache.blockSize)
        let cache = try cache(longest: plan.longest)
        self.rows = rows
        ratings = [TokenRating](repeating: TokenRating(), count: rows.count)
        steps = PrefixSteps(
            plan, stepTokens: stepTokens, blockCount: cache.blockCount, blockSize: KVCache.blockSize,
            adapter: adapter)
    }

    /// Computes the next step.
    /// - Returns: the rows that are rated with it, none twice and in no particular order; nil when all are.
    package func step() -> [(row: Int, rating: TokenRating)]? {
        guard let cache, let step = steps?.next() else {
            steps = nil
            return nil
        }
        model.forward(step.batch, cache: cache, workspace: workspace, into: hidden.floats)
        computedTokens += step.batch.count
        var done: [(row: Int, rating: TokenRating)] = []
        let (hiddenSize, vocabSize) = (model.configuration.hiddenSize, model.configuration.vocabSize)
        for start in stride(from: 0, to: step.targets.count, by: Self.logitRows) {
            let count = min(Self.logitRows, step.targets.count - start)
            model.logits(
                hidden.floats + start * hiddenSize, count: count, into: logits.floats, workspace: workspace)
            for row in 0..<count {
                let values = UnsafeBufferPointer(start: logits.floats + row * vocabSize, count: vocabSize)
                rate(step.targets[start + row], values, &done)
            }
        }
        return done
    }

    /// Log-softmax of one place's logits at its targets.
    private func rate(
        _ targets: [PrefixPlan.Target], _ logits: UnsafeBufferPointer<Float>,
        _ done: inout [(row: Int, rating: TokenRating)]
    ) {
        let logSum = ck_log_sum_exp(logits.baseAddress, Int64(logits.count))
        let best = ck_argmax(logits.baseAddress, Int64(logits.count))
        for target in targets {
            let logProb = Double(logits[Int(target.id)]) - logSum
            ratings[target.row].add(
                TokenRating(sum: logProb, isGreedy: Int64(target.id) == best, tokens: 1))
            if ratings[target.row].tokens == rows[target.row].ratedCount {
                done.append((target.row, ratings[target.row]))
            }
        }
    }

    /// A cache with room for rows of so many tokens, the present one where it is large enough.
    private func cache(longest: Int) throws(OutOfMemory) -> KVCache {
        let needed = PrefixSteps.blockCount(
            longest: longest, stepTokens: stepTokens, blockSize: KVCache.blockSize)
        if let cache, cache.blockCount >= needed { return cache }
        cache = nil
        let made = try KVCache(model.configuration, blockCount: needed, isHalf: model.usesHalfCache)
        cache = made
        return made
    }
}

extension TokenRater {
    /// Rates all rows, in their order; for few rows at once.
    package func rate(_ rows: [RatedTokens]) throws -> [TokenRating] {
        try begin(rows)
        var ratings = [TokenRating](repeating: TokenRating(), count: rows.count)
        while let done = step() {
            for (row, rating) in done { ratings[row] = rating }
        }
        return ratings
    }
}
