// What the validators of one specification know: its templates, the stored ones, the global names.

import Text

/// Whose templates a name refers to: the document's own, or those of a stored definition.
struct TemplateOwner: Sendable {
    /// Empty for the document itself, else for example `WorkflowTemplate/train`.
    var id: String
    var spec: WorkflowSpec
    var metadata: ObjectMetadata
    /// Position of each template by its name; of equal names the first counts.
    private let positions: [String: Int]

    init(id: String, spec: WorkflowSpec, metadata: ObjectMetadata) {
        self.id = id
        self.spec = spec
        self.metadata = metadata
        positions = Dictionary(
            spec.templates.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    var isDocument: Bool { id.isEmpty }

    func template(named name: String) -> (template: Template, index: Int)? {
        positions[name].map { (spec.templates[$0], $0) }
    }
}

/// A template that a reference leads to.
struct ResolvedTemplate: Sendable {
    var template: Template
    var owner: TemplateOwner
    /// Position in the owner's list; nil for an inline template.
    var index: Int?

    /// A name that is the same for the same template; nil for an inline one, which is met once.
    var key: String? { index.map { "\(owner.id)/\($0)" } }
}

/// Where a reference leads.
enum TemplateResolution {
    case found(ResolvedTemplate)
    /// The name holds a tag, so only the run will tell.
    case unknowable
    case missing(message: String, member: String?, remedy: String)
}

/// Everything around a template that its checks need. A value: descending into something makes a new one.
struct ValidationContext: Sendable {
    var options: ValidationOptions
    var catalog: TemplateCatalog
    var owner: TemplateOwner
    /// Path of the specification that holds `templates`.
    var specPath: FieldPath
    /// Names that are known in all templates: `workflow.*`.
    var globals = Scope()
    /// Keys of the templates that may run when the workflow has ended.
    var exitTemplates: Set<String> = []
    /// Whether the workflow that runs has a retry strategy of its own, which holds for stored templates too.
    var retriesEverything = false
    /// Volumes of the specification; nil where another document may add some.
    var volumes: Set<String>?

    /// The same for the templates of another owner.
    func entering(_ owner: TemplateOwner) -> ValidationContext {
        var context = self
        context.owner = owner
        context.specPath = FieldPath()["spec"]
        if !owner.isDocument { context.volumes = nil }
        return context
    }

    /// Field of the owner's templateDefaults, such as the container's image.
    func defaults(_ kind: String) -> Fields {
        Fields(owner.spec.templateDefaults?[kind])
    }
}

extension ValidationContext {
    /// The template that a call means, looked for among the templates of `owner`.
    func resolve(_ reference: TemplateReference, from owner: TemplateOwner) -> TemplateResolution {
        switch reference {
        case .inline(let template):
            return .found(ResolvedTemplate(template: template, owner: owner, index: nil))
        case .missing:
            return .missing(
                message: "no template is named", member: nil,
                remedy: "write template, templateRef or inline")
        case .name(let name):
            if let (template, index) = owner.template(named: name) {
                return .found(ResolvedTemplate(template: template, owner: owner, index: index))
            }
            if Tag.isIn(name) { return .unknowable }
            return .missing(
                message: "template name '\(name)' undefined", member: "template",
                remedy: remedy(for: name, among: owner.spec.templates.map(\.name), called: "templates"))
        case .stored(let resource, let template, let clusterScope):
            return resolveStored(resource, template, clusterScope)
        }
    }

    private func resolveStored(
        _ resource: String, _ template: String, _ clusterScope: Bool
    ) -> TemplateResolution {
        if Tag.isIn(resource) || Tag.isIn(template) { return .unknowable }
        if resource.isEmpty || template.isEmpty {
            return .missing(
                message: resource.isEmpty ? "resource name is required" : "template name is required",
                member: "templateRef", remedy: "write templateRef: {name: ..., template: ...}")
        }
        guard let owner = storedOwner(resource, clusterScope: clusterScope) else {
            return .missing(
                message: "template reference \(resource).\(template) not found", member: "templateRef",
                remedy: missingOwnerRemedy(resource, clusterScope))
        }
        guard let (found, index) = owner.template(named: template) else {
            return .missing(
                message: "template reference \(resource).\(template) not found", member: "templateRef",
                remedy: remedy(
                    for: template, among: owner.spec.templates.map(\.name),
                    called: "templates of \(owner.id.replacing("/", with: " \""))\""))
        }
        return .found(ResolvedTemplate(template: found, owner: owner, index: index))
    }

    /// The templates of a stored definition; nil if there is none of that name.
    func storedOwner(_ name: String, clusterScope: Bool) -> TemplateOwner? {
        catalog.workflowTemplate(name, clusterScope: clusterScope).map {
            TemplateOwner(
                id: Self.ownerID(name, clusterScope: clusterScope), spec: $0.spec, metadata: $0.metadata)
        }
    }

    static func ownerID(_ name: String, clusterScope: Bool) -> String {
        (clusterScope ? "ClusterWorkflowTemplate/" : "WorkflowTemplate/") + name
    }

    /// Help for a stored definition that does not exist; the usual mistake is the wrong scope.
    func missingOwnerRemedy(_ name: String, _ clusterScope: Bool) -> String {
        if catalog.workflowTemplate(name, clusterScope: !clusterScope) != nil {
            return clusterScope
                ? "a WorkflowTemplate has that name: leave out clusterScope"
                : "a ClusterWorkflowTemplate has that name: add clusterScope: true"
        }
        let kind = clusterScope ? "ClusterWorkflowTemplates" : "WorkflowTemplates"
        let names = clusterScope ? Array(catalog.cluster.keys) : Array(catalog.namespaced.keys)
        if names.isEmpty { return "create the \(kind.dropLast()) first, or load its file" }
        return remedy(for: name, among: names, called: kind)
    }
}
