// The weights of a linear layer in few bits, as methods of quantization make them and checkpoints keep them.

import CKernels

/// W [outputs, inputs] as unsigned codes: w = (code - zero) * scale, scale and zero of the output and the input's
/// group.
package struct QuantizedMatrix: Sendable, Hashable {
    package let outputs: Int
    package let inputs: Int
    /// 4 or 8.
    package let bits: Int
    /// Inputs that share a scale; `inputs` where each output has only one. The last group may be shorter.
    package let groupSize: Int
    /// [outputs, inputs], each in 0..<2^bits.
    package var codes: [UInt8]
    /// [outputs, groups].
    package var scales: [Float]
    /// [outputs, groups], each in 0..<2^bits; nil where all are 2^(bits - 1), the symmetric formats.
    package var zeros: [UInt8]?
    /// [inputs], the group of each input (act order); nil where it is input / groupSize.
    package var groupIndex: [Int32]?

    package init(
        outputs: Int, inputs: Int, bits: Int, groupSize: Int, codes: [UInt8], scales: [Float],
        zeros: [UInt8]? = nil, groupIndex: [Int32]? = nil
    ) {
        precondition(bits == 4 || bits == 8, "codes have 4 or 8 bits")
        precondition(outputs > 0 && inputs > 0 && groupSize > 0 && groupSize <= inputs, "no such matrix")
        let groups = (inputs + groupSize - 1) / groupSize
        precondition(codes.count == outputs * inputs, "codes of another matrix")
        precondition(scales.count == outputs * groups, "scales of another matrix")
        precondition(zeros.map { $0.count == outputs * groups } ?? true, "zero points of another matrix")
        precondition(groupIndex.map { $0.count == inputs } ?? true, "group indices of another matrix")
        (self.outputs, self.inputs, self.bits, self.groupSize) = (outputs, inputs, bits, groupSize)
        (self.codes, self.scales, self.zeros, self.groupIndex) = (codes, scales, zeros, groupIndex)
    }

    package var groups: Int { (inputs + groupSize - 1) / groupSize }
    /// The code of zero in the symmetric formats.
    package static func middle(bits: Int) -> UInt8 { UInt8(1 << (bits - 1)) }

    /// The group of an input.
    package func group(ofInput input: Int) -> Int {
        groupIndex.map { Int($0[input]) } ?? input / groupSize
    }

    /// The zero point of an output's group.
    package func zero(_ output: Int, _ group: Int) -> UInt8 {
        zeros?[output * groups + group] ?? Self.middle(bits: bits)
    }

    /// [outputs, inputs], rounded once each: what every reader of the formats computes in fp32.
    package func dequantized() -> [Float] {
        let groupOf = (0..<inputs).map(group(ofInput:))
        var values: [Float] = []
        values.reserveCapacity(codes.count)
        for output in 0..<outputs {
            for input in 0..<inputs {
                let code = Int(codes[output * inputs + input]) - Int(zero(output, groupOf[input]))
                values.append(Float(code) * scales[output * groups + groupOf[input]])
            }
        }
        return values
    }
}

/// W [outputs, inputs] as floats of 8 bits: w = e4m3(byte) * scale.
package struct Float8Matrix: Sendable, Hashable {
    package let outputs: Int
    package let inputs: Int
    /// [outputs, inputs] in E4M3 (`float8_e4m3fn`).
    package var bytes: [UInt8]
    /// One for the whole matrix, or one for each output.
    package var scales: [Float]

    package init(outputs: Int, inputs: Int, bytes: [UInt8], scales: [Float]) {
        precondition(outputs > 0 && inputs > 0 && bytes.count == outputs * inputs, "bytes of another matrix")
        precondition(scales.count == 1 || scales.count == outputs, "scales of another matrix")
        (self.outputs, self.inputs, self.bytes, self.scales) = (outputs, inputs, bytes, scales)
    }

    /// [outputs, inputs], rounded once each.
    package func dequantized() -> [Float] {
        var values = [Float](repeating: 0, count: bytes.count)
        ck_to_f32(CK_F8_E4M3, bytes, &values, Int64(bytes.count))
        for index in values.indices {
            values[index] *= scales.count == 1 ? scales[0] : scales[index / inputs]
        }
        return values
    }
}

/// How quantized weights lie on disk, by the name that `quant_method` of config.json has for it.
package enum QuantizationFormat: String, Sendable, Hashable, CaseIterable {
    case gptq, awq
    case compressedTensors = "compressed-tensors"
}
