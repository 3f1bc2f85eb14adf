// Saving: what all runs have to save goes into one transaction, and what follows from it is carried out behind it.

import Executors
import Persistence
import Scheduling
import Synchronization
import Text

extension WorkflowController {
    /// Saves all changes in one transaction, then carries out the effects. On a full disk both wait, and with them
    /// everything that would start.
    func save() async throws {
        if !unsaved.isEmpty || !unsavedEffects.isEmpty {
            guard try await flush() else { return refuseAnswers() }
        }
        collect()
        if !unsaved.isEmpty || !unsavedEffects.isEmpty {
            guard try await flush() else { return refuseAnswers() }
        }
        for answer in answers {
            answer.yield(.saved)
            answer.finish()
        }
        answers = []
        for uid in closing { dropIfDone(uid) }
    }

    private func refuseAnswers() {
        for answer in answers {
            answer.yield(.unsaved(problem: storageProblem ?? "the database cannot be written"))
            answer.finish()
        }
        answers = []
    }

    /// Takes what is to be saved from the runs that were touched.
    private func collect() {
        let moment = now()
        for uid in touched.sorted() {
            let effects = heldEffects[uid] ?? []
            guard let (change, keyed) = runs[uid]?.takeChange(effects, at: moment) else { continue }
            if var change {
                if let run = runs[uid] { settings.observers.note(run, in: &change) }
                unsaved.append(change)
            }
            unsavedEffects += keyed.map { (uid, $0.0, $0.key) }
            due.set(uid, runs[uid]?.state.nextTimer)
            if runs[uid]?.state.isFinished == true { giveBackPlace(uid) }
        }
        touched = []
        heldEffects = [:]
    }

    /// - Returns: false if it has to be tried again later.
    private func flush() async throws -> Bool {
        guard try await saveChanges() else { return false }
        let changed = Set(unsaved.map(\.uid))
        unsaved = []
        let due = unsavedEffects
        unsavedEffects = []
        if !changed.isEmpty { settings.onSaved() }
        for (index, entry) in due.enumerated() {
            do {
                try await perform(entry.effect, entry.uid)
                guard let key = entry.key else { continue }
                runs[entry.uid]?.doneEffects.append(key)
                if touched.insert(entry.uid).inserted { mailbox.post(.saveAgain) }
            } catch let error as StoreError where error.isPassing {
                unsavedEffects = Array(due[index...])
                report(error)
                break
            } catch StoreError.notFound {
                // The run was deleted meanwhile; nothing of it is to be done.
                continue
            }
        }
        for uid in changed { watchers.signal(uid) }
        return true
    }

    /// Writes the changes, without those of runs that are not ours any more.
    private func saveChanges() async throws -> Bool {
        while !unsaved.isEmpty {
            do {
                let start = ContinuousClock.now
                try await store.apply(unsaved)
                settings.observers.metrics?.observeSave(
                    seconds: (ContinuousClock.now - start).inSeconds, changes: unsaved.count)
                break
            } catch StoreError.superseded(let uid) {
                giveUp(uid, "another process has taken this run over")
            } catch StoreError.notFound(let kind, let name) {
                guard unsaved.contains(where: { $0.uid == name }) else {
                    throw StoreError.notFound(kind: kind, name: name)
                }
                await endDeleted(name)
            } catch let error as StoreError {
                // A run that is not on disk yet is refused; its submitter is told, as with any other submission.
                if let refused = unsaved.first(where: { error.refuses($0) }) {
                    giveUp(refused.uid, error.message)
                    continue
                }
                guard error.isPassing else { throw error }
                report(error)
                return false
            }
        }
        storageProblem = nil
        return true
    }

    /// Notes that the store cannot write now, and tries again a little later.
    func report(_ problem: StoreError) {
        storageProblem = problem.message
        settings.observers.metrics?.countSaveFailure()
        watchers.signalAll()
        saveAlarm.set(after: Self.fullDiskPause)
    }

    /// Somebody deleted a run that this process drives: what runs of it is ended, and it is forgotten.
    func endDeleted(_ uid: String) async {
        guard let run = runs[uid] else { return giveUp(uid, "the run has been deleted") }
        for node in run.state.nodes.values where node.isLaunched && !node.phase.isFulfilled {
            let key = AttemptKey(workflowUID: uid, nodeID: node.id, attempt: node.attempt)
            await executor.cancel(key, immediately: true)
        }
        giveUp(uid, "the run has been deleted")
    }

    /// A run is no longer ours to write.
    private func giveUp(_ uid: String, _ reason: String) {
        drop(uid)
        unsaved.removeAll { $0.uid == uid }
        unsavedEffects.removeAll { $0.uid == uid }
        watchers.note(.refused(reason), of: uid)
    }

    /// Notes that a run has ended and that its end is saved.
    func close(_ uid: String) {
        closing.insert(uid)
        watchers.note(.finished, of: uid)
    }

    /// Forgets a run that has ended once it is noted that its effects are done.
    private func dropIfDone(_ uid: String) {
        guard let run = runs[uid] else {
            closing.remove(uid)
            return
        }
        guard run.doneEffects.isEmpty, run.finishedCommands.isEmpty,
            !unsavedEffects.contains(where: { $0.uid == uid })
        else { return }
        drop(uid)
    }

    /// Lets go of a run and of its lock.
    func drop(_ uid: String) {
        giveBackPlace(uid)
        runs[uid] = nil
        touched.remove(uid)
        heldEffects[uid] = nil
        closing.remove(uid)
        lockWaiters.remove(uid)
        due.set(uid, nil)
    }

    /// A run that has ended makes place for one that waits.
    private func giveBackPlace(_ uid: String) {
        guard let run = runs[uid], run.isCounted else { return }
        runs[uid]?.isCounted = false
        let ready = admission.withLock { admission in
            admission.ended(run.state.definition.namespace)
            return admission.popReady()
        }
        for waiting in ready { mailbox.post(.drive(uid: waiting.uid, lock: nil)) }
    }
}

extension StoreError {
    /// Whether the run that a change inserts cannot be stored.
    fileprivate func refuses(_ change: WorkflowChange) -> Bool {
        guard let new = change.insertion else { return false }
        switch self {
        case .nameTaken(_, let namespace, let name): return new.namespace == namespace && new.name == name
        default: return isPassing
        }
    }

    /// Whether the same call may work a little later.
    var isPassing: Bool {
        switch self {
        case .full, .busy: true
        default: false
        }
    }
}
