// A deployment as a value: what is served, what shall be, and what was. Every change of it is a method here;
// each may be done twice, since whoever decided it may be killed before it is known to be saved.

package import Text
import WorkflowLanguage

/// Where a revision came from.
package struct DeploymentOrigin: Sendable, Hashable {
    /// Names the attempt of the step that asked for it: asking again finds the revision again.
    package var launch: String
    package var workflow: String
    package var workflowUID: String
    package var nodeID: String
    /// SHA-256 of the model artifact as the store has it; empty for a model in a directory of the machine.
    package var modelHash = ""

    package init(launch: String, workflow: String = "", workflowUID: String = "", nodeID: String = "") {
        self.launch = launch
        self.workflow = workflow
        self.workflowUID = workflowUID
        self.nodeID = nodeID
    }
}

/// One version of what a deployment serves.
package struct DeploymentRevision: Sendable, Hashable {
    package enum Phase: String, Sendable, CaseIterable {
        /// Its files are being laid out.
        case preparing
        /// Its replicas start and are looked at; they get no requests yet.
        case progressing
        /// It gets the requests.
        case active
        /// It did, and may again.
        case retired
        /// It never did.
        case failed
    }

    package var number: Int
    package var phase = Phase.preparing
    /// Why it failed; empty otherwise.
    package var message = ""
    package var spec: DeploymentSpec
    package var origin: DeploymentOrigin
    package var createdAt: Timestamp
    /// When it came into its phase.
    package var changedAt: Timestamp
}

/// A model that is served under a name, and the history of that.
package struct Deployment: Sendable, Hashable {
    /// Revisions that are remembered, those in use beside.
    package static let historyLimit = 10

    /// Unique in a data directory: it is the address.
    package var name: String
    /// Whose roles decide who may use it.
    package var namespace: String
    package var replicas: Int
    /// The revision that gets requests.
    package var active: Int?
    /// The revision that is to take its place; nil when nothing is being rolled out.
    package var wanted: Int?
    /// It is being taken down, and is forgotten when nothing of it runs.
    package var isDeleted = false
    /// Oldest first.
    package var revisions: [DeploymentRevision] = []
    /// Numbers are never given twice: directories are named after them.
    package var nextNumber = 1
    package var createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(name: String, namespace: String, replicas: Int, at now: Timestamp) {
        self.name = name
        self.namespace = namespace
        self.replicas = replicas
        createdAt = now
        updatedAt = now
    }

    package func revision(_ number: Int?) -> DeploymentRevision? { revisions.first { $0.number == number } }

    package func revision(launch: String) -> DeploymentRevision? {
        revisions.first { $0.origin.launch == launch }
    }

    /// Revisions whose replicas shall run.
    package var kept: [Int] { isDeleted ? [] : [active, wanted].compactMap { $0 } }

    // MARK: Changes

    /// Adds a revision whose files are to be laid out, or finds the one that the same launch added before.
    package mutating func prepare(_ spec: DeploymentSpec, _ origin: DeploymentOrigin, at now: Timestamp)
        -> Int
    {
        if let known = revision(launch: origin.launch) { return known.number }
        let number = nextNumber
        nextNumber += 1
        revisions.append(
            DeploymentRevision(number: number, spec: spec, origin: origin, createdAt: now, changedAt: now))
        updatedAt = now
        forgetOld()
        return number
    }

    /// Says what a revision serves.
    package mutating func noteModel(_ number: Int, hash: String) {
        guard let index = revisions.firstIndex(where: { $0.number == number }) else { return }
        revisions[index].origin.modelHash = hash
    }

    /// The files of a revision are there: it is rolled out. One that is being rolled out already gives way.
    package mutating func begin(_ number: Int, at now: Timestamp) {
        guard let revision = revision(number), revision.phase == .preparing else { return }
        rollOut(revision, at: now)
        replicas = revision.spec.replicas
    }

    private mutating func rollOut(_ revision: DeploymentRevision, at now: Timestamp) {
        if let other = wanted, other != revision.number {
            fail(other, "revision \(revision.number) came in between", at: now)
        }
        isDeleted = false
        set(revision.number, .progressing, at: now)
        wanted = revision.number
    }

    /// The wanted revision is ready: it gets the requests from now on.
    package mutating func activate(_ number: Int, at now: Timestamp) {
        guard wanted == number else { return }
        if let active { set(active, .retired, at: now) }
        set(number, .active, at: now)
        active = number
        wanted = nil
    }

    /// A revision does not come up: what was active stays so.
    package mutating func fail(_ number: Int, _ message: String, at now: Timestamp) {
        guard let phase = revision(number)?.phase, phase == .preparing || phase == .progressing else {
            return
        }
        set(number, .failed, message, at: now)
        if wanted == number { wanted = nil }
    }

    /// Rolls an earlier revision out again.
    /// - Parameter number: nil for the newest that was active before.
    /// - Throws: if there is none.
    /// - Returns: the revision that is rolled out.
    @discardableResult
    package mutating func rollBack(to number: Int?, at now: Timestamp) throws(DeploymentProblem) -> Int {
        guard !isDeleted else { throw DeploymentProblem("deployment \(name) is being deleted") }
        let earlier = revisions.filter { $0.phase == .retired }.max { $0.changedAt < $1.changedAt }
        guard let target = number.map({ revision($0) }) ?? earlier else {
            throw DeploymentProblem(
                number.map {
                    "deployment \(name) has no revision \($0); see `martlet deployments get \(name)`"
                }
                    ?? "deployment \(name) has no earlier revision that was active")
        }
        if wanted == target.number { return target.number }
        if active == target.number {
            guard let wanted else {
                throw DeploymentProblem("revision \(target.number) of deployment \(name) is active already")
            }
            // Going back during a roll-out is giving that up.
            fail(wanted, "rolled back by hand", at: now)
            return target.number
        }
        guard target.phase == .retired || target.phase == .failed else {
            throw DeploymentProblem("revision \(target.number) of deployment \(name) was never laid out")
        }
        rollOut(target, at: now)
        return target.number
    }

    /// - Throws: for a number that cannot be.
    package mutating func scale(to count: Int, at now: Timestamp) throws(DeploymentProblem) {
        guard !isDeleted else { throw DeploymentProblem("deployment \(name) is being deleted") }
        guard (1...DeploymentSpec.replicaLimit).contains(count) else {
            throw DeploymentProblem(
                "replicas must be from 1 to \(DeploymentSpec.replicaLimit); `martlet deployments delete` takes it down"
            )
        }
        replicas = count
        updatedAt = now
    }

    package mutating func delete(at now: Timestamp) {
        if let wanted { fail(wanted, "the deployment was deleted", at: now) }
        isDeleted = true
        updatedAt = now
    }

    private mutating func set(
        _ number: Int, _ phase: DeploymentRevision.Phase, _ message: String = "", at now: Timestamp
    ) {
        guard let index = revisions.firstIndex(where: { $0.number == number }) else { return }
        revisions[index].phase = phase
        revisions[index].message = message
        revisions[index].changedAt = now
        updatedAt = now
    }

    private mutating func forgetOld() {
        var surplus = revisions.count - Self.historyLimit
        revisions.removeAll { revision in
            let isInUse =
                revision.number == active || revision.number == wanted || revision.phase == .preparing
            guard surplus > 0, !isInUse else { return false }
            surplus -= 1
            return true
        }
    }
}
