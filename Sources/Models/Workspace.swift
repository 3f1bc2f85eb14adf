// The memory of a step's intermediate values, and what all layers need to know of the step.

import CKernels
package import Tensors

/// Buffers for steps of up to `maxTokens` tokens. One step at a time uses it.
// Only the thread that runs steps touches it.
package final class Workspace: @unchecked Sendable {
    package let maxTokens: Int
    package let pool: ThreadPool
    /// Hidden states [maxTokens, hiddenSize].
    let hidden: UnsafeMutablePointer<Float>
    /// Normalized hidden states [maxTokens, hiddenSize].
    let normed: UnsafeMutablePointer<Float>
    /// Queries, keys and values [maxTokens, querySize + 2 * keyValueSize].
    let projections: UnsafeMutablePointer<Float>
    /// What attention gives [maxTokens, querySize].
    let attended: UnsafeMutablePointer<Float>
    /// Gate and up [maxTokens, 2 * intermediateSize].
    let gates: UnsafeMutablePointer<Float>
    /// Their product [maxTokens, intermediateSize].
    let activations: UnsafeMutablePointer<Float>
    /// The kernels' own.
    let scratch: UnsafeMutableRawPointer
    /// Called by every linear layer with its input: the layer, x [count, inputSize], count, and the floats from row
    /// to row. Calibration looks on so.
    package var observe: ((Linear, UnsafePointer<Float>, Int, Int) -> Void)?
    private let region: MemoryRegion
    private var rotary: RotaryTable
    private var batch = ForwardBatch()
    private var sequences: [ck_sequence] = []
    private var blockTables: [Int32] = []
    private var adapterScratch: [Float] = []

    package convenience init(
        _ model: CausalLanguageModel, maxTokens: Int, pool: ThreadPool
    ) throws(OutOfMemory) {
        try self.init(
            model.configuration, maxTokens: maxTokens,
            productByteCount: model.scratchByteCount(rows: maxTokens, threads: pool.threadCount), pool: pool)
    }

    /// - Parameter productByteCount: the most scratch memory that a linear layer needs for `maxTokens` rows.
    init(
        _ configuration: ModelConfiguration, maxTokens: Int, productByteCount: Int, pool: ThreadPool
    ) throws(OutOfMemory) {
        self.maxTokens = maxTokens
        self.pool = pool
        let qkv = configuration.querySize + 2 * configuration.keyValueSize
        let widths = [
            configuration.hiddenSize, configuration.hiddenSize, qkv, configuration.querySize,
            2 * configuration.intermediateSize, configuration.intermediateSize,
        ]
        // Each buffer begins on a page, so that none shares a cache line with another.
        let sizes = widths.map { (maxTokens * $0 * 4 + 4095) / 4096 * 4096 }
        let scratchBytes = max(
            productByteCount,
            KVCache.scratchByteCount(configuration, threads: pool.threadCount))
        region = try MemoryRegion(
            byteCount: sizes.reduce(0, +) + scratchBytes + 4096, purpose: "a step of \(maxTokens) tokens")
        var starts: [UnsafeMutableRawPointer] = []
        var next = region.start
        for size in sizes {
            starts.append(next)
            next += size
        }
        let floats = starts.map { $0.assumingMemoryBound(to: Float.self) }
        (hidden, normed, projections) = (floats[0], floats[1], floats[2])
        (attended, gates, activations) = (floats[3], floats[4], floats[5])
        scratch = next
        rotary = RotaryTable(configuration)
    }

    /// Rows of the step.
    var count: Int { batch.count }
    var slots: [Int32] { batch.slots }

    /// Makes the buffers those of a new step.
    func begin(_ batch: ForwardBatch) {
        precondition(
            batch.count <= maxTokens && batch.count > 0, "a step of \(batch.count) tokens does not fit")
        self.batch = batch
        rotary.grow(to: (batch.sequences.map(\.contextLength).max() ?? 0))
        blockTables = batch.sequences.flatMap(\.blockTable)
        sequences = batch.sequences.map {
            ck_sequence(
                query_start: Int64($0.start), query_count: Int64($0.count), context: Int64($0.contextLength),
                block_table: nil)
        }
    }

    /// The step's sequences as the kernels take them, for the time of the call.
    func withSequences(_ body: (UnsafeBufferPointer<ck_sequence>) -> Void) {
        blockTables.withUnsafeBufferPointer { tables in
            var offset = 0
            for index in sequences.indices {
                sequences[index].block_table = tables.baseAddress.map { $0 + offset }
                offset += batch.sequences[index].blockTable.count
            }
            sequences.withUnsafeBufferPointer(body)
        }
    }

    /// Rotates heads of the step's rows by their positions.
    func rotate(_ x: UnsafeMutablePointer<Float>, stride: Int, heads: Int, headDim: Int) {
        ck_rope(
            pool.handle, x, Int64(stride), Int64(count), Int64(heads), Int64(headDim), rotary.cosines,
            rotary.sines, batch.positions)
    }

    /// Adds to a linear layer's output what the adapters of the step's rows change.
    func addAdapters(
        to linear: Linear, _ x: UnsafePointer<Float>, xStride: Int, _ y: UnsafeMutablePointer<Float>,
        yStride: Int
    ) {
        guard !batch.adapters.isEmpty else { return }
        for (rows, adapter) in batch.adapters {
            for part in linear.parts {
                guard let change = adapter.changes[part.name] else { continue }
                let needed = rows.count * change.rank
                if adapterScratch.count < needed {
                    adapterScratch = [Float](repeating: 0, count: needed)
                }
                adapterScratch.withUnsafeMutableBufferPointer { inner in
                    guard let low = inner.baseAddress else { return }
                    change.add(
                        x + rows.lowerBound * xStride, count: rows.count, xStride: xStride,
                        to: y + rows.lowerBound * yStride + part.outputs.lowerBound, yStride: yStride,
                        inner: low, scratch: scratch, pool: pool)
                }
            }
        }
    }
}
