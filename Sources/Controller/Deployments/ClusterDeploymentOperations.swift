// The verbs of deployments for those that a cluster keeps.

package import Executors
package import Text

/// Deployments of a cluster beside those of this machine. What it throws is an `OperationError`.
package struct ClusterDeploymentOperations: Sendable {
    private let cluster: any ClusterDeployments

    /// - Parameter cluster: nil where steps run on this machine; then there is nothing to be done.
    package init?(_ cluster: (any ClusterDeployments)?) {
        guard let cluster else { return nil }
        self.cluster = cluster
    }

    /// - Parameter namespaces: nil for all.
    package func list(_ namespaces: Set<String>?) async throws -> [ClusterDeployment] {
        try await naming { try await cluster.deployments(named: nil) }
            .filter { namespaces?.contains($0.namespace) ?? true }
    }

    /// Those of a name, one in each namespace at most.
    package func named(_ name: String) async throws -> [ClusterDeployment] {
        try await naming { try await cluster.deployments(named: name) }
    }

    package func scale(_ found: ClusterDeployment, to count: Int) async throws -> ClusterDeployment {
        guard (1...1_000).contains(count) else {
            throw OperationError(.invalid, "replicas: \(count) is no number from 1 to 1000")
        }
        let problem = try await naming {
            try await cluster.scale(found.name, namespace: found.namespace, to: count)
        }
        if let problem { throw OperationError(.precondition, problem) }
        var changed = found
        changed.replicas = count
        return changed
    }

    package func delete(_ found: ClusterDeployment) async throws -> ClusterDeployment {
        try await naming { try await cluster.delete(found.name, namespace: found.namespace) }
        var deleted = found
        deleted.state = "deleting"
        return deleted
    }

    /// What only this machine's deployments can do.
    package static func refusal(_ verb: String, _ found: ClusterDeployment, instead: String) -> OperationError
    {
        OperationError(
            .precondition,
            "deployment \(found.name) is in a cluster, where Martlet does not \(verb); `kubectl -n \(found.namespace) "
                + "\(instead) deployment/\(found.name)` does")
    }

    private func naming<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as CancellationError {
            throw error
        } catch {
            throw OperationError(.unavailable, "deployments of the cluster: \(error)")
        }
    }

    /// As those of this machine are shown.
    package static func json(_ found: ClusterDeployment) -> JSONValue {
        let revision = found.revision
        var members: [String: JSONValue] = [:]
        members["name"] = .string(found.name)
        members["namespace"] = .string(found.namespace)
        members["place"] = "cluster"
        members["state"] = .string(found.state)
        members["model"] = .string(revision.model)
        members["modelHash"] = .string(revision.modelHash)
        members["quant"] = .string(revision.quant)
        members["url"] = .string(revision.url)
        members["createdAt"] = .string(found.createdAt.rfc3339)
        members["updatedAt"] = .string(found.updatedAt.rfc3339)
        members["replicas"] = .int(found.replicas)
        members["ready"] = .int(found.ready)
        members["active"] = found.active.map(JSONValue.int) ?? .null
        members["wanted"] = found.wanted.map(JSONValue.int) ?? .null
        members["message"] = found.failure.map(JSONValue.string) ?? .null
        // Requests go to the Service and are counted by the pods' own metrics.
        for key in ["requests", "failures", "inFlight"] { members[key] = 0 }
        members["revisions"] = [shown(revision, of: found)]
        members["processes"] = .array(
            found.processes.enumerated().map { shown($0.element, slot: $0.offset, of: found) })
        return .object(members)
    }

    private static func shown(
        _ revision: ClusterDeployment.Revision, of found: ClusterDeployment
    ) -> JSONValue {
        let phase =
            found.failure != nil ? "failed" : found.active == revision.number ? "active" : "progressing"
        return .object([
            "number": .int(revision.number), "phase": .string(phase),
            "message": .string(found.failure ?? ""), "model": .string(revision.model),
            "modelHash": .string(revision.modelHash), "quant": .string(revision.quant),
            "run": ["uid": .string(revision.workflowUID), "name": .string(revision.workflow)],
            "createdAt": .string(found.createdAt.rfc3339), "changedAt": .string(found.updatedAt.rfc3339),
        ])
    }

    private static func shown(
        _ process: ClusterDeployment.Process, slot: Int, of found: ClusterDeployment
    ) -> JSONValue {
        let words = process.reason.isEmpty ? process.name : "\(process.name): \(process.reason)"
        return .object([
            "revision": .int(found.active ?? found.revision.number), "slot": .int(slot),
            "attempt": .int(process.restarts), "state": .string(process.state), "port": .null,
            "inFlight": .int(0), "reason": .string(words),
        ])
    }
}
