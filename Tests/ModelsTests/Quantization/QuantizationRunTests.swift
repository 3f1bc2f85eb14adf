// Whole models, quantized by each method: what lies in the directory afterwards, and what it means.

import Glibc
import Tensors
import TestSupport
import Testing
import Text

@testable import Models

@Suite("Quantization of a model")
struct QuantizationRunTests {
    struct Way: Sendable, CustomTestStringConvertible {
        var method: QuantizationMethod
        var weights: QuantizationScheme.Weights
        var format: QuantizationFormat
        var actOrder = false
        var testDescription: String { "\(method.rawValue) as \(format.rawValue), \(weights)" }

        func request(skips: [String] = []) throws -> QuantizationRequest {
            var request = try TinyQuantization.request(method, weights, format, skips: skips)
            request.scheme.actOrder = actOrder
            return request
        }
    }

    static let plain = QuantizationScheme.Weights.integers(bits: 4, groupSize: 32, symmetric: true)
    static let ragged = QuantizationScheme.Weights.integers(bits: 4, groupSize: 64, symmetric: false)
    static let ways = [
        Way(method: .rtn, weights: plain, format: .compressedTensors),
        Way(method: .rtn, weights: .integers(bits: 8, groupSize: nil, symmetric: true), format: .gptq),
        Way(method: .rtn, weights: .integers(bits: 4, groupSize: 32, symmetric: false), format: .awq),
        Way(method: .gptq, weights: plain, format: .gptq),
        Way(method: .gptq, weights: plain, format: .gptq, actOrder: true),
        Way(method: .gptq, weights: .integers(bits: 8, groupSize: 32, symmetric: false), format: .gptq),
        // 96 inputs of down_proj: the second group has half as many.
        Way(method: .gptq, weights: ragged, format: .gptq),
        Way(method: .gptq, weights: ragged, format: .gptq, actOrder: true),
        Way(method: .rtn, weights: ragged, format: .gptq),
        Way(method: .gptq, weights: plain, format: .compressedTensors),
        Way(method: .awq, weights: .integers(bits: 4, groupSize: 32, symmetric: false), format: .awq),
        Way(method: .fp8, weights: .float8(perChannel: true), format: .compressedTensors),
        Way(method: .fp8, weights: .float8(perChannel: false), format: .compressedTensors),
        Way(
            method: .int8, weights: .integers(bits: 8, groupSize: nil, symmetric: true),
            format: .compressedTensors),
    ]

    @Test("A layer that a format has no place for keeps its weights, and is named")
    func keptLayers() throws {
        let tiny = try TinyQuantization(.qwen2)
        for (method, format) in [
            (QuantizationMethod.awq, QuantizationFormat.awq), (.rtn, .compressedTensors),
        ] {
            let request = try TinyQuantization.request(method, Self.ragged, format)
            let run = try QuantizationRun(model: tiny.model, request, pool: ThreadPool(threads: 1))
            #expect(run.notes.count == TinyQuantization.layers)
            #expect(run.notes.allSatisfy { $0.contains("down_proj keeps its weights: its 96 inputs") })
            let report = try tiny.run(request, to: "kept-\(method.rawValue)")
            #expect(report.modules.count == 6 * TinyQuantization.layers)
            #expect(report.skipped.filter { $0.hasSuffix("down_proj") }.count == TinyQuantization.layers)
            let model = try CausalLanguageModel(
                directory: "\(tiny.path)/kept-\(method.rawValue)", pool: ThreadPool(threads: 1))
            #expect(model.configuration.quantization != nil)
        }
    }

    @Test(
        "The codes on disk have the error that the report tells, and the tokens their likelihood",
        arguments: ways)
    func codesOnDisk(way: Way) throws {
        let tiny = try TinyQuantization(.qwen2)
        let report = try tiny.run(way.request())
        #expect(report.modules.count == 7 * TinyQuantization.layers)
        for module in report.modules {
            let original = try tiny.floats(module.name + ".weight", in: "model")
            let values = try tiny.dequantized(module)
            let factors = try factors(of: module, tiny)
            var (errors, squares) = (0.0, 0.0)
            for index in original.indices {
                let value = values[index] / factors[index % module.inputs]
                errors += Double(value - original[index]) * Double(value - original[index])
                squares += Double(original[index]) * Double(original[index])
            }
            // The layer before an AWQ layer carries its factors in rows that this test does not undo.
            if way.method == .awq, ["up_proj", "v_proj", "down_proj"].contains(where: module.name.hasSuffix) {
                continue
            }
            #expect(
                abs((errors / squares).squareRoot() - module.relativeWeightError) < 1e-5, "\(module.name)")
            #expect(module.relativeOutputError.map { $0 < 0.4 } == true)
        }
        let (before, after) = (try #require(report.perplexityBefore), try #require(report.perplexityAfter))
        #expect(abs(before - (try perplexity(tiny, "model"))) < 1e-3 * before)
        #expect(abs(after - (try perplexity(tiny, "out"))) < 1e-3 * after)
    }

