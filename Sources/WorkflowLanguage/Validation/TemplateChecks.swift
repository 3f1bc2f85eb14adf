// One template: its kind, inputs, outputs and rules. The order of the calls is that of the manifest's reader.

import Text

extension ValidationContext {
    /// Checks a template and everything inside it.
    /// - Parameter outer: scope of the step that an inline template stands in.
    func checkTemplate(
        _ template: Template, at path: FieldPath, outer: Scope? = nil, into findings: inout Findings
    ) {
        checkKind(of: template, at: path, into: &findings)
        let scope = scope(of: template, outer: outer)
        checkInputs(of: template, at: path["inputs"], into: &findings)
        checkRules(of: template, at: path, scope: scope, into: &findings)
        switch template.kind {
        case .steps(let groups):
            checkSteps(groups, of: template, at: path, scope: scope, into: &findings)
        case .dag(let dag):
            checkDAG(dag, of: template, at: path, scope: scope, into: &findings)
        default:
            TagChecker(scope).check(template.raw, at: path, skipping: ["outputs"], into: &findings)
            checkLeaf(template, at: path, scope: scope, into: &findings)
            checkOutputs(of: template, at: path["outputs"], scope: scope, into: &findings)
        }
    }

    /// The tags that mean something in all of a template.
    func scope(of template: Template, outer: Scope?) -> Scope {
        var scope = globals
        scope.outer = outer.map { [$0] } ?? []
        scope.isLeaf = !template.isComposite
        let isLeaf = template.kind.isLeaf
        scope.names.formUnion(["inputs.parameters", "inputs.artifacts"])
        scope.names.formUnion(template.inputs.parameters.map { "inputs.parameters.\($0.name)" })
        for artifact in template.inputs.artifacts {
            scope.names.insert("inputs.artifacts.\(artifact.name)")
            if isLeaf { scope.names.insert("inputs.artifacts.\(artifact.name).path") }
        }
        scope.names.formUnion(template.outputs.parameters.map { "outputs.parameters.\($0.name)" })
        scope.names.formUnion(template.outputs.artifacts.map { "outputs.artifacts.\($0.name)" })
        if isLeaf { addOutputPaths(of: template, to: &scope) }
        if case .martlet = template.kind { scope.prefixes.insert("outputs.") }
        if template.kind.runsPod { scope.names.insert("pod.name") }
        if template.retryStrategy != nil || retriesEverything || owner.spec.retryStrategy != nil
            || owner.spec.templateDefaults?["retryStrategy"] != nil
        {
            scope.names.formUnion([
                "retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.duration",
                "lastRetry.message",
            ])
        }
        return scope
    }

    private func addOutputPaths(of template: Template, to scope: inout Scope) {
        for artifact in template.outputs.artifacts where artifact.path != nil {
            scope.names.insert("outputs.artifacts.\(artifact.name).path")
        }
        for parameter in template.outputs.parameters where parameter.valueFrom?.path != nil {
            scope.names.insert("outputs.parameters.\(parameter.name).path")
        }
    }

    private func checkKind(of template: Template, at path: FieldPath, into findings: inout Findings) {
        let keys = template.kindKeys
        switch keys.count {
        case 0:
            let known = Template.Kind.keys + MartletStep.Kind.allCases.map(\.rawValue)
            findings.error(
                "template type unspecified", at: path,
                remedy: "choose one of: " + known.joined(separator: ", "))
        case 1: break
        default:
            findings.error(
                "multiple template types specified: " + keys.joined(separator: ", "), at: path[keys[1]],
                remedy: "keep one of them, and make a template of its own from each other")
        }
    }

    /// Rules that depend on what kind of template it is.
    private func checkRules(
        of template: Template, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        checkTimes(of: template, at: path, into: &findings)
        checkPodFields(of: template, at: path, into: &findings)
        if let retry = template.raw["retryStrategy"] {
            checkRetryStrategy(retry, at: path["retryStrategy"], scope: scope, into: &findings)
        }
        checkAnnotations(of: template, at: path, into: &findings)
        checkMetrics(template.metrics, at: path["metrics"]["prometheus"], into: &findings)
        if let memoize = template.memoize { checkMemoize(memoize, at: path["memoize"], into: &findings) }
        if let synchronization = template.raw["synchronization"] {
            checkSynchronization(synchronization, at: path["synchronization"], into: &findings)
        }
        if let parallelism = template.parallelism {
            if !template.isComposite {
                findings.error(
                    "parallelism is only valid for steps and dag templates", at: path["parallelism"],
                    remedy: "set it on the template that calls this one, or use synchronization")
            } else if parallelism < 0 {
                findings.error("parallelism must not be negative", at: path["parallelism"])
            }
        }
        if template.daemon, !template.kind.runsPod {
            findings.warning(
                "daemon has no effect on \(template.kind.title) templates", at: path["daemon"],
                remedy: "set it on the container or script template that is to keep running")
        }
        if let location = template.raw["archiveLocation"], location.objectValue != nil {
            checkLocation(Artifact(location), at: path["archiveLocation"], into: &findings)
        }
    }

    private func checkTimes(of template: Template, at path: FieldPath, into findings: inout Findings) {
        guard template.kind != .missing else { return }
        let isLeaf = template.kind.isLeaf
        for (key, value) in [("timeout", template.timeout), ("pendingTimeout", template.pendingTimeout)] {
            guard let value, !value.isEmpty else { continue }
            if !isLeaf {
                findings.error(
                    "\(template.kind.title) template doesn't support \(key) field", at: path[key],
                    remedy:
                        "set it on the templates that are called, or activeDeadlineSeconds on the workflow")
            } else if !Durations.isGo(value) {
                findings.error(
                    "'\(template.name)' has invalid duration format in \(key): '\(value)'", at: path[key],
                    remedy: "write a number with a unit, such as 30s, 5m or 1h30m")
            }
        }
        guard let deadline = template.activeDeadlineSeconds else { return }
        if template.isComposite {
            findings.error(
                "activeDeadlineSeconds is only valid for leaf templates", at: path["activeDeadlineSeconds"],
                remedy: "set it on the templates that are called, or in the workflow's spec")
        } else if !Tag.isIn(deadline), (Int(deadline) ?? -1) < 0 {
            findings.error(
                "activeDeadlineSeconds must be a positive integer > 0 or a tag",
                at: path["activeDeadlineSeconds"],
                remedy: "write the number of seconds, such as 300")
        }
    }

    /// Resources of a pod make no sense where there is none.
    private func checkPodFields(of template: Template, at path: FieldPath, into findings: inout Findings) {
        guard !template.kind.runsPod, template.kind != .missing else { return }
        for key in ["podResources", "resourceClaims"] where template.raw[key] ?? .null != .null {
            findings.error(
                "\(key) is not supported for \(template.kind.title) templates, which do not create a pod",
                at: path[key], remedy: "set it on a container or script template")
        }
    }
}
