// Merging: the formulas in double precision, ties, files of the result, and what is refused or undone.

import Glibc
import Models
import Tensors
import Testing
import Text
import Training

@Suite("Merging adapters")
struct ModelMergeTests {
    private static let pool = Result { try ThreadPool(threads: 2) }
    private static let query = "model.layers.0.self_attn.q_proj"

    private static func plan(
        tied: Bool = true, _ change: (inout TrainingParameters) -> Void = { _ in }
    ) throws -> TunerPlan {
        var parameters = TrainingParameters()
        (parameters.loraRank, parameters.loraAlpha) = (3, 2)
        change(&parameters)
        return try TunerPlan(parameters, model: ModelFolder.tunable(tied: tied), base: "base")
    }

    private static func merge(
        _ folder: ModelFolder, _ adapters: [String], to name: String = "out", existOK: Bool = false
    ) throws -> SafetensorsModel {
        let merge = try ModelMerge(model: folder.model, adapters: adapters)
        try merge.write(to: "\(folder.path)/\(name)", existOK: existOK, pool: pool.get())
        return try SafetensorsModel(directory: "\(folder.path)/\(name)")
    }

    /// W with the adapters' changes in turn, in double precision and as the papers have it.
    private static func expected(_ base: TensorView, _ adapters: [AdapterFile], _ module: String) throws
        -> [Double]
    {
        let (outputs, inputs) = (base.shape[0], base.shape[1])
        let original = base.floats().map(Double.init)
        var weights = original
        for adapter in adapters {
            let lora = try #require(adapter.loras[module])
            let (a, b) = (lora.a.floats(), lora.b.floats())
            let rank = lora.a.shape[0]
            let scaling = adapter.configuration.scaling(for: module)
            for row in 0..<outputs {
                let delta = (0..<inputs).map { column in
                    scaling
                        * (0..<rank).reduce(0) {
                            $0 + Double(b[row * rank + $1]) * Double(a[$1 * inputs + column])
                        }
                }
                let range = row * inputs..<(row + 1) * inputs
                let norm = zip(original[range], delta).reduce(0) { $0 + ($1.0 + $1.1) * ($1.0 + $1.1) }
                    .squareRoot()
                let factor = lora.magnitude.map { Double($0.floats()[row]) / norm } ?? 1
                for (index, change) in zip(range, delta) {
                    weights[index] = factor * (weights[index] + change)
                }
            }
        }
        return weights
    }

    @Test(
        "Merged weights are those of the formula, rounded once",
        arguments: [
            ([(false, false)], ElementType.f32), ([(false, true)], .f32), ([(true, false)], .f32),
            ([(false, false), (true, true), (true, false)], .f32), ([(true, true), (false, false)], .bf16),
            ([(false, false)], .f16),
        ])
    func formulas(variants: [(dora: Bool, rslora: Bool)], type: ElementType) throws {
        let folder = try ModelFolder(type: type)
        let paths = try variants.enumerated().map { index, variant in
            try folder.writeAdapter(
                try Self.plan { ($0.useDora, $0.useRslora) = variant }, to: "a\(index)", seed: UInt64(index))
        }
        let adapters = try paths.map { try AdapterFile(directory: $0) }
        let (base, merged) = (try SafetensorsModel(directory: folder.model), try Self.merge(folder, paths))
        #expect(merged.names == base.names)
        // A float keeps 24 bits, of which sums of a dozen products lose two or three; the others keep 8 and
        // 11.
        let relative = type == .f32 ? 3e-6 : type == .bf16 ? 1.0 / 256 : 1.0 / 2048
        for name in base.names {
            let (one, other) = (try #require(base.tensor(name)), try #require(merged.tensor(name)))
            #expect(other.elementType == type && other.shape == one.shape)
            let module = String(name.dropLast(".weight".count))
            guard name.hasSuffix("_proj.weight") else {
                #expect(one.bytes.elementsEqual(other.bytes))
                continue
            }
            let wanted = try Self.expected(one, adapters, module)
            #expect(
                zip(other.floats(), wanted).allSatisfy {
                    abs(Double($0) - $1) <= relative * abs($1) + 1e-6
                })
            #expect(!one.bytes.elementsEqual(other.bytes))
        }
    }

