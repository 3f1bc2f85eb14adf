// Finding the quantized layers of a checkpoint: which tensors each has, in which shapes, and whether they make sense.

import Tensors

/// The tensors of a quantized model with what config.json says of them. Which layers are quantized is told by the
/// tensors that are there; how, by config.json; and the two must agree.
struct QuantizedCheckpoint {
    let configuration: QuantizationConfiguration
    let tensors: SafetensorsModel

    /// A layer as it is kept, nil if it is not quantized.
    /// - Throws: `ModelError` where its tensors are not all there, have other shapes or types than they should, or
    ///   values that mean nothing.
    func module(_ name: String, outputs: Int, inputs: Int) throws(ModelError) -> QuantizedModule? {
        let reader = ModuleReader(tensors: tensors, name: name, outputs: outputs, inputs: inputs)
        switch configuration.method {
        case .gptq(let settings):
            return tensors.tensor(name + ".qweight") == nil ? nil : try gptq(reader, settings)
        case .awq(let settings):
            return tensors.tensor(name + ".qweight") == nil ? nil : try awq(reader, settings)
        case .compressedTensors(let scheme): return try compressed(reader, scheme)
        }
    }

    private func gptq(
        _ reader: ModuleReader, _ settings: QuantizationConfiguration.GPTQ
    ) throws(ModelError) -> QuantizedModule {
        let (outputs, inputs) = (reader.outputs, reader.inputs)
        let weight = try reader.tensor("qweight", [.i32])
        var (bits, size) = (settings.bits, settings.groupSize ?? inputs)
        // With rules for single modules, the shapes tell what config.json says elsewhere.
        if settings.isMixed, weight.shape.count == 2, weight.shape[0] > 0, inputs / weight.shape[0] == 4 {
            bits = 8
        } else if settings.isMixed {
            bits = 4
        }
        let scales = try reader.tensor("scales", ModuleReader.floats)
        if settings.isMixed, scales.shape.count == 2, scales.shape[0] > 0 {
            size = (inputs + scales.shape[0] - 1) / scales.shape[0]
        }
        size = min(size, inputs)
        let groups = (inputs + size - 1) / size, perWord = PackedWords.perWord(bits: bits)
        guard inputs % perWord == 0, outputs % perWord == 0 else {
            throw reader.failure(
                weight, "cannot hold \(outputs) x \(inputs) weights of \(bits) bits in whole words")
        }
        try reader.require(weight, [inputs / perWord, outputs])
        try reader.require(scales, [groups, outputs])
        let zeros = try reader.wordCodes(
            reader.tensor("qzeros", [.i32]), rows: groups, codes: outputs, bits: bits,
            adding: settings.zerosLessOne ? 1 : 0)
        let index = try reader.groupIndex("g_idx", groups: groups, size: size)
        guard index.isThere || !settings.actOrder else {
            throw ModelError(
                file: weight.file,
                problem: "there is no tensor \"\(reader.name).g_idx\", which desc_act needs",
                remedy: "download the model again, or quantize it again")
        }
        return QuantizedModule(
            name: reader.name, outputs: outputs, inputs: inputs, bits: bits, layout: .inputWords,
            tensor: weight,
            groupSize: size, scales: try reader.scales(scales, transposed: true),
            zeros: reader.zeros(zeros, bits: bits), groupIndex: index.index)
    }

    private func awq(
        _ reader: ModuleReader, _ settings: QuantizationConfiguration.AWQ
    ) throws(ModelError) -> QuantizedModule {
        let (outputs, inputs) = (reader.outputs, reader.inputs)
        let weight = try reader.tensor("qweight", [.i32])
        let size = min(settings.groupSize ?? inputs, inputs), groups = (inputs + size - 1) / size
        guard outputs % 8 == 0 else {
            throw reader.failure(weight, "cannot hold \(outputs) outputs of 4 bits in whole words")
        }
        try reader.require(weight, [inputs, outputs / 8])
        let scales = try reader.tensor("scales", ModuleReader.floats)
        try reader.require(scales, [groups, outputs])
        let zeros = try reader.wordCodes(
            reader.tensor("qzeros", [.i32]), rows: groups, codes: outputs, bits: 4,
            order: PackedWords.awqOrder)
        return QuantizedModule(
            name: reader.name, outputs: outputs, inputs: inputs, bits: 4, layout: .outputWords,
            tensor: weight,
            groupSize: size, scales: try reader.scales(scales, transposed: true),
            zeros: reader.zeros(zeros, bits: 4), groupIndex: nil)
    }
}

// MARK: compressed-tensors

