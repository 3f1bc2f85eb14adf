// Runs put into the store of a harness as a controller would have left them.

import Executors
import Glibc
import Persistence
import Scheduling
import Text
import WorkflowLanguage

@testable import WebServer

extension ServiceHarness {
    static let oneStep: JSONValue = [
        "entrypoint": "main",
        "templates": [
            ["name": "main", "container": ["image": "busybox", "command": ["true"]]]
        ],
    ]

    /// Stores a run, which is driven by nobody.
    /// - Parameter ago: seconds since it was created.
    @discardableResult
    func addRun(
        _ name: String, namespace: String = "default", phase: String = "Succeeded",
        labels: [String: String] = [:],
        nodes: [Node] = [], ago: Int = 0, spec: JSONValue = ServiceHarness.oneStep
    ) async throws -> String {
        let created = clock.now + .seconds(-ago)
        let uid = "uid-\(namespace)-\(name)"
        let manifest: JSONValue = .object([
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": .object([
                "name": .string(name), "labels": .object(labels.mapValues(JSONValue.string)),
            ]),
            "spec": spec,
        ])
        let definition = RunDefinition(
            manifest: manifest, catalog: TemplateCatalog(), uid: uid, name: name, namespace: namespace,
            createdAt: created, seed: 1)
        let hasEnded = ["Succeeded", "Failed", "Error"].contains(phase)
        var header: [String: JSONValue] = [
            "version": 1, "labels": .object(labels.mapValues(JSONValue.string)),
            "startedAt": .int(Int(created.nanoseconds)),
        ]
        if !phase.isEmpty { header["phase"] = .string(phase) }
        if hasEnded { header["finishedAt"] = .int(Int((created + .seconds(1)).nanoseconds)) }
        let summary = WorkflowSummary(
            uid: uid, namespace: namespace, name: name, phase: phase, createdAt: created, startedAt: created,
            finishedAt: hasEnded ? created + .seconds(1) : nil, labels: labels, progress: "1/1")
        try await store.insertWorkflow(
            WorkflowRow(summary: summary, manifest: definition.json, state: .object(header)))
        if !nodes.isEmpty { try await store.apply([WorkflowChange(uid: uid, nodes: nodes)]) }
        return uid
    }

    /// The node of a pod that ran.
    static func pod(
        _ workflow: String, _ name: String, sequence: Int = 1, phase: Phase = .succeeded,
        outputs: Outputs = Outputs(), inputs: Inputs = Inputs()
    ) -> Node {
        let fullName = name.isEmpty ? workflow : "\(workflow).\(name)"
        var node = Node(
            id: Node.id(workflow: workflow, nodeName: fullName), name: fullName,
            displayName: name.isEmpty ? workflow : name, type: .pod, phase: phase, sequence: sequence)
        node.templateName = "main"
        node.outputs = outputs
        node.inputs = inputs
        return node
    }

    /// Writes what a node's containers wrote: time in seconds of a minute, container, text.
    func writeLog(_ uid: String, _ node: Node, _ lines: [(second: Int, container: String, text: String)])
        throws
    {
        let folder = AttemptPaths.node(self.folder.path, workflowUID: uid, nodeID: node.id) + "/1"
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/" + part
            mkdir(path, 0o755)
        }
        let text = lines.map { line in
            let second = line.second < 10 ? "0\(line.second)" : "\(line.second)"
            let tag = line.container == "main" ? "stdout" : "stdout:\(line.container)"
            return "2026-11-21T12:00:\(second).000000000Z \(tag) F \(line.text)\n"
        }.joined()
        let file = open(folder + "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw RawClient.SocketError(call: "open") }
        defer { close(file) }
        _ = write(file, text, text.utf8.count)
    }

    static let template: JSONValue = [
        "metadata": ["name": "steps", "labels": ["team": "nlp"]],
        "spec": [
            "entrypoint": "main", "arguments": ["parameters": [["name": "message", "value": "hi"]]],
            "templates": [
                [
                    "name": "main", "container": ["image": "busybox", "command": ["echo"]],
                ]
            ],
        ],
    ]

    static let cron: JSONValue = [
        "metadata": ["name": "nightly"],
        "spec": [
            "schedules": ["0 3 * * *"], "timezone": "UTC", "workflowSpec": ServiceHarness.oneStep,
        ],
    ]
}

extension Node {
    func with(_ change: (inout Node) -> Void) -> Node {
        var node = self
        change(&node)
        return node
    }
}
