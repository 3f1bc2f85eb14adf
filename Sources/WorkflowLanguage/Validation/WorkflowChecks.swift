// A whole specification: entrypoint, arguments, hooks, rules, templates, and the stored templates it reaches.

import Text

extension ValidationContext {
    /// What kind of definition a specification belongs to.
    struct Subject {
        var metadata: ObjectMetadata
        /// Stored definitions need neither an entrypoint nor values.
        var isStored: Bool
        /// A CronWorkflow starts by itself, so all its arguments need values.
        var needsValues: Bool
    }

    /// Makes the context of a document's specification and checks everything in it.
    /// - Parameter documents: owner IDs of the stored definitions that are checked beside this one; their own
    ///   problems are not said again here.
    static func check(
        _ spec: WorkflowSpec, of subject: Subject, at specPath: FieldPath, catalog: TemplateCatalog,
        options: ValidationOptions, documents: Set<String>, into findings: inout Findings
    ) {
        var context = ValidationContext(
            options: options, catalog: catalog,
            owner: TemplateOwner(id: "", spec: spec, metadata: subject.metadata), specPath: specPath)
        let stored = context.checkWorkflowTemplateReference(of: spec, into: &findings)
        let run = stored ?? context.owner
        let sources = GlobalSources(
            specs: [spec] + (stored.map { [$0.spec] } ?? []), metadata: [subject.metadata],
            isStored: subject.isStored)
        context.globals = sources.scope()
        context.retriesEverything = sources.specs.contains { $0.retryStrategy != nil }
        if !subject.isStored { context.volumes = context.volumeNames(of: sources.specs) }

        let calls = context.rootCalls(of: spec, run: run, isStored: subject.isStored)
        context.addExports(from: calls, run: run)
        context.exitTemplates = context.exitTemplates(from: calls, run: run)

        context.checkSpec(spec, run: run, of: subject, into: &findings)
        checkNames(
            named(spec.templates.map(\.name), at: specPath["templates"]), .field, of: "template",
            into: &findings)
        context.checkRecursion(of: spec, into: &findings)
        for (index, template) in spec.templates.enumerated() {
            context.knowingFailures(of: "/\(index)")
                .checkTemplate(template, at: specPath["templates"][index], into: &findings)
        }
        context.checkStoredTemplates(calls, run: run, documents: documents, into: &findings)
    }

    private func volumeNames(of specs: [WorkflowSpec]) -> Set<String> {
        var names: Set<String> = []
        for spec in specs {
            names.formUnion(spec.volumes.compactMap { $0["name"]?.stringValue })
            names.formUnion(spec.volumeClaimTemplates.compactMap { $0["metadata"]?["name"]?.stringValue })
        }
        return names
    }

    /// The context in which {{workflow.failures}} is known, if the template may be an exit handler.
    func knowingFailures(of key: String) -> ValidationContext {
        guard exitTemplates.contains(key) else { return self }
        var context = self
        context.globals.names.insert("workflow.failures")
        return context
    }
}

/// Where a workflow begins: the entrypoint, its hooks, and every template, since each may be called.
struct RootCalls {
    var main: [TemplateCall]
    var exit: [TemplateCall]
    var templates: [TemplateCall]

    var all: [TemplateCall] { main + exit + templates }
}

extension ValidationContext {
    private func rootCalls(of spec: WorkflowSpec, run: TemplateOwner, isStored: Bool) -> RootCalls {
        let isOwn = run.isDocument
        let place = isOwn ? specPath : specPath["workflowTemplateRef"]
        let entrypoint = spec.entrypoint.isEmpty ? run.spec.entrypoint : spec.entrypoint
        var main: [TemplateCall] = []
        if !entrypoint.isEmpty { main.append(TemplateCall(reference: .name(entrypoint), path: place)) }
        var exit: [TemplateCall] = []
        let hooks = run.spec.hooks.merging(spec.hooks, uniquingKeysWith: { $1 })
        for (name, hook) in hooks.sorted(by: { $0.key < $1.key }) {
            let path = spec.hooks[name] == nil ? place : hookPath(spec.raw, specPath, name)
            let call = TemplateCall(reference: hook.reference, path: path)
            if name == "exit" { exit.append(call) } else { main.append(call) }
        }
        let templates = run.spec.templates.enumerated().map { index, template in
            TemplateCall(
                reference: .name(template.name), path: isOwn ? specPath["templates"][index] : place)
        }
        return RootCalls(main: main, exit: exit, templates: templates)
    }

    /// Names that the outputs of any reached template export.
    private mutating func addExports(from calls: RootCalls, run: TemplateOwner) {
        let (reached, isComplete) = reachable(from: calls.all, of: run)
        globals.addExports(of: reached.map(\.resolved.template))
        if !isComplete { globals.prefixes.insert("workflow.outputs.") }
    }

    /// Templates that an exit handler reaches, and with an exit handler those that the entrypoint does not.
    private func exitTemplates(from calls: RootCalls, run: TemplateOwner) -> Set<String> {
        guard !calls.exit.isEmpty else { return [] }
        func keys(_ calls: [TemplateCall]) -> Set<String> {
            Set(reachable(from: calls, of: run).templates.compactMap(\.resolved.key))
        }
        return keys(calls.exit).union(keys(calls.templates).subtracting(keys(calls.main)))
    }

    /// The context of a stored definition when it is checked for itself.
    private func alone() -> ValidationContext {
        var context = self
        context.globals =
            GlobalSources(specs: [owner.spec], metadata: [owner.metadata], isStored: true).scope()
        context.globals.addExports(of: owner.spec.templates)
        return context
    }

    /// Stored templates are read again with this workflow's global names: only here can it be seen that they
    /// use an argument which this workflow does not have.
    private func checkStoredTemplates(
        _ calls: RootCalls, run: TemplateOwner, documents: Set<String>, into findings: inout Findings
    ) {
        for reached in reachable(from: calls.all, of: run).templates {
            let owner = reached.resolved.owner
            guard !owner.isDocument, let index = reached.resolved.index, let key = reached.resolved.key else {
                continue
            }
            let template = reached.resolved.template
            let path = FieldPath()["spec"]["templates"][index]
            let context = entering(owner)
            var here = Findings()
            context.knowingFailures(of: key).checkTemplate(template, at: path, into: &here)
            var alone = Findings()
            if documents.contains(owner.id) {
                context.alone().checkTemplate(template, at: path, into: &alone)
            }
            for finding in here.all where !alone.contains(finding) {
                findings.add(
                    Finding(
                        path: reached.place, severity: finding.severity,
                        message: "\(owner.id): \(finding.path.text): \(finding.message)",
                        remedy: finding.remedy))
            }
        }
    }
}
