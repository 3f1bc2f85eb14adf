// Checkpoints that are damaged, contradict themselves, or come from methods that are not read.

import Models
import Tensors
import TestSupport
import Testing
import Text

@Suite("Hostile quantized checkpoints")
struct QuantizedHostileTests {
    private static let gptq = QuantizationScheme(
        format: .gptq, weights: .integers(bits: 4, groupSize: 16, symmetric: false), actOrder: true)
    private static let packed = QuantizationScheme(
        format: .compressedTensors, weights: .integers(bits: 4, groupSize: 16, symmetric: false))
    private static let bytes = QuantizationScheme(
        format: .compressedTensors, weights: .integers(bits: 8, groupSize: nil, symmetric: true),
        dynamicActivations: true)
    private static let float8 = QuantizationScheme(
        format: .compressedTensors, weights: .float8(perChannel: true))
    private static let awq = QuantizationScheme(
        format: .awq, weights: .integers(bits: 4, groupSize: 16, symmetric: false))

    /// The tensors of a model of that kind.
    private func tensors(_ scheme: QuantizationScheme) throws -> [QuantizedTensors.Stored] {
        let (quantized, _) = try QuantizedFixture(scheme: scheme, type: .f32, seed: 20).write()
        let file = try SafetensorsFile(path: "\(quantized.path)/model.safetensors")
        return file.names.compactMap { file.tensor($0) }.map {
            QuantizedTensors.Stored(
                name: $0.name, type: $0.elementType, shape: $0.shape, bytes: Array($0.bytes))
        }
    }

    private func load(
        _ configuration: String, _ tensors: [QuantizedTensors.Stored], beside: String? = nil
    ) throws -> CausalLanguageModel {
        let directory = try ModelDirectory()
        try directory.write(configuration)
        if let beside { try directory.write(beside, "quantize_config.json") }
        try directory.write(tensors)
        return try CausalLanguageModel(directory: directory.path, pool: try ThreadPool(threads: 1))
    }

    private func configuration(_ scheme: QuantizationScheme) -> String {
        QuantizedFixture(scheme: scheme, type: .f32, seed: 0).configuration(quantized: true)
    }

    /// The plain configuration with another `quantization_config`.
    private func configuration(json: String) -> String {
        let plain = QuantizedFixture(scheme: Self.gptq, type: .f32, seed: 0).configuration(quantized: false)
        return plain.dropLast() + ", \"quantization_config\": \(json)}"
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var scheme: QuantizationScheme
        var tensor: String
        /// What the error must name, the tensor's last part if nil.
        var words: String
        var change: @Sendable (inout QuantizedTensors.Stored) -> Void

        init(
            _ name: String, _ scheme: QuantizationScheme, _ tensor: String, _ words: String,
            _ change: @escaping @Sendable (inout QuantizedTensors.Stored) -> Void
        ) {
            (testDescription, self.scheme, self.tensor) = (
                name, scheme, "model.layers.1.mlp.down_proj." + tensor
            )
            (self.words, self.change) = (words, change)
        }
    }

