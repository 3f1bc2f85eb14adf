// What is reserved for a training step before it runs, against what the trainer itself counts for the same words.

import Models
import Testing
import Text
import Training
import WorkflowLanguage

@testable import martlet

@Suite("Memory that is reserved for steps")
struct StepReservationTests {
    private static func config(_ hidden: Int, _ layers: Int, _ vocabulary: Int, _ type: String) -> String {
        """
        {"architectures": ["LlamaForCausalLM"], "vocab_size": \(vocabulary), "hidden_size": \(hidden),
        "intermediate_size": \(4 * hidden), "num_hidden_layers": \(layers), "num_attention_heads": 8,
        "num_key_value_heads": 4, "torch_dtype": "\(type)", "max_position_embeddings": 4096}
        """
    }

    @Test(
        "A training step reserves what the trainer counts for full batches, within a fifth",
        arguments: [
            ("sft", "{\"tuner_type\": \"full\", \"max_length\": 512, \"per_device_train_batch_size\": 4}"),
            ("sft", "{\"max_length\": 2048, \"per_device_train_batch_size\": 8}"),
            (
                "sft",
                "{\"max_length\": 2048, \"per_device_train_batch_size\": 8, \"gradient_checkpointing\": false}"
            ),
            ("sft", "{\"tuner_type\": \"full\", \"optim\": \"adamw_8bit\", \"max_length\": 64}"),
            (
                "dpo",
                "{\"max_length\": 512, \"per_device_train_batch_size\": 2, \"gradient_checkpointing\": false}"
            ),
            ("dpo", "{\"tuner_type\": \"full\", \"max_length\": 256, \"per_device_train_batch_size\": 4}"),
            (
                "pretrain",
                "{\"tuner_type\": \"full\", \"max_length\": 1024, \"per_device_train_batch_size\": 2}"
            ),
        ],
        [(512, 8, 8_000, "float32"), (1024, 12, 32_000, "bfloat16")])
    func training(step: (String, String), shape: (Int, Int, Int, String)) throws {
        let text = Self.config(shape.0, shape.1, shape.2, shape.3)
        let values = try JSONValue(parsingUTF8: Array(step.1.utf8))
        var words = [step.0, "--model", "m", "--dataset", "d"]
        for (name, value) in values.objectValue ?? [:] { words.append("--\(name)=\(value.scalarText ?? "")") }
        let parameters = try TrainingReading.read(words).parameters
        let model = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
        let counted = TrainingEstimate(
            model: model, plan: try TunerPlan(parameters, model: TunableModel(model)), parameters: parameters,
            data: DataSummary(unread: parameters, maxLength: parameters.maxLength ?? 1024)
        ).totalBytes
        let kind = try #require(MartletStep.Kind(rawValue: step.0))
        let reserved = StepMemory.bytes(
            MartletStep(kind: kind, parameters: values), inputs: [:],
            shape: ModelShape(config: try JSONValue(parsingUTF8: Array(text.utf8))))
        let ratio = Double(reserved - (128 << 20)) / Double(counted)
        #expect((0.8...1.25).contains(ratio), "reserved \(reserved >> 20) MiB, counted \(counted >> 20) MiB")
    }

    @Test("Weights that are drawn reserve memory by the shape; steps of other programs reserve none")
    func others() throws {
        let config = try JSONValue(parsingUTF8: Array(Self.config(512, 8, 8_000, "float32").utf8))
        let shape = try #require(ModelShape(config: config))
        func bytes(_ kind: MartletStep.Kind, _ parameters: JSONValue, _ inputs: [String: Int] = [:]) -> Int {
            StepMemory.bytes(MartletStep(kind: kind, parameters: parameters), inputs: inputs, shape: shape)
        }
        #expect(bytes(.pretrain, ["init_config": "/c"]) > 512 << 20)
        #expect(bytes(.sft, ["backend": "ms-swift"]) == 0)
        #expect(bytes(.download, [:], ["model": 1 << 30]) == 0)
        #expect(bytes(.quantize, [:], ["model": 1 << 30]) == (128 << 20) + 3 << 29)
        #expect(ModelShape(config: ["hidden_size": 8]) == nil)
        #expect(
            ModelShape(config: [
                "hidden_size": -1, "num_hidden_layers": 1, "vocab_size": 1, "num_attention_heads": 1,
            ]) == nil)
    }
}
