// One tensor of a merged model, computed block by block as it is written.

import Glibc
import Tensors

/// A base tensor with the changes that adapters make to it.
struct MergedTensor {
    /// W += scaling * B A; with a magnitude, the rows of the sum are then scaled.
    struct Change {
        var lora: AdapterFile.LoRA
        var scaling: Double
    }

    /// What a block of rows takes in memory; up to three blocks are held at once.
    private static let blockByteCount = 16 << 20

    var name: String
    /// What the changes are applied to: the model's tensor, or one that an adapter has whole.
    var base: TensorView
    /// In the order of the adapters.
    var changes: [Change]
    /// The type of the result.
    var elementType: ElementType

    /// The tensor on its way into a file.
    /// - Parameter written: called when all its bytes are handed over.
    func source(pool: ThreadPool, written: @escaping () throws -> Void) -> TensorSource {
        TensorSource(name: name, elementType: elementType, shape: base.shape) { sink in
            if changes.isEmpty, base.elementType == elementType {
                try withExtendedLifetime(base) { try sink(base.bytes) }
            } else {
                try write(to: sink, pool: pool)
            }
            base.release()
            try written()
        }
    }

    /// Everything is computed in fp32 and rounded once. So does PEFT's `merge_and_unload` with the fp32
    /// adapters that it makes of any; with `safe_merge` it rounds B A to the weight's type too before it adds
    /// it.
    private func write(to sink: TensorSource.Sink, pool: ThreadPool) throws {
        let columns = max(base.shape.last ?? 1, 1)
        let rows = base.elementCount / columns
        let blockRows = max(1, min(rows, Self.blockByteCount / (4 * columns)))
        let products = try changes.map { try LowRankProduct($0, rows: blockRows, pool: pool) }
        let needsBase = changes.contains { $0.lora.magnitude != nil }
        let weights = try MemoryRegion(byteCount: 4 * blockRows * columns, purpose: "merging \(name)")
        let original =
            try needsBase ? MemoryRegion(byteCount: weights.byteCount, purpose: "merging \(name)") : nil
        let delta = try MemoryRegion(byteCount: weights.byteCount, purpose: "merging \(name)")
        for row in stride(from: 0, to: rows, by: blockRows) {
            let count = min(blockRows, rows - row)
            let block = UnsafeMutableBufferPointer(start: weights.floats, count: count * columns)
            base.copyFloats(from: row * columns, into: block)
            original?.floats.update(from: weights.floats, count: block.count)
            for product in products {
                product.compute(fromRow: row, count: count, into: delta.floats, pool: pool)
                if let original, let magnitude = product.magnitude {
                    Self.addScaled(
                        block, delta.floats, original: original.floats, magnitudes: magnitude[row...],
                        columns: columns)
                } else {
                    for index in block.indices { block[index] += delta.floats[index] }
                }
            }
            try requireFinite(block)
            try emit(block, scratch: delta.start, to: sink)
        }
    }

    /// DoRA: each row w becomes magnitude / |original + delta| * (w + delta). The length is that of the
    /// unmerged weight, also where other adapters were merged before, as in PEFT.
    private static func addScaled(
        _ block: UnsafeMutableBufferPointer<Float>, _ delta: UnsafePointer<Float>,
        original: UnsafePointer<Float>, magnitudes: ArraySlice<Float>, columns: Int
    ) {
        for (row, magnitude) in zip(0..<(block.count / columns), magnitudes) {
            let range = (row * columns)..<((row + 1) * columns)
            var squares = 0.0
            for index in range {
                let value = Double(original[index] + delta[index])
                squares += value * value
            }
            // A row of zeros has no direction to scale and stays what it is.
            let factor = squares > 0 ? magnitude / Float(squares.squareRoot()) : 0
            for index in range { block[index] = factor * (block[index] + delta[index]) }
        }
    }

    private func requireFinite(_ block: UnsafeMutableBufferPointer<Float>) throws(SafetensorsError) {
        // Anything times 0 is 0, but for infinities and NaN.
        var sum: Float = 0
        for value in block { sum += value * 0 }
        guard sum != 0 else { return }
        throw SafetensorsError(
            file: changes.first?.lora.a.file ?? base.file, tensor: name,
            problem: "merging gives values that are not finite",
            remedy: "the adapter is broken, or its training diverged: use an earlier checkpoint")
    }

    private func emit(
        _ block: UnsafeMutableBufferPointer<Float>, scratch: UnsafeMutableRawPointer,
        to sink: TensorSource.Sink
    ) throws {
        elementType.write(UnsafeBufferPointer(block), to: scratch)
        try sink(UnsafeRawBufferPointer(start: scratch, count: block.count * elementType.byteCount))
    }
}

/// scaling * B A of one layer, for some rows at a time.
private final class LowRankProduct {
    /// Aᵀ [inputs, rank], so that rows of B times it are rows of B A.
    private let transposed: PackedWeights
    private let b: TensorView
    private let scaling: Float
    private let scratch: MemoryRegion
    private let rowsOfB: MemoryRegion
    let magnitude: [Float]?

    init(_ change: MergedTensor.Change, rows: Int, pool: ThreadPool) throws {
        let (rank, inputs) = (change.lora.a.shape[0], change.lora.a.shape[1])
        let purpose = "merging an adapter"
        let a = change.lora.a.floats()
        var turned = [Float](repeating: 0, count: a.count)
        for row in 0..<rank {
            for column in 0..<inputs { turned[column * rank + row] = a[row * inputs + column] }
        }
        transposed = try PackedWeights(format: .float32, rows: inputs, columns: rank, purpose: purpose)
        transposed.pack(turned, count: inputs, atRow: 0, pool: pool)
        scratch = try MemoryRegion(
            byteCount: transposed.scratchByteCount(rows: rows, threads: pool.threadCount), purpose: purpose)
        rowsOfB = try MemoryRegion(byteCount: 4 * rows * rank, purpose: purpose)
        b = change.lora.b
        scaling = Float(change.scaling)
        magnitude = change.lora.magnitude?.floats()
    }

    func compute(fromRow row: Int, count: Int, into delta: UnsafeMutablePointer<Float>, pool: ThreadPool) {
        let (rank, inputs) = (transposed.columns, transposed.rows)
        b.copyFloats(
            from: row * rank, into: UnsafeMutableBufferPointer(start: rowsOfB.floats, count: count * rank))
        transposed.multiply(
            rowsOfB.floats, count: count, xStride: rank, bias: nil, into: delta, yStride: inputs,
            scratch: scratch.start, pool: pool)
        for index in 0..<(count * inputs) { delta[index] *= scaling }
    }
}
