// The parts of a step's preparation that are functions of their arguments: names, paths, environments,
// messages.

import Artifacts
import Glibc
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Executors

@Suite("Local executor: preparation")
struct LocalExecutorPreparationTests {
    private func launch() -> Launch {
        var launch = Launch(
            key: AttemptKey(workflowUID: "u", nodeID: "n", attempt: 0), workflowName: "wf", namespace: "ns",
            nodeName: "wf.n", podName: "wf-n", template: Template(["name": "t"]), inputs: Inputs())
        launch.labels = ["app": "x"]
        return launch
    }

    @Test(
        "$(NAME) is replaced as Kubernetes does it",
        arguments: [
            ("$(A)", "1"), ("x$(A)y$(B)z", "x1y2 3z"), ("$(NONE)", "$(NONE)"), ("$$(A)", "$(A)"),
            ("$A", "$A"),
            ("$(A", "$(A"), ("$", "$"), ("$$", "$"), ("", ""), ("$()", "$()"), ("$(A)$(A)", "11"),
        ])
    func expansion(text: String, expected: String) {
        var environment = StepEnvironment()
        environment.set("A", "1")
        environment.set("B", "2 3")
        #expect(environment.expand(text) == expected)
    }

    @Test("Variables come from values, ConfigMaps, Secrets and the pod, in Kubernetes' order")
    func environment() throws {
        let map: JSONValue = [
            "kind": "ConfigMap", "metadata": ["name": "m"], "data": ["K": "map", "L": "from"],
            "binaryData": ["B": "YWI="],
        ]
        let secret: JSONValue = ["kind": "Secret", "metadata": ["name": "s"], "data": ["P": "cGFzcw=="]]
        let values = LaunchValues(configMaps: ["m": KeyedValues(map)], secrets: ["s": KeyedValues(secret)])
        let container = Container([
            "envFrom": [
                ["prefix": "X_", "configMapRef": ["name": "m"]],
                ["secretRef": ["name": "no", "optional": true]],
            ],
            "env": [
                ["name": "ONE", "value": 1], ["name": "TWO", "value": "$(ONE)$(THREE)"],
                ["name": "P", "valueFrom": ["secretKeyRef": ["name": "s", "key": "P"]]],
                [
                    "name": "Q",
                    "valueFrom": ["configMapKeyRef": ["name": "m", "key": "no", "optional": true]],
                ],
                ["name": "POD", "valueFrom": ["fieldRef": ["fieldPath": "metadata.name"]]],
                ["name": "APP", "valueFrom": ["fieldRef": ["fieldPath": "metadata.labels['app']"]]],
                ["name": "CPU", "valueFrom": ["resourceFieldRef": ["resource": "limits.cpu"]]],
                ["name": "X_L", "value": "own"],
            ],
            "resources": ["limits": ["cpu": "1500m"]],
        ])
        var environment = StepEnvironment()
        try environment.add(container, facts: PodFacts(launch()), values: values)
        let expected = [
            "X_K": "map", "X_L": "own", "X_B": "ab", "ONE": "1", "TWO": "1$(THREE)", "P": "pass",
            "POD": "wf-n",
            "APP": "x", "CPU": "2",
        ]
        #expect(
            Dictionary(uniqueKeysWithValues: environment.variables.map { ($0.name, $0.value) }) == expected)
    }

    static let missingRows: [(JSONValue, String)] = [
        (
            ["env": [["name": "A", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]]]],
            "no Secret \"s\""
        ),
        (["envFrom": [["configMapRef": ["name": "m"]]]], "no ConfigMap \"m\""),
    ]

    @Test("A value that is not there is an error that names it", arguments: missingRows)
    func missingValues(container: JSONValue, words: String) {
        var environment = StepEnvironment()
        #expect {
            try environment.add(Container(container), facts: PodFacts(launch()), values: LaunchValues())
        } throws: { error in "\(error)".contains(words) }
    }

    @Test(
        "Paths become normal and never leave the root",
        arguments: [
            ("/a/b", "/a/b"), ("a", "/a"), ("/a/../../b/./c//", "/b/c"), ("/", "/"), ("", "/"), ("/..", "/"),
        ])
    func normalPaths(path: String, expected: String) {
        #expect(StepView.normal(path) == expected)
    }

    @Test(
        "A step's path leads to its root or the volume mounted over it, links included, and never elsewhere")
    func resolution() throws {
        let directory = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory + "/root/out")
        try Disk.makeDirectories(directory + "/volume/deep")
        var view = StepView(root: directory + "/root", isPlain: false)
        view.add(.init(target: "/mnt/v", source: directory + "/volume", readOnly: false))
        view.add(.init(target: "/mnt/v/deep", source: directory + "/other", readOnly: true))
        #expect(symlink("/etc", directory + "/root/absolute") == 0)
        #expect(symlink("../../../../etc", directory + "/root/out/relative") == 0)
        #expect(symlink("/mnt/v", directory + "/root/to-volume") == 0)
        #expect(symlink("loop", directory + "/root/loop") == 0)
        let rows = [
            ("/out/x", "/root/out/x"), ("/mnt/v/f", "/volume/f"), ("/mnt/v/deep/f", "/other/f"),
            ("/mnt/vx", "/root/mnt/vx"), ("/absolute/passwd", "/root/etc/passwd"),
            ("/out/relative/passwd", "/root/etc/passwd"), ("/to-volume/f", "/volume/f"),
            ("/out/../../../x", "/root/x"),
        ]
        for (path, expected) in rows { #expect(try view.resolve(path) == directory + expected) }
        #expect(try view.resolve("/absolute", followsLast: false) == directory + "/root/absolute")
        #expect(throws: ArtifactError.self) { try view.resolve("/loop/x") }
    }

    static let volumeRows: [(JSONValue, String)] = [
        (["name": "v", "emptyDir": [:]], "/d/runs/u/n/0/volumes/v"),
        (["name": "v", "hostPath": ["path": "/data"]], "/data"),
        (["name": "v", "persistentVolumeClaim": ["claimName": "c"]], "/d/claims/ns/c"),
        (["name": "v", "persistentVolumeClaim": ["claimName": "work"]], "/d/runs/u/claims/work"),
        (["name": "v", "configMap": ["name": "s"]], "/d/runs/u/n/0/volumes/v"),
        (
            ["name": "v", "secret": ["secretName": "s"]],
            SecretMemory.directory("/d", AttemptKey(workflowUID: "u", nodeID: "n", attempt: 0)) + "/volumes/v"
        ),
    ]

    @Test(
        "Volumes are directories of the attempt, the workflow, the namespace or the machine",
        arguments: volumeRows)
    func volumes(declaration: JSONValue, path: String) throws {
        var launch = launch()
        launch.volumes = [declaration]
        launch.volumeClaimTemplates = [["metadata": ["name": "work"]]]
        let volumes = try StepVolumes(launch, dataDirectory: "/d")
        #expect(try volumes.path(of: "v", attemptDirectory: "/d/runs/u/n/0") == path)
        #expect(try volumes.path(of: "work", attemptDirectory: "/d/runs/u/n/0") == "/d/runs/u/claims/work")
        #expect { try volumes.path(of: "none", attemptDirectory: "/x") } throws: { error in
            "\(error)".contains("no volume is named \"none\"")
        }
    }

    @Test("A volume that only a cluster has is refused by its kind")
    func clusterVolume() {
        var launch = launch()
        launch.volumes = [["name": "v", "nfs": ["server": "x"]]]
        #expect { try StepVolumes(launch, dataDirectory: "/d") } throws: { error in
            "\(error)".contains("nfs needs a cluster")
        }
    }

    @Test(
        "An image is mapped by its whole name first, then without tag and digest",
        arguments: [
            ("python:3.11", "exact"), ("python:3.12", "any"), ("python@sha256:1", "any"), ("reg:5000/a", nil),
            ("reg:5000/b:1", "port"), ("other", nil), ("", nil),
        ] as [(String, String?)])
    func imageMapping(image: String, word: String?) {
        var settings = LocalExecutorSettings(dataDirectory: "/d", martletExecutablePath: "/m")
        settings.imageMap = [
            "python:3.11": .command(["exact"]), "python": .command(["any"]), "reg:5000/b": .command(["port"]),
        ]
        #expect(settings.mapping(ofImage: image) == word.map { .command([$0]) })
    }

    @Test(
        "Names from manifests never lead out of the data directory",
        arguments: [
            ("..", "_.."), ("a/b", "a_b"), ("", "_"), ("wf-123", "wf-123"),
        ])
    func attemptNames(name: String, expected: String) {
        let key = AttemptKey(workflowUID: name, nodeID: name, attempt: 3)
        #expect(AttemptPaths.log("/d", key: key) == "/d/runs/\(expected)/\(expected)/3/log")
    }

    @Test("An outcome survives its file")
    func outcomeFile() throws {
        var outcome = AttemptOutcome(phase: .failed, message: "main: Error (exit code 1)", exitCode: 1)
        outcome.outputs.result = "x\n\"y\""
        outcome.outputs.parameters = [Parameter(name: "p", value: "v")]
        outcome.outputs.artifacts = [Artifact(["name": "a", "s3": ["key": "k"]])]
        outcome.failureClass = .memory
        outcome.finishedAt = Timestamp(nanoseconds: 1_700_000_000_123_456_789)
        outcome.resourcesDuration = ["cpu": 3]
        outcome.containers = [
            .init(name: "c", phase: .succeeded, exitCode: 0, startedAt: Timestamp(nanoseconds: 5))
        ]
        #expect(AttemptOutcome(fileContent: outcome.fileContent) == outcome)
        #expect(AttemptOutcome(fileContent: outcome.fileContent.dropLast()) == nil)
    }

    static let probeRows: [(JSONValue, ReadinessProbe.Check)] = [
        (
            ["readinessProbe": ["httpGet": ["path": "ok", "port": 8080]]],
            .http(url: "http://127.0.0.1:8080/ok", headers: [])
        ),
        (
            [
                "ports": [["name": "web", "containerPort": 99]],
                "readinessProbe": ["tcpSocket": ["port": "web"]],
            ],
            .tcp(port: 99)
        ),
        (["readinessProbe": ["exec": ["command": ["true"]]]], .exec(["true"])),
    ]

    @Test("Probes are read from the container", arguments: probeRows)
    func probes(container: JSONValue, check: ReadinessProbe.Check) {
        #expect(ReadinessProbe(Container(container))?.check == check)
        #expect(ReadinessProbe(Container([:])) == nil)
    }

    @Test(
        "An exec probe is ready when its command ends with 0", arguments: [("true", true), ("false", false)])
    func execProbe(command: String, isReady: Bool) throws {
        let probe = try #require(
            ReadinessProbe(Container(["readinessProbe": ["exec": ["command": [.string(command)]]]])))
        #expect(probe.isReady() == isReady)
    }

    @Test("Without anybody there an http request says so and ends with 1")
    func httpWithoutServer() throws {
        let directory = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory)
        let values = LaunchValues(secrets: [
            "s": KeyedValues(["kind": "Secret", "metadata": ["name": "s"], "stringData": ["k": "token"]])
        ])
        // Port 1 of the loopback address: nothing listens there, so the connection is refused at once.
        let spec = try HTTPRequestStep.specification(
            [
                "url": "http://127.0.0.1:1/", "method": "POST", "body": "b",
                "headers": [["name": "H", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]]],
            ], values: values, directory: directory)
        #expect(spec["headers"] == ["H: token"])
        try Disk.write(Array(spec.compactText.utf8), to: directory + "/http.json")
        #expect(HTTPRequestStep.run(specPath: directory + "/http.json") == 1)
        #expect(HTTPRequestStep.run(specPath: directory + "/absent") == 2)
        #expect(HTTPAnswer(directory: directory) == nil)
    }

    private func answer(status: String) throws -> HTTPAnswer {
        let directory = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(directory) }
        try Disk.makeDirectories(directory)
        let headers = "HTTP/1.1 \(status) Word\r\ncontent-type: x\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n"
        for (name, text) in [("status", status), ("headers", headers), ("body", "some body")] {
            try Disk.write(Array(text.utf8), to: "\(directory)/response-\(name)")
        }
        return try #require(HTTPAnswer(directory: directory))
    }

    @Test(
        "An answer succeeds with a status of 200 to 299",
        arguments: [("200", true), ("204", true), ("301", false), ("404", false), ("500", false)])
    func httpStatus(status: String, succeeds: Bool) throws {
        let answer = try answer(status: status)
        #expect((answer.problem(request: [:], now: Timestamp(seconds: 0)) == nil) == succeeds)
        #expect(answer.body == "some body")
    }

    static let conditionRows: [(String, String?)] = [
        ("response.statusCode == 404", nil), ("response.body contains \"body\"", nil),
        ("response.status == \"404 Word\"", nil), ("response.headers[\"Content-Type\"][0] == \"x\"", nil),
        ("len(response.headers[\"X-Two\"]) == 2", nil), ("request.method == \"PUT\"", nil),
        ("response.statusCode == 200", "evaluated false"), ("response.statusCode ==", "successCondition"),
        ("\"text\"", "evaluated text"),
    ]

    @Test("A condition decides about an answer whatever its status", arguments: conditionRows)
    func httpCondition(condition: String, words: String?) throws {
        let request: JSONValue = ["method": "PUT", "url": "u", "successCondition": .string(condition)]
        let problem = try answer(status: "404").problem(request: request, now: Timestamp(seconds: 0))
        #expect((problem == nil) == (words == nil))
        if let words { #expect(problem?.contains(words) == true) }
    }
}
