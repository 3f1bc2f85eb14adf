// Runs through the own API: lists with filters, counts, details, nodes, artifacts, comparison.

import Controller
import Persistence
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import WebServer

@Suite("Runs in Martlet's own API")
struct MartletAPIRunTests {
    private static func filled() async throws -> MartletAPIFixture {
        let fixture = try MartletAPIFixture()
        try await fixture.add(
            "train-1", phase: "Failed", at: 1, parameters: [("lr", "0.1")], labels: ["team": "nlp"])
        try await fixture.add(
            "train-2", at: 2, parameters: [("lr", "0.2")],
            labels: ["team": "nlp", RunLabels.template: "train"])
        try await fixture.add("eval-1", namespace: "other", phase: "Running", at: 3)
        try await fixture.add("eval-2", phase: "", at: 4, labels: [RunLabels.cron: "nightly"])
        return fixture
    }

    @Test(
        "Lists hold the runs that pass all filters, newest first",
        arguments: [
            ("", ["eval-2", "eval-1", "train-2", "train-1"]),
            ("?namespace=default", ["eval-2", "train-2", "train-1"]),
            ("?phase=Failed", ["train-1"]), ("?phase=Pending,Running", ["eval-2", "eval-1"]),
            ("?label=team%3Dnlp", ["train-2", "train-1"]), ("?label=team%3Dnlp&phase=Succeeded", ["train-2"]),
            ("?q=EVAL", ["eval-2", "eval-1"]), ("?parameter=lr%3D0.2", ["train-2"]),
            ("?pipeline=train", ["train-2"]),
            ("?cron=nightly", ["eval-2"]), ("?createdAfter=2024-11-18T18:17:08Z", ["eval-2", "eval-1"]),
            ("?finishedBefore=2024-11-18T18:17:17.5Z", ["train-1"]), ("?limit=1", ["eval-2"]),
            ("?q=", ["eval-2", "eval-1", "train-2", "train-1"]),
        ])
    func filters(query: String, names: [String]) async throws {
        let fixture = try await Self.filled()
        let list = try await fixture.get("/runs\(query)", "MartletAPI_ListRuns")
        #expect(list["items"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == names)
        #expect((list["revision"]?.intValue ?? 0) > 0)
    }

