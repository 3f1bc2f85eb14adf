// Golden command lines of other programs for the steps' parameters, by the map of ms-swift's arguments.

import Testing
import Text
import WorkflowLanguage

@Suite("Backends")
struct BackendCommandTests {
    private static func render(_ kind: MartletStep.Kind, _ yaml: String, inputs: [String]) throws
        -> Result<BackendCommand, BackendCommand.Refusal>
    {
        let (documents, problems) = ManifestReader.read(
            Array("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nstep: \(yaml)".utf8), file: "t")
        let json = try #require(documents.first?.json["step"], "\(problems)")
        return BackendCommand.rendering(MartletStep(kind: kind, parameters: json), inputs: inputs)
    }

    struct Golden: Sendable, CustomTestStringConvertible {
        var kind: MartletStep.Kind
        var step: String
        var inputs: [String]
        var line: String
        var testDescription: String { "\(kind) \(step)" }
    }

    private static let golden: [Golden] = [
        Golden(
            kind: .sft,
            step: "{backend: ms-swift, model: Qwen/Qwen2.5-72B-Instruct, lora_rank: 8, learning_rate: 1e-4, "
                + "deepspeed: zero3, optim: adamw_8bit}",
            inputs: ["dataset"],
            line: "python -m swift.cli.main sft --dataset /.martlet/inputs/dataset --deepspeed zero3 "
                + "--learning_rate 0.0001 --lora_rank 8 --model Qwen/Qwen2.5-72B-Instruct "
                + "--optim adamw_bnb_8bit --output_dir /.martlet/outputs/run --add_version false "
                + "--create_checkpoint_symlink true"),
        Golden(
            kind: .pretrain, step: "{backend: ms-swift, tuner_type: full, packing: true, min_lr: 1e-6}",
            inputs: ["model", "dataset"],
            line: "python -m swift.cli.main pt --dataset /.martlet/inputs/dataset --lr_scheduler_kwargs "
                + #"{"min_lr": 0.000001} --model /.martlet/inputs/model --packing true --tuner_type full "#
                + "--output_dir /.martlet/outputs/run --add_version false --create_checkpoint_symlink true"),
        Golden(
            kind: .dpo, step: "{backend: ms-swift, beta: 0.2, dataset: [a.jsonl, b.jsonl]}",
            inputs: ["model", "adapter"],
            line: "python -m swift.cli.main rlhf --rlhf_type dpo --adapters /.martlet/inputs/adapter "
                + "--beta 0.2 --dataset a.jsonl b.jsonl --model /.martlet/inputs/model "
                + "--output_dir /.martlet/outputs/run --add_version false --create_checkpoint_symlink true"),
        Golden(
            kind: .rlhf,
            step: "{backend: ms-swift, rlhf_type: grpo, num_generations: 8, reward_funcs: [accuracy]}",
            inputs: ["model", "dataset"],
            line: "python -m swift.cli.main rlhf --dataset /.martlet/inputs/dataset --model "
                + "/.martlet/inputs/model --num_generations 8 --reward_funcs accuracy --rlhf_type grpo "
                + "--output_dir /.martlet/outputs/run --add_version false --create_checkpoint_symlink true"),
        Golden(
            kind: .merge, step: "{backend: ms-swift}", inputs: ["model", "adapter"],
            line: "python -m swift.cli.main export --adapters /.martlet/inputs/adapter --model "
                + "/.martlet/inputs/model --merge_lora true --output_dir /.martlet/outputs/model"),
        Golden(
            kind: .quantize, step: "{backend: ms-swift, quant_method: gptq, quant_bits: 4}",
            inputs: ["model", "dataset"],
            line: "python -m swift.cli.main export --dataset /.martlet/inputs/dataset --model "
                + "/.martlet/inputs/model --quant_bits 4 --quant_method gptq --output_dir /.martlet/outputs/model"
        ),
        Golden(
            kind: .generate, step: "{backend: ms-swift, max_new_tokens: 64, infer_backend: vllm}",
            inputs: ["model", "dataset"],
            line:
                "python -m swift.cli.main infer --val_dataset /.martlet/inputs/dataset --infer_backend vllm "
                + "--max_new_tokens 64 --model /.martlet/inputs/model "
                + "--result_path /.martlet/outputs/output/responses.jsonl"),
        Golden(
            kind: .evaluate,
            step: "{backend: evalscope, eval_dataset: [gsm8k, arc], eval_limit: 10, num_fewshot: 4, "
                + "temperature: 0, max_new_tokens: 128}",
            inputs: ["model"],
            line:
                "python -m evalscope.cli.cli eval --limit 10 --model /.martlet/inputs/model --datasets gsm8k arc "
                + #"--dataset-args {"arc":{"few_shot_num":4},"gsm8k":{"few_shot_num":4}} "#
                + "--generation-config max_tokens=128,temperature=0 --work-dir /.martlet/outputs/report"),
        Golden(
            kind: .deploy,
            step: "{backend: vllm, name: chat, port: 8000, vllm_tensor_parallel_size: 8, "
                + "max_model_len: 8192, enforce_eager: true}",
            inputs: ["model", "adapter"],
            line: "python -m vllm.entrypoints.openai.api_server --enable-lora --lora-modules "
                + "adapter=/.martlet/inputs/adapter --enforce-eager --max-model-len 8192 --model "
                + "/.martlet/inputs/model --served-model-name chat --port 8000 --tensor-parallel-size 8"),
    ]

