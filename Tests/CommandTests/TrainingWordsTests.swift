// The words of the training commands: booleans, lists, configuration files, other trainers' parameters, and
// errors.

import ArgumentParser
import Testing
import Training

@testable import martlet

@Suite("Words of training commands")
struct TrainingWordsTests {
    private struct Missing: Error {}

    /// What the parser gets, where the file `c.yaml` has this text.
    private func prepared(_ words: [String], file: String? = nil) throws -> TrainingWords.Prepared {
        let prepared = try TrainingWords.prepared(words) { path in
            guard let file, path.hasPrefix("c.") else { throw Missing() }
            return Array(file.utf8)
        }
        return try #require(prepared)
    }

    private func message(_ words: [String], file: String? = nil) -> String? {
        let error = #expect(throws: CommandError.self, "\(words)") { try prepared(words, file: file) }
        #expect(error?.status == 2)
        return error?.message
    }

    @Test(
        "Words become one flag with its value each",
        arguments: [
            (["--packing"], ["--packing=true"]),
            (["--packing", "true"], ["--packing=true"]),
            (["--packing=False"], ["--packing=false"]),
            (["--gradient_checkpointing", "false"], ["--gradient-checkpointing=false"]),
            (["--packing", "--strict", "no"], ["--packing=true", "--strict=false"]),
            (["--dataset", "a", "b", "--dataset", "c"], ["--dataset=a", "--dataset=b", "--dataset=c"]),
            (["--dataset=a", "--model", "m"], ["--dataset=a", "--model=m"]),
            (["--max_steps", "-1"], ["--max-steps=-1"]),
            (["--learning-rate", "1e-4"], ["--learning-rate=1e-4"]),
            (["--train_type", "full"], ["--tuner-type=full"]),
            (["--adapter", "x"], ["--adapters=x"]),
            (["--bnb_4bit_use_double_quant", "false"], ["--double-quantization=false"]),
            (["--optim", "adamw_torch_fused"], ["--optim=adamw_torch"]),
            (["--optim", "paged_adamw_8bit"], ["--optim=adamw_8bit"]),
            (["--bf16", "true"], ["--torch-dtype=bfloat16"]),
            (["--bf16", "false"], []),
            (["--add_version", "false"], []),
            (["--columns", #"{"a_b": "query"}"#], [#"--columns={"a_b": "query"}"#]),
        ])
    func words(given: [String], parsed: [String]) throws {
        #expect(try prepared(["sft"] + given) == TrainingWords.Prepared(words: ["sft"] + parsed))
    }

    @Test("Only training commands are read here, and not where help is asked for")
    func otherCommands() throws {
        for words in [["generate", "--chat"], [], ["sft", "--help"], ["help", "sft"], ["--version"]] {
            #expect(try TrainingWords.prepared(words) == nil)
        }
    }

    @Test("Every option of every command is known by its name, and the parser takes what is made of it")
    func tableAgreesWithParser() throws {
        for groups in [TrainingOptions.groups + [PreferenceOptions.self], MergeCommand.parameterGroups] {
            for group in groups {
                let table = ParameterTable([group])
                #expect(!table.kinds.isEmpty)
                var words: [String] = []
                for (name, kind) in table.kinds {
                    switch kind {
                    case .flag: words.append("--\(name)=true")
                    case .integer, .natural, .number: words.append("--\(name)=4")
                    case .text, .list: words.append("--\(name)=word")
                    case .choice(let choices):
                        #expect(!choices.isEmpty)
                        words += choices.map { "--\(name)=\($0)" }
                    }
                }
                #expect(throws: Never.self) { try group.parse(words) }
            }
        }
    }

    @Test("Every command has the options of its table in its help", arguments: TrainingWords.commands.indices)
    func help(index: Int) {
        let command = TrainingWords.commands[index]
        let help = command.helpMessage(includeHidden: true)
        for name in ParameterTable(command.parameterGroups).kinds.keys {
            #expect(help.contains("  --\(name) "), "\(name)")
        }
    }

    // MARK: Files

    @Test("A file means what its flags mean, in YAML and in JSON")
    func files() throws {
        let yaml = """
            model: m
            dataset: [a.jsonl, b.jsonl]
            learning_rate: 1e-4
            packing: false
            dataset_shuffle: false
            logging_first_step: true
            lora_rank: 16
            system: null
            columns: {prompt_text: query}
            target_modules: all-linear
            """
        let json = """
            {"model": "m", "dataset": ["a.jsonl", "b.jsonl"], "learning_rate": 1e-4, "packing": false,
            "dataset_shuffle": false, "logging_first_step": true, "lora-rank": 16, "system": null,
            "columns": {"prompt_text": "query"}, "target_modules": "all-linear"}
            """
        let flags = [
            "sft", "--model", "m", "--dataset", "a.jsonl", "b.jsonl", "--learning_rate", "0.0001",
            "--packing",
            "false", "--dataset_shuffle", "false", "--logging_first_step", "--lora_rank", "16", "--columns",
            #"{"prompt_text":"query"}"#, "--target_modules", "all-linear",
        ]
        let written = try parameters(flags)
        #expect(try parameters(["sft", "--config", "c.yaml"], file: yaml) == written)
        #expect(try parameters(["sft", "--config=c.json"], file: json) == written)
        #expect(try parameters(["sft", "c.yaml"], file: yaml) == written)
        #expect(written.datasetShuffle == false && written.columns == ["prompt_text": "query"])
    }

    private func parameters(_ words: [String], file: String? = nil) throws -> TrainingParameters {
        let words = try prepared(words, file: file).words
        return try TrainingReading.options(words.dropFirst()).parameters(
            stage: .sft, environment: { _ in nil }, notice: { _ in })
    }

    @Test("What is on the command line replaces what the file says, lists included")
    func replaced() throws {
        let file = "dataset: [a, b]\nlora_rank: 4\npacking: true\n"
        let words = ["sft", "--packing", "false", "--config", "c.yaml", "--dataset", "c", "--lora-rank=8"]
        #expect(
            try prepared(words, file: file).words
                == ["sft", "--packing=false", "--dataset=c", "--lora-rank=8"])
    }

    @Test("Input artifacts of a step that are no parameters are passed over")
    func artifacts() throws {
        let file = #"{"adapter": "/.martlet/inputs/adapter", "notes": "/.martlet/inputs/notes"}"#
        let prepared = try prepared(["sft", "--config", "c.json"], file: file)
        #expect(prepared.words == ["sft", "--adapters=/.martlet/inputs/adapter"])
        #expect(
            prepared.notices == ["the input artifact \"notes\" is not used: it is no parameter of sft"])
    }

