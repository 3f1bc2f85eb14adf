// Runs put together by hand, for tests of what is shown of them.

import Scheduling
import Text
import WorkflowLanguage

/// Nodes of a run with their places, and the state made of them.
struct SyntheticRun {
    /// Monday, 18 November 2024, 18:17:06 UTC.
    static let start = Timestamp(seconds: 1_731_953_826)

    let name: String
    private(set) var nodes: [Node] = []

    init(_ name: String) { self.name = name }

    /// Adds a node; times are seconds after the start.
    @discardableResult
    mutating func add(
        _ nodeName: String, _ type: NodeType, _ phase: Phase, display: String? = nil, template: String = "",
        in boundary: String? = nil, under parents: [String] = [], from started: Int? = 0,
        to finished: Int? = nil,
        message: String = ""
    ) -> NodeID {
        let id = Node.id(workflow: name, nodeName: nodeName)
        var node = Node(
            id: id, name: nodeName, displayName: display ?? nodeName, type: type, phase: phase,
            sequence: nodes.count + 1)
        node.templateName = template
        node.boundaryID = boundary
        node.parents = parents
        node.message = message
        node.startedAt = started.map { Self.start + .seconds($0) }
        node.finishedAt = finished.map { Self.start + .seconds($0) }
        nodes.append(node)
        return id
    }

    mutating func edit(_ id: NodeID, _ body: (inout Node) -> Void) {
        for index in nodes.indices where nodes[index].id == id { body(&nodes[index]) }
    }

    /// - Parameters:
    ///   - phase: of the run; nil for one that nothing has begun.
    ///   - finished: seconds after the start.
    func state(
        _ phase: Phase?, finished: Int? = nil, header: [String: JSONValue] = [:], spec: JSONValue = [:]
    ) -> WorkflowState {
        let manifest: JSONValue = [
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": ["name": .string(name), "namespace": "argo"], "spec": spec,
        ]
        let definition = RunDefinition(
            manifest: manifest, catalog: TemplateCatalog(), uid: "uid-\(name)", name: name, namespace: "argo",
            createdAt: Self.start, seed: 1)
        var members = header
        members["phase"] = phase.map { .string($0.rawValue) }
        if phase != nil { members["startedAt"] = .int(Int(Self.start.nanoseconds)) }
        members["finishedAt"] = finished.map { .int(Int((Self.start + .seconds($0)).nanoseconds)) }
        return WorkflowState(definition: definition, header: .object(members), nodes: nodes, at: Self.start)
    }
}
