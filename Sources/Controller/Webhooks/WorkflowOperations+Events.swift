// Delivers an event from outside to the bindings of its namespace.

import Persistence
import Scheduling

/// What one binding did with an event.
package struct BindingOutcome: Sendable {
    package var binding: String
    /// The run that was begun, by uid and name; nil when the binding begins none or failed.
    package var run: (uid: String, name: String)?
    /// Why nothing was begun.
    package var problem: OperationError?
}

extension WorkflowOperations {
    /// Bindings of one namespace that an event is compared with.
    package static let bindingLimit = 1_000

    /// Begins what the bindings of the event's namespace want. When this returns, every run that it tells of is on disk.
    ///
    /// All bindings are computed and checked before the first run is stored; where one fails at that, none begins, so
    /// that the sender may send the event again. A failure behind that is told beside what was begun.
    package func deliver(_ event: IncomingEvent, creator: String? = nil) async throws -> [BindingOutcome] {
        let rows = try await store.definitions(.workflowEventBinding, namespace: event.namespace)
        guard rows.count <= Self.bindingLimit else {
            throw OperationError(
                .exhausted,
                "namespace \"\(event.namespace)\" has \(rows.count) event bindings; \(Self.bindingLimit) are compared"
            )
        }
        var plans: [(binding: String, submission: EventBinding.Submission?, options: SubmissionOptions)] = []
        var outcomes: [BindingOutcome] = []
        for row in rows {
            do {
                let binding = try EventBinding(row.body)
                guard var options = try binding.options(for: event, at: now()) else { continue }
                options.creator = creator
                if let submission = binding.submission {
                    _ = try await submit(
                        submission.kind, name: submission.template, namespace: event.namespace,
                        options: options,
                        dryRun: true)
                }
                plans.append((row.name, binding.submission, options))
            } catch let problem as OperationError {
                outcomes.append(BindingOutcome(binding: row.name, problem: problem))
            }
        }
        if !outcomes.isEmpty { return outcomes }
        for plan in plans {
            guard let submission = plan.submission else {
                outcomes.append(BindingOutcome(binding: plan.binding))
                continue
            }
            do {
                let state = try await submit(
                    submission.kind, name: submission.template, namespace: event.namespace,
                    options: plan.options)
                outcomes.append(BindingOutcome(binding: plan.binding, run: (state.uid, state.name)))
            } catch let problem as OperationError {
                outcomes.append(BindingOutcome(binding: plan.binding, problem: problem))
            }
        }
        return outcomes
    }
}
