// The calls that a workflow is known to make before it runs: from its entrypoint on, loops unrolled where their
// items are written down, hooks included. Each has the name that its node would have in a run.

import Scheduling
import Text
import WorkflowLanguage

/// One call of a template that does work.
struct RenderedCall {
    var nodeName: String
    var template: Template
    var arguments: Arguments
}

/// All of them, in the order in which they are written.
struct RenderedCalls {
    private static let callLimit = 10_000
    private static let depthLimit = 64

    private(set) var calls: [RenderedCall] = []
    /// What only a run knows.
    private(set) var notes: [String] = []
    private let definition: RunDefinition
    private let outer: VariableScope
    private var templates: TemplateCache
    private var reached: Set<String> = []
    private var isCut = false

    /// - Parameter outer: what is known of the workflow itself.
    init(_ definition: RunDefinition, _ outer: VariableScope) {
        self.definition = definition
        self.outer = outer
        templates = TemplateCache(definition: definition)
        let (name, spec) = (definition.name, definition.spec)
        if !spec.entrypoint.isEmpty { visit(.name(spec.entrypoint), .workflow, name, Arguments(), []) }
        visit(spec.hooks, .workflow, of: name, outer, [])
        // What no call reaches is shown once by itself, as it is in a template that others call.
        for onlyGroups in [true, false] {
            for (place, template) in allTemplates where isGroup(template) == onlyGroups {
                guard !reached.contains(Self.key(place, template.name)) else { continue }
                var words = [name, template.name]
                if case .stored(let resource, _) = place { words.insert(resource, at: 1) }
                visit(.name(template.name), place, words.joined(separator: "."), Arguments(), [])
            }
        }
        if isCut { notes.append("only the first \(Self.callLimit) pods are shown") }
    }

    /// What is known within a call of a template.
    static func scope(
        _ outer: VariableScope, _ template: Template, _ arguments: Arguments, workflow: String,
        nodeName: String
    ) -> VariableScope {
        var scope = outer
        for parameter in template.inputs.parameters {
            let given = arguments.parameter(parameter.name)?.valueOrDefault
            scope.set("inputs.parameters.\(parameter.name)", given ?? parameter.valueOrDefault)
        }
        for artifact in template.inputs.artifacts {
            scope.set("inputs.artifacts.\(artifact.name).path", artifact.path)
        }
        scope.set(
            "pod.name", Node.podName(workflow: workflow, nodeName: nodeName, template: template.name))
        scope.set("node.name", nodeName)
        return scope
    }

    // MARK: Walking

    private mutating func visit(
        _ reference: TemplateReference, _ place: TemplateScope, _ nodeName: String, _ arguments: Arguments,
        _ chain: Set<String>
    ) {
        guard let resolved = templates.resolve(reference, from: place) else { return }
        let template = resolved.template
        let key = resolved.name.isEmpty ? "" : Self.key(resolved.scope, resolved.name)
        reached.insert(key)
        // How often a template calls itself, only a run knows.
        guard key.isEmpty || !chain.contains(key), chain.count < Self.depthLimit else { return }
        guard calls.count < Self.callLimit else {
            isCut = true
            return
        }
        // The first attempt of a template that may be repeated.
        let name = template.retryStrategy == nil ? nodeName : "\(nodeName)(0)"
        let chain = key.isEmpty ? chain.union(["inline \(nodeName)"]) : chain.union([key])
        let scope = Self.scope(outer, template, arguments, workflow: definition.name, nodeName: name)
        switch template.kind {
        case .steps(let groups):
            for (index, group) in groups.enumerated() {
                for step in group {
                    visit(step, resolved.scope, "\(name)[\(index)].\(step.name)", scope, chain)
                }
            }
        case .dag(let dag):
            for task in dag.tasks {
                visit(task.step, resolved.scope, "\(name).\(task.name)", scope, chain)
            }
        default: calls.append(RenderedCall(nodeName: name, template: template, arguments: arguments))
        }
    }

    private mutating func visit(
        _ step: Step, _ place: TemplateScope, _ nodeName: String, _ scope: VariableScope, _ chain: Set<String>
    ) {
        guard let loop = step.loop else {
            visit(step.reference, place, nodeName, Self.given(step.arguments, scope), chain)
            return visit(step.hooks, place, of: nodeName, scope, chain)
        }
        guard let items = try? WorkflowState.items(of: loop, scope) else {
            notes.append("\(nodeName): the loop's items are known in a run only; one pod stands for all")
            visit(step.reference, place, "\(nodeName)(0:item)", Self.given(step.arguments, scope), chain)
            return
        }
        for (index, item) in items.enumerated() where !isCut {
            var own = scope
            own.entries.merge(WorkflowState.itemEntries(item)) { $1 }
            let name = "\(nodeName)(\(index):\(WorkflowState.itemName(item)))"
            visit(step.reference, place, name, Self.given(step.arguments, own), chain)
            visit(step.hooks, place, of: name, own, chain)
        }
    }

    private mutating func visit(
        _ hooks: [String: LifecycleHook], _ place: TemplateScope, of nodeName: String, _ scope: VariableScope,
        _ chain: Set<String>
    ) {
        for (name, hook) in hooks.sortedByKey {
            let own = name == "exit" ? "\(nodeName).onExit" : "\(nodeName).hooks.\(name)"
            visit(hook.reference, place, own, Self.given(hook.arguments, scope), chain)
        }
    }

    /// Arguments with what is known put in; the rest keeps its tags.
    private static func given(_ arguments: Arguments, _ scope: VariableScope) -> Arguments {
        var arguments = arguments
        for index in arguments.parameters.indices {
            let value = arguments.parameters[index].value
            arguments.parameters[index].value = value.map { (try? scope.replace(in: $0)) ?? $0 }
        }
        return arguments
    }

    // MARK: Templates

    private func isGroup(_ template: Template) -> Bool {
        switch template.kind {
        case .steps, .dag: true
        default: false
        }
    }

    private static func key(_ place: TemplateScope, _ name: String) -> String {
        switch place {
        case .workflow: "/\(name)"
        case .stored(let resource, let clusterScope): "\(clusterScope)/\(resource)/\(name)"
        }
    }

    /// The workflow's own and those of the documents that it refers to, each once.
    private var allTemplates: [(TemplateScope, Template)] {
        var found = definition.spec.templates.map { (TemplateScope.workflow, $0) }
        var seen: Set<String> = []
        var pending = Self.references(in: definition.spec.raw["templates"] ?? .null)
        while !pending.isEmpty {
            let (name, clusterScope) = pending.removeFirst()
            guard seen.insert("\(clusterScope)/\(name)").inserted,
                let stored = definition.catalog.workflowTemplate(name, clusterScope: clusterScope)
            else { continue }
            let place = TemplateScope.stored(name: name, clusterScope: clusterScope)
            found += stored.spec.templates.map { (place, $0) }
            pending += Self.references(in: stored.spec.raw["templates"] ?? .null)
        }
        return found
    }

    private static func references(in json: JSONValue) -> [(String, Bool)] {
        switch json {
        case .array(let elements): return elements.flatMap(references)
        case .object(let members):
            var found = members.sortedByKey.flatMap { references(in: $0.value) }
            if let reference = members["templateRef"], let name = reference["name"]?.stringValue {
                found.append((name, reference["clusterScope"]?.boolValue ?? false))
            }
            return found
        default: return []
        }
    }
}
