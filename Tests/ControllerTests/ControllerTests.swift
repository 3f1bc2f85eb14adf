// The loop around the scheduler: what is saved, what a new driver takes up, what other processes ask for.

import Artifacts
import Executors
import Foundation
import Persistence
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Controller

/// An executor that takes work and never ends it, and counts what it was given.
private final class SilentExecutor: Executor {
    let name = "silent"
    let reports: AsyncStream<ExecutorReport>
    private let continuation: AsyncStream<ExecutorReport>.Continuation
    let launched = Mutex<[AttemptKey]>([])
    let cancelled = Mutex<[AttemptKey]>([])
    let deleted = Mutex<[DeletedRun]>([])

    private let progress: String

    /// - Parameter progress: what each launch reports, so that it can be seen in the run's state.
    init(progress: String = "1/9") {
        (reports, continuation) = AsyncStream.makeStream(of: ExecutorReport.self)
        self.progress = progress
    }

    func launch(_ launch: Launch, values: LaunchValues) async {
        launched.withLock { $0.append(launch.key) }
        continuation.yield(.started(launch.key, host: "here", at: Timestamp(seconds: 1)))
        continuation.yield(.progress(launch.key, progress))
    }

    func cancel(_ key: AttemptKey, immediately: Bool) async {
        cancelled.withLock { $0.append(key) }
        let outcome = AttemptOutcome(phase: .failed, message: "terminated")
        continuation.yield(.finished(key, outcome))
    }

    func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {}
    func shutDown() async { continuation.finish() }

    func runDeleted(_ run: DeletedRun) async { deleted.withLock { $0.append(run) } }

    /// Finds as much as there are runs that are not known.
    func clearForgotten(known: KnownRuns) async throws -> Int {
        let runs = deleted.withLock { $0.map(\.workflowUID) } + ["nobody's"]
        return runs.count - (try await known(runs)).count
    }
}

@Suite("Workflow controller")
struct ControllerTests {
    private static let manifest = """
        apiVersion: argoproj.io/v1alpha1
        kind: Workflow
        metadata: {generateName: test-}
        spec:
          entrypoint: main
          templates:
          - name: main
            steps:
            - - {name: a, template: work}
              - {name: b, template: work}
            - - {name: c, template: work}
          - name: work
            container: {image: x, command: ["true"]}
        """

    private let directory = NSTemporaryDirectory() + "martlet-controller-" + UUID().uuidString

    private func definition(name: String? = nil) throws -> RunDefinition {
        let (documents, _) = ManifestReader.read(Array(Self.manifest.utf8), file: "test.yaml")
        let manifest = try #require(documents.first).json
        var options = SubmissionOptions()
        options.name = name
        return Submission.definition(
            of: manifest, catalog: TemplateCatalog(), options: options, at: Timestamp(seconds: 0))
    }

    private func submit(to store: Store) async throws -> String {
        let definition = try definition()
        try await Submission.store(definition, in: store)
        return definition.uid
    }

    private func controller(_ store: Store, _ executor: any Executor) -> WorkflowController {
        WorkflowController(
            store: store, executor: executor, artifacts: nil, dataDirectory: directory,
            now: { Timestamp(seconds: 10) })
    }

