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
            if let deployments = settings.deployments, launch.isDeployment {
                await deployments.launch(launch) { [mailbox] report in
                    mailbox.post(.event(uid: report.key.workflowUID, .report(report)))
                }
            } else {
                await executor.launch(launch, values: try await values(for: launch, uid))
            }
            settings.observers.noteLaunch(launch, of: runs[uid]?.state, turn: turn)
        case .cancel(let key, let immediately):
            if await settings.deployments?.cancel(key) != true {
                await executor.cancel(key, immediately: immediately)
            }
        case .acquireLocks(let id, let keys, let priority): try await acquire(keys, for: id, priority, uid)
        case .releaseLocks(let id): try await releaseLocks(of: id, uid)
        case .lookUpCache(let id, let cache, let key, let maxAge):
            let outputs = try await cached(cache, key, maxAge, uid)
            mailbox.post(.event(uid: uid, .cacheAnswered(id, outputs)))
        case .saveCache(let id, let cache, let key, let outputs):
            let moment = now()
            try await store.saveCacheEntry(
                CacheEntry(key: key, nodeID: id, outputs: outputs.json, createdAt: moment, lastHitAt: moment),
                namespace: namespace(uid), cache: cache)
        case .lookUpContent(let id, let request, let reads):
            let answer = try await lookUp(request, for: id, reads: reads, uid)
            mailbox.post(.event(uid: uid, .contentAnswered(id, answer)))
        case .saveContent(let id, let record): try await keep(record, of: id, uid)
        case .removeWorkingFiles(let id): await executor.removeWorkingFiles(workflowUID: uid, nodeID: id)
        case .deleteArtifacts(_, let list): try await delete(list, uid)
        case .emitMetrics(let id, let metrics):
            if let state = runs[uid]?.state { settings.observers.emit(metrics, node: id, of: state) }
        case .finished(let phase):
            if let definition = runs[uid]?.state.definition, let name = runs[uid]?.state.name {
                await executor.runEnded(
                    EndedRun(
                        workflowUID: uid, workflowName: name, namespace: definition.namespace, phase: phase,
                        spec: definition.spec))
            }
            try await releaseAllLocks(of: uid)
            close(uid)
        }
    }

    func namespace(_ uid: String) -> String { runs[uid]?.state.definition.namespace ?? "default" }

    /// ConfigMaps and Secrets that a launch may read. Secrets come from the store each time and are kept nowhere else.
    private func values(for launch: Launch, _ uid: String) async throws -> LaunchValues {
        guard
            launch.template.raw.mentionsKeyedValues || launch.podSettings.mentionsKeyedValues
                || launch.volumes.contains(where: \.mentionsKeyedValues)
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
                    // An annotation may name one: `martlet.dev/api-key-secret`.
                    || key.hasSuffix("-secret")
                    // A patch is text, and what it names is seen when it has been laid over the pod.
                    || key == "imagePullSecrets" || key == "podSpecPatch" || value.mentionsKeyedValues
            }
        default: return false
        }
    }
}
