// Inputs of templates and arguments of calls: what they declare, and that every input is supplied.

import Text

extension ValidationContext {
    func checkInputs(of template: Template, at path: FieldPath, into findings: inout Findings) {
        let inputs = template.inputs
        checkNames(
            named(inputs.parameters.map(\.name), at: path["parameters"]), .value, of: "parameter",
            into: &findings)
        checkNames(
            named(inputs.artifacts.map(\.name), at: path["artifacts"]), .value, of: "artifact",
            into: &findings)
        for (index, parameter) in inputs.parameters.enumerated() {
            let path = path["parameters"][index]
            if let source = parameter.valueFrom {
                checkArgumentSource(source, of: parameter, at: path, into: &findings)
            }
            checkEnum(of: parameter, at: path, into: &findings)
        }
        for (index, artifact) in inputs.artifacts.enumerated() {
            checkInput(artifact, of: template, at: path["artifacts"][index], into: &findings)
        }
    }

    private func checkInput(
        _ artifact: Artifact, of template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        checkPath(of: artifact, of: template, at: path, into: &findings)
        for (key, value) in [("from", artifact.from), ("fromExpression", artifact.fromExpression)]
        where !(value ?? "").isEmpty {
            findings.error(
                "inputs.artifacts.\(artifact.name).\(key) not valid in inputs", at: path[key],
                remedy: "write it in the arguments of the step that calls this template")
        }
        checkLocation(artifact, at: path, into: &findings)
    }

    /// Arguments of the workflow, a step or a hook: their names, and that each has a value or source.
    /// - Parameter needValues: whether a parameter may not be left without a value.
    func checkArguments(
        _ arguments: Arguments, at path: FieldPath, needValues: Bool, into findings: inout Findings
    ) {
        checkNames(
            named(arguments.parameters.map(\.name), at: path["parameters"]), .value, of: "parameter",
            into: &findings)
        checkNames(
            named(arguments.artifacts.map(\.name), at: path["artifacts"]), .value, of: "artifact",
            into: &findings)
        for (index, parameter) in arguments.parameters.enumerated() {
            let path = path["parameters"][index]
            if let source = parameter.valueFrom {
                checkArgumentSource(source, of: parameter, at: path, into: &findings)
            } else if parameter.value == nil, needValues {
                findings.error(
                    "value or valueFrom of parameter '\(parameter.name)' is required", at: path,
                    remedy:
                        "write value: ..., or give it with -p \(parameter.name)=VALUE if it is the workflow's"
                )
            }
            checkEnum(of: parameter, at: path, into: &findings)
        }
        for (index, artifact) in arguments.artifacts.enumerated() {
            checkArgument(artifact, at: path["artifacts"][index], into: &findings)
        }
    }

    private func checkArgument(_ artifact: Artifact, at path: FieldPath, into findings: inout Findings) {
        let hasFrom = !(artifact.from ?? "").isEmpty
        let hasExpression = !(artifact.fromExpression ?? "").isEmpty
        if !hasFrom, !hasExpression, artifact.location == nil {
            findings.error(
                "from, artifact location, or key is required for artifact '\(artifact.name)'", at: path,
                remedy:
                    "write from: \"{{steps.NAME.outputs.artifacts.NAME}}\" (tasks.NAME in a dag), or a"
                    + " location such as raw or s3")
        }
        if hasFrom, hasExpression {
            findings.error(
                "artifact '\(artifact.name)' shouldn't have both from and fromExpression", at: path["from"],
                remedy: "keep one of them")
        }
        checkLocation(artifact, at: path, into: &findings)
    }

    /// Where an argument's or input's value may come from: a ConfigMap, a person, an event.
    private func checkArgumentSource(
        _ source: ValueFrom, of parameter: Parameter, at path: FieldPath, into findings: inout Findings
    ) {
        let isAllowed = source.configMapKeyRef != nil || source.supplied || source.event != nil
        let forbidden = ["path", "jsonPath", "jqFilter", "parameter", "expression"].filter {
            source.raw[$0] ?? .null != .null
        }
        if !isAllowed || !forbidden.isEmpty {
            findings.error(
                "valueFrom only allows: default, configMapKeyRef and supplied"
                    + " (parameter '\(parameter.name)')",
                at: forbidden.first.map { path["valueFrom"][$0] } ?? path["valueFrom"],
                remedy: "to pass on another value write value: \"{{...}}\"")
        }
        if let reference = source.configMapKeyRef {
            checkKey(
                reference, isOptional: reference.optional || source.default != nil,
                at: path["valueFrom"]["configMapKeyRef"], into: &findings)
        }
    }

