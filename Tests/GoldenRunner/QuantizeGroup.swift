// Quantization against the reference: codes, scales, and what they do to a layer's output.

import Models
import Tensors
import Text

extension GoldenGroup {
    /// `quantize.json` and `quantize.safetensors`: one layer's weights in all methods; packed files beside
    /// them.
    static let quantize = GoldenGroup(name: "quantize") { folder in
        folder.has("quantize.json") && folder.has("quantize.safetensors")
    } run: { folder, report in
        let check = try QuantizeCheck(folder)
        let results = try folder.json("quantize.json").required("results").objectValue ?? []
        for result in results {
            do {
                try check.run(result.key, result.value, results, &report)
            } catch {
                report.fail("methods", result.key, "\(error)")
            }
        }
        try check.arithmetic(&report)
        try check.blocks(&report)
        for name in ["gptq_packed", "awq_packed"] where folder.folder(name).isThere {
            let format: QuantizationFormat = name == "gptq_packed" ? .gptq : .awq
            try check.packed(folder.folder(name), format, &report)
        }
    }
}

struct QuantizeCheck {
    /// Ties at the boundaries between codes may fall to the other side.
    static let equalShare = 0.995
    /// Of the output error.
    static let errorShare = 0.01

    let tensors: SafetensorsFile
    let scratch: ProductScratch
    let statistics: InputStatistics
    let weight: [Float]
    let activations: [Float]
    let (outputs, inputs, rows): (Int, Int, Int)

    init(_ folder: GoldenFolder) throws {
        tensors = try SafetensorsFile(path: folder.path(of: "quantize.safetensors"))
        scratch = try ProductScratch(pool: ThreadPool())
        guard let weight = tensors.tensor("weight"), let activations = tensors.tensor("activations"),
            weight.shape.count == 2, activations.shape.count == 2, activations.shape[1] == weight.shape[1]
        else { throw GoldenError("\(tensors.path): weight and activations are not there") }
        (outputs, inputs, rows) = (weight.shape[0], weight.shape[1], activations.shape[0])
        self.weight = weight.floats()
        self.activations = activations.floats()
        statistics = try InputStatistics(size: inputs)
        statistics.add(self.activations, type: .f32, count: rows, stride: inputs, scratch)
    }

    /// The elements of a tensor that a case needs.
    func floats(_ name: String) throws -> [Float] {
        guard let tensor = tensors.tensor(name) else {
            throw GoldenError("\(tensors.path): there is no \(name)")
        }
        return tensor.floats()
    }

    // MARK: Methods

    /// A case by its name: `gptq_int4_g32_sym_actorder_block128`.
    func run(
        _ key: String, _ result: OrderedJSON, _ all: [OrderedJSON.Member], _ report: inout GoldenReport
    ) throws {
        let group = result["group"]?.intValue ?? inputs
        let isSymmetric = result["sym"]?.boolValue ?? false
        var grid = IntegerGrid(
            rule: isSymmetric ? .symmetric : .asymmetric, bits: key.contains("int8") ? 8 : 4,
            groupSize: group < inputs ? group : nil)
        switch key.prefix(4) {
        case "rtn_":
            if key.hasPrefix("rtn_int8") { grid.rule = .signed }
            let matrix = RoundToNearest.quantize(
                weight, outputs: outputs, inputs: inputs, grid: grid, pool: scratch.pool)
            try compare(key, matrix, signed: grid.rule == .signed, &report)
            try compareError(key, result, matrix.dequantized(), &report)
        case "gptq":
            var settings = GPTQ(grid: grid)
            settings.actOrder = result["act_order"]?.boolValue ?? false
            settings.dampPercent = result["damp"]?.doubleValue ?? 0.01
            settings.isEager = result["eager"]?.boolValue ?? false
            let inverse = try InverseHessian(statistics, settings, module: key, scratch)
            let matrix = try settings.quantize(weight, outputs: outputs, inverse, scratch)
            try compare(key, matrix, signed: false, &report)
            try compareError(key, result, matrix.dequantized(), &report)
        case "awq_": try scaled(key, result, grid, all, &report)
        case "fp8_":
            let matrix = Float8Rounding.quantize(
                weight, outputs: outputs, inputs: inputs, perChannel: key.hasSuffix("channel"))
            equalCodes(key, matrix.bytes.map { Float($0) }, try floats(key + ".bytes"), &report)
            try compareScales(key, matrix.scales, &report)
            try compareError(key, result, matrix.dequantized(), &report)
        default: report.fail("methods", key, "this method is not known")
        }
    }

