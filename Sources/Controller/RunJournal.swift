// What people read of a run as it goes: events with Argo's reasons, and how far it has come.

import Persistence
import Scheduling
import Text

/// Keeps of each node that has not ended what was told of it last, so that each change of it is told once and the
/// progress is known without looking at all nodes.
struct RunJournal: Sendable {
    /// Beyond so many events of a run only what went wrong is told, and beyond twice as many nothing.
    static let eventLimit = 10_000
    private static let messageLimit = 1_000

    private struct Told: Sendable {
        var phase: Phase
        var attempt: Int
        var hasMessage: Bool
        var waitingLock: String?
        var progress = WorkflowState.Progress()
    }

    private var open: [NodeID: Told] = [:]
    /// Nodes up to this sequence have been seen; those of them that are not open have ended.
    private var newest = 0
    private var total = WorkflowState.Progress()
    private var phase: Phase?
    private var message = ""
    private var isSuspended = false
    private var shutdown: Shutdown?
    private var eventCount = 0
    /// The nodes that entered another phase in the last change.
    private(set) var entered: [Node] = []
    /// The phase that the run entered in it; nil if it stayed.
    private(set) var enteredPhase: Phase?

    /// The progress of the run: `N/M`.
    var progress: String { total.text }

    /// - Parameter state: of a run as it was stored, of which nothing is told again.
    init(_ state: WorkflowState) {
        phase = state.phase
        message = state.message
        isSuspended = state.isSuspended
        shutdown = state.shutdown
        for node in state.nodes.values {
            newest = max(newest, node.sequence)
            let told = Self.told(node)
            total.done += told.progress.done
            total.all += told.progress.all
            if !node.phase.isFulfilled { open[node.id] = told }
        }
    }

    private static func told(_ node: Node) -> Told {
        Told(
            phase: node.phase, attempt: node.attempt, hasMessage: !node.message.isEmpty,
            waitingLock: node.waitingLock,
            progress: node.type.isExecutable ? WorkflowState.progress(of: node) : WorkflowState.Progress())
    }

    /// What there is to tell of a saved change.
    /// - Parameter nodes: those that changed, by sequence.
    mutating func note(_ nodes: [Node], _ state: WorkflowState, at now: Timestamp) -> [EventRow] {
        entered = []
        enteredPhase = state.phase == phase ? nil : state.phase
        var events = events(of: state, at: now)
        for node in nodes {
            let last = open[node.id]
            // Of a node that ended before nothing is told, whatever is still noted in it.
            guard last != nil || node.sequence > newest else { continue }
            newest = max(newest, node.sequence)
            if node.phase != last?.phase { entered.append(node) }
            let told = Self.told(node)
            total.done += told.progress.done - (last?.progress.done ?? 0)
            total.all += told.progress.all - (last?.progress.all ?? 0)
            open[node.id] = node.phase.isFulfilled ? nil : told
            events += Self.events(of: node, last, at: now)
        }
        return limited(events)
    }

    private mutating func limited(_ events: [EventRow]) -> [EventRow] {
        var kept: [EventRow] = []
        for event in events {
            let isTrouble = event.kind.hasSuffix("Failed") || event.kind.hasSuffix("Error")
            guard eventCount < Self.eventLimit || (isTrouble && eventCount < 2 * Self.eventLimit) else {
                continue
            }
            eventCount += 1
            kept.append(event)
        }
        return kept
    }

    private static func events(of node: Node, _ last: Told?, at now: Timestamp) -> [EventRow] {
        var events: [EventRow] = []
        func tell(_ kind: String, _ text: String) {
            events.append(
                EventRow(at: now, nodeID: node.id, kind: kind, message: String(text.prefix(messageLimit))))
        }
        let reason = node.message.isEmpty ? "" : ": \(node.message)"
        if let last, node.attempt > last.attempt {
            tell(
                "WorkflowNodeRetried",
                "node \(node.name) runs again: attempt \(node.attempt) was not heard of")
        }
        switch node.phase {
        case .pending:
            if let lock = node.waitingLock, lock != last?.waitingLock {
                tell("WorkflowNodePending", "Pending node \(node.name): waiting for lock \(lock)")
            } else if node.waitingLock == nil, !node.message.isEmpty, last?.hasMessage != true {
                tell("WorkflowNodePending", "Pending node \(node.name)\(reason)")
            }
        case .running:
            guard node.type.isExecutable, last?.phase != .running else { break }
            tell("WorkflowNodeRunning", "Running node \(node.name)")
        case .succeeded:
            if node.type.isExecutable {
                tell("WorkflowNodeSucceeded", "Succeeded node \(node.name)\(reason)")
            }
        case .failed, .error:
            tell("WorkflowNode\(node.phase.rawValue)", "\(node.phase.rawValue) node \(node.name)\(reason)")
        case .skipped, .omitted: break
        }
        return events
    }

    private mutating func events(of state: WorkflowState, at now: Timestamp) -> [EventRow] {
        var events: [EventRow] = []
        func tell(_ kind: String, _ text: String) {
            events.append(EventRow(at: now, kind: kind, message: String(text.prefix(Self.messageLimit))))
        }
        if state.shutdown != shutdown, let how = state.shutdown {
            tell("WorkflowShutdown", "Workflow shut down with strategy '\(how.rawValue)'")
        }
        if state.isSuspended != isSuspended {
            tell(state.isSuspended ? "WorkflowSuspended" : "WorkflowResumed", "by request")
        }
        if state.phase != phase || (state.phase == .pending && state.message != message) {
            switch state.phase {
            case .running: tell("WorkflowRunning", "Workflow Running")
            case .succeeded: tell("WorkflowSucceeded", "Workflow completed")
            case .failed, .error:
                tell(state.isPastDeadline ? "WorkflowTimedOut" : "WorkflowFailed", state.message)
            default: if !state.message.isEmpty { tell("WorkflowPending", state.message) }
            }
        }
        (phase, message, isSuspended, shutdown) =
            (state.phase, state.message, state.isSuspended, state.shutdown)
        return events
    }
}
