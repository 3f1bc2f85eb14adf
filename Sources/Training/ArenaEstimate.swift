// The memory of one forward and backward pass, matrix by matrix as the layers take it from their arena.

import Models
import Tensors

/// Sizes of what the passes of a model put on an `ActivationArena`.
///
/// With T tokens, H hidden size, I intermediate size, q and kv the lengths of all query and key heads, e = 4
/// bytes an element or 2 in bf16, and r the ranks of a layer's adapters together, a layer keeps for the way
/// back
///
///     T * (4H [input] + 4H [between the halves] + e(q + 2kv) + e q [attended] + 2e I [gate, up] + 4r)
///
/// and some numbers a token beside them (1/rms, and 4 bytes a head for attention's log-sums); Qwen3 keeps its
/// queries and keys before their normalization, too, and DoRA the outputs of its layers before scaling.
/// Normalized inputs and products of gate and up are computed again. With gradient checkpointing only the
/// inputs are kept, and all of it for one layer at a time. Logits exist for 256 rows.
struct ArenaEstimate {
    /// The peak, by what it is for.
    struct Peak: Hashable {
        var activations: Double
        var logits: Double
        var scratch: Double

        var totalBytes: Int { TrainingEstimate.whole(activations + logits + scratch) }
    }

    /// Linear layers with one input.
    private struct Group {
        var inputs: Double
        var outputs: [Double] = []
        var ranks = 0.0
        /// For each part, whether it has DoRA's magnitudes.
        var isScaled: [Bool] = []
    }

    private struct Layer {
        var qkv: Group
        var output: Group
        var gateUp: Group
        var down: Group

        var groups: [Group] { [qkv, output, gateUp, down] }
    }

    private let model: ModelConfiguration
    private let layers: [Layer]
    private let element: Double
    private let isCheckpointing: Bool
    private let isQuantized: Bool
    private let hasDropout: Bool
    private let hasNoise: Bool

    init(
        model: ModelConfiguration, plan: TunerPlan, parameters: TrainingParameters, precision: Precision
    ) {
        self.model = model
        element = precision == .bfloat16 ? 2 : 4
        isCheckpointing = parameters.gradientCheckpointing
        isQuantized = parameters.quantization != .none
        // An adapter that is trained on brings a dropout of its own.
        hasDropout = !plan.loras.isEmpty && (parameters.loraDropout > 0 || !parameters.adapters.isEmpty)
        hasNoise = parameters.neftuneNoiseAlpha > 0
        let adapters = Dictionary(plan.loras.map { ($0.module, $0) }) { first, _ in first }
        layers = (0..<model.numHiddenLayers).map { Self.layer($0, model, adapters) }
    }

    private static func layer(
        _ index: Int, _ model: ModelConfiguration, _ adapters: [String: TunerPlan.LoRA]
    ) -> Layer {
        let prefix = "model.layers.\(index)."
        let (query, keyValue) = (model.querySize, model.keyValueSize)
        func group(_ inputs: Int, _ parts: [(name: String, outputs: Int)]) -> Group {
            var group = Group(inputs: Double(inputs))
            for part in parts {
                let adapter = adapters[prefix + part.name]
                group.outputs.append(Double(part.outputs))
                group.ranks += Double(adapter?.rank ?? 0)
                group.isScaled.append(adapter?.hasMagnitude ?? false)
            }
            return group
        }
        return Layer(
            qkv: group(
                model.hiddenSize,
                [
                    ("self_attn.q_proj", query), ("self_attn.k_proj", keyValue),
                    ("self_attn.v_proj", keyValue),
                ]),
            output: group(query, [("self_attn.o_proj", model.hiddenSize)]),
            gateUp: group(
                model.hiddenSize,
                [("mlp.gate_proj", model.intermediateSize), ("mlp.up_proj", model.intermediateSize)]),
            down: group(model.intermediateSize, [("mlp.down_proj", model.hiddenSize)]))
    }

    // MARK: The peak

    /// - Parameters:
    ///   - tokens: of the longest micro batch.
    ///   - evaluationTokens: of the longest one that is only scored.
    func peak(tokens: Int, evaluationTokens: Int = 0) -> Peak {
        let training = trainingPeak(Double(max(tokens, 1)))
        let scoring = scoringPeak(Double(evaluationTokens))
        return scoring.totalBytes > training.totalBytes ? scoring : training
    }

    private func trainingPeak(_ tokens: Double) -> Peak {
        let stream = matrix(tokens, hidden, 4)
        // Each layer's input, the last one's output, and the gradient.
        let streams = stream * Double(layers.count + (hasNoise ? 3 : 2))
        let forward = layers.map { forwardWork($0, tokens) }.max() ?? 0
        let backward = layers.map { backwardWork($0, tokens) }.max() ?? 0
        let logits = logitsBytes(tokens)
        let last = outputWork(tokens, logits: logits)
        if isCheckpointing {
            let kept = layers.map { keptBytes($0, tokens) }.max() ?? 0
            let again = stream + kept
            // The output layer's part is over before a layer is computed again.
            let rest = max(last, again + max(forward, backward))
            let activations = streams + again
            let logits = min(logits, max(0, rest - again))
            return Peak(
                activations: activations, logits: logits, scratch: max(0, rest - again - logits))
        }
        let kept = layers.reduce(0) { $0 + keptBytes($1, tokens) }
        let rest = max(last, forward, backward)
        return Peak(activations: streams + kept, logits: logits, scratch: rest - logits)
    }

