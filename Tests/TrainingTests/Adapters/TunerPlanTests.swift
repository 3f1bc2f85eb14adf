// Which parameters a run trains: targets by name, expression or all; whole modules; beginnings of names; and
// what is said where nothing matches.

import Models
import Testing
import Training

@Suite("Tuner plans")
struct TunerPlanTests {
    private static func plan(
        tied: Bool = true, adapter: AdapterConfiguration? = nil, _ change: (inout TrainingParameters) -> Void
    ) throws(TrainingError) -> TunerPlan {
        var parameters = TrainingParameters()
        change(&parameters)
        return try TunerPlan(
            parameters, model: ModelFolder.tunable(tied: tied), adapter: adapter, base: "base")
    }

    private static func modules(_ plan: TunerPlan) -> [String] {
        plan.loras.map { String($0.module.split(separator: ".").last ?? "") }
    }

    private static let all = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

    @Test("By default every linear layer but the output layer has LoRA")
    func allLinear() throws {
        let plan = try Self.plan(tied: false) { _ in }
        #expect(Self.modules(plan) == Self.all && plan.trained.isEmpty && plan.frozen.count == 15)
        let query = try #require(plan.loras.first)
        #expect(query.module == "model.layers.0.self_attn.q_proj" && query.rank == 8 && query.scaling == 4)
        #expect(query.elementCount == 128 && plan.trainedCount == 8 * (4 * 16 - 8 + 3 * 20))
        #expect(
            plan.modelCount == ModelFolder.tunable(tied: false).parameters.reduce(0) { $0 + $1.elementCount })
        // PEFT writes the layers' names for all-linear.
        #expect(plan.adapter?.targetModules == .names(plan.loras.map(\.module).sorted()))
        #expect(plan.adapter?.baseModelNameOrPath == "base" && plan.adapter?.dropout == 0.05)
    }

    @Test(
        "Targets are names, ends of names from a dot on, or an expression for the whole name",
        arguments: [
            (["q_proj", "v_proj"], nil, ["q_proj", "v_proj"]), (["self_attn.q_proj"], nil, ["q_proj"]),
            (["model.layers.0.mlp.up_proj"], nil, ["up_proj"]), (["lm_head"], nil, ["lm_head"]),
            (["all-linear", "lm_head"], nil, all + ["lm_head"]),
            (["all-linear"], #".*\.(q|k)_proj"#, ["q_proj", "k_proj"]),
            (["all-linear"], #"model\..*mlp.*"#, ["gate_proj", "up_proj", "down_proj"]),
        ] as [([String], String?, [String])])
    func targets(names: [String], pattern: String?, expected: [String]) throws {
        let plan = try Self.plan(tied: false) { ($0.targetModules, $0.targetRegex) = (names, pattern) }
        #expect(Self.modules(plan) == expected)
    }

    @Test("The scaling is by the rank or its root, and DoRA adds a magnitude for each output")
    func variants() throws {
        let plan = try Self.plan {
            ($0.loraRank, $0.loraAlpha, $0.useRslora, $0.useDora) = (4, 6, true, true)
            $0.targetModules = ["down_proj"]
        }
        let lora = try #require(plan.loras.first)
        #expect(lora.scaling == 3 && lora.hasMagnitude && lora.elementCount == 4 * 20 + 8)
        let prefix = "base_model.model.model.layers.0.mlp.down_proj."
        #expect(
            lora.tensors == [
                AdapterTensor(
                    name: prefix + "lora_A.weight", shape: [4, 12],
                    start: .uniform(bound: 1 / 12.0.squareRoot())),
                AdapterTensor(name: prefix + "lora_B.weight", shape: [8, 4], start: .zeros),
                AdapterTensor(
                    name: prefix + "lora_magnitude_vector", shape: [8],
                    start: .rowNorms(of: "model.layers.0.mlp.down_proj.weight")),
            ])
    }

    @Test(
        "Modules to save are trained whole and have no LoRA; an end of a name is enough, as in PEFT",
        arguments: [
            (["embed_tokens", "lm_head"], ["model.embed_tokens.weight", "lm_head.weight"]),
            (["model.norm"], ["model.norm.weight"]), (["o_proj"], ["model.layers.0.self_attn.o_proj.weight"]),
            (
                ["norm"],
                [
                    "model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight",
                    "model.norm.weight",
                ]
            ),
        ])
    func saved(names: [String], expected: [String]) throws {
        let plan = try Self.plan(tied: false) { $0.modulesToSave = names }
        #expect(plan.trained.map(\.name) == expected && plan.adapter?.ensureWeightTying == false)
        #expect(
            plan.frozen.allSatisfy { !expected.contains($0.name) } && plan.frozen.count == 15 - expected.count
        )
        #expect(!plan.loras.contains { expected.contains($0.module + ".weight") })
        #expect(plan.tensorNames.suffix(expected.count) == expected.map { "base_model.model." + $0 })
    }

    @Test("A tied embedding is trained as one matrix, and saved under both names")
    func tied() throws {
        let plan = try Self.plan { $0.modulesToSave = ["embed_tokens"] }
        #expect(
            plan.adapter?.ensureWeightTying == true
                && plan.trained.map(\.name) == ["model.embed_tokens.weight"])
        #expect(
            plan.tensorNames.suffix(2) == [
                "base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight",
            ])
        let without = try Self.plan { _ in }
        #expect(plan.trainedCount - without.trainedCount == 128)
    }

    @Test("A change of a tied output layer begins from the embedding's weights")
    func tiedHead() throws {
        let plan = try Self.plan { ($0.targetModules, $0.useDora) = (["lm_head"], true) }
        let lora = try #require(plan.loras.first)
        #expect(lora.module == "lm_head" && lora.weight == "model.embed_tokens.weight")
        #expect(lora.tensors.last?.start == .rowNorms(of: "model.embed_tokens.weight"))
    }

    @Test("The settings of an adapter count over the run's")
    func existing() throws {
        let adapter = try AdapterConfiguration(
            parsing: Array(
                #"""
                {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "up_proj"],
                 "rank_pattern": {"up_proj": 3}, "alpha_pattern": {"up_proj": 9}}
                """#.utf8), file: "adapter_config.json")
        let plan = try Self.plan(adapter: adapter) { ($0.loraRank, $0.targetModules) = (99, ["nothing"]) }
        #expect(Self.modules(plan) == ["q_proj", "up_proj"] && plan.loras.map(\.rank) == [8, 3])
        #expect(plan.loras.map(\.scaling) == [2, 3])
    }

    @Test("A rank that is larger than it can use is said, not refused")
    func notes() throws {
        let plan = try Self.plan { $0.loraRank = 9 }
        #expect(plan.notes.count == 1 && plan.notes[0].contains("rank 9 is larger"))
    }
}

// MARK: Full runs

extension TunerPlanTests {
    @Test(
        "A full run trains everything but what is frozen, but what is named trainable again",
        arguments: [
            ([], [], 14), (["model.embed_tokens"], [], 13), (["model"], ["model.norm"], 1),
            (["model.layers"], [], 2),
            ([""], ["model.layers.0.mlp"], 3),
        ] as [([String], [String], Int)])
    func full(frozen: [String], trainable: [String], count: Int) throws {
        let plan = try Self.plan {
            ($0.tunerType, $0.freezeParameters, $0.trainableParameters) = (.full, frozen, trainable)
        }
        #expect(plan.trained.count == count && plan.frozen.count == 14 - count && plan.adapter == nil)
        #expect(plan.loras.isEmpty && plan.tensorNames == plan.trained.map(\.name))
    }

    @Test("The parameters of a configuration are those of the family's files")
    func inventory() throws {
        func model(_ family: String, _ more: String) throws -> TunableModel {
            let text = """
                {"architectures": ["\(family)ForCausalLM"], "vocab_size": 16, "hidden_size": 8, "head_dim": 4,
                "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, \(more)
                "num_key_value_heads": 1, "max_position_embeddings": 32}
                """
            return TunableModel(try ModelConfiguration(parsing: Array(text.utf8), file: "config.json"))
        }
        let tied = try model("Qwen2", #""tie_word_embeddings": true, "#)
        let expected = ModelFolder.tunable(tied: true)
        #expect(Set(tied.parameters) == Set(expected.parameters) && tied.linears == expected.linears)
        #expect(try model("Qwen2", "").parameters.last == .init("lm_head.weight", [16, 8]))
        let names = try model("Qwen3", "").parameters.map(\.name)
        #expect(
            names.contains("model.layers.0.self_attn.q_norm.weight")
                && !names.contains { $0.hasSuffix("bias") })
        let biased = try model("Llama", #""attention_bias": true, "mlp_bias": true, "#).parameters.map(\.name)
        #expect(biased.filter { $0.hasSuffix(".bias") }.count == 7)
    }
}

// MARK: Refusals

extension TunerPlanTests {
    private struct Refusal: Sendable {
        var tied = true
        var problem: String
        var remedy: String
        var change: @Sendable (inout TrainingParameters) -> Void
    }

    @Test("What matches nothing or cannot be is refused with what to do")
    func refuses() {
        let refusals: [Refusal] = [
            Refusal(problem: "target_modules: \"q_prj\"", remedy: "did you mean \"q_proj\"?") {
                $0.targetModules = ["v_proj", "q_prj"]
            },
            Refusal(problem: "target_modules: \"c_attn\"", remedy: "the model has q_proj, k_proj") {
                $0.targetModules = ["c_attn"]
            },
            Refusal(
                problem: "embed_tokens is no linear layer, and only those have DoRA",
                remedy: "modules_to_save"
            ) {
                ($0.targetModules, $0.useDora) = (["embed_tokens"], true)
            },
            Refusal(problem: "the list is empty", remedy: "list the modules") { $0.targetModules = [] },
            Refusal(problem: "no linear layer of the model is chosen", remedy: "the whole name") {
                $0.targetRegex = "q_proj"
            },
            Refusal(problem: "invalid regular expression", remedy: "by name") { $0.targetRegex = "(" },
            Refusal(problem: "lora_rank is 0", remedy: "8 to 64") { $0.loraRank = 0 },
            Refusal(problem: "lora_rank is 65537", remedy: "8 to 64") { $0.loraRank = 65_537 },
            Refusal(problem: "lora_dropout is 1", remedy: "0.05") { $0.loraDropout = 1 },
            Refusal(problem: "lora_dropout is nan", remedy: "0.05") { $0.loraDropout = .nan },
            Refusal(problem: "lora_alpha", remedy: "") { $0.loraAlpha = .infinity },
            Refusal(problem: "modules_to_save: \"embed_token\"", remedy: "did you mean \"embed_tokens\"?") {
                $0.modulesToSave = ["embed_token"]
            },
            Refusal(
                problem: "the output layer of this model is its embedding; PEFT", remedy: "embed_tokens alone"
            ) {
                $0.modulesToSave = ["embed_tokens", "lm_head"]
            },
            Refusal(problem: "freeze_parameters: \"modl.layers\"", remedy: "did you mean \"model.layers\"?") {
                ($0.tunerType, $0.freezeParameters) = (.full, ["modl.layers"])
            },
            Refusal(problem: "nothing is frozen", remedy: "freeze the rest") {
                ($0.tunerType, $0.trainableParameters) = (.full, ["model.norm"])
            },
            Refusal(problem: "leaves nothing to train", remedy: "freeze less") {
                ($0.tunerType, $0.freezeParameters) = (.full, ["model"])
            },
        ]
        for refusal in refusals {
            let error = #expect(throws: TrainingError.self) {
                try Self.plan(tied: refusal.tied, refusal.change)
            }
            #expect(error?.kind == .badParameters)
            #expect(error?.problem.contains(refusal.problem) == true, "\(error?.description ?? "")")
            #expect(
                error?.remedy.contains(refusal.remedy) == true || refusal.remedy.isEmpty,
                "\(error?.remedy ?? "")")
        }
    }

    @Test(
        "An adapter that this cannot go on with is refused",
        arguments: [
            (#""bias": "all""#, "trained biases"), (#""lora_bias": true"#, "trained biases"),
            (#""modules_to_save": ["lm_head"]"#, "merge the adapter first"),
            (#""modules_to_save": ["embed_tokens"]"#, "merge the adapter first"),
        ])
    func refusesExisting(fields: String, expected: String) throws {
        let adapter = try AdapterConfiguration(
            parsing: Array(#"{"peft_type": "LORA", "target_modules": ["q_proj"], \#(fields)}"#.utf8),
            file: "adapter_config.json")
        let error = #expect(throws: TrainingError.self) { try Self.plan(adapter: adapter) { _ in } }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        let full = #expect(throws: TrainingError.self) {
            try Self.plan(adapter: adapter) { $0.tunerType = .full }
        }
        #expect(full?.description.contains("merge the adapter") == true)
    }
}
