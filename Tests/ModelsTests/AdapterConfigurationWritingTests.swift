// adapter_config.json for new adapters: PEFT's keys in PEFT's order, and what is read is what was made.

import Models
import Testing
import Text

@Suite("Adapter configuration, written")
struct AdapterConfigurationWritingTests {
    @Test("A new adapter's file has every key of PEFT 0.21, in its order")
    func text() throws {
        let configuration = try AdapterConfiguration(
            rank: 8, alpha: 16, dropout: 0.05, useDoRA: true,
            targetModules: .names(["v_proj", "q_proj", "v_proj"]),
            modulesToSave: ["lm_head"], base: "caf\u{E9}")
        let expected = """
            {
              "alora_invocation_tokens": null,
              "alpha_pattern": {},
              "arrow_config": null,
              "auto_mapping": null,
              "base_model_name_or_path": "caf\\u00e9",
              "bias": "none",
              "corda_config": null,
              "ensure_weight_tying": false,
              "eva_config": null,
              "exclude_modules": null,
              "fan_in_fan_out": false,
              "inference_mode": true,
              "init_lora_weights": true,
              "kasa_config": null,
              "layer_replication": null,
              "layers_pattern": null,
              "layers_to_transform": null,
              "loftq_config": {},
              "lora_alpha": 16,
              "lora_bias": false,
              "lora_dropout": 0.05,
              "lora_ga_config": null,
              "megatron_config": null,
              "megatron_core": "megatron.core",
              "modules_to_save": [
                "lm_head"
              ],
              "monteclora_config": null,
              "peft_type": "LORA",
              "peft_version": "0.21.2",
              "qalora_group_size": 16,
              "r": 8,
              "rank_pattern": {},
              "revision": null,
              "target_modules": [
                "q_proj",
                "v_proj"
              ],
              "target_parameters": null,
              "task_type": "CAUSAL_LM",
              "trainable_token_indices": null,
              "use_bdlora": null,
              "use_dora": true,
              "use_qalora": false,
              "use_rslora": false,
              "velora_config": null
            }

            """
        #expect(configuration.fileText == expected)
    }

    @Test("What is made reads the same from its text")
    func roundTrip() throws {
        for targets in [
            AdapterConfiguration.TargetModules.names(["q_proj"]), .pattern(".*_proj"), .allLinear,
        ] {
            let made = try AdapterConfiguration(
                rank: 4, alpha: 2.5, dropout: 0, useRSLoRA: true, targetModules: targets,
                modulesToSave: ["embed_tokens"], ensureWeightTying: true, base: nil)
            let read = try AdapterConfiguration(
                parsing: Array(made.fileText.utf8), file: "adapter_config.json")
            #expect(made.json == read.json && read.targetModules == targets && read.alpha == 2.5)
            #expect(read.ensureWeightTying && read.dropout == 0 && read.useRSLoRA && !read.useDoRA)
            #expect(read.baseModelNameOrPath == nil && read.scaling(for: "a.q_proj") == 1.25)
            #expect(made.targets("a.q_proj") && !made.targets("a.embed_tokens"))
        }
    }

    @Test("The text of a foreign file keeps what it says, in its order")
    func keeps() throws {
        let text =
            "{\n  \"peft_type\": \"LORA\",\n  \"target_modules\": \"all-linear\",\n"
            + "  \"later\": [\n    1.0\n  ]\n}\n"
        #expect(try AdapterConfiguration(parsing: Array(text.utf8), file: "f").fileText == text)
    }

    @Test("Numbers out of range and expressions that are none are refused by field")
    func refuses() {
        typealias Targets = AdapterConfiguration.TargetModules
        let cases: [(rank: Int, alpha: Double, dropout: Double, targets: Targets, field: String)] = [
            (0, 1, 0, .allLinear, "r"), (65_537, 1, 0, .allLinear, "r"),
            (8, .nan, 0, .allLinear, "lora_alpha"),
            (8, 1, 1.5, .allLinear, "lora_dropout"), (8, 1, 0, .names([]), "target_modules"),
            (8, 1, 0, .pattern("("), "target_modules"),
        ]
        for row in cases {
            let error = #expect(throws: ConfigurationError.self) {
                try AdapterConfiguration(
                    rank: row.rank, alpha: row.alpha, dropout: row.dropout, targetModules: row.targets,
                    base: nil)
            }
            #expect(error?.field == row.field)
        }
    }
}
