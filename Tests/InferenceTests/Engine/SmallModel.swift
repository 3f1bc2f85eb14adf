// A model of random weights and a tokenizer of single bytes, small enough to run hundreds of steps in a test.

import Foundation
import Inference
import Models
import Tensors
import TestSupport

/// A model directory that goes when the value goes.
final class SmallModel {
    static let hidden = 32
    static let vocabulary = 260
    let directory: String

    /// - Parameter windowed: every layer sees the last 24 positions only.
    init(seed: UInt64 = 7, type: ElementType = .f32, windowed: Bool = false) throws {
        directory = NSTemporaryDirectory() + "martlet-model-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try write("config.json", Self.configuration(windowed: windowed))
        try write("tokenizer.json", Self.tokenizer())
        try write("tokenizer_config.json", #"{"eos_token": "<end>"}"#)
        var random = SeededGenerator(seed: seed)
        try SafetensorsWriter().write(
            Self.tensors(&random, type), to: directory + "/" + SafetensorsModel.singleFileName)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func engine(_ change: (inout EngineSettings) -> Void = { _ in }, threads: Int = 2) throws
        -> InferenceEngine
    {
        var settings = EngineSettings()
        settings.maxRunning = 8
        settings.cacheTokens = 4096
        change(&settings)
        let pool = try ThreadPool(threads: threads)
        return try InferenceEngine(
            model: CausalLanguageModel(directory: directory, pool: pool),
            tokenizer: Tokenizer(directory: directory), settings: settings, pool: pool)
    }

    /// Writes a LoRA adapter for all linear layers of attention.
    func adapter(seed: UInt64) throws -> String {
        let path = directory + "/adapter-\(seed)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let configuration =
            #"{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}"#
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: path + "/adapter_config.json"))
        var random = SeededGenerator(seed: seed)
        var tensors: [TensorSource] = []
        for layer in 0..<2 {
            for (name, outputs) in [("q_proj", 32), ("v_proj", 16)] {
                let stem = "base_model.model.model.layers.\(layer).self_attn.\(name)"
                for (matrix, shape) in [("lora_A", [4, Self.hidden]), ("lora_B", [outputs, 4])] {
                    tensors.append(
                        TensorSource(
                            name: "\(stem).\(matrix).weight", shape: shape,
                            floats: Self.values(shape[0] * shape[1], scale: 0.4, &random)))
                }
            }
        }
        try SafetensorsWriter().write(tensors, to: path + "/" + SafetensorsModel.adapterFileName)
        return path
    }

    private func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory + "/" + name))
    }

    private static func configuration(windowed: Bool) -> String {
        """
        {"architectures": ["\(windowed ? "MistralForCausalLM" : "LlamaForCausalLM")"], "vocab_size": \(vocabulary),
        "hidden_size": \(hidden), "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
        "sliding_window": \(windowed ? "24" : "null"), "tie_word_embeddings": false, "eos_token_id": 259}
        """
    }

    /// A token for each byte, in the alphabet that byte-level tokenizers write bytes in, and an end token.
    private static func tokenizer() -> String {
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
            {"added_tokens": [{"id": 259, "content": "<end>", "special": true}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {\(entries.joined(separator: ", "))}, "merges": []}}
            """
    }

    private static func tensors(_ random: inout SeededGenerator, _ type: ElementType) -> [TensorSource] {
        var tensors: [TensorSource] = []
        func add(_ name: String, _ shape: [Int], _ values: [Float]) {
            tensors.append(TensorSource(name: name, shape: shape, floats: values))
        }
        func matrix(_ name: String, _ rows: Int, _ columns: Int, scale: Float) {
            add(name, [rows, columns], values(rows * columns, scale: scale, &random))
        }
        matrix("model.embed_tokens.weight", vocabulary, hidden, scale: 1)
        matrix("lm_head.weight", vocabulary, hidden, scale: 0.6)
        add("model.norm.weight", [hidden], [Float](repeating: 1, count: hidden))
        for layer in 0..<2 {
            let prefix = "model.layers.\(layer)."
            for name in ["input_layernorm", "post_attention_layernorm"] {
                add(prefix + name + ".weight", [hidden], [Float](repeating: 1, count: hidden))
            }
            for (name, rows, columns) in [
                ("self_attn.q_proj", 32, hidden), ("self_attn.k_proj", 16, hidden),
                ("self_attn.v_proj", 16, hidden), ("self_attn.o_proj", hidden, 32),
                ("mlp.gate_proj", 48, hidden), ("mlp.up_proj", 48, hidden), ("mlp.down_proj", hidden, 48),
            ] {
                matrix(prefix + name + ".weight", rows, columns, scale: 0.35)
            }
        }
        return tensors
    }

    /// Uniform numbers between -scale and scale.
    private static func values(_ count: Int, scale: Float, _ random: inout SeededGenerator) -> [Float] {
        (0..<count).map { _ in Float.random(in: -scale...scale, using: &random) }
    }
}

/// A generation from beginning to end.
struct Finished: Equatable {
    var ids: [Int32] = []
    var text = ""
    var reason: FinishReason?
    var stop: StopReason?
    var cachedTokens = 0
    var logprobs: [TokenLogprob] = []
    var promptLogprobs: [TokenLogprob?] = []
}

extension InferenceEngine {
    /// Runs the engine for as long as `body` takes.
    nonisolated func running<Value: Sendable>(
        _ body: @escaping @Sendable (InferenceEngine) async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                await self.run()
                return nil
            }
            group.addTask { try await body(self) }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }

    nonisolated func finish(
        _ prompt: [Int32], adapter: String? = nil, _ change: (inout SamplingParameters) -> Void = { _ in }
    ) async throws -> Finished {
        var sampling = SamplingParameters(maxTokens: 24)
        sampling.temperature = 0
        sampling.ignoreEOS = true
        change(&sampling)
        var whole = Finished()
        let request = GenerationRequest(id: "", promptIDs: prompt, sampling: sampling, adapter: adapter)
        for try await update in try await generate(request) {
            whole.ids += update.newIDs
            whole.text += update.text
            whole.logprobs += update.logprobs
            whole.reason = update.finishReason
            whole.stop = update.stopReason
            whole.cachedTokens = update.cachedTokens
            if let rated = update.promptLogprobs { whole.promptLogprobs = rated }
        }
        return whole
    }

    /// All prompts at once, in their order.
    nonisolated func finishAll(
        _ prompts: [[Int32]], adapters: [String?] = [],
        _ change: @escaping @Sendable (inout SamplingParameters) -> Void = { _ in }
    ) async throws -> [Finished] {
        try await withThrowingTaskGroup(of: (Int, Finished).self) { group in
            for (index, prompt) in prompts.enumerated() {
                let adapter = adapters.isEmpty ? nil : adapters[index % adapters.count]
                group.addTask { (index, try await self.finish(prompt, adapter: adapter, change)) }
            }
            var all = [Finished](repeating: Finished(), count: prompts.count)
            for try await (index, whole) in group { all[index] = whole }
            return all
        }
    }
}
