// What steps and tasks have in common: the template they call, arguments, loops, conditions, hooks.

import Text

extension ValidationContext {
    /// Checks a step or the step part of a task.
    /// - Parameter scope: what the step sees of others; its hooks see its own results too.
    func checkCall(
        _ step: Step, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        checkReferenceFields(step.raw, at: path, into: &findings)
        let resolved = checkReference(step.reference, at: path, into: &findings)
        checkLoop(of: step, at: path, into: &findings)
        let scope = scope.addingItems(of: step)
        checkCallTags(of: step, at: path, scope: scope, into: &findings)
        checkArguments(step.arguments, at: path["arguments"], needValues: true, into: &findings)
        for (index, artifact) in step.arguments.artifacts.enumerated() {
            guard let expression = artifact.fromExpression, !expression.isEmpty else { continue }
            checkExpression(
                expression, at: path["arguments"]["artifacts"][index]["fromExpression"], scope: scope,
                subject: "artifact '\(artifact.name)'", into: &findings)
        }
        if let resolved {
            checkSupplied(resolved.template, with: step.arguments, at: path, into: &findings)
            warnOfUnused(step.arguments, of: resolved.template, at: path["arguments"], into: &findings)
            checkPipeline(step, calling: resolved.template, at: path, scope: scope, into: &findings)
        }
        if let when = step.when { checkWhen(when, at: path["when"], into: &findings) }
        if !step.hooks.isEmpty {
            checkHooks(of: step, at: path, scope: scope.seeing(step.name), into: &findings)
        }
        if case .inline(let template) = step.reference {
            checkTemplate(template, at: path["inline"], outer: scope, into: &findings)
        }
    }

    /// Tags of a step, arguments one by one, so that messages can name the parameter.
    private func checkCallTags(
        of step: Step, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        TagChecker(scope).check(
            step.raw, at: path, skipping: ["arguments", "hooks", "inline"], into: &findings)
        let arguments = path["arguments"]
        for (kind, names) in [
            ("parameter", step.arguments.parameters.map(\.name)),
            ("artifact", step.arguments.artifacts.map(\.name)),
        ] {
            let values = Fields(step.raw["arguments"]).list(kind + "s")
            for (index, (value, name)) in zip(values, names).enumerated() {
                TagChecker(scope, subject: "\(kind) '\(name)'")
                    .check(value, at: arguments[kind + "s"][index], into: &findings)
            }
        }
    }

    /// At most one of the ways to say which template is called.
    private func checkReferenceFields(_ raw: JSONValue, at path: FieldPath, into findings: inout Findings) {
        let fields = Fields(raw)
        let used = ["template", "templateRef", "inline"].filter { key in
            key == "template" ? !(fields.text(key) ?? "").isEmpty : fields[key] != nil
        }
        if used.count > 1 {
            findings.error(
                "\(used[0]) cannot be specified with \(used[1])", at: path[used[1]],
                remedy: "keep one of them")
        }
    }

    /// The template that is called, or a problem and nil.
    func checkReference(
        _ reference: TemplateReference, at path: FieldPath, into findings: inout Findings
    ) -> ResolvedTemplate? {
        switch resolve(reference, from: owner) {
        case .found(let resolved): return resolved
        case .unknowable: return nil
        case .missing(let message, let member, let remedy):
            let path = member.map { path[$0] } ?? path
            findings.error(message, at: path, remedy: remedy)
            return nil
        }
    }

    /// What a step's name stands for, for the steps that see it.
    func results(of step: Step) -> CallResults {
        guard case .found(let resolved) = resolve(step.reference, from: owner) else {
            var results = Template(.object([:])).results(isLooped: true)
            results.anyOutput = true
            return results
        }
        return resolved.template.results(
            isLooped: step.loop != nil, given: step.arguments.artifacts.map(\.name))
    }

    private func checkHooks(
        of step: Step, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        for (name, hook) in step.hooks.sorted(by: { $0.key < $1.key }) {
            let path = step.hookPath(path, name)
            let arguments = hook.arguments.isEmpty && name == "exit" ? step.arguments : hook.arguments
            TagChecker(scope).check(step.raw["hooks"]?[name], at: path, into: &findings)
            checkHook(hook, named: name, arguments: arguments, at: path, scope: scope, into: &findings)
        }
    }

    /// A hook of a step or of the workflow.
    /// - Parameter arguments: the hook's own, or those of the step that an exit hook takes over.
    func checkHook(
        _ hook: LifecycleHook, named name: String, arguments: Arguments, at path: FieldPath, scope: Scope,
        into findings: inout Findings
    ) {
        let isOld = path.elements.last == .key("onExit")
        if name != "exit", (hook.expression ?? "").isEmpty {
            findings.error(
                "hooks.\(name) Expression required", at: path,
                remedy: "write when the hook is to run, such as expression: steps.NAME.status == \"Failed\";"
                    + " only the hook named exit needs none")
        }
        if let expression = hook.expression, !expression.isEmpty {
            checkExpression(expression, at: path["expression"], scope: scope, into: &findings)
        }
        checkArguments(hook.arguments, at: path["arguments"], needValues: true, into: &findings)
        switch resolve(hook.reference, from: owner) {
        case .found(let resolved):
            let target = arguments.isEmpty || isOld ? path : path["arguments"]
            checkSupplied(resolved.template, with: arguments, at: target, into: &findings)
        case .unknowable: break
        case .missing(let message, let member, let remedy):
            findings.error(message, at: isOld ? path : member.map { path[$0] } ?? path, remedy: remedy)
        }
    }
}

extension Scope {
    /// The scope with a step's results visible.
    func seeing(_ name: String) -> Scope {
        var scope = self
        scope.calls?.visible.insert(name)
        return scope
    }
}
