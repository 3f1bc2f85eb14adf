// Driving one run in the foreground: the controller, the live tree, and what signals do.

import Artifacts
import Controller
import Executors
import Glibc
import Persistence
import Scheduling
import Text

/// Drives a stored run until it ends, or waits for a person and is not to wait.
struct RunDriver {
    /// Exit status of a run that waits for a person under `--no-wait`.
    static let waitingStatus: Int32 = 3

    var output = RunOutput.tree
    var waits = true
    private let store: Store
    private let controller: WorkflowController
    private let models: ModelOperations

    /// - Parameter parts: what executes steps, where it was made before.
    init(
        store: Store, data: DataLocation, execution: ExecutionSettings, parts: LocalParts? = nil
    ) throws {
        self.store = store
        controller = try ExecutorFactory.controller(store, execution, data, parts: parts)
        let artifacts = try parts?.artifacts ?? ExecutorFactory.artifactStore(data)
        models = ExecutorFactory.models(store, artifacts, data)
    }

    /// - Returns: the exit status that DESIGN gives the outcome.
    func drive(_ uid: String) async throws -> Int32 { try await drive(uid) { $0.drive(uid) } }

    /// - Returns: the exit status that DESIGN gives the outcome.
    func drive(_ run: NewRun) async throws -> Int32 { try await drive(run.uid) { $0.begin(run) } }

    private func drive(_ uid: String, begin: (WorkflowController) -> Void) async throws -> Int32 {
        let (controller, output, waits) = (controller, output, waits)
        let signals = SignalWatch { signal in
            if signal == SIGINT {
                Output.note("\ninterrupted: ending the steps; press Ctrl-C again to leave them")
                controller.mailbox.post(.event(uid: uid, .command(.interrupt(message: "interrupted"))))
            } else {
                Output.note("leaving: running steps go on; `martlet run --resume` goes on with the run")
                controller.mailbox.post(.stop)
            }
        }
        defer { signals.cancel() }
        let changes = controller.changes(of: uid)
        begin(controller)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                await Self.watch(uid, controller, changes, output, waits: waits)
                controller.stop()
            }
            // The loop ends by itself after a stop, and has saved everything then; if it fails, nobody is left to
            // watch.
            do {
                for try await _ in group {}
            } catch {
                group.cancelAll()
                throw error
            }
        }
        do {
            try await models.refresh()
        } catch {
            // The next command that looks at models finds what is missing.
            Output.warning("models of this run are not recorded yet: \(error)")
        }
        let status = try await report(uid, signals)
        do {
            try await store.shortenLog()
        } catch {
            // Only the next start takes longer.
        }
        return status
    }

    private static func watch(
        _ uid: String, _ controller: WorkflowController, _ changes: AsyncStream<Void>, _ output: RunOutput,
        waits: Bool
    ) async {
        var screen = LiveScreen(isOn: output == .tree && isatty(STDERR_FILENO) == 1)
        defer { screen.clear() }
        var toldProblem: String?
        for await _ in changes {
            if await controller.refusal(of: uid) != nil { return }
            if let problem = await controller.storageProblem, problem != toldProblem {
                Output.warning("\(problem); the run waits")
                toldProblem = problem
            }
            if await controller.isFinished(uid) { return }
            if !waits, await controller.waitsForPerson(uid) { return }
            if screen.isDue, let state = await controller.state(of: uid) { screen.draw(state) }
        }
    }

    private func report(_ uid: String, _ signals: SignalWatch) async throws -> Int32 {
        if let refusal = await controller.refusal(of: uid) { throw CommandError(refusal, status: 2) }
        guard let stored = try await store.loadRun(uid),
            let state = WorkflowState(stored, at: Environment.now())
        else {
            throw CommandError("the run has been deleted", status: 2)
        }
        switch output {
        case .json: Output.line(state.documentJSON.prettyText)
        case .tree:
            Output.text(
                TreeRenderer.render(
                    state: state,
                    options: .init(isColored: Output.colorsStandardOutput, now: Environment.now())))
        case .quiet: break
        }
        if signals.received == SIGINT { return 130 }
        if signals.received == SIGTERM { return 143 }
        guard state.isFinished else {
            Output.note("workflow \(state.name) waits; go on with `martlet resume \(state.name)`")
            return Self.waitingStatus
        }
        return Self.status(of: state)
    }

    /// The exit status that DESIGN gives the outcome of a run.
    static func status(of state: WorkflowState) -> Int32 {
        guard state.isFinished else { return waitingStatus }
        switch state.phase {
        case .succeeded: return 0
        case .failed: return 1
        default: return 2
        }
    }
}
