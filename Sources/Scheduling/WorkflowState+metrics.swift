// The variables that a manifest's metrics may use once a node or the run has ended.

import Text
package import WorkflowLanguage

extension WorkflowState {
    /// The scope of the metrics of a node, or of the run for an empty id: `status`, `duration`, `exitCode`, inputs,
    /// outputs, `resourcesDuration.*`, `retries`, and the workflow's own variables.
    package func metricScope(for id: NodeID) -> VariableScope {
        var scope = scope(for: nil)
        func seconds(_ start: Timestamp?, _ end: Timestamp?) -> String {
            GoFormat.sprintf("%f", [.double(start.map { ((end ?? now) - $0).inSeconds } ?? 0)])
        }
        guard let node = nodes[id] else {
            scope.set("status", (phase ?? .pending).rawValue)
            scope.set("duration", seconds(startedAt, finishedAt))
            var used: [String: Int] = [:]
            for node in nodes.values { used.merge(node.resourcesDuration, uniquingKeysWith: +) }
            for (name, value) in used { scope.set("resourcesDuration.\(name)", String(value)) }
            for parameter in outputs.parameters {
                scope.set("outputs.parameters.\(parameter.name)", parameter.value)
            }
            return scope
        }
        scope.set("status", node.phase.rawValue)
        scope.set("duration", seconds(node.startedAt, node.finishedAt))
        scope.set("exitCode", node.outputs.exitCode)
        scope.set("outputs.result", node.outputs.result)
        for parameter in node.inputs.parameters {
            scope.set("inputs.parameters.\(parameter.name)", parameter.value)
        }
        for parameter in node.outputs.parameters {
            scope.set("outputs.parameters.\(parameter.name)", parameter.value)
        }
        for name in ["cpu", "memory"] {
            scope.set("resourcesDuration.\(name)", String(node.resourcesDuration[name] ?? 0))
        }
        let attempts = node.children.filter { nodes[$0]?.isRetryAttempt == true }.count
        scope.set("retries", String(max(0, attempts - 1)))
        return scope
    }
}
