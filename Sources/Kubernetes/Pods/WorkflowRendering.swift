// All objects of a workflow as they would be in a cluster, without running it: a pod for each template that
// does work.

import Scheduling
package import Text
package import WorkflowLanguage

/// What `martlet render` prints.
package struct WorkflowRendering: Sendable {
    /// Identities that only a cluster or a run gives.
    package static let placeholderUID = "00000000-0000-0000-0000-000000000000"
    static let placeholderToken = "given-at-launch"

    package private(set) var objects: [JSONValue] = []
    /// Templates that no pod runs, and why.
    package private(set) var notes: [String] = []
    /// Templates that cannot be pods.
    package private(set) var problems: [String] = []

    /// - Parameters:
    ///   - document: a Workflow, WorkflowTemplate or CronWorkflow.
    ///   - catalog: what it refers to.
    package init(_ document: JSONValue, catalog: TemplateCatalog, namespace: String, settings: PodSettings) {
        var spec = WorkflowSpec(document["spec"])
        if document["kind"]?.stringValue == "CronWorkflow" {
            spec = WorkflowSpec(document["spec"]?["workflowSpec"])
        }
        let metadata = ObjectMetadata(document["metadata"])
        let name = metadata.name.isEmpty ? metadata.generateName + "xxxxx" : metadata.name
        let place = metadata.namespace.isEmpty ? namespace : metadata.namespace
        let uid = Self.placeholderUID
        let owner = RunOwner(name: PodNames.runObject(workflow: name, uid: uid), uid: uid)
        objects.append(RunObjects.owner(workflow: name, uid: uid, namespace: place, settings: settings))
        var scope = VariableScope(context: ExpressionContext(now: Timestamp(seconds: 0), seed: 0))
        scope.set("workflow.name", name)
        scope.set("workflow.namespace", place)
        scope.set("workflow.uid", uid)
        for parameter in spec.arguments.parameters {
            scope.set("workflow.parameters.\(parameter.name)", parameter.valueOrDefault)
        }
        let general = PodSettingKeys.settings(of: spec, scope)
        let claims = spec.volumeClaimTemplates
        objects += RunObjects.claims(
            claims, workflow: name, uid: uid, namespace: place, owner: owner, settings: settings)
        if let budget = RunObjects.disruptionBudget(
            general, workflow: name, uid: uid, namespace: place, owner: owner, settings: settings)
        {
            objects.append(budget)
        }
        for (template, defaults) in Self.templates(of: spec, catalog) {
            var launch = Self.launch(
                template, defaults: defaults, workflow: name, namespace: place, scope: scope)
            launch.volumes = launch.template.volumes + spec.volumes.map { (try? scope.replace(in: $0)) ?? $0 }
            launch.volumeClaimTemplates = claims
            launch.serviceAccountName = spec.serviceAccountName ?? "default"
            launch.podSettings = general
            add(launch, owner: owner, settings)
        }
    }

    private mutating func add(_ launch: Launch, owner: RunOwner, _ settings: PodSettings) {
        switch launch.template.kind {
        case .steps, .dag, .suspend, .missing: return
        case .http, .data:
            notes.append("template \"\(launch.template.name)\" runs in the server, without a pod")
        case .resource(let json): add(resource: json, of: launch)
        case .plugin: problems.append("template \"\(launch.template.name)\": executor plugins cannot be run")
        case .container, .script, .containerSet, .martlet:
            do {
                objects.append(
                    try PodRenderer(settings).pod(for: launch, owner: owner, token: Self.placeholderToken))
            } catch {
                problems.append("template \"\(launch.template.name)\": \(error)")
            }
        }
    }

    private mutating func add(resource json: JSONValue, of launch: Launch) {
        let name = launch.template.name
        if Fields(json)["manifestFrom"] != nil {
            notes.append("template \"\(name)\" takes its object from an artifact, which only a run has")
            return
        }
        do {
            let text = Fields(json)["manifest"].map { $0.stringValue ?? $0.compactText }
            let resource = try ResourceTemplate(json, manifest: text)
            notes.append("template \"\(name)\": the server does \(resource.action.rawValue), without a pod")
            if [.create, .apply, .replace].contains(resource.action), let object = resource.manifest {
                objects.append(object)
            }
        } catch {
            problems.append("template \"\(name)\": \(error)")
        }
    }

    // MARK: Templates

    /// The workflow's own and those that it refers to, each once.
    private static func templates(
        of spec: WorkflowSpec, _ catalog: TemplateCatalog
    ) -> [(Template, JSONValue?)] {
        var found: [(Template, JSONValue?)] = []
        var seen: Set<String> = []
        var pending: [(WorkflowSpec, String)] = [(spec, "")]
        while let (next, place) = pending.popLast() {
            guard seen.insert(place).inserted else { continue }
            for template in next.templates { found.append((template, next.templateDefaults)) }
            for (name, clusterScope) in references(in: next.raw) {
                guard let stored = catalog.workflowTemplate(name, clusterScope: clusterScope) else {
                    continue
                }
                pending.append((stored.spec, "\(clusterScope)/\(name)"))
            }
            for inline in inlined(in: next.raw) { found.append((inline, next.templateDefaults)) }
        }
        return found
    }

    private static func references(in json: JSONValue) -> [(String, Bool)] {
        switch json {
        case .array(let elements): return elements.flatMap(references)
        case .object(let members):
            var found = members.sortedByKey.flatMap { references(in: $0.value) }
            for key in ["templateRef", "workflowTemplateRef"] {
                if let reference = members[key], let name = reference["name"]?.stringValue {
                    found.append((name, reference["clusterScope"]?.boolValue ?? false))
                }
            }
            return found
        default: return []
        }
    }

    /// Templates that stand in a step; they have no name but their place.
    private static func inlined(in json: JSONValue, _ place: String = "inline") -> [Template] {
        switch json {
        case .array(let elements):
            return elements.enumerated().flatMap { inlined(in: $0.element, "\(place)-\($0.offset)") }
        case .object(let members):
            return members.sortedByKey.flatMap { key, value -> [Template] in
                let inner = inlined(in: value, place)
                guard key == "inline", var template = value.objectValue else { return inner }
                template["name"] = .string(members["name"]?.scalarText ?? place)
                return inner + [Template(.object(template))]
            }
        default: return []
        }
    }

    private static func launch(
        _ template: Template, defaults: JSONValue?, workflow: String, namespace: String, scope: VariableScope
    ) -> Launch {
        let nodeName = "\(workflow).\(template.name)"
        var scope = scope
        for parameter in template.inputs.parameters {
            scope.set("inputs.parameters.\(parameter.name)", parameter.valueOrDefault)
        }
        for artifact in template.inputs.artifacts {
            scope.set("inputs.artifacts.\(artifact.name).path", artifact.path)
        }
        for parameter in template.outputs.parameters {
            scope.set("outputs.parameters.\(parameter.name).path", parameter.valueFrom?.path)
        }
        for artifact in template.outputs.artifacts {
            scope.set("outputs.artifacts.\(artifact.name).path", artifact.path)
        }
        let podName = Node.podName(workflow: workflow, nodeName: nodeName, template: template.name)
        scope.set("pod.name", podName)
        scope.set("node.name", nodeName)
        var raw = template.raw
        if let defaults { raw = Self.merge(under: defaults, over: raw) }
        let filled = Template((try? scope.replace(in: raw)) ?? raw)
        var launch = Launch(
            key: AttemptKey(
                workflowUID: placeholderUID, nodeID: Node.id(workflow: workflow, nodeName: nodeName),
                attempt: 0),
            workflowName: workflow, namespace: namespace, nodeName: nodeName, podName: podName,
            template: filled,
            inputs: filled.inputs)
        launch.labels = filled.metadata.labels
        launch.annotations = filled.metadata.annotations
        launch.deadlineSeconds = filled.activeDeadlineSeconds.flatMap { Double($0) }
        return launch
    }

    private static func merge(under: JSONValue, over: JSONValue) -> JSONValue {
        guard case .object(let lower) = under, case .object(let upper) = over else { return over }
        return .object(lower.merging(upper) { merge(under: $0, over: $1) })
    }
}
