// What a run has in the cluster beside its pods: the object that owns everything, and claims.

package import Text
import WorkflowLanguage

package enum RunObjects {
    /// A ConfigMap that all other objects of the run hang on; deleting it deletes them.
    /// - Parameter dataMark: of the data directory that knows the run; nil where there is none.
    package static func owner(
        workflow: String, uid: String, namespace: String, settings: PodSettings, dataMark: String? = nil
    ) -> JSONValue {
        var labels = PodRenderer.runLabels(workflow: workflow, uid: uid, settings)
        labels[PodMarks.data] = dataMark
        return [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": .string(PodNames.runObject(workflow: workflow, uid: uid)),
                "namespace": .string(namespace),
                "labels": .object(labels.mapValues(JSONValue.string)),
                "annotations": [PodMarks.runID: .string(uid)],
            ],
            "data": ["workflow": .string(workflow)],
        ]
    }

    /// The claims of `volumeClaimTemplates`, kept until the run is deleted.
    package static func claims(
        _ templates: [JSONValue], workflow: String, uid: String, namespace: String, owner: RunOwner?,
        settings: PodSettings
    ) -> [JSONValue] {
        templates.compactMap { template in
            let fields = Fields(template["metadata"])
            guard let name = fields.text("name") else { return nil }
            var metadata: [String: JSONValue] = [
                "name": .string(PodNames.claim(workflow: workflow, template: name)),
                "namespace": .string(namespace),
            ]
            let own = fields.textMap("labels").mapValues(JSONValue.string)
            metadata["labels"] = PodSecurity.merged(.object(own), labels(workflow, uid, settings))
            var notes = fields["annotations"]?.objectValue ?? [:]
            notes[PodMarks.runID] = .string(uid)
            metadata["annotations"] = .object(notes)
            if let owner { metadata["ownerReferences"] = [owner.reference] }
            return [
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": .object(metadata),
                "spec": quantities(template["spec"]),
            ]
        }
    }

    private static func labels(_ workflow: String, _ uid: String, _ settings: PodSettings) -> JSONValue {
        .object(PodRenderer.runLabels(workflow: workflow, uid: uid, settings).mapValues(JSONValue.string))
    }

    /// Sizes are text in Kubernetes' schema.
    private static func quantities(_ spec: JSONValue?) -> JSONValue {
        guard var members = spec?.objectValue else { return spec ?? [:] }
        members["resources"] = members["resources"].map(quantities(ofResources:))
        return .object(members)
    }

    static func quantities(ofResources json: JSONValue) -> JSONValue {
        guard let resources = json.objectValue else { return json }
        return .object(
            resources.mapValues { table in
                guard let table = table.objectValue else { return table }
                return .object(table.mapValues { $0.scalarText.map(JSONValue.string) ?? $0 })
            })
    }

    /// `podDisruptionBudget` over all pods of the run; nil where the workflow has none.
    package static func disruptionBudget(
        _ podSettings: JSONValue, workflow: String, uid: String, namespace: String, owner: RunOwner?,
        settings: PodSettings
    ) -> JSONValue? {
        guard var spec = podSettings["podDisruptionBudget"]?.objectValue, !spec.isEmpty else { return nil }
        if spec["selector"] == nil {
            spec["selector"] = ["matchLabels": [PodMarks.runID: .string(PodNames.label(uid))]]
        }
        var metadata: [String: JSONValue] = [
            "name": .string(PodNames.runObject(workflow: workflow, uid: uid)),
            "namespace": .string(namespace), "labels": labels(workflow, uid, settings),
        ]
        if let owner { metadata["ownerReferences"] = [owner.reference] }
        return [
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": .object(metadata),
            "spec": .object(spec),
        ]
    }
}
