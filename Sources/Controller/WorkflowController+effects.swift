// Carrying out what a run asks for. Each may be done twice.

import Artifacts
import Executors
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension WorkflowController {
    func perform(_ effect: Effect, _ uid: String) async throws {
        switch effect {
        case .launch(let launch):
            await executor.launch(launch, values: try await values(for: launch, uid))
        case .cancel(let key, let immediately): await executor.cancel(key, immediately: immediately)
        case .acquireLocks(let id, let keys, let priority): try await acquire(keys, for: id, priority, uid)
        case .releaseLocks(let id):
            runs[uid]?.waitingLocks[id] = nil
            if try await !store.releaseLocks(workflowUID: uid, nodeID: id).isEmpty {
                for other in runs.keys.sorted() { try await askForLocksAgain(other) }
            }
        case .lookUpCache(let id, let cache, let key, let maxAge):
            let outputs = try await cached(cache, key, maxAge, uid)
            mailbox.post(.event(uid: uid, .cacheAnswered(id, outputs)))
        case .saveCache(let id, let cache, let key, let outputs):
            let moment = now()
            try await store.saveCacheEntry(
                CacheEntry(key: key, nodeID: id, outputs: outputs.json, createdAt: moment, lastHitAt: moment),
                namespace: namespace(uid), cache: cache)
        case .removeWorkingFiles(let id): await executor.removeWorkingFiles(workflowUID: uid, nodeID: id)
        case .deleteArtifacts(_, let list): try await delete(list, uid)
        case .emitMetrics(let id, let metrics):
            if let state = runs[uid]?.state { observers.emit(metrics, node: id, of: state) }
        case .finished:
            try await store.releaseAllLocks(uid)
            for other in runs.keys.sorted() where other != uid { try await askForLocksAgain(other) }
            close(uid)
        }
    }

    private func namespace(_ uid: String) -> String { runs[uid]?.state.definition.namespace ?? "default" }

    /// ConfigMaps and Secrets that a launch may read. Secrets come from the store each time and are kept nowhere else.
    private func values(for launch: Launch, _ uid: String) async throws -> LaunchValues {
        guard launch.template.raw.mentionsKeyedValues || launch.volumes.contains(where: \.mentionsKeyedValues)
        else {
            return LaunchValues()
        }
        let catalog = try await store.catalog(namespace: launch.namespace)
        let own = runs[uid]?.state.definition.catalog.configMaps ?? [:]
        return LaunchValues(
            configMaps: catalog.configMaps.merging(own) { $1 }, secrets: catalog.secrets)
    }

    private func cached(_ cache: String, _ key: String, _ maxAge: Duration?, _ uid: String) async throws
        -> Outputs?
    {
        guard let entry = try await store.cacheEntry(namespace: namespace(uid), cache: cache, key: key) else {
            return nil
        }
        if let maxAge, now() - entry.createdAt > maxAge { return nil }
        try await store.touchCacheEntry(namespace: namespace(uid), cache: cache, key: key, at: now())
        return Outputs(entry.outputs)
    }

    private func delete(_ list: [Artifact], _ uid: String) async throws {
        guard let artifacts else { return }
        for artifact in list {
            guard let key = artifact.location?.settings["key"]?.stringValue else { continue }
            try artifacts.delete(key: key, namespace: namespace(uid))
        }
    }

    // MARK: Locks

    private func acquire(_ keys: [LockKey], for id: NodeID, _ priority: Int, _ uid: String) async throws {
        guard let state = runs[uid]?.state else { return }
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

    private func ask(_ request: LockRequest) async throws {
        let (uid, id) = (request.holder.workflowUID, request.holder.nodeID)
        switch try await store.requestLocks(request) {
        case .acquired:
            runs[uid]?.waitingLocks[id] = nil
            mailbox.post(.event(uid: uid, .locksAcquired(id)))
        case .waiting(let key, let message, _):
            runs[uid]?.waitingLocks[id] = request
            mailbox.post(.event(uid: uid, .locksWaiting(id, lock: key, message: message)))
        }
    }

    func askForLocksAgain(_ uid: String) async throws {
        let waiting = (runs[uid]?.waitingLocks.values).map(Array.init) ?? []
        for request in waiting.sorted(by: { $0.sequence < $1.sequence }) { try await ask(request) }
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

extension JSONValue {
    /// Whether the value refers to a ConfigMap or Secret.
    var mentionsKeyedValues: Bool {
        switch self {
        case .array(let elements): return elements.contains(where: \.mentionsKeyedValues)
        case .object(let members):
            return members.contains { key, value in
                key == "configMap" || key == "secret" || key == "configMapKeyRef" || key == "secretKeyRef"
                    || key == "configMapRef" || key == "secretRef" || key.hasSuffix("Secret")
                    || value.mentionsKeyedValues
            }
        default: return false
        }
    }
}
