// Martlet's own steps at lint: typed parameters with their places, and graphs that could not work.

import Testing
import Text

@testable import WorkflowLanguage

@Suite("Lint of steps")
struct StepLintTests {
    /// A workflow with one step template that has everything it needs.
    private static func step(
        _ step: String, inputs: String = "[{name: model, raw: {data: x}}, {name: dataset, raw: {data: x}}]"
    ) -> String {
        Linting.workflow(
            """
            entrypoint: main
            arguments: {parameters: [{name: rank, value: "1"}]}
            templates:
            - name: main
              inputs: {artifacts: \(inputs)}
              \(step)
            """)
    }

    private static func problems(_ manifest: String, options: ValidationOptions = .init()) -> [Diagnostic] {
        Linting.lint(manifest, options: options).filter { $0.severity == .error }
    }

    @Test("An unknown parameter is named where it stands, with the one that was meant")
    func unknown() throws {
        let problem = try #require(
            Self.problems(
                Self.step(
                    """
                    sft:
                        tuner_type: lora
                        lora_rnak: 8
                    """)
            ).first)
        #expect(problem.message == "unknown parameter lora_rnak")
        #expect(problem.remedy == "did you mean lora_rank?")
        #expect((problem.line, problem.column) == (12, 7))
        #expect(problem.path == "spec.templates[0].sft.lora_rnak")
    }

    @Test(
        "Wrong types, ranges and words are refused",
        arguments: [
            ("sft: {lora_rank: many}", "lora_rank must be a whole number, not \"many\""),
            ("sft: {lora_rank: 0}", "lora_rank must be from 1 to 65536, not 0"),
            ("sft: {lora_rank: 1.5}", "lora_rank must be a whole number, not 1.5"),
            ("sft: {lora_dropout: 1}", "lora_dropout must be at least 0 and less than 1, not 1"),
            ("sft: {packing: maybe}", "packing must be true or false, not \"maybe\""),
            ("sft: {tuner_type: whole}", "tuner_type: \"whole\" is not there"),
            (
                "sft: {learning_rate: fast}",
                "learning_rate must be a number such as 0.1 or 1e-4, not \"fast\""
            ),
            (
                "sft: {learning_rate: [1, 2]}",
                "learning_rate must be a number such as 0.1 or 1e-4, not a list"
            ),
            ("sft: {seed: -1}", "seed must be a whole number from 0 on, not -1"),
            ("dpo: {beta: 0}", "beta must be more than 0 and at most 1000, not 0"),
            ("dpo: {rlhf_type: kto}", "rlhf_type kto: this step is dpo"),
            ("sft: {beta: 0.1}", "unknown parameter beta"),
            ("sft: {lr: 1e-4, learning_rate: 1e-4}", "learning_rate and lr are the same parameter"),
            ("sft: {backend: pytorch}", "backend: \"pytorch\" is not there"),
            (
                "sft: {tuner_type: full, quant_method: bnb, quant_bits: 4}",
                "quantized weights cannot be trained"
            ),
            ("sft: {streaming: true}", "streaming needs max_steps"),
            ("rlhf: {packing: true}", "packing is for pretrain and sft"),
            ("sft: {num_generations: 4}", "num_generations cannot be had here"),
            ("quantize: {quant_method: zip}", "quant_method: \"zip\" is not there"),
            ("plugin: {martlet: {sft: {lora_rnak: 8}}}", "unknown parameter lora_rnak"),
            ("plugin: {martlet: {sft: {lora_rank: 0}}}", "lora_rank must be from 1 to 65536, not 0"),
        ])
    func refused(_ step: String, _ message: String) throws {
        let problems = Self.problems(Self.step(step))
        #expect(problems.count == 1)
        #expect(problems.first?.message.contains(message) == true, "\(problems)")
    }

    @Test(
        "Good values pass, in all their spellings and as tags",
        arguments: [
            "sft: {lora-rank: 8, train_type: lora, lr: 1e-4, bf16: true}",
            "sft: {lora_rank: \"{{workflow.parameters.rank}}\", packing: \"true\", dataset: [a.jsonl, b.jsonl]}",
            "sft: {optim: adamw, quant_method: bnb, quant_bits: 4}",
            "dpo: {beta: 0.2, rlhf_type: dpo}", "rlhf: {rlhf_type: kto, desirable_weight: 2}",
            "pretrain: {num_train_epochs: 0.5}",
            "evaluate: {eval_dataset: [gsm8k, arc], num_fewshot: 4, fail_below: [acc=0.5]}",
            "quantize: {quant_method: gptq, quant_bits: 4, group_size: -1}",
            "generate: {prompt: hello, max_new_tokens: 5, chat: true}",
            "plugin: {martlet: {sft: {lora_rank: 8}}}",
        ])
    func accepted(_ step: String) {
        #expect(Self.problems(Self.step(step)) == [])
    }

    @Test("Parameters that change nothing here are a warning")
    func withoutEffect() {
        let found = Linting.lint(Self.step("sft: {deepspeed: zero2}"))
        #expect(found.filter { $0.severity == .error } == [])
        #expect(
            found.contains { $0.severity == .warning && $0.message.hasPrefix("deepspeed has no effect here") }
        )
    }

    @Test(
        "What a step cannot do without is asked for",
        arguments: [
            ("sft: {}", "[{name: model, raw: {data: x}}]", "sft has no dataset"),
            ("sft: {}", "[{name: dataset, raw: {data: x}}]", "sft has no model"),
            ("merge: {}", "[{name: model, raw: {data: x}}]", "merge has no adapter"),
            ("evaluate: {}", "[{name: model, raw: {data: x}}]", "evaluate has no task"),
            ("tokenizer: {}", "[{name: dataset, raw: {data: x}}]", "tokenizer has no vocab_size"),
            ("download: {}", "[]", "download has no repo"),
        ])
    func needs(_ step: String, _ inputs: String, _ message: String) {
        #expect(Self.problems(Self.step(step, inputs: inputs)).map(\.message) == [message])
    }

    // MARK: Graphs

    private static func pipeline(
        tune: String = "sft: {}", merge: String = "merge: {}", from: String = "adapter",
        as input: String = "adapter",
        when: String = "{{tasks.tune.outputs.parameters.train_loss}} < 3"
    ) -> String {
        Linting.workflow(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - name: get
                  template: get
                - name: tune
                  template: tune
                  dependencies: [get]
                  arguments: {artifacts: [{name: model, from: "{{tasks.get.outputs.artifacts.model}}"}]}
                - name: merge
                  template: merge
                  dependencies: [tune, get]
                  when: "\(when)"
                  arguments:
                    artifacts:
                    - {name: model, from: "{{tasks.get.outputs.artifacts.model}}"}
                    - {name: \(input), from: "{{tasks.tune.outputs.artifacts.\(from)}}"}
            - {name: get, download: {repo: some/model}}
            - name: tune
              inputs: {artifacts: [{name: model}, {name: dataset, raw: {data: '{"query": "a", "response": "b"}'}}]}
              \(tune)
            - name: merge
              inputs: {artifacts: [{name: model}, {name: \(input)}]}
              \(merge)
            """)
    }

    @Test("A pipeline that fits together passes")
    func fits() {
        #expect(Self.problems(Self.pipeline()) == [])
        #expect(Self.problems(Self.pipeline(merge: "merge: {force: true}")) == [])
    }

    @Test("Merging an adapter of a quantized base is refused before anything starts, unless it is forced")
    func quantizedAdapter() {
        let tune = "sft: {quant_method: bnb, quant_bits: 4}"
        let problems = Self.problems(Self.pipeline(tune: tune))
        #expect(problems.count == 1)
        #expect(problems.first?.message.contains("trained on a quantized base") == true)
        #expect(problems.first?.path == "spec.templates[0].dag.tasks[2].arguments.artifacts[1]")
        #expect(Self.problems(Self.pipeline(tune: tune, merge: "merge: {force: true}")) == [])
    }

    @Test("An artifact that the step does not give with its parameters is refused")
    func missingArtifact() {
        let whole = Self.problems(Self.pipeline(tune: "sft: {tuner_type: full}"))
        #expect(whole.first?.message.contains("has no outputs.artifacts.adapter") == true)
        let adapter = Self.problems(Self.pipeline(from: "model"))
        #expect(adapter.last?.message.contains("has no outputs.artifacts.model") == true)
    }

    @Test("An adapter is no model")
    func wrongKind() {
        let problems = Self.problems(
            Self.pipeline(merge: "quantize: {quant_method: rtn}", as: "model").replacing(
                "- {name: model, from: \"{{tasks.get.outputs.artifacts.model}}\"}\n", with: ""))
        #expect(problems.contains { $0.message.contains("the artifact adapter of a sft step is no model") })
    }

    @Test(
        "A gate on a figure that the step does not give is refused",
        arguments: [
            ("sft: {}", "{{tasks.tune.outputs.parameters.accuracy}} > 1", false),
            ("sft: {}", "{{tasks.tune.outputs.parameters.eval_loss}} < 1", false),
            ("sft: {split_dataset_ratio: 0.1}", "{{tasks.tune.outputs.parameters.eval_loss}} < 1", true),
            ("sft: {}", "{{tasks.tune.outputs.parameters.tokens_per_second}} > 1", true),
        ])
    func gate(_ tune: String, _ when: String, _ isFine: Bool) {
        #expect(Self.problems(Self.pipeline(tune: tune, when: when)).isEmpty == isFine)
    }

    @Test(
        "Data of the wrong shape for the trainer are refused",
        arguments: [
            (#"{"query": "a", "response": "b"}"#, "sft: {}", true),
            (#"{"query": "a", "response": "b"}"#, "dpo: {}", false),
            (#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#, "dpo: {}", true),
            (#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#, "sft: {}", false),
            (#"{"messages": [{"role": "user", "content": "a"}]}"#, "dpo: {}", false),
            (
                #"{"messages": [{"role": "assistant", "content": "a"}], "label": true}"#,
                "rlhf: {rlhf_type: kto}", true
            ),
            (#"{"messages": [{"role": "assistant", "content": "a"}]}"#, "rlhf: {rlhf_type: kto}", false),
            (#"{"name": "a"}"#, "pretrain: {tuner_type: full}", false),
            (#"{"text": "a"}"#, "pretrain: {}", true),
            (#"{"name": "a"}"#, "sft: {columns: '{\"name\": \"text\"}'}", true),
            ("plain text", "sft: {}", true),
        ])
    func shape(_ row: String, _ step: String, _ isFine: Bool) {
        let data = row.replacing("'", with: "''")
        let inputs = "[{name: model, raw: {data: x}}, {name: dataset, raw: {data: '\(data)'}}]"
        let problems = Self.problems(Self.step(step, inputs: inputs))
        #expect(problems.isEmpty == isFine, "\(problems)")
        if !isFine { #expect(problems.first?.message.hasPrefix("the data do not fit") == true) }
        // The same of a file that can be read.
        var options = ValidationOptions()
        options.readHead = { $0 == "/data/rows.jsonl" ? Array((row + "\n").utf8) : nil }
        let filed = step.replacing("{}", with: "{dataset: /data/rows.jsonl}").replacing(
            "_type: kto}", with: "_type: kto, dataset: /data/rows.jsonl}"
        ).replacing(
            "_type: full}", with: "_type: full, dataset: /data/rows.jsonl}"
        ).replacing(
            "{columns", with: "{dataset: /data/rows.jsonl, columns")
        let found = Self.problems(
            Self.step(filed, inputs: "[{name: model, raw: {data: x}}]"), options: options)
        #expect(found.isEmpty == isFine, "\(found)")
    }

    // MARK: Annotations

    @Test(
        "Annotations that would be passed over are refused",
        arguments: [
            ("{martlet.dev/oom: adapt}", "", "needs a retryStrategy"),
            ("{martlet.dev/oom: shrink}", "retryStrategy: {limit: 1}", "\"shrink\" is not there"),
            ("{martlet.dev/cache: yes please}", "", "\"yes please\" is not there"),
        ])
    func annotations(_ annotations: String, _ more: String, _ message: String) {
        let problems = Self.problems(
            Self.step(
                "metadata: {annotations: \(annotations)}\n  \(more.isEmpty ? "sft: {}" : more + "\n  sft: {}")"
            ))
        #expect(problems.count == 1)
        #expect(problems.first?.message.contains(message) == true, "\(problems)")
    }

    @Test("The tables can be read, and every other name leads to a parameter")
    func tables() {
        for text in StepParameterTable.texts { #expect(StepParameterTable.read(text).faults == []) }
        let known = MartletStep.Kind.allCases.flatMap { StepParameterTable.of($0).parameters.keys }
        for (_, name) in StepParameterTable.aliases { #expect(known.contains(name)) }
    }
}
