// The codes that weights are rounded to, and rounding to nearest, the plainest way to them.

import CKernels
package import Tensors

/// How the codes of a group of weights follow from its values; see `ck_grid_rule` for the formulas.
package struct IntegerGrid: Sendable, Hashable {
    package enum Rule: Sendable, Hashable, CaseIterable {
        /// Zero is the middle code, the largest magnitude lies half a step outside of the codes: GPTQ's rule.
        case symmetric
        /// From the least to the largest value, zero always among them; the zero is a code of its own.
        case asymmetric
        /// Signed integers without the lowest one, as arithmetic in 8 bits has them.
        case signed
    }

    package var rule: Rule
    /// 4 or 8.
    package var bits: Int
    /// Inputs that share a scale; nil for one scale an output.
    package var groupSize: Int?
    /// What scales are stored as: they are rounded to it before codes are chosen.
    package var scaleType: ElementType
    /// The least zero of the asymmetric rule. Some readers of GPTQ's first version, which stores zeros less
    /// one, add it to whole words and so read a zero of 0 wrongly: 1 keeps away from that.
    package var leastZero = 0

    package init(rule: Rule, bits: Int, groupSize: Int?, scaleType: ElementType = .f32) {
        precondition(bits == 4 || bits == 8, "codes have 4 or 8 bits")
        precondition([.f32, .bf16, .f16].contains(scaleType), "scales are floats")
        (self.rule, self.bits, self.groupSize, self.scaleType) = (rule, bits, groupSize, scaleType)
    }

    /// The group size for a matrix of that width.
    package func group(inputs: Int) -> Int { min(groupSize ?? inputs, inputs) }

    func kernelGrid(inputs: Int) -> ck_grid {
        let rule =
            switch rule {
            case .symmetric: CK_GRID_SYMMETRIC
            case .asymmetric: CK_GRID_ASYMMETRIC
            case .signed: CK_GRID_SIGNED
            }
        return ck_grid(
            rule: rule, bits: Int32(bits), group: Int64(group(inputs: inputs)),
            scale_type: scaleType.kernelType ?? CK_F32, least_zero: Int32(leastZero))
    }

    /// A matrix of this grid.
    func matrix(
        outputs: Int, inputs: Int, codes: [UInt8], scales: [Float], zeros: [UInt8], groupIndex: [Int32]? = nil
    ) -> QuantizedMatrix {
        QuantizedMatrix(
            outputs: outputs, inputs: inputs, bits: bits, groupSize: group(inputs: inputs), codes: codes,
            scales: scales, zeros: rule == .asymmetric ? zeros : nil, groupIndex: groupIndex)
    }
}

/// Rounding to nearest: each weight gets the code that is nearest to it, whatever the inputs are.
package enum RoundToNearest {
    /// - Parameter w: [outputs, inputs], finite.
    package static func quantize(
        _ w: UnsafePointer<Float>, outputs: Int, inputs: Int, grid: IntegerGrid, pool: ThreadPool
    ) -> QuantizedMatrix {
        let group = grid.group(inputs: inputs)
        let groups = (inputs + group - 1) / group
        var codes = [UInt8](repeating: 0, count: outputs * inputs)
        var scales = [Float](repeating: 0, count: outputs * groups)
        var zeros = [UInt8](repeating: 0, count: outputs * groups)
        ck_grid_quantize(
            pool.handle, grid.kernelGrid(inputs: inputs), w, Int64(outputs), Int64(inputs), Int64(inputs),
            &codes, &scales, &zeros)
        return grid.matrix(outputs: outputs, inputs: inputs, codes: codes, scales: scales, zeros: zeros)
    }
}

/// Rounding to floats of 8 bits, E4M3 (Micikevicius et al., arXiv:2209.05433).
package enum Float8Rounding {
    /// The largest finite value.
    package static let largest: Float = 448

    /// Byte of w / scale with scale = max|w| / 448, rounded half to even.
    /// - Parameters:
    ///   - w: [outputs, inputs], finite.
    ///   - perChannel: a scale for each output, else one for all.
    package static func quantize(
        _ w: UnsafePointer<Float>, outputs: Int, inputs: Int, perChannel: Bool
    ) -> Float8Matrix {
        let rows = (0..<outputs).map { UnsafeBufferPointer(start: w + $0 * inputs, count: inputs) }
        // Rows and matrices of zeros have a scale, too, by which readers may divide.
        func scale(_ largest: Float) -> Float { largest > 0 ? max(largest / Self.largest, 0x1p-126) : 1 }
        var scales = rows.map { row in scale(row.reduce(0) { max($0, abs($1)) }) }
        if !perChannel { scales = [rows.reduce(Float(0)) { $1.reduce($0) { max($0, abs($1)) } }].map(scale) }
        var bytes = [UInt8](repeating: 0, count: outputs * inputs)
        var scaled = [Float](repeating: 0, count: inputs)
        bytes.withUnsafeMutableBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            for (index, row) in rows.enumerated() {
                let scale = scales[perChannel ? index : 0]
                for column in 0..<inputs { scaled[column] = row[column] / scale }
                ck_from_f32(CK_F8_E4M3, scaled, start + index * inputs, Int64(inputs))
            }
        }
        return Float8Matrix(outputs: outputs, inputs: inputs, bytes: bytes, scales: scales)
    }
}
