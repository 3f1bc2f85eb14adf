// From codes to the tensors that a checkpoint has of a quantized layer, in the layout of each format.

import CKernels
package import Tensors

/// Packing for GPTQ, AWQ and compressed-tensors as vLLM, transformers and gptqmodel read them.
package enum QuantizedTensors {
    /// A tensor to be written.
    package struct Stored: Sendable, Hashable {
        package var name: String
        package var type: ElementType
        package var shape: [Int]
        package var bytes: [UInt8]

        package init(name: String, type: ElementType, shape: [Int], bytes: [UInt8]) {
            (self.name, self.type, self.shape, self.bytes) = (name, type, shape, bytes)
        }

        package var source: TensorSource {
            TensorSource(name: name, elementType: type, shape: shape, bytes: bytes)
        }
    }

    /// What lies on disk for a layer of integers: `module`.qweight and so on.
    ///
    /// GPTQ is written in its first version (`checkpoint_format` "gptq"), which stores zero points less one, modulo
    /// 2^bits: readers that add one to whole words read other values where a zero point is 0, so that 1 is the
    /// least zero point to be chosen.
    /// - Parameters:
    ///   - dynamicActivations: compressed-tensors with 8 bits in its "int-quantized" layout, else "pack-quantized".
    ///   - scaleType: F16, BF16 or F32; nil for F16. Scales should have been rounded to it (`roundedScales`) before
    ///     the codes were chosen. Readers of compressed-tensors compute in this type: the model's own is best.
    package static func tensors(
        of matrix: QuantizedMatrix, module: String, format: QuantizationFormat,
        dynamicActivations: Bool = false, scaleType: ElementType? = nil
    ) -> [Stored] {
        let scaleType = scaleType ?? .f16
        switch format {
        case .gptq: return gptq(matrix, module, scaleType)
        case .awq: return awq(matrix, module, scaleType)
        case .compressedTensors:
            return dynamicActivations && matrix.bits == 8
                ? bytes(matrix, module, scaleType) : packed(matrix, module, scaleType)
        }
    }

    /// What lies on disk for a layer in FP8 (compressed-tensors, "float-quantized"): `module`.weight and
    /// `module`.weight_scale in F32.
    package static func tensors(of matrix: Float8Matrix, module: String) -> [Stored] {
        let shape = matrix.scales.count == 1 ? [1] : [matrix.outputs, 1]
        return [
            Stored(
                name: module + ".weight", type: .f8E4M3, shape: [matrix.outputs, matrix.inputs],
                bytes: matrix.bytes),
            floats(module + ".weight_scale", matrix.scales, shape, .f32),
        ]
    }

    /// Scales as they are after being stored in the type.
    package static func roundedScales(_ scales: [Float], _ type: ElementType) -> [Float] {
        guard let kernelType = type.kernelType else { preconditionFailure("scales are not stored so") }
        let stored = floats("", scales, [scales.count], type).bytes
        var result = [Float](repeating: 0, count: scales.count)
        stored.withUnsafeBytes { ck_to_f32(kernelType, $0.baseAddress, &result, Int64(scales.count)) }
        return result
    }

    private static func floats(
        _ name: String, _ values: [Float], _ shape: [Int], _ type: ElementType
    ) -> Stored {
        guard let kernelType = type.kernelType, type != .i8, type != .f8E4M3 else {
            preconditionFailure("scales are not stored as \(type)")
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: values.count * type.byteCount) { buffer, count in
            count = values.count * type.byteCount
            ck_from_f32(kernelType, values, buffer.baseAddress, Int64(values.count))
        }
        return Stored(name: name, type: type, shape: shape, bytes: bytes)
    }

    private static func words(_ name: String, _ words: [UInt32], _ shape: [Int]) -> Stored {
        Stored(name: name, type: .i32, shape: shape, bytes: PackedWords.bytes(words))
    }
}

// MARK: The formats

extension QuantizedTensors {
    /// [outputs, groups] as [groups, outputs].
    private static func byGroup(_ scales: [Float], outputs: Int, groups: Int) -> [Float] {
        (0..<groups * outputs).map { scales[$0 % outputs * groups + $0 / outputs] }
    }