    private func scaled(
        _ key: String, _ result: OrderedJSON, _ grid: IntegerGrid, _ all: [OrderedJSON.Member],
        _ report: inout GoldenReport
    ) throws {
        let isClipped = key.hasSuffix("_clip")
        let base = isClipped ? String(key.dropLast("_clip".count)) : key
        let scaling = ActivationAwareScaling(grid: grid)
        let found = try weight.withUnsafeBufferPointer { weight in
            try weight.baseAddress.map { try scaling.search([($0, outputs)], statistics, scratch) }
        }
        guard let found else { throw GoldenError("the layer has no weights") }
        if !isClipped {
            let ratio = result["best_ratio"]?.doubleValue ?? .nan
            report.measure(
                "awq ratio", key, difference: abs(found.ratio - ratio), limit: 1e-9,
                detail: "\(found.ratio), reference \(ratio)")
            let (difference, place) = largestDifference(found.smooth, try floats(key + ".smooth"))
            report.measure(
                "awq factors", key, difference: difference, limit: 1e-4 * Double(found.smooth.max() ?? 1),
                detail: "input \(place)")
            for (loss, step) in zip(found.losses, result["history"]?.arrayValue ?? []) {
                let expected: Double = step["loss"]?.doubleValue ?? .nan
                report.measure(
                    "awq losses", key, difference: abs(loss - expected), limit: Self.errorShare * expected,
                    detail: "ratio \(step["ratio"]?.doubleValue ?? .nan)")
            }
        }
        // The clipped case has the factors of the one without.
        let smooth = try floats(base + ".smooth")
        var values = [Float](repeating: 0, count: weight.count)
        ActivationAwareScaling.scale(weight, outputs: outputs, by: smooth, into: &values)
        if isClipped {
            let bounds = scaling.bounds(values, outputs: outputs, smooth: smooth, statistics, scratch) ?? []
            let expected = try floats(key + ".clip_bound")
            let same = zip(bounds, expected).count { abs($0 - $1) <= 1e-5 * abs($1) }
            report.measure(
                "awq bounds", key, difference: 1 - Double(same) / Double(max(expected.count, 1)), limit: 0.02,
                detail: "\(same) of \(expected.count) are equal")
            scaling.clip(&values, outputs: outputs, inputs: inputs, to: bounds)
        }
        let matrix = RoundToNearest.quantize(
            values, outputs: outputs, inputs: inputs, grid: grid, pool: scratch.pool)
        try compare(key, matrix, signed: false, &report)
        var dequantized = matrix.dequantized()
        for index in dequantized.indices { dequantized[index] /= smooth[index % inputs] }
        try compareError(key, result, dequantized, &report)
    }

    // MARK: Comparing

    private func compare(
        _ key: String, _ matrix: QuantizedMatrix, signed: Bool, _ report: inout GoldenReport
    ) throws {
        let middle = signed ? Float(QuantizedMatrix.middle(bits: matrix.bits)) : 0
        equalCodes(key, matrix.codes.map { Float($0) - middle }, try floats(key + ".q"), &report)
        try compareScales(key, matrix.scales, &report)
        if !signed {
            let middle = QuantizedMatrix.middle(bits: matrix.bits)
            let zeros = matrix.zeros ?? [UInt8](repeating: middle, count: matrix.scales.count)
            equalCodes(key + " zeros", zeros.map { Float($0) }, try floats(key + ".zeros"), &report)
        }
        guard tensors.tensor(key + ".g_idx") != nil else { return }
        let index = (0..<inputs).map { Float(matrix.group(ofInput: $0)) }
        equalCodes(key + " g_idx", index, try floats(key + ".g_idx"), &report)
    }

    func equalCodes(_ key: String, _ ours: [Float], _ reference: [Float], _ report: inout GoldenReport) {
        let same = zip(ours, reference).count { $0 == $1 }
        let share = ours.count == reference.count ? Double(same) / Double(max(1, reference.count)) : 0
        report.measure(
            "codes", key, difference: 1 - share, limit: 1 - Self.equalShare,
            detail: "\(same) of \(reference.count) are equal")
    }

    /// Scales that were taken after corrections differ where those do: most must be equal, none far off.
    private func compareScales(_ key: String, _ ours: [Float], _ report: inout GoldenReport) throws {
        let reference = try floats(key + ".scales")
        let same = zip(ours, reference).count { abs($0 - $1) <= 1e-4 * abs($1) }
        let share = ours.count == reference.count ? Double(same) / Double(max(1, reference.count)) : 0
        report.measure(
            "scales", key, difference: 1 - share, limit: 0.02, detail: "\(same) of \(reference.count)")
    }

    private func compareError(
        _ key: String, _ result: OrderedJSON, _ values: [Float], _ report: inout GoldenReport
    ) throws {
        let difference = zip(values, weight).map { $0 - $1 }
        let error = try statistics.squaredOutput(of: difference, rows: outputs, scratch)
        let weightError = difference.reduce(0.0) { $0 + Double($1) * Double($1) }
        for (name, ours) in [("output_error", error), ("weight_error", weightError)] {
            let expected = result[name]?.doubleValue ?? .nan
            report.measure(
                name.replacing("_", with: " "), key, difference: abs(ours - expected),
                limit: Self.errorShare * expected, detail: "\(ours), reference \(expected)")
        }
    }
}
