// Bringing a verb to a run: to the process that drives it, or, where none does, by taking the run over for as
// long as the verb needs.

import Artifacts
import Controller
import Executors
import Persistence
import Scheduling
import Text

struct CommandDelivery {
    /// How long an answer of a living driver is awaited.
    static let answerLimit = Duration.seconds(5)
    private static let answerPoll = Duration.milliseconds(50)

    enum Outcome: Sendable {
        /// Another process drives the run and has carried the verb out.
        case carriedOutByDriver
        /// No process drove the run; the verb is carried out and saved, and the run is left as it then was.
        case carriedOutHere
    }

    let access: RunAccess
    let execution: ExecutionOptions

    /// Carries a verb out.
    ///
    /// - Throws: `CommandError` when the run has ended, or a living driver does not answer in time.
    func deliver(_ command: Scheduling.Command, to state: WorkflowState) async throws -> Outcome {
        if state.isFinished {
            throw CommandError(
                "workflow \(state.name) has ended (\(RunHeader.status(state))); "
                    + (state.phase == .succeeded
                        ? "`martlet resubmit \(state.name)` runs it again"
                        : "`martlet retry \(state.name)` goes on with what failed"))
        }
        // A verb is left only where something can take it: it would otherwise surprise a later driver.
        var controller = access.isDriven(state.uid) ? nil : try makeController()
        let (verb, payload) = command.stored
        let id = try await access.store.enqueueCommand(state.uid, verb: verb, payload: payload)
        if controller == nil {
            if try await isAnswered(id, of: state, within: Self.answerLimit) { return .carriedOutByDriver }
            guard !access.isDriven(state.uid) else {
                throw CommandError(
                    "the process that drives workflow \(state.name) has not answered within 5 s; "
                        + "it carries out \"\(verb)\" as soon as it can: see `martlet get \(state.name)`")
            }
            controller = try makeController()
        }
        if let controller { try await carryOut(id, state, controller) }
        return .carriedOutHere
    }

    private func isAnswered(_ id: Int64, of state: WorkflowState, within limit: Duration) async throws -> Bool
    {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if try await isDone(id, state) { return true }
            if !access.isDriven(state.uid) { return try await isDone(id, state) }
            try await Task.sleep(for: Self.answerPoll)
        }
        return false
    }

    /// - Throws: `CommandError` with the driver's reason when it refused the verb.
    private func isDone(_ id: Int64, _ state: WorkflowState) async throws -> Bool {
        guard let result = try await access.store.commandResult(id), result.done else { return false }
        if let error = result.error { throw CommandError("workflow \(state.name): \(error)") }
        return true
    }

    private func makeController() throws -> WorkflowController {
        try ExecutorFactory.controller(access.store, execution.settings, access.data.location)
    }

    /// Drives the run in this process until the verb is saved as done.
    private func carryOut(_ id: Int64, _ state: WorkflowState, _ controller: WorkflowController) async throws
    {
        let changes = await controller.changes(of: state.uid)
        // Both are handled at one go, so that a run that is to stop is not carried on before.
        await controller.drive(state.uid)
        controller.mailbox.post(.poll)
        let delivery = self
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                do {
                    try await delivery.awaitEnd(of: id, state, controller, changes)
                } catch {
                    await controller.stop()
                    throw error
                }
                await controller.stop()
            }
            try await group.next()
            try await group.waitForAll()
        }
        await controller.forget(state.uid)
    }

    private func awaitEnd(
        of id: Int64, _ state: WorkflowState, _ controller: WorkflowController, _ changes: AsyncStream<Void>
    ) async throws {
        var toldProblem: String?
        for await _ in changes {
            if try await isDone(id, state) { return }
            if let refusal = await controller.refusal(of: state.uid) {
                throw CommandError(refusal, status: 2)
            }
            if let problem = await controller.storageProblem, problem != toldProblem {
                Output.warning("\(problem); \"\(state.name)\" waits")
                toldProblem = problem
            }
        }
    }
}
