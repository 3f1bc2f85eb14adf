// Deletes what a run had in the cluster once the run itself is deleted. All of it hangs on the run's ConfigMap, so
// that one deletion takes pods, groups, claims, ConfigMaps and Secrets along.

package import Executors
import Synchronization
import Text
import WorkflowLanguage

/// Deletes runs' objects, and finds those that are left behind.
package struct RunRemover: Sendable {
    private let client: KubernetesClient
    private let settings: PodSettings

    package init(client: KubernetesClient, settings: PodSettings) {
        self.client = client
        self.settings = settings
    }

    /// Deletes the object of a run; one that is not there is no error.
    /// - Throws: `KubernetesError`.
    package func remove(_ run: DeletedRun) async throws {
        let name = PodNames.runObject(workflow: run.workflowName, uid: run.workflowUID)
        let path = "/api/v1/namespaces/\(run.namespace)/configmaps/\(name)"
        do {
            // The name alone would not tell it from what somebody else has laid there.
            let object = try await client.get(path)
            guard PodMarks.runID(of: object) == run.workflowUID else { return }
            try await delete(object, run.namespace)
        } catch let error as KubernetesError where error.isNotFound {
            return
        }
    }

    /// Deletes the objects of a data directory's runs that are not known any more.
    /// - Throws: what kept it from looking everywhere.
    func clear(_ traces: ClusterTraces, known: KnownRuns) async throws -> Int {
        let selector =
            PodMarks.selector(instance: settings.instance) + ",\(PodMarks.data)=\(traces.dataMark)"
        var count = 0
        var problem: (any Error)?
        for namespace in try await traces.namespaces() {
            do {
                _ = try await client.pages(
                    "/api/v1/namespaces/\(namespace)/configmaps", labelSelector: selector
                ) { objects, _ in
                    // Asked after the list was made: a run is in the database before its object is in the cluster.
                    let found = try await known(objects.compactMap(PodMarks.runID(of:)))
                    for object in objects {
                        guard let uid = PodMarks.runID(of: object), !found.contains(uid) else { continue }
                        try await delete(object, namespace)
                        count += 1
                    }
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                // One namespace that is closed to us must not keep the others.
                problem = error
            }
        }
        if let problem { throw problem }
        return count
    }

    private func delete(_ object: JSONValue, _ namespace: String) async throws {
        let metadata = Fields(object["metadata"])
        guard let name = metadata.string("name"), let uid = metadata.string("uid") else { return }
        do {
            try await client.delete("/api/v1/namespaces/\(namespace)/configmaps/\(name)", uid: uid)
        } catch let error as KubernetesError where error.isNotFound || error.status == 409 {
            // It is gone already, and another may have its name.
            return
        }
    }
}

extension KubernetesExecutor {
    /// Deletions of runs that may wait for the cluster at a time; what is more is left to the next look for what was
    /// forgotten.
    private static let runRemovalLimit = 10_000

    package func runDeleted(_ run: DeletedRun) async {
        objects.forget(run.workflowUID)
        let isTaken = state.withLock { state in
            guard state.openRunRemovals < Self.runRemovalLimit else { return false }
            state.openRemovals += 1
            state.openRunRemovals += 1
            return true
        }
        if isTaken { jobs.yield(.removeRun(run)) }
    }

    func removeRun(_ run: DeletedRun) async {
        defer {
            state.withLock { state in
                state.openRemovals -= 1
                state.openRunRemovals -= 1
            }
        }
        // One that may not be deleted is told of by the look for what was forgotten.
        await untilDone { try await self.writes.pass { try await self.remover.remove(run) } }
    }

    package func clearForgotten(known: KnownRuns) async throws -> Int {
        try await remover.clear(traces, known: known)
    }
}
