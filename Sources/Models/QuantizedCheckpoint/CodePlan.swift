// Keeping the codes of a checkpoint in memory: when layers can share a matrix, and how their codes go into it.

import Tensors

/// How products with the codes of a quantized checkpoint are computed.
package enum QuantizedArithmetic: String, Sendable, Hashable, CaseIterable {
    /// As if the weights had been dequantized and saved in the model's type: to the same bits, in the codes' memory.
    case dequantized
    /// Activations are rounded to 8 bits by groups of inputs, wherever the layout allows it (not FP8 and act order):
    /// faster, and a little less exact.
    case eightBit
}

/// Layers that are quantized in the same way, as one matrix of codes.
struct CodePlan {
    /// Of the first layer, which all others agree with.
    private let module: QuantizedModule
    private let products: WeightFormat
    /// Inputs that share a scale in memory: a part of those on disk where the kernels want fewer.
    private let group: Int

    /// - Parameter count: how many layers there are, quantized or not.
    init?(
        _ modules: [QuantizedModule], of count: Int, _ type: WeightFormat, _ arithmetic: QuantizedArithmetic
    ) {
        guard modules.count == count, let first = modules.first else { return nil }
        for module in modules {
            guard module.format == first.format, module.groupSize == first.groupSize,
                module.groupIndex == first.groupIndex
            else { return nil }
        }
        module = first
        if arithmetic == .eightBit, !first.isFloat, first.groupIndex == nil,
            let group = Self.kernelGroup(first.groupSize, inputs: first.inputs)
        {
            (products, self.group) = (first.format, group)
        } else {
            (products, group) = (type, first.groupSize)
        }
    }

    /// The largest group that the kernels of rounded activations have and that divides this one.
    private static func kernelGroup(_ size: Int, inputs: Int) -> Int? {
        size >= inputs ? 128 : [128, 64, 32].first { size % $0 == 0 }
    }

    func weights(rows: Int, purpose: String) throws(OutOfMemory) -> PackedWeights {
        try PackedWeights(
            format: module.format, rows: rows, columns: module.inputs, group: group,
            groupIndex: module.groupIndex, products: products, purpose: purpose)
    }

    /// Packs some rows of a layer whose first one is `row`.
    func pack(
        _ rows: Range<Int>, of module: QuantizedModule, into weights: PackedWeights, atRow row: Int,
        pool: ThreadPool
    ) throws(ModelError) {
        var codes = try module.codes(rows)
        if module.format == .int8 {
            for index in codes.indices { codes[index] ^= 0x80 }
        }
        let scales = spread(module.scales, rows), zeros = module.zeros.map { spread($0, rows) }
        codes.withUnsafeBufferPointer { codes in
            scales.withUnsafeBufferPointer { scales in
                func pack(_ zeros: UnsafeBufferPointer<UInt8>?) {
                    weights.pack(
                        codes: codes, scales: scales, zeros: zeros, count: rows.count,
                        atRow: row + rows.lowerBound, pool: pool)
                }
                if let zeros {
                    zeros.withUnsafeBufferPointer { pack($0) }
                } else {
                    pack(nil)
                }
            }
        }
    }

    /// Numbers of some rows by the groups in memory, several of which may be one on disk.
    private func spread<Number>(_ numbers: [Number], _ rows: Range<Int>) -> [Number] {
        let stored = module.groups, wanted = (module.inputs + group - 1) / group
        guard group != module.groupSize else {
            return Array(numbers[rows.lowerBound * stored..<rows.upperBound * stored])
        }
        return rows.flatMap { row in
            (0..<wanted).map { numbers[row * stored + $0 * group / module.groupSize] }
        }
    }
}
