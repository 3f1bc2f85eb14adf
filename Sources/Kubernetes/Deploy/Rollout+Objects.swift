// What a roll-out lays into the cluster: the Deployment, the values that its pods read, and what stands beside.

import Scheduling
import Text
import WorkflowLanguage

extension Rollout {
    /// - Returns: the Deployment.
    func apply(_ plan: DeployPlan, _ objects: [JSONValue]) async throws -> JSONValue {
        let deployment = try await put(deployment: objects[0], plan)
        for object in objects.dropFirst() { try await put(object, plan) }
        let kinds = Set(objects.compactMap { $0["kind"]?.stringValue })
        for (kind, group, resource) in DeployRenderer.optional where !kinds.contains(kind) {
            try await remove("\(path(group, resource))/\(plan.name)", plan)
        }
        return deployment
    }

    // MARK: The Deployment

    private func put(deployment: JSONValue, _ plan: DeployPlan) async throws -> JSONValue {
        let template = deployment["spec"]?["template"] ?? .null
        let values = values(template)
        let wanted = deployment.setting("spec", "template", values.leading(template))
        do {
            let made = try await client.create(deployments, with(wanted, plan, revision: 1, after: nil))
            // Its pods wait for the moment until these are there, too.
            try await keep(values.entries, plan, made)
            return made
        } catch let error as KubernetesError where error.isAlreadyThere {
            let known = try await client.get("\(deployments)/\(plan.name)")
            try checkOwn(known, plan)
            try await keep(values.entries, plan, known)
            // An earlier process of this launch has done it.
            if note(known, DeployMarks.launch) == identity { return known }
            let revision = note(known, DeployMarks.revision).flatMap { Int($0) } ?? 1
            var changed = with(wanted, plan, revision: revision + 1, after: known)
            changed = changed.setting(
                "metadata", "resourceVersion", known["metadata"]?["resourceVersion"])
            // How many there are is the autoscaler's to say, where there is one; but none is not its word.
            if let largest = plan.largest {
                let count = max(plan.replicas, known["spec"]?["replicas"]?.intValue ?? plan.replicas)
                changed = changed.setting("spec", "replicas", .int(min(count, largest)))
            }
            return try await client.replace("\(deployments)/\(plan.name)", changed)
        }
    }

    /// The pods' template that has served: the one that stands there, if it ever came up, else the one that
    /// it was to replace; nil when none has.
    private func lastGood(_ known: JSONValue) -> JSONValue? {
        cameUp(known) ? known["spec"]?["template"] : template(noted: known)
    }

    private func cameUp(_ known: JSONValue) -> Bool {
        note(known, DeployMarks.failure) == nil && RolloutVerdict(known) == .complete
            || note(known, DeployMarks.ready) != nil
    }

    /// - Parameter known: what is replaced; nil for a first revision.
    private func with(
        _ deployment: JSONValue, _ plan: DeployPlan, revision: Int, after known: JSONValue?
    ) -> JSONValue {
        var notes: [String: String?] = [
            DeployMarks.revision: String(revision), DeployMarks.begun: now().rfc3339,
            DeployMarks.about: about(plan, revision: revision).compactText,
        ]
        if let known {
            // What serves now, or served last.
            let served = note(known, cameUp(known) ? DeployMarks.about : DeployMarks.served)
            if let served { notes[DeployMarks.served] = served }
        }
        let text = known.flatMap(lastGood)?.compactText ?? ""
        if !text.isEmpty && text.utf8.count <= DeployMarks.previousLimitBytes {
            notes[DeployMarks.previous] = text
        }
        return deployment.noting(notes)
    }

    private func about(_ plan: DeployPlan, revision: Int) -> JSONValue {
        [
            "revision": .int(revision),
            "model": .string(plan.bringsModel ? "from \(launch.workflowName)" : plan.model),
            "modelHash": .string(modelHash),
            "quant": .string(plan.step.value("quant")?.scalarText ?? "stored"),
            "workflow": .string(launch.workflowName), "workflowUID": .string(launch.key.workflowUID),
            "url": .string(plan.host.map { "http://\($0)/v1" } ?? address(plan)),
        ]
    }

