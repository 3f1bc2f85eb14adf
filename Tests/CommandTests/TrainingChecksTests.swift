// What validation refuses, and what it only remarks on, of the training parameters.

import Testing
import Training

@testable import martlet

@Suite("Checks of training parameters")
struct TrainingChecksTests {
    private static let needed = ["--model", "m", "--dataset", "a.jsonl"]

    /// Words, of which DATA stands for those that every command needs, and what is said of them.
    struct Row: CustomTestStringConvertible {
        var words: [String]
        var text: String

        init(_ words: String, _ text: String) {
            self.words = words.split(separator: " ").flatMap { $0 == "DATA" ? needed : [String($0)] }
            self.text = text
        }

        var testDescription: String { words.joined(separator: " ") }
    }

    private static func expectRefusal(_ words: [String], _ text: String) {
        let error = #expect(throws: CommandError.self, "\(words)") { try TrainingReading.read(words) }
        #expect(error?.status == 2)
        #expect(error?.message == text, "\(words)")
    }

    /// A parameter, a value that is out of its range, and what is said of the range.
    private typealias Range = (name: String, value: String, text: String)

    /// Gives all values at once: every problem is reported, in whatever order.
    private func expectRefusals(_ command: String, _ ranges: [Range]) {
        let words = ranges.flatMap { ["--\($0.name)", $0.value] }
        let error = #expect(throws: CommandError.self) {
            try TrainingReading.read([command] + Self.needed + words)
        }
        #expect(error?.status == 2)
        let lines = Set(error?.message.split(separator: "\n").map(String.init) ?? [])
        for range in ranges {
            #expect(lines.contains("--\(range.name) must be \(range.text)"), "\(range.name)")
        }
        #expect(lines.count == ranges.count)
    }

    @Test("Numbers out of range are refused with the range")
    func ranges() {
        let ranges: [Range] = [
            ("lora_rank", "0", "from 1 to 65536, not 0"),
            ("lora_alpha", "0", "from 1e-06 to 1000000, not 0"),
            ("lora_dropout", "1", "at least 0 and less than 1, not 1"),
            ("split_dataset_ratio", "1", "at least 0 and less than 1, not 1"),
            ("dataset_num_proc", "0", "from 1 to 1024, not 0"),
            ("max_length", "1", "from 2 to 268435456, not 1"),
            ("packing_length", "1", "from 2 to 268435456, not 1"),
            ("num_train_epochs", "0", "more than 0 and at most 1000000, not 0"),
            ("max_steps", "0", "at least 1, or -1 for epochs, not 0"),
            ("per_device_train_batch_size", "0", "from 1 to 65536, not 0"),
            ("per_device_eval_batch_size", "-1", "from 1 to 65536, not -1"),
            ("gradient_accumulation_steps", "0", "from 1 to 1048576, not 0"),
            ("learning_rate", "-1e-4", "from 0 to 10, not -0.0001"),
            ("warmup_ratio", "1.5", "from 0 to 1, not 1.5"),
            ("warmup_steps", "-1", "at least 0, not -1"),
            ("min_lr", "1e-3", "from 0 to 0.0001, not 0.001"),
            ("weight_decay", "2", "from 0 to 1, not 2"),
            ("adam_beta1", "1", "at least 0 and less than 1, not 1"),
            ("adam_beta2", "-0.1", "at least 0 and less than 1, not -0.1"),
            ("adam_epsilon", "0", "from 1e-30 to 1, not 0"),
            ("momentum", "1", "at least 0 and less than 1, not 1"),
            ("max_grad_norm", "-1", "from 0 to 1000000000, not -1"),
            ("ema_decay", "1", "more than 0 and less than 1, not 1"),
            ("neftune_noise_alpha", "-5", "from 0 to 1000, not -5"),
            ("threads", "0", "from 1 to 1024, not 0"),
            ("eval_steps", "0", "from 1 to 1099511627776, not 0"),
            ("logging_steps", "0", "from 1 to 1099511627776, not 0"),
            ("save_total_limit", "0", "from 1 to 1000000, not 0"),
        ]
        expectRefusals("sft", ranges.filter { $0.name != "min_lr" })
        expectRefusals("sft", ranges.filter { $0.name == "min_lr" })
    }

    @Test("Numbers of preferences out of range are refused with the range")
    func preferenceRanges() {
        expectRefusals(
            "rlhf",
            [
                ("beta", "0", "more than 0 and at most 1000, not 0"),
                ("label_smoothing", "0.5", "at least 0 and less than 0.5, not 0.5"),
                ("rpo_alpha", "-1", "from 0 to 1000, not -1"), ("cpo_alpha", "-1", "from 0 to 1000, not -1"),
                ("simpo_gamma", "-1", "from 0 to 1000, not -1"),
                ("desirable_weight", "-1", "from 0 to 1000, not -1"),
                ("undesirable_weight", "-1", "from 0 to 1000, not -1"),
            ])
    }

    @Test(
        "What is missing is asked for",
        arguments: [
            Row(
                "sft --dataset a",
                "--model is missing; give the directory of the model to train"),
            Row(
                "pretrain --dataset a",
                """
                --model is missing; give the directory of the model to train, or --init_config \
                FILE for a new one
                """),
            Row(
                "sft --model m",
                "--dataset is missing; give a file such as --dataset train.jsonl"),
            Row(
                "pretrain --init_config c.json --dataset a",
                "--init_config needs --tokenizer DIR; martlet tokenizer makes one from texts"),
            Row(
                "sft DATA --quant_method bnb",
                "--quant_method bnb needs --quant_bits 4 or 8"),
            Row(
                "sft DATA --quant_bits 4",
                "--quant_bits 4 needs --quant_method bnb beside it"),
            Row(
                "sft DATA --streaming",
                "--streaming needs --max_steps, as the number of rows is not known before"),
            Row(
                "sft DATA --eval_strategy steps",
                """
                --eval_strategy steps: there is no data to evaluate on; give --val_dataset FILE or \
                --split_dataset_ratio 0.01
                """),
            Row(
                "sft DATA --early_stop_interval 2",
                """
                --early_stop_interval: there is no data to evaluate on; give --val_dataset FILE or \
                --split_dataset_ratio 0.01
                """),
            Row(
                "sft DATA --val_dataset v --eval_strategy no --early_stop_interval 2",
                "--early_stop_interval: nothing is evaluated; write --eval_strategy steps"),
        ])
    func missing(row: Row) { Self.expectRefusal(row.words, row.text) }

    @Test(
        "What cannot be together is refused",
        arguments: [
            Row(
                "pretrain DATA --init_config c --tokenizer t --tuner_type full",
                "--model and --init_config exclude each other; leave one out"),
            Row(
                "sft --init_config c --tokenizer t --dataset a",
                """
                --init_config is for pretrain: a model of random weights has nothing to tune; give \
                --model DIR
                """),
            Row(
                "pretrain --init_config c --tokenizer t --dataset a --tuner_type lora",
                """
                --init_config with --tuner_type lora: random weights must all be trained; write \
                --tuner_type full
                """),
            Row(
                "sft DATA --tuner_type full --quant_method bnb --quant_bits 4",
                """
                --quant_method with --tuner_type full: quantized weights cannot be trained; write \
                --tuner_type lora
                """),
            Row(
                "sft DATA --quant_method bnb --quant_bits 3",
                "--quant_bits must be 4 or 8, not 3"),
            Row(
                "sft DATA --adapters x --tuner_type full",
                """
                --adapters with --tuner_type full: an adapter is trained on as lora; leave \
                --tuner_type out, or merge it first: martlet merge --adapters x --output_dir DIR
                """),
            Row(
                "sft DATA --adapters x --resume_from_checkpoint y",
                """
                --resume_from_checkpoint and --adapters exclude each other, as the checkpoint has \
                the adapter; leave --adapters out
                """),
            Row(
                "rlhf DATA --adapters x --ref_adapters x --resume_from_checkpoint y",
                """
                --resume_from_checkpoint and --adapters exclude each other, as the checkpoint has \
                the adapter; leave --adapters out and keep --ref_adapters
                """),
            Row(
                "sft DATA --target_regex q --target_modules q_proj",
                "--target_regex and --target_modules exclude each other; leave one out"),
            Row(
                "sft DATA --target_modules all-linear q_proj",
                "--target_modules: all-linear has the other names in it; leave them out"),
            Row(
                "rlhf DATA --packing",
                "--packing is for pretrain and sft: the answers of a pair are not joined; leave it out"),
            Row(
                "sft DATA --packing --packing_length 64 --max_length 128",
                """
                --packing_length 64 is less than --max_length 128, so that long rows would fit no \
                pack; write --max_length 64
                """),
            Row(
                "sft DATA --truncation_strategy split",
                """
                --truncation_strategy split is for pretrain: half a conversation has lost its \
                question; write delete, left or right
                """),
            Row(
                "sft DATA --streaming --max_steps 5 --group_by_length",
                "--streaming and --group_by_length exclude each other: lengths are not known before"),
            Row(
                "sft DATA --streaming --max_steps 5 --packing",
                """
                --streaming and --packing exclude each other, as packs need the lengths of all \
                rows; leave --streaming out: rows lie on disk anyway
                """),
            Row(
                "sft DATA --streaming --max_steps 5 --batch_order o",
                "--streaming and --batch_order exclude each other; leave one out"),
            Row(
                "sft DATA --batch_order o --group_by_length",
                "--batch_order and --group_by_length exclude each other; leave one out"),
            Row(
                "sft DATA --max_steps 5 --warmup_steps 6",
                "--warmup_steps 6 are more than --max_steps 5; lower them"),
            Row(
                "dpo DATA --loss_type hinge --label_smoothing 0.1",
                "--label_smoothing is for --loss_type sigmoid, not for hinge; leave it out"),
            Row(
                "dpo DATA --rlhf_type kto",
                "--rlhf_type kto: this command is dpo; write martlet rlhf"),
            Row(
                "sft DATA --torch_dtype float16",
                "--torch_dtype: \"float16\" is not there; write bfloat16 or float32"),
            Row(
                "sft DATA --columns [1]",
                #"""
                --columns: this is no JSON map from names to names; write it like {"prompt_text": \#
                "query"}
                """#),
            Row(
                "sft DATA --report_to prometheus",
                "--report_to: \"prometheus\" is not known; write tensorboard or none"),
        ])
    func exclusive(row: Row) { Self.expectRefusal(row.words, row.text) }

    @Test("Every problem is reported, a line each")
    func allAtOnce() {
        let error = #expect(throws: CommandError.self) {
            try TrainingReading.read(["sft", "--dataset", "a", "--lora_rank", "0", "--momentum", "2"])
        }
        #expect(error?.message.split(separator: "\n").count == 3)
    }

    @Test("An adapter without a model is looked into, and its error names the parameter")
    func adapterAlone() {
        let error = #expect(throws: CommandError.self) {
            try TrainingReading.read(["sft", "--dataset", "a", "--adapters", "/nonexistent/adapter"])
        }
        #expect(error?.status == 2)
        #expect(error?.message.hasPrefix("--adapters: /nonexistent/adapter/adapter_config.json: ") == true)
    }

    @Test(
        "What has no effect is said, and the run goes on",
        arguments: [
            Row(
                "sft --tuner_type full --lora_rank 4",
                "--lora_rank has no effect: --tuner_type full trains no adapter"),
            Row(
                "sft --freeze_parameters model",
                "--freeze_parameters has no effect: it is for --tuner_type full"),
            Row(
                "rlhf --rlhf_type orpo --rpo_alpha 1",
                "--rpo_alpha has no effect: it is for dpo, not for orpo"),
            Row(
                "rlhf --rlhf_type simpo --ref_model r",
                "--ref_model has no effect: it is for dpo and kto, not for simpo"),
            Row(
                "sft --packing_length 64",
                "--packing_length has no effect: --packing is not on"),
            Row(
                "sft --packing --group_by_length",
                "--group_by_length has no effect: packs are of one length already"),
            Row(
                "sft --min_lr 1e-6",
                "--min_lr has no effect: it is for --lr_scheduler_type cosine_with_min_lr"),
            Row(
                "sft --momentum 0.9",
                "--momentum has no effect: it is for --optim sgd"),
            Row(
                "sft --warmup_steps 5 --warmup_ratio 0.1",
                "--warmup_ratio has no effect: --warmup_steps counts over it"),
            Row(
                "sft --lr_scheduler_type constant --warmup_steps 5",
                "--warmup_steps has no effect: write --lr_scheduler_type constant_with_warmup"),
            Row(
                "sft --val_dataset v --split_dataset_ratio 0.1",
                "--split_dataset_ratio has no effect: --val_dataset counts over it"),
            Row(
                "sft --resume_only_model",
                "--resume_only_model has no effect: nothing is resumed"),
            Row(
                "sft --ignore_data_skip",
                "--ignore_data_skip has no effect: nothing is resumed"),
            Row(
                "sft --report_to wandb",
                "--report_to wandb has no effect here: the metrics are in logging.jsonl"),
            Row(
                "rlhf --adapters x",
                """
                the model to compare with is the one without its adapter; to compare with what was \
                fine-tuned, write --ref_adapters x
                """),
        ])
    func notices(row: Row) throws {
        #expect(try TrainingReading.read(row.words + Self.needed).notices == [row.text])
    }

    @Test("A retry from weights alone is remarked on")
    func weightsAlone() {
        var parameters = TrainingParameters()
        parameters.saveOnlyModel = true
        #expect(TrainingChecks.warnings(of: parameters).isEmpty)
        parameters.checkpointDir = "/c"
        #expect(TrainingChecks.warnings(of: parameters).count == 1)
    }
}