    @Test("The result is a whole model: settings, tokenizer, shards and index like the source's")
    func wholeModel() throws {
        let folder = try ModelFolder(tied: false, shards: true)
        let merged = try Self.merge(folder, [folder.writeAdapter(Self.plan(tied: false), to: "a")])
        let weights = [
            "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ]
        #expect(
            folder.names("out") == [
                "LICENSE", "chat_template.jinja", "config.json", "generation_config.json",
            ] + weights + ["tokenizer.json"])
        #expect(try merged.names == SafetensorsModel(directory: folder.model).names)
        #expect(merged.files.count == 2)
        #expect(try folder.read("out/config.json") == folder.read("model/config.json"))
        #expect(try folder.read("out/tokenizer.json") == "of tokenizer.json")
        #expect(
            try folder.read("out/model.safetensors.index.json")
                == folder.read("model/model.safetensors.index.json"))
        // A merge of a merge is one more change, of the files that the first one wrote.
        let again = try ModelMerge(model: "\(folder.path)/out", adapters: ["\(folder.path)/a"])
        try again.write(to: "\(folder.path)/deep/er/out", pool: try Self.pool.get())
        #expect(folder.names("deep/er") == ["out"])
    }

    @Test("Progress is told of each tensor, and what it throws undoes all")
    func progress() throws {
        struct Stop: Error {}
        let folder = try ModelFolder()
        let merge = try ModelMerge(model: folder.model, adapters: [folder.writeAdapter(Self.plan(), to: "a")])
        let before = folder.names()
        #expect(throws: Stop.self) {
            try merge.write(to: "\(folder.path)/out", pool: try Self.pool.get()) { progress in
                if progress.done == 5 { throw Stop() }
            }
        }
        #expect(folder.names() == before)
        var seen: [Int] = []
        try merge.write(to: "\(folder.path)/out", pool: try Self.pool.get()) { seen.append($0.done) }
        #expect(seen == Array(1...merge.tensorCount) && merge.tensorCount == 14)
        #expect(folder.names() == before + ["out"])
    }
}

// MARK: Ties and whole modules

extension ModelMergeTests {
    private static func isTied(_ folder: ModelFolder) throws -> Bool {
        try ModelConfiguration(directory: "\(folder.path)/out").tieWordEmbeddings
    }

    @Test("Modules to save replace the model's, in its type")
    func replaces() throws {
        let folder = try ModelFolder(tied: false, type: .bf16)
        let plan = try Self.plan(tied: false) {
            $0.modulesToSave = ["embed_tokens", "lm_head", "model.norm"]
        }
        let path = try folder.writeAdapter(plan, to: "a")
        let (merged, adapter) = (try Self.merge(folder, [path]), try AdapterFile(directory: path))
        for (name, own) in adapter.saved {
            let result = try #require(merged.tensor(name))
            #expect(result.elementType == .bf16)
            #expect(zip(result.floats(), own.floats()).allSatisfy { abs($0 - $1) <= abs($1) / 256 })
        }
        #expect(adapter.saved.count == 3 && merged.names.count == 15)
    }

    @Test("An embedding that was trained as one with the output layer stays one")
    func keepsTie() throws {
        let folder = try ModelFolder()
        let path = try folder.writeAdapter(try Self.plan { $0.modulesToSave = ["embed_tokens"] }, to: "a")
        let merged = try Self.merge(folder, [path])
        #expect(try merged.tensor("lm_head.weight") == nil && Self.isTied(folder))
        let saved = try AdapterFile(directory: path).saved["model.embed_tokens.weight"]
        #expect(merged.tensor("model.embed_tokens.weight")?.floats() == saved?.floats())
    }

    @Test(
        "An embedding and an output layer that were trained apart are untied",
        arguments: [
            (["model.embed_tokens.weight"], false), (["lm_head.weight"], false),
            (["model.embed_tokens.weight", "lm_head.weight"], false), ([], true),
        ], [false, true])
    func unties(case row: (saved: [String], lora: Bool), shards: Bool) throws {
        let folder = try ModelFolder(shards: shards)
        let target = row.lora ? "lm_head" : "q_proj"
        let names = row.saved.map { #""\#($0.dropLast(7))""# }.joined(separator: ",")
        mkdir("\(folder.path)/a", 0o755)
        try folder.write(
            #"{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["\#(target)"], "#
                + #""modules_to_save": [\#(names)]}"#,
            to: "a/adapter_config.json")
        let module = row.lora ? "lm_head" : Self.query
        var tensors = row.saved.enumerated().map {
            TensorSource(
                name: "base_model.model." + $1, shape: [16, 8],
                floats: [Float](repeating: Float($0), count: 128))
        }
        tensors.append(
            TensorSource(
                name: AdapterTensor.a(module), shape: [1, 8], floats: [Float](repeating: 1, count: 8)))
        let outputs = row.lora ? 16 : 8
        tensors.append(
            TensorSource(
                name: AdapterTensor.b(module), shape: [outputs, 1],
                floats: [Float](repeating: 2, count: outputs)))
        try SafetensorsWriter().write(tensors, to: "\(folder.path)/a/adapter_model.safetensors")
        let merged = try Self.merge(folder, ["\(folder.path)/a"])
        #expect(try !Self.isTied(folder))
        let base = try #require(
            try SafetensorsModel(directory: folder.model).tensor("model.embed_tokens.weight")
        ).floats()
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            var wanted = base
            if let index = row.saved.firstIndex(of: name) {
                wanted = [Float](repeating: Float(index), count: 128)
            }
            if row.lora, name == "lm_head.weight" { wanted = base.map { $0 + 2 } }
            #expect(merged.tensor(name)?.floats() == wanted, "\(name)")
        }
        if shards {
            let index = try OrderedJSON(parsing: folder.read("out/model.safetensors.index.json"))
            #expect(index["weight_map"]?["lm_head.weight"]?.stringValue == "model-00001-of-00002.safetensors")
            #expect(index["metadata"]?["total_size"]?.intValue == merged.tensorByteCount)
        }
    }
}

