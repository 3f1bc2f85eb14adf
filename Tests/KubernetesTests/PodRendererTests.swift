// Launches as pods: what the manifest says, what is added, and what is refused.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Pods of templates")
struct PodRendererTests {
    static let settings: PodSettings = {
        var settings = PodSettings(stepImage: "martlet:test")
        settings.serverURL = "http://martlet:2747"
        return settings
    }()

    static func launch(_ template: JSONValue, attempt: Int = 0) -> Launch {
        let template = Template(template)
        return Launch(
            key: AttemptKey(workflowUID: "u-1", nodeID: "w-1", attempt: attempt), workflowName: "w",
            namespace: "ml", nodeName: "w.step", podName: "w-step-1", template: template,
            inputs: template.inputs)
    }

    private func pod(_ template: JSONValue, _ settings: PodSettings = PodRendererTests.settings) throws
        -> JSONValue
    {
        try PodRenderer(settings).pod(for: Self.launch(template), owner: nil, token: "t")
    }

    private func main(_ pod: JSONValue) -> JSONValue {
        pod["spec"]?["containers"]?.arrayValue?.first { $0["name"] == "main" } ?? .null
    }

    @Test("A container that gives nothing is run as it is, without anything of ours beside it")
    func plainContainerStaysPlain() throws {
        let pod = try pod([
            "name": "step", "container": ["image": "busybox", "command": ["echo"], "args": ["hi"]],
        ])
        #expect(main(pod)["command"] == ["echo"])
        #expect(main(pod)["args"] == ["hi"])
        #expect(pod["spec"]?["initContainers"] == nil)
        #expect(pod["spec"]?["restartPolicy"] == "Never")
        #expect(pod["spec"]?["automountServiceAccountToken"] == false)
        #expect(PodMarks.key(of: pod) == AttemptKey(workflowUID: "u-1", nodeID: "w-1", attempt: 0))
    }

    @Test("The same launch is the same pod, and the next launch of its node another")
    func namesAreStable() throws {
        let template: JSONValue = ["name": "step", "container": ["image": "x", "command": ["true"]]]
        let first = try pod(template)
        #expect(try pod(template).compactText == first.compactText)
        #expect(PodNames.pod(Self.launch(template)) == "w-step-1")
        #expect(PodNames.pod(Self.launch(template, attempt: 2)) == "w-step-1-2")
    }

    @Test(
        "Names are such as Kubernetes takes",
        arguments: [
            ("Train_A", "train-a"), ("x", "x"), ("a.b-c", "a.b-c"), ("-a-", "a"), ("ä", "x"),
        ])
    func namesAreAllowed(given: String, name: String) {
        #expect(PodNames.dnsName(given) == name)
    }

    @Test("A label that is too long ends in a hash, and stays a label")
    func labelsAreShort() {
        let long = String(repeating: "a", count: 80)
        #expect(PodNames.label(long).utf8.count == 63)
        #expect(PodNames.label(long) != PodNames.label(long + "b"))
        #expect(PodNames.label("a b").hasPrefix("a_b-"))
        #expect(PodNames.label("v1.2_x") == "v1.2_x")
    }

    @Test("An output is taken by the supervisor, and sent by a sidecar of the step image")
    func outputsAreTaken() throws {
        let pod = try pod([
            "name": "step", "container": ["image": "x", "command": ["run"]],
            "outputs": [
                "parameters": [["name": "loss", "valueFrom": ["path": "/loss"]]],
                "artifacts": [["name": "model", "path": "/model"]],
            ],
        ])
        let words = main(pod)["command"]?.arrayValue?.compactMap(\.stringValue) ?? []
        #expect(words.first == PodRenderer.supervisor)
        #expect(words.contains("loss=/loss") && words.contains("model=/model") && words.contains("--saved"))
        #expect(main(pod)["args"] == ["run"])
        let initial = pod["spec"]?["initContainers"]?.arrayValue ?? []
        #expect(initial.map { $0["name"] } == ["martlet-init", "martlet-save"])
        #expect(initial.last?["restartPolicy"] == "Always")
    }