    func address(_ plan: DeployPlan) -> String {
        let host = DeployRenderer.serviceHost(plan.name, namespace: launch.namespace)
        return "http://\(host):\(DeployRenderer.servicePort)/v1"
    }

    // MARK: Values

    /// ConfigMaps and Secrets of the run, for pods that outlive it: the Deployment owns them, and each launch
    /// has its own, so that what is gone back to finds its former ones.
    private func keep(_ entries: [RunValues.Entry], _ plan: DeployPlan, _ deployment: JSONValue) async throws
    {
        guard !entries.isEmpty else { return }
        let owner: JSONValue = [
            "apiVersion": "apps/v1", "kind": "Deployment", "name": .string(plan.name),
            "uid": deployment["metadata"]?["uid"] ?? .null,
        ]
        for entry in entries {
            let object = RunValues.object(
                entry, workflow: launch.workflowName, uid: launch.key.workflowUID,
                namespace: launch.namespace, owner: nil, settings: settings)
            let metadata: JSONValue = [
                "name": .string(entry.clusterName), "namespace": .string(launch.namespace),
                "labels": DeployRenderer(settings).labels(plan),
                "annotations": ["martlet.dev/defined-as": .string(entry.name)], "ownerReferences": [owner],
            ]
            var members = object.objectValue ?? [:]
            members["metadata"] = metadata
            do {
                _ = try await client.create(
                    path("v1", entry.isSecret ? "secrets" : "configmaps"), .object(members))
            } catch let error as KubernetesError where error.isAlreadyThere {
                // An earlier process of this launch made it.
            }
        }
    }

    // MARK: Beside it

    private func put(_ object: JSONValue, _ plan: DeployPlan) async throws {
        let kind = object["kind"]?.stringValue ?? ""
        let found = DeployRenderer.optional.first { $0.kind == kind }
        let list = path(found?.group ?? "v1", found?.resource ?? "services")
        do {
            _ = try await client.create(list, object)
        } catch let error as KubernetesError where error.isAlreadyThere {
            let known = try await client.get("\(list)/\(plan.name)")
            try checkOwn(known, plan)
            // A Service is always the same, and has an address that must not change.
            guard found != nil else { return }
            let version = known["metadata"]?["resourceVersion"]
            _ = try await client.replace(
                "\(list)/\(plan.name)", object.setting("metadata", "resourceVersion", version))
        }
    }

    private func remove(_ path: String, _ plan: DeployPlan) async throws {
        do {
            let known = try await client.get(path)
            guard isOwn(known, plan) else { return }
            try await client.delete(path)
        } catch let error as KubernetesError where error.isNotFound {
            return
        }
    }

    private func isOwn(_ object: JSONValue, _ plan: DeployPlan) -> Bool {
        let labels = Fields(object["metadata"]).textMap("labels")
        return labels[PodMarks.managedBy] == "martlet" && labels[DeployMarks.deployment] == plan.name
            && labels[PodMarks.instance] == PodNames.label(settings.instance)
    }

    private func checkOwn(_ object: JSONValue, _ plan: DeployPlan) throws {
        if isOwn(object, plan) { return }
        let labels = Fields(object["metadata"]).textMap("labels")
        let isOther = labels[PodMarks.managedBy] == "martlet" && labels[DeployMarks.deployment] != nil
        let owner =
            isOther
            ? "belongs to the installation \"\(labels[PodMarks.instance] ?? "")\" of Martlet"
            : "is not Martlet's"
        throw Failure(
            message:
                "the \(object["kind"]?.stringValue ?? "object") \(plan.name) is there already and \(owner); give "
                + "the deployment another name")
    }
}
