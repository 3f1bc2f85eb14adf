// The verbs of deployments, for the command line and the server alike: what is wanted is written down, and
// whoever looks after the deployments makes it so.

package import Executors
package import Persistence
package import Scheduling
package import Text

/// The verbs on one data directory. What they throw is an `OperationError`.
package struct DeploymentOperations: Sendable {
    let store: Store
    let now: @Sendable () -> Timestamp
    /// Who looks after deployments in this process; nil where nobody does.
    package let runner: DeploymentRunner?

    package init(store: Store, runner: DeploymentRunner?, now: @escaping @Sendable () -> Timestamp) {
        self.store = store
        self.runner = runner
        self.now = now
    }

    /// - Parameter namespaces: nil for all.
    package func list(_ namespaces: Set<String>?) async throws -> [Deployment] {
        try await OperationError.naming {
            try await store.deployments().filter { namespaces?.contains($0.namespace) ?? true }
        }
    }

    /// - Throws: `OperationError` (`notFound`).
    package func get(_ name: String) async throws -> Deployment {
        try await OperationError.naming {
            if let found = try await store.deployment(name) { return found }
            let known = try await store.deployments().map(\.name).prefix(20).joined(separator: ", ")
            throw OperationError(
                .notFound,
                "there is no deployment \"\(name.prefix(100))\"; "
                    + (known.isEmpty ? "a `deploy` step makes one" : "there are \(known)"))
        }
    }

    package func scale(_ name: String, to count: Int) async throws -> Deployment {
        let moment = now()
        return try await change(name) { try $0.scale(to: count, at: moment) }
    }

    /// - Parameter revision: nil for the one that was active before.
    package func rollBack(_ name: String, to revision: Int?) async throws -> Deployment {
        let moment = now()
        return try await change(name) { try $0.rollBack(to: revision, at: moment) }
    }

    package func delete(_ name: String) async throws -> Deployment {
        let moment = now()
        return try await change(name) { $0.delete(at: moment) }
    }

    private func change(
        _ name: String, _ change: @escaping @Sendable (inout Deployment) throws -> Void
    ) async throws -> Deployment {
        _ = try await get(name)
        defer { runner?.wake() }
        do {
            return try await store.changeDeployment(name, change).deployment
        } catch let error as StoreError {
            throw OperationError(error)
        } catch let error as DeploymentProblem {
            throw OperationError(.precondition, error.description)
        }
    }

    /// The last lines of what replicas wrote, in the order of time.
    /// - Parameters:
    ///   - revision: nil for all that are remembered.
    ///   - tail: lines at most, up to 10,000.
    package func logs(_ name: String, revision: Int?, tail: Int, in host: ReplicaHost) async throws
        -> [JSONValue]
    {
        _ = try await get(name)
        let lines = try await BlockingThreads.run {
            var lines: [(line: StepLog.Line, id: ReplicaID)] = []
            for replica in host.replicas(of: name) where revision.map({ $0 == replica.id.revision }) ?? true {
                var filter = StepLog.Filter()
                filter.tail = min(max(tail, 1), 10_000)
                lines += host.log(name, replica.id).lines(filter).map { ($0, replica.id) }
            }
            return lines.sorted { $0.line.time < $1.line.time }.suffix(min(max(tail, 1), 10_000))
        }
        return lines.map { line, id in
            [
                "t": .string(line.time.rfc3339), "revision": .int(id.revision), "slot": .int(id.slot),
                "attempt": .int(id.attempt), "e": .bool(line.stream == .standardError),
                "s": .string(String(line.text.prefix(16 << 10))),
            ]
        }
    }

    /// A deployment as it is shown everywhere.
    /// - Parameter root: the server's address; nil for addresses without a host.
    package static func json(_ deployment: Deployment, _ table: DeploymentTable, root: String? = nil)
        -> JSONValue
    {
        let views = table.views(of: deployment.name)
        let counts = table.counts(of: deployment.name)
        let active = deployment.revision(deployment.active)
        let shown = active ?? deployment.revisions.last
        let ready = views.count { $0.replica.id.revision == deployment.active && $0.replica.isReady }
        let failure = deployment.revisions.last.flatMap { $0.phase == .failed ? $0.message : nil }
        return .object([
            "name": .string(deployment.name), "namespace": .string(deployment.namespace),
            "place": "machine", "state": .string(deployment.state(views.map(\.replica))),
            "model": .string(shown?.modelWords ?? ""), "modelHash": .string(shown?.origin.modelHash ?? ""),
            "quant": .string(shown?.spec.quant ?? "stored"), "replicas": .int(deployment.replicas),
            "ready": .int(ready), "active": deployment.active.map(JSONValue.int) ?? .null,
            "wanted": deployment.wanted.map(JSONValue.int) ?? .null,
            "url": .string("\(root ?? "")/deployments/\(deployment.name)/v1"),
            "message": failure.map(JSONValue.string) ?? .null,
            "requests": .int(counts.requests), "failures": .int(counts.failures),
            "inFlight": .int(counts.inFlight), "createdAt": .string(deployment.createdAt.rfc3339),
            "updatedAt": .string(deployment.updatedAt.rfc3339),
            "revisions": .array(deployment.revisions.reversed().map(\.shownJSON)),
            "processes": .array(views.map(\.json)),
        ])
    }
}

extension DeploymentRevision {
    /// What it serves, in words.
    package var modelWords: String {
        spec.model ?? (origin.workflow.isEmpty ? "model" : "from \(origin.workflow)")
    }

    fileprivate var shownJSON: JSONValue {
        .object([
            "number": .int(number), "phase": .string(phase.rawValue), "message": .string(message),
            "model": .string(modelWords), "modelHash": .string(origin.modelHash),
            "quant": .string(spec.quant),
            "run": ["uid": .string(origin.workflowUID), "name": .string(origin.workflow)],
            "createdAt": .string(createdAt.rfc3339), "changedAt": .string(changedAt.rfc3339),
        ])
    }
}

extension ReplicaView {
    /// How it is, in a word.
    package var state: String {
        switch replica.process {
        case .notStarted: return "starting"
        case .ended: return "ended"
        case .running:
            if replica.isStopping || replica.drainingSince != nil { return "draining" }
            switch replica.health {
            case .starting: return "starting"
            case .ready: return "ready"
            case .silent: return "silent"
            }
        }
    }

    fileprivate var json: JSONValue {
        var reason = JSONValue.null
        if case .ended(let text, _, _) = replica.process { reason = .string(text) }
        return .object([
            "revision": .int(replica.id.revision), "slot": .int(replica.id.slot),
            "attempt": .int(replica.id.attempt), "state": .string(state),
            "port": port.map(JSONValue.int) ?? .null, "inFlight": .int(replica.inFlight), "reason": reason,
        ])
    }
}
