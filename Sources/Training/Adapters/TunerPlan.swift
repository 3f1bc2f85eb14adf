// Which of a model's parameters a run trains, and how: whole, by a low-rank change, or not at all.

package import Models
import Text

/// What is trained. Made of the parameters of a run and the sizes of a model, before any weight is read.
package struct TunerPlan: Sendable {
    /// The low-rank change of one linear layer: y += scaling * (x Aᵀ) Bᵀ.
    package struct LoRA: Sendable, Hashable {
        /// The layer's name in the model: `model.layers.0.self_attn.q_proj`.
        package var module: String
        /// The parameter that it changes: the layer's weight, of a tied output layer the embedding's.
        package var weight: String
        package var inputs: Int
        package var outputs: Int
        package var rank: Int
        package var alpha: Double
        /// alpha / rank, or alpha / sqrt(rank).
        package var scaling: Double
        /// DoRA: the rows of the changed weight are scaled to lengths that are trained.
        package var hasMagnitude: Bool

        package var elementCount: Int { rank * (inputs + outputs) + (hasMagnitude ? outputs : 0) }
    }

    /// In the model's order; empty for a full run.
    package let loras: [LoRA]
    /// Base parameters that are trained whole: what a full run does not freeze, or the copies of
    /// `modules_to_save`.
    package let trained: [TunableModel.Parameter]
    package let frozen: [TunableModel.Parameter]
    /// What adapter_config.json is to say; nil for a full run.
    package let adapter: AdapterConfiguration?
    /// What the user should know and need not change.
    package let notes: [String]

    /// How many numbers are trained.
    package var trainedCount: Int {
        loras.reduce(0) { $0 + $1.elementCount } + trained.reduce(0) { $0 + $1.elementCount }
    }

    /// How many numbers the base model has.
    package var modelCount: Int { (trained + frozen).reduce(0) { $0 + $1.elementCount } }

    /// - Parameters:
    ///   - adapter: an adapter to go on from, whose settings count over the run's.
    ///   - base: what the adapter's settings name as its model; usually the directory.
    /// - Throws: `TrainingError` for names that match nothing and settings that cannot be.
    package init(
        _ parameters: TrainingParameters, model: TunableModel, adapter: AdapterConfiguration? = nil,
        base: String? = nil
    ) throws(TrainingError) {
        switch parameters.tunerType {
        case .full:
            guard adapter == nil else {
                throw TrainingError(
                    .badParameters, "adapters are given, and tuner_type is full",
                    remedy: "merge the adapter into its model first, or train it with tuner_type lora")
            }
            (trained, frozen) = try Self.full(parameters, model)
            (loras, self.adapter, notes) = ([], nil, [])
        case .lora:
            let configuration: AdapterConfiguration
            if let adapter {
                configuration = adapter
            } else {
                configuration = try Self.configuration(parameters, model, base: base)
            }
            let selection = LoRASelection(configuration, model: model)
            try selection.requireTrainable(isExisting: adapter != nil)
            let saved = try selection.saved()
            let loras = try selection.loras()
            self.loras = loras
            trained = saved
            let names = Set(saved.map(\.name))
            frozen = model.parameters.filter { !names.contains($0.name) }
            self.adapter = configuration
            notes = Self.notes(loras)
        }
    }

    /// A parameter that is trained whole, under a name that it has in the saved model or adapter.
    package struct SavedTensor: Sendable, Hashable {
        package var name: String
        package var parameter: TunableModel.Parameter
    }

    /// What is saved of the parameters that are trained whole. The embedding of an adapter that keeps it tied
    /// is there twice: PEFT wants to find the output layer too.
    package var savedTensors: [SavedTensor] {
        guard let adapter else { return trained.map { SavedTensor(name: $0.name, parameter: $0) } }
        return trained.flatMap { parameter in
            var names = [parameter.name]
            if adapter.ensureWeightTying, parameter.name == TunableModel.embedding + ".weight" {
                names.append(TunableModel.head + ".weight")
            }
            return names.map { SavedTensor(name: AdapterFile.prefix + $0, parameter: parameter) }
        }
    }

    /// The names of all tensors of the saved model or adapter, in the plan's order.
    package var tensorNames: [String] {
        loras.flatMap(\.tensors).map(\.name) + savedTensors.map(\.name)
    }

    private static func notes(_ loras: [LoRA]) -> [String] {
        guard let wide = loras.first(where: { $0.rank > min($0.inputs, $0.outputs) }) else { return [] }
        return [
            "rank \(wide.rank) is larger than the smaller side of \(wide.module), which has \(wide.inputs) "
                + "inputs and \(wide.outputs) outputs: a lower rank can do the same"
        ]
    }
}

