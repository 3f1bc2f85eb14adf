// GPTQ: columns are rounded one after another, and those that follow make up for the error of each.

import CKernels
package import Tensors

/// The settings of GPTQ (Frantar et al., arXiv:2210.17323); agrees with its authors' code and with gptqmodel.
package struct GPTQ: Sendable, Hashable {
    package var grid: IntegerGrid
    /// Columns with large inputs come first (`desc_act`).
    package var actOrder: Bool
    /// Added to the diagonal of the Hessian, as a share of its mean (`damp_percent`).
    package var dampPercent: Double
    /// Whether the scale of a group sees the corrections made inside of its block of 128 columns, or the
    /// values from before the block, as in the authors' code.
    package var isEager: Bool

    package init(grid: IntegerGrid, actOrder: Bool = false, dampPercent: Double = 0.01, isEager: Bool = false)
    {
        (self.grid, self.actOrder, self.dampPercent) = (grid, actOrder, dampPercent)
        self.isEager = isEager
    }

    /// Columns that are corrected one by one before all behind them are at once.
    private static let usualBlock = 128

    /// An eager group must lie within one block, or begin with one, to see all corrections when its turn
    /// comes.
    private func block(inputs: Int) -> Int {
        let group = grid.group(inputs: inputs)
        guard isEager, group < inputs, Self.usualBlock % group != 0, group % Self.usualBlock != 0 else {
            return Self.usualBlock
        }
        return group < Self.usualBlock ? Self.usualBlock / group * group : min(group, Int(CK_GPTQ_MAX_BLOCK))
    }

    /// - Parameters:
    ///   - w: [outputs, inputs], finite.
    ///   - inverse: of the layer's inputs, with the same settings.
    package func quantize(
        _ w: UnsafePointer<Float>, outputs: Int, _ inverse: InverseHessian, _ scratch: ProductScratch
    ) throws(OutOfMemory) -> QuantizedMatrix {
        let inputs = inverse.size
        let region = try MemoryRegion(byteCount: outputs * inputs * 4, purpose: "the weights of a layer")
        defer { withExtendedLifetime(region) {} }
        let weights = region.floats
        inverse.arrange(w, rows: outputs, into: weights)
        let group = grid.group(inputs: inputs)
        let groups = (inputs + group - 1) / group
        let block = block(inputs: inputs)
        let errors = try MemoryRegion(byteCount: outputs * block * 4, purpose: "the errors of a layer")
        defer { withExtendedLifetime(errors) {} }
        var codes = [UInt8](repeating: 0, count: outputs * inputs)
        var scales = [Float](repeating: 0, count: outputs * groups)
        var zeros = [UInt8](repeating: 0, count: outputs * groups)
        for first in stride(from: 0, to: inputs, by: block) {
            let count = min(block, inputs - first)
            codes.withUnsafeMutableBufferPointer { codes in
                scales.withUnsafeMutableBufferPointer { scales in
                    zeros.withUnsafeMutableBufferPointer { zeros in
                        var task = ck_gptq_block(
                            grid: grid.kernelGrid(inputs: inputs), w: weights, rows: Int64(outputs),
                            columns: Int64(inputs), first: Int64(first), count: Int64(count),
                            factor: inverse.factor, eager: isEager, codes: codes.baseAddress,
                            scales: scales.baseAddress, zeros: zeros.baseAddress, errors: errors.floats)
                        ck_gptq_quantize_block(scratch.pool.handle, &task)
                    }
                }
            }
            let next = first + count
            guard next < inputs else { break }
            scratch.add(
                errors.floats, aStride: count, inverse.factor + first * inputs + next, bStride: inputs,
                m: outputs, n: inputs - next, k: count, alpha: -1, to: weights + next, cStride: inputs)
        }
        return grid.matrix(
            outputs: outputs, inputs: inputs, codes: inverse.restored(codes, rows: outputs), scales: scales,
            zeros: zeros, groupIndex: groups == 1 ? nil : inverse.groupIndex(groupSize: group))
    }
}

