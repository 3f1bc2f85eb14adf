// Bringing a verb to a run: to the controller of this process, to the process that drives it, or, where none does, by
// taking the run over for as long as the verb needs.

import Persistence
package import Scheduling
import Text

extension WorkflowOperations {
    /// How long an answer of another living driver is awaited.
    static let answerLimit = Duration.seconds(5)
    private static let answerPoll = Duration.milliseconds(50)
    /// A run may change hands while a verb is on its way to it, but not for ever.
    private static let deliveries = 5

    /// Where a verb was carried out.
    package enum Delivery: Sendable, Hashable {
        /// A driver that goes on with the run has carried it out.
        case byDriver
        /// No process drove the run; the verb is carried out and saved, and the run is left as it then was.
        case here
    }

    /// Stop, terminate, suspend, resume, node set: carried out and saved when this returns.
    /// - Throws: `OperationError`: `precondition` when the run has ended or nothing matches; `unavailable` when its
    ///   driver does not answer, or cannot save.
    package func control(_ uid: String, _ command: Scheduling.Command) async throws -> WorkflowState {
        _ = try await deliver(command, to: uid)
        return try await state(uid)
    }

    /// Carries a verb out, and says by whom.
    package func deliver(_ command: Scheduling.Command, to uid: String) async throws -> Delivery {
        try await OperationError.naming {
            for _ in 0..<Self.deliveries {
                let state = try await state(uid)
                try Self.check(command, state)
                if let delivery = try await deliverOnce(command, state) { return delivery }
            }
            throw OperationError(
                .unavailable, "workflow \(uid) changes hands all the time; try again in a moment")
        }
    }

    /// - Returns: nil if the run has changed hands meanwhile.
    private func deliverOnce(_ command: Scheduling.Command, _ state: WorkflowState) async throws -> Delivery?
    {
        let uid = state.uid
        if let controller {
            // Its own first; a run of nobody is taken over for the command.
            for takes in [false, true] where !takes || !isDriven(uid) {
                switch try await controller.carryOut(command, uid, takes: takes) {
                case .saved: return .byDriver
                case .notDriven: continue
                case .unsaved(let problem):
                    throw OperationError(
                        .unavailable, "\(problem); the command is carried out as soon as it can be")
                case nil: throw Self.noAnswer(command, state)
                }
            }
        }
        if isServed || isDriven(uid) {
            let id = try await leave(command, state)
            if try await isAnswered(id, of: state, within: Self.answerLimit) { return .byDriver }
            guard !isServed, !isDriven(uid), let borrowed else { throw Self.noAnswer(command, state) }
            try await carryOut(id, state, borrowed())
            return .here
        }
        guard controller == nil else { return nil }
        guard let borrowed else {
            throw OperationError(
                .precondition,
                "no process drives workflow \(state.name); `martlet run --resume \(state.name)` does")
        }
        // Made before the verb is left: one left where nothing can take it would surprise a later driver.
        let temporary = try borrowed()
        try await carryOut(try await leave(command, state), state, temporary)
        return .here
    }

    private static func noAnswer(_ command: Scheduling.Command, _ state: WorkflowState) -> OperationError {
        OperationError(
            .unavailable,
            "the process that drives workflow \(state.name) has not answered within \(answerLimit.text); "
                + "it carries out \"\(command.stored.verb)\" as soon as it can: see `martlet get \(state.name)`"
        )
    }

    private func leave(_ command: Scheduling.Command, _ state: WorkflowState) async throws -> Int64 {
        let (verb, payload) = command.stored
        return try await store.enqueueCommand(state.uid, verb: verb, payload: payload)
    }

    private func isAnswered(_ id: Int64, of state: WorkflowState, within limit: Duration) async throws -> Bool
    {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if try await isDone(id, state) { return true }
            if !isServed, !isDriven(state.uid) { return try await isDone(id, state) }
            try await Task.sleep(for: Self.answerPoll)
        }
        return false
    }

    /// - Throws: `OperationError` with the driver's reason when it refused the verb.
    private func isDone(_ id: Int64, _ state: WorkflowState) async throws -> Bool {
        guard let result = try await store.commandResult(id), result.done else { return false }
        if let error = result.error {
            throw OperationError(.precondition, "workflow \(state.name): \(error)")
        }
        return true
    }

    /// Drives the run in this process until the verb is saved as done.
    private func carryOut(_ id: Int64, _ state: WorkflowState, _ controller: WorkflowController) async throws
    {
        let changes = controller.changes(of: state.uid)
        // Both are handled at one go, so that a run that is to stop is not carried on before.
        controller.drive(state.uid)
        controller.mailbox.post(.poll)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                defer { controller.mailbox.post(.stop) }
                try await awaitEnd(of: id, state, controller, changes)
            }
            try await group.next()
            try await group.waitForAll()
        }
        await controller.forget(state.uid)
    }

    private func awaitEnd(
        of id: Int64, _ state: WorkflowState, _ controller: WorkflowController, _ changes: AsyncStream<Void>
    ) async throws {
        for await _ in changes {
            if try await isDone(id, state) { return }
            if let refusal = await controller.refusal(of: state.uid) {
                throw OperationError(.unavailable, refusal)
            }
            if let problem = await controller.storageProblem {
                throw OperationError(.unavailable, "\(problem); try again once that is mended")
            }
        }
    }

    // MARK: What can be asked

    /// A run that has ended obeys no more, and a selector must choose something: a verb that changes nothing would
    /// look like one that did.
    private static func check(_ command: Scheduling.Command, _ state: WorkflowState) throws(OperationError) {
        if state.isFinished {
            let phase = state.phase?.rawValue ?? ""
            throw OperationError(
                .precondition,
                "workflow \(state.name) has ended (\(state.shutdown == nil ? phase : "\(phase), shut down")); "
                    + (state.phase == .succeeded
                        ? "`martlet resubmit \(state.name)` runs it again"
                        : "`martlet retry \(state.name)` goes on with what failed"))
        }
        let selector: NodeSelector?
        switch command {
        case .stop(_, let given), .resume(let given), .set(let given, _, _, _): selector = given
        case .terminate, .suspend, .interrupt: return
        }
        guard let selector else { return }
        let waiting = state.nodes.values.filter { $0.type == .suspend && $0.phase == .running }
        guard !waiting.contains(where: selector.matches) else { return }
        let names = waiting.map(\.displayName).sorted().prefix(20).joined(separator: ", ")
        throw OperationError(
            .precondition,
            "workflow \(state.name) has no suspend node that waits and matches \"\(selector.source)\"; "
                + (names.isEmpty ? "none waits" : "these wait: \(names)"))
    }
}

extension Duration {
    fileprivate var text: String { "\(components.seconds) s" }
}