    // MARK: Errors

    @Test(
        "What cannot be meant is refused with the parameter's name and what to do",
        arguments: [
            (["--lora_rnak", "8"], "--lora_rnak: no parameter has this name; did you mean --lora_rank?"),
            (["--zzzzzz", "8"], "--zzzzzz: no parameter has this name; see martlet sft --help"),
            (["--lora_rank", "abc"], "--lora_rank: \"abc\" is not a whole number"),
            (["--lora_rank", "8.5"], "--lora_rank: \"8.5\" is not a whole number"),
            (["--lora_rank"], "--lora_rank: the value is missing"),
            (["--lora_rank="], "--lora_rank: the value is missing"),
            (
                ["--learning_rate", "fast"],
                "--learning_rate: \"fast\" is not a number; write one like 0.1 or 1e-4"
            ),
            (
                ["--learning_rate", "nan"],
                "--learning_rate: \"nan\" is not a number; write one like 0.1 or 1e-4"
            ),
            (["--packing=maybe"], "--packing: \"maybe\" is neither true nor false"),
            (["--packing", "maybe"], "\"maybe\" belongs to no parameter; write --NAME maybe"),
            (["--model", "a", "b"], "\"b\" belongs to no parameter; write --NAME b"),
            (["x.jsonl"], "\"x.jsonl\" belongs to no parameter; write --NAME x.jsonl"),
            (["--config"], "--config has no value; give a YAML or JSON file"),
            (["--beta", "0.1"], "--beta: this is a parameter of rlhf, dpo, not of sft"),
            (["--exist_ok"], "--exist_ok: this is a parameter of quantize, merge, not of sft"),
            (
                ["--optim", "adafactor"],
                "--optim: \"adafactor\" is not there; write adamw_torch, adamw_8bit, sgd, lion"
            ),
            (["--tuner_type", "vera"], "--tuner_type: \"vera\" is not there; write full, lora"),
            (["--seed", "-1"], "--seed: \"-1\" is not a whole number from 0 on"),
            (["--output_dir="], "--output_dir: the value is missing"),
            (
                ["--max_steps", "9223372036854775808"],
                "--max_steps: \"9223372036854775808\" is not a whole number"
            ),
        ])
    func refused(words: [String], text: String) {
        #expect(message(["sft"] + words) == text)
    }