    @Test("A step's parameters become the program's own command line", arguments: golden)
    func commands(golden: Golden) throws {
        let command = try Self.render(golden.kind, golden.step, inputs: golden.inputs).get()
        #expect(command.words.joined(separator: " ") == golden.line)
    }

    @Test(
        "What the program has nothing for is refused by name",
        arguments: [
            (MartletStep.Kind.sft, "{backend: ms-swift, ema_decay: 0.9}", "ema_decay"),
            (.sft, "{backend: ms-swift, batch_order: f}", "batch_order"),
            (.pretrain, "{backend: ms-swift, init_config: c.json}", "init_config"),
            (.quantize, "{backend: ms-swift, quant_method: rtn}", "quant_method"),
            (.sft, "{backend: vllm}", "backend"), (.tokenizer, "{backend: ms-swift}", "backend"),
            (.evaluate, "{backend: evalscope, eval_dataset: arc, adapter: a}", "adapter"),
            (.deploy, "{backend: vllm, quant: int4}", "quant"),
        ] as [(MartletStep.Kind, String, String)])
    func refused(_ kind: MartletStep.Kind, _ step: String, _ parameter: String) throws {
        guard
            case .failure(let refusal) = try Self.render(
                kind, step, inputs: kind == .deploy ? ["model"] : ["model", "dataset"])
        else {
            Issue.record("\(step) was taken")
            return
        }
        #expect(refusal.problems.map(\.parameter) == [parameter])
    }

    @Test("Lowered, the program's image runs it, with the GPUs that were asked for")
    func lowered() {
        let result = MartletStep.lowering(
            template: [
                "name": "t", "sft": ["backend": "ms-swift", "model": "m"],
                "inputs": ["artifacts": [["name": "dataset"]]],
                "metadata": ["annotations": ["martlet.dev/procs-per-node": "8"]],
            ], image: "martlet")
        let container = result["container"]
        #expect(container?["image"] == "modelscope/ms-swift")
        #expect(container?["args"]?.arrayValue?.first == "sft")
        #expect(container?["command"]?.arrayValue?.last == "swift.cli.main")
        #expect(container?["resources"] == ["limits": ["nvidia.com/gpu": 8]])
        #expect(container?["env"] == [["name": "NPROC_PER_NODE", "value": "8"]])
        #expect(result["inputs"]?["artifacts"]?.arrayValue?.first?["path"] == "/.martlet/inputs/dataset")
    }

    @Test("A problem stands at its parameter's line")
    func place() throws {
        let manifest = Linting.workflow(
            """
            entrypoint: main
            templates:
            - name: main
              inputs: {artifacts: [{name: dataset, raw: {data: x}}]}
              sft:
                backend: ms-swift
                model: m
                ema_decay: 0.9
            """)
        let problem = try #require(Linting.lint(manifest).first { $0.severity == .error })
        #expect(problem.message == "ms-swift has nothing for ema_decay")
        #expect((problem.line, problem.column) == (12, 7))
    }
}
