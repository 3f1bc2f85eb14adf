// adapter_config.json as PEFT writes it: which modules a LoRA adapter changes, and by how much.

import Glibc
import Tensors
package import Text

/// The settings of a LoRA adapter. What PEFT knows and this does not is refused if it would change the numbers.
package struct AdapterConfiguration: Sendable {
    package static let fileName = "adapter_config.json"
    /// The largest rank, in `rank_pattern` too.
    package static let maximumRank = 65_536

    /// What `target_modules` says.
    package enum TargetModules: Sendable, Hashable {
        /// Names of modules, whole or from a dot on.
        case names([String])
        /// An expression that the whole name must match.
        case pattern(String)
        /// Every linear layer except the output layer.
        case allLinear
    }

    /// Which biases were trained and are in the adapter's file.
    package enum Bias: String, Sendable, Hashable, CaseIterable {
        case none
        case all
        case loraOnly = "lora_only"
    }

    /// The rank of modules that `rankPattern` does not name.
    package var rank: Int
    /// Alpha of modules that `alphaPattern` does not name.
    package var alpha: Double
    /// Scales by alpha / sqrt(rank) in place of alpha / rank.
    package var useRSLoRA: Bool
    package var useDoRA: Bool
    /// The share of inputs that training zeroes.
    package var dropout: Double
    package var targetModules: TargetModules
    /// Modules that the adapter's file has whole.
    package var modulesToSave: [String]
    /// An embedding that the output layer shares is trained as one matrix. Without this PEFT trains a copy
    /// for the one that is saved and leaves the other as it was.
    package var ensureWeightTying: Bool
    package var layersToTransform: [Int]
    package var bias: Bias
    /// `lora_B` has a bias.
    package var loraBias: Bool
    /// The base weights are stored transposed.
    package var fanInFanOut: Bool
    package var baseModelNameOrPath: String?
    package var taskType: String?
    /// The whole file, for writing it again.
    package var json: OrderedJSON
    private let rankPattern: [(pattern: ModulePattern, rank: Int)]
    private let alphaPattern: [(pattern: ModulePattern, alpha: Double)]
    private let selection: ModuleSelection

    /// Reads `adapter_config.json`.
    package init(directory: String) throws(ConfigurationError) {
        try self.init(ConfigurationFields(path: "\(directory)/\(Self.fileName)"))
    }

    /// - Parameter file: the path, for errors.
    package init(parsing bytes: [UInt8], file: String) throws(ConfigurationError) {
        try self.init(ConfigurationFields(parsing: bytes, file: file))
    }

    /// - Parameter module: a name in the base model, such as `model.layers.0.self_attn.q_proj`.
    package func rank(for module: String) -> Int {
        rankPattern.first { $0.pattern.matches(module) }?.rank ?? rank
    }

    /// - Parameter module: a name in the base model, such as `model.layers.0.self_attn.q_proj`.
    package func alpha(for module: String) -> Double {
        alphaPattern.first { $0.pattern.matches(module) }?.alpha ?? alpha
    }

    /// What the product of `lora_B` and `lora_A` is multiplied by.
    package func scaling(for module: String) -> Double {
        let rank = Double(rank(for: module))
        return alpha(for: module) / (useRSLoRA ? rank.squareRoot() : rank)
    }

    /// Whether the adapter changes the linear layer of that name.
    package func targets(_ module: String) -> Bool { selection.contains(module) }
}

// MARK: Reading

extension AdapterConfiguration {
    init(_ fields: ConfigurationFields) throws(ConfigurationError) {
        try Self.requireLoRA(fields)
        json = fields.json
        rank = try fields.int("r", in: 1...Self.maximumRank) ?? 8
        alpha = try fields.double("lora_alpha", in: -1e6...1e6) ?? 8
        useRSLoRA = try fields.bool("use_rslora") ?? false
        useDoRA = try fields.bool("use_dora") ?? false
        dropout = try fields.double("lora_dropout", in: 0...1) ?? 0
        targetModules = try Self.targetModules(fields)
        modulesToSave = try fields.strings("modules_to_save") ?? []
        ensureWeightTying = try fields.bool("ensure_weight_tying") ?? false
        layersToTransform = try Self.layers(fields)
        let biasName = try fields.string("bias") ?? Bias.none.rawValue
        guard let bias = Bias(rawValue: biasName) else {
            throw fields.failure("bias", "\"\(biasName.prefix(60))\" is not none, all or lora_only")
        }
        self.bias = bias
        loraBias = try fields.bool("lora_bias") ?? false
        fanInFanOut = try fields.bool("fan_in_fan_out") ?? false
        baseModelNameOrPath = try fields.string("base_model_name_or_path")
        taskType = try fields.string("task_type")
        rankPattern = try Self.patterns(fields, "rank_pattern") { value in
            value.intValue.flatMap { (1...Self.maximumRank).contains($0) ? $0 : nil }
        }.map { (pattern: $0, rank: $1) }
        alphaPattern = try Self.patterns(fields, "alpha_pattern") { value in
            value.doubleValue.flatMap { (-1e6...1e6).contains($0) ? $0 : nil }
        }.map { (pattern: $0, alpha: $1) }
        selection = try Self.selection(fields, targetModules, modulesToSave, layersToTransform)
    }

