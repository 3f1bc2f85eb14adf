// Which parameters each kind of step takes. The commands declare the same ones as their options; a test
// compares the two.

import Text

/// The parameters of one kind of step.
package struct StepParameterTable: Sendable {
    /// By name.
    package let parameters: [String: StepParameter]
    /// Whether there may be others, which are for others to judge.
    package let isOpen: Bool

    private init(_ tables: [String], isOpen: Bool = false) {
        var parameters: [String: StepParameter] = [:]
        for table in tables + [Self.shared] {
            for parameter in Self.read(table).parameters { parameters[parameter.name] = parameter }
        }
        self.parameters = parameters
        self.isOpen = isOpen
    }

    /// The table of a kind.
    package static func of(_ kind: MartletStep.Kind) -> StepParameterTable { all[kind] ?? empty }

    private static let empty = StepParameterTable([], isOpen: true)

    private static let all: [MartletStep.Kind: StepParameterTable] = [
        .download: StepParameterTable([download]), .tokenizer: StepParameterTable([tokenizer]),
        .pretrain: StepParameterTable([training]), .sft: StepParameterTable([training]),
        .rlhf: StepParameterTable([training, preferences]),
        .dpo: StepParameterTable([training, preferences]), .evaluate: StepParameterTable([evaluate]),
        .quantize: StepParameterTable([quantize]), .merge: StepParameterTable([merge]),
        .generate: StepParameterTable([generate]), .deploy: StepParameterTable([deploy]),
    ]

    /// The parameter that a name means, the names that other versions and trainers give it included.
    package func parameter(_ name: String) -> StepParameter? { parameters[Self.canonical(name)] }

    // MARK: Other names

    /// The name in snake case that a word means; both kinds of dashes are the same.
    package static func canonical(_ name: String) -> String {
        let name = String(name.map { $0 == "-" ? "_" : $0 })
        return aliases[name] ?? name
    }

    /// Names of earlier versions, of other trainers, and of the artifacts that steps get.
    package static let aliases: [String: String] = [
        "train_type": "tuner_type", "sft_type": "tuner_type", "model_id_or_path": "model",
        "ckpt_dir": "adapters", "adapter": "adapters", "lr": "learning_rate", "dtype": "torch_dtype",
        "bnb_4bit_use_double_quant": "double_quantization", "optimizer": "optim",
        "lora_dropout_p": "lora_dropout", "max_seq_length": "max_length", "ref_adapter": "ref_adapters",
        "optim_type": "optim", "min_learning_rate": "min_lr",
    ]

    /// What other trainers call values of ours.
    package static func canonical(_ value: String, of name: String) -> String {
        switch (name, value) {
        case ("optim", "adamw"), ("optim", "adamw_hf"), ("optim", "adamw_torch_fused"): "adamw_torch"
        case ("optim", "adamw_bnb_8bit"), ("optim", "paged_adamw_8bit"): "adamw_8bit"
        case ("optim", "lion_32bit"): "lion"
        case ("quant_method", "w8a8"): "int8"
        default: value
        }
    }

    // MARK: Notation

    /// Reads lines of `TYPE [RANGE]: NAME NAME`. Types are words, or choices as `a|b`.
    static func read(_ table: String) -> (parameters: [StepParameter], faults: [String]) {
        var parameters: [StepParameter] = []
        var faults: [String] = []
        for line in table.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            let words = parts[0].split(separator: " ")
            guard parts.count == 2, let type = words.first, let kind = kind(type) else {
                faults.append(String(line))
                continue
            }
            let range = words.count > 1 ? StepRange(notation: words[1]) : nil
            if words.count > 1, range == nil { faults.append(String(line)) }
            for name in parts[1].split(separator: " ") {
                parameters.append(StepParameter(name: String(name), kind: kind, range: range))
            }
        }
        return (parameters, faults)
    }

    private static func kind(_ word: Substring) -> StepParameter.Kind? {
        switch word {
        case "flag": .flag
        case "integer": .integer
        case "natural": .natural
        case "number": .number
        case "text": .text
        case "list": .list
        case "names": .names
        default:
            word.contains("|") || word == "bnb" ? .choice(word.split(separator: "|").map(String.init)) : nil
        }
    }

    /// All tables, for the test that they can be read.
    static let texts = [
        shared, training, preferences, download, tokenizer, evaluate, quantize, merge, generate, deploy,
    ]
}
