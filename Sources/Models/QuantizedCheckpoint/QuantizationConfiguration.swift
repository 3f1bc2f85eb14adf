// `quantization_config` of config.json as it is read: which layers are quantized and how.

import Tensors
import Text

/// How a checkpoint's layers are quantized, of the methods that can be read.
package struct QuantizationConfiguration: Sendable {
    /// GPTQ, as `GPTQConfig` of transformers, gptqmodel and vLLM have it.
    struct GPTQ: Sendable, Hashable {
        var bits: Int
        /// nil for one group of all inputs.
        var groupSize: Int?
        /// Inputs are in groups by importance, which only `g_idx` tells.
        var actOrder: Bool
        /// Zero points are stored less one (`checkpoint_format` "gptq"); not so in "gptq_v2".
        var zerosLessOne: Bool
        /// Single modules may have other bits and groups (`dynamic`), which their tensors' shapes tell.
        var isMixed: Bool
    }

    /// AWQ ("GEMM"), as `AwqConfig` of transformers and vLLM have it; 4 bits.
    struct AWQ: Sendable, Hashable {
        var groupSize: Int?
    }

    enum Method: Sendable {
        case gptq(GPTQ)
        case awq(AWQ)
        case compressedTensors(CompressedTensorsScheme)
    }

    let method: Method
    /// The name for messages.
    package let name: String

    /// - Throws: when the method is one that is not read, or a field is not what it should be.
    init(_ fields: ConfigurationFields) throws(ConfigurationError) {
        // Older files have no method.
        let unwritten =
            fields.isWritten("config_groups")
            ? "compressed-tensors" : fields.isWritten("w_bit") ? "awq" : "gptq"
        let method = try fields.string("quant_method") ?? unwritten
        name = method
        switch method.lowercased() {
        case "gptq": self.method = .gptq(try Self.gptq(fields))
        case "awq": self.method = .awq(try Self.awq(fields))
        case "compressed-tensors": self.method = .compressedTensors(try CompressedTensorsScheme(fields))
        default: throw Self.refusal(fields, method)
        }
    }

    private static func refusal(_ fields: ConfigurationFields, _ method: String) -> ConfigurationError {
        let remedy: String
        switch method.lowercased() {
        case "bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit":
            remedy = "use the model's 16-bit weights, with --quant int8 or int4, or martlet quantize"
        case "fp8", "fbgemm_fp8":
            remedy =
                "use the model's 16-bit weights, or FP8 weights in the compressed-tensors format, "
                + "which martlet quantize --quant_method fp8 writes"
        default:
            remedy =
                "use the model's 16-bit weights, or a checkpoint in the gptq, awq or compressed-tensors format"
        }
        return fields.failure(
            "quant_method", "checkpoints quantized by \"\(method.prefix(60))\" are not read", remedy: remedy)
    }

    private static let remedy = "use a checkpoint of 4 or 8 bits, or quantize the model again"

    private static func bits(_ fields: ConfigurationFields, _ keys: [String]) throws(ConfigurationError)
        -> Int?
    {
        for key in keys {
            guard let bits = try fields.int(key, in: 1...64) else { continue }
            guard bits == 4 || bits == 8 else {
                throw fields.failure(key, "weights of \(bits) bits are not read", remedy: remedy)
            }
            return bits
        }
        return nil
    }

    private static func groupSize(
        _ fields: ConfigurationFields, _ keys: [String]
    ) throws(ConfigurationError) -> Int? {
        for key in keys {
            guard let size = try fields.int(key, in: -1...(1 << 21)) else { continue }
            guard size != 0 else { throw fields.failure(key, "a group of 0 inputs is none") }
            return size < 0 ? nil : size
        }
        return nil
    }

    private static func gptq(_ fields: ConfigurationFields) throws(ConfigurationError) -> GPTQ {
        guard let bits = try bits(fields, ["bits", "w_bit"]) else {
            throw fields.failure("bits", "the number of bits is missing", remedy: remedy)
        }
        let format = try fields.string("checkpoint_format") ?? "gptq"
        guard format == "gptq" || format == "gptq_v2" else {
            throw fields.failure(
                "checkpoint_format", "\"\(format.prefix(60))\" is not read",
                remedy: "use a checkpoint in the gptq or gptq_v2 format")
        }
        return GPTQ(
            bits: bits, groupSize: try groupSize(fields, ["group_size", "q_group_size"]),
            actOrder: try fields.bool("desc_act") ?? false, zerosLessOne: format == "gptq",
            isMixed: try !fields.members("dynamic").isEmpty)
    }

    private static func awq(_ fields: ConfigurationFields) throws(ConfigurationError) -> AWQ {
        let bits = try bits(fields, ["bits", "w_bit"]) ?? 4
        guard bits == 4 else { throw fields.failure("bits", "AWQ has 4 bits only", remedy: remedy) }
        let version = try fields.string("version") ?? "gemm"
        guard version.lowercased() == "gemm" else {
            throw fields.failure(
                "version", "the layout \"\(version.prefix(60))\" is not read, only GEMM",
                remedy: "use a checkpoint in the GEMM layout, which most have")
        }
        guard try fields.bool("zero_point") ?? true else {
            throw fields.failure(
                "zero_point", "AWQ without zero points is not read",
                remedy: "use a checkpoint with zero points, or the gptq format")
        }
        return AWQ(groupSize: try groupSize(fields, ["group_size", "q_group_size"]))
    }
}

// MARK: Where it is written

extension QuantizationConfiguration {
    /// What config.json says, or the files that AutoGPTQ and AutoAWQ once wrote beside it; nil for a model that is
    /// not quantized.
    package init?(directory: String, _ configuration: ModelConfiguration) throws(ConfigurationError) {
        let path = "\(directory)/\(ModelConfiguration.fileName)"
        if let json = configuration.quantization {
            let whole = OrderedJSON.object([.init(key: "quantization_config", value: json)])
            guard let fields = try ConfigurationFields(json: whole, file: path).object("quantization_config")
            else { return nil }
            try self.init(fields)
            return
        }
        for name in ["quantize_config.json", "quant_config.json"] {
            let beside = "\(directory)/\(name)"
            guard SmallFile.exists(beside) else { continue }
            try self.init(ConfigurationFields(path: beside))
            return
        }
        return nil
    }
}