    static let damages: [Damage] = [
        Damage("missing scales", gptq, "scales", "have no tensor", { $0.name = "elsewhere" }),
        Damage("missing zero points", gptq, "qzeros", "have no tensor", { $0.name = "elsewhere" }),
        Damage("missing g_idx", gptq, "g_idx", "desc_act", { $0.name = "elsewhere" }),
        Damage("a group that is not there", gptq, "g_idx", "group 5", { $0.bytes[0] = 5 }),
        Damage(
            "a negative group", gptq, "g_idx", "group -1",
            { $0.bytes.replaceSubrange(0..<4, with: [255, 255, 255, 255]) }),
        Damage("words of another shape", gptq, "qweight", "has shape [48, 10]", { $0.shape = [48, 10] }),
        Damage("words of another type", gptq, "qweight", "F32", { $0.type = .f32 }),
        Damage("scales of another shape", gptq, "scales", "has shape", { $0.shape = [48, 5] }),
        Damage("scales that are bytes", gptq, "scales", "U8", { ($0.type, $0.shape) = (.u8, [960]) }),
        Damage(
            "an infinite scale", gptq, "scales", "not numbers",
            { $0.bytes.replaceSubrange(0..<4, with: [0, 0, 128, 127]) }),
        Damage("AWQ words of another shape", awq, "qweight", "has shape", { $0.shape = [6, 80] }),
        Damage("AWQ zero points of another shape", awq, "qzeros", "has shape", { $0.shape = [6, 5] }),
        Damage("another weight_shape", packed, "weight_shape", "does not say", { $0.bytes[0] = 7 }),
        Damage("packed words of another type", packed, "weight_packed", "I32", { $0.type = .u32 }),
        Damage(
            "missing packed zero points", packed, "weight_zero_point", "have no tensor", { $0.name = "x" }),
        Damage("missing packed scales", packed, "weight_scale", "have no tensor", { $0.name = "x" }),
        Damage("bytes without scales", bytes, "weight_scale", "have no tensor", { $0.name = "x" }),
        Damage("bytes of another shape", bytes, "weight", "has shape", { $0.shape = [80, 48] }),
        Damage("FP8 that is not a number", float8, "weight", "not numbers", { $0.bytes[77] = 0xff }),
        Damage("FP8 scales of another shape", float8, "weight_scale", "has shape", { $0.shape = [1, 48] }),
        Damage("FP8 where integers are said", bytes, "weight", "F8_E4M3", { $0.type = .f8E4M3 }),
    ]

    @Test("Damage is refused with file, tensor and what to do", arguments: damages)
    func damage(_ damage: Damage) throws {
        var all = try tensors(damage.scheme)
        let index = try #require(all.firstIndex { $0.name == damage.tensor })
        damage.change(&all[index])
        let error = try #require(throws: ModelError.self) { try load(configuration(damage.scheme), all) }
        #expect(error.description.contains(damage.words), "\(error)")
        #expect(error.problem.contains("model.layers.1.mlp.down_proj.") && !error.remedy.isEmpty)
        #expect(error.file.contains("martlet-quantized"))
    }

    private static func group(_ target: String, _ weights: String) -> String {
        #"{"config_groups": {"g": {"targets": [\#(target)], "weights": \#(weights)}}}"#
    }

