// What others of this process ask of the controller: to drive, to obey, to show.

package import Scheduling
import Synchronization
import Text

/// How much a controller has to do, for metrics and health.
package struct ControllerCounts: Sendable, Hashable {
    /// Runs that it drives.
    package var driven: Int
    /// Runs that wait for their turn.
    package var waiting: Int
    /// Unfinished runs of other processes.
    package var foreign: Int
    /// Changes that wait for the disk.
    package var unsaved: Int
    /// What waits for the loop.
    package var mailbox: Int
}

extension WorkflowController {
    /// How long a sender waits until its command is saved.
    static let commandLimit = Duration.seconds(10)

    /// Begins or goes on with a stored run. Returns when the request is queued.
    /// - Parameter lock: the run's, if the caller holds it; the controller keeps it from then on.
    package nonisolated func drive(_ uid: String, lock: DriverLock? = nil) {
        mailbox.post(.drive(uid: uid, lock: lock))
    }

    /// Begins a run that the caller has just stored. Returns when the request is queued.
    package nonisolated func begin(_ run: NewRun) { mailbox.post(.begin(run)) }

    package nonisolated func send(_ command: Scheduling.Command, to uid: String) {
        mailbox.post(.event(uid: uid, .command(command)))
    }

    /// Carries a command out and waits until it is saved.
    /// - Parameter takes: a run that nobody drives is taken over for it.
    /// - Returns: nil if there was no answer within 10 s: the command is carried out later.
    package nonisolated func carryOut(_ command: Scheduling.Command, _ uid: String, takes: Bool = false)
        async throws
        -> CommandOutcome?
    {
        let (stream, answer) = AsyncStream.makeStream(
            of: CommandOutcome.self, bufferingPolicy: .bufferingNewest(1))
        mailbox.post(.command(uid: uid, command, takes: takes, answer))
        return try await withThrowingTaskGroup(of: CommandOutcome?.self) { group in
            group.addTask {
                for await outcome in stream { return outcome }
                return nil
            }
            group.addTask {
                try await Task.sleep(for: Self.commandLimit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    package nonisolated func stop() { mailbox.post(.stop) }

    /// Whether a run of the namespace that is submitted now begins at once.
    package nonisolated func hasRoom(namespace: String) -> Bool {
        settings.limits.isUnlimited
            || admission.withLock { $0.waitingCount == 0 && $0.hasRoom(namespace) }
    }

    /// A run that waits for its turn is not begun any more, unless it is asked for again.
    package nonisolated func withdraw(_ uid: String) { mailbox.post(.withdraw(uid: uid)) }

    /// Forgets a run; its lock is given back. For a controller whose loop has ended.
    package func forget(_ uid: String) {
        drop(uid)
        watchers.end(uid)
    }

    /// The run as it is now, for showing; nil if this process does not drive it.
    package func state(of uid: String) -> WorkflowState? { runs[uid]?.state }

    /// Whether nothing of the run happens without a person.
    package func waitsForPerson(_ uid: String) -> Bool { runs[uid]?.state.waitsForPerson ?? false }

    /// Whether a watched run has ended and its end is on disk.
    package func isFinished(_ uid: String) -> Bool { watchers.outcome(of: uid) == .finished }

    /// A signal now and after each saved change of a run.
    package nonisolated func changes(of uid: String) -> AsyncStream<Void> { watchers.changes(of: uid) }

    /// Why this process does not drive a watched run that it was asked to drive.
    package func refusal(of uid: String) -> String? {
        guard case .refused(let reason) = watchers.outcome(of: uid) else { return nil }
        return reason
    }

    /// How much there is to do.
    package var counts: ControllerCounts {
        ControllerCounts(
            driven: runs.count, waiting: admission.withLock { $0.waitingCount }, foreign: foreign.count,
            unsaved: unsaved.count, mailbox: mailbox.count)
    }
}
