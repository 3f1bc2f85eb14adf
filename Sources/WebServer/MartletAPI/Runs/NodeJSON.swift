// A node of a run as Martlet's own API has it.

import Scheduling
import Text
import WorkflowLanguage

enum NodeJSON {
    /// The members of a node in lists and streams.
    static func members(_ node: Node) -> [String: JSONValue] {
        var members: [String: JSONValue] = [
            "id": .string(node.id), "name": .string(node.name), "displayName": .string(node.displayName),
            "type": .string(node.type.rawValue), "phase": .string(node.phase.rawValue),
            "message": .string(node.message), "template": .word(node.templateName),
            "boundary": .text(node.boundaryID), "parents": .texts(node.parents),
            "children": .texts(node.children), "startedAt": .moment(node.startedAt),
            "finishedAt": .moment(node.finishedAt), "progress": .string(node.progress),
            "attempt": .int(node.attempt), "hook": .bool(node.isHook),
            "retryAttempt": .bool(node.isRetryAttempt), "daemoned": .bool(node.isDaemoned),
            "failureClass": .text(node.failureClass?.rawValue), "waitingFor": .text(waitingFor(node)),
            "exitCode": .integer(node.outputs.exitCode.flatMap { Int($0) }),
            "memoHit": .bool(node.memoization?.hit ?? false), "batchSize": node.batchSize?.json ?? .null,
            "hasLog": .bool(hasLog(node)),
            "inputs": .bool(!node.inputs.isEmpty), "outputs": .bool(hasOutputs(node)),
            "sequence": .int(node.sequence), "suspend": .null,
        ]
        if let form = suspendForm(node) { members["suspend"] = form }
        return members
    }

    static func json(_ node: Node) -> JSONValue { .object(members(node)) }

    /// Some of a run's nodes, whose children are not known.
    static func part(_ nodes: [Node]) -> JSONValue {
        .array(
            nodes.map { node in
                var members = members(node)
                members["children"] = nil
                return .object(members)
            })
    }

    /// All nodes of a run, each with its children.
    static func list(_ nodes: [Node]) -> JSONValue { .array(nodes.withChildren.map(json)) }

    private static func waitingFor(_ node: Node) -> String? {
        node.waitingLock.map { "waits for the lock \($0)" }
    }

    private static func hasLog(_ node: Node) -> Bool {
        (node.type == .pod && (node.attempt > 0 || node.startedAt != nil))
            || (node.type == .container && node.startedAt != nil)
    }

    private static func hasOutputs(_ node: Node) -> Bool {
        !node.outputs.parameters.isEmpty || !node.outputs.artifacts.isEmpty || node.outputs.result != nil
    }

    /// What a person fills in to let a suspend node go on.
    private static func suspendForm(_ node: Node) -> JSONValue? {
        guard node.type == .suspend, node.phase == .running else { return nil }
        let asked = node.outputs.parameters.filter { $0.value == nil }.map { output in
            let input = node.inputs.parameter(output.name)
            var members: [String: JSONValue] = ["name": .string(output.name)]
            members["value"] = .text(output.value)
            members["description"] = .text(output.description ?? input?.description)
            members["default"] = .text(output.valueFrom?.default ?? output.default ?? input?.valueOrDefault)
            if let words = output.enum ?? input?.enum { members["enum"] = .texts(words) }
            return JSONValue.object(members)
        }
        return .object(["parameters": .array(asked)])
    }
}

extension [Node] {
    /// The same nodes with `children` filled in from the parents that each names.
    var withChildren: [Node] {
        var children: [NodeID: [NodeID]] = [:]
        for node in self {
            for parent in node.parents { children[parent, default: []].append(node.id) }
        }
        return map { node in
            var node = node
            node.children = children[node.id] ?? []
            return node
        }
    }
}
