// Whole models from quantized checkpoints: what they compute, and what is refused.

import Models
import Tensors
import TestSupport
import Testing
import Text

/// A way to quantize, with a name for the test's list.
struct SchemeCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var scheme: QuantizationScheme

    init(_ name: String, _ scheme: QuantizationScheme) { (testDescription, self.scheme) = (name, scheme) }

    static let all: [SchemeCase] = [
        SchemeCase(
            "gptq 4 bits", .init(format: .gptq, weights: .integers(bits: 4, groupSize: 16, symmetric: true))),
        SchemeCase(
            "gptq 4 bits asymmetric, act order",
            .init(format: .gptq, weights: .integers(bits: 4, groupSize: 16, symmetric: false), actOrder: true)
        ),
        SchemeCase(
            "gptq 8 bits asymmetric, odd groups",
            .init(format: .gptq, weights: .integers(bits: 8, groupSize: 12, symmetric: false))),
        SchemeCase(
            "gptq 8 bits by output",
            .init(format: .gptq, weights: .integers(bits: 8, groupSize: nil, symmetric: true))),
        SchemeCase("awq", .init(format: .awq, weights: .integers(bits: 4, groupSize: 16, symmetric: false))),
        SchemeCase(
            "packed 4 bits",
            .init(format: .compressedTensors, weights: .integers(bits: 4, groupSize: 16, symmetric: true))),
        SchemeCase(
            "packed 4 bits asymmetric by output",
            .init(format: .compressedTensors, weights: .integers(bits: 4, groupSize: nil, symmetric: false))),
        SchemeCase(
            "packed 8 bits asymmetric",
            .init(format: .compressedTensors, weights: .integers(bits: 8, groupSize: 16, symmetric: false))),
        SchemeCase(
            "int-quantized",
            .init(
                format: .compressedTensors, weights: .integers(bits: 8, groupSize: nil, symmetric: true),
                dynamicActivations: true)),
        SchemeCase("FP8 by tensor", .init(format: .compressedTensors, weights: .float8(perChannel: false))),
        SchemeCase(
            "FP8 by output",
            .init(format: .compressedTensors, weights: .float8(perChannel: true), dynamicActivations: true)),
    ]
}

@Suite("Models from quantized checkpoints")
struct QuantizedModelTests {
    static let ids: [Int32] = [3, 66, 0, 17, 42, 42, 9, 30, 1, 5, 11]

    private func logits(_ directory: ModelDirectory, _ arithmetic: QuantizedArithmetic = .dequantized) throws
        -> [Float]
    {
        let pool = try ThreadPool(threads: 2)
        let model = try CausalLanguageModel(directory: directory.path, arithmetic: arithmetic, pool: pool)
        return try TinyPass.logits(model, pool, Self.ids, prompt: 8)
    }

    // A weight is dequantized by the same two operations here and in the twin's file, rounded to the same type, and
    // multiplied in the same order: nothing may differ, so the tolerance is none.
    @Test(
        "A quantized model gives its dequantized twin's logits, bit by bit", arguments: SchemeCase.all,
        [ElementType.f32, .bf16, .f16])
    func twins(_ scheme: SchemeCase, type: ElementType) throws {
        let fixture = QuantizedFixture(scheme: scheme.scheme, type: type, seed: 5)
        let (quantized, twin) = try fixture.write()
        let result = try logits(quantized)
        #expect(result.allSatisfy(\.isFinite) && Set(result).count > 100)
        #expect(try result == logits(twin))
    }

    @Test(
        "Biases, a tied output layer and a quantized one are as in the twin",
        arguments: [(true, true, false), (true, false, true), (false, false, true)])
    func ends(isBiased: Bool, isTied: Bool, quantizesHead: Bool) throws {
        for scheme in SchemeCase.all where scheme.scheme.format == .compressedTensors {
            var fixture = QuantizedFixture(scheme: scheme.scheme, type: .bf16, seed: 10)
            (fixture.isBiased, fixture.isTied, fixture.quantizesHead) = (isBiased, isTied, quantizesHead)
            if quantizesHead { fixture.scheme.ignored = [] }
            let (quantized, twin) = try fixture.write()
            let (ours, theirs) = (try logits(quantized), try logits(twin))
            #expect(ours == theirs, "\(scheme.testDescription)")
        }
    }

    @Test(
        "An adapter changes a quantized model as it changes its twin",
        arguments: [SchemeCase.all[1], SchemeCase.all[9]])
    func adapters(_ scheme: SchemeCase) throws {
        let (quantized, twin) = try QuantizedFixture(scheme: scheme.scheme, type: .f32, seed: 11).write()
        let adapter = try ModelDirectory()
        try adapter.write(
            #"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]}"#,
            "adapter_config.json")
        var random = SeededGenerator(seed: 12)
        var tensors: [QuantizedTensors.Stored] = []
        for (name, outputs, inputs) in QuantizedFixture.sizes(1)
        where name.hasSuffix("q_proj") || name.hasSuffix("down_proj") {
            for (letter, shape) in [("A", [2, inputs]), ("B", [outputs, 2])] {
                let values = (0..<shape[0] * shape[1]).map { _ in Float.random(in: -0.5...0.5, using: &random)
                }
                let tensor = "base_model.model.\(name).lora_\(letter).weight"
                tensors.append(QuantizedFixture.stored(tensor, values, shape, .f32))
            }
        }
        try adapter.write(tensors, "adapter_model.safetensors")
        let pool = try ThreadPool(threads: 1)
        let results = try [quantized, twin].map { directory in
            let model = try CausalLanguageModel(directory: directory.path, pool: pool)
            let change = try LoRAAdapter(name: "a", directory: adapter.path, model: model, pool: pool)
            return try TinyPass.logits(model, pool, Self.ids, prompt: 8, adapter: change)
        }
        #expect(results[0] == results[1])
        let plain = try logits(quantized)
        #expect(results[0] != plain)
    }

