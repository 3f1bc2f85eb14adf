// A model's forward pass over whole texts, side by side in one batch.

import Models
import Tensors

struct WholePass {
    struct Output {
        /// Logits at every position, text after text: [tokens, vocabSize].
        var logits: [Float] = []
        /// Hidden states before the first and after each layer: [tokens, hiddenSize] each.
        var hidden: [[Float]] = []
        /// Those after the last layer, normalized.
        var normalized: [Float] = []
    }

    let model: CausalLanguageModel
    let pool: ThreadPool

    func run(_ texts: [[Int32]]) throws -> Output {
        let (hiddenSize, vocabSize) = (model.configuration.hiddenSize, model.configuration.vocabSize)
        if let id = texts.joined().first(where: { $0 < 0 || Int($0) >= vocabSize }) {
            throw GoldenError("id \(id) is outside of the model's vocabulary of \(vocabSize)")
        }
        let (batch, blockCount) = Self.batch(texts)
        let cache = try KVCache(model.configuration, blockCount: blockCount, isHalf: model.usesHalfCache)
        let workspace = try Workspace(model, maxTokens: batch.count, pool: pool)
        let hidden = try MemoryRegion(byteCount: batch.count * hiddenSize * 4, purpose: "hidden states")
        let logits = try MemoryRegion(byteCount: batch.count * vocabSize * 4, purpose: "logits")
        var output = Output()
        model.forward(batch, cache: cache, workspace: workspace, into: hidden.floats) { _, states in
            output.hidden.append(Array(states))
        }
        model.logits(hidden.floats, count: batch.count, into: logits.floats, workspace: workspace)
        output.normalized = Array(UnsafeBufferPointer(start: hidden.floats, count: batch.count * hiddenSize))
        output.logits = Array(UnsafeBufferPointer(start: logits.floats, count: batch.count * vocabSize))
        return withExtendedLifetime((hidden, logits)) { output }
    }

    /// All tokens of all texts, each text in blocks of its own.
    private static func batch(_ texts: [[Int32]]) -> (batch: ForwardBatch, blockCount: Int) {
        var batch = ForwardBatch()
        var blockCount = 0
        for text in texts where !text.isEmpty {
            let blocks = (text.count + KVCache.blockSize - 1) / KVCache.blockSize
            let firstSlot = blockCount * KVCache.blockSize
            batch.append(
                text, start: 0, slots: (firstSlot..<firstSlot + text.count).map { Int32($0) },
                blockTable: (blockCount..<blockCount + blocks).map { Int32($0) })
            blockCount += blocks
        }
        batch.outputRows = Array(0..<batch.count)
        return (batch, blockCount)
    }
}