/// The upper factor of the inverse of the damped Hessian of a layer's inputs, in the order in which columns
/// are quantized. Layers with the same inputs share it.
package final class InverseHessian {
    let size: Int
    /// The damping that was needed, at least the one asked for.
    package let dampPercent: Double
    /// Which column comes at each place; nil where they keep theirs.
    private let order: [Int]?
    /// Columns whose inputs are always 0: their weights do nothing, and become 0.
    private let dead: [Bool]
    private let region: MemoryRegion

    /// The upper triangular U with H⁻¹ = Uᵀ U, [size, size].
    var factor: UnsafePointer<Float> { UnsafePointer(region.floats) }

    /// Tenfold damping is tried as often, if the Hessian is not positive definite in fp32.
    private static let attempts = 4

    /// - Throws: `ModelError` if inputs are so dependent on each other, or so large, that no damping helps.
    package init(_ statistics: InputStatistics, _ settings: GPTQ, module: String, _ scratch: ProductScratch)
        throws
    {
        let size = statistics.size
        let products = statistics.products(scratch.pool)
        // The factor 2 / n decides where the columns of dead inputs, whose diagonal is set to 1, are sorted.
        let scale = 2 / Float(max(statistics.count, 1))
        let diagonal = (0..<size).map { products[$0 * size + $0] * scale }
        let dead = diagonal.map { $0 == 0 }
        let weights = zip(diagonal, dead).map { $1 ? 1 : $0 }
        let order = settings.actOrder ? Self.descending(weights) : nil
        let mean = weights.reduce(0.0) { $0 + Double($1) } / Double(size)
        let region = try MemoryRegion(byteCount: size * size * 4, purpose: "the Hessian of \(module)")
        let threads = Int32(scratch.pool.threadCount)
        let work = try MemoryRegion(
            byteCount: Int(ck_inverse_upper_factor_scratch_bytes(Int64(size), threads)),
            purpose: "the inverse of a Hessian")
        defer { withExtendedLifetime((region, work)) {} }
        var damp = settings.dampPercent
        var isDone = false
        for attempt in 0..<Self.attempts where !isDone {
            if attempt > 0 { damp = max(damp * 10, 0.01) }
            for row in 0..<size {
                let source = products + (order?[row] ?? row) * size
                let target = region.floats + row * size
                for column in row..<size { target[column] = source[order?[column] ?? column] * scale }
                target[row] = weights[order?[row] ?? row] + Float(damp * mean)
            }
            isDone = ck_inverse_upper_factor(scratch.pool.handle, region.floats, Int64(size), work.start)
        }
        guard isDone else {
            throw ModelError(
                file: module,
                problem: "the Hessian of its \(statistics.count) calibration inputs cannot be inverted",
                remedy: "give more or other --dataset rows, or a larger --damp_percent")
        }
        (self.size, self.order, self.dead, self.region) = (size, order, dead, region)
        dampPercent = damp
    }

    /// Places by descending value; equal ones keep their order.
    private static func descending(_ values: [Float]) -> [Int] {
        values.indices.sorted { values[$0] == values[$1] ? $0 < $1 : values[$0] > values[$1] }
    }

    /// Columns in the order of quantization, dead ones made 0.
    func arrange(_ w: UnsafePointer<Float>, rows: Int, into target: UnsafeMutablePointer<Float>) {
        let sources = order ?? Array(0..<size)
        for row in 0..<rows {
            for (place, column) in sources.enumerated() {
                target[row * size + place] = dead[column] ? 0 : w[row * size + column]
            }
        }
    }

    /// Codes in the order of the columns.
    func restored(_ codes: [UInt8], rows: Int) -> [UInt8] {
        guard let order else { return codes }
        var restored = [UInt8](repeating: 0, count: codes.count)
        for row in 0..<rows {
            for (place, column) in order.enumerated() {
                restored[row * size + column] = codes[row * size + place]
            }
        }
        return restored
    }

    /// The group of each column; nil where columns keep their places.
    func groupIndex(groupSize: Int) -> [Int32]? {
        guard let order else { return nil }
        var index = [Int32](repeating: 0, count: size)
        for (place, column) in order.enumerated() { index[column] = Int32(place / groupSize) }
        return index
    }
}
