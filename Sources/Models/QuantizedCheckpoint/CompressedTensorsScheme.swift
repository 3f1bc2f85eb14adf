// What `quantization_config` of compressed-tensors says: groups of modules by name, and how each keeps its weights.

import Text

/// `config_groups`, `ignore` and `format`, as `QuantizationConfig` of compressed-tensors reads them. How activations
/// and the cache are quantized elsewhere does not matter here: both stay as precise as they are.
struct CompressedTensorsScheme: Sendable {
    /// How the scales of a matrix are laid out.
    enum Strategy: Sendable, Hashable {
        case tensor, channel
        case group(Int)
    }

    struct Weights: Sendable, Hashable {
        var bits: Int
        var isFloat: Bool
        var symmetric: Bool
        var strategy: Strategy
    }

    /// A name, a class of modules, or a pattern of names.
    enum Target: Sendable {
        case name(String)
        case pattern(RegularExpression)

        func matches(_ module: String) -> Bool {
            switch self {
            case .name(let name): name == module
            case .pattern(let pattern): pattern.firstMatch(in: module) != nil
            }
        }

        /// Whether it is the class of every layer that can be quantized here.
        var isEveryLayer: Bool {
            if case .name("Linear") = self { true } else { false }
        }
    }

    struct Group: Sendable {
        var targets: [Target]
        /// nil where only activations are quantized.
        var weights: Weights?
    }

    /// More groups or targets are refused.
    static let maximumTargets = 10_000

    var groups: [Group] = []
    var ignored: [Target] = []

    /// How a module's weights are kept; nil if they are not quantized.
    func weights(of module: String) -> Weights? {
        if ignored.contains(where: { $0.isEveryLayer || $0.matches(module) }) { return nil }
        // A group that names the module goes before one that means all of its class.
        let named = groups.first { $0.targets.contains { $0.matches(module) } }
        return (named ?? groups.first { $0.targets.contains(where: \.isEveryLayer) })?.weights
    }
}

// MARK: Reading

extension CompressedTensorsScheme {
    private static let formats = [
        "pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "mixed-precision", "dense",
    ]
    private static let remedy =
        "use a checkpoint in the pack-quantized, int-quantized or float-quantized format, or the 16-bit weights"

    init(_ fields: ConfigurationFields) throws(ConfigurationError) {
        try Self.checkFormat(fields)
        if let sparsity = try fields.object("sparsity_config"),
            let format = try sparsity.string("format"), format != "dense"
        {
            throw sparsity.failure(
                "format", "sparse weights (\"\(format.prefix(60))\") are not read", remedy: Self.remedy)
        }
        if let transforms = try fields.object("transform_config"),
            try !transforms.members("config_groups").isEmpty
        {
            throw fields.failure("transform_config", "transformed weights are not read", remedy: Self.remedy)
        }
        let members = try fields.members("config_groups")
        guard !members.isEmpty, members.count <= Self.maximumTargets else {
            throw fields.failure(
                "config_groups", "there must be 1 to \(Self.maximumTargets) groups", remedy: Self.remedy)
        }
        guard let all = try fields.object("config_groups") else { return }
        for member in members {
            guard let group = try all.object(member.key) else {
                throw all.failure(member.key, "null is not a group", remedy: Self.remedy)
            }
            groups.append(try Self.group(group))
        }
        ignored = try Self.targets(fields, "ignore")
    }

    private static func checkFormat(_ fields: ConfigurationFields) throws(ConfigurationError) {
        guard let format = try fields.string("format") else { return }
        guard formats.contains(format) else {
            throw fields.failure("format", "\"\(format.prefix(60))\" is not read", remedy: remedy)
        }
    }

    private static func group(_ fields: ConfigurationFields) throws(ConfigurationError) -> Group {
        try checkFormat(fields)
        let targets = try targets(fields, "targets")
        guard let weights = try fields.object("weights") else { return Group(targets: targets, weights: nil) }
        return Group(targets: targets, weights: try self.weights(weights))
    }

    private static func targets(
        _ fields: ConfigurationFields, _ key: String
    ) throws(ConfigurationError) -> [Target] {
        var targets: [Target] = []
        for name in try fields.strings(key, limit: maximumTargets) ?? [] {
            guard name.hasPrefix("re:") else {
                targets.append(.name(name))
                continue
            }
            do throws(RegularExpressionError) {
                // Patterns hold from the beginning of a name on.
                targets.append(.pattern(try RegularExpression("^(?:" + name.dropFirst(3) + ")")))
            } catch {
                throw fields.failure(
                    key, "\"\(name.prefix(60))\" is not a pattern that is understood: \(error)",
                    remedy: "write out the modules' names")
            }
        }
        return targets
    }

    private static func weights(_ fields: ConfigurationFields) throws(ConfigurationError) -> Weights {
        let type = try fields.string("type") ?? "int"
        guard type == "int" || type == "float" else {
            throw fields.failure("type", "\"\(type.prefix(60))\" is neither int nor float", remedy: remedy)
        }
        let bits = try fields.int("num_bits", in: 1...64) ?? 8
        guard type == "int" ? bits == 4 || bits == 8 : bits == 8 else {
            throw fields.failure("num_bits", "\(type) weights of \(bits) bits are not read", remedy: remedy)
        }
        return Weights(
            bits: bits, isFloat: type == "float", symmetric: try fields.bool("symmetric") ?? true,
            strategy: try strategy(fields, isFloat: type == "float"))
    }

    /// What is not written follows from the group size: none means one scale for all, -1 one for each output.
    private static func strategy(
        _ fields: ConfigurationFields, isFloat: Bool
    ) throws(ConfigurationError) -> Strategy {
        let size = try fields.int("group_size", in: -1...(1 << 21))
        let unwritten = size.map { $0 < 0 ? "channel" : "group" } ?? "tensor"
        let name = try fields.string("strategy") ?? unwritten
        switch name {
        case "tensor": return .tensor
        case "channel": return .channel
        case "group" where !isFloat:
            guard let size, size > 0 else {
                throw fields.failure("group_size", "a strategy by group needs its size", remedy: remedy)
            }
            return .group(size)
        default:
            throw fields.failure(
                "strategy",
                "\(isFloat ? "float" : "int") weights with scales by \"\(name.prefix(60))\" are not read",
                remedy: remedy)
        }
    }
}
