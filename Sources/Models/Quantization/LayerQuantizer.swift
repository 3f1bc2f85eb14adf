// Quantizes one decoder layer: searches, rounds, measures, and makes the layer anew of what the codes stand
// for.

import CKernels
import Tensors

/// One layer on its way. Memory holds the floats of one linear layer at a time.
final class LayerQuantizer {
    /// A linear layer that is done.
    struct Outcome {
        var stored: [QuantizedTensors.Stored]
        var module: QuantizationReport.Module
    }

    private let request: QuantizationRequest
    private let loader: WeightLoader
    private let scratch: ProductScratch
    private let modules: LayerModules
    /// Of each group's inputs; none without calibration.
    private let statistics: [InputGroup: InputStatistics]
    private var smoothing = LayerSmoothing()
    private var inverses: [InputGroup: InverseHessian] = [:]

    init(
        _ request: QuantizationRequest, _ loader: WeightLoader, _ modules: LayerModules,
        _ statistics: [InputGroup: InputStatistics], _ scratch: ProductScratch
    ) {
        (self.request, self.loader, self.modules) = (request, loader, modules)
        (self.statistics, self.scratch) = (statistics, scratch)
    }

    /// The tensors besides codes that differ from the files': norms and biases.
    private(set) var changed: [String: TensorSource] = [:]

    // MARK: The layer

    /// Quantizes all modules that are not skipped, in the order of the layer.
    /// - Parameters:
    ///   - original: the layer as it was, if one is wanted back.
    ///   - done: takes what is to be stored of each module.
    /// - Returns: the layer as its readers will see it; nil if `original` is.
    func run(_ original: DecoderLayer?, done: (Outcome) throws -> Void) throws -> DecoderLayer? {
        if request.method == .awq { try smooth() }
        var linears: [InputGroup: Linear] = [:]
        for group in InputGroup.allCases {
            let parts = modules.modules(group)
            let packed = try original.map { try PackedLinear($0.linear(group), parts) }
            for module in parts {
                let isSkipped = request.scheme.ignored.contains(module.name)
                if isSkipped, packed == nil { continue }
                let values = try values(of: module)
                defer { withExtendedLifetime(values) {} }
                if !isSkipped {
                    try done(try quantize(module, group, values))
                }
                packed?.pack(module, values.floats, scratch.pool)
            }
            inverses[group] = nil
            linears[group] = packed?.linear { name, bias in changedBias(name, bias) }
        }
        return original.map { remade($0, linears) }
    }

    private func remade(_ layer: DecoderLayer, _ linears: [InputGroup: Linear]) -> DecoderLayer {
        func linear(_ group: InputGroup) -> Linear { linears[group] ?? layer.linear(group) }
        func norm(_ group: InputGroup, _ norm: RMSNorm) -> RMSNorm {
            var norm = norm
            if let weight = modules.norm(of: group).flatMap({ smoothing.norms[$0] }) { norm.weight = weight }
            return norm
        }
        let attention = layer.attention
        return DecoderLayer(
            inputNorm: norm(.attention, layer.inputNorm),
            attention: Attention(
                qkv: linear(.attention), output: linear(.attentionOutput), queryNorm: attention.queryNorm,
                keyNorm: attention.keyNorm, heads: attention.heads, keyValueHeads: attention.keyValueHeads,
                headDim: attention.headDim, window: attention.window),
            postAttentionNorm: norm(.feedForward, layer.postAttentionNorm),
            feedForward: FeedForward(gateUp: linear(.feedForward), down: linear(.feedForwardOutput)))
    }

    // MARK: Weights

    private func tensor(_ module: LinearModule) throws -> TensorView {
        try loader.tensor(module.name + ".weight", [module.outputs, module.inputs])
    }

    /// The weights with all factors in them.
    private func values(of module: LinearModule) throws -> MemoryRegion {
        let view = try tensor(module)
        let region = try MemoryRegion(
            byteCount: view.elementCount * 4, purpose: "the weights of \(module.name)")
        let values = UnsafeMutableBufferPointer(start: region.floats, count: view.elementCount)
        view.copyFloats(from: 0, into: values)
        view.release()
        guard values.allSatisfy(\.isFinite) else {
            throw ModelError(
                file: view.file, problem: "tensor \"\(view.name)\" has values that are not finite",
                remedy: "use a sound checkpoint: a training that diverged leaves such weights")
        }
        return region
    }

