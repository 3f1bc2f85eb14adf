// Martlet's own steps: each parameter is one that the kind has, with a value that it takes; what the step
// cannot do without is there; and what is annotated means something.

import Text

extension FieldPath {
    /// Where a step's parameters stand: under its kind, or inside of `plugin.martlet`.
    func place(of step: MartletStep, in template: Template) -> FieldPath {
        let kind = step.kind.rawValue
        return template.raw[kind] == nil ? self["plugin"]["martlet"][kind] : self[kind]
    }
}

extension ValidationContext {
    /// - Parameters:
    ///   - path: of the step's parameters.
    ///   - inputs: of the template's inputs.
    func checkStep(
        _ step: MartletStep, of template: Template, at path: FieldPath, inputs: FieldPath,
        into findings: inout Findings
    ) {
        let members = step.parameters.objectValue ?? [:]
        var first: [String: String] = [:]
        for name in members.keys.sorted() {
            let value = members[name] ?? .null
            if Tag.isIn(name) { continue }
            checkParameter(name, value, of: step, at: path[name], into: &findings)
            let canonical = StepParameterTable.canonical(name)
            if let other = first[canonical] {
                findings.error(
                    "\(other) and \(name) are the same parameter", at: path[name], remedy: "keep one of them")
            }
            first[canonical] = name
        }
        let isWrong = findings.all.contains {
            $0.severity == .error && $0.path.elements.starts(with: path.elements)
        }
        if isWrong { return }
        checkNeeds(of: step, template, at: path, into: &findings)
        checkTogether(step, at: path, into: &findings)
        checkOwnData(of: step, template, at: path, inputs: inputs, into: &findings)
        checkBackend(of: step, template, at: path, into: &findings)
    }

    private func checkParameter(
        _ name: String, _ value: JSONValue, of step: MartletStep, at path: FieldPath,
        into findings: inout Findings
    ) {
        let table = StepParameterTable.of(step.kind)
        if let parameter = table.parameter(name) {
            // Another program may take more words and other numbers than ours.
            guard (step.backend ?? .martlet) == .martlet || parameter.name == "backend" else { return }
            if let problem = parameter.problem(with: value) {
                findings.error(problem.message, at: path, remedy: problem.remedy)
            }
            return
        }
        if let backend = step.backend, backend != .martlet {
            if BackendParameters.knows(name, backend: backend) { return }
        } else if isTraining(step.kind),
            let foreign = ForeignParameter.named(
                String(StepParameterTable.canonical(name).map { $0 == "_" ? "-" : $0 }))
        {
            guard !Tag.isIn(value.compactText) else { return }
            switch foreign.meaning(of: value.scalarText ?? value.compactText) {
            case .nothing, .instead: break
            case .noEffect(let reason):
                findings.warning("\(name) has no effect here: \(reason)", at: path, remedy: "leave it out")
            case .problem(let reason):
                findings.error("\(name) cannot be had here", at: path, remedy: reason)
            }
            return
        }
        let known = table.parameters.keys.sorted()
        let owners = MartletStep.Kind.allCases.filter {
            StepParameterTable.of($0).parameter(name) != nil
        }.map(\.rawValue)
        let near = EditDistance.nearest(to: StepParameterTable.canonical(name), in: known)
        let remedy =
            if let near { "did you mean \(near)?" } else if !owners.isEmpty {
                "this is a parameter of \(owners.joined(separator: ", ")), not of \(step.kind.rawValue)"
            } else { "see martlet \(step.kind.rawValue) --help" }
        if table.isOpen {
            findings.warning("unknown parameter \(name)", at: path, remedy: remedy)
        } else {
            findings.error("unknown parameter \(name)", at: path, remedy: remedy)
        }
    }

    private func isTraining(_ kind: MartletStep.Kind) -> Bool {
        switch kind {
        case .pretrain, .sft, .rlhf, .dpo: true
        default: false
        }
    }

    /// Inputs without which the step could only fail.
    private func checkNeeds(
        of step: MartletStep, _ template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        guard let given = artifactsGiven(to: template) else { return }
        let inputs = given.union(template.inputs.artifacts.map { StepParameterTable.canonical($0.name) })
        func has(_ names: String...) -> Bool {
            names.contains { step.value($0) != nil || inputs.contains($0) }
        }
        func need(_ name: String, _ remedy: String) {
            findings.error("\(step.kind.rawValue) has no \(name)", at: path, remedy: remedy)
        }
        let asInput = "write an input artifact or a parameter of that name"
        if step.value("config") != nil || step.value("prompts") != nil { return }
        switch step.kind {
        case .pretrain, .sft, .rlhf, .dpo:
            if !has("model", "init_config", "adapters", "resume_from_checkpoint") { need("model", asInput) }
            if !has("dataset") { need("dataset", asInput) }
        case .tokenizer:
            if !has("dataset") { need("dataset", asInput) }
            if !has("vocab_size") { need("vocab_size", "write for example vocab_size: 8000") }
        case .evaluate:
            if !has("model", "compare", "adapters") { need("model", asInput) }
            if !has("eval_dataset", "datasets", "task", "compare") {
                need("task", "write eval_dataset: with the name of one, such as gsm8k or general_qa")
            }
        case .quantize: if !has("model") { need("model", asInput) }
        case .merge: if !has("adapters") { need("adapter", asInput) }
        case .generate:
            if !has("model") { need("model", asInput) }
            if !has("prompt", "ids", "file", "dataset") {
                need("prompt", "write prompt, or an input dataset")
            }
        case .download:
            if !has("repo", "model", "dataset") { need("repo", "write repo: owner/name") }
        case .deploy: if !has("model") { need("model", asInput) }
        }
    }

