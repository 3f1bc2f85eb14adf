// What is to be done about a deployment, decided from what is wanted and what is seen. Whoever carries it
// out looks again afterwards: nothing here remembers, so that a killed driver's successor decides the same.

package import Text

/// One process of a revision: the try `attempt` to keep `slot` filled.
package struct ReplicaID: Sendable, Hashable, Comparable {
    package var revision: Int
    /// From 0.
    package var slot: Int
    /// From 1.
    package var attempt: Int

    package init(revision: Int, slot: Int, attempt: Int) {
        self.revision = revision
        self.slot = slot
        self.attempt = attempt
    }

    package static func < (left: ReplicaID, right: ReplicaID) -> Bool {
        (left.revision, left.slot, left.attempt) < (right.revision, right.slot, right.attempt)
    }
}

/// A replica as it was found.
package struct ObservedReplica: Sendable, Hashable {
    package enum Process: Sendable, Hashable {
        /// Its directory is there, and nothing has run in it.
        case notStarted
        case running
        case ended(reason: String, at: Timestamp, lived: Duration)
    }

    package enum Health: Sendable, Hashable {
        /// It has not answered yet; loading a model takes a while.
        case starting
        case ready(since: Timestamp)
        /// It answered once and does no longer.
        case silent(since: Timestamp)
    }

    /// The first completion that is asked of a new replica.
    package enum SmokeTest: Sendable, Hashable {
        case none, running, passed
        case failed(String)
    }

    package var id: ReplicaID
    package var process: Process
    package var health = Health.starting
    package var test = SmokeTest.none
    /// Tries of its slot before it that did not live long.
    package var failures = 0
    /// Requests that it answers now.
    package var inFlight = 0
    /// Since when it gets no new requests; nil: it may get some.
    package var drainingSince: Timestamp?
    /// It was asked to end.
    package var isStopping = false

    package init(id: ReplicaID, process: Process) {
        self.id = id
        self.process = process
    }

    package var isRunning: Bool { process == .running }

    package var isReady: Bool {
        if case .ready = health { return isRunning }
        return false
    }
}

/// Something to do; doing it twice does no harm.
package enum DeploymentAction: Sendable, Hashable {
    case start(ReplicaID, failures: Int)
    case smokeTest(ReplicaID)
    case activate(Int)
    case fail(Int, reason: String)
    /// It gets no new requests from now on.
    case drain(ReplicaID)
    case stop(ReplicaID)
    /// Deletes what an ended replica left.
    case remove(ReplicaID)
    case forget
}

