// The parameters of `quantize`: what is meant by them, what does not go together, and a model from end to
// end.

import ArgumentParser
import Glibc
import Models
import Tensors
import TestSupport
import Testing
import Text

@testable import martlet

@Suite("Parameters of quantize")
struct QuantizeSettingsTests {
    private static let usual = ["--model=m", "--quant-method=gptq", "--dataset=d.jsonl"]

    private func settings(_ words: [String], outputs: String? = nil) throws -> QuantizeSettings {
        try QuantizeSettings(QuantizeOptions.parse(words), outputs: outputs)
    }

    @Test(
        "Each method has its own format, bits and name",
        arguments: [
            (
                "gptq", QuantizationFormat.gptq,
                QuantizationScheme.Weights.integers(bits: 4, groupSize: 128, symmetric: true), "m-gptq-int4"
            ),
            ("awq", .awq, .integers(bits: 4, groupSize: 128, symmetric: false), "m-awq-int4"),
            ("rtn", .compressedTensors, .integers(bits: 4, groupSize: 128, symmetric: true), "m-rtn-int4"),
            ("fp8", .compressedTensors, .float8(perChannel: true), "m-fp8"),
            ("int8", .compressedTensors, .integers(bits: 8, groupSize: nil, symmetric: true), "m-int8"),
        ])
    func defaults(
        method: String, format: QuantizationFormat, weights: QuantizationScheme.Weights, name: String
    ) throws {
        let made = try settings(["--model=m/", "--quant-method=\(method)", "--dataset=d.jsonl"])
        #expect(made.scheme.format == format)
        #expect(made.scheme.weights == weights)
        #expect(made.outputDir == name)
        #expect(made.scheme.dynamicActivations == ["fp8", "int8"].contains(method))
    }

    @Test("A step writes its model where artifacts are, unless it is told otherwise")
    func stepOutput() throws {
        #expect(try settings(Self.usual, outputs: "/out").outputDir == "/out/model")
        #expect(try settings(Self.usual + ["--output-dir=o"], outputs: "/out").outputDir == "o")
    }

    @Test("What is given counts")
    func given() throws {
        let made = try settings(
            Self.usual + [
                "--quant-bits=8", "--group-size=-1", "--sym=false", "--desc-act=true", "--damp-percent=0.05",
                "--quant-format=gptq", "--modules-to-not-convert=down_proj",
            ])
        #expect(made.scheme.weights == .integers(bits: 8, groupSize: nil, symmetric: false))
        #expect(made.scheme.actOrder && made.scheme.dampPercent == 0.05 && made.dampPercent == 0.05)
        #expect(made.skips.contains("model.layers.0.mlp.down_proj"))
    }

    @Test(
        "What does not go together is refused with what to do instead",
        arguments: [
            (["--quant-method=rtn"], "--model is missing"), (["--model=m"], "--quant_method is missing"),
            (["--model=m", "--quant-method=gptq"], "--dataset is missing"),
            (["--model=m", "--quant-method=bnb"], "martlet sft"),
            (["--model=m", "--quant-method=gptq_v2"], "use gptq"),
            (usual + ["--adapters=a"], "martlet merge"),
            (usual + ["--static-groups=true"], "--static_groups"),
            (usual + ["--quant-bits=3"], "write 4 or 8"),
            (usual + ["--group-size=0"], "--group_size"), (usual + ["--damp-percent=0"], "--damp_percent"),
            (usual + ["--max-length=1"], "--max_length"),
            (usual + ["--quant-n-samples=0"], "--quant_n_samples"),
            (usual + ["--threads=0"], "--threads"), (usual + ["--output-dir=m"], "is the model itself"),
            (usual + ["--quant-format=awq", "--desc-act=true"], "no act order"),
            (usual + ["--quant-format=awq", "--quant-bits=8"], "4 bits"),
            (usual + ["--modules-to-not-convert=re:("], "--modules_to_not_convert"),
            (usual + ["--columns=["], "--columns"),
            (["--model=m", "--quant-method=rtn", "--desc-act=true"], "is for gptq"),
            (["--model=m", "--quant-method=fp8", "--quant-bits=4"], "has 8 bits"),
            (["--model=m", "--quant-method=int8", "--group-size=64"], "one scale an output"),
            (["--model=m", "--quant-method=fp8", "--quant-format=gptq"], "compressed-tensors"),
            (["--model=m", "--quant-method=int8", "--sym=false"], "no zero points"),
        ])
    func refusals(words: [String], part: String) throws {
        let error = try #require(throws: CommandError.self) { try settings(words) }
        #expect(error.status == 2)
        #expect(error.message.contains(part))
    }

    @Test("Time is told in the largest two units", arguments: [(0.4, "0s"), (61, "1m 1s"), (7_260, "2h 1m")])
    func times(seconds: Double, text: String) {
        #expect(QuantizeProgress.text(seconds) == text)
    }
}

