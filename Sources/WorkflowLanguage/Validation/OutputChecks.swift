// Outputs of templates: each has a name, one source, and the source fits the kind of template.

import Text

extension ValidationContext {
    /// - Parameter scope: what the outputs may refer to; for steps and dag, all of their steps or tasks.
    func checkOutputs(
        of template: Template, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        let outputs = template.outputs
        checkNames(
            named(outputs.parameters.map(\.name), at: path["parameters"]), .value, of: "parameter",
            into: &findings)
        checkNames(
            named(outputs.artifacts.map(\.name), at: path["artifacts"]), .value, of: "artifact",
            into: &findings)
        TagChecker(scope).check(template.raw["outputs"], at: path, into: &findings)
        for (index, parameter) in outputs.parameters.enumerated() {
            checkOutput(parameter, of: template, at: path["parameters"][index], scope: scope, into: &findings)
        }
        for (index, artifact) in outputs.artifacts.enumerated() {
            checkOutput(artifact, of: template, at: path["artifacts"][index], scope: scope, into: &findings)
        }
    }

    private func checkGlobalName(_ name: String?, at path: FieldPath, into findings: inout Findings) {
        guard let name, !name.isEmpty, !Tag.isIn(name), let problem = NameRule.value.problem(with: name)
        else {
            return
        }
        findings.error("globalName '\(name)' is invalid: \(problem)", at: path["globalName"])
    }

    private func checkOutput(
        _ parameter: Parameter, of template: Template, at path: FieldPath, scope: Scope,
        into findings: inout Findings
    ) {
        let label = "outputs.parameters.\(parameter.name)"
        checkGlobalName(parameter.globalName, at: path, into: &findings)
        if case .martlet(let step) = template.kind, parameter.value == nil, parameter.valueFrom == nil {
            checkContract(of: step, template, parameter: parameter.name, at: path, into: &findings)
            return
        }
        guard let source = parameter.valueFrom else {
            if parameter.value == nil {
                findings.error(
                    "\(label) does not have valueFrom or value specified", at: path,
                    remedy: sourceRemedy(for: template.kind))
            }
            return
        }
        if parameter.value != nil {
            findings.error(
                "\(label) has both valueFrom and value specified", at: path["valueFrom"],
                remedy: "keep one of them")
        }
        let kinds = ["path", "jqFilter", "jsonPath", "parameter", "expression"]
        let used =
            kinds.filter { !(Fields(source.raw).text($0) ?? "").isEmpty }
            + (source.supplied ? ["supplied"] : [])
        if used.isEmpty {
            findings.error(
                "\(label): valueFrom type unspecified", at: path["valueFrom"],
                remedy: sourceRemedy(for: template.kind))
        } else if used.count > 1 {
            findings.error(
                "\(label): multiple valueFrom types specified: " + used.joined(separator: ", "),
                at: path["valueFrom"][used[1]], remedy: "keep one of them")
        }
        checkFit(used, of: template, label: label, at: path["valueFrom"], into: &findings)
        if let expression = source.expression {
            checkExpression(
                expression, at: path["valueFrom"]["expression"], scope: scope,
                subject: "parameter '\(parameter.name)'", into: &findings)
        }
    }

    /// Whether the source of an output parameter is one that the kind of template has.
    private func checkFit(
        _ used: [String], of template: Template, label: String, at path: FieldPath,
        into findings: inout Findings
    ) {
        let fitting: (keys: [String], words: String)
        switch template.kind {
        case .container, .script, .containerSet: fitting = (["path"], ".path")
        case .steps, .dag: fitting = (["parameter", "expression"], ".parameter or expression")
        case .resource: fitting = (["jqFilter", "jsonPath"], ".jqFilter or jsonPath")
        case .suspend: fitting = (["supplied"], ".supplied")
        case .http, .data, .plugin, .martlet, .missing: return
        }
        guard !used.contains(where: fitting.keys.contains) else { return }
        findings.error(
            "\(label)\(fitting.words) must be specified for \(template.kind.title) templates",
            at: used.first.map { path[$0] } ?? path, remedy: sourceRemedy(for: template.kind))
    }

    private func sourceRemedy(for kind: Template.Kind) -> String {
        switch kind {
        case .container, .script, .containerSet:
            "write valueFrom: {path: FILE}, the file that the container leaves"
        case .steps:
            "write valueFrom: {parameter: \"{{steps.NAME.outputs.parameters.NAME}}\"} or an expression"
        case .dag: "write valueFrom: {parameter: \"{{tasks.NAME.outputs.parameters.NAME}}\"} or an expression"
        case .resource: "write valueFrom: {jsonPath: ...} or {jqFilter: ...}"
        case .suspend: "write valueFrom: {supplied: {}}: whoever resumes the workflow gives the value"
        case .http, .data, .plugin, .martlet, .missing: "write value or valueFrom"
        }
    }

    private func checkContract(
        of step: MartletStep, _ template: Template, parameter: String, at path: FieldPath,
        into findings: inout Findings
    ) {
        let contract = MartletStepContract(step, inputs: Set(template.inputs.artifacts.map(\.name)))
        guard !contract.givesAnyParameter, !contract.outputParameters.contains(parameter) else { return }
        findings.error(
            "\(step.kind.rawValue) gives no output parameter '\(parameter)'", at: path,
            remedy: remedy(for: parameter, among: contract.outputParameters, called: "output parameters"))
    }

    private func checkOutput(
        _ artifact: Artifact, of template: Template, at path: FieldPath, scope: Scope,
        into findings: inout Findings
    ) {
        checkGlobalName(artifact.globalName, at: path, into: &findings)
        checkPath(of: artifact, of: template, at: path, into: &findings)
        checkLocation(artifact, at: path, into: &findings)
        let hasFrom = !(artifact.from ?? "").isEmpty
        if let expression = artifact.fromExpression, !expression.isEmpty {
            checkExpression(
                expression, at: path["fromExpression"], scope: scope, subject: "artifact '\(artifact.name)'",
                into: &findings)
            if hasFrom {
                findings.error(
                    "artifact '\(artifact.name)' shouldn't have both from and fromExpression",
                    at: path["from"],
                    remedy: "keep one of them")
            }
        } else if template.isComposite, !hasFrom, artifact.location == nil {
            findings.error(
                "outputs.artifacts.\(artifact.name): from or fromExpression must be specified for"
                    + " \(template.kind.title) templates",
                at: path,
                remedy: "write from: \"{{tasks.NAME.outputs.artifacts.NAME}}\" (steps.NAME in steps)")
        }
        if case .martlet(let step) = template.kind, artifact.path == nil {
            let contract = MartletStepContract(step, inputs: Set(template.inputs.artifacts.map(\.name)))
            if !contract.outputArtifacts.contains(artifact.name) {
                findings.error(
                    "\(step.kind.rawValue) gives no output artifact '\(artifact.name)'", at: path,
                    remedy: remedy(
                        for: artifact.name, among: contract.outputArtifacts, called: "output artifacts"))
            }
        }
    }
}
