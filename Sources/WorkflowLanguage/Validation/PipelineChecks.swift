// How Martlet's own steps fit together: what one of them gives must be something that the next can use.

import Text

extension ValidationContext {
    /// Checks a call of one of Martlet's own steps against the steps that its artifacts come from, and against
    /// data that can be looked at now.
    func checkPipeline(
        _ call: Step, calling template: Template, at path: FieldPath, scope: Scope,
        into findings: inout Findings
    ) {
        guard case .martlet(let step) = template.kind else { return }
        checkTaken(call, by: step, template, at: path, into: &findings)
        for (index, argument) in call.arguments.artifacts.enumerated() {
            let place = path["arguments"]["artifacts"][index]
            let input = StepParameterTable.canonical(argument.name)
            if let (source, artifact) = source(of: argument, scope) {
                checkKind(of: artifact, from: source, as: input, of: step, at: place, into: &findings)
                if step.kind == .merge, input == "adapters", source.value("quant_method") != nil,
                    source.backend == .martlet, !step.isTrue("force")
                {
                    findings.error(
                        "the adapter of \"\(sourceName(argument))\" is trained on a quantized base, and merging it "
                            + "into the 16-bit model makes it worse", at: place,
                        remedy:
                            "leave quant_method out of that step, use the adapter beside its model, or write "
                            + "force: true in merge")
                }
            }
            checkData(of: argument, as: input, of: step, at: place, into: &findings)
        }
    }

    /// Artifacts that nobody would look at.
    private func checkTaken(
        _ call: Step, by step: MartletStep, _ template: Template, at path: FieldPath,
        into findings: inout Findings
    ) {
        let contract = MartletStepContract(step.kind)
        for (index, argument) in call.arguments.artifacts.enumerated()
        where template.inputs.artifact(argument.name) == nil && !contract.takes(argument.name) {
            findings.error(
                "\(step.kind.rawValue) takes no artifact '\(argument.name)'",
                at: path["arguments"]["artifacts"][index]["name"],
                remedy: remedy(
                    for: argument.name, among: contract.inputArtifacts, called: "its input artifacts"))
        }
    }

    /// Names of the artifacts that a template of ours is called with; nil where not all of its callers are known.
    func artifactsGiven(to template: Template) -> Set<String>? {
        guard owner.isDocument, !template.name.isEmpty else { return nil }
        var names: Set<String> = []
        var isCalled = false
        var pending = owner.spec.templates
        while let next = pending.popLast() {
            for step in next.ownSteps {
                if case .inline(let inner) = step.reference { pending.append(inner) }
                guard case .name(template.name) = step.reference else { continue }
                isCalled = true
                names.formUnion(step.arguments.artifacts.map { StepParameterTable.canonical($0.name) })
            }
        }
        if owner.spec.entrypoint == template.name {
            isCalled = true
            names.formUnion(owner.spec.arguments.artifacts.map { StepParameterTable.canonical($0.name) })
        }
        return isCalled ? names : nil
    }

    /// The step that an artifact comes from, and the artifact's name there.
    private func source(of argument: Artifact, _ scope: Scope) -> (step: MartletStep, artifact: String)? {
        guard let calls = scope.calls, let from = argument.from,
            let (call, rest) = Scope.callParts(Self.bare(from), of: calls.root),
            rest.hasPrefix("outputs.artifacts."), let step = calls.results[call]?.step
        else { return nil }
        return (step, String(rest.dropFirst("outputs.artifacts.".count)))
    }

    private static func bare(_ tag: String) -> String {
        var text = ASCII.trimmed(tag)
        if text.hasPrefix("{{"), text.hasSuffix("}}") { text = String(text.dropFirst(2).dropLast(2)) }
        return ASCII.trimmed(text)
    }

    private func sourceName(_ argument: Artifact) -> String {
        Self.bare(argument.from ?? "").split(separator: ".").dropFirst().first.map(String.init) ?? ""
    }

    /// An adapter is no model, and logs are no data.
    private func checkKind(
        of artifact: String, from source: MartletStep, as input: String, of step: MartletStep,
        at path: FieldPath, into findings: inout Findings
    ) {
        let wanted: Set<String>
        switch input {
        case "model", "ref_model": wanted = ["model"]
        case "adapters", "ref_adapters": wanted = ["adapter"]
        case "tokenizer": wanted = ["tokenizer", "model"]
        case "dataset", "val_dataset": wanted = ["dataset", "output"]
        default: return
        }
        let known: Set<String> = ["model", "adapter", "tokenizer", "dataset", "output", "logs", "report"]
        // A download gives what it is told to, whatever it is called.
        guard known.contains(artifact), !wanted.contains(artifact), source.kind != .download else { return }
        let remedy: String
        switch (input, artifact) {
        case ("model", "adapter"):
            remedy =
                "pass the model that was tuned as `model` and this as `adapter`, or merge them by a merge step"
        default: remedy = "\(input) wants \(wanted.sorted().joined(separator: " or "))"
        }
        findings.error(
            "the artifact \(artifact) of a \(source.kind.rawValue) step is no \(input) for \(step.kind.rawValue)",
            at: path, remedy: remedy)
    }

    // MARK: Data

    private func checkData(
        of artifact: Artifact, as input: String, of step: MartletStep, at path: FieldPath,
        into findings: inout Findings
    ) {
        guard input == "dataset" || input == "val_dataset", let stage = DataShape.Stage(step),
            step.value("columns") == nil, artifact.location?.store == "raw",
            let text = artifact.location?.settings["data"]?.stringValue, !Tag.isIn(text),
            let problem = DataShape.problem(of: Array(text.utf8), for: stage)
        else { return }
        findings.error(
            "the data do not fit \(step.kind.rawValue): \(problem.message)", at: path["raw"]["data"],
            remedy: problem.remedy)
    }

    /// Data that a template brings itself: in its inputs, and in files that the caller of the check can read.
    func checkOwnData(
        of step: MartletStep, _ template: Template, at path: FieldPath, inputs: FieldPath,
        into findings: inout Findings
    ) {
        for (index, artifact) in template.inputs.artifacts.enumerated() {
            checkData(
                of: artifact, as: StepParameterTable.canonical(artifact.name), of: step,
                at: inputs["artifacts"][index], into: &findings)
        }
        guard let read = options.readHead, let stage = DataShape.Stage(step), step.value("columns") == nil,
            step.backend == .martlet
        else { return }
        for name in ["dataset", "val_dataset"] {
            for text in step.literals(name) where text.hasPrefix("/") && !Tag.isIn(text) {
                guard text.hasSuffix(".jsonl"), let head = read(text),
                    let problem = DataShape.problem(of: head, for: stage)
                else { continue }
                findings.error(
                    "\(text) does not fit \(step.kind.rawValue): \(problem.message)", at: path[name],
                    remedy: problem.remedy)
            }
        }
    }
}
