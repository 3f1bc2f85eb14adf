// Where an attempt keeps its files. Whoever reads logs or results finds them by these names.

package import Scheduling

/// Pure path arithmetic below a data directory.
package enum AttemptPaths {
    /// `runs/<uid>`, all of a workflow's working files.
    package static func workflow(_ dataDirectory: String, uid: String) -> String {
        "\(dataDirectory)/runs/\(name(uid))"
    }

    /// `runs/<uid>/<node>`: one directory an attempt, and `checkpoints`.
    package static func node(_ dataDirectory: String, workflowUID: String, nodeID: NodeID) -> String {
        "\(workflow(dataDirectory, uid: workflowUID))/\(name(nodeID))"
    }

    package static func attempt(_ dataDirectory: String, key: AttemptKey) -> String {
        "\(node(dataDirectory, workflowUID: key.workflowUID, nodeID: key.nodeID))/\(key.attempt)"
    }

    /// What all containers wrote, in the format of Kubernetes' container logs; see `StepLog`.
    package static func log(_ dataDirectory: String, key: AttemptKey) -> String {
        attempt(dataDirectory, key: key) + "/log"
    }

    /// Kept between the attempts of a node.
    package static func checkpoints(
        _ dataDirectory: String, workflowUID: String, checkpointNodeID: NodeID
    ) -> String {
        node(dataDirectory, workflowUID: workflowUID, nodeID: checkpointNodeID) + "/checkpoints"
    }

    /// A claim of one workflow, from `volumeClaimTemplates`.
    static func workflowClaim(_ dataDirectory: String, workflowUID: String, claim: String) -> String {
        "\(workflow(dataDirectory, uid: workflowUID))/claims/\(name(claim))"
    }

    /// A claim shared by all workflows of a namespace.
    static func claim(_ dataDirectory: String, namespace: String, claim: String) -> String {
        "\(dataDirectory)/claims/\(name(namespace.isEmpty ? "default" : namespace))/\(name(claim))"
    }

    /// Names come from manifests; none may lead out of its directory.
    static func name(_ text: String) -> String {
        if text.isEmpty || text == "." || text == ".." { return "_" + text }
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 }) else { return text }
        return String(text.map { $0 == "/" || $0 == "\0" ? "_" : $0 })
    }
}
