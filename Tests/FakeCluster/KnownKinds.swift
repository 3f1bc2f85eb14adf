// Which kinds the API has, for clients that look up a kind's path; others are taken as they come.

import Text

enum KnownKinds {
    private struct Kind {
        var name: String
        var plural: String
        var isNamespaced = true
    }

    private static func kinds(_ names: [(String, String)]) -> [Kind] {
        names.map { Kind(name: $0.0, plural: $0.1) }
    }

    /// By group and version as `apiVersion` has them.
    private static let all: [String: [Kind]] = [
        "v1": kinds([
            ("Pod", "pods"), ("ConfigMap", "configmaps"), ("Secret", "secrets"), ("Service", "services"),
            ("PersistentVolumeClaim", "persistentvolumeclaims"), ("Event", "events"),
            ("ServiceAccount", "serviceaccounts"),
        ]) + [
            Kind(name: "Namespace", plural: "namespaces", isNamespaced: false),
            Kind(name: "Node", plural: "nodes", isNamespaced: false),
        ],
        "apps/v1": kinds([
            ("Deployment", "deployments"), ("ReplicaSet", "replicasets"), ("StatefulSet", "statefulsets"),
        ]),
        "batch/v1": kinds([("Job", "jobs"), ("CronJob", "cronjobs")]),
        "autoscaling/v2": kinds([("HorizontalPodAutoscaler", "horizontalpodautoscalers")]),
        "policy/v1": kinds([("PodDisruptionBudget", "poddisruptionbudgets")]),
        "networking.k8s.io/v1": kinds([("Ingress", "ingresses"), ("NetworkPolicy", "networkpolicies")]),
        "coordination.k8s.io/v1": kinds([("Lease", "leases")]),
        "jobset.x-k8s.io/v1alpha2": kinds([("JobSet", "jobsets")]),
        "kubeflow.org/v1": kinds([("PyTorchJob", "pytorchjobs")]),
        "trainer.kubeflow.org/v1alpha1": kinds([("TrainJob", "trainjobs")]),
        "argoproj.io/v1alpha1": kinds([("Workflow", "workflows"), ("WorkflowTemplate", "workflowtemplates")]),
    ]

    /// The name of a kind by its plural; nil for one that is not known.
    static func name(_ plural: String, in version: String) -> String? {
        all[version]?.first { $0.plural == plural }?.name
    }

    /// The answer to `/version`, `/api`, `/apis`, `/apis/GROUP`, `/api/v1` and `/apis/GROUP/VERSION`; nil for other
    /// paths.
    /// - Parameter hidden: names of kinds that are not there.
    static func discovery(_ path: String, without hidden: Set<String> = []) -> JSONValue? {
        let parts = path.split(separator: "/").map(String.init)
        switch (parts.first, parts.count) {
        case ("version", 1): return ["major": "1", "minor": "36", "gitVersion": "v1.36.0-fake"]
        case ("api", 1): return ["kind": "APIVersions", "versions": ["v1"]]
        case ("apis", 1):
            let groups = all.keys.filter { $0.contains("/") }.sorted().map(group)
            return ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups)]
        case ("apis", 2):
            return all.keys.filter { $0.hasPrefix(parts[1] + "/") }.min().map { version in
                group(version).setting(["kind"], to: "APIGroup").setting(["apiVersion"], to: "v1")
            }
        case ("api", 2): return list(parts[1], hidden)
        case ("apis", 3): return list("\(parts[1])/\(parts[2])", hidden)
        default: return nil
        }
    }

    private static func group(_ version: String) -> JSONValue {
        let words = version.split(separator: "/").map { JSONValue.string(String($0)) }
        let entry: JSONValue = ["groupVersion": .string(version), "version": words[1]]
        return ["name": words[0], "versions": [entry], "preferredVersion": entry]
    }

    private static func list(_ version: String, _ hidden: Set<String>) -> JSONValue? {
        all[version].map { kinds in
            let verbs: JSONValue = ["create", "delete", "get", "list", "patch", "update", "watch"]
            let resources = kinds.filter { !hidden.contains($0.name) }.map { kind -> JSONValue in
                [
                    "name": .string(kind.plural), "kind": .string(kind.name),
                    "singularName": .string(kind.name.lowercased()), "namespaced": .bool(kind.isNamespaced),
                    "verbs": verbs,
                ]
            }
            return [
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(version),
                "resources": .array(resources),
            ]
        }
    }
}
