// A data directory with a store and a controller for tests, and executors that obey the test.

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

/// A clock that the test moves.
final class TestClock: Sendable {
    private let moment: Mutex<Timestamp>

    init(seconds: Int = 10) { moment = Mutex(Timestamp(seconds: seconds)) }

    var now: @Sendable () -> Timestamp { { self.moment.withLock { $0 } } }

    func advance(seconds: Int) { moment.withLock { $0 = $0 + .seconds(seconds) } }
}

/// An executor that takes work and ends it when the test says so.
final class HeldExecutor: Executor {
    let reports: AsyncStream<ExecutorReport>
    private let continuation: AsyncStream<ExecutorReport>.Continuation
    private let state = Mutex((running: [AttemptKey](), launched: [AttemptKey](), cancelled: [AttemptKey]()))

    init() { (reports, continuation) = AsyncStream.makeStream(of: ExecutorReport.self) }

    var launched: [AttemptKey] { state.withLock { $0.launched } }
    var running: [AttemptKey] { state.withLock { $0.running } }
    var cancelled: [AttemptKey] { state.withLock { $0.cancelled } }

    func launch(_ launch: Launch, values: LaunchValues) async {
        state.withLock { state in
            if !state.launched.contains(launch.key) { state.launched.append(launch.key) }
            if !state.running.contains(launch.key) { state.running.append(launch.key) }
        }
        continuation.yield(.started(launch.key, host: "here", at: Timestamp(seconds: 1)))
    }

    func cancel(_ key: AttemptKey, immediately: Bool) async {
        state.withLock { state in
            state.cancelled.append(key)
            state.running.removeAll { $0 == key }
        }
        continuation.yield(.finished(key, AttemptOutcome(phase: .failed, message: "terminated")))
    }

    /// Ends what runs of a workflow.
    func finish(_ uid: String, phase: Phase = .succeeded) {
        let ended = state.withLock { state in
            defer { state.running.removeAll { $0.workflowUID == uid } }
            return state.running.filter { $0.workflowUID == uid }
        }
        for key in ended {
            continuation.yield(
                .finished(key, AttemptOutcome(phase: phase, message: phase == .succeeded ? "" : "exit code 1")))
        }
    }

    func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async {}
    func shutDown() async { continuation.finish() }
}

/// A data directory of its own.
struct ControllerWorld: Sendable {
    let directory = NSTemporaryDirectory() + "martlet-world-" + UUID().uuidString
    let store: Store
    let clock = TestClock()

    init() throws { store = try Store.open(dataDirectory: directory) }

    static let oneStep = """
        {"metadata": {"generateName": "one-"}, "spec": {"entrypoint": "main", "templates": [
          {"name": "main", "container": {"image": "x", "command": ["true"]}}]}}
        """
    static let approval = """
        {"metadata": {"generateName": "ask-"}, "spec": {"entrypoint": "main", "templates": [
          {"name": "main", "suspend": {}}]}}
        """

    static func json(_ text: String) throws -> JSONValue { try JSONValue(parsingUTF8: Array(text.utf8)) }

    func controller(
        _ executor: any Executor, servesAll: Bool = false, limits: RunLimits = RunLimits(),
        onSaved: @escaping @Sendable () -> Void = {}
    ) -> WorkflowController {
        var settings = ControllerSettings()
        settings.servesAll = servesAll
        settings.limits = limits
        settings.onSaved = onSaved
        return WorkflowController(
            store: store, executor: executor, artifacts: nil, dataDirectory: directory, settings: settings,
            now: clock.now)
    }

    func operations(_ controller: WorkflowController?) throws -> WorkflowOperations {
        WorkflowOperations(
            store: store, artifacts: try LocalArtifactStore(directory: directory + "/artifacts"),
            dataDirectory: directory, controller: controller, now: clock.now)
    }

    /// Runs a body beside a controller that serves; stops it at the end.
    func serving(
        _ controller: WorkflowController, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                defer { controller.stop() }
                try await body()
            }
            try await group.waitForAll()
        }
    }

    /// Waits until a condition of the database holds; looks again at each change that the feed tells of.
    func until(_ isMet: @escaping @Sendable () async throws -> Bool) async throws {
        while try await !isMet() {
            // A look is a read of the database; the loop's own work goes on in between.
            for _ in 0..<50 { await Task.yield() }
        }
    }

    func phase(_ uid: String) async throws -> String? { try await store.workflow(uid: uid)?.phase }

    func remove() throws {
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }
}

/// A value that several tasks share.
final class Shared<Value: Sendable>: Sendable {
    private let held: Mutex<Value>

    init(_ value: Value) { held = Mutex(value) }

    var value: Value {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }

    func change<Result: Sendable>(_ body: @Sendable (inout Value) -> Result) -> Result {
        held.withLock { body(&$0) }
    }
}

/// Counts from several tasks.
final class Tally: Sendable {
    private let count = Shared(0)

    var value: Int { count.value }

    @discardableResult
    func next() -> Int {
        count.change { count in
            count += 1
            return count
        }
    }
}
