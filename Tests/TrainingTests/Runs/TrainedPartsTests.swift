// Which weights a run changes, what its files have of them, and that a merge is the model that was trained.

import Models
import Tensors
import Testing

@testable import Training

@Suite("What a run trains and what it saves")
struct TrainedPartsTests {
    // MARK: Full runs

    /// The tensors of the model that a run changed.
    private func changed(_ run: TinyRun) throws -> Set<String> {
        let before = try run.floats("model/model.safetensors")
        let after = try run.floats("out/checkpoint-6/model.safetensors")
        #expect(before.keys.sorted() == after.keys.sorted())
        return Set(before.keys.filter { before[$0] != after[$0] })
    }

    @Test(
        "A full run changes what is not frozen, and the rest is in its files as it was",
        arguments: [
            (TinyModel.qwen2, [], [], [""]),
            (.llama, ["lm_head", "model.embed_tokens"], [], ["model.layers.", "model.norm"]),
            (
                .qwen3, ["model", "lm_head"], ["model.layers.1.mlp", "model.norm"],
                ["model.layers.1.mlp", "model.norm"]
            ),
            (.qwen2, ["model.layers", "model.norm"], [], ["model.embed_tokens"]),
            (
                .qwen2, ["model"], ["model.layers.0.self_attn.q_proj.bias"],
                ["model.layers.0.self_attn.q_proj.bias"]
            ),
            (.mistral, ["model"], [], ["lm_head"]),
        ])
    func freezing(model: TinyModel, frozen: [String], trained: [String], changing: [String]) throws {
        let run = try TinyRun(model)
        // The last step of a cosine has next to no rate: every tensor must have moved in the ones before.
        try run.run(
            run.parameters {
                TrainingWay.full(&$0)
                ($0.freezeParameters, $0.trainableParameters) = (frozen, trained)
            })
        let names = try run.floats("model/model.safetensors").keys
        let expected = Set(names.filter { name in changing.contains { name.hasPrefix($0) } })
        #expect(!expected.isEmpty)
        let changed = try changed(run)
        // The bias of keys moves all scores of a query alike: only its rounding has a gradient.
        let never = Set(names.filter { $0.hasSuffix("k_proj.bias") })
        #expect(changed.union(never.intersection(expected)) == expected)
        let states = try run.floats("out/checkpoint-6/optimizer.safetensors").keys
        #expect(Set(states) == Set(expected.flatMap { ["\($0).m", "\($0).v"] }))
    }

    @Test("A full run in bf16 saves weights of the model's type, and the exact ones beside them")
    func rounding() throws {
        let run = try TinyRun(type: .bf16)
        try run.run(run.parameters { TrainingWay.full(&$0) })
        let saved = try SafetensorsFile(path: "\(run.path)/out/checkpoint-6/model.safetensors")
        #expect(saved.names.allSatisfy { saved.tensor($0)?.elementType == .bf16 })
        let states = try SafetensorsFile(path: "\(run.path)/out/checkpoint-6/optimizer.safetensors")
        for name in saved.names {
            let exact = try #require(states.tensor("\(name).master"))
            let rounded = try #require(saved.tensor(name)).floats()
            #expect(exact.elementType == .f32)
            let relative = zip(exact.floats(), rounded).map { abs($0 - $1) / max(abs($0), 1e-6) }.max() ?? 1
            #expect(relative <= 1 / 256, "\(name): \(relative)")
        }
        let configuration = try ModelConfiguration(directory: "\(run.path)/out/checkpoint-6")
        #expect(configuration.torchDtype == .bf16)
    }

    // MARK: Adapters

    private static let linears = [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
        "mlp.up_proj", "mlp.down_proj",
    ]

    /// A kind of adapter with the layers that it changes and what it has whole.
    struct Kind: Sendable, CustomTestStringConvertible {
        var way: TrainingWay
        var modules: [String]
        var parts = ["lora_A.weight", "lora_B.weight"]
        var saved: [String] = []

        var testDescription: String { way.testDescription }
    }

    private static func everywhere(_ names: [String] = linears) -> [String] {
        (0..<2).flatMap { layer in names.map { "model.layers.\(layer).\($0)" } }
    }

    private static let kinds = [
        Kind(way: TrainingWay("LoRA everywhere", model: .mistral) { _ in }, modules: everywhere()),
        Kind(way: TrainingWay("rank-stabilized LoRA") { $0.useRslora = true }, modules: everywhere()),
        Kind(
            way: TrainingWay("DoRA", model: .llama) { $0.useDora = true }, modules: everywhere(),
            parts: ["lora_A.weight", "lora_B.weight", "lora_magnitude_vector"]),
        Kind(
            way: TrainingWay("named layers", model: .qwen3) { $0.targetModules = ["q_proj", "down_proj"] },
            modules: everywhere(["self_attn.q_proj", "mlp.down_proj"])),
        Kind(
            way: TrainingWay("layers that an expression matches") {
                $0.targetRegex = #"model\.layers\.1\..*(v_proj|up_proj)"#
            },
            modules: ["model.layers.1.self_attn.v_proj", "model.layers.1.mlp.up_proj"]),
        Kind(
            way: TrainingWay("the tied embedding too") { $0.modulesToSave = ["embed_tokens"] },
            modules: everywhere(), saved: ["model.embed_tokens.weight", "lm_head.weight"]),
        Kind(
            way: TrainingWay("the output layer too", model: .llama) { $0.modulesToSave = ["lm_head"] },
            modules: everywhere(), saved: ["lm_head.weight"]),
        Kind(
            way: TrainingWay("all norms too", model: .llama) { $0.modulesToSave = ["norm"] },
            modules: everywhere(),
            saved: everywhere(["input_layernorm.weight", "post_attention_layernorm.weight"])
                + ["model.norm.weight"]),
        Kind(
            way: TrainingWay("a whole layer beside others", model: .qwen3) {
                ($0.targetModules, $0.modulesToSave) = (["v_proj"], ["layers.0.mlp.up_proj"])
            },
            modules: everywhere(["self_attn.v_proj"]), saved: ["model.layers.0.mlp.up_proj.weight"]),
    ]

