// The local executor under the checks for every executor, with real processes.

import Artifacts
import Executors
import Testing
import Text

/// An executor with a directory of its own that is deleted with it.
final class LocalWorkshop: Sendable {
    let directory: String
    let store: LocalArtifactStore

    init() throws {
        directory = "/tmp/martlet-test-\(Disk.uniqueSuffix())"
        store = try LocalArtifactStore(directory: directory + "/artifacts", isDurable: false)
    }

    deinit { Disk.removeTree(directory) }

    func executor(_ change: (inout LocalExecutorSettings) -> Void = { _ in }) throws -> LocalExecutor {
        var settings = LocalExecutorSettings(dataDirectory: directory, martletExecutablePath: "/bin/true")
        settings.graceSeconds = 5
        change(&settings)
        return try LocalExecutor(settings: settings, store: store)
    }

    /// Without a supervisor beside the test program nothing can be started.
    static let hasSupervisor = (try? SupervisorClient.locateSupervisor()) != nil
    static let skipReason: Comment = "needs the Supervisor program beside the tests, or MARTLET_SUPERVISOR"
}

@Suite(
    "Executor conformance: local", .enabled(if: LocalWorkshop.hasSupervisor, LocalWorkshop.skipReason),
    .timeLimit(.minutes(30)))
struct ExecutorConformanceTests {
    private let workshop: LocalWorkshop
    private let conformance: ExecutorConformance

    init() throws {
        let workshop = try LocalWorkshop()
        self.workshop = workshop
        conformance = ExecutorConformance { try workshop.executor() }
    }

    @Test("A step starts, then ends with its result")
    func startsThenFinishes() async throws { try await conformance.startsThenFinishes() }

    @Test("A failed step tells its exit code")
    func tellsHowItFailed() async throws { try await conformance.tellsHowItFailed() }

    @Test("One key runs once, however often it is launched")
    func runsOnceForOneKey() async throws { try await conformance.runsOnceForOneKey() }

    @Test("A cancelled step ends as terminated")
    func endsWhatIsCancelled() async throws { try await conformance.endsWhatIsCancelled() }

    @Test("Cancelling what was never launched does nothing")
    func leavesUnknownWorkAlone() async throws { try await conformance.leavesUnknownWorkAlone() }

    @Test("A step outlives the executor and is found again by the next one")
    func findsWorkOfTheFormerProcess() async throws {
        let gate = workshop.directory + "/gate"
        try Disk.makeDirectories(gate)
        let script = """
            echo run >> /gate/runs
            while [ ! -e /gate/go ]; do sleep 0.01; done
            grep -c . /gate/runs | tr -d '\\n'; echo ' run'
            """
        try await conformance.findsWorkOfTheFormerProcess(
            template: [
                "name": "t", "volumes": [["name": "gate", "hostPath": ["path": .string(gate)]]],
                "container": [
                    "command": ["sh", "-c", .string(script)],
                    "volumeMounts": [["name": "gate", "mountPath": "/gate"]],
                ],
            ], release: { try Disk.write([], to: gate + "/go") })
    }
}