    /// Drives a run until a condition holds after one of its saved changes.
    private func drive(
        _ uid: String, _ controller: WorkflowController, new: NewRun? = nil,
        until isEnough: @escaping @Sendable (WorkflowController) async throws -> Bool
    ) async throws {
        let changes = controller.changes(of: uid)
        if let new { controller.begin(new) } else { controller.drive(uid) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                for await _ in changes where try await isEnough(controller) { break }
                controller.stop()
            }
            try await group.waitForAll()
        }
    }

    @Test("A run goes to its end, and its end is on disk", .timeLimit(.minutes(30)))
    func runsToTheEnd() async throws {
        let store = try Store.open(dataDirectory: directory)
        let uid = try await submit(to: store)
        let controller = controller(store, NoOpExecutor(now: { Timestamp(seconds: 10) }))
        try await drive(uid, controller) { await $0.isFinished(uid) }
        let stored = try #require(try await store.loadRun(uid))
        #expect(stored.row.phase == "Succeeded")
        #expect(stored.nodes.count == 6)
        #expect(stored.nodes.allSatisfy { $0.phase == .succeeded })
        #expect(stored.effects.isEmpty)
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A run that its submitter drives begins as it is on disk, and a later driver takes it over")
    func newRun() async throws {
        let store = try Store.open(dataDirectory: directory)
        let definition = try definition()
        let silent = SilentExecutor()
        do {
            let lock = try #require(
                try DriverLock.take(runDirectory: "\(directory)/runs/\(definition.uid)"))
            let run = try NewRun(definition, lock: lock)
            #expect(try await store.workflow(uid: run.uid) == nil)
            try await drive(run.uid, controller(store, silent), new: run) { _ in
                silent.launched.withLock { $0.count } == 2
            }
            let stored = try #require(try await store.loadRun(run.uid))
            #expect(stored.row.manifest == run.row.manifest)
            #expect(stored.row.driverEpoch == 1)
            #expect(stored.row.phase == "Running")
            #expect(stored.nodes.count == 4)
        }
        let last = controller(store, NoOpExecutor(now: { Timestamp(seconds: 10) }))
        try await drive(definition.uid, last) { await $0.isFinished(definition.uid) }
        let ended = try #require(try await store.workflow(uid: definition.uid))
        #expect(ended.phase == "Succeeded")
        #expect(ended.driverEpoch == 2)
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A run whose name is taken is refused, and nothing of it is launched or stored")
    func takenName() async throws {
        let store = try Store.open(dataDirectory: directory)
        let first = try definition(name: "one")
        try await Submission.store(first, in: store)
        let second = try definition(name: "one")
        let lock = try #require(try DriverLock.take(runDirectory: "\(directory)/runs/\(second.uid)"))
        let silent = SilentExecutor()
        let controller = controller(store, silent)
        try await drive(second.uid, controller, new: NewRun(second, lock: lock)) {
            await $0.refusal(of: second.uid) != nil
        }
        let expected = StoreError.nameTaken(kind: "workflow", namespace: "default", name: "one")
        #expect(await controller.refusal(of: second.uid) == expected.message)
        #expect(silent.launched.withLock { $0.isEmpty })
        #expect(try await store.workflow(uid: second.uid) == nil)
        #expect(try await store.workflow(uid: first.uid) != nil)
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("Deleting a run tells the executor, which can ask later which runs there are") func deletes()
        async throws
    {
        let store = try Store.open(dataDirectory: directory)
        let uid = try await submit(to: store)
        let silent = SilentExecutor()
        let controller = controller(store, silent)
        let operations = WorkflowOperations(
            store: store, artifacts: try LocalArtifactStore(directory: directory + "/artifacts"),
            dataDirectory: directory, controller: controller, now: { Timestamp(seconds: 10) })
        let name = try await operations.state(uid).name
        silent.deleted.withLock {
            $0 = [DeletedRun(workflowUID: uid, workflowName: name, namespace: "default")]
        }
        #expect(try await controller.clearForgotten() == 1)
        try await operations.delete(uid)
        #expect(silent.deleted.withLock { $0.count } == 2)
        #expect(silent.deleted.withLock { $0.first == $0.last })
        #expect(try await controller.clearForgotten() == 3)
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A new driver asks again for what ran, with the same keys, and goes on", .timeLimit(.minutes(30)))
    func takesUpWhatRan() async throws {
        let store = try Store.open(dataDirectory: directory)
        let uid = try await submit(to: store)
        let silent = SilentExecutor()
        try await drive(uid, controller(store, silent)) { controller in
            guard let state = await controller.state(of: uid) else { return false }
            return state.nodes.values.filter { $0.type == .pod && $0.phase == .running }.count == 2
        }
        #expect(silent.launched.withLock { $0.count } == 2)
        let second = SilentExecutor(progress: "2/9")
        try await drive(uid, controller(store, second)) { _ in second.launched.withLock { $0.count } == 2 }
        #expect(Set(second.launched.withLock { $0 }) == Set(silent.launched.withLock { $0 }))
        let last = controller(store, NoOpExecutor(now: { Timestamp(seconds: 10) }))
        try await drive(uid, last) { await $0.isFinished(uid) }
        #expect(try await store.workflow(uid: uid)?.phase == "Succeeded")
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("Two processes never drive one run", .timeLimit(.minutes(30)))
    func refusesASecondDriver() async throws {
        let store = try Store.open(dataDirectory: directory)
        let uid = try await submit(to: store)
        let lock = try #require(try DriverLock.take(runDirectory: "\(directory)/runs/\(uid)"))
        let controller = controller(store, NoOpExecutor(now: { Timestamp(seconds: 10) }))
        try await drive(uid, controller) { await $0.refusal(of: uid) != nil }
        #expect(await controller.refusal(of: uid)?.contains("another process drives this run") == true)
        #expect(try await store.loadRun(uid)?.nodes.isEmpty == true)
        withExtendedLifetime(lock) {}
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A verb left by another process is carried out and answered", .timeLimit(.minutes(30)))
    func takesCommands() async throws {
        let store = try Store.open(dataDirectory: directory)
        let uid = try await submit(to: store)
        let stored = Scheduling.Command.terminate.stored
        let id = try await store.enqueueCommand(uid, verb: stored.verb, payload: stored.payload)
        let unknown = try await store.enqueueCommand(uid, verb: "dance", payload: .object([:]))
        let executor = SilentExecutor()
        try await drive(uid, controller(store, executor)) { await $0.isFinished(uid) }
        #expect(try await store.workflow(uid: uid)?.phase == "Failed")
        #expect(try await store.commandResult(id)?.done == true)
        #expect(try await store.commandResult(id)?.error == nil)
        #expect(try await store.commandResult(unknown)?.error?.contains("dance") == true)
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test(
        "Effects that the stored nodes do not imply come back from their rows",
        arguments: [
            Effect.cancel(AttemptKey(workflowUID: "u", nodeID: "n", attempt: 2), immediately: true),
            .releaseLocks("n"), .saveCache("n", cache: "c", key: "k", Outputs(result: "r")),
            .removeWorkingFiles("n"), .deleteArtifacts("n", [Artifact(name: "a")]),
            .saveContent(
                "n",
                ContentRecord(
                    key: "k", fields: ["a": "b"], outputs: Outputs(result: "r"), workflowName: "w",
                    nodeName: "n", finishedAt: Timestamp(seconds: 7))),
        ])
    func codesEffects(effect: Effect) throws {
        let row = try #require(effect.row(sequence: 7))
        #expect(Effect(row: row, uid: "u") == effect)
    }
}
