// A run as JSON with everything that is stored of it, so that the command line can show a run of another machine as one
// of its own.

package import Scheduling
package import Text
import WorkflowLanguage

/// `{definition, header, nodes: [{sequence, body}], phase, message}`. Secrets are not in it.
package enum StoredRunJSON {
    package static func json(_ state: WorkflowState) -> JSONValue {
        .object([
            "definition": state.definition.json, "header": state.headerJSON,
            "nodes": .array(
                state.nodes.values.sorted { $0.sequence < $1.sequence }.map { node in
                    .object(["sequence": .int(node.sequence), "body": node.rowJSON])
                }),
            "phase": state.phase.map { .string($0.rawValue) } ?? .null, "message": .string(state.message),
        ])
    }

    /// - Returns: nil if it is not what `json` made, or another version of Martlet made it.
    package static func state(_ json: JSONValue, at now: Timestamp) -> WorkflowState? {
        guard let definition = json["definition"].flatMap(RunDefinition.init(stored:)),
            let header = json["header"], let rows = json["nodes"]?.arrayValue
        else { return nil }
        var nodes: [Node] = []
        for row in rows {
            guard let sequence = row["sequence"]?.intValue, let body = row["body"],
                let node = Node(row: body, sequence: sequence)
            else { return nil }
            nodes.append(node)
        }
        let phase = json["phase"]?.stringValue.flatMap(Phase.init) ?? .pending
        return WorkflowState(definition: definition, header: header, nodes: nodes, at: now)
            .accepted(as: phase, message: json["message"]?.stringValue ?? "")
    }
}
