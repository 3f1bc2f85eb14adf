// Matches an adapter's settings with a model: which layers get matrices, which modules are trained whole, and
// what is wrong where nothing matches.

import Models

/// An adapter's settings and the model that they are for.
struct LoRASelection {
    let configuration: AdapterConfiguration
    let model: TunableModel

    init(_ configuration: AdapterConfiguration, model: TunableModel) {
        self.configuration = configuration
        self.model = model
    }

    /// Refuses what PEFT can train and this cannot.
    func requireTrainable(isExisting: Bool) throws(TrainingError) {
        guard configuration.bias == .none, !configuration.loraBias else {
            throw TrainingError(
                .badParameters, "the adapter has trained biases, which is not there yet",
                remedy: "begin a new adapter, or merge this one into its model with PEFT")
        }
        guard model.tieWordEmbeddings else { return }
        let tiedNames = [TunableModel.head, TunableModel.embedding]
        let saved = configuration.modulesToSave.filter { name in
            tiedNames.contains { $0.hasSuffix(name) }
        }
        guard let first = saved.first(where: { TunableModel.head.hasSuffix($0) }) ?? saved.first,
            TunableModel.head.hasSuffix(first) || !configuration.ensureWeightTying
        else { return }
        let apart = """
            PEFT would train a copy of it apart from the matrix that the other layer goes on with, and a \
            model that is merged and loaded again would have only one of them
            """
        throw TrainingError(
            .badParameters,
            "modules_to_save: \"\(first)\": the output layer of this model is its embedding; \(apart)",
            remedy: isExisting
                ? "merge the adapter first, which unties the two layers, and train an adapter of the result"
                : "give embed_tokens alone, which trains the one matrix (PEFT's ensure_weight_tying)")
    }

    /// The layers that get a low-rank change, in the model's order.
    func loras() throws(TrainingError) -> [TunerPlan.LoRA] {
        if case .names(let names) = configuration.targetModules {
            for name in names { try requireLinear(name) }
        }
        let targets = model.linears.filter { configuration.targets($0.name) }
        guard !targets.isEmpty else {
            throw TrainingError(
                .badParameters,
                "target_modules (or target_regex): no linear layer of the model is chosen"
                    + (configuration.modulesToSave.isEmpty ? "" : " that is not in modules_to_save"),
                remedy: "an expression must match the whole name, such as \"\(exampleName)\"")
        }
        return targets.map { linear in
            let isTied = model.tieWordEmbeddings && linear.name == TunableModel.head
            return TunerPlan.LoRA(
                module: linear.name, weight: (isTied ? TunableModel.embedding : linear.name) + ".weight",
                inputs: linear.inputs, outputs: linear.outputs,
                rank: configuration.rank(for: linear.name), alpha: configuration.alpha(for: linear.name),
                scaling: configuration.scaling(for: linear.name), hasMagnitude: configuration.useDoRA)
        }
    }

    /// The parameters of `modules_to_save`, in the model's order. As in PEFT, a module is meant by any end of
    /// its name: `norm` is also `input_layernorm`.
    func saved() throws(TrainingError) -> [TunableModel.Parameter] {
        let modules = model.modules
        var chosen: Set<String> = []
        for name in configuration.modulesToSave {
            let matches = name.isEmpty ? [] : modules.filter { $0.hasSuffix(name) }
            guard !matches.isEmpty else {
                throw TunerPlan.unmatched(
                    "modules_to_save", name, "no module's name ends with it", candidates: modules)
            }
            chosen.formUnion(matches)
        }
        return model.parameters.filter { parameter in
            var module = parameter.name[...]
            while let dot = module.lastIndex(of: ".") {
                module = module[..<dot]
                if chosen.contains(String(module)) { return true }
            }
            return false
        }
    }

    private var exampleName: String { model.linears.first?.name ?? "" }

    /// Every name must do something: PEFT passes over a misspelled one if another matches.
    private func requireLinear(_ name: String) throws(TrainingError) {
        let isMeant = { (module: String) in module == name || module.hasSuffix("." + name) }
        if model.linears.contains(where: { isMeant($0.name) }) { return }
        let others = model.modules.filter(isMeant)
        guard let other = others.first else {
            throw TunerPlan.unmatched(
                "target_modules", name, "no linear layer has this name", candidates: model.linears.map(\.name)
            )
        }
        throw TrainingError(
            .badParameters,
            "target_modules: \"\(name.prefix(100))\": \(other) is no linear layer, and only those have "
                + (configuration.useDoRA ? "DoRA" : "LoRA"),
            remedy: "put it into modules_to_save to train it whole, or leave it out")
    }
}
