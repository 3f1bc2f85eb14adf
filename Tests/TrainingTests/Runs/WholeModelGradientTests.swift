// The way back through a whole model against central differences of its loss.

import Models
import Tensors
import TestSupport
import Testing

@testable import Training

/// A tiny model in memory with all of its weights, or an adapter, trained.
struct WholeModel {
    let run: TinyRun
    let model: TransformerModel
    let arena: ActivationArena

    init(_ tiny: TinyModel, _ change: (inout TrainingParameters) -> Void = TrainingWay.full) throws {
        run = try TinyRun(tiny)
        let backend = try CPUBackend(pool: ThreadPool(threads: 2))
        let parameters = run.parameters("out", change)
        model = try RunModels(
            parameters, configuration: RunModels.configuration(parameters), checkpoint: nil,
            needsReference: false, backend: backend
        ).model
        arena = try ActivationArena(byteCount: 16 << 20, backend: backend)
    }

    var backend: any ComputeBackend { model.backend }

    /// Sequences of several lengths, one of a single token, with gaps among what is learned.
    static func batch() -> TrainingBatch {
        var generator = SeededGenerator(seed: 31)
        return TrainingBatch(
            [7, 1, 12, 2].map { length in
                let ids = TinyRun.ids(length, &generator)
                let labels = ids.map { $0 % 5 == 0 ? TokenSequence.ignored : $0 }
                return TokenSequence(ids: ids, labels: labels)
            })
    }

    func set(_ parameter: Parameter, _ values: [Float]) {
        values.withUnsafeBytes { backend.upload($0, to: parameter.value) }
    }

    /// The gradients of a sum of log-probabilities with these weights, by parameter.
    func gradients(
        _ batch: TrainingBatch, _ coefficients: [Float], checkpointing: Bool = false, isKnown: Bool = true
    ) throws -> (scores: TokenScores, gradients: [String: [Float]]) {
        model.zeroGradients()
        let scores = try model.accumulateGradients(
            batch, arena: arena, checkpointing: checkpointing, dropoutSeed: nil,
            loss: isKnown ? .known(coefficients) : .computed { _ in coefficients })
        var gradients: [String: [Float]] = [:]
        for parameter in model.trained {
            gradients[parameter.name] = parameter.gradient.map { backend.floats(of: $0) }
        }
        return (scores, gradients)
    }

    func loss(_ batch: TrainingBatch, _ coefficients: [Float]) throws -> Double {
        let scores = try model.scores(of: batch, arena: arena)
        return zip(scores.logProbs, coefficients).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
}

@Suite("Gradients of whole models")
struct WholeModelGradientTests {
    private func coefficients(_ batch: TrainingBatch) -> [Float] {
        var generator = SeededGenerator(seed: 8)
        return (0..<batch.targetCount).map { _ in .random(in: -1...1, using: &generator) }
    }

