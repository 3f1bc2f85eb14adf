// A service with Martlet's own routes over runs that were written by hand.

import Artifacts
import Controller
import Executors
import Persistence
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import WebServer

final class MartletAPIFixture: Sendable {
    let service: ServiceHarness
    /// Monday, 18 November 2024, 18:17:06 UTC.
    static let start = Timestamp(seconds: 1_731_953_826)

    /// - Parameter isHurried: every look at the clock is a second later, and nobody sleeps; otherwise streams wait until
    ///   they are woken.
    init(isHurried: Bool = false, configure: (inout ServiceSettings) -> Void = { _ in }) throws {
        service = try ServiceHarness(configure: configure) { context in
            var context = context
            context.surroundings.sleep = isHurried ? Self.notAtAll : Self.forever
            if isHurried {
                let seconds = Mutex(0)
                context.surroundings.now = {
                    .seconds(
                        seconds.withLock { seconds in
                            seconds += 1
                            return seconds
                        })
                }
            }
            return [MartletRoutes(context)]
        }
    }

    @Sendable static func notAtAll(_ span: Duration) async throws {
        try Task.checkCancellation()
        await Task.yield()
    }

    @Sendable static func forever(_ span: Duration) async throws {
        let (never, end) = AsyncStream<Void>.makeStream()
        for await _ in never {}
        end.finish()
        try Task.checkCancellation()
    }

    var store: Store { service.store }

    // MARK: Runs

    static func node(
        _ name: String, of run: String, _ type: NodeType = .pod, _ phase: Phase = .succeeded,
        sequence: Int = 1,
        _ edit: (inout Node) -> Void = { _ in }
    ) -> Node {
        var node = Node(
            id: Node.id(workflow: run, nodeName: name), name: name,
            displayName: name.split(separator: ".").last.map(String.init) ?? name, type: type, phase: phase,
            sequence: sequence)
        node.startedAt = start
        if phase.isFulfilled { node.finishedAt = start + .seconds(5) }
        edit(&node)
        return node
    }

    /// Stores a run and gives its uid.
    @discardableResult
    func add(
        _ name: String, namespace: String = "default", phase: String = "Succeeded", at seconds: Int = 0,
        spec: JSONValue = [
            "entrypoint": "main",
            "templates": [["name": "main", "container": ["image": "busybox", "command": ["true"]]]],
        ], parameters: [(name: String, value: String)] = [], labels: [String: String] = [:],
        nodes: [Node] = []
    ) async throws -> String {
        let created = Self.start + .seconds(seconds)
        let manifest: JSONValue = [
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": spec,
        ]
        let definition = RunDefinition(
            manifest: manifest, catalog: TemplateCatalog(), uid: "uid-\(name)", name: name,
            namespace: namespace, createdAt: created, seed: 1, parameters: parameters)
        let isOver = ["Succeeded", "Failed", "Error"].contains(phase)
        let summary = WorkflowSummary(
            uid: definition.uid, namespace: namespace, name: name, phase: phase, createdAt: created,
            startedAt: created, finishedAt: isOver ? created + .seconds(10) : nil, labels: labels)
        let header: JSONValue = [
            "version": 1, "phase": .string(phase), "startedAt": .int(Int(created.nanoseconds)),
        ]
        try await store.insertWorkflow(
            WorkflowRow(summary: summary, manifest: definition.json, state: header))
        if !nodes.isEmpty { try await store.apply([WorkflowChange(uid: definition.uid, nodes: nodes)]) }
        return definition.uid
    }

    /// Writes a log as the supervisor does, and the result that says that it is complete.
    func log(_ uid: String, _ node: NodeID, attempt: Int = 0, _ text: String, isOver: Bool = true) throws {
        let key = AttemptKey(workflowUID: uid, nodeID: node, attempt: attempt)
        let directory = AttemptPaths.attempt(service.folder.path, key: key)
        try Disk.makeDirectories(directory)
        try Disk.write(Array(text.utf8), to: directory + "/log")
        guard isOver else { return }
        let result = """
            martlet-result 1
            reason exited
            exitCode 3
            startedNanoseconds \(Self.start.nanoseconds)
            finishedNanoseconds \((Self.start + .seconds(2)).nanoseconds)
            userMicroseconds 1500000
            maxRSSKiB 2048
            end

            """
        try Disk.write(Array(result.utf8), to: directory + "/result")
    }

    /// Keeps bytes as an artifact of the local store.
    func artifact(_ name: String, _ files: [String: [UInt8]]) throws -> Artifact {
        let path = service.folder.path + "/" + Disk.uniqueSuffix()
        if files.count == 1, let bytes = files[""] {
            try Disk.write(bytes, to: path)
        } else {
            for (file, bytes) in files {
                try Disk.makeDirectories(Disk.parent(of: "\(path)/\(file)"))
                try Disk.write(bytes, to: "\(path)/\(file)")
            }
        }
        let store = service.context.artifacts
        let tree = try store.save(path: path, archive: .tar)
        let key = "keys/\(Disk.uniqueSuffix())/\(name)"
        try store.publish(key: key, namespace: "default", tree: tree)
        return ArtifactLocation.located(Artifact(name: name), key: key)
    }

    // MARK: Calls

    /// A GET of the own API that must succeed; the answer must have the shape that the document says.
    func get(
        _ path: String, _ operation: String, token: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> JSONValue {
        let answer = try await service.get(MartletRoutes.prefix + path, token: token)
        #expect(answer.status == 200, "\(path): \(answer.text)", sourceLocation: sourceLocation)
        let problem = APIOperations.byID[operation]?.answer.problem(in: answer.json)
        #expect(problem == nil, "\(path)", sourceLocation: sourceLocation)
        return answer.json
    }

    func post(_ path: String, _ body: JSONValue, token: String? = nil) async throws -> HarnessAnswer {
        try await service.send("POST", MartletRoutes.prefix + path, body, token: token)
    }
}