@Suite("The quantize command")
struct QuantizeCommandTests {
    /// A folder with a tiny Llama and rows of ids.
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/martlet-command-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else {
                throw FileError(errno: errno, path: "/tmp", while: "create")
            }
            path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            mkdir(path + "/model", 0o755)
            try write(
                """
                {"architectures": ["LlamaForCausalLM"], "vocab_size": 50, "hidden_size": 32,
                "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
                "num_key_value_heads": 1, "max_position_embeddings": 64, "torch_dtype": "float32"}
                """, "model/config.json")
            var random = SeededGenerator(seed: 3)
            let layer = "model.layers.0."
            let shapes: [(String, [Int])] = [
                ("model.embed_tokens", [50, 32]), ("lm_head", [50, 32]), ("model.norm", [32]),
                (layer + "self_attn.q_proj", [32, 32]), (layer + "self_attn.k_proj", [16, 32]),
                (layer + "self_attn.v_proj", [16, 32]), (layer + "self_attn.o_proj", [32, 32]),
                (layer + "mlp.gate_proj", [64, 32]), (layer + "mlp.up_proj", [64, 32]),
                (layer + "mlp.down_proj", [32, 64]), (layer + "input_layernorm", [32]),
                (layer + "post_attention_layernorm", [32]),
            ]
            try SafetensorsWriter().write(
                shapes.map { name, shape in
                    TensorSource(
                        name: name + ".weight", shape: shape,
                        floats: (0..<shape.reduce(1, *)).map { _ in .random(in: 0.1...1, using: &random) })
                }, to: path + "/model/model.safetensors")
            let rows = (0..<40).map { _ in
                let ids = (0..<20).map { _ in Int.random(in: 0..<50, using: &random) }
                return "{\"input_ids\": \(ids)}"
            }
            try write(rows.joined(separator: "\n"), "rows.jsonl")
        }

        deinit { remove(path) }

        private func remove(_ path: String) {
            if unlink(path) == 0 || errno != EISDIR { return }
            for name in StagedDirectory.names(in: path) { remove("\(path)/\(name)") }
            rmdir(path)
        }

        func write(_ text: String, _ name: String) throws {
            let file = try AtomicFile(path: "\(path)/\(name)")
            try file.write(Array(text.utf8))
            try file.commit()
        }

        var names: [String] { StagedDirectory.names(in: path) }

        func settings(_ words: [String] = []) throws -> QuantizeSettings {
            try QuantizeSettings(
                QuantizeOptions.parse(
                    [
                        "--model=\(path)/model", "--quant-method=gptq", "--group-size=32",
                        "--dataset=\(path)/rows.jsonl", "--output-dir=\(path)/out", "--threads=1",
                    ] + words), outputs: nil)
        }
    }

    @Test("A model is quantized from rows of ids, some of which are kept back")
    func quantizes() throws {
        let folder = try Folder()
        let report = try QuantizeCommand.quantize(folder.settings(["--max-length=10"]))
        // Twenty tokens are two rows of ten.
        #expect(report.calibrationRows + report.heldOutRows == 80)
        #expect(report.heldOutRows == 8)
        #expect(report.perplexityAfter != nil)
        #expect(folder.names == ["model", "out", "rows.jsonl"])
        #expect(
            StagedDirectory.names(in: folder.path + "/out") == [
                "config.json", "model.safetensors", "quantization_report.json",
            ])
        let lines = QuantizeSummary.lines(report)
        #expect(lines.count == 1 + 7 + 3)
        #expect(lines.contains { $0.hasPrefix("perplexity ") })
        let configuration = try ModelConfiguration(directory: folder.path + "/out")
        #expect(configuration.quantization?["quant_method"]?.stringValue == "gptq")
    }

    @Test("The number of rows is the one asked for, and the same seed takes the same")
    func samples() throws {
        let folder = try Folder()
        let options = try folder.settings(["--quant-n-samples=6"]).options
        let texts = try CalibrationTexts(options, model: folder.path + "/model")
        #expect(texts.calibration.count == 6 && texts.heldOut.count == 32)
        #expect(try CalibrationTexts(options, model: folder.path + "/model").calibration == texts.calibration)
        var other = options
        other.seed = 43
        #expect(try CalibrationTexts(other, model: folder.path + "/model").calibration != texts.calibration)
        #expect(Set(texts.calibration).isDisjoint(with: texts.heldOut))
    }

    @Test("What is there is replaced only when that is wanted; a run that ends early leaves nothing")
    func places() throws {
        struct Stopped: Error {}
        let folder = try Folder()
        let settings = try folder.settings()
        var calls = 0
        #expect(throws: Stopped.self) {
            try QuantizeCommand.quantize(settings) {
                calls += 1
                if calls > 3 { throw Stopped() }
            }
        }
        #expect(folder.names == ["model", "rows.jsonl"])
        try QuantizeCommand.quantize(settings)
        let refused = #expect(throws: CommandError.self) { try QuantizeCommand.quantize(settings) }
        #expect(refused?.status == 2 && refused?.message.contains("--exist_ok true") == true)
        try QuantizeCommand.quantize(folder.settings(["--exist-ok=true", "--quant-bits=8"]))
        #expect(folder.names == ["model", "out", "rows.jsonl"])
        let inside = try folder.settings(["--output-dir=\(folder.path)/model/.."])
        #expect(throws: CommandError.self) { try QuantizeCommand.quantize(inside) }
    }
}