    /// What the inputs of a module were divided by: the norm before it tells.
    private func factors(of module: QuantizationReport.Module, _ tiny: TinyQuantization) throws -> [Float] {
        let norms = [
            "self_attn.q_proj": "input_layernorm", "self_attn.k_proj": "input_layernorm",
            "self_attn.v_proj": "input_layernorm", "mlp.gate_proj": "post_attention_layernorm",
            "mlp.up_proj": "post_attention_layernorm",
        ]
        for (suffix, norm) in norms where module.name.hasSuffix(suffix) {
            let name = String(module.name.dropLast(suffix.count)) + norm + ".weight"
            let (before, after) = (try tiny.floats(name, in: "model"), try tiny.floats(name, in: "out"))
            return zip(before, after).map { $0 / $1 }
        }
        return [Float](repeating: 1, count: module.inputs)
    }

    /// The perplexity of the held-out texts by the model as inference has it.
    private func perplexity(_ tiny: TinyQuantization, _ directory: String) throws -> Double {
        let pool = try ThreadPool(threads: 1)
        let model = try CausalLanguageModel(directory: "\(tiny.path)/\(directory)", pool: pool)
        var (sum, count) = (0.0, 0)
        for text in TinyQuantization.texts(5, seed: 2) {
            let logits = try TinyPass.logits(model, pool, text, prompt: text.count)
            for place in 1..<text.count {
                let row = logits[
                    (place - 1) * TinyQuantization.vocabulary..<place * TinyQuantization.vocabulary]
                let largest = row.max() ?? 0
                let total = row.reduce(0.0) { $0 + exp(Double($1 - largest)) }
                sum += log(total) + Double(largest - row[row.startIndex + Int(text[place])])
                count += 1
            }
        }
        return exp(sum / Double(count))
    }

    @Test(
        "Every family goes through AWQ without a change of what its factors compute",
        arguments: TinyFamily.allCases)
    func smoothingChangesNothing(family: TinyFamily) throws {
        let tiny = try TinyQuantization(family)
        // With 8 bits there is next to no error: whatever the factors broke would show.
        var request = try TinyQuantization.request(
            .awq, .integers(bits: 8, groupSize: 32, symmetric: false), .gptq)
        request.scheme.format = .gptq
        let report = try tiny.run(request)
        let (before, after) = (try #require(report.perplexityBefore), try #require(report.perplexityAfter))
        #expect(abs(after / before - 1) < 0.05)
        let folds = report.modules.filter { $0.ratio != nil }
        // Where heads share their values, the output projection has no factors.
        let perLayer = family == .llama ? 7 : 6
        #expect(folds.count == perLayer * TinyQuantization.layers)
        #expect(report.modules.allSatisfy { $0.relativeWeightError < 0.02 })
        if family == .llama {
            #expect(
                abs(after - (try perplexity(tiny, "out"))) < 1e-3 * after, "biases are divided on disk, too")
        }
    }

    @Test(
        "GPTQ is better than rounding where it was calibrated, in 16 bits, too",
        arguments: [ElementType.f32, .bf16])
    func betterThanRounding(type: ElementType) throws {
        let tiny = try TinyQuantization(.qwen3, type: type)
        func worst(_ method: QuantizationMethod) throws -> [Double] {
            let report = try tiny.run(
                TinyQuantization.request(method, Self.plain, .compressedTensors), to: method.rawValue)
            return report.modules.compactMap(\.relativeOutputError)
        }
        let (rounded, ours) = (try worst(.rtn), try worst(.gptq))
        #expect(ours.reduce(0, +) < 0.95 * rounded.reduce(0, +))
    }

