// Steps on several nodes as objects of a cluster: what is the same in all pods, and what tells them apart.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Groups of templates")
struct GroupRendererTests {
    static func template(_ more: [String: JSONValue] = [:], labels: JSONValue = [:]) -> JSONValue {
        let own: [String: JSONValue] = [
            "name": "step",
            "metadata": [
                "annotations": ["martlet.dev/nodes": "3", "martlet.dev/procs-per-node": "8"],
                "labels": labels,
            ],
            "container": [
                "image": "torch", "command": ["torchrun", "train.py"],
                "env": [["name": "WHO", "value": "$(NODE_RANK)"]],
            ],
        ]
        return .object(own.merging(more) { $1 })
    }

    /// A launch as the scheduler makes it, with what the template's metadata says.
    static func launch(_ template: JSONValue, attempt: Int = 0) -> Launch {
        var launch = PodRendererTests.launch(template, attempt: attempt)
        launch.labels = launch.template.metadata.labels
        launch.annotations = launch.template.metadata.annotations
        return launch
    }

    private func objects(_ template: JSONValue) throws -> (service: JSONValue, job: JSONValue) {
        let launch = Self.launch(template)
        let group = try #require(try NodeGroup(launch.template))
        return try GroupRenderer(PodRendererTests.settings).objects(
            for: launch, group: group, owner: RunOwner(name: "run", uid: "u"), token: "t")
    }

    private func environment(_ container: JSONValue?) -> [JSONValue] { container?["env"]?.arrayValue ?? [] }

    private func value(_ name: String, _ container: JSONValue?) -> JSONValue? {
        environment(container).first { $0["name"]?.stringValue == name }
    }

