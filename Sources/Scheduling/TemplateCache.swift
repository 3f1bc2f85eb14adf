// Finding the template that a step calls, with the workflow's defaults under it. Each is made once a run.

import Text
package import WorkflowLanguage

/// A template ready to be called.
package struct ResolvedTemplate: Sendable {
    package var template: Template
    package var scope: TemplateScope
    /// Empty for one that stands in a step.
    package var name: String
    var reference: JSONValue?
    /// Whether it holds a tag; most of the work of a call is saved where it does not.
    var hasTags: Bool
    /// Whether this text mentions results of its steps, by which it is decided whose output is kept.
    var mentionsResults: Bool
}

/// Resolved templates by scope and name.
package struct TemplateCache: Sendable {
    private struct Key: Hashable {
        var scope: TemplateScope
        var name: String
    }

    private var resolved: [Key: ResolvedTemplate] = [:]
    private let spec: WorkflowSpec
    private let catalog: TemplateCatalog
    private let byName: [String: Template]

    package init(definition: RunDefinition) {
        spec = definition.spec
        catalog = definition.catalog
        byName = Dictionary(spec.templates.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The template that a reference names as seen from a scope; nil when there is none.
    package mutating func resolve(_ reference: TemplateReference, from scope: TemplateScope)
        -> ResolvedTemplate?
    {
        switch reference {
        case .name(let name): return named(name, in: scope)
        case .stored(let resource, let template, let clusterScope):
            guard var found = named(template, in: .stored(name: resource, clusterScope: clusterScope)) else {
                return nil
            }
            var object = ObjectBuilder()
            object.set("name", resource)
            object.set("template", template)
            object.set("clusterScope", clusterScope)
            found.reference = object.json
            return found
        case .inline(let template): return prepared(template, in: scope, name: "")
        case .missing: return nil
        }
    }

    private mutating func named(_ name: String, in scope: TemplateScope) -> ResolvedTemplate? {
        let key = Key(scope: scope, name: name)
        if let known = resolved[key] { return known }
        let template: Template?
        switch scope {
        case .workflow: template = byName[name]
        case .stored(let resource, let clusterScope):
            template = catalog.workflowTemplate(resource, clusterScope: clusterScope)?.spec.templates.first {
                $0.name == name
            }
        }
        guard let template else { return nil }
        let prepared = prepared(template, in: scope, name: name)
        resolved[key] = prepared
        return prepared
    }

    private func prepared(_ template: Template, in scope: TemplateScope, name: String) -> ResolvedTemplate {
        var raw = template.raw
        if let defaults = spec.templateDefaults?.objectValue {
            // Both spellings of a step of ours take its defaults.
            if let step = MartletStep(Fields(raw)), raw[step.kind.rawValue] == nil,
                defaults[step.kind.rawValue] != nil, var members = raw.objectValue
            {
                members["plugin"] = nil
                members[step.kind.rawValue] = step.parameters
                raw = .object(members)
            }
            // Parts of a kind are defaults only for templates of that kind.
            let kinds = Template.Kind.keys + MartletStep.Kind.allCases.map(\.rawValue)
            let own = defaults.filter { key, _ in !kinds.contains(key) || raw[key] != nil }
            raw = RunDefinition.merge(under: .object(own), over: raw)
        }
        if let strategy = spec.retryStrategy, raw["retryStrategy"] == nil, var members = raw.objectValue {
            members["retryStrategy"] = strategy
            raw = .object(members)
        }
        let text = raw.compactText
        return ResolvedTemplate(
            template: raw == template.raw ? template : Template(raw), scope: scope, name: name,
            reference: nil, hasTags: Tag.isIn(text),
            mentionsResults: text.hasBytes(of: "'result'") || text.hasBytes(of: ".result"))
    }
}
