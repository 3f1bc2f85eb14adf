// What config.json says of a checkpoint that we quantized, and what has no place in a format.

package import Text

extension QuantizedTensors {
    /// Why weights cannot be kept by a scheme.
    package struct Obstacle: Sendable, Hashable {
        /// A sentence.
        package var problem: String
        /// Whether it is the layer's own sizes that do not fit, so that others may.
        package var isOfLayer = false
    }

    /// What stands against keeping a layer by a scheme; nil for nothing. Ask it before the work of quantizing.
    package static func obstacle(outputs: Int, inputs: Int, scheme: QuantizationScheme) -> Obstacle? {
        if let problem = obstacle(scheme) { return Obstacle(problem: problem) }
        guard case .integers(let bits, let groupSize, _) = scheme.weights else { return nil }
        let group = groupSize ?? inputs, perWord = PackedWords.perWord(bits: bits)
        func check(_ what: String, _ count: Int, _ by: Int, _ why: String) -> Obstacle? {
            if count % by == 0 { return nil }
            return Obstacle(
                problem: "its \(count) \(what) are not a multiple of \(by), \(why)", isOfLayer: true)
        }
        let groups = check("inputs", inputs, group, "the group size")
        let outputWords = check("outputs", outputs, perWord, "the codes in a word")
        return switch scheme.format {
        case .compressedTensors: groups
        case .awq: outputWords ?? groups
        // Each input names its group, so that the last one may have fewer.
        case .gptq: check("inputs", inputs, perWord, "the codes in a word") ?? outputWords
        }
    }

    /// What no layer can be kept by.
    private static func obstacle(_ scheme: QuantizationScheme) -> String? {
        switch scheme.weights {
        case .float8:
            return scheme.format == .compressedTensors
                ? nil : "the \(scheme.format.rawValue) format has no FP8: use compressed-tensors"
        case .integers(let bits, let groupSize, _):
            guard bits == 4 || bits == 8 else { return "\(bits) bits are not there: use 4 or 8" }
            if let groupSize, groupSize < 1 { return "a group of \(groupSize) inputs is none" }
            // Compressed-tensors' own library has given up act order by group.
            guard !scheme.actOrder || scheme.format == .gptq else {
                return
                    "the \(scheme.format.rawValue) format has no act order: use the gptq format, or no act order"
            }
            return scheme.format == .awq && bits != 4 ? "the awq format has 4 bits only" : nil
        }
    }

    /// `quantization_config` of config.json.
    package static func configuration(_ scheme: QuantizationScheme) -> OrderedJSON {
        switch scheme.format {
        case .gptq: gptq(scheme)
        case .awq: awq(scheme)
        case .compressedTensors: compressedTensors(scheme)
        }
    }

    private static func object(_ members: [(String, OrderedJSON)]) -> OrderedJSON {
        .object(members.map { OrderedJSON.Member(key: $0.0, value: $0.1) })
    }

    private static func integers(_ scheme: QuantizationScheme) -> (bits: Int, group: Int?, symmetric: Bool) {
        guard case .integers(let bits, let group, let symmetric) = scheme.weights else {
            preconditionFailure("the \(scheme.format.rawValue) format has integers only")
        }
        return (bits, group, symmetric)
    }

    private static func gptq(_ scheme: QuantizationScheme) -> OrderedJSON {
        let (bits, group, symmetric) = integers(scheme)
        var members: [(String, OrderedJSON)] = [
            ("quant_method", .string("gptq")), ("bits", .int(bits)), ("group_size", .int(group ?? -1)),
            ("desc_act", .bool(scheme.actOrder)), ("sym", .bool(symmetric)),
        ]
        if let damping = scheme.dampPercent { members.append(("damp_percent", .double(damping))) }
        members += [
            ("static_groups", .bool(false)), ("true_sequential", .bool(false)),
            ("lm_head", .bool(!scheme.ignored.contains("lm_head"))),
            ("checkpoint_format", .string("gptq")), ("pack_dtype", .string("int32")),
        ]
        // The rule of gptqmodel and vLLM for modules that are left as they are: a pattern after "-:".
        let skipped = scheme.ignored.filter { $0 != "lm_head" }
        if !skipped.isEmpty {
            members.append(("dynamic", object(skipped.map { ("-:^\(escaped($0))$", .object([])) })))
        }
        return object(members)
    }

    private static func escaped(_ name: String) -> String {
        String(name.flatMap { $0.isLetter || $0.isNumber || $0 == "_" ? [$0] : ["\\", $0] })
    }

    private static func awq(_ scheme: QuantizationScheme) -> OrderedJSON {
        let (bits, group, _) = integers(scheme)
        // Zero points are stored in any case, and readers must take them.
        return object([
            ("quant_method", .string("awq")), ("bits", .int(bits)), ("group_size", .int(group ?? -1)),
            ("zero_point", .bool(true)), ("version", .string("gemm")),
            (
                "modules_to_not_convert",
                scheme.ignored.isEmpty ? .null : .array(scheme.ignored.map { .string($0) })
            ),
        ])
    }

    private static func compressedTensors(_ scheme: QuantizationScheme) -> OrderedJSON {
        let format: String, weights: OrderedJSON
        let type: String
        switch scheme.weights {
        case .integers(let bits, let group, let symmetric):
            type = "int"
            format = scheme.dynamicActivations && bits == 8 ? "int-quantized" : "pack-quantized"
            weights = arguments(
                bits: bits, type: type, symmetric: symmetric, strategy: group == nil ? "channel" : "group",
                group: group, dynamic: false)
        case .float8(let perChannel):
            (type, format) = ("float", "float-quantized")
            weights = arguments(
                bits: 8, type: type, symmetric: true, strategy: perChannel ? "channel" : "tensor", group: nil,
                dynamic: false)
        }
        let activations =
            scheme.dynamicActivations
            ? arguments(
                bits: 8, type: type, symmetric: true, strategy: "token", group: nil, dynamic: true) : .null
        let group = object([
            ("targets", .array([.string("Linear")])), ("weights", weights),
            ("input_activations", activations),
            ("output_activations", .null), ("format", .string(format)),
        ])
        return object([
            ("quant_method", .string("compressed-tensors")), ("format", .string(format)),
            ("quantization_status", .string("compressed")), ("config_groups", object([("group_0", group)])),
            ("ignore", .array(scheme.ignored.map { .string($0) })), ("kv_cache_scheme", .null),
            ("global_compression_ratio", .null),
        ])
    }

    private static func arguments(
        bits: Int, type: String, symmetric: Bool, strategy: String, group: Int?, dynamic: Bool
    ) -> OrderedJSON {
        object([
            ("num_bits", .int(bits)), ("type", .string(type)), ("symmetric", .bool(symmetric)),
            ("group_size", group.map { .int($0) } ?? .null), ("strategy", .string(strategy)),
            ("block_structure", .null), ("dynamic", .bool(dynamic)), ("actorder", .null),
        ])
    }
}
