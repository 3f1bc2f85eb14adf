// Reading the tensors of one quantized layer, each checked before it is believed.

import Tensors

/// The tensors of a layer by their names' last parts.
struct ModuleReader {
    /// The types that scales have.
    static let floats: [ElementType] = [.f32, .bf16, .f16]
    private static let remedy = "use weights and config.json of the same model, or quantize it again"

    let tensors: SafetensorsModel
    let name: String
    let outputs: Int
    let inputs: Int

    func failure(_ tensor: TensorView, _ problem: String) -> ModelError {
        ModelError(file: tensor.file, problem: "tensor \"\(tensor.name)\" \(problem)", remedy: Self.remedy)
    }

    func wrongShape(_ tensor: TensorView, _ shape: [Int]) -> ModelError {
        failure(tensor, "has shape \(tensor.shape), and config.json asks for \(shape)")
    }

    func require(_ tensor: TensorView, _ shape: [Int]) throws(ModelError) {
        guard tensor.shape == shape else { throw wrongShape(tensor, shape) }
    }

    func tensor(_ part: String, _ types: [ElementType]) throws(ModelError) -> TensorView {
        guard let tensor = tensors.tensor("\(name).\(part)") else {
            throw ModelError(
                file: tensors.directory, problem: "the weights have no tensor \"\(name).\(part)\"",
                remedy: "download the model again, or quantize it again")
        }
        guard types.contains(tensor.elementType) else {
            let wanted = types.map(\.rawValue).joined(separator: " or ")
            throw failure(tensor, "is stored as \(tensor.elementType.rawValue), and \(wanted) is read")
        }
        return tensor
    }

    /// Scales by output and group.
    /// - Parameter transposed: they are stored as [groups, outputs].
    func scales(_ tensor: TensorView, transposed: Bool) throws(ModelError) -> [Float] {
        let stored = tensor.floats()
        guard stored.allSatisfy(\.isFinite) else { throw failure(tensor, "has scales that are not numbers") }
        guard transposed else { return stored }
        let groups = tensor.shape[0]
        return (0..<stored.count).map { stored[$0 % groups * outputs + $0 / groups] }
    }

    /// Zero points, nil where all are the middle code.
    func zeros(_ zeros: [UInt8], bits: Int) -> [UInt8]? {
        let middle = QuantizedMatrix.middle(bits: bits)
        return zeros.allSatisfy { $0 == middle } ? nil : zeros
    }

    /// Zero points that words hold along the outputs, [groups, outputs / perWord], as [outputs, groups].
    func wordCodes(
        _ tensor: TensorView, rows groups: Int, codes: Int, bits: Int, order: [Int]? = nil,
        adding one: UInt8 = 0
    ) throws(ModelError) -> [UInt8] {
        let perWord = PackedWords.perWord(bits: bits), mask = UInt8((1 << bits) - 1)
        try require(tensor, [groups, codes / perWord])
        var result = [UInt8](repeating: 0, count: codes * groups)
        let bytes = tensor.bytes
        withExtendedLifetime(tensor) {
            for group in 0..<groups {
                for column in 0..<codes / perWord {
                    let word = PackedWords.word(bytes, group * (codes / perWord) + column)
                    for slot in 0..<perWord {
                        let code = UInt8(truncatingIfNeeded: word >> UInt32(slot * bits)) & mask
                        let output = column * perWord + (order?[slot] ?? slot)
                        result[output * groups + group] = (code &+ one) & mask
                    }
                }
            }
        }
        return result
    }

    /// Zero points that words hold along the outputs, [outputs / perWord, groups], as [outputs, groups].
    func columnCodes(_ tensor: TensorView, groups: Int, bits: Int) throws(ModelError) -> [UInt8] {
        let perWord = PackedWords.perWord(bits: bits), mask = UInt8((1 << bits) - 1)
        try require(tensor, [PackedWords.words(for: outputs, bits: bits), groups])
        let bytes = tensor.bytes
        return withExtendedLifetime(tensor) {
            (0..<outputs * groups).map { index in
                let (output, group) = (index / groups, index % groups)
                let word = PackedWords.word(bytes, output / perWord * groups + group)
                return UInt8(truncatingIfNeeded: word >> UInt32(output % perWord * bits)) & mask
            }
        }
    }

    /// Zero points that are signed bytes, [outputs, groups] or one for all, as codes [outputs, groups].
    func byteZeros(_ tensor: TensorView, groups: Int, bits: Int) throws(ModelError) -> [UInt8] {
        guard tensor.elementType == .i8 else { throw failure(tensor, "is not stored as I8") }
        let middle = QuantizedMatrix.middle(bits: bits)
        let codes = tensor.bytes.map { $0 &+ middle }
        guard bits == 8 || codes.allSatisfy({ $0 < 2 * middle }) else {
            throw failure(tensor, "has zero points beyond \(bits) bits")
        }
        if codes.count == 1 { return [UInt8](repeating: codes[0], count: outputs * groups) }
        guard tensor.shape == [outputs, groups] || groups == 1 && tensor.shape == [outputs] else {
            throw wrongShape(tensor, [outputs, groups])
        }
        return codes
    }

    /// The group of each input; `index` is nil where the tensor is not there or says what is so anyway.
    func groupIndex(
        _ part: String, groups: Int, size: Int
    ) throws(ModelError) -> (index: [Int32]?, isThere: Bool) {
        guard tensors.tensor("\(name).\(part)") != nil else { return (nil, false) }
        let tensor = try tensor(part, [.i32, .i64])
        try require(tensor, [inputs])
        var index: [Int32] = []
        let bytes = tensor.bytes
        for input in 0..<inputs {
            let group =
                tensor.elementType == .i32
                ? Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: input * 4, as: Int32.self)))
                : Int(Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: input * 8, as: Int64.self)))
            guard group >= 0, group < groups else {
                throw failure(
                    tensor, "puts input \(input) in group \(group), and there are only \(groups) groups")
            }
            index.append(Int32(group))
        }
        let isUsual = index.indices.allSatisfy { Int(index[$0]) == $0 / size }
        return (isUsual ? nil : index, true)
    }
}
