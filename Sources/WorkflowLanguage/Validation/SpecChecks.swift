// The fields of a specification beside its templates.

import Text

extension ValidationContext {
    /// The stored definition that `workflowTemplateRef` names, if there is one.
    func checkWorkflowTemplateReference(
        of spec: WorkflowSpec, into findings: inout Findings
    ) -> TemplateOwner? {
        guard let reference = spec.workflowTemplateRef else { return nil }
        let path = specPath["workflowTemplateRef"]
        if !spec.templates.isEmpty {
            findings.error(
                "templates is an invalid field in spec if the workflow refers to a WorkflowTemplate with"
                    + " workflowTemplateRef",
                at: specPath["templates"], remedy: "keep templates or workflowTemplateRef")
        }
        if reference.name.isEmpty {
            findings.error("workflowTemplateRef.name is required", at: path, remedy: "write name: ...")
            return nil
        }
        if let owner = storedOwner(reference.name, clusterScope: reference.clusterScope) { return owner }
        let kind = reference.clusterScope ? "ClusterWorkflowTemplate" : "WorkflowTemplate"
        findings.error(
            "\(kind) '\(reference.name)' not found", at: path["name"],
            remedy: missingOwnerRemedy(reference.name, reference.clusterScope))
        return nil
    }

    func checkSpec(
        _ spec: WorkflowSpec, run: TemplateOwner, of subject: Subject, into findings: inout Findings
    ) {
        let merged = spec.arguments.merged(over: run.isDocument ? Arguments() : run.spec.arguments)
        let needValues = !subject.isStored && (subject.needsValues || options.requireArgumentValues)
        checkArguments(spec.arguments, at: specPath["arguments"], needValues: false, into: &findings)
        checkValues(of: merged, written: spec.arguments, needValues: needValues, into: &findings)
        checkEntrypoint(of: spec, run: run, arguments: merged, of: subject, into: &findings)
        checkWorkflowHooks(of: spec, run: run, arguments: merged, into: &findings)
        // Texts of the specification may be merged into templates, whose tags are then known; arguments may
        // hold any text. Only what no template could know is a mistake here.
        let lenient = globals.adding(
            names: ["workflow.failures", "pod.name", "item", "retries"],
            prefixes: ["inputs.", "outputs.", "steps.", "tasks.", "item.", "lastRetry."])
        TagChecker(lenient).check(
            spec.raw, at: specPath, skipping: ["templates", "templateDefaults", "arguments", "hooks"],
            into: &findings)
        checkRules(of: spec, into: &findings)
        checkGarbageCollection(of: spec, into: &findings)
        checkTimes(of: spec, into: &findings)
    }

    private func checkValues(
        of arguments: Arguments, written: Arguments, needValues: Bool, into findings: inout Findings
    ) {
        guard needValues else { return }
        for parameter in arguments.parameters where parameter.value == nil && parameter.valueFrom == nil {
            let index = written.parameters.firstIndex { $0.name == parameter.name }
            let path = specPath["arguments"]
            findings.error(
                "value or valueFrom of parameter '\(parameter.name)' is required",
                at: index.map { path["parameters"][$0] } ?? path,
                remedy: "write value: ..., or give it with -p \(parameter.name)=VALUE")
        }
    }

    private func checkEntrypoint(
        of spec: WorkflowSpec, run: TemplateOwner, arguments: Arguments, of subject: Subject,
        into findings: inout Findings
    ) {
        // Which templates there are is not known if the reference leads nowhere; that has been said.
        guard spec.workflowTemplateRef == nil || !run.isDocument else { return }
        let entrypoint = spec.entrypoint.isEmpty ? run.spec.entrypoint : spec.entrypoint
        if entrypoint.isEmpty {
            guard !subject.isStored else { return }
            findings.error(
                "spec.entrypoint is required", at: specPath,
                remedy: remedy(
                    for: "", among: run.spec.templates.map(\.name), called: "templates to begin with"))
            return
        }
        guard let (template, _) = run.template(named: entrypoint) else {
            findings.error(
                "template name '\(entrypoint)' undefined", at: specPath["entrypoint"],
                remedy: remedy(for: entrypoint, among: run.spec.templates.map(\.name), called: "templates"))
            return
        }
        guard !subject.isStored else { return }
        checkSupplied(template, with: arguments, at: specPath["entrypoint"], into: &findings)
    }

    private func checkWorkflowHooks(
        of spec: WorkflowSpec, run: TemplateOwner, arguments: Arguments, into findings: inout Findings
    ) {
        guard spec.workflowTemplateRef == nil || !run.isDocument else { return }
        let context = run.isDocument ? self : entering(run)
        let scope = globals.adding(names: ["workflow.failures"])
        for (name, hook) in spec.hooks.sorted(by: { $0.key < $1.key }) {
            let path = hookPath(spec.raw, specPath, name)
            let given = hook.arguments.isEmpty && name == "exit" ? arguments : hook.arguments
            TagChecker(scope).check(spec.raw["hooks"]?[name], at: path, into: &findings)
            context.checkHook(hook, named: name, arguments: given, at: path, scope: scope, into: &findings)
        }
    }

