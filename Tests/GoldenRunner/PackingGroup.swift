// Packed documents: losses and gradients of adapters, against transformers and PEFT.

import Foundation
import Models
import Tensors
import Text
import Training

extension GoldenGroup {
    /// `packing.json`: rows of several documents, and what they would be worth if each were alone.
    static let packing = GoldenGroup(name: "packing") { folder in
        folder.has("packing.json") && folder.folder("adapter").isThere
    } run: { folder, report in
        let check = try PackingCheck(folder)
        for item in try folder.json("packing.json").arrayValue ?? [] { try check.run(item, &report) }
    }
}

private struct PackingCheck {
    private let folder: GoldenFolder
    private let backend: CPUBackend
    private let model: TransformerModel
    private let arena: ActivationArena

    init(_ folder: GoldenFolder) throws {
        self.folder = folder
        backend = try CPUBackend(pool: ThreadPool())
        arena = try ActivationArena(byteCount: 1 << 30, backend: backend)
        let base = GoldenRun.parent(GoldenRun.parent(folder)).path + "/models/qwen2_tied"
        let adapter = try AdapterFile(directory: folder.folder("adapter").path)
        var plan = TrainingPlan()
        for (module, lora) in adapter.loras {
            plan.adapters[module] = TrainingPlan.Adapter(
                rank: lora.a.shape[0], scaling: adapter.configuration.scaling(for: module),
                usesMagnitude: false,
                values: TrainingPlan.Values(a: lora.a.floats(), b: lora.b.floats()))
        }
        model = try ModelBuilder(
            configuration: ModelConfiguration(directory: base), source: StoredWeights(directory: base),
            plan: plan, precision: .float32, backend: backend
        ).build()
    }

    func run(_ item: OrderedJSON, _ report: inout GoldenReport) throws {
        let key = try item.requiredText("key")
        let (ids, labels) = (
            try item.required("input_ids").tokenIDs(), try item.required("labels").tokenIDs()
        )
        let ends = try item.required("cu_seqlens").tokenIDs().map { Int($0) }
        let batch = TrainingBatch(
            zip(ends, ends.dropFirst()).map {
                TokenSequence(ids: Array(ids[$0..<$1]), labels: Array(labels[$0..<$1]))
            })
        let positions = try item.required("position_ids").tokenIDs()
        report.expect("positions", key, firstDifference(batch.positions, positions))
        let count = batch.targetCount
        model.zeroGradients()
        let coefficients = [Float](repeating: -1 / Float(max(1, count)), count: count)
        let scores = try model.accumulateGradients(
            batch, arena: arena, checkpointing: false, dropoutSeed: nil, loss: .known(coefficients))
        let loss = -scores.logProbs.reduce(0.0) { $0 + Double($1) } / Double(count)
        let expected = try item.required("loss").doubleValue ?? .nan
        report.measure(
            "loss", key, difference: abs(loss - expected), limit: 2e-5,
            detail: "\(loss), reference \(expected)")
        let squares = model.trained.reduce(0.0) { $0 + ($1.gradient.map(backend.sumOfSquares) ?? 0) }
        let norm = try item.required("grad_norm").doubleValue ?? .nan
        report.measure(
            "gradient norm", key, difference: abs(squares.squareRoot() - norm), limit: 1e-4 * max(1, norm),
            detail: "\(squares.squareRoot()), reference \(norm)")
        try compareGradients(key, &report)
    }

    private func compareGradients(_ key: String, _ report: inout GoldenReport) throws {
        let reference = try SafetensorsFile(path: folder.path(of: "grads.safetensors"))
        for parameter in model.trained {
            let name = "\(key).\(AdapterFile.prefix)\(parameter.name)"
            guard let expected = reference.tensor(name), let gradient = parameter.gradient else { continue }
            let (difference, place) = largestDifference(backend.floats(of: gradient), expected.floats())
            report.measure("gradients", name, difference: difference, limit: 2e-5, detail: "element \(place)")
        }
    }
}
