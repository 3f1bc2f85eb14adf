// Adapter directories: what is written is read again, under PEFT's names, and damaged ones are refused with
// their tensor.

import Models
import Tensors
import Testing
import Training

@Suite("Adapter directories")
struct AdapterFileTests {
    private static func plan(
        _ change: (inout TrainingParameters) -> Void = { _ in }
    ) throws -> TunerPlan {
        var parameters = TrainingParameters()
        parameters.targetModules = ["q_proj", "down_proj"]
        change(&parameters)
        return try TunerPlan(parameters, model: ModelFolder.tunable(tied: false), base: "some/\"base\"")
    }

    @Test("An adapter comes back as it was written", arguments: [ElementType.f32, .bf16])
    func roundTrip(type: ElementType) throws {
        let folder = try ModelFolder()
        let plan = try Self.plan { ($0.useDora, $0.modulesToSave) = (true, ["norm", "lm_head"]) }
        let adapter = try AdapterFile(directory: folder.writeAdapter(plan, to: "a", type: type))
        try adapter.requireMatch(plan)
        #expect(adapter.loras.count == 2 && adapter.saved.count == 4 && adapter.configuration.useDoRA)
        let lora = try #require(adapter.loras["model.layers.0.mlp.down_proj"])
        #expect(lora.a.shape == [8, 12] && lora.b.shape == [8, 8] && lora.magnitude?.shape == [8])
        #expect(lora.a.elementType == type && adapter.saved["lm_head.weight"]?.shape == [16, 8])
        #expect(folder.names("a") == ["README.md", "adapter_config.json", "adapter_model.safetensors"])
        #expect(
            try folder.read("a/README.md").contains("base_model: \"some/\\\"base\\\"\"\nlibrary_name: peft\n")
        )
        let file = try SafetensorsFile(path: adapter.path)
        #expect(file.names == plan.tensorNames.sorted() && file.metadata == ["format": "pt"])
    }

    @Test(
        "Floats are rounded to nearest, ties to even; what is too large becomes infinite",
        arguments: [
            (
                ElementType.bf16, [1, 1.00390625, 1.01171875, -3, 3.4e38, -.infinity] as [Float],
                [1, 1, 1.015625, -3, .infinity, -.infinity] as [Float]
            ),
            (
                .f16, [1, 1.00048828125, 1.00146484375, -3, 65_520, -.infinity, 2e-8],
                [1, 1, 1.001953125, -3, .infinity, -.infinity, 0]
            ),
            (.f32, [0.1, -2e30], [0.1, -2e30]),
        ])
    func rounding(type: ElementType, floats: [Float], expected: [Float]) throws {
        let folder = try ModelFolder()
        let path = "\(folder.path)/x.safetensors"
        let quiet = floats + [.nan, Float(bitPattern: 0x7F80_0001)]
        try SafetensorsWriter().write([AdapterFile.source("x", [quiet.count], quiet, as: type)], to: path)
        let read = try #require(try SafetensorsFile(path: path).tensor("x")).floats()
        #expect(Array(read.dropLast(2)) == expected && read.suffix(2).allSatisfy(\.isNaN))
    }

    private static let stem = "base_model.model.model.layers.0.self_attn.q_proj"

    private func adapter(_ fields: String, _ tensors: [(String, [Int])]) throws -> AdapterFile {
        let folder = try ModelFolder()
        try folder.write(
            #"{"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]\#(fields)}"#,
            to: "adapter_config.json")
        try SafetensorsWriter().write(
            tensors.map {
                TensorSource(name: $0.0, shape: $0.1, floats: [Float](repeating: 1, count: $0.1.reduce(1, *)))
            }, to: "\(folder.path)/adapter_model.safetensors")
        return try AdapterFile(directory: folder.path)
    }

    @Test("Names of other versions of PEFT are understood")
    func names() throws {
        let old = try adapter(
            #", "use_dora": true"#,
            [
                (Self.stem + ".lora_A.weight", [2, 8]), (Self.stem + ".lora_B.weight", [8, 2]),
                (Self.stem + ".lora_magnitude_vector.weight", [8]),
            ])
        #expect(old.loras["model.layers.0.self_attn.q_proj"]?.magnitude != nil)
        let head = try adapter(
            "",
            [
                ("lm_head.lora_A.weight", [2, 8]), ("lm_head.lora_B.weight", [16, 2]),
                ("base_model.model.lm_head.base_layer.weight", [16, 8]),
                ("base_model.model.q_proj.base_layer.bias", [8]),
            ])
        #expect(head.loras.keys.sorted() == ["lm_head"])
        #expect(head.saved.keys.sorted() == ["lm_head.weight", "q_proj.bias"])
    }

    @Test(
        "What is no whole LoRA adapter is refused with the tensor",
        arguments: [
            ("", [(".lora_A.weight", [2, 8])], "there is no \(stem).lora_B.weight"),
            ("", [(".lora_B.weight", [2, 8])], "there is no \(stem).lora_A.weight"),
            ("", [(".lora_A.weight", [2, 8]), (".lora_B.weight", [8, 3])], "have no product"),
            ("", [(".lora_A.weight", [16]), (".lora_B.weight", [8, 2])], "have no product"),
            ("", [(".lora_A.weight", [3, 8]), (".lora_B.weight", [8, 3])], "adapter_config.json says 2"),
            (
                #", "use_dora": true"#, [(".lora_A.weight", [2, 8]), (".lora_B.weight", [8, 2])],
                "there is no \(stem).lora_magnitude_vector"
            ),
            (
                "",
                [(".lora_A.weight", [2, 8]), (".lora_B.weight", [8, 2]), (".lora_magnitude_vector", [8])],
                "use_dora is not set"
            ),
            (
                #", "use_dora": true"#,
                [(".lora_A.weight", [2, 8]), (".lora_B.weight", [8, 2]), (".lora_magnitude_vector", [7])],
                "for 8 outputs"
            ),
            ("", [(".lora_embedding_A", [2, 8])], "changes of embeddings"),
            ("", [(".lora_B.bias", [8])], "this kind of tensor is not known"), ("", [], "has no weights"),
        ] as [(String, [(String, [Int])], String)])
    func refuses(fields: String, tensors: [(String, [Int])], expected: String) {
        let error = #expect(throws: SafetensorsError.self) {
            try adapter(fields, tensors.map { (Self.stem + $0.0, $0.1) })
        }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        #expect(tensors.isEmpty || error?.tensor?.hasPrefix(Self.stem) == true)
    }

    @Test("A directory without an adapter says what it lacks")
    func missing() throws {
        let folder = try ModelFolder()
        #expect(throws: ConfigurationError.self) { try AdapterFile(directory: folder.model) }
        try folder.write(
            #"{"peft_type": "LORA", "target_modules": ["q_proj"]}"#, to: "model/adapter_config.json")
        let error = #expect(throws: SafetensorsError.self) { try AdapterFile(directory: folder.model) }
        #expect(error?.description.contains("there is no adapter_model.safetensors") == true)
    }

    @Test("The base weights that PEFT adds for an output layer with LoRA are no hindrance")
    func matchHead() throws {
        let head = try adapter(
            "",
            [
                ("lm_head.lora_A.weight", [2, 8]), ("lm_head.lora_B.weight", [16, 2]),
                ("lm_head.base_layer.weight", [16, 8]),
            ])
        try head.requireMatch(try Self.plan { ($0.targetModules, $0.loraRank) = (["lm_head"], 2) })
    }

    @Test("An adapter must have exactly what the plan trains")
    func match() throws {
        let folder = try ModelFolder()
        let plan = try Self.plan { $0.modulesToSave = ["norm"] }
        let adapter = try AdapterFile(directory: folder.writeAdapter(plan, to: "a"))
        let others: [(TunerPlan, String)] = [
            (try Self.plan(), "modules_to_save does not name it"),
            (try Self.plan { ($0.targetModules, $0.modulesToSave) = (["q_proj"], ["norm"]) }, "is a target"),
            (
                try Self.plan { ($0.targetModules, $0.modulesToSave) = (["v_proj"], ["norm"]) },
                "no such tensor"
            ),
            (try Self.plan { ($0.loraRank, $0.modulesToSave) = (4, ["norm"]) }, "the model needs [4, 8]"),
            (try Self.plan { ($0.useDora, $0.modulesToSave) = (true, ["norm"]) }, "no such tensor"),
        ]
        for (other, expected) in others {
            let error = #expect(throws: SafetensorsError.self) { try adapter.requireMatch(other) }
            #expect(error?.problem.contains(expected) == true, "\(error?.description ?? "")")
        }
    }
}