    /// Parameters that exclude or need each other, where both are known now.
    private func checkTogether(_ step: MartletStep, at path: FieldPath, into findings: inout Findings) {
        guard isTraining(step.kind), step.backend == .martlet else { return }
        if step.literal("tuner_type") == "full", step.value("quant_method") != nil {
            findings.error(
                "quant_method with tuner_type full: quantized weights cannot be trained",
                at: path["quant_method"], remedy: "write tuner_type: lora")
        }
        if step.value("quant_bits") != nil, step.value("quant_method") == nil {
            findings.error(
                "quant_bits has no quant_method beside it", at: path["quant_bits"],
                remedy: "write quant_method: bnb")
        }
        if step.isTrue("streaming"), step.value("max_steps") == nil {
            findings.error(
                "streaming needs max_steps, as the number of rows is not known before", at: path["streaming"],
                remedy: "write max_steps: with the number of steps")
        }
        if step.kind == .rlhf || step.kind == .dpo, step.isTrue("packing") {
            findings.error(
                "packing is for pretrain and sft: the answers of a pair are not joined", at: path["packing"],
                remedy: "leave it out")
        }
        if step.value("init_config") != nil, step.kind != .pretrain {
            findings.error(
                "init_config is for pretrain: a model of random weights has nothing to tune",
                at: path["init_config"], remedy: "give an input artifact named model")
        }
        if step.kind == .dpo, let type = step.literal("rlhf_type"), type != "dpo" {
            findings.error(
                "rlhf_type \(type): this step is dpo", at: path["rlhf_type"],
                remedy: "write rlhf: in its place")
        }
    }

    private func checkBackend(
        of step: MartletStep, _ template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        guard let backend = step.backend, backend != .martlet else { return }
        let inputs = template.inputs.artifacts.map(\.name)
        guard case .failure(let refusal) = BackendCommand.rendering(step, inputs: inputs) else { return }
        for problem in refusal.problems {
            findings.error(
                problem.message, at: problem.parameter.map { path[$0] } ?? path, remedy: problem.remedy)
        }
    }

    // MARK: Annotations

    /// Annotations of ours that would be passed over in silence.
    func checkAnnotations(of template: Template, at path: FieldPath, into findings: inout Findings) {
        let annotations = template.metadata.annotations
        let place = path["metadata"]["annotations"]
        checkGroup(of: template, at: path, into: &findings)
        for (name, words) in [
            ("martlet.dev/oom", ["adapt", "fail"]), ("martlet.dev/cache", ["true", "false"]),
        ] {
            guard let value = annotations[name], !Tag.isIn(value) else { continue }
            if !words.contains(value) {
                findings.error(
                    "annotation \(name): \"\(value)\" is not there", at: place[name],
                    remedy: "write \(words.map { "\"\($0)\"" }.joined(separator: " or "))")
            } else if !template.kind.runsPod {
                findings.warning(
                    "annotation \(name) has no effect on \(template.kind.title) templates", at: place[name],
                    remedy: "set it on the templates that do the work")
            }
        }
        if annotations["martlet.dev/oom"] == "adapt", template.kind.runsPod {
            if template.retryStrategy == nil, !retriesEverything, owner.spec.retryStrategy == nil {
                findings.error(
                    "martlet.dev/oom: adapt needs a retryStrategy: without one there is no other attempt",
                    at: place["martlet.dev/oom"], remedy: "write retryStrategy: {limit: 3} in the template")
            } else if BatchSize(of: template) == nil, !Tag.isIn(template.raw.compactText) {
                findings.warning(
                    "martlet.dev/oom: adapt finds no per_device_train_batch_size above 1 to halve",
                    at: place["martlet.dev/oom"],
                    remedy: "give it as a parameter of the step, or in the container's arguments")
            }
        }
        if case .martlet(let step) = template.kind, step.kind == .deploy,
            annotations["martlet.dev/cache"] == "true"
        {
            findings.error(
                "deploy cannot be cached: what was deployed then may be gone now",
                at: place["martlet.dev/cache"], remedy: "leave the annotation out")
        }
    }
}