    @Test("Without a server a result travels in the termination message, and an artifact is refused in words")
    func withoutServer() throws {
        var settings = Self.settings
        settings.serverURL = nil
        let template: JSONValue = [
            "name": "step", "container": ["image": "x", "command": ["run"]],
            "outputs": ["parameters": [["name": "loss", "valueFrom": ["path": "/loss"]]]],
        ]
        #expect(try pod(template, settings)["spec"]?["initContainers"]?.arrayValue?.count == 1)
        let artifacts: JSONValue = [
            "name": "step", "container": ["image": "x", "command": ["run"]],
            "outputs": ["artifacts": [["name": "model", "path": "/model"]]],
        ]
        #expect {
            try pod(artifacts, settings)
        } throws: {
            "\($0)".contains("artifact \"model\"") && "\($0)".contains("--step-url")
        }
    }

    @Test(
        "A GPU of any vendor brings its toleration and shared memory",
        arguments: [
            ("nvidia.com/gpu", "nvidia.com/gpu"), ("amd.com/gpu", "amd.com/gpu"),
            ("huawei.com/Ascend910", "huawei.com/Ascend910"), ("nvidia.com/mig-1g.5gb", "nvidia.com/gpu"),
            ("google.com/tpu", "google.com/tpu"),
        ])
    func acceleratorsAreServed(resource: String, taint: String) throws {
        let pod = try pod([
            "name": "step",
            "container": ["image": "x", "command": ["t"], "resources": ["requests": .object([resource: 1])]],
        ])
        #expect(pod["spec"]?["tolerations"]?.arrayValue?.first?["key"]?.stringValue == taint)
        #expect(main(pod)["resources"]?["limits"]?[resource] == "1")
        let mounts = main(pod)["volumeMounts"]?.arrayValue ?? []
        #expect(mounts.contains { $0["mountPath"] == "/dev/shm" })
    }

    @Test(
        "Devices that compute nothing bring no shared memory, and those that a claim hands out do",
        arguments: [
            (["limits": ["smarter-devices/fuse": "1"]], false),
            (["limits": ["devices.kubevirt.io/kvm": "1"]], false),
            (["limits": ["rdma/hca_shared_devices_a": "1"]], false),
            (["limits": ["aws.amazon.com/neuroncore": "1"]], true),
            (["limits": ["gpu.intel.com/xe": "1"]], true),
            (["limits": ["cambricon.com/mlu370.smlu.vcore": "1"]], true),
            (["limits": ["volcano.sh/vgpu-number": "1"]], true),
            (["claims": [["name": "gpu"]]], true),
        ] as [(JSONValue, Bool)])
    func sharedMemory(resources: JSONValue, isThere: Bool) throws {
        let pod = try pod([
            "name": "step", "container": ["image": "x", "command": ["t"], "resources": resources],
            "resourceClaims": [["name": "gpu", "resourceClaimTemplateName": "one-gpu"]],
        ])
        let mounts = main(pod)["volumeMounts"]?.arrayValue ?? []
        #expect(mounts.contains { $0["mountPath"] == "/dev/shm" } == isThere)
        let volumes = pod["spec"]?["volumes"]?.arrayValue ?? []
        #expect(volumes.contains { $0["emptyDir"]?["medium"] == "Memory" } == isThere)
        #expect(main(pod)["resources"]?["claims"] == resources["claims"])
    }

    @Test("No label says for ever that a pod is at work")
    func labelsAreTrue() throws {
        let pod = try pod(["name": "step", "container": ["image": "x", "command": ["t"]]])
        #expect(pod["metadata"]?["labels"]?["workflows.argoproj.io/completed"] == nil)
        #expect(pod["metadata"]?["labels"]?["workflows.argoproj.io/workflow"] == "w")
    }

    static let forbidden: [(context: JSONValue, word: String)] = [
        (["privileged": true], "privileged"), (["runAsUser": 0], "runAsUser: 0"),
        (["capabilities": ["add": ["SYS_ADMIN"]]], "SYS_ADMIN"),
        (["allowPrivilegeEscalation": true], "allowPrivilegeEscalation"),
    ]

    @Test(
        "What restricted pods may not do is refused by name, and allowed when asked for outright",
        arguments: forbidden)
    func restrictedIsKept(context: JSONValue, word: String) throws {
        let template: JSONValue = [
            "name": "step", "container": ["image": "x", "command": ["t"], "securityContext": context],
        ]
        #expect { try pod(template) } throws: { "\($0)".contains(word) }
        var settings = Self.settings
        settings.security = .privileged
        #expect(throws: Never.self) { try pod(template, settings) }
    }

    @Test("podSpecPatch of the template is laid over all the rest")
    func patchIsApplied() throws {
        let pod = try pod([
            "name": "step", "container": ["image": "x", "command": ["t"]],
            "podSpecPatch": "containers:\n- name: main\n  resources: {limits: {memory: 2Gi}}\nnodeName: n7\n",
        ])
        #expect(pod["spec"]?["nodeName"] == "n7")
        #expect(main(pod)["resources"]?["limits"]?["memory"] == "2Gi")
        #expect(main(pod)["command"] == ["t"])
    }

    @Test("A set keeps its order by the supervisor")
    func setsKeepOrder() throws {
        let pod = try pod([
            "name": "step",
            "containerSet": [
                "containers": [
                    ["name": "a", "image": "x", "command": ["a"]],
                    ["name": "main", "image": "x", "command": ["b"], "dependencies": ["a"]],
                ]
            ],
        ])
        let words = main(pod)["command"]?.arrayValue?.compactMap(\.stringValue) ?? []
        #expect(words.contains("--after") && words.contains("a"))
    }

    @Test("A set of one container that is to be tried again is tried again by the supervisor")
    func setsRetry() throws {
        let pod = try pod([
            "name": "step",
            "containerSet": [
                "containers": [["name": "a", "image": "x", "command": ["a"]]],
                "retryStrategy": ["retries": 2, "duration": "5s"],
            ],
        ])
        let words = pod["spec"]?["containers"]?.arrayValue?.first?["command"]?.arrayValue ?? []
        #expect(words.contains("--retries") && words.contains("5000"))
    }

    @Test("A script is no argument: it lies in an annotation that is mounted")
    func scriptsAreMounted() throws {
        let pod = try pod([
            "name": "step", "script": ["image": "x", "command": ["sh"], "source": "echo $(date) {{x}}"],
        ])
        #expect(pod["metadata"]?["annotations"]?["martlet.dev/script"] == "echo $(date) {{x}}")
        #expect(main(pod)["args"] == [.string(PodRenderer.scriptFile)])
    }

    static let impossible: [(template: JSONValue, words: String)] = [
        (["name": "s", "container": ["command": ["x"]]], "no image"),
        (
            [
                "name": "s",
                "container": [
                    "image": "x", "command": ["x"], "volumeMounts": [["name": "v", "mountPath": "/v"]],
                ],
            ], "no volume is named \"v\""
        ),
        (
            [
                "name": "s", "container": ["image": "x"],
                "outputs": ["artifacts": [["name": "a", "path": "/a"]]],
            ], "has no command"
        ),
    ]

    @Test("What no pod can be is said in words", arguments: impossible)
    func refusals(template: JSONValue, words: String) {
        #expect { try pod(template) } throws: { "\($0)".contains(words) }
    }
}
