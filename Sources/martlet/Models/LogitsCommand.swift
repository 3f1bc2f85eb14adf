// `martlet logits`: the numbers themselves, for comparing with other programs.

import ArgumentParser
import Models
import Tensors

struct LogitsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logits", abstract: "Show the logits at every position of a list of token ids.",
        discussion: """
            Prints {"logits": [[...], ...]}, a row for each position.
            Examples:
              martlet logits ./Qwen2.5-0.5B --ids 9707,11,1879 > logits.json
            """)

    @OptionGroup var options: ModelOptions

    @Option(help: "The ids, with commas between them.")
    var ids: TokenIDs

    func run() throws {
        guard !ids.ids.isEmpty else { throw CommandError("--ids has no ids", status: 64) }
        do {
            let pool = try ThreadPool(threads: options.threads)
            let model = try options.loadModel(pool)
            try check(model)
            try print(model, pool)
        } catch let error as OutOfMemory {
            throw CommandError("\(error)", status: 86)
        }
    }

    private func check(_ model: CausalLanguageModel) throws {
        let size = model.configuration.vocabSize
        if let id = ids.ids.first(where: { Int($0) >= size }) {
            throw CommandError("id \(id) is outside of the vocabulary of \(size)", status: 2)
        }
    }

    private func print(_ model: CausalLanguageModel, _ pool: ThreadPool) throws {
        let chunk = 64
        let (hiddenSize, vocabSize) = (model.configuration.hiddenSize, model.configuration.vocabSize)
        let blocks = (ids.ids.count + KVCache.blockSize - 1) / KVCache.blockSize
        let cache = try KVCache(model.configuration, blockCount: blocks, isHalf: model.usesHalfCache)
        let workspace = try Workspace(model, maxTokens: chunk, pool: pool)
        let hidden = try MemoryRegion(byteCount: chunk * hiddenSize * 4, purpose: "hidden states")
        let logits = try MemoryRegion(byteCount: chunk * vocabSize * 4, purpose: "logits")
        Output.text(#"{"logits":["#)
        for start in stride(from: 0, to: ids.ids.count, by: chunk) {
            let part = Array(ids.ids[start..<min(start + chunk, ids.ids.count)])
            var batch = ForwardBatch()
            batch.append(
                part, start: start, slots: (start..<start + part.count).map { Int32($0) },
                blockTable: (0..<Int32(blocks)).map { $0 })
            batch.outputRows = Array(part.indices)
            model.forward(batch, cache: cache, workspace: workspace, into: hidden.floats)
            model.logits(hidden.floats, count: part.count, into: logits.floats, workspace: workspace)
            for row in part.indices {
                let values = UnsafeBufferPointer(start: logits.floats + row * vocabSize, count: vocabSize)
                let separator = start + row == 0 ? "" : ","
                Output.text(
                    separator + "[" + values.map { $0.isFinite ? "\($0)" : "null" }.joined(separator: ",")
                        + "]")
            }
        }
        Output.text("]}\n")
    }
}