    @Test("All that is wrong is said at once")
    func allAtOnce() {
        #expect(
            message(["sft", "--lora_rank", "x", "--seeed", "1"])?.split(separator: "\n").count == 2)
    }

    @Test(
        "A file that cannot be meant is refused with its name",
        arguments: [
            ("- a\n- b\n", "c.yaml: not a map of parameters; write lines like `lora_rank: 8`"),
            ("lora_rank: [1, 2]\n", "c.yaml: --lora_rank: one value is wanted, not 2"),
            ("packing: [true, false]\n", "c.yaml: --packing: one value is wanted, not 2"),
            (
                "config: d.yaml\n",
                "c.yaml: config: a file cannot name another; give both on the command line"
            ),
            ("lora_rnk: 8\n", "c.yaml: --lora_rnk: no parameter has this name; did you mean --lora_rank?"),
        ])
    func badFiles(file: String, text: String) {
        #expect(message(["sft", "--config", "c.yaml"], file: file) == text)
    }

    @Test("A file that is no YAML is refused with the place")
    func brokenFile() {
        #expect(message(["sft", "--config", "c.yaml"], file: "a: [1\nb: 2\n")?.hasPrefix("c.yaml:") == true)
    }

    // MARK: Other trainers

    @Test(
        "Parameters that change nothing are passed over with a notice",
        arguments: [
            ["--deepspeed", "zero2"], ["--attn_impl", "flash_attn"], ["--use_liger_kernel", "true"],
            ["--dataloader_num_workers", "4"], ["--freeze_vit", "true"], ["--ddp_backend", "nccl"],
            ["--wandb_project", "x"], ["--model_type", "qwen2"], ["--use_hf"], ["--padding_free", "true"],
        ])
    func ignored(words: [String]) throws {
        let prepared = try prepared(["sft"] + words)
        #expect(prepared.words == ["sft"])
        #expect(prepared.notices.count == 1)
        #expect(prepared.notices.first?.hasPrefix("\(words[0]) has no effect here: ") == true)
    }

    @Test(
        "Parameters that would change the result are refused, unless their value means what is done anyway",
        arguments: [
            ("sequence_parallel_size", "2", "1"), ("fp16", "true", "false"), ("use_galore", "true", "false"),
            ("task_type", "seq_cls", "causal_lm"), ("bnb_4bit_quant_type", "fp4", "nf4"),
            ("add_version", "true", "false"), ("init_weights", "pissa", "true"),
            ("push_to_hub", "true", "False"), ("lora_bias", "all", "none"),
            ("packing_strategy", "x", "binpack"),
            ("load_best_model_at_end", "true", "false"),
        ])
    func refusedUnless(name: String, changing: String, harmless: String) throws {
        let text = message(["sft", "--\(name)", changing])
        #expect(text?.hasPrefix("--\(name): ") == true)
        #expect((text?.count ?? 0) > name.count + 20, "\(name) says what to do")
        #expect(try prepared(["sft", "--\(name)", harmless]) == .init(words: ["sft"]))
    }

    @Test("What ms-swift has and this has not names the way that there is")
    func remedies() {
        #expect(message(["sft", "--template", "qwen2_5"])?.contains("chat_template") == true)
        #expect(message(["sft", "--merge_lora", "true"])?.contains("martlet merge") == true)
        #expect(
            message(["rlhf", "--reward_funcs", "accuracy", "format"])?.contains("--rlhf_type dpo") == true)
        #expect(message(["sft", "--lr_scheduler_kwargs", "{}"])?.contains("--min_lr") == true)
    }
}
