// A linear layer of a quantized checkpoint: its tensors, checked, and its codes row by row.

import Tensors

/// The weights [outputs, inputs] of one layer as a checkpoint keeps them. Codes are unpacked in pieces, so that a layer
/// never lies in memory twice.
struct QuantizedModule {
    /// Where the codes are.
    enum Layout {
        /// GPTQ: words [inputs / perWord, outputs].
        case inputWords
        /// AWQ: words [inputs, outputs / 8].
        case outputWords
        /// compressed-tensors, packed: words [outputs, inputs / perWord].
        case rowWords
        /// compressed-tensors: signed bytes [outputs, inputs].
        case signedBytes
        /// E4M3 [outputs, inputs].
        case floatBytes
    }

    let name: String
    let outputs: Int
    let inputs: Int
    /// 4 or 8.
    let bits: Int
    let layout: Layout
    let tensor: TensorView
    /// Inputs that share a scale.
    let groupSize: Int
    /// [outputs, groups].
    let scales: [Float]
    /// [outputs, groups]; nil where all are the middle code, and for floats.
    let zeros: [UInt8]?
    /// [inputs], nil where groups are made of neighbors.
    let groupIndex: [Int32]?
    /// Signed bytes may have to be within fewer bits.
    var declaredBits: Int?

    var groups: Int { (inputs + groupSize - 1) / groupSize }
    var isFloat: Bool { if case .floatBytes = layout { true } else { false } }

    /// The format in memory.
    var format: WeightFormat { isFloat ? .float8 : bits == 4 ? .int4 : .int8 }

    /// The codes of some outputs [rows.count, inputs]: unsigned, or E4M3.
    /// - Throws: when a code is none of the format's.
    func codes(_ rows: Range<Int>) throws(ModelError) -> [UInt8] {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= outputs, "rows outside the layer")
        let codes = [UInt8](unsafeUninitializedCapacity: rows.count * inputs) { buffer, count in
            count = rows.count * inputs
            guard let to = buffer.baseAddress else { return }
            withExtendedLifetime(tensor) {
                switch layout {
                case .inputWords: unpackInputWords(rows, tensor.bytes, to)
                case .outputWords: unpackOutputWords(rows, tensor.bytes, to)
                case .rowWords: unpackRowWords(rows, tensor.bytes, to)
                case .signedBytes, .floatBytes:
                    let from = UnsafeRawBufferPointer(
                        rebasing: tensor.bytes[rows.lowerBound * inputs..<rows.upperBound * inputs])
                    let flip: UInt8 = isFloat ? 0 : 0x80
                    for index in 0..<count { to[index] = from[index] ^ flip }
                }
            }
        }
        try check(codes)
        return codes
    }

    private func check(_ codes: [UInt8]) throws(ModelError) {
        if isFloat, codes.contains(where: { $0 & 0x7f == 0x7f }) {
            throw ModelError(
                file: tensor.file, problem: "tensor \"\(tensor.name)\" has weights that are not numbers",
                remedy: "download the model again, or quantize it again")
        }
        guard let declaredBits, declaredBits < 8, layout == .signedBytes else { return }
        let limit = UInt8(1 << (declaredBits - 1))
        guard codes.allSatisfy({ $0 >= 128 - limit && $0 < 128 + limit }) else {
            throw ModelError(
                file: tensor.file,
                problem: "tensor \"\(tensor.name)\" has codes beyond the \(declaredBits) bits of config.json",
                remedy: "use weights and config.json of the same model")
        }
    }

    private func unpackInputWords(
        _ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ to: UnsafeMutablePointer<UInt8>
    ) {
        let perWord = PackedWords.perWord(bits: bits), mask = UInt32((1 << bits) - 1)
        for wordRow in 0..<inputs / perWord {
            for row in rows {
                var word = PackedWords.word(bytes, wordRow * outputs + row)
                let target = to + (row - rows.lowerBound) * inputs + wordRow * perWord
                for slot in 0..<perWord {
                    target[slot] = UInt8(truncatingIfNeeded: word & mask)
                    word >>= UInt32(bits)
                }
            }
        }
    }

    private func unpackOutputWords(
        _ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ to: UnsafeMutablePointer<UInt8>
    ) {
        let wordCount = outputs / 8, order = PackedWords.awqOrder
        for input in 0..<inputs {
            for column in rows.lowerBound / 8..<(rows.upperBound + 7) / 8 {
                let word = PackedWords.word(bytes, input * wordCount + column)
                for slot in 0..<8 {
                    let row = column * 8 + order[slot]
                    guard rows.contains(row) else { continue }
                    to[(row - rows.lowerBound) * inputs + input] = UInt8(
                        truncatingIfNeeded: word >> UInt32(4 * slot) & 15)
                }
            }
        }
    }

    private func unpackRowWords(
        _ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ to: UnsafeMutablePointer<UInt8>
    ) {
        let perWord = PackedWords.perWord(bits: bits), mask = UInt32((1 << bits) - 1)
        let wordCount = PackedWords.words(for: inputs, bits: bits)
        for row in rows {
            let target = to + (row - rows.lowerBound) * inputs
            for index in 0..<wordCount {
                var word = PackedWords.word(bytes, row * wordCount + index)
                for input in index * perWord..<min(inputs, (index + 1) * perWord) {
                    target[input] = UInt8(truncatingIfNeeded: word & mask)
                    word >>= UInt32(bits)
                }
            }
        }
    }
}

// MARK: Whole matrices

extension QuantizedModule {
    /// The layer of integers as a whole.
    func matrix() throws(ModelError) -> QuantizedMatrix {
        precondition(!isFloat, "a matrix of floats")
        return QuantizedMatrix(
            outputs: outputs, inputs: inputs, bits: bits, groupSize: groupSize, codes: try codes(0..<outputs),
            scales: scales, zeros: zeros, groupIndex: groupIndex)
    }

    /// The layer of floats as a whole, with a scale for each output.
    func float8Matrix() throws(ModelError) -> Float8Matrix {
        precondition(isFloat, "a matrix of integers")
        return Float8Matrix(outputs: outputs, inputs: inputs, bytes: try codes(0..<outputs), scales: scales)
    }

    /// Some rows as numbers [rows.count, inputs].
    func dequantized(_ rows: Range<Int>) throws(ModelError) -> [Float] {
        let part = try codes(rows), groups = groups
        let scales = Array(scales[rows.lowerBound * groups..<rows.upperBound * groups])
        guard !rows.isEmpty else { return [] }
        if isFloat {
            return Float8Matrix(outputs: rows.count, inputs: inputs, bytes: part, scales: scales)
                .dequantized()
        }
        return QuantizedMatrix(
            outputs: rows.count, inputs: inputs, bits: bits, groupSize: groupSize, codes: part,
            scales: scales,
            zeros: zeros.map { Array($0[rows.lowerBound * groups..<rows.upperBound * groups]) },
            groupIndex: groupIndex
        ).dequantized()
    }
}
