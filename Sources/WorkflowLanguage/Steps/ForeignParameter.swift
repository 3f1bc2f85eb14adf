// Parameters of ms-swift and the trainers below it that these commands do not have: which of them may be
// passed over, and which would change the result and so are refused with what to do instead.

/// A parameter that is known, but not ours.
package enum ForeignParameter: Sendable {
    /// Changes no result here, whatever its value.
    case ignored(String)
    /// Would change the result, except with these values, which mean what is done anyway.
    case refused(unless: [String], String)
    /// Stands for another parameter if it is true.
    case flag(means: String, String)

    /// What one value of it comes to.
    package enum Meaning: Hashable, Sendable {
        case nothing
        case noEffect(String)
        case instead(name: String, value: String)
        case problem(String)
    }

    package func meaning(of value: String) -> Meaning {
        switch self {
        case .ignored(let reason): .noEffect(reason)
        case .refused(let harmless, let problem):
            harmless.contains(value.lowercased()) ? .nothing : .problem(problem)
        case .flag(let name, let meant):
            StepParameter.truth(value) == true ? .instead(name: name, value: meant) : .nothing
        }
    }

    /// - Parameter name: in kebab case.
    package static func named(_ name: String) -> ForeignParameter? {
        if let parameter = table[name] { return parameter }
        return prefixes.first { name.hasPrefix($0.prefix) }?.parameter
    }

    private static let table: [String: ForeignParameter] = {
        var table: [String: ForeignParameter] = [:]
        for (reason, names) in withoutEffect {
            for name in names { table[name] = .ignored(reason) }
        }
        for (harmless, problem, names) in refusals {
            for name in names { table[name] = .refused(unless: harmless, problem) }
        }
        table["bf16"] = .flag(means: "torch-dtype", "bfloat16")
        return table
    }()

    private static let prefixes: [(prefix: String, parameter: ForeignParameter)] = [
        ("deepspeed-", .ignored(oneProcess)), ("fsdp-", .ignored(oneProcess)), ("ddp-", .ignored(oneProcess)),
        ("dataloader-", .ignored(loading)), ("wandb-", .ignored(trackers)), ("swanlab-", .ignored(trackers)),
        ("hub-", .ignored(publishing)), ("vllm-", .ignored(sampling)), ("sglang-", .ignored(sampling)),
        ("lmdeploy-", .ignored(sampling)), ("push-to-hub-", .ignored(publishing)),
        ("galore-", .ignored("it belongs to use_galore")), ("lisa-", .ignored("it belongs to LISA")),
        ("vit-", .ignored(pictures)), ("aligner-", .ignored(pictures)), ("vera-", .ignored(otherTuner)),
        ("adalora-", .ignored(otherTuner)), ("boft-", .ignored(otherTuner)),
        ("fourier-", .ignored(otherTuner)),
        ("reft-", .ignored(otherTuner)), ("llamapro-", .ignored(otherTuner)),
        ("adapter-", .ignored(otherTuner)),
        ("hqq-", .ignored("it belongs to --quant_method hqq")),
    ]

    // MARK: Without effect

    private static let oneProcess = "one process trains on this machine, and nothing is spread over others"
    private static let loading = "rows are made ready beside the arithmetic by themselves"
    private static let trackers = "the metrics are in logging.jsonl and in TensorBoard's files"
    private static let publishing = "nothing is uploaded"
    private static let sampling = "no other engine is asked"
    private static let pictures = "models that take pictures are not there"
    private static let otherTuner = "it belongs to a tuner that is not there"
    private static let arithmetic = "there is one implementation, and the numbers are the same"

    private static let withoutEffect: [(reason: String, names: [String])] = [
        (oneProcess, ["deepspeed", "fsdp", "device-map", "max-memory", "local-rank", "nproc-per-node"]),
        (
            oneProcess,
            ["zero-hpz-partition-size", "save-on-each-node", "accelerator-config", "split-batches"]
        ),
        (
            arithmetic,
            [
                "attn-impl", "use-liger-kernel", "liger-kernel-config", "torch-compile", "tf32",
                "padding-free",
                "use-flash-attn", "use-logits-to-keep", "gradient-checkpointing-kwargs", "use-cpu", "no-cuda",
                "full-determinism", "tuner-backend", "cross-entropy-chunk-size", "padding-side", "use-cache",
            ]
        ),
        (loading, ["lazy-tokenize", "packing-num-proc", "preprocess-num-proc", "remove-unused-columns"]),
        (trackers, ["run-name", "project-name", "logging-dir", "tensorboard-dir", "log-completions"]),
        (
            "progress is shown on a terminal only",
            ["disable-tqdm", "log-level", "log-level-replica", "log-on-each-node", "verbose"]
        ),
        (
            "the model is read from its directory; martlet download fetches one",
            ["use-hf", "use-ms", "check-model", "download-mode", "model-type", "ref-model-type"]
        ),
        (
            pictures,
            ["freeze-vit", "freeze-aligner", "max-pixels", "image-max-token-num", "video-max-token-num"]
        ),
        (
            "it is known without being told",
            [
                "include-num-input-tokens-seen", "average-tokens-across-devices", "label-names", "load-args",
                "ignore-args-error", "load-data-args", "auto-find-batch-size", "eval-accumulation-steps",
                "prediction-loss-only", "include-for-metrics", "acc-strategy", "acc-steps",
                "logging-strategy",
                "logging-nan-inf-filter", "do-train", "do-eval", "overwrite-output-dir", "lora-dtype",
                "bnb-4bit-compute-dtype", "bnb-4bit-quant-storage", "dataset-text-field", "ddp-backend",
                "max-completion-length", "generate-during-eval", "dpo-loss-type",
            ]
        ),
        ("environment variables are not set from a file; set them for the command", ["ENV", "env"]),
    ]

    // MARK: Refused

    private static let no = ["false", "no", "0", "none", ""]
    private static let whole = "only causal language models of text are trained; leave it out"

    private static let refusals: [(unless: [String], problem: String, names: [String])] = [
        (
            no, "float16 loses small gradients; write --torch_dtype bfloat16 or float32",
            ["fp16", "half-precision"]
        ),
        (
            ["1"], "one process trains; leave it out",
            ["sequence-parallel-size", "tensor-model-parallel-size"]
        ),
        (
            ["1"], "one process trains; leave it out",
            ["context-parallel-size", "pipeline-model-parallel-size"]
        ),
        (["1"], "one process trains; leave it out", ["expert-model-parallel-size"]),
        (
            no, "outputs have a fixed place here; leave it out, and name another directory with --output_dir",
            ["add-version"]
        ),
        (
            [],
            "the chat template of the model's tokenizer is used; leave it out, or change chat_template in "
                + "tokenizer_config.json", ["template", "chat-template", "template-type"]
        ),
        (
            [], "rows become text by the model's chat template alone; leave it out",
            [
                "response-prefix", "agent-template", "new-special-tokens", "model-name", "model-author",
                "norm-bbox",
            ]
        ),
        (
            [], "the directory is what is trained; martlet download fetches another revision",
            ["model-revision"]
        ),
        ([], "the directory is what is compared with; leave it out", ["ref-model-revision"]),
        (["causal_lm"], whole, ["task-type"]),
        ([], whole, ["num-labels", "problem-type", "multimodal", "images"]),
        (no, "only the text part is there, and it is trained; leave it out", ["freeze-llm"]),
        ([], "the positions of the model are not changed; leave it out", ["rope-scaling", "max-model-len"]),
        (
            ["true", "1", "yes"], "adapters begin as in LoRA's paper; leave it out",
            ["init-weights", "init-lora-weights"]
        ),
        (["none"], "biases are not trained beside an adapter; leave it out", ["lora-bias"]),
        (
            no + ["1", "1.0"], "both matrices of an adapter learn at one rate; leave it out",
            ["lorap-lr-ratio", "loraplus-lr-ratio"]
        ),
        ([], "adapters go to linear layers; write --target_modules", ["target-parameters"]),
        (
            no + ["0"], "this way to train is not there; write --optim adamw_8bit or --tuner_type lora",
            ["use-galore", "lisa-activated-layers", "use-muonclip", "use-flash-ckpt", "unsloth"]
        ),
        (
            [], "write the optimizer's parameters by name, such as --adam_beta1",
            ["optim-args", "optimizer-args"]
        ),
        ([], "all trained weights have one optimizer; leave it out", ["optim-target-modules"]),
        ([], "write --lr_scheduler_type cosine_with_min_lr --min_lr RATE", ["lr-scheduler-kwargs"]),
        ([], "write --num_train_epochs or --max_steps", ["max-epochs", "train-iters"]),
        (
            [], "write --per_device_train_batch_size and --gradient_accumulation_steps",
            ["global-batch-size", "micro-batch-size"]
        ),
        (
            ["nf4"], "four bits are NF4 here; leave it out", ["bnb-4bit-quant-type"]
        ),
        (["4"], "write --quant_method bnb --quant_bits 4", ["load-in-4bit"]),
        (no, "write --quant_method bnb --quant_bits 8", ["load-in-8bit"]),
        (["binpack"], "packs are filled by best fit; leave it out", ["packing-strategy"]),
        (["1000"], "write --streaming false to shuffle all rows", ["shuffle-buffer-size"]),
        (["true", "1", "yes"], "write --dataset_shuffle false", ["train-dataloader-shuffle"]),
        (no, "rows to evaluate on keep their order; leave it out", ["val-dataset-shuffle"]),
        (
            [], "data comes from files in the formats of the documentation; convert it to JSONL first",
            [
                "external-plugins", "custom-register-path", "custom-dataset-info", "cached-dataset",
                "cached-val-dataset",
            ]
        ),
        (
            [], "data sets are joined one after another; mix the files first",
            ["interleave-prob", "stopping-strategy"]
        ),
        (no, "evaluate afterwards: martlet evaluate", ["predict-with-generate", "eval-use-evalscope"]),
        (
            [], "evaluate afterwards: martlet evaluate",
            ["eval-dataset", "eval-limit", "eval-generation-config"]
        ),
        (no, "merge afterwards: martlet merge --adapters CHECKPOINT --output_dir DIR", ["merge-lora"]),
        (no, "nothing is uploaded; copy the output when it is done", ["push-to-hub"]),
        (["true", "1", "yes"], "weights are saved as safetensors; leave it out", ["save-safetensors"]),
        (no, "this is not there; evaluate by steps or epochs", ["eval-on-start", "eval-delay"]),
        (
            no, "write --create_checkpoint_symlink true, and take the checkpoint `best`",
            ["load-best-model-at-end"]
        ),
        (
            [],
            "learning by sampling and rewards is not there; write --rlhf_type dpo, orpo, simpo, cpo or kto",
            [
                "reward-model", "reward-funcs", "reward-weights", "num-generations", "teacher-model",
                "use-vllm",
                "reward-adapters", "value-model", "num-ppo-epochs", "vf-coef", "lmbda", "epsilon",
                "num-iterations",
            ]
        ),
        (["reverse_kl"], "the divergence is reverse KL; leave it out", ["f-divergence-type"]),
        (no, "the reference is the model as it was; leave it out", ["reference-free", "sync-ref-model"]),
        ([], "one loss is trained; write --loss_type sigmoid, hinge or ipo", ["loss-weights"]),
        (
            [], "this term of the loss is not there; leave it out",
            ["ld-alpha", "discopop-tau", "aux-loss-coef"]
        ),
        (
            [], "prompt and answer have one limit: write --max_length",
            ["max-prompt-length", "max-target-length"]
        ),
        (["adamw", "sdpa", "martlet"], "this command is Martlet's own; leave it out", ["backend"]),
        ([], "metrics are those of logging.jsonl; leave it out", ["metric", "compute-metrics"]),
    ]
}
