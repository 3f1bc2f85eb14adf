// What a step gives with the parameters that it has: of the outputs of its kind, those that can be there.

import Text

extension MartletStepContract {
    /// - Parameter inputs: names of the template's input artifacts.
    package init(_ step: MartletStep, inputs: Set<String> = []) {
        self.init(step.kind)
        switch step.kind {
        case .download: chooseDownload(step)
        case .pretrain, .sft, .rlhf, .dpo: chooseTraining(step, inputs)
        case .evaluate: chooseMetrics(step)
        case .tokenizer, .quantize, .merge, .generate, .deploy: break
        }
    }

    private mutating func chooseDownload(_ step: MartletStep) {
        let address = step.value("repo")?.scalarText ?? step.value("model")?.scalarText ?? ""
        let isUnknown = step.isOpen("repo_type") || Tag.isIn(address)
        guard !isUnknown || step.value("dataset") != nil else { return }
        // Addresses of hubs name data sets so.
        let isDataset =
            step.value("dataset") != nil || step.literal("repo_type") == "dataset"
            || address.contains("datasets/")
        outputArtifacts = [isDataset ? "dataset" : "model"]
    }

    private mutating func chooseTraining(_ step: MartletStep, _ inputs: Set<String>) {
        if !step.isOpen("tuner_type") {
            let drawsWeights = step.value("init_config") != nil || inputs.contains("init_config")
            let usual = drawsWeights ? "full" : "lora"
            let absent = (step.literal("tuner_type") ?? usual) == "full" ? "adapter" : "model"
            outputArtifacts.removeAll { $0 == absent }
        }
        let evaluates =
            step.value("val_dataset") != nil || step.value("split_dataset_ratio") != nil
            || inputs.contains("val_dataset")
        if !evaluates { outputParameters.removeAll { $0 == "eval_loss" } }
        if step.literal("rlhf_type") == "kto" { outputParameters.removeAll { $0 == "reward_accuracy" } }
    }

    /// The metrics of the tasks that come with Martlet; those of a user's own are not known here.
    private mutating func chooseMetrics(_ step: MartletStep) {
        guard step.value("task") == nil, !step.isOpen("eval_dataset"), !step.isOpen("datasets"),
            !step.isOpen("scoring"), step.backend == .martlet
        else { return }
        let tasks = step.literals("eval_dataset") + step.literals("datasets")
        var names: [String] = []
        for task in tasks {
            guard let metrics = EvaluationMetrics.names(of: task, step) else { return }
            // Several tasks have their names in front.
            names += tasks.count == 1 ? metrics : metrics.map { "\(EvaluationMetrics.plain(task))_\($0)" }
        }
        guard !names.isEmpty else { return }
        outputParameters = names.filter { $0 != "score" } + ["score"]
        givesAnyParameter = false
    }
}

/// The figures of the tasks that come with Martlet, as output parameters. A test compares them with the tasks.
package enum EvaluationMetrics {
    /// The metrics of a task; nil for a task that is not known.
    static func names(of task: String, _ step: MartletStep) -> [String]? {
        let scoring = step.literal("scoring")
        switch plain(task) {
        case "mmlu", "ceval", "cmmlu", "arc", "arc_easy", "arc_challenge", "hellaswag", "general_mcq":
            return scoring == "generation" ? ["acc"] : ["acc", "acc_norm", "acc_norm_bytes"]
        case "gsm8k": return ["acc", "exact_match", "exact_match_flexible"]
        case "general_qa": return ["acc", "exact_match", "contains", "rouge_l"]
        case "humaneval":
            // With more answers there are more figures, which `evaluate` chooses.
            return step.value("k") == nil && step.value("n") == nil ? ["pass_at_1"] : nil
        case "perplexity":
            return ["word_perplexity", "byte_perplexity", "bits_per_byte", "token_perplexity"]
        default: return nil
        }
    }

    /// A task's name as it is shown: lower case, without dashes, other names replaced.
    static func plain(_ task: String) -> String {
        let plain = String(task.lowercased().map { $0 == "-" ? "_" : $0 })
        return aliases[plain] ?? plain
    }

    private static let aliases = [
        "arc_e": "arc_easy", "arc_c": "arc_challenge", "human_eval": "humaneval", "ppl": "perplexity",
        "multiple_choice": "general_mcq", "mcq": "general_mcq", "qa": "general_qa", "c_eval": "ceval",
        "gsm8k_cot": "gsm8k", "ai2_arc": "arc",
    ]
}
