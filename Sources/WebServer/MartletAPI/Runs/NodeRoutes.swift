// One node of a run in full: what it was given and gave, what it ran, how each attempt went, and why it failed.

import Artifacts
import Executors
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension MartletRoutes {
    var nodeRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/runs/{uid}/nodes/{node}", "MartletAPI_GetNode", .run(.viewer),
                summary: "A node with inputs, outputs, template, command, environment and attempts."
            ) { try await getNode($0) },
            route(
                "GET", "/runs/{uid}/artifacts", "MartletAPI_ListArtifacts", .run(.viewer),
                summary: "The artifacts that a run has given."
            ) { try await listArtifacts($0) },
            route(
                "GET", "/runs/{uid}/nodes/{node}/artifacts/{name}/preview", "MartletAPI_PreviewArtifact",
                .run(.viewer), summary: "The beginning of an artifact, in the form that suits what it is."
            ) { try await previewArtifact($0) },
        ]
    }

    private func getNode(_ reader: APIReader) async throws -> HTTPReply {
        let uid = try await summary(reader).uid
        let node = try await storedNode(reader)
        guard let row = try await context.store.workflow(uid: uid),
            let definition = RunDefinition(stored: row.manifest)
        else { throw Self.noRun(uid) }
        let logs = StepLogs(dataDirectory: context.dataDirectory)
        let log = NodeLog(node, workflowUID: uid)
        let history = try await onThread { AttemptHistory(logs: logs, log: log, node: node) }
        return .json(.object(NodeDetailJSON.members(node, of: definition, history)))
    }

    private func listArtifacts(_ reader: APIReader) async throws -> HTTPReply {
        let view = try await view(reader)
        let rows = try await context.store.artifacts(view.summary.uid)
        let shelf = ArtifactShelf(store: context.artifacts, namespace: view.summary.namespace)
        let nodes = view.nodes
        let items = try await onThread { shelf.list(nodes, rows: rows) }
        return .json(.page(items))
    }

    private func previewArtifact(_ reader: APIReader) async throws -> HTTPReply {
        let view = try await view(reader)
        let node = try node(reader, of: view)
        let name = reader.request["name"]
        let isInput = try reader.text("direction") == "inputs"
        let path = try reader.text("path") ?? ""
        let artifacts = isInput ? node.inputs.artifacts : node.outputs.artifacts
        guard let artifact = artifacts.first(where: { $0.name == name }) else {
            throw ServiceError.notFound(
                "node \(node.displayName) has no \(isInput ? "input" : "output") artifact \(name.shortened)")
        }
        let (content, slot) = try await RemoteReading.find(
            artifact, path: path, namespace: view.summary.namespace, context)
        let place = ArtifactPlace(
            namespace: view.summary.namespace, run: view.summary.name, uid: view.summary.uid, node: node.id,
            name: name, isInput: isInput, path: path,
            fileName: artifact.path?.split(separator: "/").last.map(String.init) ?? "")
        let work: @Sendable () throws -> JSONValue = { try ArtifactShelf.preview(content, place) }
        defer { withExtendedLifetime(slot) {} }
        return .json(try await RemoteReading.read(isRemote: slot != nil, artifact, work))
    }
}

/// What the directories of a node's attempts say. Made on a thread of its own.
struct AttemptHistory: Sendable {
    /// Bytes of the log in which the cause of a failure is looked for.
    private static let tailBytes = 64 << 10
    /// Attempts that are told, the newest.
    private static let limit = 100

    var attempts: [(attempt: StepLogs.Attempt, record: AttemptRecord)] = []
    /// The last lines of the newest attempt; none where the node did not fail.
    var lastLines: [String] = []

    init(logs: StepLogs, log: NodeLog?, node: Node) {
        guard let log else { return }
        attempts = logs.attempts(log).suffix(Self.limit).map { ($0, $0.record) }
        guard node.phase.isUnsuccessful,
            let path = attempts.last(where: { $0.attempt.bytes > 0 })?.attempt.path
        else { return }
        lastLines = LogTail.lines(path, limitBytes: Self.tailBytes)
    }
}

enum NodeDetailJSON {
    static func members(
        _ node: Node, of definition: RunDefinition, _ history: AttemptHistory
    ) -> [String: JSONValue] {
        let template = NodeTemplate(node, of: definition)
        var members = NodeJSON.members(node)
        // Who looks at one node has seen the run, whose nodes have their children.
        members["children"] = nil
        members["inputs"] = .object(sides(node.inputs.parameters, node.inputs.artifacts))
        var outputs = sides(node.outputs.parameters, node.outputs.artifacts)
        outputs["result"] = .text(node.outputs.result)
        outputs["exitCode"] = .text(node.outputs.exitCode)
        members["outputs"] = .object(outputs)
        members["template"] = template.template?.raw ?? .object(["name": .string(node.templateName)])
        members["templateName"] = .word(node.templateName)
        members["command"] = template.command.map { .texts($0) } ?? .null
        members["env"] = .array(
            template.environment.map { .object(["name": .string($0.name), "value": .string($0.value)]) })
        members["image"] = .text(template.image)
        let code = node.outputs.exitCode.flatMap { Int($0) } ?? history.attempts.last?.record.exitCode
        members["exitExplained"] = .text(node.phase.isFulfilled ? ExitExplanation.words(code) : nil)
        members["likelyCause"] = .text(
            node.phase.isUnsuccessful
                ? LikelyCause.line(message: node.message, lines: history.lastLines) : nil)
        let used = history.attempts.map(\.record)
        members["resources"] = .object([
            "asked": .object(template.asked),
            "used": .object([
                "cpuSeconds": .finite(used.compactMap(\.cpuSeconds).reduce(nil) { ($0 ?? 0) + $1 }),
                "maxMemoryBytes": .integer(used.compactMap(\.maxMemoryBytes).max()),
            ]),
        ])
        members["attempts"] = .array(history.attempts.map(attempt))
        members["shell"] = .string(template.shell)
        return members
    }

    private static func attempt(_ attempt: StepLogs.Attempt, _ record: AttemptRecord) -> JSONValue {
        .object([
            "number": .int(attempt.number), "startedAt": .moment(record.startedAt),
            "finishedAt": .moment(record.finishedAt), "exitCode": .integer(record.exitCode),
            "logBytes": .int(attempt.bytes),
        ])
    }

    private static func sides(_ parameters: [Parameter], _ artifacts: [Artifact]) -> [String: JSONValue] {
        [
            "parameters": .array(parameters.map(ParameterJSON.json)),
            "artifacts": .array(
                artifacts.map { artifact in
                    .object([
                        "name": .string(artifact.name), "path": .text(artifact.path),
                        "deleted": .bool(artifact.deleted),
                        "from": .text(artifact.location?.store),
                    ])
                }),
        ]
    }
}
