// The models that a cluster serves for this installation: found by their labels, judged by their status, scaled and
// taken down.

package import Executors
import Scheduling
import Text
import WorkflowLanguage

package struct DeployedModels: ClusterDeployments {
    /// How often a change is tried again that somebody else came before.
    private static let conflictTries = 10
    private static let pause = Duration.milliseconds(100)

    private let client: KubernetesClient
    private let settings: PodSettings
    private let traces: ClusterTraces

    init(client: KubernetesClient, settings: PodSettings, traces: ClusterTraces) {
        self.client = client
        self.settings = settings
        self.traces = traces
    }

    private static func list(_ group: String, _ resource: String, _ namespace: String) -> String {
        "\(group == "v1" ? "/api/v1" : "/apis/\(group)")/namespaces/\(namespace)/\(resource)"
    }

    private var selector: String {
        "\(PodMarks.selector(instance: settings.instance)),\(DeployMarks.deployment)"
    }

    private func isOwn(_ object: JSONValue, _ name: String) -> Bool {
        let labels = Fields(object["metadata"]).textMap("labels")
        return labels[PodMarks.managedBy] == "martlet" && labels[DeployMarks.deployment] == name
            && labels[PodMarks.instance] == PodNames.label(settings.instance)
    }

    // MARK: Looking

    package func deployments(named name: String?) async throws -> [ClusterDeployment] {
        if let name, !DeploymentSpec.isName(name) { return [] }
        var found: [ClusterDeployment] = []
        for namespace in try await traces.namespaces() {
            let path = Self.list("apps/v1", "deployments", namespace)
            guard let name else {
                found += try await client.list(path, labelSelector: selector).items.map(Self.deployment)
                continue
            }
            do {
                let object = try await client.get("\(path)/\(name)")
                guard isOwn(object, name) else { continue }
                var deployment = Self.deployment(object)
                let pods = try await client.list(
                    "/api/v1/namespaces/\(namespace)/pods",
                    labelSelector:
                        "\(PodMarks.selector(instance: settings.instance)),\(DeployMarks.deployment)=\(name)")
                deployment.processes = pods.items.map(Self.process)
                found.append(deployment)
            } catch let error as KubernetesError where error.isNotFound {
                continue
            }
        }
        return found
    }

    /// A Deployment as the verbs have it: a pure function of the object.
    static func deployment(_ object: JSONValue) -> ClusterDeployment {
        let (metadata, status) = (Fields(object["metadata"]), Fields(object["status"]))
        let notes = metadata.textMap("annotations")
        let replicas = object["spec"]?["replicas"]?.intValue ?? 1
        let ready = status.int("availableReplicas") ?? 0
        let asked = revision(notes[DeployMarks.about])
        let failure = notes[DeployMarks.failure]
        let served = failure == nil ? asked.number : notes[DeployMarks.served].map { revision($0).number }
        let state = state(object, replicas: replicas, ready: ready, hasFailed: failure != nil)
        let created = metadata.string("creationTimestamp").flatMap { Timestamp(rfc3339: $0) }
        let changes = status.list("conditions").compactMap { condition in
            (condition["lastUpdateTime"] ?? condition["lastTransitionTime"])?.stringValue.flatMap {
                Timestamp(rfc3339: $0)
            }
        }
        let createdAt = created ?? Timestamp(seconds: 0)
        var deployment = ClusterDeployment(
            name: metadata.string("name") ?? "", namespace: metadata.string("namespace") ?? "", state: state,
            replicas: replicas, ready: ready, revision: asked, createdAt: createdAt,
            updatedAt: changes.max() ?? createdAt)
        deployment.failure = failure
        deployment.door = ClusterDeployment.Door(
            host: DeployRenderer.serviceHost(deployment.name, namespace: deployment.namespace),
            port: DeployRenderer.servicePort, asksForKey: asksForKey(object))
        let isOnItsWay = state == "progressing"
        deployment.wanted = isOnItsWay ? asked.number : nil
        deployment.active =
            isOnItsWay && failure == nil
            ? notes[DeployMarks.served].map { revision($0).number } : served
        return deployment
    }

    private static func asksForKey(_ object: JSONValue) -> Bool {
        let containers = object["spec"]?["template"]?["spec"]?["containers"]?.arrayValue ?? []
        return containers.contains { container in
            (container["env"]?.arrayValue ?? []).contains {
                DeployRenderer.keyVariables.contains($0["name"]?.stringValue ?? "")
            }
        }
    }

    private static func state(_ object: JSONValue, replicas: Int, ready: Int, hasFailed: Bool) -> String {
        if object["metadata"]?["deletionTimestamp"] != nil { return "deleting" }
        // The first revision failed, and was taken down for a look.
        if hasFailed && replicas == 0 { return "failed" }
        switch RolloutVerdict(object) {
        case .complete: return replicas == 0 ? "down" : "ready"
        case .failed: return ready > 0 ? "degraded" : "failed"
        case .progressing:
            let status = Fields(object["status"])
            let isOut = status.list("conditions").contains {
                $0["type"] == "Progressing" && $0["reason"] == "NewReplicaSetAvailable"
            }
            // Rolled out once, and since then something has gone.
            guard isOut, (status.int("updatedReplicas") ?? 0) >= replicas else { return "progressing" }
            return ready > 0 ? "degraded" : "down"
        }
    }

    private static func revision(_ note: String?) -> ClusterDeployment.Revision {
        var revision = ClusterDeployment.Revision()
        guard let note, let json = try? JSONValue(parsingUTF8: Array(note.utf8)) else { return revision }
        let fields = Fields(json)
        revision.number = fields.int("revision") ?? 1
        revision.model = fields.string("model") ?? ""
        revision.modelHash = fields.string("modelHash") ?? ""
        revision.quant = fields.string("quant") ?? "stored"
        revision.workflow = fields.string("workflow") ?? ""
        revision.workflowUID = fields.string("workflowUID") ?? ""
        revision.url = fields.string("url") ?? ""
        return revision
    }

    static func process(_ pod: JSONValue) -> ClusterDeployment.Process {
        let status = Fields(pod["status"])
        let containers = status.list("containerStatuses") + status.list("initContainerStatuses")
        let waiting = containers.compactMap { $0["state"]?["waiting"]?["reason"]?.stringValue }
            .first { $0 != "PodInitializing" && $0 != "ContainerCreating" }
        let isReady = status.list("conditions").contains { $0["type"] == "Ready" && $0["status"] == "True" }
        let restarts = containers.reduce(0) { $0 + ($1["restartCount"]?.intValue ?? 0) }
        let state: String
        if pod["metadata"]?["deletionTimestamp"] != nil {
            state = "draining"
        } else if isReady {
            state = "ready"
        } else if ["Failed", "Succeeded"].contains(status.string("phase") ?? "") {
            state = "ended"
        } else {
            state = restarts > 0 ? "silent" : "starting"
        }
        let reason = isReady ? "" : waiting ?? status.string("reason") ?? ""
        return ClusterDeployment.Process(
            name: Fields(pod["metadata"]).string("name") ?? "", state: state, restarts: restarts,
            reason: reason)
    }

    // MARK: Changing

    package func scale(_ name: String, namespace: String, to count: Int) async throws -> String? {
        let scaler = Self.list("autoscaling/v2", "horizontalpodautoscalers", namespace)
        do {
            let found = try await client.get("\(scaler)/\(name)")
            if isOwn(found, name) {
                return "an autoscaler says how many replicas deployment \(name) has; deploy it with another "
                    + DeployPlan.maxReplicas
            }
        } catch let error as KubernetesError where error.isNotFound {
            // Nobody else scales it.
        }
        let path = "\(Self.list("apps/v1", "deployments", namespace))/\(name)"
        for attempt in 1...Self.conflictTries {
            let known = try await client.get(path)
            guard isOwn(known, name), var members = known.objectValue else {
                return "deployment \(name) is not Martlet's"
            }
            var spec = members["spec"]?.objectValue ?? [:]
            spec["replicas"] = .int(count)
            members["spec"] = .object(spec)
            do {
                _ = try await client.replace(path, .object(members))
                return nil
            } catch let error as KubernetesError where error.isConflict && attempt < Self.conflictTries {
                try await Task.sleep(for: Self.pause)
            }
        }
        return nil
    }

    package func delete(_ name: String, namespace: String) async throws {
        // The Deployment goes last: as long as it is there, the rest is found again.
        for (_, group, resource) in DeployRenderer.optional {
            try await remove("\(Self.list(group, resource, namespace))/\(name)", name)
        }
        try await remove("\(Self.list("v1", "services", namespace))/\(name)", name)
        try await remove("\(Self.list("apps/v1", "deployments", namespace))/\(name)", name)
    }

    private func remove(_ path: String, _ name: String) async throws {
        do {
            let known = try await client.get(path)
            guard isOwn(known, name) else { return }
            try await client.delete(path, uid: known["metadata"]?["uid"]?.stringValue)
        } catch let error as KubernetesError where error.isNotFound {
            return
        }
    }
}