    @Test(
        "Layers that are not quantized alike are one matrix nevertheless",
        arguments: [ElementType.f32, .bf16])
    func mixedLayers(_ type: ElementType) throws {
        let scheme = QuantizationScheme(
            format: .gptq, weights: .integers(bits: 4, groupSize: 16, symmetric: true), actOrder: true)
        let fixture = QuantizedFixture(scheme: scheme, type: type, seed: 6)
        let (quantized, twin) = try fixture.write { name, made, random in
            if name.hasSuffix("1.self_attn.q_proj") || name.hasSuffix("0.mlp.down_proj") {
                return .plain(made.values)
            }
            // Orders of their own for keys and values.
            if name.hasSuffix("0.self_attn.k_proj"), case .integers(var matrix) = made {
                matrix.groupIndex?.shuffle(using: &random)
                return .integers(matrix)
            }
            return made
        }
        #expect(try logits(quantized) == logits(twin))
    }

    // Activations of 8 bits are off by half of 1/127 of their group's largest at most, some 0.4 percent; over two
    // layers and the residual sums that stays below a tenth of the logits' spread, and is not nothing.
    @Test("Rounded activations are near, where the layout allows them", arguments: SchemeCase.all)
    func eightBit(_ scheme: SchemeCase) throws {
        let fixture = QuantizedFixture(scheme: scheme.scheme, type: .f32, seed: 7)
        let (quantized, twin) = try fixture.write()
        let (exact, rounded) = (try logits(twin), try logits(quantized, .eightBit))
        let spread = (exact.map { $0 * $0 }.reduce(0, +) / Float(exact.count)).squareRoot()
        let worst = zip(exact, rounded).map { ($0 - $1).magnitude }.max() ?? 0
        #expect(worst <= 0.1 * spread)
    }

    @Test("Codes take the memory of codes")
    func memory() throws {
        let scheme = QuantizationScheme(
            format: .gptq, weights: .integers(bits: 4, groupSize: 16, symmetric: true))
        let (quantized, twin) = try QuantizedFixture(scheme: scheme, type: .bf16, seed: 8).write()
        let pool = try ThreadPool(threads: 1)
        let model = try CausalLanguageModel(directory: quantized.path, pool: pool)
        let plain = try CausalLanguageModel(directory: twin.path, pool: pool)
        #expect(model.weightByteCount < plain.weightByteCount && model.usesHalfCache && plain.usesHalfCache)
        #expect(model.linearSizes.keys == plain.linearSizes.keys)
    }

    @Test("A layer's observer sees its input")
    func observer() throws {
        let (quantized, _) = try QuantizedFixture(scheme: SchemeCase.all[0].scheme, type: .f32, seed: 9)
            .write()
        let pool = try ThreadPool(threads: 1)
        let model = try CausalLanguageModel(directory: quantized.path, pool: pool)
        let workspace = try Workspace(model, maxTokens: 4, pool: pool)
        let cache = try KVCache(model.configuration, blockCount: 1, isHalf: false)
        var seen: [String] = []
        workspace.observe = { linear, x, count, stride in
            seen.append(
                "\(linear.parts[0].name) \(count) \(stride) \((0..<stride).allSatisfy { x[$0].isFinite })")
        }
        var batch = ForwardBatch()
        batch.append([1, 2, 3], start: 0, slots: [0, 1, 2], blockTable: [0])
        var states = [Float](repeating: 0, count: 3 * QuantizedFixture.hidden)
        model.forward(batch, cache: cache, workspace: workspace, into: &states)
        #expect(
            seen.prefix(4) == [
                "model.layers.0.self_attn.q_proj 3 48 true", "model.layers.0.self_attn.o_proj 3 64 true",
                "model.layers.0.mlp.gate_proj 3 48 true", "model.layers.0.mlp.down_proj 3 80 true",
            ])
        #expect(seen.count == 8)
    }

    @Test("What is quantized is not quantized again")
    func twice() throws {
        let (quantized, _) = try QuantizedFixture(scheme: SchemeCase.all[0].scheme, type: .f32, seed: 9)
            .write()
        let error = try #require(throws: ModelError.self) {
            _ = try CausalLanguageModel(
                directory: quantized.path, quantization: .int8, pool: try ThreadPool(threads: 1))
        }
        #expect(error.description.contains("gptq") && error.remedy.contains("--quant int8"))
    }
}
