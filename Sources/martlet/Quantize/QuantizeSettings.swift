// From the parameters of `quantize` to what is to be done: defaults, and what does not go together.

import Models
import Text
import Training

/// What is quantized, how, and where to.
struct QuantizeSettings {
    var model: String
    var outputDir: String
    var method: QuantizationMethod
    var scheme: QuantizationScheme
    var dampPercent: Double
    var skips: ModuleSkips
    var options: QuantizeOptions

    /// - Parameter outputs: the directory of a step's artifacts, if this is one.
    /// - Throws: `CommandError` with status 2 and all that is wrong, a line each.
    init(
        _ options: QuantizeOptions, outputs: String? = Environment.value("MARTLET_OUTPUT_DIR")
    ) throws {
        var problems: [String] = []
        let model = options.model ?? ""
        if model.isEmpty { problems.append("--model is missing; give the directory of a model") }
        if !options.adapters.isEmpty {
            problems.append("--adapters: quantize takes whole models; merge them first with martlet merge")
        }
        if options.staticGroups {
            problems.append("--static_groups is not there; leave it out, or use --desc_act false")
        }
        let method = Self.method(options, &problems)
        let format = options.quantFormat ?? Self.usualFormat(method)
        let weights = Self.weights(options, method, format, &problems)
        Self.checkRanges(options, method, &problems)
        skips = try Self.skips(options, &problems)
        guard problems.isEmpty else { throw CommandError(problems.joined(separator: "\n"), status: 2) }
        let isGPTQ = method == .gptq
        scheme = QuantizationScheme(
            format: format, weights: weights, actOrder: isGPTQ && options.descAct,
            dynamicActivations: method == .int8 || method == .fp8,
            dampPercent: isGPTQ ? options.dampPercent : nil)
        (self.model, self.method, self.options) = (model, method, options)
        dampPercent = options.dampPercent
        var directory = model[...]
        while directory.hasSuffix("/"), directory.count > 1 { directory = directory.dropLast() }
        outputDir =
            options.outputDir ?? outputs.map { $0 + "/model" } ?? directory + Self.suffix(method, weights)
        guard outputDir != model else {
            throw CommandError(
                "--output_dir \(outputDir) is the model itself; give another directory", status: 2)
        }
    }

    private static func suffix(_ method: QuantizationMethod, _ weights: QuantizationScheme.Weights) -> String
    {
        guard case .integers(let bits, _, _) = weights, method != .int8 else { return "-\(method.rawValue)" }
        return "-\(method.rawValue)-int\(bits)"
    }

    private static func method(_ options: QuantizeOptions, _ problems: inout [String]) -> QuantizationMethod {
        switch options.quantMethod {
        case .rtn: return .rtn
        case .gptq: return .gptq
        case .awq: return .awq
        case .fp8: return .fp8
        case .int8: return .int8
        case .bnb:
            problems.append(
                "--quant_method bnb: NF4 is made while a model is trained, not stored; "
                    + "use it with martlet sft, or rtn, gptq or awq here")
        case .gptqV2:
            problems.append("--quant_method gptq_v2 is not written; use gptq, which the same programs read")
        case nil:
            problems.append("--quant_method is missing; write rtn, gptq, awq, fp8 or int8")
        }
        return .rtn
    }

    private static func usualFormat(_ method: QuantizationMethod) -> QuantizationFormat {
        switch method {
        case .gptq: .gptq
        case .awq: .awq
        case .rtn, .fp8, .int8: .compressedTensors
        }
    }

    /// What the weights become.
    private static func weights(
        _ options: QuantizeOptions, _ method: QuantizationMethod, _ format: QuantizationFormat,
        _ problems: inout [String]
    ) -> QuantizationScheme.Weights {
        let isByte = method == .fp8 || method == .int8
        let bits = options.quantBits ?? (isByte ? 8 : 4)
        if bits != 4, bits != 8 { problems.append("--quant_bits \(bits): write 4 or 8") }
        if isByte {
            if bits == 4 { problems.append("--quant_bits 4: \(method.rawValue) has 8 bits") }
            if format != .compressedTensors {
                problems.append(
                    "--quant_format \(format.rawValue): \(method.rawValue) is written as compressed-tensors")
            }
            if let group = options.groupSize, group != -1 {
                problems.append(
                    "--group_size \(group): \(method.rawValue) has one scale an output; leave it out")
            }
            if options.sym == false { problems.append("--sym false: \(method.rawValue) has no zero points") }
            if method == .fp8 { return .float8(perChannel: options.fp8Scales == .channel) }
            return .integers(bits: 8, groupSize: nil, symmetric: true)
        }
        let group = options.groupSize ?? 128
        if group != -1, group < 8 || group > 1024 {
            problems.append("--group_size \(group): write 32, 64, 128, another one from 8 to 1024, or -1")
        }
        if format == .awq, bits == 8 { problems.append("--quant_bits 8: the format awq has 4 bits") }
        if format == .awq, options.descAct {
            problems.append("--desc_act true: the format awq has no act order")
        }
        return .integers(
            bits: bits == 8 ? 8 : 4, groupSize: group == -1 ? nil : group,
            symmetric: options.sym ?? (method != .awq && format != .awq))
    }

    private static func checkRanges(
        _ options: QuantizeOptions, _ method: QuantizationMethod, _ problems: inout [String]
    ) {
        if options.descAct, method != .gptq { problems.append("--desc_act true is for gptq; leave it out") }
        if !(options.dampPercent > 0 && options.dampPercent <= 1) {
            problems.append("--damp_percent \(options.dampPercent): write a share above 0, such as 0.01")
        }
        for (name, value, least) in [
            ("quant_n_samples", options.quantNSamples, 1), ("quant_batch_size", options.quantBatchSize, 1),
            ("max_length", options.maxLength, 2),
        ] where value < least { problems.append("--\(name) \(value): write \(least) or more") }
        if let threads = options.threads, threads < 1 || threads > 1024 {
            problems.append("--threads \(threads): write a number from 1 to 1024")
        }
        if method.needsCalibration, options.dataset.isEmpty {
            problems.append("--dataset is missing: \(method.rawValue) needs texts to calibrate with")
        }
        if let columns = options.columns, TrainingDataOptions.columnMap(columns) == nil {
            problems.append(
                #"--columns: this is no JSON map from names to names; write it like {"prompt_text": "query"}"#
            )
        }
    }

    private static func skips(_ options: QuantizeOptions, _ problems: inout [String]) throws -> ModuleSkips {
        do {
            return try ModuleSkips(options.modulesToNotConvert)
        } catch {
            problems.append("--modules_to_not_convert: \(error)")
            return try ModuleSkips([])
        }
    }
}
