// A step on several nodes as an Indexed Job with a headless Service: a pure function of the launch, as for
// pods.

package import Scheduling
package import Text
package import WorkflowLanguage

/// Names and labels of what a group has in the cluster.
package enum GroupMarks {
    /// Label of a group's Service, Job and pods, with the Job's name.
    package static let group = "martlet.dev/group"
    static let queue = "kueue.x-k8s.io/queue-name"
    static let queueLabels = [queue, "kueue.x-k8s.io/priority-class"]
    static let index = "batch.kubernetes.io/job-completion-index"
    /// A pod of an Indexed Job is the host `JOB-INDEX`, and its own name has five more letters; a host's name
    /// has 63 at most.
    private static let nameLimit = 63 - "-999".utf8.count - "-xxxxx".utf8.count

    /// The name of a launch's Job and Service: that of its pod, as far as a host may have it.
    package static func name(_ launch: Launch) -> String {
        let wanted = PodNames.pod(launch)
        var name = String(wanted.map { $0 == "." ? "-" : $0 })
        // A Service's name begins with a letter.
        if name.utf8.first.map({ !(0x61...0x7A).contains($0) }) ?? true { name = "g-" + name }
        if name == wanted && name.utf8.count <= nameLimit { return name }
        let mark = "-\(FNV1a.hash32(wanted))"
        var start = name.prefix(nameLimit - mark.utf8.count)
        while start.last == "-" { start.removeLast() }
        return String(start) + mark
    }

    /// The selector of the groups of one installation.
    static func selector(instance: String) -> String {
        "\(PodMarks.selector(instance: instance)),\(group)"
    }

    /// The rank of a group's pod; nil for a pod that is none.
    package static func rank(of pod: JSONValue) -> Int? {
        let metadata = Fields(pod["metadata"])
        let text = metadata.textMap("annotations")[index] ?? metadata.textMap("labels")[index]
        return text.flatMap { Int($0) }
    }
}