    private func scoringPeak(_ tokens: Double) -> Peak {
        guard tokens > 0 else { return Peak(activations: 0, logits: 0, scratch: 0) }
        let kept = layers.map { keptBytes($0, tokens) + forwardWork($0, tokens) }.max() ?? 0
        let logits = logitsBytes(tokens)
        let rest = max(kept, outputWork(tokens, logits: logits))
        let shown = min(logits, rest)
        return Peak(activations: 2 * matrix(tokens, hidden, 4), logits: shown, scratch: rest - shown)
    }

    // MARK: Sizes

    private var hidden: Double { Double(model.hiddenSize) }
    private var intermediate: Double { Double(model.intermediateSize) }
    private var query: Double { Double(model.querySize) }
    private var keyValue: Double { Double(model.keyValueSize) }

    /// The arena gives whole pieces of 64 bytes.
    private func matrix(_ rows: Double, _ columns: Double, _ elementBytes: Double) -> Double {
        (rows * columns * elementBytes / 64).rounded(.up) * 64
    }

    private func keptBytes(_ layer: Layer, _ tokens: Double) -> Double {
        var bytes = matrix(tokens, hidden, 4) + 2 * matrix(tokens, 1, 4)
        if model.architecture == .qwen3 {
            bytes += matrix(tokens, query, element) + matrix(tokens, keyValue, element)
            bytes += matrix(tokens, Double(model.numAttentionHeads), 4)
            bytes += matrix(tokens, Double(model.numKeyValueHeads), 4)
        }
        bytes += matrix(tokens, query + 2 * keyValue, element) + matrix(tokens, query, element)
        bytes += matrix(tokens, Double(model.numAttentionHeads), 4)
        bytes += matrix(tokens, 2 * intermediate, element)
        bytes += keptBytes(layer.qkv, tokens, element) + keptBytes(layer.gateUp, tokens, element)
        bytes += keptBytes(layer.output, tokens, 4) + keptBytes(layer.down, tokens, 4)
        return bytes
    }

    /// - Parameter outputBytes: of an element of the group's outputs.
    private func keptBytes(_ group: Group, _ tokens: Double, _ outputBytes: Double) -> Double {
        var bytes = group.ranks > 0 ? matrix(tokens, group.ranks, 4) : 0
        for (outputs, isScaled) in zip(group.outputs, group.isScaled) where isScaled {
            bytes += matrix(tokens, outputs, outputBytes) + 2 * matrix(1, outputs, 4)
        }
        return bytes
    }

    /// A weight for the moment: of codes, and of the sum with the adapter that DoRA's norms are taken of.
    private func weightWork(_ group: Group) -> Double {
        zip(group.outputs, group.isScaled).map { outputs, isScaled in
            (isQuantized ? matrix(outputs, group.inputs, element) : 0)
                + (isScaled ? matrix(outputs, group.inputs, 4) + matrix(1, outputs, 4) : 0)
        }.max() ?? 0
    }

    private func forwardWork(_ group: Group, _ tokens: Double) -> Double {
        let dropped = group.ranks > 0 && hasDropout ? matrix(tokens, group.inputs, element) : 0
        return max(dropped, weightWork(group))
    }

    private func forwardWork(_ layer: Layer, _ tokens: Double) -> Double {
        let product = matrix(tokens, intermediate, element)
        let attention = max(forwardWork(layer.qkv, tokens), forwardWork(layer.output, tokens))
        let feedForward = max(forwardWork(layer.gateUp, tokens), product + forwardWork(layer.down, tokens))
        return matrix(tokens, hidden, element) + max(attention, feedForward)
    }

    /// - Parameter outputBytes: of an element of the outputs' gradients.
    private func backwardWork(_ group: Group, _ tokens: Double, _ outputBytes: Double) -> Double {
        let reduced = group.ranks > 0 ? matrix(tokens, group.ranks, 4) : 0
        let parts = zip(group.outputs, group.isScaled).map { outputs, isScaled in
            (isScaled ? matrix(1, outputs, 4) + matrix(tokens, outputs, outputBytes) : 0)
                + (isQuantized ? matrix(outputs, group.inputs, element) : 0)
        }.max()
        let dropped = group.ranks > 0 && hasDropout ? matrix(tokens, group.inputs, 4) : 0
        return reduced + max(parts ?? 0, dropped)
    }

    private func backwardWork(_ layer: Layer, _ tokens: Double) -> Double {
        let normed = matrix(tokens, hidden, element) + matrix(tokens, hidden, 4)
        let product = matrix(tokens, intermediate, element)
        let feedForward =
            product
            + max(
                product + backwardWork(layer.down, tokens, 4), backwardWork(layer.gateUp, tokens, element))
        let attention =
            matrix(tokens, query, element)
            + max(
                backwardWork(layer.output, tokens, 4),
                matrix(tokens, query + 2 * keyValue, element) + backwardWork(layer.qkv, tokens, element))
        return normed + max(feedForward, attention)
    }

    private func logitsBytes(_ tokens: Double) -> Double {
        let rows = min(tokens, Double(OutputLayer.rowsAtOnce))
        let vocabulary = Double(model.vocabSize)
        return matrix(rows, vocabulary, 4) + matrix(rows, vocabulary, element)
    }

    /// Final normalization and output layer, where every token is learned.
    private func outputWork(_ tokens: Double, logits: Double) -> Double {
        let states = matrix(tokens, 1, 4) + matrix(tokens, hidden, element)
        let gradients = matrix(tokens, hidden, 4)
        return states
            + max(
                matrix(tokens, hidden, element),
                gradients + max(logits, matrix(tokens, hidden, 4), matrix(1, tokens, 4)))
    }
}