    private func train(_ kind: Kind) throws -> TinyRun {
        let run = try TinyRun(kind.way.model)
        try run.run(
            run.parameters {
                $0.maxSteps = 12
                kind.way.change(&$0)
            })
        return run
    }

    @Test(
        "An adapter's file has the matrices that were trained and what was trained whole, all of it changed",
        arguments: kinds)
    func adapters(_ kind: Kind) throws {
        let run = try train(kind)
        let prefix = AdapterFile.prefix
        let stored = try run.floats("out/checkpoint-12/adapter_model.safetensors")
        let lora = kind.modules.flatMap { module in kind.parts.map { "\(prefix)\(module).\($0)" } }
        #expect(Set(stored.keys) == Set(lora + kind.saved.map { prefix + $0 }))
        let base = try run.floats("model/model.safetensors")
        for name in kind.saved {
            let before = base[name] ?? base["model.embed_tokens.weight"]
            #expect(stored[prefix + name] != before, "\(name) is as it was")
        }
        for module in kind.modules {
            #expect(stored["\(prefix)\(module).lora_B.weight"]?.contains { $0 != 0 } == true, "\(module)")
        }
        if let tied = stored[prefix + "model.embed_tokens.weight"] {
            #expect(stored[prefix + "lm_head.weight"] == tied)
        }
    }

    /// log p of every token of some rows.
    private func logProbs(
        _ run: TinyRun, _ change: (inout TrainingParameters) -> Void
    ) throws -> (logProbs: [Float], plan: TunerPlan) {
        let parameters = run.parameters("none", change)
        let backend = try CPUBackend(pool: ThreadPool(threads: 1))
        let models = try RunModels(
            parameters, configuration: RunModels.configuration(parameters), checkpoint: nil,
            needsReference: false, backend: backend)
        let arena = try ActivationArena(byteCount: 16 << 20, backend: backend)
        return (try models.model.scores(of: WholeModel.batch(), arena: arena).logProbs, models.plan)
    }

    @Test(
        "A saved adapter is read back, and merged gives the loss of the model that was trained",
        arguments: kinds)
    func merging(_ kind: Kind) throws {
        let run = try train(kind)
        let adapter = "\(run.path)/out/checkpoint-12"
        // Read with nothing but its own settings.
        let trained = try logProbs(run) { $0.adapters = [adapter] }
        try AdapterFile(directory: adapter).requireMatch(trained.plan)
        #expect(trained.plan.loras.map(\.module).sorted() == kind.modules.sorted())
        let merged = "\(run.path)/merged"
        try ModelMerge(model: "\(run.path)/model", adapters: [adapter]).write(
            to: merged, pool: ThreadPool(threads: 1))
        let whole = try logProbs(run) {
            TrainingWay.full(&$0)
            $0.model = merged
        }
        let base = try logProbs(run) { TrainingWay.full(&$0) }
        let difference = largestDifference(trained.logProbs, whole.logProbs)
        #expect(difference < 1e-5, "merged and trained model are \(difference) apart")
        #expect(largestDifference(trained.logProbs, base.logProbs) > 0.05, "training changed next to nothing")
    }

    @Test("Alpha is divided by the rank, or for rank-stabilized LoRA by its root")
    func scaling() throws {
        let run = try TinyRun()
        for (output, isStable, expected) in [("plain", false, 4.0), ("stable", true, 11.31)] {
            try run.run(
                run.parameters(output) {
                    ($0.useRslora, $0.loraRank, $0.loraAlpha, $0.maxSteps) = (isStable, 8, 32, 1)
                })
            let adapter = try AdapterFile(directory: "\(run.path)/\(output)/checkpoint-1").configuration
            #expect(adapter.useRSLoRA == isStable)
            #expect(abs(adapter.scaling(for: "model.layers.0.mlp.up_proj") - expected) < 0.01)
        }
        // The first step's gradient by B has the scaling as a factor, that by A is none.
        let (plain, stable) = (
            try run.steps("plain", "grad_norm")[0], try run.steps("stable", "grad_norm")[0]
        )
        #expect(abs(stable / plain - 8.0.squareRoot()) < 1e-3, "\(stable), \(plain)")
    }

    @Test("An adapter that is gone on from keeps its own settings, dropout included")
    func ownSettings() throws {
        let run = try TinyRun()
        try run.run(
            run.parameters("first") {
                ($0.loraRank, $0.loraAlpha, $0.loraDropout, $0.targetModules) = (3, 6, 0.5, ["q_proj"])
            })
        func change(_ parameters: inout TrainingParameters, _ dropout: Double) {
            parameters.adapters = ["\(run.path)/first/checkpoint-6"]
            parameters.loraDropout = dropout
        }
        for (output, dropout) in [("none", 0), ("half", 0.5)] {
            try run.run(run.parameters(output) { change(&$0, dropout) })
        }
        let next = try AdapterFile(directory: "\(run.path)/none/checkpoint-6").configuration
        #expect(next.rank == 3 && next.alpha == 6 && next.dropout == 0.5)
        try run.expectSame("none/checkpoint-6", "half/checkpoint-6")
    }
}
