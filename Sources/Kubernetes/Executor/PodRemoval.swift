// Deleting pods: those whose work was cancelled, and those that `podGC` wants gone, at once or after a time.

package import Executors
package import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// The pod of a step that has ended, or the Job of a group, and what is to become of it when the scheduler says
/// that it may go.
struct EndedObject: Sendable, Hashable {
    let namespace: String
    let name: String
    let uid: String
    let isSelected: Bool
    /// From then on it is deleted.
    let due: Timestamp
    let path: String

    /// - Parameters:
    ///   - moment: when its step ended, as far as is known.
    ///   - collection: where objects of its kind are in the API.
    init(_ object: JSONValue, _ garbage: PodGarbage, at moment: Timestamp, in collection: String) {
        let metadata = Fields(object["metadata"])
        namespace = metadata.string("namespace") ?? ""
        name = metadata.string("name") ?? ""
        uid = metadata.string("uid") ?? ""
        isSelected = garbage.selects(object)
        due = moment + garbage.delay
        path = "\(collection)/\(name)"
    }
}

/// Objects that are to be deleted later.
struct DueRemovals: Sendable {
    private var objects: [String: EndedObject] = [:]

    mutating func add(_ object: EndedObject) { objects[object.path] = object }

    /// Takes over what an earlier process was to delete.
    mutating func take(_ listed: [JSONValue], in collection: String) {
        for object in listed {
            guard let text = Fields(object["metadata"]).textMap("annotations")[PodGarbage.dueAnnotation],
                let due = Timestamp(rfc3339: text)
            else { continue }
            add(EndedObject(object, PodGarbage(nil), at: due, in: collection))
        }
    }

    mutating func popReady(at moment: Timestamp) -> [EndedObject] {
        let ready = objects.values.filter { $0.due <= moment }
        for object in ready { objects[object.path] = nil }
        return ready
    }
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
                state.withLock { $0.due.add(pod) }
                await note(due: pod)
            }
        }
    }

    /// Notes at an object when it is to go, so that any later process of this installation sees to it.
    func note(due object: EndedObject) async {
        let note: JSONValue = [
            "metadata": ["annotations": [PodGarbage.dueAnnotation: .string(object.due.rfc3339)]]
        ]
        // Without the note it is still deleted, if this process lives so long.
        await untilDone {
            try await self.writes.pass { try await self.client.patch(object.path, .merge, note) }
        }
    }

    /// Called every second.
    func removeDue() {
        let moment = now()
        for pod in state.withLock({ $0.due.popReady(at: moment) }) {
            jobs.yield(
                .delete(
                    namespace: pod.namespace, pod: pod.name, uid: pod.uid.isEmpty ? nil : pod.uid,
                    graceSeconds: renderer.settings.graceSeconds))
        }
    }

    /// The node's pods from before this process began, which is not told of them otherwise.
    private func found(workflowUID: String, nodeID: NodeID) async -> [EndedObject] {
        let selector =
            PodMarks.selector(instance: renderer.settings.instance)
            + ",\(PodMarks.runID)=\(PodNames.label(workflowUID))"
        var ended: [EndedObject] = []
        for namespace in state.withLock({ $0.namespaces }) {
            let path = Self.pods(namespace)
            let read = await untilDone { try await self.client.list(path, labelSelector: selector).items }
            for pod in read ?? [] where PodMarks.key(of: pod)?.nodeID == nodeID {
                ended.append(
                    EndedObject(
                        pod, PodGarbage(notedAt: pod), at: PodVerdict.endOfWork(pod) ?? now(), in: path))
            }
        }
        return ended
    }

    /// Repeats what fails for reasons that pass. A process that is to end leaves it to the next.
    /// - Returns: nil where it was left, and where the cluster does not let it be done.
    @discardableResult
    func untilDone<Value: Sendable>(_ body: @Sendable () async throws -> Value) async -> Value? {
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                return try await body()
            } catch let error as KubernetesError where error.isPassing {
                if state.withLock({ $0.isShutDown }) { return nil }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            } catch {
                return nil
            }
        }
        return nil
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
            let claims = await untilDone { try await self.client.list(core, labelSelector: selector).items }
            for claim in claims ?? [] {
                let name = Fields(claim["metadata"]).string("name") ?? ""
                await untilDone {
                    try await self.writes.pass { try await self.client.delete("\(core)/\(name)") }
                }
            }
        }
        if run.hasDisruptionBudget {
            let name = PodNames.runObject(workflow: run.workflowName, uid: run.workflowUID)
            let path = "/apis/policy/v1/namespaces/\(run.namespace)/poddisruptionbudgets/\(name)"
            await untilDone { try await self.writes.pass { try await self.client.delete(path) } }
        }
    }
}
