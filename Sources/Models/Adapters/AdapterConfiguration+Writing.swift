// Makes adapter_config.json for a new adapter, with the keys of PEFT 0.21 and in its order.

import Text

extension AdapterConfiguration {
    /// The settings of a new adapter, for a causal language model and without biases.
    /// - Parameters:
    ///   - modulesToSave: ends of the names of modules that are trained whole.
    ///   - base: the model's directory or name on the hub, which PEFT loads with the adapter.
    /// - Throws: for numbers out of range, an empty list of targets, and expressions that are none.
    package init(
        rank: Int, alpha: Double, dropout: Double = 0, useRSLoRA: Bool = false, useDoRA: Bool = false,
        targetModules: TargetModules, modulesToSave: [String] = [], ensureWeightTying: Bool = false,
        base: String?
    ) throws(ConfigurationError) {
        let targets: OrderedJSON =
            switch targetModules {
            case .names(let names): .array(Set(names).sorted(by: Self.precedes).map { .string($0) })
            case .pattern(let pattern): .string(pattern)
            case .allLinear: .string("all-linear")
            }
        let saved: OrderedJSON = modulesToSave.isEmpty ? .null : .array(modulesToSave.map { .string($0) })
        // PEFT has an integer here; a fraction stays one.
        let writtenAlpha: OrderedJSON = Int(exactly: alpha).map { .int($0) } ?? .double(alpha)
        var values: [String: OrderedJSON] = [
            "base_model_name_or_path": base.map { .string($0) } ?? .null,
            "bias": .string(Bias.none.rawValue), "ensure_weight_tying": .bool(ensureWeightTying),
            "inference_mode": .bool(true), "init_lora_weights": .bool(true), "lora_alpha": writtenAlpha,
            "lora_dropout": .double(dropout), "modules_to_save": saved, "r": .int(rank),
            "target_modules": targets, "use_dora": .bool(useDoRA), "use_rslora": .bool(useRSLoRA),
        ]
        values.merge(Self.constantFields) { own, _ in own }
        let members = values.map { OrderedJSON.Member(key: $0.key, value: $0.value) }
            .sorted { Self.precedes($0.key, $1.key) }
        try self.init(ConfigurationFields(json: .object(members), file: Self.fileName))
    }

    /// The file's text, as Python's `json.dumps(..., indent=2)` writes it, and a line end.
    package var fileText: String {
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        style.ensuresASCII = true
        return json.pythonText(style) + "\n"
    }

    private static func precedes(_ one: String, _ other: String) -> Bool {
        one.utf8.lexicographicallyPrecedes(other.utf8)
    }

    /// What is the same in all adapters that are made here.
    private static let constantFields: [String: OrderedJSON] = {
        let absent = [
            "alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config",
            "exclude_modules", "kasa_config", "layer_replication", "layers_pattern", "layers_to_transform",
            "lora_ga_config", "megatron_config", "monteclora_config", "revision", "target_parameters",
            "trainable_token_indices", "use_bdlora", "velora_config",
        ]
        var fields: [String: OrderedJSON] = [
            "alpha_pattern": .object([]), "fan_in_fan_out": .bool(false), "loftq_config": .object([]),
            "lora_bias": .bool(false), "megatron_core": .string("megatron.core"),
            "peft_type": .string("LORA"), "peft_version": .string("0.21.2"), "qalora_group_size": .int(16),
            "rank_pattern": .object([]), "task_type": .string("CAUSAL_LM"), "use_qalora": .bool(false),
        ]
        for key in absent { fields[key] = .null }
        return fields
    }()
}