/// Makes a Job and its Service of a launch.
package struct GroupRenderer: Sendable {
    /// Where rank 0 listens, torch's own default. Each pod has an address of its own, so it is always free.
    static let port = 29_500

    package let settings: PodSettings

    package init(_ settings: PodSettings) { self.settings = settings }

    /// - Parameter hosts: nodes that no pod of the group may come to.
    /// - Throws: `PodProblem`, as for a pod.
    package func objects(
        for launch: Launch, group: NodeGroup, owner: RunOwner?, token: String, avoiding hosts: [String] = []
    ) throws(PodProblem) -> (service: JSONValue, job: JSONValue) {
        let name = GroupMarks.name(launch)
        let pod = try PodRenderer(settings).pod(
            for: Self.withoutNodes(launch), owner: owner, token: token, avoiding: hosts)
        let labels = Fields(pod["metadata"]).textMap("labels").merging([GroupMarks.group: name]) { $1 }
        var notes = Fields(pod["metadata"]).textMap("annotations")
        let own = labels.filter { !GroupMarks.queueLabels.contains($0.key) }
        var spec = pod["spec"]?.objectValue ?? [:]
        // The deadline is the group's: one that waits in a queue has not begun.
        let deadline = spec.removeValue(forKey: "activeDeadlineSeconds")
        spec["subdomain"] = .string(name)
        addVariables(to: &spec, group, name: name)
        var job: [String: JSONValue] = [
            "completionMode": "Indexed", "completions": .int(group.nodes), "parallelism": .int(group.nodes),
            // A group goes on as a whole or not at all: the next attempt begins anew, from the checkpoint.
            "backoffLimit": 0, "podReplacementPolicy": "Failed", "podFailurePolicy": Self.failurePolicy,
            "template": ["metadata": metadata(own, notes), "spec": .object(spec)],
        ]
        job["activeDeadlineSeconds"] = deadline
        // Kueue takes up what is suspended, and lets it go when all of it fits.
        if labels[GroupMarks.queue] != nil { job["suspend"] = true }
        notes[PodMarks.script] = nil
        notes[NodeGroup.nodesAnnotation] = String(group.nodes)
        var head = ["name": JSONValue.string(name), "namespace": .string(launch.namespace)]
        head["ownerReferences"] = owner.map { [$0.reference] }
        return (
            service(name, own, notes, head),
            [
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": metadata(labels, notes, head), "spec": .object(job),
            ]
        )
    }

    private static let failurePolicy: JSONValue = [
        "rules": [
            ["action": "FailJob", "onPodConditions": [["type": "DisruptionTarget", "status": "True"]]],
            ["action": "FailJob", "onExitCodes": ["operator": "NotIn", "values": [0]]],
        ]
    ]

    private func metadata(
        _ labels: [String: String], _ notes: [String: String], _ head: [String: JSONValue] = [:]
    ) -> JSONValue {
        var members = head
        members["labels"] = .object(labels.mapValues(JSONValue.string))
        members["annotations"] = .object(notes.mapValues(JSONValue.string))
        return .object(members)
    }

    /// Gives each pod a name that the others find, also before it is ready.
    private func service(
        _ name: String, _ labels: [String: String], _ notes: [String: String], _ head: [String: JSONValue]
    ) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Service", "metadata": metadata(labels, notes, head),
            "spec": [
                "clusterIP": "None", "publishNotReadyAddresses": true,
                "selector": [GroupMarks.group: .string(name)],
                "ports": [["name": "rendezvous", "port": .int(Self.port), "protocol": "TCP"]],
            ],
        ]
    }

    // MARK: Variables

    /// What the members are told stands before their own variables, which may name it.
    private func addVariables(to spec: inout [String: JSONValue], _ group: NodeGroup, name: String) {
        let ranks = NodeGroup.rankVariables.map { variable -> JSONValue in
            let path = "metadata.annotations['\(GroupMarks.index)']"
            return [
                "name": .string(variable), "valueFrom": ["fieldRef": ["fieldPath": .string(path)]],
            ]
        }
        let others = group.variables(address: "\(name)-0.\(name)", port: Self.port).map { pair -> JSONValue in
            ["name": .string(pair.name), "value": .string(pair.value)]
        }
        spec["containers"] = .array(
            (spec["containers"]?.arrayValue ?? []).map { Self.adding(ranks + others, to: $0) })
        guard let initial = spec["initContainers"]?.arrayValue else { return }
        // What takes the outputs out takes those of rank 0 only.
        spec["initContainers"] = .array(
            initial.map { $0["name"]?.stringValue == "martlet-save" ? Self.adding(ranks, to: $0) : $0 })
    }

    private static func adding(_ variables: [JSONValue], to container: JSONValue) -> JSONValue {
        var members = container.objectValue ?? [:]
        let own = members["env"]?.arrayValue ?? []
        let names = Set(own.compactMap { $0["name"]?.stringValue })
        let new = variables.filter { !names.contains($0["name"]?.stringValue ?? "") }
        members["env"] = .array(new + own)
        return .object(members)
    }

    // MARK: Launches

    /// The launch as that of one pod.
    static func withoutNodes(_ launch: Launch) -> Launch {
        var launch = launch
        launch.annotations[NodeGroup.nodesAnnotation] = nil
        return launch
    }

    /// A group of one is a pod, which is told that it is alone.
    static func alone(_ launch: Launch, _ group: NodeGroup) -> Launch {
        var launch = withoutNodes(launch)
        let key: String
        switch launch.template.kind {
        case .container: key = "container"
        case .script: key = "script"
        default: return launch
        }
        let variables =
            NodeGroup.rankVariables.map { (name: $0, value: "0") }
            + group.variables(address: "127.0.0.1", port: Self.port)
        var raw = launch.template.raw.objectValue ?? [:]
        raw[key] = adding(
            variables.map { ["name": .string($0.name), "value": .string($0.value)] }, to: raw[key] ?? [:])
        launch.template = Template(.object(raw))
        return launch
    }
}
