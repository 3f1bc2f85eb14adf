// `martlet pretrain`, `sft`, `rlhf` and `dpo`: the parameters of each, and the run.

import ArgumentParser
import Training

struct PretrainCommand: AsyncParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain", abstract: "Train a language model on texts, from scratch or further.",
        discussion: """
            A data set is JSONL with "text" or "messages" in each row, or a text file.
            Every token is learned.
            Exit status: 0 done, 2 bad parameters or too little memory, 65 bad data,
            75 saved after a signal, 86 out of memory, 87 diverged.
            Examples:
              martlet pretrain --init_config config.json --tokenizer ./tokenizer \\
                --dataset corpus.jsonl --packing --max_length 512 --learning_rate 3e-4
              martlet pretrain --model ./model --tuner_type full --dataset law.jsonl --dry_run
            """)

    static let parameterGroups = TrainingOptions.groups

    @OptionGroup var options: TrainingOptions

    func run() async throws {
        try await TrainingStart.start(options.parameters(stage: .pretrain))
    }
}

struct SFTCommand: AsyncParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "sft", abstract: "Fine-tune a model on conversations, with LoRA or whole.",
        discussion: """
            Names and defaults of the parameters are ms-swift's; _ and - are the same.
            Exit status: 0 done, 2 bad parameters or too little memory, 65 bad data,
            75 saved after a signal, 86 out of memory, 87 diverged.
            Examples:
              martlet sft --model ./Qwen2.5-0.5B-Instruct --dataset train.jsonl
              martlet sft --config sft.yaml --learning_rate 5e-5
              martlet sft --model ./model --dataset a.jsonl --tuner_type full --dry_run
              martlet sft --model ./model --dataset a.jsonl --quant_method bnb --quant_bits 4
            """)

    static let parameterGroups = TrainingOptions.groups

    @OptionGroup var options: TrainingOptions

    func run() async throws {
        try await TrainingStart.start(options.parameters(stage: .sft))
    }
}

struct RLHFCommand: AsyncParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "rlhf",
        abstract: "Teach a model which answers are preferred: DPO, ORPO, SimPO, CPO, KTO.",
        discussion: """
            Rows have "messages" with the better answer and "rejected_response"; for kto "label".
            Exit status: 0 done, 2 bad parameters or too little memory, 65 bad data,
            75 saved after a signal, 86 out of memory, 87 diverged.
            Examples:
              martlet rlhf --rlhf_type dpo --model ./model --dataset pairs.jsonl
              martlet rlhf --rlhf_type kto --model ./model --dataset labels.jsonl --beta 0.2
              martlet rlhf --adapters sft/checkpoint-9 --ref_adapters sft/checkpoint-9 \\
                --dataset pairs.jsonl
            """)

    static let parameterGroups = TrainingOptions.groups + [PreferenceOptions.self]

    @OptionGroup var options: TrainingOptions
    @OptionGroup(title: "Preferences") var preferences: PreferenceOptions

    func run() async throws {
        try await TrainingStart.start(options.parameters(stage: .rlhf, preferences: preferences))
    }
}

struct DPOCommand: AsyncParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "dpo",
        abstract: "Teach a model which answers are preferred by DPO: `rlhf --rlhf_type dpo`.",
        discussion: """
            Rows have "messages" with the better answer and "rejected_response".
            Exit status: 0 done, 2 bad parameters or too little memory, 65 bad data,
            75 saved after a signal, 86 out of memory, 87 diverged.
            Examples:
              martlet dpo --model ./Qwen2.5-0.5B-Instruct --dataset pairs.jsonl --beta 0.2
              martlet dpo --config dpo.yaml --dry_run
            """)

    static let parameterGroups = TrainingOptions.groups + [PreferenceOptions.self]

    @OptionGroup var options: TrainingOptions
    @OptionGroup(title: "Preferences") var preferences: PreferenceOptions

    func run() async throws { try await TrainingStart.start(Self.parameters(options, preferences)) }

    static func parameters(
        _ options: TrainingOptions, _ preferences: PreferenceOptions,
        environment: (String) -> String? = Environment.value, notice: (String) -> Void = Output.warning
    ) throws -> TrainingParameters {
        if let type = preferences.rlhfType, type != .dpo {
            throw CommandError(
                "--rlhf_type \(type.rawValue): this command is dpo; write martlet rlhf", status: 2)
        }
        return try options.parameters(
            stage: .rlhf, preferences: preferences, environment: environment, notice: notice)
    }
}
