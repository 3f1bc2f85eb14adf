// A decoder-only language model that can be trained: its parameters, and the way from tokens to losses and back.

package import Models
package import Tensors

/// Embedding, layers, final normalization and output layer, as `LlamaForCausalLM` in transformers has them.
package final class TransformerModel {
    package let configuration: ModelConfiguration
    package let backend: any ComputeBackend
    package let precision: Precision
    /// [vocabSize, hiddenSize]; the output layer's own where the two are tied.
    package let embedding: Parameter
    package let layers: [TransformerLayer]
    package let norm: RMSNormLayer
    package let output: OutputLayer
    /// What is trained, in the order of the layers.
    package let trained: [Parameter]
    /// All parameters but the frozen ones kept in codes: what a checkpoint of the whole model has.
    package let parameters: [Parameter]
    /// Layers below this one have nothing that is trained, and neither does the embedding then.
    private let firstTrainedLayer: Int
    private let rotary: RotaryTables

    init(
        configuration: ModelConfiguration, backend: any ComputeBackend, precision: Precision,
        embedding: Parameter, layers: [TransformerLayer], norm: RMSNormLayer, output: OutputLayer
    ) {
        self.configuration = configuration
        self.backend = backend
        self.precision = precision
        self.embedding = embedding
        self.layers = layers
        self.norm = norm
        self.output = output
        var parameters = [embedding] + layers.flatMap(\.parameters) + [norm.weight]
        if output.weight !== embedding { parameters.append(output.weight) }
        self.parameters = parameters
        trained = parameters.filter(\.isTrained)
        let lowest = layers.firstIndex { $0.parameters.contains(where: \.isTrained) } ?? layers.count
        firstTrainedLayer = embedding.isTrained ? 0 : lowest
        rotary = RotaryTables(configuration, backend)
    }

    /// Elements that are trained, and all.
    package var trainedCount: Int { trained.reduce(0) { $0 + $1.value.count } }

    /// Weights that never change, by name, for another model to use.
    var frozenWeights: [String: LinearWeight] {
        var weights: [String: LinearWeight] = [:]
        for parameter in parameters where !parameter.isTrained { weights[parameter.name] = .dense(parameter) }
        for layer in layers {
            for part in layer.linearParts {
                if case .quantized = part.weight { weights[part.name + ".weight"] = part.weight }
            }
        }
        return weights
    }

    package func zeroGradients() {
        for parameter in trained {
            if let gradient = parameter.gradient { backend.zero(gradient) }
        }
    }
}

// MARK: Passes

/// What to do with the scores of a micro batch.
package enum LossCoefficients {
    /// The derivative of the loss by each score, known before.
    case known([Float])
    /// The derivative as a function of the scores.
    case computed((TokenScores) throws -> [Float])
}

extension TransformerModel {
    /// The scores of the rows that have a target, in order, without a way back.
    package func scores(of batch: TrainingBatch, arena: ActivationArena) throws -> TokenScores {
        let mark = arena.mark
        defer { arena.release(to: mark) }
        let context = try context(batch, arena, dropoutSeed: nil)
        var x = try context.activations(configuration.hiddenSize, .f32)
        var y = try context.activations(configuration.hiddenSize, .f32)
        try embed(x, context, noise: nil)
        for layer in layers {
            let inner = arena.mark
            _ = try layer.forward(x, into: y, context)
            arena.release(to: inner)
            swap(&x, &y)
        }
        let (rows, targets) = targetRows(batch)
        let (hidden, _) = try hiddenStates(x, rows: rows, context)
        return try output.forward(
            hidden, targets: targets, coefficients: nil, dHidden: nil, addsWeightGradient: false, context)
    }