    /// Other methods, and variants of LoRA that compute something else.
    private static func requireLoRA(_ fields: ConfigurationFields) throws(ConfigurationError) {
        let type = try fields.string("peft_type") ?? "LORA"
        guard type == "LORA" else {
            throw fields.failure(
                "peft_type", "\"\(type.prefix(60))\" is not there yet",
                remedy: "use a LoRA adapter, or merge this one into its model with PEFT")
        }
        let variants = [
            "use_qalora", "alora_invocation_tokens", "layer_replication", "target_parameters",
            "trainable_token_indices", "use_bdlora", "arrow_config", "monteclora_config", "kasa_config",
        ]
        for key in variants {
            switch fields.value(key) {
            case nil, .bool(false), .array([]), .object([]): continue
            default:
                throw fields.failure(
                    key, "this variant of LoRA is not there yet",
                    remedy: "merge the adapter into its model with PEFT, or train one without it")
            }
        }
        // These take what the adapter begins with out of the base weights; the model's files still have it.
        let key = "init_lora_weights"
        let changesBase = ["pissa", "olora", "corda", "loftq", "lora_ga"]
        if let start = fields.value(key)?.stringValue?.lowercased(),
            changesBase.contains(where: start.hasPrefix)
        {
            throw fields.failure(
                key, "\"\(start.prefix(60))\" belongs to base weights that it has changed",
                remedy: "save the adapter again with PEFT's path_initial_model_for_weight_conversion")
        }
    }

    private static func targetModules(_ fields: ConfigurationFields) throws(ConfigurationError)
        -> TargetModules
    {
        guard let value = fields.value("target_modules") else {
            throw fields.failure(
                "target_modules", "the field is missing",
                remedy: "list the modules, such as [\"q_proj\", \"v_proj\"], or write \"all-linear\"")
        }
        if let text = value.stringValue {
            return text.lowercased() == "all-linear" ? .allLinear : .pattern(text)
        }
        let names = try fields.strings("target_modules") ?? []
        guard !names.isEmpty else {
            throw fields.failure("target_modules", "the list is empty", remedy: "list the modules")
        }
        return .names(names)
    }

    private static func layers(_ fields: ConfigurationFields) throws(ConfigurationError) -> [Int] {
        let key = "layers_to_transform"
        guard let elements = fields.value(key)?.arrayValue else {
            return try fields.int(key, in: 0...1_000_000).map { [$0] } ?? []
        }
        var layers: [Int] = []
        for element in elements {
            guard let number = element.intValue, (0...1_000_000).contains(number) else {
                throw fields.failure(key, "this is not a list of layers' numbers, which count from 0")
            }
            layers.append(number)
        }
        return layers
    }

    private static func patterns<Value>(
        _ fields: ConfigurationFields, _ key: String, value: (OrderedJSON) -> Value?
    ) throws(ConfigurationError) -> [(ModulePattern, Value)] {
        var patterns: [(ModulePattern, Value)] = []
        let members = try fields.members(key)
        guard members.count <= 100_000 else {
            throw fields.failure(key, "more than 100000 patterns are given")
        }
        for member in members {
            guard let number = value(member.value) else {
                throw fields.failure(
                    "\(key).\(member.key.prefix(100))", "the value is not a number that can be meant")
            }
            do throws(RegularExpressionError) {
                patterns.append((try ModulePattern(member.key), number))
            } catch {
                throw unreadable(fields, "\(key).\(member.key.prefix(100))", error)
            }
        }
        return patterns
    }

    private static func selection(
        _ fields: ConfigurationFields, _ targets: TargetModules, _ saved: [String], _ layers: [Int]
    ) throws(ConfigurationError) -> ModuleSelection {
        var selection = ModuleSelection()
        selection.layers = Set(layers)
        var key = "target_modules"
        do throws(RegularExpressionError) {
            switch targets {
            case .names(let names): selection.targets = ModuleSelection.Names(names)
            case .pattern(let pattern): selection.targets = try ModuleSelection.Names(pattern: pattern)
            case .allLinear: break
            }
            key = "modules_to_save"
            for name in saved {
                selection.saved.append(try RegularExpression("^(|.*\\.)(?:\(name))($|\\.)"))
            }
        } catch {
            throw unreadable(fields, key, error)
        }
        key = "exclude_modules"
        if let pattern = fields.value(key)?.stringValue {
            do throws(RegularExpressionError) {
                selection.excluded = try ModuleSelection.Names(pattern: pattern)
            } catch {
                throw unreadable(fields, key, error)
            }
        } else if let names = try fields.strings(key), !names.isEmpty {
            selection.excluded = ModuleSelection.Names(names)
        }
        selection.layersPatterns = try layersPatterns(fields)
        return selection
    }

    private static func layersPatterns(_ fields: ConfigurationFields) throws(ConfigurationError)
        -> [RegularExpression]
    {
        let key = "layers_pattern"
        var names: [String] = []
        if let name = fields.value(key)?.stringValue {
            names = name.isEmpty ? [] : [name]
        } else if let list = try fields.strings(key, limit: 1000) {
            names = list
        }
        var patterns: [RegularExpression] = []
        for name in names {
            do throws(RegularExpressionError) {
                patterns.append(try RegularExpression("^(?:|.*?\\.)(?:\(name))\\.([0-9]+)\\."))
            } catch {
                throw unreadable(fields, key, error)
            }
        }
        return patterns
    }

    private static func unreadable(
        _ fields: ConfigurationFields, _ key: String, _ error: RegularExpressionError
    ) -> ConfigurationError {
        fields.failure(key, error.description, remedy: "list the modules by name in place of the expression")
    }
}