    /// A key of a ConfigMap. One that is not known now may exist when the workflow runs.
    func checkKey(
        _ reference: ValueFrom.KeySelector, isOptional: Bool, at path: FieldPath,
        into findings: inout Findings
    ) {
        if reference.name.isEmpty { findings.error("the ConfigMap's name is required", at: path) }
        if reference.key.isEmpty { findings.error("the ConfigMap's key is required", at: path) }
        guard !isOptional, !reference.key.isEmpty, !Tag.isIn(reference.key),
            let map = catalog.configMaps[reference.name],
            map.values[reference.key] == nil, map.encodedValues[reference.key] == nil
        else { return }
        findings.error(
            "ConfigMap '\(reference.name)' has no key '\(reference.key)'", at: path["key"],
            remedy: remedy(for: reference.key, among: map.values.keys, called: "keys"))
    }

    private func checkEnum(of parameter: Parameter, at path: FieldPath, into findings: inout Findings) {
        guard let allowed = parameter.enum else { return }
        if allowed.isEmpty {
            findings.error(
                "enum of parameter '\(parameter.name)' should contain at least one value", at: path["enum"],
                remedy: "list the values that are allowed, or remove enum")
        } else if let value = parameter.value, !Tag.isIn(value), !allowed.contains(value) {
            findings.error(
                "value '\(value)' of parameter '\(parameter.name)' should be present in its enum list",
                at: path["value"], remedy: remedy(for: value, among: allowed, called: "allowed values"))
        }
    }

    /// Every input of a called template that has no value of its own must be among the arguments.
    /// - Parameter path: of the call.
    func checkSupplied(
        _ template: Template, with arguments: Arguments, at path: FieldPath, into findings: inout Findings
    ) {
        let inputs = template.inputs
        let target = arguments.isEmpty ? path : path["arguments"]
        for input in inputs.parameters where input.valueOrDefault == nil && input.valueFrom == nil {
            guard arguments.parameter(input.name) == nil else { continue }
            let extra = arguments.parameters.map(\.name).filter { inputs.parameter($0) == nil }
            findings.error(
                "inputs.parameters.\(input.name) was not supplied", at: target,
                remedy: suppliedRemedy(input.name, "parameter", of: template, given: extra))
        }
        for input in inputs.artifacts where !input.optional && input.location == nil {
            guard arguments.artifact(input.name) == nil else { continue }
            let extra = arguments.artifacts.map(\.name).filter { inputs.artifact($0) == nil }
            findings.error(
                "inputs.artifacts.\(input.name) was not supplied", at: target,
                remedy: suppliedRemedy(input.name, "artifact", of: template, given: extra))
        }
    }

    /// Argo leaves an argument that no input asks for unused. One that is almost the name of an input which
    /// keeps its default is most likely misspelled.
    func warnOfUnused(
        _ arguments: Arguments, of template: Template, at path: FieldPath, into findings: inout Findings
    ) {
        let inputs = template.inputs.parameters.map(\.name)
        let open = inputs.filter { arguments.parameter($0) == nil }
        for (index, argument) in arguments.parameters.enumerated() where !inputs.contains(argument.name) {
            guard let near = EditDistance.nearest(to: argument.name, in: open) else { continue }
            findings.warning(
                "template \"\(template.name)\" has no input parameter '\(argument.name)'",
                at: path["parameters"][index]["name"], remedy: "did you mean \"\(near)\"?")
        }
    }

    private func suppliedRemedy(
        _ name: String, _ kind: String, of template: Template, given: [String]
    ) -> String {
        let text = "template \"\(template.name)\" needs \(kind) \"\(name)\": add it to arguments.\(kind)s"
        guard let near = EditDistance.nearest(to: name, in: given) else { return text }
        return text + "; did you mean it by \"\(near)\"?"
    }
}
