// Damaged settings give a value or an error, and a value's numbers can be computed with.

import Models
import TestSupport
import Testing

@Suite("Damaged configuration")
struct ConfigurationFuzzTests {
    private static let model = Array(
        (#"{"architectures":["Qwen3ForCausalLM"],"hidden_size":64,"intermediate_size":176,"vocab_size":1024,"#
            + #""num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":32,"#
            + #""layer_types":["full_attention","sliding_attention"],"sliding_window":8,"use_sliding_window":true,"#
            + #""max_position_embeddings":512,"rms_norm_eps":1e-06,"eos_token_id":[1023],"dtype":"bfloat16","#
            + #""rope_parameters":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":128,"rope_theta":1e6}}"#)
            .utf8)
    private static let adapter = Array(
        (#"{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":"model.*(q|v)_proj","rank_pattern":{"q_proj":4},"#
            + #""alpha_pattern":{".*v_proj":2.5},"modules_to_save":["lm_head"],"layers_to_transform":[0,1],"bias":"none"}"#)
            .utf8)
    private static let generation = Array(
        #"{"do_sample":true,"temperature":0.7,"top_k":20,"top_p":0.8,"eos_token_id":[1,2],"max_new_tokens":9}"#
            .utf8)

    private static func damaged(_ valid: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var bytes = valid
        for _ in 0...Int.random(in: 0..<3, using: &random) {
            guard let place = bytes.indices.randomElement(using: &random) else { break }
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: place)
            case 2:
                let pieces = [
                    "0", "9", "-", "e9", "null", "[", "{", "\"", "999999999999", ".5", "(", "*", "\\u0000",
                ]
                bytes.insert(contentsOf: Array((pieces.randomElement(using: &random) ?? "").utf8), at: place)
            case 3: bytes.removeLast(min(bytes.count, Int.random(in: 1...20, using: &random)))
            case 4:
                let end = min(bytes.count, place + Int.random(in: 1...30, using: &random))
                bytes.removeSubrange(place..<end)
            default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
        }
        return bytes
    }

    @Test("A damaged config.json never traps, nor does what is computed from it", arguments: 0..<6)
    func models(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var (read, refused) = (0, 0)
        for _ in 0..<400 {
            let bytes = Self.damaged(Self.model, using: &random)
            do throws(ConfigurationError) {
                let model = try ModelConfiguration(parsing: bytes, file: "config.json")
                let rotary = RotaryEmbedding(model, sequenceLength: 1000)
                let windows = (0..<model.numHiddenLayers).map(model.window(layer:))
                let isSane =
                    rotary.inverseFrequencies.count == model.headDim / 2
                    && rotary.inverseFrequencies.allSatisfy(\.isFinite)
                    && rotary.table(positions: 7..<9).sines.allSatisfy(\.isFinite)
                    && model.numAttentionHeads % model.numKeyValueHeads == 0
                    && windows.allSatisfy { ($0 ?? 1) > 0 }
                #expect(isSane, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
                read += 1
            } catch {
                #expect(error.file == "config.json" && !error.problem.isEmpty && !error.remedy.isEmpty)
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0)
    }

    @Test("Nor do damaged adapters and generation defaults", arguments: 0..<6)
    func adapters(seed: UInt64) {
        var random = SeededGenerator(seed: seed &+ 1000)
        var (read, refused) = (0, 0)
        for _ in 0..<400 {
            let bytes = Self.damaged(Self.adapter, using: &random)
            do throws(ConfigurationError) {
                let adapter = try AdapterConfiguration(parsing: bytes, file: "adapter_config.json")
                let isSane =
                    adapter.scaling(for: "model.layers.0.self_attn.q_proj").isFinite
                    && adapter.rank(for: "v_proj") > 0
                #expect(isSane, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
                _ = adapter.targets("model.layers.0.self_attn.v_proj")
                read += 1
            } catch {
                #expect(
                    error.file == "adapter_config.json" && !error.problem.isEmpty && !error.remedy.isEmpty)
                refused += 1
            }
            let defaults = try? GenerationConfiguration(
                parsing: Self.damaged(Self.generation, using: &random), file: "g")
            #expect(defaults?.temperature?.isFinite != false)
        }
        #expect(read > 0 && refused > 0)
    }
}
