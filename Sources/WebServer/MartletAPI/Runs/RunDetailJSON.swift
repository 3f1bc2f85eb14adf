// A run with all its nodes, as Martlet's own API has it.

import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// What was stored of a run, read once for the routes that look inside it.
struct RunView: Sendable {
    var summary: WorkflowSummary
    var definition: RunDefinition
    var state: WorkflowState

    /// - Returns: nil if there is no such run, or another version of martlet wrote it.
    static func load(_ uid: String, from store: Store, at now: Timestamp) async throws -> RunView? {
        guard let stored = try await store.loadRun(uid) else { return nil }
        guard let definition = RunDefinition(stored: stored.row.manifest) else { return nil }
        let state = WorkflowState(
            definition: definition, header: stored.row.state, nodes: stored.nodes, at: now)
        return RunView(summary: stored.row.summary, definition: definition, state: state)
    }

    /// The nodes by sequence, with their children.
    var nodes: [Node] { state.nodes.values.sorted { $0.sequence < $1.sequence } }

    /// What a run has beyond its line in lists.
    func members(medianSeconds: Double?) -> [String: JSONValue] {
        let spec = definition.spec
        let nodes = nodes
        var resources: [String: Int] = [:]
        for node in nodes { resources.merge(node.resourcesDuration, uniquingKeysWith: +) }
        let isAnyPodRunning = nodes.contains { $0.type == .pod && $0.phase == .running }
        var conditions = [Self.condition("PodRunning", isAnyPodRunning)]
        if state.isFinished { conditions.append(Self.condition("Completed", true)) }
        return [
            "entrypoint": .word(spec.entrypoint),
            "arguments": .array(spec.arguments.parameters.map(ParameterJSON.json)),
            "nodes": NodeJSON.list(nodes),
            "outputs": state.outputs.isEmpty ? .null : state.outputs.json,
            "resubmittedFrom": .text(summary.labels[RunLabels.resubmittedFrom]),
            "conditions": .array(conditions),
            "resources": .object(resources.mapValues(JSONValue.int)),
            "estimatedSeconds": state.isFinished ? .null : .finite(medianSeconds),
        ]
    }

    private static func condition(_ type: String, _ holds: Bool) -> JSONValue {
        .object(["type": .string(type), "status": .string(holds ? "True" : "False")])
    }
}

enum ParameterJSON {
    /// A parameter as forms need it: what it is, may be, and means.
    static func json(_ parameter: Parameter) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(parameter.name), "value": .text(parameter.valueOrDefault),
            "description": .text(parameter.description),
        ]
        if let words = parameter.enum { members["enum"] = .texts(words) }
        return .object(members)
    }
}