    private func checkRules(of spec: WorkflowSpec, into findings: inout Findings) {
        let retryScope = globals.adding(prefixes: ["lastRetry.", "inputs.", "outputs."])
        if let retry = spec.retryStrategy {
            checkRetryStrategy(retry, at: specPath["retryStrategy"], scope: retryScope, into: &findings)
        }
        if let retry = spec.templateDefaults?["retryStrategy"] {
            checkRetryStrategy(
                retry, at: specPath["templateDefaults"]["retryStrategy"], scope: retryScope, into: &findings)
        }
        checkMetrics(spec.metrics, at: specPath["metrics"]["prometheus"], into: &findings)
        if let synchronization = spec.raw["synchronization"], synchronization != .null {
            checkSynchronization(synchronization, at: specPath["synchronization"], into: &findings)
        }
        checkWord(
            spec.shutdown, among: ["Stop", "Terminate"], of: "shutdown", at: specPath["shutdown"],
            into: &findings)
        let labels = Fields(spec.workflowMetadata).object("labelsFrom")?.members ?? [:]
        for (name, source) in labels.sorted(by: { $0.key < $1.key }) {
            let path = specPath["workflowMetadata"]["labelsFrom"][name]["expression"]
            checkExpression(
                source["expression"]?.stringValue ?? "", at: path, scope: globals, into: &findings)
        }
        if let parallelism = spec.parallelism, parallelism < 0 {
            findings.error("parallelism must not be negative", at: specPath["parallelism"])
        }
        checkNames(
            spec.volumes.enumerated().map { ($1["name"]?.stringValue ?? "", specPath["volumes"][$0]) }
                .filter { !Tag.isIn($0.0) }, .container, of: "volume", into: &findings)
    }

    private func checkTimes(of spec: WorkflowSpec, into findings: inout Findings) {
        if let seconds = spec.activeDeadlineSeconds, seconds < 0 {
            findings.error(
                "activeDeadlineSeconds must not be negative", at: specPath["activeDeadlineSeconds"])
        }
        for key in ["secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure"] {
            guard let seconds = Fields(spec.ttlStrategy).int(key), seconds < 0 else { continue }
            findings.error("ttlStrategy.\(key) must not be negative", at: specPath["ttlStrategy"][key])
        }
    }

    private func checkGarbageCollection(of spec: WorkflowSpec, into findings: inout Findings) {
        if !Fields(spec.raw).list("executorPlugins").isEmpty, options.target != .argo {
            findings.error(
                "executorPlugins cannot run here: there are no executor plugins", at: specPath["executorPlugins"],
                remedy: "do the work in a container or script template")
        }
        if Fields(spec.raw)["artifactRepositoryRef"] != nil, options.target != .argo {
            findings.warning(
                "artifactRepositoryRef has no effect: artifacts with only a key lie in Martlet's own store",
                at: specPath["artifactRepositoryRef"],
                remedy: "name the bucket at the artifacts that are to lie elsewhere")
        }
        checkGarbageCollection(
            spec.artifactGCStrategy, at: specPath["artifactGC"]["strategy"], into: &findings)
        let strategies = [
            "OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess", "None",
        ]
        let path = specPath["podGC"]
        if let strategy = spec.podGCStrategy, !strategy.isEmpty, !strategies.contains(strategy) {
            findings.error(
                "podGC.strategy unknown strategy '\(strategy)'", at: path["strategy"],
                remedy: remedy(for: strategy, among: strategies, called: "strategies"))
        }
        let podGC = Fields(spec.raw["podGC"])
        if let delay = podGC.text("deleteDelayDuration"), !delay.isEmpty, !Durations.isSecondsOrGo(delay) {
            findings.error(
                "unable to parse '\(delay)' as a duration", at: path["deleteDelayDuration"],
                remedy: Durations.secondsOrGoRemedy)
        }
        let selector = podGC.object("labelSelector")?.list("matchExpressions") ?? []
        for (index, requirement) in selector.enumerated() {
            checkRequirement(
                Fields(requirement), at: path["labelSelector"]["matchExpressions"][index], into: &findings)
        }
    }

    private func checkRequirement(_ fields: Fields, at path: FieldPath, into findings: inout Findings) {
        let operators = ["In", "NotIn", "Exists", "DoesNotExist"]
        let word = fields.string("operator") ?? ""
        let count = fields.list("values").count
        if !operators.contains(word) {
            findings.error(
                "podGC.labelSelector invalid: \"\(word)\" is not a valid label selector operator",
                at: fields["operator"] == nil ? path : path["operator"],
                remedy: remedy(for: word, among: operators, called: "operators"))
        } else if word.hasSuffix("In"), count == 0 {
            findings.error("podGC.labelSelector invalid: \(word) needs values", at: path)
        } else if !word.hasSuffix("In"), count > 0 {
            findings.error("podGC.labelSelector invalid: \(word) takes no values", at: path["values"])
        }
        if (fields.text("key") ?? "").isEmpty {
            findings.error("podGC.labelSelector invalid: the key is required", at: path)
        }
    }
}

extension Arguments {
    /// These arguments, and those of others under names that these do not have. A parameter without a value
    /// takes the other's.
    func merged(over others: Arguments) -> Arguments {
        var merged = self
        for other in others.parameters {
            if let index = merged.parameters.firstIndex(where: { $0.name == other.name }) {
                let own = merged.parameters[index]
                if own.value == nil, own.valueFrom == nil { merged.parameters[index] = other }
            } else {
                merged.parameters.append(other)
            }
        }
        merged.artifacts += others.artifacts.filter { artifact($0.name) == nil }
        return merged
    }
}