extension QuantizedCheckpoint {
    private func compressed(
        _ reader: ModuleReader, _ scheme: CompressedTensorsScheme
    ) throws(ModelError) -> QuantizedModule? {
        let packed = tensors.tensor(reader.name + ".weight_packed")
        let plain = tensors.tensor(reader.name + ".weight")
        guard let weight = packed ?? plain, packed != nil || [.i8, .f8E4M3].contains(weight.elementType)
        else {
            return nil
        }
        guard let weights = scheme.weights(of: reader.name) else {
            throw reader.failure(
                weight, "is quantized, and config.json has no group of quantization_config for it")
        }
        let isFloat = weight.elementType == .f8E4M3
        guard isFloat == weights.isFloat else {
            throw reader.failure(
                weight,
                "is stored as \(weight.elementType.rawValue), and config.json says "
                    + (weights.isFloat ? "float" : "int"))
        }
        guard packed == nil else { return try packedModule(reader, weight, weights) }
        try reader.require(weight, [reader.outputs, reader.inputs])
        let (scales, size) = try compressedScales(reader, weights)
        if isFloat {
            return QuantizedModule(
                name: reader.name, outputs: reader.outputs, inputs: reader.inputs, bits: 8,
                layout: .floatBytes,
                tensor: weight, groupSize: size, scales: scales, zeros: nil, groupIndex: nil)
        }
        var zeros: [UInt8]?
        if let points = tensors.tensor(reader.name + ".weight_zero_point") {
            zeros = try reader.byteZeros(points, groups: scales.count / reader.outputs, bits: 8)
        } else if !weights.symmetric {
            _ = try reader.tensor("weight_zero_point", [.i8])
        }
        return QuantizedModule(
            name: reader.name, outputs: reader.outputs, inputs: reader.inputs, bits: 8, layout: .signedBytes,
            tensor: weight, groupSize: size, scales: scales,
            zeros: zeros.flatMap { reader.zeros($0, bits: 8) },
            groupIndex: nil, declaredBits: weights.bits)
    }

    private func packedModule(
        _ reader: ModuleReader, _ weight: TensorView, _ weights: CompressedTensorsScheme.Weights
    ) throws(ModelError) -> QuantizedModule {
        let (outputs, inputs, bits) = (reader.outputs, reader.inputs, weights.bits)
        guard weight.elementType == .i32 else { throw reader.failure(weight, "is not stored as I32") }
        if let shape = tensors.tensor(reader.name + ".weight_shape") {
            guard shape.elementCount == 2, shape.floats() == [Float(outputs), Float(inputs)] else {
                throw reader.failure(shape, "does not say \(outputs) x \(inputs), which config.json asks for")
            }
        }
        try reader.require(weight, [outputs, PackedWords.words(for: inputs, bits: bits)])
        let (scales, size) = try compressedScales(reader, weights)
        let groups = scales.count / outputs
        var zeros: [UInt8]?
        if !weights.symmetric {
            let points = try reader.tensor("weight_zero_point", [.i32, .i8])
            zeros =
                points.elementType == .i8
                ? try reader.byteZeros(points, groups: groups, bits: bits)
                : try reader.columnCodes(points, groups: groups, bits: bits)
        }
        let index = try reader.groupIndex("weight_g_idx", groups: groups, size: size)
        return QuantizedModule(
            name: reader.name, outputs: outputs, inputs: inputs, bits: bits, layout: .rowWords,
            tensor: weight,
            groupSize: size, scales: scales, zeros: zeros.flatMap { reader.zeros($0, bits: bits) },
            groupIndex: index.index)
    }

    /// [outputs, groups], and how many inputs share one.
    private func compressedScales(
        _ reader: ModuleReader, _ weights: CompressedTensorsScheme.Weights
    ) throws(ModelError) -> (scales: [Float], groupSize: Int) {
        let stored = try reader.tensor("weight_scale", ModuleReader.floats)
        let (outputs, inputs) = (reader.outputs, reader.inputs)
        switch weights.strategy {
        case .tensor:
            guard stored.elementCount == 1 else { throw reader.wrongShape(stored, [1]) }
            let scale = try reader.scales(stored, transposed: false)
            return ([Float](repeating: scale[0], count: outputs), inputs)
        case .channel:
            guard stored.shape == [outputs] || stored.shape == [outputs, 1] else {
                throw reader.wrongShape(stored, [outputs, 1])
            }
            return (try reader.scales(stored, transposed: false), inputs)
        case .group(let size):
            let size = min(size, inputs)
            try reader.require(stored, [outputs, (inputs + size - 1) / size])
            return (try reader.scales(stored, transposed: false), size)
        }
    }
}
