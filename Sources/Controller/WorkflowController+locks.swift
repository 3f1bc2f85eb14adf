// Locks that runs wait for and hold: asked for in the store, which keeps the queues, and asked for again when they may
// have come free.

import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension WorkflowController {
    func acquire(_ keys: [LockKey], for id: NodeID, _ priority: Int, _ uid: String) async throws {
        guard let state = runs[uid]?.state else { return }
        runs[uid]?.mayHoldLocks = true
        var wanted: [LockRequest.Key] = []
        for key in keys {
            switch try await limit(of: key, state) {
            case .success(let limit): wanted.append(.init(key: key.text, limit: limit))
            case .failure(let problem):
                mailbox.post(.event(uid: uid, .refused(id, message: problem.message)))
                return
            }
        }
        let request = LockRequest(
            holder: LockHolder(workflowUID: uid, nodeID: id), keys: wanted, priority: priority,
            createdAt: state.definition.createdAt, sequence: state.nodes[id]?.sequence ?? 0)
        try await ask(request)
    }

    /// - Returns: the key that keeps the request waiting; nil if it was granted.
    @discardableResult
    private func ask(_ request: LockRequest) async throws -> String? {
        let (uid, id) = (request.holder.workflowUID, request.holder.nodeID)
        switch try await store.requestLocks(request) {
        case .acquired:
            runs[uid]?.waitingLocks[id] = nil
            if runs[uid]?.waitingLocks.isEmpty ?? true { lockWaiters.remove(uid) }
            mailbox.post(.event(uid: uid, .locksAcquired(id)))
            return nil
        case .waiting(let key, let message, _):
            runs[uid]?.waitingLocks[id] = request
            if runs[uid] != nil { lockWaiters.insert(uid) }
            mailbox.post(.event(uid: uid, .locksWaiting(id, lock: key, message: message)))
            return key
        }
    }

    /// Gives back what a node holds, and asks again for those of this process that may have it now.
    func releaseLocks(of id: NodeID, _ uid: String) async throws {
        // Whoever waited in front kept a place for itself.
        let wasWaiting = runs[uid]?.waitingLocks.removeValue(forKey: id) != nil
        if runs[uid]?.waitingLocks.isEmpty ?? true { lockWaiters.remove(uid) }
        // Most runs never ask for a lock, and need not wait for the disk to give none back.
        guard runs[uid]?.mayHoldLocks ?? true else { return }
        let freed = try await store.releaseLocks(workflowUID: uid, nodeID: id)
        if wasWaiting || !freed.isEmpty { try await askForLocksAgain() }
    }

    func releaseAllLocks(of uid: String) async throws {
        let wasWaiting = lockWaiters.remove(uid) != nil
        runs[uid]?.waitingLocks = [:]
        guard runs[uid]?.mayHoldLocks ?? true else { return }
        let freed = try await store.releaseAllLocks(uid)
        if wasWaiting || !freed.isEmpty { try await askForLocksAgain() }
    }

    /// Asks again for what waits. The store's queues have one order, so once a request is told to wait for a key,
    /// those behind it that want the same key need not ask.
    func askForLocksAgain() async throws {
        guard !lockWaiters.isEmpty else { return }
        var waiting: [LockRequest] = []
        for uid in lockWaiters { waiting += (runs[uid]?.waitingLocks.values).map(Array.init) ?? [] }
        waiting.sort { left, right in
            (-left.priority, left.createdAt, left.sequence, left.holder.workflowUID, left.holder.nodeID)
                < (
                    -right.priority, right.createdAt, right.sequence, right.holder.workflowUID,
                    right.holder.nodeID
                )
        }
        var taken: Set<String> = []
        for request in waiting where !request.keys.contains(where: { taken.contains($0.key) }) {
            if let key = try await ask(request) { taken.insert(key) }
        }
    }

    private func limit(of key: LockKey, _ state: WorkflowState) async throws -> Result<Int, ControllerError> {
        switch key.limit {
        case .mutex: return .success(1)
        case .configMap(let name, let field):
            let stored = try await store.catalog(namespace: key.namespace).configMaps[name]
            let map = stored ?? state.definition.catalog.configMaps[name]
            guard let text = map?.values[field] else {
                return .failure(
                    ControllerError(
                        "the semaphore's ConfigMap \"\(name)\" has no key \"\(field)\"; load it first"))
            }
            guard let limit = Int(text.trimmed), limit > 0 else {
                return .failure(
                    ControllerError(
                        "the semaphore's size \"\(text)\" in ConfigMap \"\(name)\" is not a positive number"))
            }
            return .success(limit)
        case .database(let field):
            guard let limit = try await store.syncLimit(namespace: key.namespace, key: field) else {
                return .failure(ControllerError("no limit is set for the semaphore \"\(field)\""))
            }
            return .success(limit)
        }
    }
}