    @Test("Pages follow each other without gaps")
    func pages() async throws {
        let fixture = try await Self.filled()
        var names: [String] = []
        var after = ""
        for _ in 0..<5 {
            let list = try await fixture.get("/runs?limit=1\(after)", "MartletAPI_ListRuns")
            names += (list["items"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
            guard let next = list["next"]?.stringValue else { break }
            after = "&after=\(next)"
        }
        #expect(names == ["eval-2", "eval-1", "train-2", "train-1"])
    }

    @Test("Counts are by phase, of what passes the filters")
    func counts() async throws {
        let fixture = try await Self.filled()
        let all = try await fixture.get("/runs/counts", "MartletAPI_CountRuns")
        #expect(all == ["Pending": 1, "Running": 1, "Succeeded": 1, "Failed": 1, "Error": 0, "total": 4])
        let some = try await fixture.get("/runs/counts?namespace=default&q=train", "MartletAPI_CountRuns")
        #expect(some == ["Pending": 0, "Running": 0, "Succeeded": 1, "Failed": 1, "Error": 0, "total": 2])
    }

    @Test("A line says what people look for")
    func line() async throws {
        let fixture = try await Self.filled()
        let points = [1.0, 0.5, Double.nan].enumerated().map { step, value in
            MetricPoint(
                nodeID: "n", name: "loss", step: Double(step), value: value, at: MartletAPIFixture.start)
        }
        try await fixture.store.saveMetrics("uid-train-2", Array(points.prefix(2)))
        let list = try await fixture.get("/runs?pipeline=train", "MartletAPI_ListRuns")
        let line = list["items"]?.arrayValue?.first
        #expect(line?["parameters"] == ["lr": "0.2"])
        #expect(line?["pipeline"] == "train")
        #expect(line?["medianSeconds"]?.doubleValue == 10)
        #expect(line?["metric"] == ["name": "loss", "value": 0.5])
        #expect(line?["createdAt"] == "2024-11-18T18:17:08.000Z")
        try await fixture.store.saveMetrics("uid-train-2", points)
        let again = try await fixture.get("/runs?pipeline=train", "MartletAPI_ListRuns")
        #expect(again["items"]?.arrayValue?.first?["metric"]?["value"] == JSONValue.null)
    }

    @Test("A run has its nodes with their children, a waiting suspend node its form")
    func detail() async throws {
        let fixture = try MartletAPIFixture()
        let root = MartletAPIFixture.node("w", of: "w", .steps, .running, sequence: 1)
        let wait = MartletAPIFixture.node("w.wait", of: "w", .suspend, .running, sequence: 2) { node in
            node.boundaryID = root.id
            node.parents = [root.id]
            var asked = Parameter(name: "go")
            asked.valueFrom = ValueFrom(["supplied": [:]])
            asked.enum = ["yes", "no"]
            node.outputs.parameters = [asked]
        }
        try await fixture.add("w", phase: "Running", parameters: [("p", "1")], nodes: [root, wait])
        let run = try await fixture.get("/runs/uid-w", "MartletAPI_GetRun")
        let nodes = run["nodes"]?.arrayValue ?? []
        #expect(nodes.map { $0["children"] ?? nil } == [[.string(wait.id)], []])
        #expect(nodes.last?["suspend"]?["parameters"]?.arrayValue?.first?["enum"] == ["yes", "no"])
        #expect(run["arguments"]?.arrayValue?.first?["value"] == "1")
        #expect(run["entrypoint"] == "main")
        let manifest = try await fixture.get("/runs/uid-w/manifest", "MartletAPI_GetRunManifest")
        #expect(manifest["yaml"]?.stringValue?.contains("entrypoint: main") == true)
        let state = try await fixture.get("/runs/uid-w/state", "MartletAPI_GetRunState")
        #expect(state["nodes"]?.arrayValue?.count == 2)
    }

    @Test("Events come a page at a time")
    func events() async throws {
        let fixture = try MartletAPIFixture()
        try await fixture.add("a")
        let events = (0..<5).map {
            EventRow(at: MartletAPIFixture.start, nodeID: "n", kind: "K\($0)", message: "m")
        }
        try await fixture.store.apply([WorkflowChange(uid: "uid-a", events: events)])
        let first = try await fixture.get("/runs/uid-a/events?limit=3", "MartletAPI_ListRunEvents")
        let next = try #require(first["next"]?.intValue)
        let rest = try await fixture.get(
            "/runs/uid-a/events?limit=3&after=\(next)", "MartletAPI_ListRunEvents")
        let kinds = [first, rest].flatMap { $0["items"]?.arrayValue ?? [] }.compactMap {
            $0["kind"]?.stringValue
        }
        #expect(kinds == ["K0", "K1", "K2", "K3", "K4"])
        #expect(rest["next"] == JSONValue.null)
    }

    @Test("A node says what it ran with secrets masked, how its attempts went, and why it failed")
    func node() async throws {
        let fixture = try MartletAPIFixture()
        let spec: JSONValue = [
            "entrypoint": "main", "arguments": ["parameters": [["name": "who", "value": "world"]]],
            "templates": [
                [
                    "name": "main",
                    "container": [
                        "image": "python", "command": ["python", "-c"],
                        "args": [
                            "print('{{inputs.parameters.word}} {{ workflow.parameters.who }} {{item}}')"
                        ],
                        "env": [
                            ["name": "A", "value": "{{inputs.parameters.word}}"],
                            ["name": "KEY", "valueFrom": ["secretKeyRef": ["name": "s", "key": "canary"]]],
                        ],
                        "resources": ["requests": ["cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1]],
                    ],
                ]
            ],
        ]
        let node = MartletAPIFixture.node("w", of: "w", .pod, .failed) { node in
            node.templateName = "main"
            node.templateScope = "local/w"
            node.inputs.parameters = [Parameter(name: "word", value: "it's")]
            node.attempt = 2
        }
        try await fixture.add("w", phase: "Failed", spec: spec, nodes: [node])
        try fixture.log("uid-w", node.id, attempt: 0, "2024-11-18T18:17:06.000000001Z stdout F old\n")
        try fixture.log(
            "uid-w", node.id, attempt: 1,
            """
            2024-11-18T18:17:06.000000001Z stderr F Traceback (most recent call last):
            2024-11-18T18:17:06.000000002Z stderr F   File "x.py", line 1, in <module>
            2024-11-18T18:17:06.000000003Z stderr F ModuleNotFoundError: No module named 'torch'

            """)
        let detail = try await fixture.get("/runs/uid-w/nodes/\(node.id)", "MartletAPI_GetNode")
        #expect(detail["command"] == ["python", "-c", "print('it's world {{item}}')"])
        #expect(detail["env"] == [["name": "A", "value": "it's"], ["name": "KEY", "value": "***"]])
        #expect(detail["image"] == "python")
        #expect(detail["likelyCause"] == "ModuleNotFoundError: No module named 'torch'")
        #expect(detail["exitExplained"]?.stringValue?.contains("code 3") == true)
        #expect(detail["attempts"]?.arrayValue?.compactMap { $0["number"]?.intValue } == [0, 1])
        #expect(detail["resources"]?["asked"] == ["cpu": "2", "memory": "1Gi", "gpu": "1"])
        #expect(detail["resources"]?["used"] == ["cpuSeconds": 3, "maxMemoryBytes": 2_097_152])
        let shell = detail["shell"]?.stringValue ?? ""
        #expect(
            shell
                == "martlet get w -o yaml > w.yaml && martlet run w.yaml --entrypoint main -p 'word=it'\\''s'"
        )
        #expect(
            try await fixture.service.get(MartletRoutes.prefix + "/runs/uid-w/nodes/\(node.id)").text
                .contains("canary") == true)
    }

    @Test("Artifacts are listed with their contents' hashes, and shown as what they are")
    func artifacts() async throws {
        let fixture = try MartletAPIFixture()
        let rows = (0..<150).map { "\($0),\"a, \"\"b\"\"\"" }.joined(separator: "\n")
        let table = try fixture.artifact("t.csv", ["": Array("x,y\n\(rows)\n".utf8)])
        let tree = try fixture.artifact(
            "tree", ["a.txt": Array("hello".utf8), "sub/b.json": Array("{\"a\":1}".utf8)])
        let node = MartletAPIFixture.node("w", of: "w") { $0.outputs.artifacts = [table, tree] }
        try await fixture.add("w", nodes: [node])
        let list = try await fixture.get("/runs/uid-w/artifacts", "MartletAPI_ListArtifacts")
        let items = list["items"]?.arrayValue ?? []
        #expect(items.map { $0["kind"] ?? nil } == ["file", "directory"])
        #expect(items.last?["files"] == 2)
        #expect(items.allSatisfy { $0["sha256"]?.stringValue?.count == 64 })
        let base = "/runs/uid-w/nodes/w/artifacts"
        let shown = try await fixture.get("\(base)/t.csv/preview", "MartletAPI_PreviewArtifact")
        #expect(shown["kind"] == "table")
        #expect(shown["table"]?["columns"] == ["x", "y"])
        #expect(shown["table"]?["rows"]?.arrayValue?.count == 100)
        #expect(shown["table"]?["rows"]?.arrayValue?.first == ["0", "a, \"b\""])
        let top = try await fixture.get("\(base)/tree/preview", "MartletAPI_PreviewArtifact")
        #expect(top["entries"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["a.txt", "sub"])
        let inner = try await fixture.get(
            "\(base)/tree/preview?path=sub/b.json", "MartletAPI_PreviewArtifact")
        #expect(inner["kind"] == "json")
        #expect(inner["url"] == "/artifact-files/default/workflows/w/w/outputs/tree/sub/b.json")
        let wrong = try await fixture.service.get(MartletRoutes.prefix + "\(base)/tree/preview?path=../../x")
        #expect(wrong.status == 404)
    }

    @Test("Runs are compared: what differs first, the best of each curve, artifacts by content")
    func compared() async throws {
        let fixture = try MartletAPIFixture()
        let report = Array("{\"task\":\"arc\",\"metrics\":{\"acc\":{\"value\":0.5,\"stderr\":0.1}}}".utf8)
        for (name, rate) in [("a", "1"), ("b", "2")] {
            let artifact = try fixture.artifact("report", ["report.json": report])
            let node = MartletAPIFixture.node("\(name).t", of: name) { $0.outputs.artifacts = [artifact] }
            try await fixture.add(name, parameters: [("alpha", "same"), ("rate", rate)], nodes: [node])
            let points = [3.0, 1.0, 2.0].enumerated().flatMap { step, value in
                ["loss", "score"].map {
                    MetricPoint(
                        nodeID: node.id, name: $0, step: Double(step), value: value,
                        at: MartletAPIFixture.start)
                }
            }
            try await fixture.store.saveMetrics("uid-\(name)", points)
        }
        let result = try await fixture.get("/compare?runs=uid-a,uid-b", "MartletAPI_CompareRuns")
        #expect(
            result["parameters"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["rate", "alpha"])
        #expect(result["parameters"]?.arrayValue?.first?["values"] == ["1", "2"])
        let metrics = result["metrics"]?.arrayValue ?? []
        #expect(metrics.map { $0["best"]?.arrayValue?.compactMap(\.doubleValue) } == [[1, 1], [3, 3]])
        #expect(metrics.first?["values"]?.arrayValue?.compactMap(\.doubleValue) == [2, 2])
        let hashes = result["artifacts"]?.arrayValue?.first?["sha256"]?.arrayValue ?? []
        #expect(hashes.count == 2 && hashes.first == hashes.last)
        #expect(result["evaluations"]?.arrayValue?.first?["values"] == [0.5, 0.5])
    }

    @Test("A run that waits at a suspend node is told as suspended, until it goes on")
    func waiting() async throws {
        let fixture = try MartletAPIFixture()
        func isSuspended() async throws -> JSONValue? {
            try await fixture.get("/runs", "MartletAPI_ListRuns")["items"]?.arrayValue?.first?["suspended"]
        }
        let uid = try await fixture.add(
            "w", phase: "Running", nodes: [MartletAPIFixture.node("w.approve", of: "w", .suspend, .running)])
        #expect(try await isSuspended() == true)
        let node = MartletAPIFixture.node("w.approve", of: "w", .suspend, .succeeded)
        try await fixture.store.apply([WorkflowChange(uid: uid, nodes: [node])])
        #expect(try await isSuspended() == false)
        for isSuspended in [true, false] {
            let state: JSONValue = ["suspended": .bool(isSuspended)]
            let header = HeaderUpdate(phase: "Running", startedAt: MartletAPIFixture.start, state: state)
            try await fixture.store.apply([WorkflowChange(uid: uid, header: header)])
            // What says nothing of it leaves it.
            let other = HeaderUpdate(phase: "Running", startedAt: MartletAPIFixture.start)
            try await fixture.store.apply([WorkflowChange(uid: uid, header: other)])
            let item = try await fixture.get("/runs", "MartletAPI_ListRuns")["items"]?.arrayValue?.first
            #expect(item?["suspended"] == .bool(isSuspended))
        }
    }

    @Test("Who is told of a run's end is shown with what went wrong, and told again when a person asks")
    func notifications() async throws {
        let fixture = try MartletAPIFixture()
        let uid = try await fixture.add("w", nodes: [])
        let target: JSONValue = ["to": ["kind": "webhook", "url": "https://hooks.example.com/canary-token"]]
        let now = MartletAPIFixture.start
        try await fixture.store.enqueueNotifications(
            ["a", "b", "c"].map { NewNotification(workflowUID: uid, key: $0, target: target, at: now) })
        let ids = try await fixture.store.notifications(of: uid).map(\.id)
        try await fixture.store.finishNotification(ids[0], at: now)
        try await fixture.store.postponeNotification(ids[1], to: now + .seconds(10), error: "answered 503")
        try await fixture.store.finishNotification(ids[2], at: now, error: "answered 410")
        func states() async throws -> [String] {
            let list = try await fixture.get("/runs/\(uid)/notifications", "MartletAPI_ListNotifications")
            #expect(!list.compactText.contains("canary") && list.compactText.contains("hooks.example.com"))
            return list["items"]?.arrayValue?.compactMap { $0["state"]?.stringValue } ?? []
        }
        #expect(try await states() == ["delivered", "retrying", "given up"])
        let path = MartletRoutes.prefix + "/runs/\(uid)/notifications/retry"
        #expect(try await fixture.service.send("POST", path).json == ["retried": 2])
        #expect(try await states() == ["delivered", "retrying", "retrying"])
        #expect(
            try await fixture.store.dueNotifications(at: fixture.service.clock.now).map(\.id)
                == Array(ids[1...]))
    }

    @Test("Who may see one namespace finds nothing of another, and is not told that it is there")
    func access() async throws {
        let fixture = try MartletAPIFixture { $0.authentication = .token }
        try await fixture.add("mine", namespace: "a", nodes: [MartletAPIFixture.node("mine", of: "mine")])
        try await fixture.add(
            "theirs", namespace: "b", nodes: [MartletAPIFixture.node("theirs", of: "theirs")])
        let token = try await fixture.service.token(["a": .viewer])
        let list = try await fixture.get("/runs", "MartletAPI_ListRuns", token: token)
        #expect(list["items"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["mine"])
        let counts = try await fixture.get("/runs/counts", "MartletAPI_CountRuns", token: token)
        #expect(counts["total"] == 1)
        let overview = try await fixture.get("/overview", "MartletAPI_GetOverview", token: token)
        #expect(overview["namespaces"] == ["a"])
        let found = try await fixture.get("/search?q=theirs", "MartletAPI_Search", token: token)
        #expect(found["items"] == [])
        for path in [
            "", "/manifest", "/events", "/state", "/artifacts", "/metrics", "/log", "/nodes/theirs",
            "/nodes/theirs/log", "/nodes/theirs/log/lines", "/nodes/theirs/log/search?q=a",
            "/nodes/theirs/log/raw",
        ] {
            let answer = try await fixture.service.get(
                MartletRoutes.prefix + "/runs/uid-theirs" + path, token: token)
            #expect(answer.status == 404, "\(path)")
            #expect(answer.json["message"]?.stringValue?.contains("there is no run") == true, "\(path)")
        }
        for path in ["/stream?run=uid-theirs", "/compare?runs=uid-mine,uid-theirs", "/runs?namespace=b"] {
            #expect(
                try await fixture.service.get(MartletRoutes.prefix + path, token: token).status == 404,
                "\(path)")
        }
        let submitted = try await fixture.service.send(
            "POST", MartletRoutes.prefix + "/submit", ["namespace": "a", "text": "kind: Workflow"],
            token: token)
        #expect(submitted.status == 403)
    }
}