    @Test("A group is one Indexed Job whose pods find each other by a headless Service")
    func shape() throws {
        let (service, job) = try objects(Self.template())
        #expect(service["metadata"]?["name"] == "w-step-1" && job["metadata"]?["name"] == "w-step-1")
        #expect(
            service["spec"]?["clusterIP"] == "None" && service["spec"]?["publishNotReadyAddresses"] == true)
        #expect(service["spec"]?["selector"] == ["martlet.dev/group": "w-step-1"])
        let spec = try #require(job["spec"])
        #expect(spec["completionMode"] == "Indexed" && spec["completions"] == 3 && spec["parallelism"] == 3)
        #expect(spec["backoffLimit"] == 0 && spec["suspend"] == nil)
        let template = try #require(spec["template"])
        #expect(template["metadata"]?["labels"]?["martlet.dev/group"] == "w-step-1")
        #expect(template["spec"]?["subdomain"] == "w-step-1")
        #expect(template["spec"]?["restartPolicy"] == "Never")
        #expect(PodMarks.key(of: job) == AttemptKey(workflowUID: "u-1", nodeID: "w-1", attempt: 0))
        #expect(PodMarks.key(of: template) == PodMarks.key(of: job), "pods are found by the same marks")
        for object in [service, job] {
            #expect(object["metadata"]?["ownerReferences"]?.arrayValue?.first?["name"] == "run")
        }
        #expect(try objects(Self.template()).job.compactText == job.compactText)
    }

    @Test("Each pod is told its rank, how many there are, and where rank 0 listens, before its own variables")
    func variables() throws {
        let job = try objects(Self.template()).job
        let main = job["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?.first
        for name in ["NODE_RANK", "PET_NODE_RANK"] {
            #expect(
                value(name, main)?["valueFrom"]?["fieldRef"]?["fieldPath"]
                    == "metadata.annotations['batch.kubernetes.io/job-completion-index']")
        }
        let values = [
            "NNODES": "3", "NPROC_PER_NODE": "8", "MASTER_ADDR": "w-step-1-0.w-step-1",
            "MASTER_PORT": "29500",
        ]
        for (name, text) in values {
            #expect(value(name, main)?["value"]?.stringValue == text)
            #expect(value("PET_" + name, main)?["value"]?.stringValue == text)
        }
        let names = environment(main).compactMap { $0["name"]?.stringValue }
        let (rank, own) = (names.firstIndex(of: "NODE_RANK"), names.firstIndex(of: "WHO"))
        #expect(try #require(rank) < #require(own), "$(NODE_RANK) is only replaced by what stands before")
        #expect(Set(names).count == names.count)
    }

    @Test("A queue's label makes the Job wait for Kueue, and is no matter of its pods")
    func queue() throws {
        let labels: JSONValue = [
            "kueue.x-k8s.io/queue-name": "team", "kueue.x-k8s.io/priority-class": "high", "a": "b",
        ]
        let job = try objects(Self.template(labels: labels)).job
        #expect(job["spec"]?["suspend"] == true)
        #expect(job["metadata"]?["labels"]?["kueue.x-k8s.io/queue-name"] == "team")
        #expect(job["metadata"]?["labels"]?["kueue.x-k8s.io/priority-class"] == "high")
        let own = job["spec"]?["template"]?["metadata"]?["labels"]
        #expect(own?["kueue.x-k8s.io/queue-name"] == nil && own?["kueue.x-k8s.io/priority-class"] == nil)
        #expect(own?["a"] == "b")
    }

    @Test("Outputs are taken from rank 0 only: who takes them knows its rank")
    func outputs() throws {
        let outputs: JSONValue = ["artifacts": [["name": "model", "path": "/out"]]]
        let job = try objects(Self.template(["outputs": outputs])).job
        let initial = job["spec"]?["template"]?["spec"]?["initContainers"]?.arrayValue ?? []
        let save = initial.first { $0["name"] == "martlet-save" }
        #expect(value("NODE_RANK", save)?["valueFrom"] != nil)
        #expect(value("NODE_RANK", initial.first { $0["name"] == "martlet-init" }) == nil)
    }

    @Test("The deadline is the group's, so that waiting in a queue does not use it up")
    func deadline() throws {
        var launch = Self.launch(Self.template())
        launch.deadlineSeconds = 90
        let group = try #require(try NodeGroup(launch.template))
        let job = try GroupRenderer(PodRendererTests.settings).objects(
            for: launch, group: group, owner: nil, token: "t"
        ).job
        #expect(job["spec"]?["activeDeadlineSeconds"] == 90)
        #expect(job["spec"]?["template"]?["spec"]?["activeDeadlineSeconds"] == nil)
    }

    @Test(
        "A group's name is one that hosts may have, the same for the same launch and no other's",
        arguments: [
            ("w-step-1", 0, "w-step-1"), ("w-step-1", 2, "w-step-1-2"), ("a.b", 0, nil), ("7up", 0, nil),
            (String(repeating: "x", count: 60), 0, nil),
        ] as [(String, Int, String?)])
    func names(podName: String, attempt: Int, expected: String?) {
        var launch = Self.launch(Self.template(), attempt: attempt)
        launch.podName = podName
        let name = GroupMarks.name(launch)
        if let expected { #expect(name == expected) }
        #expect("\(name)-999-abcde".utf8.count <= 63)
        #expect(!name.contains(".") && name.first?.isLetter == true)
        var other = launch
        other.podName += "y"
        #expect(GroupMarks.name(other) != name)
    }

    @Test("What Pod Security forbids is refused for groups as for pods")
    func security() {
        let container: JSONValue = [
            "image": "x", "command": ["x"], "securityContext": ["privileged": true],
        ]
        #expect(throws: PodProblem.self) { try objects(Self.template(["container": container])) }
    }

    @Test("Rendering shows a group's Service and Job, one node as a pod, and says what is wrong with others")
    func rendering() throws {
        func rendered(_ nodes: String) throws -> [String] {
            var members = Self.template().objectValue ?? [:]
            members["metadata"] = ["annotations": ["martlet.dev/nodes": .string(nodes)]]
            return try GroupRenderer(PodRendererTests.settings).rendered(
                Self.launch(.object(members)), owner: nil, token: "t"
            ).compactMap { $0["kind"]?.stringValue }
        }
        #expect(try rendered("2") == ["Service", "Job"])
        #expect(try rendered("1") == ["Pod"])
        #expect(throws: PodProblem.self) { try rendered("many") }
    }
}