    @Test("Every parameter's gradient is the slope of the loss", arguments: TinyModel.allCases)
    func slopes(tiny: TinyModel) throws {
        let whole = try WholeModel(tiny)
        let batch = WholeModel.batch()
        let coefficients = coefficients(batch)
        let gradients = try whole.gradients(batch, coefficients).gradients
        var generator = SeededGenerator(seed: 3)
        #expect(whole.model.trained.count == whole.model.parameters.count)
        for parameter in whole.model.trained {
            let name = parameter.name
            let before = whole.backend.floats(of: parameter.value)
            let slopes = try #require(gradients[name])
            // Along the gradient, where the loss changes most, and a little by chance.
            let size = max(slopes.map(abs).max() ?? 0, 1e-3)
            let direction = slopes.map { $0 / size + 0.3 * Float.random(in: -1...1, using: &generator) }
            let step: Float = 2e-3
            whole.set(parameter, zip(before, direction).map { $0 + step * $1 })
            let above = try whole.loss(batch, coefficients)
            whole.set(parameter, zip(before, direction).map { $0 - step * $1 })
            let below = try whole.loss(batch, coefficients)
            whole.set(parameter, before)
            let measured = (above - below) / Double(2 * step)
            let expected = zip(slopes, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            // Single precision leaves some 1e-6 in the loss, which is a thousandth here.
            #expect(
                abs(measured - expected) <= 0.01 * abs(expected) + 4e-3,
                "\(name): the difference quotient is \(measured), the gradient says \(expected)")
            // A bias of all keys moves the scores of a query alike, which softmax does not see.
            if !name.hasSuffix("k_proj.bias") { #expect(slopes.contains { abs($0) > 1e-4 }, "\(name)") }
        }
    }

    @Test(
        "Whether coefficients are known before, computed, or layers computed twice, the gradients are the same",
        arguments: [("full", true), ("LoRA", true), ("LoRA", false)])
    func ways(tuner: String, isTied: Bool) throws {
        let whole = try WholeModel(isTied ? .qwen2 : .llama) {
            $0.tunerType = tuner == "full" ? .full : .lora
        }
        let batch = WholeModel.batch()
        let coefficients = coefficients(batch)
        // A matrix B of zeros would hide the gradient of A.
        for parameter in whole.model.trained where parameter.name.hasSuffix("lora_B.weight") {
            whole.set(parameter, (0..<parameter.value.count).map { Float($0 % 7) * 0.05 - 0.1 })
        }
        let start = whole.arena.mark
        let known = try whole.gradients(batch, coefficients)
        let computed = try whole.gradients(batch, coefficients, isKnown: false)
        let twice = try whole.gradients(batch, coefficients, checkpointing: true)
        #expect(known.scores.logProbs == computed.scores.logProbs)
        #expect(known.scores.logProbs == (try whole.model.scores(of: batch, arena: whole.arena)).logProbs)
        for (name, gradient) in known.gradients {
            #expect(gradient == twice.gradients[name], "\(name) with layers computed twice")
            let difference = largestDifference(gradient, computed.gradients[name] ?? [])
            #expect(difference < 1e-5, "\(name) with computed coefficients: \(difference)")
            #expect(gradient.contains { $0 != 0 } || name.hasSuffix("k_proj.bias"), "\(name)")
        }
        #expect(whole.arena.mark == start, "something on the arena was not given back")
    }

    @Test(
        "Tokens see as far back as their windows reach, layer upon layer",
        arguments: [TinyModel.mistral, .llama])
    func windows(tiny: TinyModel) throws {
        let whole = try WholeModel(tiny)
        var generator = SeededGenerator(seed: 5)
        let ids = TinyRun.ids(12, &generator)
        let scores = try [ids[0], (ids[0] + 1) % TinyModel.vocabulary].map { first in
            let changed = [first] + ids.dropFirst()
            let batch = TrainingBatch([TokenSequence(ids: changed, labels: changed)])
            return try whole.model.scores(of: batch, arena: whole.arena).logProbs
        }
        let seen = scores[0].indices.filter { scores[0][$0] != scores[1][$0] }
        // A window of 3 is 2 tokens back, in 2 layers 4.
        #expect(seen == Array(0..<(tiny == .mistral ? 5 : 11)))
    }

    @Test("A sequence's scores and gradients do not depend on its neighbors", arguments: TinyModel.allCases)
    func neighbors(tiny: TinyModel) throws {
        let whole = try WholeModel(tiny)
        var generator = SeededGenerator(seed: 77)
        let rows = [9, 4, 11].map { length in
            let ids = TinyRun.ids(length, &generator)
            return TokenSequence(ids: ids, labels: ids)
        }
        let ones = { (count: Int) in [Float](repeating: 1, count: count) }
        let together = try whole.gradients(TrainingBatch(rows), ones(21))
        var (scores, sums): ([Float], [String: [Float]]) = ([], [:])
        for row in rows {
            let alone = try whole.gradients(TrainingBatch([row]), ones(row.ids.count - 1))
            scores += alone.scores.logProbs
            for (name, gradient) in alone.gradients {
                sums[name] = sums[name].map { zip($0, gradient).map(+) } ?? gradient
            }
        }
        #expect(together.scores.logProbs == scores)
        for (name, gradient) in together.gradients {
            let difference = largestDifference(gradient, sums[name] ?? [])
            let size = gradient.map(abs).max() ?? 0
            #expect(difference <= 1e-5 * max(1, size), "\(name): \(difference) of \(size)")
        }
    }
}