    private func applyFactors(_ module: LinearModule, _ group: InputGroup, _ w: UnsafeMutablePointer<Float>) {
        if let columns = smoothing.columns[group] {
            ActivationAwareScaling.scale(w, outputs: module.outputs, by: columns, into: w)
        }
        guard let rows = smoothing.rows[module.name] else { return }
        for output in 0..<module.outputs {
            for index in output * module.inputs..<(output + 1) * module.inputs { w[index] /= rows[output] }
        }
    }

    // MARK: One module

    /// Makes codes of the weights; afterwards `values` are what the codes stand for.
    private func quantize(
        _ module: LinearModule, _ group: InputGroup, _ values: MemoryRegion
    ) throws -> Outcome {
        let view = try tensor(module)
        let (outputs, inputs) = (module.outputs, module.inputs)
        let original = try MemoryRegion(byteCount: values.byteCount, purpose: "the weights of \(module.name)")
        defer { withExtendedLifetime(original) {} }
        original.floats.update(from: values.floats, count: outputs * inputs)
        applyFactors(module, group, values.floats)
        var outcome = Outcome(
            stored: [],
            module: QuantizationReport.Module(
                name: module.name, outputs: outputs, inputs: inputs, relativeWeightError: 0,
                bytesBefore: view.byteCount, bytesAfter: 0))
        if let grid = request.grid(storedAs: view.elementType) {
            let matrix = try matrix(module, group, grid, values.floats, &outcome.module)
            matrix.copyFloats(into: values.floats)
            outcome.stored = QuantizedTensors.tensors(
                of: matrix, module: module.name, format: request.scheme.format,
                dynamicActivations: request.scheme.dynamicActivations, scaleType: grid.scaleType)
        } else {
            let matrix = Float8Rounding.quantize(
                values.floats, outputs: outputs, inputs: inputs,
                perChannel: request.scheme.weights == .float8(perChannel: true))
            let floats = matrix.dequantized()
            values.floats.update(from: floats, count: floats.count)
            outcome.stored = QuantizedTensors.tensors(of: matrix, module: module.name)
        }
        outcome.module.bytesAfter = outcome.stored.reduce(0) { $0 + $1.bytes.count }
        try measure(module, group, values.floats, original.floats, &outcome.module)
        return outcome
    }

    private func matrix(
        _ module: LinearModule, _ group: InputGroup, _ grid: IntegerGrid,
        _ values: UnsafeMutablePointer<Float>, _ report: inout QuantizationReport.Module
    ) throws -> QuantizedMatrix {
        let (outputs, inputs) = (module.outputs, module.inputs)
        switch request.method {
        case .gptq:
            guard let statistics = statistics[group] else { break }
            let settings = GPTQ(
                grid: grid, actOrder: request.scheme.actOrder, dampPercent: request.dampPercent)
            let inverse =
                try inverses[group]
                ?? InverseHessian(statistics, settings, module: module.name, scratch)
            inverses[group] = inverse
            report.dampPercent = inverse.dampPercent
            return try settings.quantize(values, outputs: outputs, inverse, scratch)
        case .awq:
            report.ratio = smoothing.ratios[group]
            // Products of queries and keys are too sensitive to clipping; AutoAWQ leaves them out, too.
            let isClipped = !module.name.hasSuffix("q_proj") && !module.name.hasSuffix("k_proj")
            guard let statistics = statistics[group], isClipped else { break }
            let scaling = ActivationAwareScaling(grid: grid)
            let smooth = smoothing.columns[group] ?? [Float](repeating: 1, count: inputs)
            if let bounds = scaling.bounds(
                values, outputs: outputs, smooth: smooth, statistics, scratch)
            {
                scaling.clip(values, outputs: outputs, inputs: inputs, to: bounds)
            }
        case .rtn, .int8, .fp8: break
        }
        return RoundToNearest.quantize(
            values, outputs: outputs, inputs: inputs, grid: grid, pool: scratch.pool)
    }

    /// Errors against the weights as they were, factors undone.
    private func measure(
        _ module: LinearModule, _ group: InputGroup, _ values: UnsafePointer<Float>,
        _ original: UnsafeMutablePointer<Float>, _ report: inout QuantizationReport.Module
    ) throws {
        let (outputs, inputs) = (module.outputs, module.inputs)
        let isRounded = try tensor(module).elementType == .bf16
        let columns = smoothing.columns[group]
        let rows = smoothing.rows[module.name]
        let squares = InputStatistics.dot(original, original, outputs * inputs)
        let outputSquares = try statistics[group]?.squaredOutput(
            of: original, rows: outputs, isRounded: isRounded, scratch)
        for output in 0..<outputs {
            for input in 0..<inputs {
                let index = output * inputs + input
                let value = values[index] * (rows?[output] ?? 1) / (columns?[input] ?? 1)
                original[index] = value - original[index]
            }
        }
        let errors = InputStatistics.dot(original, original, outputs * inputs)
        report.relativeWeightError = squares > 0 ? (errors / squares).squareRoot() : 0
        guard let outputSquares, let statistics = statistics[group] else { return }
        let outputErrors = try statistics.squaredOutput(
            of: original, rows: outputs, isRounded: isRounded, scratch)
        report.relativeOutputError = outputSquares > 0 ? (outputErrors / outputSquares).squareRoot() : 0
    }
}

