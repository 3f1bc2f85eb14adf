// How an engine is set up, and how large its cache is if nobody says.

import Glibc
import Models

/// The settings of an engine. What is nil is chosen by the model and the machine.
package struct EngineSettings: Sendable {
    /// What requests call the model.
    package var modelName = "model"
    /// Tokens of a sequence; nil for the model's own limit.
    package var maxModelLength: Int?
    /// Tokens that the KV cache holds.
    package var cacheTokens: Int?
    /// Sequences in a step.
    package var maxRunning = 64
    /// Tokens in a step.
    package var maxBatchedTokens = 512
    /// Requests that wait.
    package var maxWaiting = 256
    package var sharesPrefixes = true
    /// Ends of a text beside those of config.json.
    package var endIDs: [Int32] = []

    package init() {}

    /// Tokens of a sequence, and of the cache.
    func sizes(_ model: CausalLanguageModel) -> (length: Int, blocks: Int) {
        let configuration = model.configuration
        let blockBytes = KVCache.blockByteCount(configuration, isHalf: model.usesHalfCache)
        // A quarter of the machine's memory; pages that hold no token take up none of it.
        let machineBytes = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        let affordable = max(1, machineBytes / 4 / blockBytes)
        var length = maxModelLength ?? configuration.maxPositionEmbeddings
        let wanted = BlockAllocator.blocks(for: cacheTokens ?? max(length, 8192))
        let blocks = cacheTokens == nil ? min(wanted, affordable) : wanted
        if maxModelLength == nil { length = min(length, blocks * BlockAllocator.blockSize) }
        return (length, max(1, blocks))
    }
}
