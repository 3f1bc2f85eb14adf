// A run as Argo's API shows it.

package import Text
import WorkflowLanguage

extension WorkflowState {
    /// The workflow object with status. Secrets are not in it.
    package var documentJSON: JSONValue {
        var members = definition.manifest.objectValue ?? [:]
        members["apiVersion"] = .string("argoproj.io/v1alpha1")
        members["kind"] = .string("Workflow")
        members["metadata"] = metadataJSON
        var spec = members["spec"]?.objectValue ?? [:]
        if !definition.spec.arguments.isEmpty { spec["arguments"] = definition.spec.raw["arguments"] }
        if isSuspended { spec["suspend"] = .bool(true) } else { spec["suspend"] = nil }
        if let shutdown { spec["shutdown"] = .string(shutdown.rawValue) }
        members["spec"] = .object(spec)
        members["status"] = statusJSON
        return .object(members)
    }

    private var metadataJSON: JSONValue {
        var metadata = metadata
        metadata.name = name
        metadata.namespace = definition.namespace
        metadata.uid = uid
        if let phase { metadata.labels["workflows.argoproj.io/phase"] = phase.rawValue }
        if isFinished { metadata.labels["workflows.argoproj.io/completed"] = "true" }
        var members = metadata.json.objectValue ?? [:]
        members["creationTimestamp"] = .string(definition.createdAt.rfc3339)
        return .object(members)
    }

    package var statusJSON: JSONValue {
        var object = ObjectBuilder()
        let progress = progressByNode()
        object.set("phase", phase?.rawValue)
        object.set("message", message)
        object.set("startedAt", startedAt.map { JSONValue.string($0.rfc3339) })
        object.set("finishedAt", finishedAt.map { JSONValue.string($0.rfc3339) })
        object.set("progress", progress.total.text)
        var list: [String: JSONValue] = [:]
        for node in nodes.values {
            var node = node
            node.progress = (progress.nodes[node.id] ?? Progress()).text
            list[node.id] = node.statusJSON
        }
        if !list.isEmpty { object.set("nodes", .object(list)) }
        if !outputs.isEmpty { object.set("outputs", outputs.json) }
        var conditions = [
            Self.condition("PodRunning", nodes.values.contains { $0.type == .pod && $0.phase == .running })
        ]
        if isFinished { conditions.append(Self.condition("Completed", true)) }
        object.set("conditions", conditions)
        var resources: [String: Int] = [:]
        for node in nodes.values { resources.merge(node.resourcesDuration, uniquingKeysWith: +) }
        if !resources.isEmpty { object.set("resourcesDuration", .object(resources.mapValues(JSONValue.int))) }
        return object.json
    }

    private static func condition(_ type: String, _ holds: Bool) -> JSONValue {
        .object(["type": .string(type), "status": .string(holds ? "True" : "False")])
    }

    /// `N/M`: how much of how much is done.
    package struct Progress: Sendable, Hashable {
        package var done: Int
        package var all: Int

        package init(done: Int = 0, all: Int = 0) {
            self.done = done
            self.all = all
        }

        package var text: String { "\(done)/\(all)" }
    }

    /// The progress of the run: its Pod, Container, HTTP, Plugin and Suspend nodes, retries and hooks
    /// included.
    package var progress: Progress { progressByNode().total }

    /// The progress of each node: leaves by themselves, others as the sum of what is inside.
    private func progressByNode() -> (total: Progress, nodes: [NodeID: Progress]) {
        var total = Progress()
        var sums: [NodeID: Progress] = [:]
        for node in nodes.values where node.type.isExecutable {
            let own = Self.progress(of: node)
            total.done += own.done
            total.all += own.all
            var seen: Set<NodeID> = []
            for id in [node.id] + ancestors(of: node) where seen.insert(id).inserted {
                sums[id, default: Progress()].done += own.done
                sums[id, default: Progress()].all += own.all
            }
        }
        return (total, sums)
    }

    /// What a node that does work of its own adds to the progress of the run.
    package static func progress(of node: Node) -> Progress {
        let parts = node.progress.split(separator: "/").compactMap { Int($0) }
        if parts.count == 2, parts[1] > 0 {
            return Progress(
                done: node.phase == .succeeded ? parts[1] : min(parts[0], parts[1]), all: parts[1])
        }
        return Progress(done: node.phase == .succeeded ? 1 : 0, all: 1)
    }

    private func ancestors(of node: Node) -> [NodeID] {
        var ancestors: [NodeID] = []
        var current = node
        while true {
            for parent in current.parents {
                switch nodes[parent]?.type {
                case .stepGroup, .taskGroup, .retry: ancestors.append(parent)
                default: continue
                }
            }
            guard let boundary = current.boundaryID, let next = nodes[boundary] else { return ancestors }
            ancestors.append(boundary)
            current = next
        }
    }
}