    private static func gptq(
        _ matrix: QuantizedMatrix, _ module: String, _ scaleType: ElementType
    ) -> [Stored] {
        let (outputs, inputs, bits, groups) = (matrix.outputs, matrix.inputs, matrix.bits, matrix.groups)
        let mask = UInt8((1 << bits) - 1)
        let weights = matrix.codes.withUnsafeBufferPointer { codes in
            PackedWords.packed(count: inputs, lanes: outputs, bits: bits) { codes[$1 * inputs + $0] }
        }
        let zeros = PackedWords.packed(count: outputs, lanes: groups, bits: bits) {
            (matrix.zero($0, $1) &- 1) & mask
        }
        let zeroWords = PackedWords.words(for: outputs, bits: bits)
        let index = (0..<inputs).map { UInt32(truncatingIfNeeded: matrix.group(ofInput: $0)) }
        return [
            words(module + ".qweight", weights, [PackedWords.words(for: inputs, bits: bits), outputs]),
            words(
                module + ".qzeros", PackedWords.transposed(zeros, rows: zeroWords, columns: groups),
                [groups, zeroWords]),
            floats(
                module + ".scales", byGroup(matrix.scales, outputs: outputs, groups: groups),
                [groups, outputs],
                scaleType),
            words(module + ".g_idx", index, [inputs]),
        ]
    }

    private static func awq(
        _ matrix: QuantizedMatrix, _ module: String, _ scaleType: ElementType
    ) -> [Stored] {
        let (outputs, inputs, groups) = (matrix.outputs, matrix.inputs, matrix.groups)
        precondition(matrix.bits == 4 && matrix.groupIndex == nil, "AWQ has 4 bits and no act order")
        let order = PackedWords.awqOrder, wordCount = outputs / 8
        let weights = matrix.codes.withUnsafeBufferPointer { codes in
            PackedWords.packed(count: outputs, lanes: inputs, bits: 4, order: order) {
                codes[$0 * inputs + $1]
            }
        }
        let zeros = PackedWords.packed(count: outputs, lanes: groups, bits: 4, order: order) {
            matrix.zero($0, $1)
        }
        return [
            words(
                module + ".qweight", PackedWords.transposed(weights, rows: wordCount, columns: inputs),
                [inputs, wordCount]),
            words(
                module + ".qzeros", PackedWords.transposed(zeros, rows: wordCount, columns: groups),
                [groups, wordCount]),
            floats(
                module + ".scales", byGroup(matrix.scales, outputs: outputs, groups: groups),
                [groups, outputs],
                scaleType),
        ]
    }

    /// "pack-quantized".
    private static func packed(
        _ matrix: QuantizedMatrix, _ module: String, _ scaleType: ElementType
    ) -> [Stored] {
        let (outputs, inputs, bits, groups) = (matrix.outputs, matrix.inputs, matrix.bits, matrix.groups)
        let wordCount = PackedWords.words(for: inputs, bits: bits)
        let weights = matrix.codes.withUnsafeBufferPointer { codes in
            PackedWords.packed(count: inputs, lanes: outputs, bits: bits) { codes[$1 * inputs + $0] }
        }
        let shape = [outputs, inputs].map { Int64($0).littleEndian }
        var stored = [
            words(
                module + ".weight_packed",
                PackedWords.transposed(weights, rows: wordCount, columns: outputs),
                [outputs, wordCount]),
            floats(module + ".weight_scale", matrix.scales, [outputs, groups], scaleType),
            Stored(
                name: module + ".weight_shape", type: .i64, shape: [2],
                bytes: shape.withUnsafeBytes { Array($0) }),
        ]
        if matrix.zeros != nil {
            let zeros = PackedWords.packed(count: outputs, lanes: groups, bits: bits) { matrix.zero($0, $1) }
            let zeroWords = PackedWords.words(for: outputs, bits: bits)
            stored.append(words(module + ".weight_zero_point", zeros, [zeroWords, groups]))
        }
        if let index = matrix.groupIndex {
            let values = index.map { UInt32(bitPattern: $0) }
            stored.append(words(module + ".weight_g_idx", values, [inputs]))
        }
        return stored
    }

    /// "int-quantized": signed bytes.
    private static func bytes(
        _ matrix: QuantizedMatrix, _ module: String, _ scaleType: ElementType
    ) -> [Stored] {
        precondition(matrix.groupIndex == nil, "int-quantized has no act order")
        var stored = [
            Stored(
                name: module + ".weight", type: .i8, shape: [matrix.outputs, matrix.inputs],
                bytes: matrix.codes.map { $0 ^ 0x80 }),
            floats(module + ".weight_scale", matrix.scales, [matrix.outputs, matrix.groups], scaleType),
        ]
        if let zeros = matrix.zeros {
            stored.append(
                Stored(
                    name: module + ".weight_zero_point", type: .i8, shape: [matrix.outputs, matrix.groups],
                    bytes: zeros.map { $0 ^ 0x80 }))
        }
        return stored
    }
}
