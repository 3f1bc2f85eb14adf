// Going on with a run that failed, and deleting runs.

import Artifacts
import Executors
import Glibc
import Persistence
package import Scheduling
import Text
import WorkflowLanguage

extension WorkflowOperations {
    /// How long a run that is ended for its deletion may take.
    private static let endLimit = Duration.seconds(60)
    private static let endPoll = Duration.milliseconds(100)
    /// How often the lock of a run that has just ended is tried, 20 ms apart.
    private static let lockTries = 50

    /// Goes on with what failed. The run is stored as it then is; this process's controller goes on with it.
    /// - Throws: `OperationError`: `precondition` unless the run has failed; `conflict` while another process drives
    ///   it.
    package func retry(_ uid: String, _ request: RetryRequest) async throws -> WorkflowState {
        try await OperationError.naming {
            let state = try await state(uid)
            // Refused before the lock is waited for, in words of what the run is.
            _ = try state.retried(request, at: now())
            let lock = try await lock(of: state)
            var retried = try await storedState(uid).retried(request, at: now())
            try ArgumentCheck.check(retried.definition)
            let phase = firstPhase(namespace: retried.definition.namespace)
            let epoch = try await store.claimRun(uid)
            var change = retried.wholeChange(epoch: epoch)
            change.header?.phase = phase.rawValue
            change.progress = retried.progress.text
            if !request.parameters.isEmpty { change.manifest = retried.definition.json }
            try await store.apply([change])
            begin(uid, lock: lock)
            return retried.accepted(as: phase)
        }
    }

    /// The lock of a run that nobody shall drive now. This process's controller lets go of a run that has ended a
    /// moment after it is saved.
    private func lock(of state: WorkflowState) async throws -> DriverLock {
        for _ in 0..<Self.lockTries {
            if let lock = try DriverLock.take(runDirectory: runDirectory(state.uid)) { return lock }
            guard controller != nil || isServed else { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw OperationError(
            .conflict,
            "another process drives workflow \(state.name); `martlet watch` shows it, `martlet stop` ends it")
    }

    /// Deletes a run with its logs and working files, and the artifacts that its manifest dooms.
    /// - Parameter force: ends a run that has not ended; otherwise that is refused.
    /// - Returns: how many artifacts were deleted with it.
    @discardableResult
    package func delete(_ uid: String, force: Bool = false) async throws -> Int {
        try await OperationError.naming {
            var state = try await state(uid)
            try checkDeletable(state, force: force)
            if isAtWork(state) { state = try await end(state) }
            controller?.withdraw(uid)
            // Held until the rows are gone, so that nobody begins what is being deleted.
            let lock = try await lock(of: state)
            let keys = Self.doomedKeys(of: state)
            let (artifacts, namespace, directory) = (artifacts, state.definition.namespace, runDirectory(uid))
            try await Blocking.run {
                for key in keys { try artifacts.delete(key: key, namespace: namespace) }
                _ = Disk.removeTree(directory)
            }
            try await store.releaseAllLocks(uid)
            try await store.deleteWorkflow(uid)
            withExtendedLifetime(lock) {}
            await controller?.runDeleted(
                DeletedRun(workflowUID: uid, workflowName: state.name, namespace: namespace))
            return keys.count
        }
    }

    /// - Throws: `OperationError` (`precondition`) for a run at work, unless it is to be ended first.
    package func checkDeletable(_ state: WorkflowState, force: Bool) throws(OperationError) {
        guard !force, isAtWork(state) else { return }
        throw OperationError(
            .precondition,
            "workflow \(state.name) has not ended; `martlet terminate \(state.name)` ends it, --force "
                + "ends it and deletes it")
    }

    private func isAtWork(_ state: WorkflowState) -> Bool {
        !state.isFinished && (state.startedAt != nil || isDriven(state.uid))
    }

    /// Ends a run, so that no step goes on without anybody knowing of it.
    private func end(_ state: WorkflowState) async throws -> WorkflowState {
        let delivery: Delivery
        do {
            delivery = try await deliver(.terminate, to: state.uid)
        } catch let error as OperationError where error.reason == .precondition {
            // It has ended by itself meanwhile.
            let now = try await self.state(state.uid)
            guard now.isFinished else { throw error }
            return now
        }
        if delivery == .here, let borrowed { try await drive(state.uid, borrowed()) }
        let deadline = ContinuousClock.now + Self.endLimit
        while ContinuousClock.now < deadline {
            let now = try await storedState(state.uid)
            if now.isFinished { return now }
            try await Task.sleep(for: Self.endPoll)
        }
        throw OperationError(
            .unavailable, "workflow \(state.name) has not ended within 60 s; try again later")
    }

    /// Drives a run to its end in this process.
    private func drive(_ uid: String, _ controller: WorkflowController) async throws {
        let changes = controller.changes(of: uid)
        controller.drive(uid)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                defer { controller.mailbox.post(.stop) }
                for await _ in changes {
                    if await controller.isFinished(uid) { return }
                    if await controller.refusal(of: uid) != nil { return }
                    if await controller.waitsForPerson(uid) { return }
                }
            }
            try await group.waitForAll()
        }
        await controller.forget(uid)
    }

    /// Keys of the artifacts that go with the run.
    package static func doomedKeys(of state: WorkflowState) -> [String] {
        var keys: Set<String> = []
        for node in state.nodes.values {
            for artifact in node.outputs.artifacts where !artifact.deleted {
                let strategy = artifact.garbageCollection ?? state.definition.spec.artifactGCStrategy
                guard strategy == "OnWorkflowDeletion" else { continue }
                if let key = artifact.location?.settings["key"]?.stringValue { keys.insert(key) }
            }
        }
        return keys.sorted()
    }
}
