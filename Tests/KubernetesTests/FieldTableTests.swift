// Every field that Argo knows of workflows and templates, and what becomes of it on a cluster: it stands in
// the pod or beside it, or somebody else does what it says. A field that is new in the schema fails here first.

import Scheduling
import Testing
import Text

@testable import Kubernetes
@testable import WorkflowLanguage

@Suite("Fields on a cluster")
struct FieldTableTests {
    enum Treatment: Sendable {
        /// It stands in the pod's specification at that place; the same value if none is given.
        case pod(JSONValue, at: String, as: JSONValue? = nil)
        /// It makes an object of that kind beside the pods.
        case object(JSONValue, kind: String)
        /// The engine does what it says, wherever steps run.
        case engine
        /// A test of its own shows it.
        case shown(String)
        /// It has nothing to say here, and why.
        case empty(String)
        /// It is refused, in words that have this text.
        case refused(JSONValue, text: String)
    }

    static let shared: [String: Treatment] = [
        "affinity": .pod(["podAffinity": ["x": 1]], at: "affinity"),
        "automountServiceAccountToken": .pod(true, at: "automountServiceAccountToken"),
        "dnsConfig": .pod(["searches": ["a"]], at: "dnsConfig"), "dnsPolicy": .pod("Default", at: "dnsPolicy"),
        "executor": .empty("nothing of Martlet's in a pod calls the API, so that it needs no account"),
        "hostAliases": .pod([["ip": "10.0.0.1", "hostnames": ["a"]]], at: "hostAliases"),
        "hostNetwork": .refused(true, text: "hostNetwork"),
        "imagePullSecrets": .pod([["name": "s"]], at: "imagePullSecrets"),
        "nodeSelector": .pod(["zone": "a"], at: "nodeSelector"),
        "podResources": .pod(["limits": ["cpu": 2]], at: "resources", as: ["limits": ["cpu": "2"]]),
        "podSpecPatch": .pod(#"{"runtimeClassName": "kata"}"#, at: "runtimeClassName", as: "kata"),
        "resourceClaims": .pod([["name": "c", "resourceClaimName": "d"]], at: "resourceClaims"),
        "schedulerName": .pod("volcano", at: "schedulerName"),
        "securityContext": .pod(["fsGroup": 7], at: "securityContext.fsGroup", as: 7),
        "serviceAccountName": .pod("robot", at: "serviceAccountName"),
        "tolerations": .pod([["key": "k", "operator": "Exists"]], at: "tolerations"),
        "volumes": .pod([["name": "v", "emptyDir": [:]]], at: "volumes.0"),
        "retryStrategy": .shown("nodeAntiAffinity; the rest is the engine's"),
        "metrics": .engine, "parallelism": .engine, "synchronization": .engine, "activeDeadlineSeconds": .engine,
    ]

    static let ofSpec: [String: Treatment] = [
        "podDisruptionBudget": .object(["minAvailable": 1], kind: "PodDisruptionBudget"),
        "podGC": .shown("PodGarbageTests"), "podMetadata": .shown("podMetadata"),
        "podPriorityClassName": .pod("high", at: "priorityClassName"),
        "volumeClaimTemplates": .object(
            [["metadata": ["name": "w"], "spec": ["accessModes": ["ReadWriteOnce"]]]],
            kind: "PersistentVolumeClaim"), "volumeClaimGC": .shown("claims"),
        "artifactRepositoryRef": .empty("key-only artifacts lie in Martlet's own store, whichever is named"),
        "artifactGC": .engine, "entrypoint": .engine, "templates": .engine, "arguments": .engine,
        "workflowTemplateRef": .engine, "templateDefaults": .engine, "hooks": .engine, "onExit": .engine,
        "suspend": .engine, "shutdown": .engine, "priority": .engine, "ttlStrategy": .engine,
        "archiveLogs": .engine, "workflowMetadata": .engine,
        "executorPlugins": .empty("refused by the check of manifests, which knows no plugins"),
    ]

    static let ofTemplate: [String: Treatment] = [
        "container": .shown("PodRendererTests"), "script": .shown("PodRendererTests"),
        "containerSet": .shown("PodRendererTests"), "sidecars": .shown("PodRendererTests"),
        "initContainers": .pod(
            [["name": "i", "image": "x", "command": ["true"]]], at: "initContainers.0.name", as: "i"),
        "resource": .shown("ResourceStepTests"), "metadata": .shown("podMetadata"),
        "priorityClassName": .pod("high", at: "priorityClassName"),
        "archiveLocation": .engine, "annotations": .engine, "dag": .engine, "steps": .engine, "data": .engine,
        "http": .engine, "suspend": .engine, "daemon": .engine, "failFast": .engine, "inputs": .engine,
        "outputs": .engine, "memoize": .engine, "name": .engine, "timeout": .engine, "pendingTimeout": .engine,
        "plugin": .empty("refused by the check of manifests"),
    ]

    private static func known(_ type: String, but steps: Set<String> = []) -> Set<String> {
        let fields = SchemaTable.shared.objects[type] ?? [:]
        return Set(
            fields.compactMap { name, type in
                if case .removed = type { return nil }
                return steps.contains(name) ? nil : name
            })
    }

    @Test("Each field of the schema has a row, and each row a field")
    func tableIsWhole() {
        let spec = Self.known("WorkflowSpec")
        let template = Self.known("Template", but: Set(MartletStep.Kind.allCases.map(\.rawValue)))
        #expect(spec.count > 40 && template.count > 35)
        for name in spec { #expect(Self.ofSpec[name] ?? Self.shared[name] != nil, "spec.\(name)") }
        for name in template { #expect(Self.ofTemplate[name] ?? Self.shared[name] != nil, "template.\(name)") }
        for name in Self.ofSpec.keys { #expect(spec.contains(name), "spec.\(name)") }
        for name in Self.ofTemplate.keys { #expect(template.contains(name), "template.\(name)") }
        for name in Self.shared.keys { #expect(spec.union(template).contains(name), "\(name)") }
    }

    private static func rendering(_ spec: [String: JSONValue], _ template: [String: JSONValue]) -> WorkflowRendering {
        var step: [String: JSONValue] = [
            "name": "step", "container": ["image": "x", "command": ["true"]],
        ]
        step.merge(template) { $1 }
        var members: [String: JSONValue] = ["entrypoint": "step", "templates": [.object(step)]]
        members.merge(spec) { $1 }
        return WorkflowRendering(
            ["kind": "Workflow", "metadata": ["name": "w"], "spec": .object(members)],
            catalog: TemplateCatalog(), namespace: "ml", settings: PodRendererTests.settings)
    }

    private func check(_ name: String, _ treatment: Treatment, _ rendering: (JSONValue) -> WorkflowRendering) {
        switch treatment {
        case .pod(let value, let place, let wanted):
            let result = rendering(value)
            let pod = result.objects.first { $0["kind"] == "Pod" }
            let found = ObjectPath(place).value(in: pod?["spec"] ?? .null)
            #expect(found == wanted ?? value, "\(name): \(result.problems)")
        case .object(let value, let kind):
            #expect(rendering(value).objects.contains { $0["kind"] == .string(kind) }, "\(name)")
        case .refused(let value, let text):
            #expect(rendering(value).problems.first?.contains(text) == true, "\(name)")
        case .engine, .shown, .empty: break
        }
    }

    @Test("What a workflow says of its pods stands in them or beside them, or is refused")
    func workflowFields() {
        for (name, treatment) in Self.shared.merging(Self.ofSpec, uniquingKeysWith: { $1 })
        where SchemaTable.shared.objects["WorkflowSpec"]?[name] != nil {
            check(name, treatment) { Self.rendering([name: $0], [:]) }
        }
    }

    @Test("What a template says of its pod stands in it, or is refused")
    func templateFields() {
        for (name, treatment) in Self.shared.merging(Self.ofTemplate, uniquingKeysWith: { $1 })
        where SchemaTable.shared.objects["Template"]?[name] != nil {
            check(name, treatment) { Self.rendering([:], [name: $0]) }
        }
    }

    @Test("Labels and annotations for pods are on the pods, the template's before the workflow's")
    func podMetadata() {
        let rendering = Self.rendering(
            ["podMetadata": ["labels": ["a": "1", "b": "1"], "annotations": ["n": "1"]]],
            ["metadata": ["labels": ["b": "2"]]])
        let metadata = rendering.objects.first { $0["kind"] == "Pod" }?["metadata"]
        #expect(metadata?["labels"]?["a"] == "1")
        #expect(metadata?["labels"]?["b"] == "2")
        #expect(metadata?["annotations"]?["n"] == "1")
    }

    @Test("A new attempt leaves out the nodes where others failed, in every term of its affinity")
    func nodeAntiAffinity() throws {
        var launch = PodRendererTests.launch([
            "name": "step", "container": ["image": "x", "command": ["true"]],
            "retryStrategy": ["limit": 2, "affinity": ["nodeAntiAffinity": [:]]],
            "affinity": [
                "nodeAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        "nodeSelectorTerms": [
                            ["matchExpressions": [["key": "gpu", "operator": "Exists"]]], ["matchFields": []],
                        ]
                    ]
                ]
            ],
        ])
        launch.retryOrdinal = 1
        #expect(HostAvoidance.isWanted(launch))
        let pod = try PodRenderer(PodRendererTests.settings).pod(
            for: launch, owner: nil, token: "t", avoiding: ["n2", "n1"])
        let terms = ObjectPath(
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        ).value(in: pod)?.arrayValue
        let rule: JSONValue = ["key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n1", "n2"]]
        #expect(terms?.count == 2)
        #expect(terms?.allSatisfy { $0["matchExpressions"]?.arrayValue?.contains(rule) == true } == true)
    }
}
