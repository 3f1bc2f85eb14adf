// All objects of a workflow as they would be in a cluster, without running it: a pod for each call of a template that
// does work, under the name that it would have in a run.

import Scheduling
package import Text
package import WorkflowLanguage

/// What `martlet render` prints.
package struct WorkflowRendering: Sendable {
    /// Identities that only a cluster or a run gives.
    package static let placeholderUID = "00000000-0000-0000-0000-000000000000"
    static let placeholderToken = "given-at-launch"

    package private(set) var objects: [JSONValue] = []
    /// Kinds and names of what steps write.
    private var places: Set<String> = []
    /// Templates that no pod runs, and why.
    package private(set) var notes: [String] = []
    /// Templates that cannot be pods.
    package private(set) var problems: [String] = []

    /// - Parameters:
    ///   - document: a Workflow, WorkflowTemplate or CronWorkflow.
    ///   - catalog: what it refers to.
    ///   - earlier: how many documents before this one have runs of the same name.
    package init(
        _ document: JSONValue, catalog: TemplateCatalog, namespace: String, settings: PodSettings,
        earlier: Int = 0
    ) {
        let (name, place) = Self.runName(of: document, namespace: namespace, earlier: earlier)
        let uid = Self.placeholderUID
        var manifest = document
        if document["kind"]?.stringValue == "CronWorkflow" {
            manifest = ["metadata": document["metadata"] ?? [:]]
            manifest = .object(
                (manifest.objectValue ?? [:]).merging(["spec": document["spec"]?["workflowSpec"] ?? [:]]) {
                    $1
                })
        }
        let definition = RunDefinition(
            manifest: manifest, catalog: catalog, uid: uid, name: name, namespace: place,
            createdAt: Timestamp(seconds: 0), seed: 0)
        let spec = definition.spec
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
        let calls = RenderedCalls(definition, scope)
        notes += calls.notes
        for call in calls.calls {
            var launch = Self.launch(call, definition, scope)
            launch.volumes = launch.template.volumes + spec.volumes.map { (try? scope.replace(in: $0)) ?? $0 }
            launch.volumeClaimTemplates = claims
            launch.serviceAccountName = spec.serviceAccountName ?? "default"
            launch.podSettings = general
            add(launch, owner: owner, settings)
        }
    }

    /// The name and namespace of the document's run. Five letters stand for what a run of a stored template gets.
    /// - Parameter earlier: how many before it have the same.
    package static func runName(
        of document: JSONValue, namespace: String, earlier: Int = 0
    ) -> (name: String, namespace: String) {
        let metadata = ObjectMetadata(document["metadata"])
        let isRun = document["kind"]?.stringValue == "Workflow"
        var name = metadata.name.isEmpty ? metadata.generateName + "xxxxx" : metadata.name
        if !isRun && !metadata.name.isEmpty { name += "-xxxxx" }
        // Of two runs of one name at a time a cluster would have one only.
        if earlier > 0 { name += "-\(earlier + 1)" }
        return (name, metadata.namespace.isEmpty ? namespace : metadata.namespace)
    }

    private mutating func add(_ launch: Launch, owner: RunOwner, _ settings: PodSettings) {
        switch launch.template.kind {
        case .steps, .dag, .suspend, .missing: return
        case .http, .data:
            tell("template \"\(launch.template.name)\" runs in the server, without a pod")
        case .resource(let json): add(resource: json, of: launch)
        case .plugin: complain("template \"\(launch.template.name)\": executor plugins cannot be run")
        case .container, .script, .containerSet, .martlet:
            do {
                append(
                    try GroupRenderer(settings).rendered(
                        launch, owner: owner, token: Self.placeholderToken), by: launch)
            } catch {
                complain("template \"\(launch.template.name)\": \(error)")
            }
        }
    }

    /// What holds for all calls of a template is said once.
    private mutating func tell(_ note: String) {
        if !notes.contains(note) { notes.append(note) }
    }

    private mutating func complain(_ problem: String) {
        if !problems.contains(problem) { problems.append(problem) }
    }

    /// Pods have names of their own; what a step names itself may be written by several.
    private mutating func append(_ new: [JSONValue], by launch: Launch) {
        for object in new {
            let metadata = Fields(object["metadata"])
            let kind = object["kind"]?.stringValue ?? ""
            let words = [
                object["apiVersion"]?.stringValue ?? "", kind, metadata.text("namespace") ?? "",
                metadata.text("name") ?? "",
            ]
            guard places.insert(words.joined(separator: "/")).inserted else {
                notes.append("\(launch.nodeName): \(kind) \(words[3]) is shown as an earlier step writes it")
                continue
            }
            objects.append(object)
        }
    }

    private mutating func add(resource json: JSONValue, of launch: Launch) {
        let name = launch.template.name
        if Fields(json)["manifestFrom"] != nil {
            tell("template \"\(name)\" takes its object from an artifact, which only a run has")
            return
        }
        do {
            let text = Fields(json)["manifest"].map { $0.stringValue ?? $0.compactText }
            let resource = try ResourceTemplate(json, manifest: text)
            tell("template \"\(name)\": the server does \(resource.action.rawValue), without a pod")
            guard [.create, .apply, .replace].contains(resource.action), var object = resource.manifest else {
                return
            }
            let metadata = Fields(object["metadata"])
            if metadata.text("name") == nil, let prefix = metadata.text("generateName") {
                object = ResourceRun.with(
                    object, "name", .string(ResourceRun.generatedName(prefix, launch.key)))
            }
            append([object], by: launch)
        } catch {
            complain("template \"\(name)\": \(error)")
        }
    }

    private static func launch(
        _ call: RenderedCall, _ definition: RunDefinition, _ outer: VariableScope
    ) -> Launch {
        let (workflow, nodeName) = (definition.name, call.nodeName)
        var template = call.template
        if case .martlet(let step) = template.kind {
            // What a step of ours reads need not be declared.
            let contract = MartletStepContract(step.kind)
            for artifact in call.arguments.artifacts
            where template.inputs.artifact(artifact.name) == nil && contract.takes(artifact.name) {
                template.inputs.artifacts.append(Artifact(name: artifact.name))
            }
        }
        let taken = template.inputs
        var scope = RenderedCalls.scope(
            outer, template, call.arguments, workflow: workflow, nodeName: nodeName)
        for parameter in template.outputs.parameters {
            scope.set("outputs.parameters.\(parameter.name).path", parameter.valueFrom?.path)
        }
        for artifact in template.outputs.artifacts {
            scope.set("outputs.artifacts.\(artifact.name).path", artifact.path)
        }
        let filled = Template((try? scope.replace(in: template.raw)) ?? template.raw)
        var launch = Launch(
            key: AttemptKey(
                workflowUID: placeholderUID, nodeID: Node.id(workflow: workflow, nodeName: nodeName),
                attempt: 0),
            workflowName: workflow, namespace: definition.namespace, nodeName: nodeName,
            podName: Node.podName(workflow: workflow, nodeName: nodeName, template: template.name),
            template: filled, inputs: filled.inputs)
        launch.inputs.artifacts += taken.artifacts.filter { filled.inputs.artifact($0.name) == nil }
        launch.labels = definition.metadata.labels.merging(filled.metadata.labels) { $1 }
        launch.annotations = filled.metadata.annotations
        launch.deadlineSeconds = filled.activeDeadlineSeconds.flatMap { Double($0) }
        return launch
    }
}