// MARK: Refusals

extension ModelMergeTests {
    @Test("A directory that is there is replaced only when that is wanted, and only if it is a model")
    func existing() throws {
        let folder = try ModelFolder()
        let path = try folder.writeAdapter(Self.plan(), to: "a")
        mkdir("\(folder.path)/out", 0o755)
        _ = try Self.merge(folder, [path])
        let before = folder.names()
        try folder.write("mine", to: "out/more.txt")
        let refused = #expect(throws: TrainingError.self) { try Self.merge(folder, [path]) }
        #expect(refused?.problem.contains("exists and is not empty") == true)
        #expect(try folder.read("out/more.txt") == "mine")
        _ = try Self.merge(folder, [path], existOK: true)
        #expect(!folder.names("out").contains("more.txt") && folder.names() == before)
        unlink("\(folder.path)/out/config.json")
        let foreign = #expect(throws: TrainingError.self) { try Self.merge(folder, [path], existOK: true) }
        #expect(foreign?.problem.contains("is no model") == true)
        try folder.write("", to: "file")
        for name in ["model", "a", "", "file", "model/.."] {
            #expect(throws: TrainingError.self, "\(name)") {
                try Self.merge(folder, [path], to: name, existOK: true)
            }
        }
        #expect(folder.names() == (before + ["file"]).sorted() && folder.names("model").count == 8)
    }

    @Test(
        "An adapter of a quantized base is merged only by force",
        arguments: [
            (#"{"quant_method": "bnb", "quant_bits": 4}"#, true), (#"{"quant_method": "nf4"}"#, true),
            (#"{"quant_bits": 8}"#, true), (#"{"quant_method": null, "quant_bits": null}"#, false),
            (#"{"quant_method": "none"}"#, false), ("{}", false), ("damaged", false),
        ])
    func quantized(arguments: String, isRefused: Bool) throws {
        let folder = try ModelFolder()
        let path = try folder.writeAdapter(Self.plan(), to: "a")
        try folder.write(arguments, to: "a/args.json")
        _ = try ModelMerge(model: folder.model, adapters: [path], force: true)
        guard isRefused else {
            _ = try ModelMerge(model: folder.model, adapters: [path])
            return
        }
        let error = #expect(throws: TrainingError.self) {
            try ModelMerge(model: folder.model, adapters: [path])
        }
        #expect(
            error?.problem.contains("quantized base") == true && error?.remedy.contains("--force") == true)
    }

    @Test("A quantized model takes no changes, by force either")
    func quantizedModel() throws {
        let folder = try ModelFolder()
        let path = try folder.writeAdapter(Self.plan(), to: "a")
        let text =
            ModelFolder.configuration(tied: true).dropLast() + #", "quantization_config": {"bits": 4}}"#
        try folder.write(String(text), to: "model/config.json")
        #expect(throws: TrainingError.self) {
            try ModelMerge(model: folder.model, adapters: [path], force: true)
        }
        #expect(throws: TrainingError.self) { try ModelMerge(model: folder.model, adapters: []) }
    }

    @Test("Adapters of other models, and two that have the same module, are refused with the tensor")
    func misfits() throws {
        let folder = try ModelFolder(tied: false)
        var other = ModelFolder.tunable(tied: false)
        other.linears = [.init(Self.query, inputs: 8, outputs: 9)]
        var parameters = TrainingParameters()
        let wide = try folder.writeAdapter(TunerPlan(parameters, model: other), to: "wide")
        other.linears = [.init("model.layers.1.self_attn.q_proj", inputs: 8, outputs: 8)]
        let deep = try folder.writeAdapter(TunerPlan(parameters, model: other), to: "deep")
        other = ModelFolder.tunable(tied: false)
        other.parameters[0].shape = [17, 8]
        parameters.modulesToSave = ["embed_tokens"]
        let large = try folder.writeAdapter(TunerPlan(parameters, model: other), to: "large")
        let saving = try folder.writeAdapter(
            Self.plan(tied: false) { $0.modulesToSave = ["o_proj"] }, to: "saving")
        let plain = try folder.writeAdapter(Self.plan(tied: false), to: "plain")
        let rows = [
            ([wide], "the matrices give 9 x 8"), ([deep], "the model has no layer"), ([large], "[17, 8]"),
            ([saving, plain], "another adapter has"), ([plain, saving], "another adapter changes"),
            ([saving, saving], "another adapter changes"),
        ]
        for (paths, expected) in rows {
            let error = #expect(throws: SafetensorsError.self) {
                try ModelMerge(model: folder.model, adapters: paths)
            }
            #expect(error?.problem.contains(expected) == true, "\(error?.description ?? "")")
        }
    }

    @Test("A diverged adapter is noticed, and nothing is left of the merge")
    func diverged() throws {
        let folder = try ModelFolder()
        let path = try folder.writeAdapter(Self.plan(), to: "a", magnitude: 1e38)
        let before = folder.names()
        let error = #expect(throws: SafetensorsError.self) { try Self.merge(folder, [path]) }
        #expect(error?.problem.contains("not finite") == true && folder.names() == before)
    }
}
