// A launch as a pod: a pure function, so that the same launch is the same pod byte for byte.

package import Scheduling
package import Text
import WorkflowLanguage

/// Makes pods of launches.
package struct PodRenderer: Sendable {
    /// Where every container finds what Martlet brings and leaves what it takes.
    static let directory = "/.martlet"
    static let supervisor = "/.martlet/bin/supervisor"
    static let scriptFile = "/.martlet-script/source"
    static let workVolume = "martlet-work"
    static let scriptVolume = "martlet-script"
    /// All annotations of an object together may not be longer.
    static let annotationLimitBytes = 200 << 10

    package let settings: PodSettings

    package init(_ settings: PodSettings) { self.settings = settings }

    /// - Parameters:
    ///   - owner: the run's object; with it the pod is deleted.
    ///   - token: what the pod shows the server; good for this attempt only.
    /// - Throws: `PodProblem` for what cannot be a pod, or may not be one at this security level.
    ///   - hosts: nodes that it must not come to, since earlier attempts failed there.
    package func pod(
        for launch: Launch, owner: RunOwner?, token: String, avoiding hosts: [String] = []
    ) throws(PodProblem) -> JSONValue {
        var launch = launch
        if case .martlet = launch.template.kind {
            launch.template = lowered(launch)
            launch.inputs = Inputs(launch.template.raw["inputs"])
        }
        let plan = try PodPlan(launch, settings)
        var spec = try PodSpec(plan, token: token).json
        for patch in [launch.podSettings["podSpecPatch"], launch.template.raw["podSpecPatch"]] {
            guard let text = patch?.stringValue, !text.isEmpty else { continue }
            spec = StrategicMerge.apply(try Self.parsed(patch: text), to: spec)
        }
        spec = HostAvoidance.spec(spec, avoiding: hosts)
        let violations = PodSecurity.violations(of: spec, level: settings.security)
        guard violations.isEmpty else {
            throw PodProblem(
                "Pod Security \"\(settings.security.rawValue)\" does not allow "
                    + "\(violations.joined(separator: "; ")); change the template, or say --pod-security "
                    + (settings.security == .restricted ? "baseline or privileged" : "privileged"))
        }
        return [
            "apiVersion": "v1", "kind": "Pod", "metadata": try metadata(plan, owner: owner), "spec": spec,
        ]
    }

    /// One of our own steps as a container of the step image; what is given by name keeps its place.
    private func lowered(_ launch: Launch) -> Template {
        var raw = launch.template.raw.objectValue ?? [:]
        raw["inputs"] = launch.inputs.json
        return Template(MartletStep.lowering(template: .object(raw), image: settings.stepImage))
    }

    private static func parsed(patch: String) throws(PodProblem) -> JSONValue {
        let (documents, diagnostics) = ManifestReader.read(Array(patch.utf8), file: "podSpecPatch")
        guard let document = documents.first, documents.count == 1, document.json.objectValue != nil else {
            let why = diagnostics.first.map(\.message) ?? "it is no map"
            throw PodProblem(
                "podSpecPatch cannot be read: \(why); write the patch as YAML or JSON of a pod's spec")
        }
        return document.json
    }

    // MARK: Metadata

    private func metadata(_ plan: PodPlan, owner: RunOwner?) throws(PodProblem) -> JSONValue {
        let launch = plan.launch
        var (labels, notes) = Self.ownMetadata(launch)
        labels.merge(Self.marks(launch, settings)) { $1 }
        notes[PodMarks.runID] = launch.key.workflowUID
        notes[PodMarks.nodeID] = launch.key.nodeID
        notes[PodMarks.attempt] = String(launch.key.attempt)
        notes["workflows.argoproj.io/node-id"] = launch.key.nodeID
        notes["workflows.argoproj.io/node-name"] = launch.nodeName
        notes["kubectl.kubernetes.io/default-container"] = plan.defaultContainer
        if let note = PodGarbage(launch.podSettings["podGC"]).note { notes[PodGarbage.annotation] = note }
        if HostAvoidance.isWanted(launch) { notes[HostAvoidance.annotation] = launch.checkpointNodeID }
        if let source = plan.script { notes[PodMarks.script] = source }
        let size = notes.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard size <= Self.annotationLimitBytes else {
            throw PodProblem(
                "the script has \(size >> 10) KiB, and \(Self.annotationLimitBytes >> 10) KiB fit into a pod; put it "
                    + "into the image or a raw artifact")
        }
        var metadata: [String: JSONValue] = [
            "name": .string(PodNames.pod(launch)), "namespace": .string(launch.namespace),
            "labels": .object(labels.mapValues(JSONValue.string)),
            "annotations": .object(notes.mapValues(JSONValue.string)),
        ]
        if let owner { metadata["ownerReferences"] = [owner.reference] }
        return .object(metadata)
    }

    /// What the manifest says of the pod, its template before the workflow.
    static func ownMetadata(_ launch: Launch) -> (labels: [String: String], annotations: [String: String]) {
        let general = Fields(launch.podSettings["podMetadata"])
        return (
            general.textMap("labels").merging(launch.labels) { $1 },
            general.textMap("annotations").merging(launch.annotations) { $1 }
        )
    }

    static func marks(_ launch: Launch, _ settings: PodSettings) -> [String: String] {
        var labels = runLabels(workflow: launch.workflowName, uid: launch.key.workflowUID, settings)
        labels["app.kubernetes.io/component"] = "step"
        labels["martlet.dev/step"] = PodNames.label(launch.template.name)
        labels[PodMarks.attempt] = String(launch.key.attempt)
        return labels.filter { !$0.value.isEmpty }
    }

    static func runLabels(workflow: String, uid: String, _ settings: PodSettings) -> [String: String] {
        [
            "app.kubernetes.io/name": "martlet-run", PodMarks.managedBy: "martlet",
            PodMarks.instance: PodNames.label(settings.instance),
            "app.kubernetes.io/part-of": PodNames.label(workflow), PodMarks.runID: PodNames.label(uid),
            "workflows.argoproj.io/workflow": PodNames.label(workflow),
        ]
    }
}
