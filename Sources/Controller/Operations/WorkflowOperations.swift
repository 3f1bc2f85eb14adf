// What can be done with runs and definitions, for the command line and the server alike: checked, stored, and handed
// to whoever drives the run.

package import Artifacts
import Executors
package import Persistence
package import Scheduling
package import Text
import WorkflowLanguage

/// The verbs of Martlet on one data directory. What they throw is an `OperationError`.
package struct WorkflowOperations: Sendable {
    package let store: Store
    package let artifacts: LocalArtifactStore
    package let dataDirectory: String
    package let now: @Sendable () -> Timestamp
    /// The controller of this process, which drives what is begun; nil in a process that drives nothing.
    package let controller: WorkflowController?
    /// Makes a controller for as long as a verb needs it where no process drives the run; nil where a run waits for
    /// its driver instead.
    package let borrowed: (@Sendable () throws -> WorkflowController)?
    /// Whether another process serves this data directory: it drives what is stored here, and takes what is asked.
    package let isServed: Bool

    package init(
        store: Store, artifacts: LocalArtifactStore, dataDirectory: String, controller: WorkflowController?,
        borrowed: (@Sendable () throws -> WorkflowController)? = nil, isServed: Bool = false,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.store = store
        self.artifacts = artifacts
        self.dataDirectory = dataDirectory
        self.controller = controller
        self.borrowed = borrowed
        self.isServed = isServed
        self.now = now
    }

    // MARK: Finding

    /// The uid of a run by its name, its uid, or `@latest`.
    /// - Parameter namespace: "" finds a uid in any namespace, and no names.
    /// - Throws: `OperationError` (`notFound`), also for a uid of another namespace.
    package func uid(of name: String, namespace: String) async throws -> String {
        try await OperationError.naming {
            if name == "@latest" {
                guard let latest = try await store.latestWorkflow(namespace: namespace) else {
                    throw OperationError(.notFound, "no workflows found in namespace \"\(namespace)\"")
                }
                return latest.uid
            }
            if !namespace.isEmpty, let row = try await store.workflow(namespace: namespace, name: name) {
                return row.uid
            }
            if let row = try await store.workflow(uid: name), namespace.isEmpty || row.namespace == namespace
            {
                return row.uid
            }
            throw OperationError(
                .notFound,
                "no workflow is named \"\(name.prefix(100))\" in namespace \"\(namespace)\"; see `martlet list`"
            )
        }
    }

    /// A run as it is now, whoever drives it; one that nothing has looked at yet is Pending, or Running when it begins
    /// at once.
    /// - Throws: `OperationError`: `notFound`; `unavailable` for one of another version of Martlet.
    package func state(_ uid: String) async throws -> WorkflowState {
        if let state = await controller?.state(of: uid) { return state }
        return try await storedState(uid)
    }

    /// A run as the database has it.
    func storedState(_ uid: String) async throws -> WorkflowState {
        try await OperationError.naming {
            guard let stored = try await store.loadRun(uid) else {
                throw OperationError(.notFound, "there is no workflow \(uid); it may have been deleted")
            }
            guard let state = WorkflowState(stored, at: now()) else {
                throw OperationError(
                    .unavailable, "workflow \(stored.row.name) was written by another version of martlet")
            }
            return state
        }
    }

    func runDirectory(_ uid: String) -> String { AttemptPaths.workflow(dataDirectory, uid: uid) }

    /// Whether some process drives the run now.
    package func isDriven(_ uid: String) -> Bool { DriverLock.isHeld(runDirectory: runDirectory(uid)) }

    /// Hands a stored run to this process's controller, if it has one. Returns when the request is queued.
    /// - Parameter lock: the run's lock, if the caller holds it.
    func begin(_ uid: String, lock: DriverLock? = nil) {
        controller?.mailbox.post(.drive(uid: uid, lock: lock))
    }

    /// The phase of a run that is stored now: Running if its work begins at once.
    func firstPhase(namespace: String) -> Phase {
        controller?.hasRoom(namespace: namespace) == true ? .running : .pending
    }
}

extension WorkflowState {
    /// A stored run without driving it; nil if another version of Martlet wrote it.
    package init?(_ stored: StoredRun, at now: Timestamp) {
        guard let definition = RunDefinition(stored: stored.row.manifest) else { return nil }
        let row = stored.row
        self = WorkflowState(definition: definition, header: row.state, nodes: stored.nodes, at: now)
            .accepted(as: Phase(rawValue: row.phase) ?? .pending, message: row.message)
    }

    /// Everything that is not saved yet, as one change.
    package mutating func wholeChange(epoch: Int?) -> WorkflowChange {
        let (changed, removed, _) = takeChanges()
        return WorkflowChange(
            uid: uid, driverEpoch: epoch,
            header: HeaderUpdate(
                phase: phase?.rawValue ?? Phase.pending.rawValue, message: message, startedAt: startedAt,
                finishedAt: finishedAt, state: headerJSON, labels: metadata.labels,
                annotations: metadata.annotations),
            nodes: changed, deletedNodes: removed)
    }
}