    @Test(
        "The directory is a whole model, with settings and license and without a trainer's state"
    )
    func wholeDirectory() throws {
        let tiny = try TinyQuantization(.qwen2)
        var request = try Self.ways[3].request(skips: ["layers.0", "*.down_proj"])
        request.maximumShardBytes = 9_000
        let report = try tiny.run(request)
        let names = StagedDirectory.names(in: tiny.path + "/out")
        for name in [
            "config.json", "generation_config.json", "LICENSE", "model.safetensors.index.json",
            "quantization_report.json",
        ] { #expect(names.contains(name), "\(name)") }
        #expect(!names.contains("trainer_state.json") && !names.contains { $0.hasPrefix(".") })
        let tensors = try SafetensorsModel(directory: tiny.path + "/out")
        #expect(tensors.files.count > 1)
        #expect(tensors.tensorByteCount == report.bytesAfter)
        #expect(report.modules.count == 6)
        #expect(report.skipped.contains("lm_head") && report.skipped.count == 9)
        for name in report.skipped.dropFirst() {
            let kept = try #require(tensors.tensor(name + ".weight"))
            #expect(kept.elementType == .f32)
            #expect(try kept.floats() == tiny.floats(name + ".weight", in: "model"))
        }
        let written = try OrderedJSON(
            parsingUTF8: SmallFile.read(tiny.path + "/out/quantization_report.json", limitBytes: 1 << 20))
        #expect(written["modules"]?.arrayValue?.count == 6)
        #expect(written["perplexity_after"]?.doubleValue == report.perplexityAfter)
        // The model's content is the same for the same work: nothing in it is measured by a clock.
        #expect(written["duration_s"] == nil && written["peak_rss_bytes"] == nil)
    }

    @Test("The same run gives the same bytes, with other threads and with activations in a file")
    func sameBytes() throws {
        let tiny = try TinyQuantization(.mistral)
        let request = try Self.ways[4].request()
        try tiny.run(request, to: "one")
        var filed = request
        filed.activationLimitBytes = 0
        try tiny.run(filed, to: "two", threads: 3)
        let (one, two) = try ["one", "two"].map {
            try SmallFile.read("\(tiny.path)/\($0)/model.safetensors", limitBytes: 1 << 24)
        }.withUnsafeBufferPointer { ($0[0], $0[1]) }
        #expect(one == two)
    }

    @Test("Without texts, methods that need none work, and the others say so")
    func noTexts() throws {
        let tiny = try TinyQuantization(.llama)
        var request = try Self.ways[0].request()
        (request.calibration, request.heldOut) = ([], [])
        let report = try tiny.run(request)
        #expect(report.perplexityBefore == nil && report.modules.allSatisfy { $0.relativeOutputError == nil })
        request.method = .gptq
        let error = #expect(throws: ModelError.self) { try tiny.run(request, to: "none") }
        #expect(error?.remedy.contains("--dataset") == true)
    }

    @Test("What cannot be quantized is refused before the work, with the layer and what to do")
    func refusals() throws {
        let tiny = try TinyQuantization(.llama)
        var request = try Self.ways[0].request()
        request.scheme.weights = .integers(bits: 4, groupSize: 60, symmetric: true)
        let uneven = #expect(throws: ModelError.self) { try tiny.run(request) }
        #expect(uneven?.problem.contains("model.layers.0.self_attn.q_proj") == true)
        let all = try Self.ways[0].request(skips: ["*"])
        #expect(throws: ModelError.self) { try tiny.run(all) }
        var strange = try Self.ways[0].request()
        strange.calibration = [[1, 2, 1_000]]
        let foreign = #expect(throws: ModelError.self) { try tiny.run(strange) }
        #expect(foreign?.remedy.contains("tokenizer") == true)
        try tiny.run(Self.ways[0].request(), to: "done")
        let again = #expect(throws: ModelError.self) {
            try QuantizationRun(
                model: tiny.path + "/done", Self.ways[0].request(), pool: ThreadPool(threads: 1))
        }
        #expect(again?.problem.contains("already") == true)
    }

    @Test("A wish to stop ends the run at the next batch or layer", arguments: [0, 1, 7, 20])
    func cancelling(after calls: Int) throws {
        struct Stopped: Error {}
        let tiny = try TinyQuantization(.llama)
        var left = calls
        #expect(throws: Stopped.self) {
            try tiny.run(Self.ways[3].request()) { environment in
                environment.checkCancellation = {
                    left -= 1
                    if left < 0 { throw Stopped() }
                }
            }
        }
        #expect(!SmallFile.exists(tiny.path + "/out/config.json"))
    }
}
