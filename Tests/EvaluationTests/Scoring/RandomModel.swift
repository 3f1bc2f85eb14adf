// A model of random weights with a tokenizer of single bytes, for tests that compare numbers with numbers.

import Foundation
import Models
import Tensors
import TestSupport

/// A model directory that goes when the value goes.
final class RandomModel {
    static let hidden = 32
    static let vocabulary = 260
    /// `<end>`, the only special token.
    static let end: Int32 = 256

    let directory: String

    init(seed: UInt64 = 11) throws {
        directory = NSTemporaryDirectory() + "martlet-evaluation-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let template =
            "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
            + "{% if add_generation_prompt %}[assistant]{% endif %}"
        try write("config.json", Self.configuration)
        try write("tokenizer.json", Self.tokenizer)
        try write(
            "tokenizer_config.json", #"{"eos_token": "<end>", "chat_template": "\#(template)"}"#)
        var random = SeededGenerator(seed: seed)
        try SafetensorsWriter().write(
            Self.tensors(&random), to: directory + "/" + SafetensorsModel.singleFileName)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func load(_ pool: ThreadPool) throws -> CausalLanguageModel {
        try CausalLanguageModel(directory: directory, pool: pool)
    }

    func loadTokenizer() throws -> Tokenizer { try Tokenizer(directory: directory) }

    private func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory + "/" + name))
    }

    private static let configuration = """
        {"architectures": ["LlamaForCausalLM"], "vocab_size": \(vocabulary), "hidden_size": \(hidden),
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 8, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
        "eos_token_id": \(end)}
        """

    /// A token for each byte, in the alphabet that byte-level tokenizers write bytes in, and an end token.
    private static var tokenizer: String {
        let plain = Set(0x21...0x7E).union(0xA1...0xAC).union(0xAE...0xFF)
        var next = 256
        var entries: [String] = []
        for byte in 0..<256 {
            var scalar = byte
            if !plain.contains(byte) {
                scalar = next
                next += 1
            }
            let character = Unicode.Scalar(UInt32(scalar)).map { String($0) } ?? ""
            let escaped = character == "\"" || character == "\\" ? "\\" + character : character
            entries.append("\"\(escaped)\": \(byte)")
        }
        return """
            {"added_tokens": [{"id": \(end), "content": "<end>", "special": true}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {\(entries.joined(separator: ", "))}, "merges": []}}
            """
    }

    private static func tensors(_ random: inout SeededGenerator) -> [TensorSource] {
        var tensors: [TensorSource] = []
        func add(_ name: String, _ shape: [Int], scale: Float?) {
            let count = shape.reduce(1, *)
            let values = (0..<count).map { _ in
                scale.map { Float.random(in: -$0...$0, using: &random) } ?? 1
            }
            tensors.append(TensorSource(name: name, shape: shape, floats: values))
        }
        add("model.embed_tokens.weight", [vocabulary, hidden], scale: 1)
        add("lm_head.weight", [vocabulary, hidden], scale: 0.6)
        add("model.norm.weight", [hidden], scale: nil)
        for layer in 0..<2 {
            let prefix = "model.layers.\(layer)."
            add(prefix + "input_layernorm.weight", [hidden], scale: nil)
            add(prefix + "post_attention_layernorm.weight", [hidden], scale: nil)
            for (name, rows, columns) in [
                ("self_attn.q_proj", 32, hidden), ("self_attn.k_proj", 16, hidden),
                ("self_attn.v_proj", 16, hidden), ("self_attn.o_proj", hidden, 32),
                ("mlp.gate_proj", 48, hidden), ("mlp.up_proj", 48, hidden), ("mlp.down_proj", hidden, 48),
            ] {
                add(prefix + name + ".weight", [rows, columns], scale: 0.35)
            }
        }
        return tensors
    }
}
