// adapter_config.json: scales and targets by PEFT's rules, and what is refused.

import Models
import Testing
import Text

@Suite("Adapter configuration")
struct ConfigurationAdapterTests {
    private static func parse(_ fields: String) throws(ConfigurationError) -> AdapterConfiguration {
        try AdapterConfiguration(
            parsing: Array(#"{"peft_type":"LORA",\#(fields)}"#.utf8), file: "adapter_config.json")
    }

    private static let query = "model.layers.10.self_attn.q_proj"

    @Test(
        "The scale is alpha by rank, or by its root, with the first pattern that matches",
        arguments: [
            (#""r":8,"lora_alpha":16"#, 2.0), (#""r":16,"lora_alpha":16,"use_rslora":true"#, 4), ("", 1),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"q_proj":4}"#, 4),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"k_proj":4}"#, 2),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"proj":4}"#, 2),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"layers.1.self_attn.q_proj":4}"#, 2),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"layers.10.self_attn.q_proj":4,"q_proj":2}"#, 4),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"q_proj":2,"layers.10.self_attn.q_proj":4}"#, 8),
            (#""r":8,"lora_alpha":16,"rank_pattern":{".*10.*(q|k)_proj":1}"#, 16),
            (#""r":8,"lora_alpha":16,"rank_pattern":{"^model.layers.10.self_attn.q_proj":1}"#, 16),
            (#""r":8,"lora_alpha":16,"alpha_pattern":{"q_proj":32.0}"#, 4),
            (#""r":8,"lora_alpha":16,"alpha_pattern":{"selfxattn.q_proj":32}"#, 2),
            (#""r":8,"lora_alpha":16,"alpha_pattern":{"self_attn.q.proj":32},"rank_pattern":null"#, 4),
        ])
    func scaling(fields: String, expected: Double) throws {
        let start = fields.isEmpty ? "" : fields + ","
        let adapter = try Self.parse(start + #""target_modules":["q_proj"]"#)
        #expect(adapter.scaling(for: Self.query) == expected)
    }

    @Test(
        "Targets are names, ends of names, patterns, or all linear layers",
        arguments: [
            (#""target_modules":["q_proj","v_proj"]"#, true), (#""target_modules":["proj"]"#, false),
            (#""target_modules":["self_attn.q_proj"]"#, true), (#""target_modules":"all-linear""#, true),
            (#""target_modules":"ALL-linear""#, true), (#""target_modules":".*q_proj""#, true),
            (#""target_modules":"q_proj""#, false), (#""target_modules":"model.*(q|v)_proj""#, true),
            (#""target_modules":["q_proj"],"layers_to_transform":[1,10]"#, true),
            (#""target_modules":["q_proj"],"layers_to_transform":[1]"#, false),
            (#""target_modules":["q_proj"],"layers_to_transform":10"#, true),
            (#""target_modules":["q_proj"],"layers_to_transform":10,"layers_pattern":"layers""#, true),
            (#""target_modules":["q_proj"],"layers_to_transform":10,"layers_pattern":["h","blocks"]"#, false),
            (#""target_modules":["model.layers.10.self_attn.q_proj"],"layers_to_transform":[1]"#, true),
            (#""target_modules":["q_proj"],"exclude_modules":["layers.10.self_attn.q_proj"]"#, false),
            (#""target_modules":["q_proj"],"exclude_modules":".*\\.10\\..*""#, false),
            (#""target_modules":["q_proj"],"modules_to_save":["self_attn"]"#, false),
            (#""target_modules":["q_proj"],"modules_to_save":["lm_head"]"#, true),
        ])
    func targets(fields: String, expected: Bool) throws {
        #expect(try Self.parse(fields).targets(Self.query) == expected)
    }

    @Test("The output layer is no target of all-linear, and fields keep what they say")
    func readsFields() throws {
        let adapter = try Self.parse(
            #""target_modules":"all-linear","bias":"lora_only","use_dora":true,"fan_in_fan_out":true,"#
                + #""modules_to_save":["embed_tokens"],"base_model_name_or_path":"b","task_type":"CAUSAL_LM","r":3"#
        )
        #expect(!adapter.targets("lm_head") && adapter.targets("model.layers.0.mlp.up_proj"))
        #expect(adapter.targetModules == .allLinear && adapter.bias == .loraOnly && adapter.useDoRA)
        #expect(adapter.fanInFanOut && adapter.modulesToSave == ["embed_tokens"] && adapter.rank == 3)
        #expect(adapter.baseModelNameOrPath == "b" && adapter.taskType == "CAUSAL_LM")
        #expect(adapter.json["r"]?.intValue == 3)
    }

    @Test(
        "What would compute something else is refused with its field",
        arguments: [
            (#""target_modules":["q"],"peft_type":"IA3""#, "peft_type"), ("\"r\":8", "target_modules"),
            (#""target_modules":[]"#, "target_modules"), (#""target_modules":[1]"#, "target_modules"),
            (#""target_modules":"(?!a)b""#, "target_modules"), (#""target_modules":"(""#, "target_modules"),
            (#""target_modules":["q"],"r":0"#, "r"), (#""target_modules":["q"],"r":1e9"#, "r"),
            (#""target_modules":["q"],"lora_alpha":"x""#, "lora_alpha"),
            (#""target_modules":["q"],"bias":"some""#, "bias"),
            (#""target_modules":["q"],"rank_pattern":{"q":0}"#, "rank_pattern.q"),
            (#""target_modules":["q"],"rank_pattern":{"q(":4}"#, "rank_pattern.q("),
            (#""target_modules":["q"],"alpha_pattern":[]"#, "alpha_pattern"),
            (#""target_modules":["q"],"layers_to_transform":[-1]"#, "layers_to_transform"),
            (#""target_modules":["q"],"layer_replication":[[0,4]]"#, "layer_replication"),
            (#""target_modules":["q"],"use_qalora":true"#, "use_qalora"),
            (#""target_modules":["q"],"modules_to_save":["("]"#, "modules_to_save"),
            (#""target_modules":["q"],"lora_dropout":2"#, "lora_dropout"),
            (#""target_modules":["q"],"ensure_weight_tying":1"#, "ensure_weight_tying"),
            (#""target_modules":["q"],"init_lora_weights":"pissa_niter_4""#, "init_lora_weights"),
            (#""target_modules":["q"],"init_lora_weights":"OLoRA""#, "init_lora_weights"),
        ])
    func refuses(fields: String, field: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(fields) }
        #expect(error?.field == field && error?.remedy.isEmpty == false, "\(error?.description ?? "")")
    }
}
