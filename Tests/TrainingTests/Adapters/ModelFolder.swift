// A directory with a tiny model and adapters for it, deleted with the value that holds it.

import Glibc
import Tensors
import TestSupport
import Testing
import Training

/// A Qwen2 model of one layer with random weights, in a folder of its own.
final class ModelFolder: Sendable {
    let path: String
    var model: String { "\(path)/model" }

    /// - Parameter shards: two files, the embedding in the first.
    init(tied: Bool = true, type: ElementType = .f32, shards: Bool = false) throws {
        var template = Array("/tmp/martlet-training-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(errno: errno, path: "/tmp", while: "create") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mkdir(model, 0o755)
        var generator = SeededGenerator(seed: 21)
        let sources = Self.tunable(tied: tied).parameters.map { parameter in
            AdapterFile.source(
                parameter.name, parameter.shape,
                (0..<parameter.elementCount).map { _ in .random(in: -1...1, using: &generator) }, as: type)
        }
        let writer = SafetensorsWriter()
        if shards {
            try writer.write(sources, toDirectory: model, maximumShardByteCount: 2000)
        } else {
            try writer.write(sources, to: "\(model)/model.safetensors")
        }
        try write(Self.configuration(tied: tied), to: "model/config.json")
        for name in [
            "tokenizer.json", "generation_config.json", "chat_template.jinja", "LICENSE", "README.md",
        ] {
            try write("of \(name)", to: "model/\(name)")
        }
        try write("old", to: "model/pytorch_model.bin")
    }

    deinit { Self.remove(path) }

    /// Hidden size 8, 2 heads of 4 with 1 of keys, 12 inner, 16 tokens.
    static func tunable(tied: Bool) -> TunableModel {
        let attention = [("q_proj", 8, 8), ("k_proj", 8, 4), ("v_proj", 8, 4), ("o_proj", 8, 8)]
        let inner = [("gate_proj", 8, 12), ("up_proj", 8, 12), ("down_proj", 12, 8)]
        let layer = "model.layers.0."
        var linears = attention.map { ("\(layer)self_attn.\($0.0)", $0.1, $0.2) }
        linears += inner.map { ("\(layer)mlp.\($0.0)", $0.1, $0.2) }
        var parameters = [TunableModel.Parameter("model.embed_tokens.weight", [16, 8])]
        for (name, inputs, outputs) in linears {
            parameters.append(.init(name + ".weight", [outputs, inputs]))
            if ["q_proj", "k_proj", "v_proj"].contains(where: name.hasSuffix) {
                parameters.append(.init(name + ".bias", [outputs]))
            }
        }
        for norm in ["\(layer)input_layernorm", "\(layer)post_attention_layernorm", "model.norm"] {
            parameters.append(.init(norm + ".weight", [8]))
        }
        if !tied { parameters.append(.init("lm_head.weight", [16, 8])) }
        linears.append(("lm_head", 8, 16))
        return TunableModel(
            parameters: parameters, linears: linears.map { .init($0.0, inputs: $0.1, outputs: $0.2) },
            tieWordEmbeddings: tied)
    }

    static func configuration(tied: Bool) -> String {
        """
        {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 16, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 32, "tie_word_embeddings": \(tied)}
        """
    }

    /// Writes an adapter as a plan has it, its tensors drawn from the seed; returns its directory.
    /// - Parameter magnitude: how large the values are.
    @discardableResult
    func writeAdapter(
        _ plan: TunerPlan, to name: String, seed: UInt64 = 5, magnitude: Float = 1, type: ElementType = .f32
    ) throws -> String {
        var generator = SeededGenerator(seed: seed)
        func draw(_ shape: [Int]) -> [Float] {
            (0..<shape.reduce(1, *)).map { _ in .random(in: -magnitude...magnitude, using: &generator) }
        }
        var sources = plan.loras.flatMap(\.tensors).map { tensor in
            AdapterFile.source(tensor.name, tensor.shape, draw(tensor.shape), as: type)
        }
        var shared: [String: [Float]] = [:]
        for tensor in plan.savedTensors {
            let floats = shared[tensor.parameter.name] ?? draw(tensor.parameter.shape)
            shared[tensor.parameter.name] = floats
            sources.append(AdapterFile.source(tensor.name, tensor.parameter.shape, floats, as: type))
        }
        let configuration = try #require(plan.adapter)
        try AdapterFile.write(configuration, sources, to: "\(path)/\(name)")
        return "\(path)/\(name)"
    }

    func write(_ text: String, to name: String) throws {
        let file = try AtomicFile(path: "\(path)/\(name)")
        try file.write(Array(text.utf8))
        try file.commit()
    }

    func read(_ name: String) throws -> String {
        String(decoding: try SmallFile.read("\(path)/\(name)", limitBytes: 1 << 20), as: UTF8.self)
    }

    func names(_ directory: String = "") -> [String] { Self.names("\(path)/\(directory)") }

    private static func names(_ directory: String) -> [String] {
        guard let listing = opendir(directory) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        for name in names(path) { remove("\(path)/\(name)") }
        rmdir(path)
    }
}
