// A run that this process drives: its state in memory, and what of it has yet to reach the disk.

import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// A run and its driver's bookkeeping.
struct DrivenRun {
    var state: WorkflowState
    /// Fences out a driver that was taken for dead.
    let epoch: Int
    let lock: DriverLock
    /// Keys of effects that were carried out since the last save.
    var doneEffects: [String] = []
    var finishedCommands: [WorkflowChange.FinishedCommand] = []
    var takenCommands: Set<Int64> = []
    /// Lock requests that wait for others to let go.
    var waitingLocks: [NodeID: LockRequest] = [:]
    /// Whether it may hold locks, or stand in a queue for some: it asked, or an earlier driver may have.
    var mayHoldLocks: Bool
    var effectCount = 0
    var journal: RunJournal
    /// The run's row while it is not on disk: it goes there with the first change.
    var insertion: WorkflowRow?
    /// Whether it takes one of the places that the limits give.
    var isCounted = false

    init(state: WorkflowState, epoch: Int, lock: DriverLock) {
        self.state = state
        self.epoch = epoch
        self.lock = lock
        mayHoldLocks = state.startedAt != nil || !state.nodes.isEmpty
        journal = RunJournal(state)
    }

    /// What has changed since the last call, with rows for the effects that need one; nil if nothing has.
    mutating func takeChange(_ effects: [Effect], at now: Timestamp) -> (
        change: WorkflowChange?, effects: [(Effect, key: String?)]
    ) {
        let (nodes, removed, isHeaderChanged) = state.takeChanges()
        var change = WorkflowChange(uid: state.uid, driverEpoch: epoch, nodes: nodes, deletedNodes: removed)
        if isHeaderChanged {
            change.header = HeaderUpdate(
                phase: state.phase?.rawValue ?? "", message: state.message, startedAt: state.startedAt,
                finishedAt: state.finishedAt, state: state.headerJSON, labels: state.metadata.labels,
                annotations: state.metadata.annotations)
        }
        if isHeaderChanged || !nodes.isEmpty {
            change.events = journal.note(nodes, state, at: now)
            change.progress = journal.progress
        }
        var keyed: [(Effect, key: String?)] = []
        for effect in effects {
            effectCount += 1
            let row = effect.row(sequence: effectCount)
            if let row { change.newEffects.append(row) }
            keyed.append((effect, row?.key))
        }
        change.insertion = insertion
        insertion = nil
        change.doneEffects = doneEffects
        change.finishedCommands = finishedCommands
        doneEffects = []
        finishedCommands = []
        let isEmpty =
            change.insertion == nil && nodes.isEmpty && removed.isEmpty && change.header == nil
            && change.newEffects.isEmpty
            && change.doneEffects.isEmpty && change.finishedCommands.isEmpty
        return (isEmpty ? nil : change, keyed)
    }
}
