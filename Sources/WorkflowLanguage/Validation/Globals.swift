// The names that are known everywhere in a workflow: {{workflow.*}}.

import Text

/// What the global names are made of.
struct GlobalSources {
    /// The specification that is validated and, with workflowTemplateRef, the stored one.
    var specs: [WorkflowSpec]
    var metadata: [ObjectMetadata]
    /// Whether the definition is stored: then whoever uses it brings further arguments.
    var isStored: Bool

    /// The scope without the names that outputs export.
    func scope() -> Scope {
        var scope = Scope()
        scope.names = [
            "workflow.name", "workflow.namespace", "workflow.uid", "workflow.mainEntrypoint",
            "workflow.serviceAccountName", "workflow.status", "workflow.priority", "workflow.parameters",
            "workflow.parameters.json", "workflow.labels", "workflow.labels.json", "workflow.annotations",
            "workflow.annotations.json", "node.name", "steps.name", "tasks.name",
        ]
        scope.prefixes = [
            "workflow.creationTimestamp", "workflow.scheduledTime", "workflow.duration",
            // Set by the engine when the workflow is submitted.
            "workflow.labels.workflows.argoproj.io/", "workflow.annotations.workflows.argoproj.io/",
            "workflow.labels.martlet.dev/", "workflow.annotations.martlet.dev/",
        ]
        if isStored { scope.prefixes.insert("workflow.parameters.") }
        for spec in specs { addNames(of: spec, to: &scope) }
        for metadata in metadata {
            scope.names.formUnion(metadata.labels.keys.map { "workflow.labels.\($0)" })
            scope.names.formUnion(metadata.annotations.keys.map { "workflow.annotations.\($0)" })
        }
        return scope
    }

    private func addNames(of spec: WorkflowSpec, to scope: inout Scope) {
        scope.names.formUnion(spec.arguments.parameters.map { "workflow.parameters.\($0.name)" })
        let metadata = Fields(spec.workflowMetadata)
        for (member, name) in [
            ("labels", "labels"), ("labelsFrom", "labels"), ("annotations", "annotations"),
        ] {
            let keys = metadata.object(member)?.members.keys.map { "workflow.\(name).\($0)" } ?? []
            scope.names.formUnion(keys)
        }
    }
}

extension Scope {
    /// Adds what templates export with `globalName`.
    mutating func addExports(of templates: some Sequence<Template>) {
        for template in templates {
            let parameters = template.outputs.parameters.compactMap(\.globalName)
            let artifacts = template.outputs.artifacts.compactMap(\.globalName)
            for (kind, exports) in [("parameters", parameters), ("artifacts", artifacts)] {
                for name in exports where !name.isEmpty {
                    if Tag.isIn(name) {
                        prefixes.insert("workflow.outputs.\(kind).")
                    } else {
                        names.insert("workflow.outputs.\(kind).\(name)")
                    }
                    names.insert("workflow.outputs.\(kind)")
                }
            }
        }
    }
}