/// The rules, with their limits.
package struct DeploymentPlan: Sendable {
    /// Tries that a new revision's replica has to come up.
    package var startAttempts = 2
    /// How long a new revision may take to be ready, its models' loading included.
    package var progressLimit = Duration.seconds(900)
    /// How long requests may go on in a replica that is replaced.
    package var drainLimit = Duration.seconds(600)
    /// A replica that answered and is silent for so long is started anew.
    package var silenceLimit = Duration.seconds(60)
    /// The pause before the first restart; each further one is twice as long.
    package var firstPause = Duration.seconds(1)
    package var longestPause = Duration.seconds(60)
    /// One that lived so long did not fail at its start.
    package var longLife = Duration.seconds(60)

    package init() {}

    /// - Parameter replicas: all whose directories are there.
    package func actions(
        for deployment: Deployment, _ replicas: [ObservedReplica], at now: Timestamp
    ) -> [DeploymentAction] {
        if deployment.isDeleted { return takingDown(replicas, at: now) }
        var actions: [DeploymentAction] = []
        let kept = Set(deployment.kept)
        for replica in replicas
        where !kept.contains(replica.id.revision) || replica.id.slot >= deployment.replicas {
            actions += ending(replica, at: now)
        }
        for number in deployment.kept {
            for slot in 0..<deployment.replicas {
                let tries = replicas.filter { $0.id.revision == number && $0.id.slot == slot }
                let newest = tries.max { $0.id < $1.id }
                actions += keeping(newest, number, slot, isNew: number == deployment.wanted, at: now)
                for old in tries where old.id != newest?.id {
                    if old.isRunning {
                        actions += ending(old, at: now)
                    } else {
                        actions.append(.remove(old.id))
                    }
                }
            }
        }
        if let revision = deployment.revision(deployment.wanted) {
            actions += rollOut(revision, deployment.replicas, replicas, at: now)
        }
        return actions
    }

    private func takingDown(_ replicas: [ObservedReplica], at now: Timestamp) -> [DeploymentAction] {
        if replicas.isEmpty { return [.forget] }
        return replicas.flatMap { replica -> [DeploymentAction] in
            replica.isRunning ? ending(replica, at: now) : [.remove(replica.id)]
        }
    }

    /// Requests that it has are answered first.
    private func ending(_ replica: ObservedReplica, at now: Timestamp) -> [DeploymentAction] {
        guard replica.isRunning else { return [] }
        guard let since = replica.drainingSince else { return [.drain(replica.id)] }
        let isOver = replica.inFlight == 0 || now - since > drainLimit
        return isOver && !replica.isStopping ? [.stop(replica.id)] : []
    }

    /// Sees to it that a slot is filled.
    private func keeping(
        _ newest: ObservedReplica?, _ revision: Int, _ slot: Int, isNew: Bool, at now: Timestamp
    ) -> [DeploymentAction] {
        guard let newest else {
            return [.start(ReplicaID(revision: revision, slot: slot, attempt: 1), failures: 0)]
        }
        switch newest.process {
        case .notStarted: return [.start(newest.id, failures: newest.failures)]
        case .running:
            guard case .silent(let since) = newest.health, now - since > silenceLimit, !newest.isStopping
            else { return [] }
            return [.stop(newest.id)]
        case .ended(let reason, let moment, let lived):
            let failures = lived >= longLife ? 1 : newest.failures + 1
            if isNew && failures >= startAttempts {
                return [.fail(revision, reason: "replica \(slot) ended before it was ready: \(reason)")]
            }
            guard now - moment >= pause(after: failures) else { return [] }
            let next = ReplicaID(revision: revision, slot: slot, attempt: newest.id.attempt + 1)
            return [.start(next, failures: failures)]
        }
    }

    /// The wait before a restart.
    package func pause(after failures: Int) -> Duration {
        min(longestPause, firstPause * (1 << min(max(failures - 1, 0), 10)))
    }

    private func rollOut(
        _ revision: DeploymentRevision, _ count: Int, _ replicas: [ObservedReplica], at now: Timestamp
    ) -> [DeploymentAction] {
        var actions: [DeploymentAction] = []
        var readyCount = 0
        for slot in 0..<count {
            let newest = replicas.filter { $0.id.revision == revision.number && $0.id.slot == slot }
                .max { $0.id < $1.id }
            guard let newest, newest.isRunning else { continue }
            if case .failed(let reason) = newest.test {
                return [.fail(revision.number, reason: "the smoke test failed: \(reason)")]
            }
            guard case .ready(let since) = newest.health else { continue }
            if newest.test == .none { actions.append(.smokeTest(newest.id)) }
            let isProven = newest.test == .passed
            if isProven && now - since >= .seconds(revision.spec.minReadySeconds) { readyCount += 1 }
        }
        if readyCount == count { return [.activate(revision.number)] }
        if now - revision.changedAt > progressLimit {
            let span = Int(progressLimit.inSeconds)
            return [.fail(revision.number, reason: "it was not ready after \(span) seconds")]
        }
        return actions
    }
}

extension Deployment {
    /// How it is, in a word: deleting, progressing, failed, ready, degraded or down.
    package func state(_ replicas: [ObservedReplica]) -> String {
        if isDeleted { return "deleting" }
        if wanted != nil { return "progressing" }
        guard let active else { return revisions.last?.phase == .failed ? "failed" : "progressing" }
        let ready = replicas.count { $0.id.revision == active && $0.isReady }
        return ready >= self.replicas ? "ready" : ready > 0 ? "degraded" : "down"
    }
}
