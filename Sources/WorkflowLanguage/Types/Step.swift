// What a steps or dag template calls: which template, with which arguments, when and how often.

package import Text

/// The template that a step calls.
package indirect enum TemplateReference: Sendable, Hashable {
    /// A template of the same workflow or stored template.
    case name(String)
    /// `templateRef`: a template of a stored WorkflowTemplate or ClusterWorkflowTemplate.
    case stored(resource: String, template: String, clusterScope: Bool)
    /// `inline`: a whole template written in place.
    case inline(Template)
    /// None of the three was written; validation refuses it.
    case missing
}

/// `withSequence`.
package struct SequenceLoop: Sendable, Hashable {
    package var count: String?
    package var start: String?
    package var end: String?
    package var format: String?

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        count = fields.text("count")
        start = fields.text("start")
        end = fields.text("end")
        format = fields.string("format")
    }
}

/// How often a step is repeated.
package enum Loop: Sendable, Hashable {
    case items([JSONValue])
    case parameter(String)
    case sequence(SequenceLoop)
}

/// `hooks.NAME`: a template called when something happens to a node or workflow.
package struct LifecycleHook: Sendable, Hashable {
    package var reference: TemplateReference
    package var arguments: Arguments
    package var expression: String?

    package init(reference: TemplateReference, arguments: Arguments = Arguments(), expression: String? = nil)
    {
        self.reference = reference
        self.arguments = arguments
        self.expression = expression
    }

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        reference = TemplateReference(fields)
        arguments = Arguments(fields["arguments"])
        expression = fields.string("expression")
    }
}

/// A step of a steps template, and the part of a DAG task that is the same.
package struct Step: Sendable, Hashable {
    package var name: String
    package var reference: TemplateReference
    package var arguments: Arguments
    package var loop: Loop?
    package var when: String?
    package var continueOnError: Bool
    package var continueOnFailed: Bool
    /// All hooks; `exit` also holds what the old field `onExit` named.
    package var hooks: [String: LifecycleHook]
    package var raw: JSONValue

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        name = fields.text("name") ?? ""
        reference = TemplateReference(fields)
        arguments = Arguments(fields["arguments"])
        if fields["withItems"] != nil {
            loop = .items(fields.list("withItems"))
        } else if let text = fields.anyText("withParam") {
            loop = .parameter(text)
        } else if let sequence = fields["withSequence"] {
            loop = .sequence(SequenceLoop(sequence))
        }
        when = fields.text("when")
        continueOnError = fields.object("continueOn")?.bool("error") ?? false
        continueOnFailed = fields.object("continueOn")?.bool("failed") ?? false
        hooks = (fields["hooks"]?.objectValue ?? [:]).mapValues(LifecycleHook.init)
        if let onExit = fields.string("onExit"), !onExit.isEmpty, hooks["exit"] == nil {
            hooks["exit"] = LifecycleHook(reference: .name(onExit))
        }
        raw = json
    }
}

/// A task of a dag template.
package struct DAGTask: Sendable, Hashable {
    package var step: Step
    package var dependencies: [String]
    package var depends: String?

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        step = Step(json)
        dependencies = fields.strings("dependencies")
        depends = fields.string("depends")
    }

    package var name: String { step.name }
}

/// `dag`.
package struct DAG: Sendable, Hashable {
    package var tasks: [DAGTask]
    /// Blank-separated names; nil means all leaves.
    package var target: String?
    package var failFast: Bool

    package init(_ json: JSONValue) {
        let fields = Fields(json)
        tasks = fields.list("tasks").map(DAGTask.init)
        target = fields.string("target")
        failFast = fields.bool("failFast") ?? true
    }
}

extension TemplateReference {
    init(_ fields: Fields) {
        if let inline = fields["inline"] {
            self = .inline(Template(inline))
        } else if let stored = fields.object("templateRef") {
            self = .stored(
                resource: stored.text("name") ?? "", template: stored.text("template") ?? "",
                clusterScope: stored.bool("clusterScope") ?? false)
        } else if let name = fields.text("template"), !name.isEmpty {
            self = .name(name)
        } else {
            self = .missing
        }
    }
}
