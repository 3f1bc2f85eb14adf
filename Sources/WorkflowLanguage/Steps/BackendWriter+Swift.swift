// ms-swift's command lines. Names are its own; what it calls otherwise is renamed, and what it has nothing for is
// refused.

import Text

extension BackendWriter {
    mutating func writeSwift() {
        module = "swift.cli.main"
        switch step.kind {
        case .pretrain: writeTraining("pt")
        case .sft: writeTraining("sft")
        case .rlhf, .dpo: writeTraining("rlhf")
        case .merge: writeMerge()
        case .quantize: writeQuantize()
        case .evaluate: writeSwiftEvaluation()
        case .generate: writeInference()
        case .deploy: writeSwiftDeployment()
        case .download, .tokenizer:
            refuse(
                "backend", "ms-swift does no \(step.kind.rawValue) step",
                "leave backend out: the step needs no other program")
        }
    }

    /// Ours, and not ms-swift's.
    private static let onlyOurs: [String: String] = [
        "batch_order": "the order of rows is its own", "ema_decay": "it keeps no moving average",
        "loss_reduction": "it averages over tokens", "log_json": "its log is logging.jsonl",
        "threads": "it takes what the container has", "force": "it does not refuse by an estimate",
        "dry_run": "it has no dry run", "tokenizer": "the model's own tokenizer is used",
        "init_config": "it draws no weights; pretrain with backend: martlet first, and go on from that model",
        "momentum": "write --optim adamw_torch", "config": "write the parameters in the step",
        "output_dir": "the step's outputs have their place",
    ]

    private static let renamed = ["double_quantization": "bnb_4bit_use_double_quant"]

    private mutating func writeTraining(_ command: String) {
        arguments = [command]
        if step.kind == .dpo || (step.kind == .rlhf && step.value("rlhf_type") == nil) {
            flag("rlhf_type", "dpo")
        }
        for (name, written, value) in given {
            if let reason = Self.onlyOurs[name] {
                refuseForeign(written, "ms-swift", reason)
                continue
            }
            switch (name, value.scalarText) {
            case ("rlhf_type", _) where step.kind == .dpo: continue
            case ("add_version", _): continue
            case ("min_lr", let rate?): flag("lr_scheduler_kwargs", #"{"min_lr": \#(rate)}"#)
            case ("optim", "adamw_8bit"): flag("optim", "adamw_bnb_8bit")
            case ("optim", "lion"): flag("optim", "lion_32bit")
            default: flag(Self.renamed[name] ?? name, value)
            }
        }
        // Else the output gets a directory whose name is not known before.
        flag("output_dir", "\(places.outputs)/run")
        flag("add_version", "false")
        flag("create_checkpoint_symlink", "true")
    }

    /// Writes what is given under the names of a table, and refuses the rest.
    private mutating func write(_ names: [String: String], skipping: Set<String> = []) {
        for (name, written, value) in given where !skipping.contains(name) {
            if let other = names[name] {
                flag(other, value)
            } else if BackendParameters.knows(written, backend: .msSwift),
                StepParameterTable.of(step.kind).parameter(name) == nil
            {
                flag(name, value)
            } else {
                refuseForeign(written, "ms-swift's \(arguments[0])")
            }
        }
    }

    private mutating func writeMerge() {
        arguments = ["export"]
        write(
            ["model": "model", "adapters": "adapters"], skipping: ["merge_lora", "exist_ok", "output_dir"])
        flag("merge_lora", "true")
        flag("output_dir", "\(places.outputs)/model")
    }

    private mutating func writeQuantize() {
        arguments = ["export"]
        if let method = step.literal("quant_method"),
            !["gptq", "gptq_v2", "awq", "bnb", "fp8"].contains(method)
        {
            refuse(
                "quant_method", "ms-swift does not quantize by \(method)",
                "write gptq, gptq_v2, awq, bnb or fp8")
        }
        let same = [
            "model", "quant_method", "quant_bits", "dataset", "quant_n_samples", "quant_batch_size",
            "group_size",
            "max_length", "columns", "system", "adapters",
        ]
        write(
            Dictionary(uniqueKeysWithValues: same.map { ($0, $0) }).merging(["seed": "data_seed"]) { $1 },
            skipping: ["exist_ok", "output_dir"])
        flag("output_dir", "\(places.outputs)/model")
    }

    private mutating func writeSwiftEvaluation() {
        arguments = ["eval"]
        let names = [
            "model": "model", "adapters": "adapters", "eval_dataset": "eval_dataset",
            "datasets": "eval_dataset", "eval_limit": "eval_limit", "limit": "eval_limit",
            "eval_batch_size": "eval_num_proc", "api_url": "eval_url", "eval_url": "eval_url",
            "max_new_tokens": "max_new_tokens", "temperature": "temperature", "top_p": "top_p",
            "top_k": "top_k", "max_length": "max_length", "system": "system", "seed": "seed",
        ]
        write(names, skipping: ["output_dir", "eval_output_dir", "restart"])
        flag("eval_output_dir", "\(places.outputs)/report")
    }

    private mutating func writeInference() {
        arguments = ["infer"]
        let same = [
            "model", "adapters", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty",
            "system",
            "seed",
        ]
        write(
            Dictionary(uniqueKeysWithValues: same.map { ($0, $0) }).merging(
                ["dataset": "val_dataset", "file": "val_dataset"]) { $1 }, skipping: ["chat"])
        flag("result_path", "\(places.outputs)/output/responses.jsonl")
    }

    private mutating func writeSwiftDeployment() {
        arguments = ["deploy"]
        write(
            ["model": "model", "adapters": "adapters", "name": "served_model_name", "port": "port"],
            skipping: ["replicas", "min_ready_seconds"])
    }
}