// MARK: Full runs

extension TunerPlan {
    /// As ms-swift does it: everything is trained, but for what `freeze_parameters` names, but for what
    /// `trainable_parameters` names.
    private static func full(
        _ parameters: TrainingParameters, _ model: TunableModel
    ) throws(TrainingError) -> (trained: [TunableModel.Parameter], frozen: [TunableModel.Parameter]) {
        for (option, beginnings) in [
            ("freeze_parameters", parameters.freezeParameters),
            ("trainable_parameters", parameters.trainableParameters),
        ] {
            for beginning in beginnings
            where !model.parameters.contains(where: { $0.name.hasPrefix(beginning) }) {
                throw unmatched(
                    option, beginning, "no parameter's name begins with it",
                    candidates: model.modules + model.parameters.map(\.name))
            }
        }
        if !parameters.trainableParameters.isEmpty, parameters.freezeParameters.isEmpty {
            throw TrainingError(
                .badParameters,
                "trainable_parameters is given, and nothing is frozen that it could make trainable",
                remedy: "freeze the rest too, such as with freeze_parameters model lm_head")
        }
        let isFrozen = { (name: String) in
            parameters.freezeParameters.contains { name.hasPrefix($0) }
                && !parameters.trainableParameters.contains { name.hasPrefix($0) }
        }
        let trained = model.parameters.filter { !isFrozen($0.name) }
        guard !trained.isEmpty else {
            throw TrainingError(
                .badParameters, "freeze_parameters leaves nothing to train",
                remedy: "freeze less, or name what is trained in trainable_parameters")
        }
        return (trained, model.parameters.filter { isFrozen($0.name) })
    }

    static func unmatched(
        _ option: String, _ name: String, _ problem: String, candidates: [String]
    ) -> TrainingError {
        // Layers repeat: of their names the last parts are looked at first, and each once.
        var short: [String] = []
        for candidate in candidates {
            let last = String(candidate.split(separator: ".").last ?? "")
            if !short.contains(last), Int(last) == nil { short.append(last) }
        }
        let guess =
            name.contains(".")
            ? EditDistance.nearest(to: name, in: candidates) : EditDistance.nearest(to: name, in: short)
        let kinds = short.filter { $0 != "weight" && $0 != "bias" }.joined(separator: ", ")
        return TrainingError(
            .badParameters, "\(option): \"\(name.prefix(100))\": \(problem)",
            remedy: guess.map { "did you mean \"\($0)\"?" } ?? "the model has \(kinds)")
    }
}

// MARK: Adapters

extension TunerPlan {
    /// The settings of a new adapter.
    private static func configuration(
        _ parameters: TrainingParameters, _ model: TunableModel, base: String?
    ) throws(TrainingError) -> AdapterConfiguration {
        let ranks = 1...AdapterConfiguration.maximumRank
        guard ranks.contains(parameters.loraRank) else {
            throw TrainingError(
                .badParameters,
                "lora_rank is \(parameters.loraRank), and must be from 1 to \(ranks.upperBound)",
                remedy: "8 to 64 is usual")
        }
        guard parameters.loraDropout >= 0, parameters.loraDropout < 1 else {
            throw TrainingError(
                .badParameters, "lora_dropout is \(parameters.loraDropout), and must be from 0 to below 1",
                remedy: "0.05 is usual")
        }
        let savesEmbedding = parameters.modulesToSave.contains { TunableModel.embedding.hasSuffix($0) }
        do throws(ConfigurationError) {
            return try AdapterConfiguration(
                rank: parameters.loraRank, alpha: parameters.loraAlpha, dropout: parameters.loraDropout,
                useRSLoRA: parameters.useRslora, useDoRA: parameters.useDora,
                targetModules: targets(parameters, model), modulesToSave: parameters.modulesToSave,
                ensureWeightTying: model.tieWordEmbeddings && savesEmbedding, base: base)
        } catch {
            let option = error.field == "target_modules" ? "target_modules (or target_regex)" : error.field
            throw TrainingError(.badParameters, "\(option): \(error.problem)", remedy: error.remedy)
        }
    }

    /// `all-linear` becomes the names of the layers, as PEFT writes it.
    private static func targets(
        _ parameters: TrainingParameters, _ model: TunableModel
    ) -> AdapterConfiguration.TargetModules {
        if let pattern = parameters.targetRegex { return .pattern(pattern) }
        let inner = model.linears.map(\.name).filter { $0 != TunableModel.head }
        return .names(parameters.targetModules.flatMap { $0.lowercased() == "all-linear" ? inner : [$0] })
    }
}