    /// One forward and backward pass: adds the gradients of the loss to those of the trained parameters.
    /// - Parameters:
    ///   - checkpointing: keeps only each layer's input and computes the rest again on the way back.
    ///   - dropoutSeed: nil for no dropout.
    ///   - noise: NEFTune's alpha (Jain et al., arXiv:2310.05914), 0 for none.
    /// - Returns: the scores of the rows that have a target, in order.
    package func accumulateGradients(
        _ batch: TrainingBatch, arena: ActivationArena, checkpointing: Bool, dropoutSeed: UInt64?,
        noise: Double = 0, loss: LossCoefficients
    ) throws -> TokenScores {
        let mark = arena.mark
        defer { arena.release(to: mark) }
        let context = try context(batch, arena, dropoutSeed: dropoutSeed)
        let hiddenSize = configuration.hiddenSize
        var states = [try context.activations(hiddenSize, .f32)]
        try embed(states[0], context, noise: noise > 0 ? noise : nil)
        var saved: [TransformerLayer.Saved?] = []
        for (index, layer) in layers.enumerated() {
            let next = try context.activations(hiddenSize, .f32)
            let inner = arena.mark
            let kept = try layer.forward(states[index], into: next, context)
            if checkpointing || index < firstTrainedLayer { arena.release(to: inner) }
            saved.append(checkpointing ? nil : kept)
            states.append(next)
        }
        let dx = try context.activations(hiddenSize, .f32)
        let scores = try backwardOutput(states[layers.count], into: dx, loss, context)
        for index in stride(from: layers.count - 1, through: firstTrainedLayer, by: -1) {
            let inner = arena.mark
            if let kept = saved[index] {
                try layers[index].backward(dx, kept, context)
            } else {
                let again = try context.activations(hiddenSize, .f32)
                let kept = try layers[index].forward(states[index], into: again, context)
                try layers[index].backward(dx, kept, context)
            }
            arena.release(to: inner)
        }
        if let gradient = embedding.gradient { backend.scatterAdd(dx, rows: batch.ids, into: gradient) }
        return scores
    }

    /// Through output layer and final normalization: the scores, and the gradient by the last layer's output.
    private func backwardOutput(
        _ x: Matrix, into dx: Matrix, _ loss: LossCoefficients, _ context: LayerContext
    ) throws -> TokenScores {
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        let (rows, targets) = targetRows(context.batch)
        let (hidden, inverseRMS) = try hiddenStates(x, rows: rows, context)
        let dRows = try context.arena.matrix(rows.count, configuration.hiddenSize, .f32)
        let scores = try scoresAndGradients(hidden, targets, into: dRows, loss, context)
        let dHidden = try context.activations(configuration.hiddenSize, .f32)
        backend.zero(dHidden)
        backend.scatterAdd(dRows, rows: rows, into: dHidden)
        norm.backward(dHidden, x: x, inverseRMS: inverseRMS, into: dx, accumulate: false, context)
        return scores
    }

    private func scoresAndGradients(
        _ hidden: Matrix, _ targets: [Int32], into dRows: Matrix, _ loss: LossCoefficients,
        _ context: LayerContext
    ) throws -> TokenScores {
        let isTrained = output.weight.isTrained
        func pass(_ coefficients: [Float]?, _ gradients: Bool) throws -> TokenScores {
            try output.forward(
                hidden, targets: targets, coefficients: coefficients, dHidden: gradients ? dRows : nil,
                addsWeightGradient: gradients && isTrained, context)
        }
        switch loss {
        case .known(let coefficients):
            precondition(coefficients.count == targets.count, "a coefficient for each target")
            return try pass(coefficients, true)
        case .computed(let derivative) where isTrained:
            let scores = try pass(nil, false)
            _ = try pass(try derivative(scores), true)
            return scores
        case .computed(let derivative):
            // The way to the hidden states is linear: one pass gives the gradients of the scores, which the
            // loss then weighs.
            let scores = try pass(nil, true)
            let coefficients = try derivative(scores)
            let factors = try context.arena.matrix(1, coefficients.count, .f32)
            coefficients.withUnsafeBytes { backend.upload($0, to: factors) }
            backend.scale(
                dRows, by: 1, rowFactors: factors, columnFactors: nil, into: dRows, accumulate: false)
            return scores
        }
    }
}

// MARK: Pieces

extension TransformerModel {
    private func context(
        _ batch: TrainingBatch, _ arena: ActivationArena, dropoutSeed: UInt64?
    ) throws(OutOfMemory) -> LayerContext {
        LayerContext(
            backend: backend, arena: arena, precision: precision, batch: batch,
            angles: try rotary.angles(batch.longestSequence), dropoutSeed: dropoutSeed)
    }

