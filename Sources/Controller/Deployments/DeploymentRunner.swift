// Looks after the deployments of a data directory: looks what runs, asks the plan what to do, does it, looks
// again. Of all processes that could, the one with the lock acts; the others look, so that they know where
// requests go.

import Artifacts
package import Executors
import Persistence
package import Scheduling
import Synchronization
package import Text

package actor DeploymentRunner {
    /// How often it is looked, at the latest.
    static let tick = Duration.milliseconds(200)
    /// The same where nothing is deployed.
    private static let idleTick = Duration.seconds(1)
    /// How often a replica that is well is asked whether it still is.
    private static let healthInterval = Duration.seconds(5)
    /// Rounds of looking and doing in one pass.
    private static let roundLimit = 8

    /// What is known of a replica beside what its directory shows.
    struct Knowledge {
        var health = ObservedReplica.Health.starting
        var test = ObservedReplica.SmokeTest.none
        var drainingSince: Timestamp?
        var isStopping = false
        var askedAt: Timestamp?
    }

    typealias Job = @Sendable () async -> Void

    package nonisolated let table = DeploymentTable()
    nonisolated let store: Store
    nonisolated let artifacts: LocalArtifactStore
    package nonisolated let host: ReplicaHost
    nonisolated let registry: ModelOperations
    nonisolated let now: @Sendable () -> Timestamp
    private let plan: DeploymentPlan
    private let wakes: AsyncStream<Void>
    private nonisolated let waker: AsyncStream<Void>.Continuation
    private let alarm: Alarm
    private let watcher: ExitWatcher
    private var known: [String: [ReplicaID: Knowledge]] = [:]
    private var lock: DriverLock?
    private var isIdle = false
    private var seenVersion = -1
    private nonisolated let hasStopped = Mutex(false)
    /// Steps of this process that wait for their revisions.
    var launches: [AttemptKey: PendingLaunch] = [:]
    /// Why it could not do its work when it last tried; nil if it could.
    package private(set) var problem: String?

    /// - Throws: when processes cannot be watched.
    package init(
        registry: ModelOperations, host: ReplicaHost, plan: DeploymentPlan = DeploymentPlan(),
        now: @escaping @Sendable () -> Timestamp
    ) throws {
        store = registry.store
        artifacts = registry.artifacts
        self.registry = registry
        self.host = host
        self.plan = plan
        self.now = now
        let (wakes, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.wakes = wakes
        self.waker = waker
        alarm = Alarm { waker.yield() }
        watcher = try ExitWatcher { _ in waker.yield() }
    }

    deinit { watcher.stop() }

    /// Looks and acts until `stop()`. Replicas go on after it.
    /// - Parameter pause: how long it does nothing at first, unless it is asked to.
    package func run(after pause: Duration = .zero) async {
        if pause > .zero { alarm.set(after: pause) } else { waker.yield() }
        await withDiscardingTaskGroup { group in
            for await _ in wakes {
                if hasStopped.withLock({ $0 }) { break }
                for job in await pass() { group.addTask(operation: job) }
                alarm.set(after: isIdle && launches.isEmpty ? Self.idleTick : Self.tick)
            }
            group.cancelAll()
        }
        alarm.cancel()
        lock = nil
    }

    /// Ends `run`.
    package nonisolated func stop() {
        hasStopped.withLock { $0 = true }
        waker.yield()
    }

    /// Looks now, and not only when it is time.
    package nonisolated func wake() { waker.yield() }

    /// Looks once and does nothing, so that `table` knows.
    package func look() async throws {
        for deployment in try await store.deployments() {
            table.publish(deployment, await observe(deployment.name))
        }
    }

    /// Whether nothing of a deployment is left to be done, as this process sees it.
    package func isSettled(_ name: String) async throws -> Bool {
        guard let deployment = try await store.deployment(name) else { return true }
        if deployment.wanted != nil || deployment.isDeleted { return false }
        let replicas = await observe(name).map(\.replica)
        guard plan.actions(for: deployment, replicas, at: now()).isEmpty else { return false }
        return deployment.active == nil || deployment.state(replicas) == "ready"
    }

    /// Whether this process acts.
    package var isLeading: Bool { lock != nil }

    // MARK: One pass

    /// - Returns: what takes longer, to be done beside further passes.
    private func pass() async -> [Job] {
        do {
            let version = try await store.dataVersion()
            // Where nothing is deployed, looking costs next to nothing.
            if launches.isEmpty, isIdle, version == seenVersion { return [] }
            seenVersion = version
            if lock == nil { try await takeLock() }
            var jobs = try await advanceLaunches()
            let deployments = try await store.deployments()
            isIdle = deployments.isEmpty
            table.keep(Set(deployments.map(\.name)))
            problem = nil
            for deployment in deployments {
                do {
                    jobs += try await care(for: deployment)
                } catch {
                    // One that cannot be cared for now must not keep the others.
                    problem = "\(deployment.name): \(error)"
                }
            }
            known = known.filter { entry in deployments.contains { $0.name == entry.key } }
            try await reportLaunches()
            return jobs
        } catch {
            // A full disk or a busy database passes; the next pass finds everything as it is.
            problem = "\(error)"
            return []
        }
    }

    private func takeLock() async throws {
        let root = ReplicaHost.root(host.dataDirectory)
        // Where nothing was ever deployed there is nothing to be locked.
        if launches.isEmpty, try await store.deployments().isEmpty { return }
        lock = try await BlockingThreads.run { try DriverLock.take(runDirectory: root) }
    }

    private func care(for stored: Deployment) async throws -> [Job] {
        var deployment = stored
        var jobs: [Job] = []
        for _ in 0..<Self.roundLimit {
            let views = await observe(deployment.name)
            table.publish(deployment, views)
            guard lock != nil else { return [] }
            let actions = plan.actions(for: deployment, views.map(\.replica), at: now())
            if actions.isEmpty { break }
            for action in actions {
                if let job = try await perform(action, &deployment, views) { jobs.append(job) }
            }
        }
        try await removeForgotten(deployment)
        return jobs
    }

    /// Files of revisions that are no longer in the history.
    private func removeForgotten(_ deployment: Deployment) async throws {
        let (host, name) = (host, deployment.name)
        let numbers = Set(deployment.revisions.map(\.number))
        let running = Set(table.views(of: name).filter(\.replica.isRunning).map(\.replica.id.revision))
        let next = deployment.nextNumber
        try await BlockingThreads.run {
            for number in host.revisions(of: name)
            where !numbers.contains(number) && !running.contains(number) && number < next {
                host.remove(name, revision: number)
            }
        }
    }

    // MARK: Looking

    private func observe(_ name: String) async -> [ReplicaView] {
        let host = host
        let found = (try? await BlockingThreads.run { host.replicas(of: name) }) ?? []
        let moment = now()
        var asked: [FoundReplica] = []
        for replica in found where replica.process == .running && replica.port != nil {
            let knowledge = known[name]?[replica.id] ?? Knowledge()
            let isWell: Bool = if case .ready = knowledge.health { true } else { false }
            if let last = knowledge.askedAt, isWell, moment - last < Self.healthInterval { continue }
            asked.append(replica)
        }
        let answers = await Self.ask(asked)
        let arrived = now()
        for (id, isWell) in answers { note(name, id, isWell: isWell, at: arrived) }
        let ids = Set(found.map(\.id))
        known[name] = known[name]?.filter { ids.contains($0.key) }
        return found.map { view($0, of: name) }
    }

    /// Asks all at once, each on a thread of its own.
    private nonisolated static func ask(_ replicas: [FoundReplica]) async -> [ReplicaID: Bool] {
        await withTaskGroup(of: (ReplicaID, Bool).self) { group in
            for replica in replicas {
                guard let port = replica.port else { continue }
                group.addTask {
                    let isWell = try? await BlockingThreads.run { ReplicaProbe.isWell(port: port) }
                    return (replica.id, isWell ?? false)
                }
            }
            var answers: [ReplicaID: Bool] = [:]
            for await (id, isWell) in group { answers[id] = isWell }
            return answers
        }
    }

    private func note(_ name: String, _ id: ReplicaID, isWell: Bool, at moment: Timestamp) {
        var knowledge = known[name]?[id] ?? Knowledge()
        knowledge.askedAt = moment
        switch (knowledge.health, isWell) {
        case (.ready, true), (.silent, false), (.starting, false): break
        case (.starting, true), (.silent, true): knowledge.health = .ready(since: moment)
        case (.ready, false): knowledge.health = .silent(since: moment)
        }
        known[name, default: [:]][id] = knowledge
    }

    private func view(_ found: FoundReplica, of name: String) -> ReplicaView {
        let knowledge = known[name]?[found.id] ?? Knowledge()
        var replica = ObservedReplica(id: found.id, process: found.process)
        replica.failures = found.failures
        replica.health = knowledge.health
        replica.test = knowledge.test
        replica.drainingSince = knowledge.drainingSince
        replica.isStopping = knowledge.isStopping
        replica.inFlight = table.inFlight(name, found.id)
        return ReplicaView(replica: replica, port: found.port)
    }

    // MARK: Acting

    private func perform(
        _ action: DeploymentAction, _ deployment: inout Deployment, _ views: [ReplicaView]
    ) async throws -> Job? {
        let (host, name, moment) = (host, deployment.name, now())
        switch action {
        case .start(let id, let failures):
            guard let spec = deployment.revision(id.revision)?.spec else { return nil }
            known[name]?[id] = nil
            let child = try await BlockingThreads.run { try host.start(name, id, failures: failures, spec) }
            try watcher.watch(attemptDirectory: host.directory(name, id), child: child)
        case .smokeTest(let id):
            guard let port = views.first(where: { $0.replica.id == id })?.port else { return nil }
            known[name, default: [:]][id, default: Knowledge()].test = .running
            return { [weak self] in
                let problem = try? await BlockingThreads.run {
                    ReplicaProbe.smokeTest(port: port, model: name)
                }
                await self?.tested(name, id, problem)
            }
        case .activate(let number):
            deployment = try await store.changeDeployment(name) { $0.activate(number, at: moment) }.deployment
        case .fail(let number, let reason):
            deployment = try await store.changeDeployment(name) { $0.fail(number, reason, at: moment) }
                .deployment
        case .drain(let id):
            table.drain(name, id)
            known[name, default: [:]][id, default: Knowledge()].drainingSince = moment
        case .stop(let id):
            try await BlockingThreads.run { try host.stop(name, id) }
            known[name, default: [:]][id, default: Knowledge()].isStopping = true
        case .remove(let id): try await BlockingThreads.run { host.remove(name, id) }
        case .forget:
            try await BlockingThreads.run { host.remove(name) }
            try await store.forgetDeployment(name)
        }
        return nil
    }

    /// - Parameter problem: nil when the test was broken off.
    private func tested(_ name: String, _ id: ReplicaID, _ problem: String??) {
        guard let problem else {
            known[name]?[id]?.test = .none
            return
        }
        known[name]?[id]?.test = problem.map { .failed($0) } ?? .passed
        wake()
    }
}
