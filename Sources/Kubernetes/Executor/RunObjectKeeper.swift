// Makes what a run needs beside its pods, once: its owner and its claims.

import Scheduling
import Synchronization
import Text
import WorkflowLanguage

final class RunObjectKeeper: Sendable {
    private enum Entry {
        case waiting([CheckedContinuation<Void, Never>])
        case there(RunOwner)
    }

    private let client: KubernetesClient
    private let settings: PodSettings
    private let traces: ClusterTraces
    /// Names of objects that were made, by run; forgetting them only costs a question.
    private let kept = Mutex<[String: Set<String>]>([:])
    private let entries = Mutex<[String: Entry]>([:])

    init(client: KubernetesClient, settings: PodSettings, traces: ClusterTraces) {
        self.client = client
        self.settings = settings
        self.traces = traces
    }

    /// The run's owner; whoever asks while it is being made waits for it.
    func owner(of launch: Launch) async throws -> RunOwner {
        let uid = launch.key.workflowUID
        while true {
            if let owner = await claim(uid) { return owner }
            do {
                let owner = try await make(launch)
                settle(uid, .there(owner))
                return owner
            } catch {
                settle(uid, nil)
                throw error
            }
        }
    }

    /// Asks the API anew for what the run needs, when it needs something again.
    func forget(_ uid: String) {
        kept.withLock { $0[uid] = nil }
        entries.withLock { entries in
            if case .there = entries[uid] { entries[uid] = nil }
        }
    }

    /// Nil when the caller is to make it.
    private func claim(_ uid: String) async -> RunOwner? {
        while true {
            let found = entries.withLock { entries -> (RunOwner?, Bool) in
                switch entries[uid] {
                case .there(let owner): return (owner, false)
                case .waiting: return (nil, true)
                case nil:
                    entries[uid] = .waiting([])
                    return (nil, false)
                }
            }
            guard found.1 else { return found.0 }
            await withCheckedContinuation { continuation in
                let isOver = entries.withLock { entries in
                    guard case .waiting(let list) = entries[uid] else { return true }
                    entries[uid] = .waiting(list + [continuation])
                    return false
                }
                if isOver { continuation.resume() }
            }
        }
    }

    private func settle(_ uid: String, _ entry: Entry?) {
        let waiting = entries.withLock { entries -> [CheckedContinuation<Void, Never>] in
            let before = entries[uid]
            entries[uid] = entry
            if case .waiting(let list) = before { return list }
            return []
        }
        for continuation in waiting { continuation.resume() }
    }

    private func make(_ launch: Launch) async throws -> RunOwner {
        let place = "/api/v1/namespaces/\(launch.namespace)"
        let (workflow, uid) = (launch.workflowName, launch.key.workflowUID)
        try await traces.note(launch.namespace)
        let object = RunObjects.owner(
            workflow: workflow, uid: uid, namespace: launch.namespace, settings: settings,
            dataMark: traces.dataMark)
        let made = try await ensure("\(place)/configmaps", object)
        guard let objectUID = made["metadata"]?["uid"]?.stringValue else {
            throw KubernetesError(status: 0, message: "the API gave no uid to the run's ConfigMap")
        }
        let owner = RunOwner(name: PodNames.runObject(workflow: workflow, uid: uid), uid: objectUID)
        let claims = RunObjects.claims(
            launch.volumeClaimTemplates, workflow: workflow, uid: uid, namespace: launch.namespace,
            owner: owner,
            settings: settings)
        for claim in claims {
            let there = try await ensure("\(place)/persistentvolumeclaims", claim)
            let notes = Fields(there["metadata"]).textMap("annotations")
            guard notes[PodMarks.runID] == uid else {
                throw PodProblem(
                    "the claim \(Fields(there["metadata"]).text("name") ?? "") is there already and belongs to "
                        + "something else; delete it, or run the workflow under another name")
            }
        }
        if let budget = RunObjects.disruptionBudget(
            launch.podSettings, workflow: workflow, uid: uid, namespace: launch.namespace, owner: owner,
            settings: settings)
        {
            try await keep(
                budget, at: "/apis/policy/v1/namespaces/\(launch.namespace)/poddisruptionbudgets")
        }
        return owner
    }

    /// Lays ConfigMaps and Secrets of the manifest's documents into the cluster, each once.
    func keep(_ entries: [RunValues.Entry], for launch: Launch, _ owner: RunOwner) async throws {
        for entry in entries {
            let place = "\(launch.namespace)/\(entry.isSecret)/\(entry.clusterName)"
            let uid = launch.key.workflowUID
            guard kept.withLock({ $0[uid]?.contains(place) != true }) else { continue }
            let object = RunValues.object(
                entry, workflow: launch.workflowName, uid: uid,
                namespace: launch.namespace, owner: owner, settings: settings)
            let resource = entry.isSecret ? "secrets" : "configmaps"
            try await keep(object, at: "/api/v1/namespaces/\(launch.namespace)/\(resource)")
            kept.withLock { _ = $0[uid, default: []].insert(place) }
        }
    }

    /// One that is there already is the same, since names follow from contents and runs.
    private func keep(_ object: JSONValue, at path: String) async throws {
        do {
            _ = try await client.create(path, object)
        } catch let error as KubernetesError where error.isAlreadyThere {
            return
        }
    }

    private func ensure(_ path: String, _ object: JSONValue) async throws -> JSONValue {
        do {
            return try await client.create(path, object)
        } catch let error as KubernetesError where error.isAlreadyThere {
            return try await client.get("\(path)/\(object["metadata"]?["name"]?.stringValue ?? "")")
        }
    }
}