    @Test(
        "Methods and settings that are not read are refused by name",
        arguments: [
            (#"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#, "bitsandbytes"),
            (#"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#, "\"fp8\""),
            (#"{"quant_method": "mxfp4"}"#, "mxfp4"), (#"{"quant_method": "hqq"}"#, "hqq"),
            (#"{"quant_method": 7}"#, "quant_method"),
            (#"{"quant_method": "gptq", "group_size": 128}"#, "bits"),
            (#"{"quant_method": "gptq", "bits": 3, "group_size": 128}"#, "3 bits"),
            (#"{"quant_method": "gptq", "bits": 2, "group_size": 128}"#, "2 bits"),
            (#"{"quant_method": "gptq", "bits": 4, "group_size": 0}"#, "group_size"),
            (
                #"{"quant_method": "gptq", "bits": 4, "group_size": 16, "checkpoint_format": "marlin"}"#,
                "marlin"
            ),
            (#"{"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemv"}"#, "gemv"),
            (#"{"quant_method": "awq", "bits": 8, "group_size": 16}"#, "AWQ"),
            (#"{"quant_method": "awq", "bits": 4, "group_size": 16, "zero_point": false}"#, "zero_point"),
            (
                #"{"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "config_groups": {}}"#,
                "nvfp4"
            ),
            (
                #"{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}}"#,
                "config_groups"
            ),
            (group(#""Linear""#, #"{"num_bits": 4, "type": "float"}"#), "num_bits"),
            (group(#""re:((""#, "{}"), "targets"),
            (group(#""Linear""#, #"{"strategy": "block"}"#), "block"),
            (#"{"quant_method": "compressed-tensors", "config_groups": {"g": null}}"#, "g"),
            ("[]", "quantization_config"),
        ])
    func settings(json: String, word: String) throws {
        let all = try tensors(Self.gptq)
        let error = try #require(throws: ConfigurationError.self) { try load(configuration(json: json), all) }
        #expect(error.description.contains(word) && !error.remedy.isEmpty, "\(error)")
    }

    @Test("A module of no group, and one that is ignored, must not be quantized")
    func contradictions() throws {
        let all = try tensors(Self.packed)
        let said = configuration(Self.packed)
        let ignored = said.replacing("[\"lm_head\"]", with: "[\"lm_head\", \"re:.*down_proj\"]")
        #expect(said != ignored)
        let error = try #require(throws: ModelError.self) { try load(ignored, all) }
        #expect(error.problem.contains("0.mlp.down_proj.weight_packed"))
        #expect(throws: Never.self) { try load(said, all) }
    }

    @Test("Settings in AutoGPTQ's own file are found, and version 2 stores zero points as they are")
    func otherWays() throws {
        let scheme = Self.gptq
        let plain = QuantizedFixture(scheme: scheme, type: .f32, seed: 0).configuration(quantized: false)
        let all = try tensors(scheme)
        let first = try load(configuration(scheme), all)
        let beside = QuantizedTensors.configuration(scheme).compactText
        let second = try load(plain, all, beside: beside)
        var newer = all
        for index in newer.indices where newer[index].name.hasSuffix("qzeros") {
            // No nibble is 15 here, so that none carries.
            newer[index].bytes = newer[index].bytes.map { $0 + 0x11 }
        }
        let third = try load(
            configuration(scheme).replacing(
                "\"checkpoint_format\":\"gptq\"", with: "\"checkpoint_format\":\"gptq_v2\""),
            newer)
        let pool = try ThreadPool(threads: 1)
        let ids = QuantizedModelTests.ids
        let logits = try [first, second, third].map { try TinyPass.logits($0, pool, ids, prompt: 5) }
        #expect(logits[0] == logits[1] && logits[0] == logits[2])
    }

    @Test(
        "Mutated settings and tensors are read or refused, and never trap",
        arguments: [gptq, awq, packed, float8])
    func mutations(_ scheme: QuantizationScheme) throws {
        var random = SeededGenerator(seed: 30)
        let all = try tensors(scheme)
        let text = Array(QuantizedTensors.configuration(scheme).compactText.utf8)
        let others: [ElementType] = [.i32, .i64, .f16, .f32, .i8, .u8, .f8E4M3, .bool]
        for _ in 0..<60 {
            var (changed, json) = (all, text)
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let index = Int.random(in: 0..<json.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0:
                    json[index] = UInt8(
                        ascii: "0123456789-[]{}\",:ael".randomElement(using: &random)!.unicodeScalars.first!)
                case 1: json.remove(at: index)
                default: json.insert(json.randomElement(using: &random)!, at: index)
                }
            }
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let index = Int.random(in: 0..<changed.count, using: &random)
                var stored = changed[index]
                switch Int.random(in: 0...3, using: &random) {
                case 0:
                    stored.type = others.randomElement(using: &random)!
                    stored.shape = [stored.bytes.count / stored.type.byteCount]
                    stored.bytes.removeLast(stored.bytes.count % stored.type.byteCount)
                case 1: stored.shape.reverse()
                case 2:
                    for _ in 0..<8 {
                        stored.bytes[Int.random(in: 0..<stored.bytes.count, using: &random)] = .random(
                            in: 0...255, using: &random)
                    }
                default: stored.name += "x"
                }
                changed[index] = stored
            }
            _ = try? load(configuration(json: String(decoding: json, as: UTF8.self)), changed)
        }
    }
}
