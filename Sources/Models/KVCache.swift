// The memory of the paged cache of keys and values, for all layers.

import CKernels
package import Tensors

/// Keys and values of all layers in blocks of 16 tokens. Which block belongs to whom is decided elsewhere.
// Only the step that is being computed reads and writes it, on the one thread that runs steps.
package final class KVCache: @unchecked Sendable {
    package static let blockSize = Int(CK_KV_BLOCK)

    package let blockCount: Int
    private let layout: ck_kv_layout
    private let layerByteCount: Int
    private let region: MemoryRegion

    /// - Parameter isHalf: keys and values are kept as bf16, else as fp32.
    package init(_ configuration: ModelConfiguration, blockCount: Int, isHalf: Bool) throws(OutOfMemory) {
        precondition(blockCount > 0, "a cache has blocks")
        self.blockCount = blockCount
        layout = Self.layout(configuration, isHalf: isHalf)
        layerByteCount = ck_kv_block_bytes(layout) * blockCount
        region = try MemoryRegion(
            byteCount: layerByteCount * configuration.numHiddenLayers,
            purpose: "a KV cache of \(blockCount * Self.blockSize) tokens")
    }

    /// Bytes of a block in all layers together.
    package static func blockByteCount(_ configuration: ModelConfiguration, isHalf: Bool) -> Int {
        Int(ck_kv_block_bytes(layout(configuration, isHalf: isHalf))) * configuration.numHiddenLayers
    }

    package var byteCount: Int { region.byteCount }

    static func scratchByteCount(_ configuration: ModelConfiguration, threads: Int) -> Int {
        [true, false].map { isHalf in
            Int(
                ck_attention_scratch_bytes(
                    layout(configuration, isHalf: isHalf), Int64(configuration.numAttentionHeads),
                    Int32(threads)))
        }.max() ?? 0
    }

    private static func layout(_ configuration: ModelConfiguration, isHalf: Bool) -> ck_kv_layout {
        ck_kv_layout(
            type: isHalf ? CK_BF16 : CK_F32, kv_heads: Int64(configuration.numKeyValueHeads),
            head_dim: Int64(configuration.headDim))
    }

    /// Stores the step's keys and values, rows `stride` floats apart, in their slots.
    func store(
        _ keys: UnsafePointer<Float>, _ values: UnsafePointer<Float>, stride: Int, layer: Int,
        _ step: Workspace
    ) {
        ck_kv_store(
            step.pool.handle, layout, start(of: layer), keys, values, Int64(stride), Int64(step.count),
            step.slots)
    }

    /// Attention of the step's queries, [count, heads * headDim], over all that is cached of their sequences.
    func attend(
        _ queries: UnsafePointer<Float>, stride: Int, heads: Int, scale: Float, window: Int, layer: Int,
        into output: UnsafeMutablePointer<Float>, _ step: Workspace
    ) {
        step.withSequences { sequences in
            ck_attention(
                step.pool.handle, layout, start(of: layer), sequences.baseAddress, Int64(sequences.count),
                queries,
                Int64(stride), Int64(heads), scale, Int64(window), output, Int64(heads) * layout.head_dim,
                step.scratch)
        }
    }

    private func start(of layer: Int) -> UnsafeMutableRawPointer { region.start + layer * layerByteCount }
}