    private func embed(_ x: Matrix, _ context: LayerContext, noise alpha: Double?) throws(OutOfMemory) {
        backend.gather(embedding.value, rows: context.batch.ids, into: x)
        guard let alpha, let seed = context.dropoutSeed else { return }
        let mark = context.arena.mark
        defer { context.arena.release(to: mark) }
        let noise = try context.activations(configuration.hiddenSize, .f32)
        backend.fillUniform(noise, bound: 1, seed: seed &+ 0x5851_F42D_4C95_7F2D)
        for index in 0..<context.batch.sequenceCount {
            let rows = context.batch.rows(index)
            let bound = alpha / (Double(rows.count * configuration.hiddenSize)).squareRoot()
            backend.scale(
                noise.rows(rows), by: Float(bound), rowFactors: nil, columnFactors: nil, into: x.rows(rows),
                accumulate: true)
        }
    }

    /// Rows with a target, and their targets.
    private func targetRows(_ batch: TrainingBatch) -> (rows: [Int32], targets: [Int32]) {
        var (rows, targets): ([Int32], [Int32]) = ([], [])
        for (row, target) in batch.targets.enumerated() where target >= 0 {
            rows.append(Int32(row))
            targets.append(target)
        }
        return (rows, targets)
    }

    /// Final, normalized states of some rows, and 1/rms of all.
    private func hiddenStates(
        _ x: Matrix, rows: [Int32], _ context: LayerContext
    ) throws(OutOfMemory) -> (hidden: Matrix, inverseRMS: Matrix) {
        let inverseRMS = try norm.room(context)
        let hidden = try context.arena.matrix(rows.count, configuration.hiddenSize, context.activationType)
        let mark = context.arena.mark
        let all = try context.activations(configuration.hiddenSize)
        norm.forward(x, into: all, inverseRMS: inverseRMS, context)
        backend.gather(all, rows: rows, into: hidden)
        context.arena.release(to: mark)
        return (hidden, inverseRMS)
    }
}

extension TransformerLayer {
    /// In the order in which the layer uses them.
    var parameters: [Parameter] {
        [inputNorm.weight] + attention.qkv.parameters
            + [attention.queryNorm?.weight, attention.keyNorm?.weight].compactMap(\.self)
            + attention.output.parameters + [postAttentionNorm.weight] + feedForward.gateUp.parameters
            + feedForward.down.parameters
    }
}

extension TransformerLayer {
    var linearParts: [LinearPart] {
        [attention.qkv, attention.output, feedForward.gateUp, feedForward.down].flatMap(\.parts)
    }
}

extension LinearGroup {
    var parameters: [Parameter] {
        parts.flatMap { part -> [Parameter] in
            var parameters: [Parameter] = []
            if case .dense(let weight) = part.weight { parameters.append(weight) }
            if let bias = part.bias { parameters.append(bias) }
            if let adapter = part.adapter {
                parameters += [adapter.a, adapter.b]
                if let magnitude = adapter.magnitude { parameters.append(magnitude) }
            }
            return parameters
        }
    }
}

/// Rotary angles for as many positions as were asked for so far.
private final class RotaryTables {
    private let configuration: ModelConfiguration
    private let backend: any ComputeBackend
    private var length = 0
    private var angles: RotaryAngles?

    init(_ configuration: ModelConfiguration, _ backend: any ComputeBackend) {
        self.configuration = configuration
        self.backend = backend
    }

    func angles(_ count: Int) throws(OutOfMemory) -> RotaryAngles {
        if let angles, count <= length { return angles }
        let (rows, half) = (max(count, 2 * length, 64), configuration.headDim / 2)
        let table = RotaryEmbedding(configuration).table(positions: 0..<rows)
        let memory = try backend.allocate(byteCount: 2 * rows * half * 4, purpose: "rotary angles")
        let cosines = Matrix(memory: memory, type: .f32, rows: rows, columns: half)
        let sines = Matrix(memory: memory, offset: rows * half * 4, type: .f32, rows: rows, columns: half)
        table.cosines.withUnsafeBytes { backend.upload($0, to: cosines) }
        table.sines.withUnsafeBytes { backend.upload($0, to: sines) }
        let made = RotaryAngles(cosines: cosines, sines: sines)
        (length, angles) = (rows, made)
        return made
    }
}