// MARK: AWQ

extension LayerQuantizer {
    /// Searches for the factors of each group that is quantized as a whole, and whose inputs can be divided:
    /// AutoAWQ's choice for these families.
    private func smooth() throws {
        for group in InputGroup.allCases {
            let parts = modules.modules(group)
            guard !parts.contains(where: { request.scheme.ignored.contains($0.name) }) else { continue }
            switch group {
            case .attention, .feedForward:
                guard let name = modules.norm(of: group) else { continue }
                let norm = try loader.tensor(name, [loader.configuration.hiddenSize])
                let smooth = try search(group, parts)
                smoothing.fold(
                    smooth, into: (name, norm.floats()), storedAs: norm.elementType, for: group)
                if let weights = smoothing.norms[name] {
                    changed[name] = Self.source(name, weights, norm.elementType)
                }
            case .attentionOutput, .feedForwardOutput:
                // Heads that share their values would want different factors of them.
                let before = group == .attentionOutput ? modules.value : modules.up
                guard before.outputs == parts[0].inputs, !request.scheme.ignored.contains(before.name) else {
                    continue
                }
                smoothing.fold(try search(group, parts), into: before, for: group)
            }
        }
        for (name, rows) in smoothing.rows {
            guard let bias = loader.tensors.tensor(name + ".bias") else { continue }
            let values = zip(bias.floats(), rows).map { $0 / $1 }
            changed[name + ".bias"] = Self.source(name + ".bias", values, bias.elementType)
        }
    }

    private func search(_ group: InputGroup, _ parts: [LinearModule]) throws -> [Float] {
        let ones = [Float](repeating: 1, count: parts[0].inputs)
        let view = try tensor(parts[0])
        guard let statistics = statistics[group], let grid = request.grid(storedAs: view.elementType) else {
            return ones
        }
        let regions = try parts.map { try values(of: $0) }
        defer { withExtendedLifetime(regions) {} }
        let result = try ActivationAwareScaling(grid: grid).search(
            zip(regions, parts).map { (UnsafePointer($0.floats), $1.outputs) }, statistics,
            isRounded: view.elementType == .bf16, scratch)
        smoothing.ratios[group] = result.ratio
        return result.smooth
    }

    private func changedBias(_ module: String, _ bias: [Float]) -> [Float] {
        smoothing.rows[module].map { rows in zip(bias, rows).map { $0 / $1 } } ?? bias
    }

    private static func source(_ name: String, _ values: [Float], _ type: ElementType) -> TensorSource {
        let bytes = [UInt8](unsafeUninitializedCapacity: values.count * type.byteCount) { buffer, count in
            count = values.count * type.byteCount
            ck_from_f32(type.kernelType ?? CK_F32, values, buffer.baseAddress, Int64(values.count))
        }
        return TensorSource(name: name, elementType: type, shape: [values.count], bytes: bytes)
    }
}

/// A linear layer in the making, part after part.
private final class PackedLinear {
    private let weights: PackedWeights
    private let original: Linear

    init(_ original: Linear, _ parts: [LinearModule]) throws(OutOfMemory) {
        self.original = original
        weights = try PackedWeights(
            format: original.weights.format, rows: original.outputSize, columns: original.inputSize,
            purpose: "the weights of \(parts[0].name)")
    }

    func pack(_ module: LinearModule, _ values: UnsafePointer<Float>, _ pool: ThreadPool) {
        guard let part = original.parts.first(where: { $0.name == module.name }) else { return }
        weights.pack(values, count: module.outputs, atRow: part.outputs.lowerBound, pool: pool)
    }

    /// - Parameter changed: the bias of a module as it has become.
    func linear(_ changed: (String, [Float]) -> [Float]) -> Linear {
        let bias = original.bias.map { bias in
            original.parts.flatMap { changed($0.name, Array(bias[$0.outputs])) }
        }
        return Linear(weights: weights, bias: bias, parts: original.parts)
    }
}
