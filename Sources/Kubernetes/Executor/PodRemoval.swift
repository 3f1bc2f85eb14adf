// Deleting pods: those whose work was cancelled, and those that `podGC` wants gone, at once or after a time.

package import Executors
package import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// A pod whose step has ended, and what is to become of it when the scheduler says that it may go.
struct EndedPod: Sendable, Hashable {
    var namespace: String
    var name: String
    var uid: String
    var isSelected: Bool
    /// From then on it is deleted.
    var due: Timestamp

    /// - Parameter moment: when its step ended, as far as is known.
    init(_ pod: JSONValue, _ garbage: PodGarbage, at moment: Timestamp) {
        let metadata = Fields(pod["metadata"])
        namespace = metadata.string("namespace") ?? ""
        name = metadata.string("name") ?? ""
        uid = metadata.string("uid") ?? ""
        isSelected = garbage.selects(pod)
        due = moment + garbage.delay
    }

    var path: String { "/api/v1/namespaces/\(namespace)/pods/\(name)" }
}

extension KubernetesExecutor {
    /// So long the end of the process waits for deletions that are under way.
    private static let removalPatience = Duration.seconds(10)
    private static let removalPause = Duration.milliseconds(20)

    package func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {
        state.withLock { $0.openRemovals += 1 }
        jobs.yield(.removePods(workflowUID: workflowUID, nodeID: nodeID))
    }

    func removePods(workflowUID: String, nodeID: NodeID) async {
        defer { state.withLock { $0.openRemovals -= 1 } }
        let known = state.withLock { $0.ended.removeValue(forKey: "\(workflowUID)/\(nodeID)") }
        let pods = if let known { known } else { await found(workflowUID: workflowUID, nodeID: nodeID) }
        for pod in pods where pod.isSelected {
            if pod.due <= now() {
                await delete(
                    namespace: pod.namespace, pod: pod.name, uid: pod.uid.isEmpty ? nil : pod.uid,
                    graceSeconds: renderer.settings.graceSeconds)
            } else {
                await postpone(pod)
            }
        }
    }

    /// Notes at the pod when it is to go, so that any later process of this installation sees to it.
    private func postpone(_ pod: EndedPod) async {
        state.withLock { $0.due[Self.place(pod.namespace, pod.name)] = pod }
        let note: JSONValue = [
            "metadata": ["annotations": [PodGarbage.dueAnnotation: .string(pod.due.rfc3339)]]
        ]
        // Without the note it is still deleted, if this process lives so long.
        _ = try? await writes.pass { try await self.client.patch(pod.path, .merge, note) }
    }

    /// Pods that an earlier process was to delete.
    func takeDuties(_ pods: [JSONValue]) {
        for json in pods {
            guard let text = Fields(json["metadata"]).textMap("annotations")[PodGarbage.dueAnnotation],
                let due = Timestamp(rfc3339: text)
            else { continue }
            var pod = EndedPod(json, PodGarbage(nil), at: due)
            pod.due = due
            let taken = pod
            state.withLock { $0.due[Self.place(taken.namespace, taken.name)] = taken }
        }
    }

    /// Called every second.
    func removeDue() {
        let moment = now()
        let gone = state.withLock { state -> [EndedPod] in
            let ready = state.due.filter { $0.value.due <= moment }
            for place in ready.keys { state.due[place] = nil }
            return Array(ready.values)
        }
        for pod in gone {
            jobs.yield(
                .delete(
                    namespace: pod.namespace, pod: pod.name, uid: pod.uid.isEmpty ? nil : pod.uid,
                    graceSeconds: renderer.settings.graceSeconds))
        }
    }

    /// The node's pods from before this process began, which is not told of them otherwise.
    private func found(workflowUID: String, nodeID: NodeID) async -> [EndedPod] {
        let selector =
            PodMarks.selector(instance: renderer.settings.instance)
            + ",\(PodMarks.runID)=\(PodNames.label(workflowUID))"
        var ended: [EndedPod] = []
        for namespace in state.withLock({ $0.namespaces }) {
            let path = "/api/v1/namespaces/\(namespace)/pods"
            guard let (pods, _) = try? await client.list(path, labelSelector: selector) else { continue }
            for pod in pods where PodMarks.key(of: pod)?.nodeID == nodeID {
                ended.append(EndedPod(pod, PodGarbage(notedAt: pod), at: PodVerdict.endOfWork(pod) ?? now()))
            }
        }
        return ended
    }

    /// Waits for what is under way, but not for long: what is left is found again by its notes.
    func finishRemovals() async {
        let end = ContinuousClock.now + Self.removalPatience
        while state.withLock({ $0.openRemovals > 0 }), ContinuousClock.now < end {
            try? await Task.sleep(for: Self.removalPause)
        }
    }

    // MARK: Runs

    package func runEnded(_ run: EndedRun) async {
        objects.forget(run.workflowUID)
        let prefix = "\(run.workflowUID)/"
        state.withLock { state in
            state.failedHosts = state.failedHosts.filter { !$0.key.hasPrefix(prefix) }
        }
        let isGood = run.phase == .succeeded
        let deletesClaims =
            run.hasVolumeClaims && (run.volumeClaimStrategy == "OnWorkflowCompletion" || isGood)
        guard deletesClaims || run.hasDisruptionBudget else { return }
        state.withLock { $0.openRemovals += 1 }
        jobs.yield(.endRun(run, deletesClaims: deletesClaims))
    }

    func endRun(_ run: EndedRun, deletesClaims: Bool) async {
        defer { state.withLock { $0.openRemovals -= 1 } }
        let core = "/api/v1/namespaces/\(run.namespace)/persistentvolumeclaims"
        if deletesClaims {
            let selector =
                PodMarks.selector(instance: renderer.settings.instance)
                + ",\(PodMarks.runID)=\(PodNames.label(run.workflowUID))"
            let claims = (try? await client.list(core, labelSelector: selector).items) ?? []
            for claim in claims {
                let name = Fields(claim["metadata"]).string("name") ?? ""
                _ = try? await writes.pass { try await self.client.delete("\(core)/\(name)") }
            }
        }
        if run.hasDisruptionBudget {
            let name = PodNames.runObject(workflow: run.workflowName, uid: run.workflowUID)
            let path = "/apis/policy/v1/namespaces/\(run.namespace)/poddisruptionbudgets/\(name)"
            _ = try? await writes.pass { try await self.client.delete(path) }
        }
    }
}
