// The way of one attempt: looked up, admitted, prepared, started, watched, collected. Runs on worker threads.

import Artifacts
import Glibc
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension LocalExecutor {
    /// Finds out on disk how the attempt stands and goes on from there.
    func examine(_ key: AttemptKey) {
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        if let problem = unsupported(attempt.launch.template) { return fail(key, problem, .user) }
        let plan: StepPlan
        do {
            plan = try StepPlan(attempt.launch, host: host)
        } catch {
            return fail(key, "\(error)", .user)
        }
        state.withLock { state in
            state.attempts[key]?.plan = plan
            state.keys[plan.directory] = key
        }
        if let bytes = try? Disk.read(plan.directory + "/outcome", limitBytes: 64 << 20),
            let outcome = AttemptOutcome(fileContent: bytes)
        {
            return finish(key, outcome, isKept: true)
        }
        if case .data(let data) = attempt.launch.template.kind { return list(data, key, attempt) }
        switch SupervisorClient.state(of: plan.directory) {
        case .neverStarted: admit(key, attempt.launch)
        case .running: adopt(key)
        case .finished, .lost: collect(key)
        }
    }

    private func unsupported(_ template: Template) -> String? {
        switch template.kind {
        case .container, .script, .containerSet, .http, .data, .martlet: nil
        case .resource: "a resource template needs a cluster; run it with --executor kubernetes"
        case .plugin: "executor plugins need a cluster; run it with --executor kubernetes"
        case .steps, .dag, .suspend, .missing: "template \"\(template.name)\" is no work for an executor"
        }
    }

    private func list(_ data: JSONValue, _ key: AttemptKey, _ attempt: Attempt) {
        let now = Self.now()
        reporter.yield(.started(key, host: PodFacts.hostName, at: now))
        do {
            let step = DataStep(data: data, store: store, namespace: attempt.launch.namespace)
            var outcome = AttemptOutcome(phase: .succeeded)
            outcome.outputs.result = try step.result(now: now)
            outcome.finishedAt = Self.now()
            finish(key, outcome)
        } catch {
            fail(key, "\(error)", error is ArtifactError ? .infrastructure : .user)
        }
    }

    // MARK: Admission and start

    private func admit(_ key: AttemptKey, _ launch: Launch) {
        var request = ResourceRequest(launch.template)
        if request.memoryBytes == 0 { request.memoryBytes = estimatedMemory(launch) }
        let decision = state.withLock { state -> Admission.Decision? in
            guard state.attempts[key]?.cancel == nil else { return nil }
            state.attempts[key]?.stage = .queued
            return state.admission.ask(key, request, priority: launch.priority)
        }
        switch decision {
        case nil: finish(key, Self.terminated)
        case .granted(let gpus): start(key, gpus: gpus)
        case .waiting(let message): reporter.yield(.waiting(key, message: message))
        case .impossible(let message): fail(key, message, .infrastructure)
        }
    }

    func start(_ key: AttemptKey, gpus: [Int]) {
        let attempt = state.withLock { state -> Attempt? in
            guard let attempt = state.attempts[key], attempt.stage == .queued else { return nil }
            state.attempts[key]?.stage = .preparing
            return attempt
        }
        guard let attempt, let plan = attempt.plan else { return }
        if attempt.cancel != nil { return finish(key, Self.terminated) }
        do {
            let preparation = StepPreparation(
                plan: plan, values: attempt.values, transfer: transfer(for: attempt), gpus: gpus)
            try preparation.perform()
            if state.withLock({ $0.attempts[key]?.cancel }) != nil { return finish(key, Self.terminated) }
            let child = try SupervisorClient.spawn(
                supervisorPath: host.supervisorPath, attemptDirectory: plan.directory)
            let now = Self.now()
            run(key, startedAt: now)
            try watcher.watch(attemptDirectory: plan.directory, child: child)
        } catch is StepPreparation.AlreadyStarted {
            return adopt(key)
        } catch  where FullDisk.caused(error, dataDirectory: host.dataDirectory) {
            return startLater(key, gpus: gpus)
        } catch {
            // Whatever may have been started must not go on without anybody who knows of it.
            if error is SupervisorClient.Failure {
                _ = try? SupervisorClient.cancel(attemptDirectory: plan.directory, immediately: true)
            }
            return fail(key, Self.words(error), Self.failureClass(error))
        }
        signalIfCancelled(key)
    }

    /// Tries a start again when the disk has room; the step keeps its slot, so that nothing overtakes it.
    private func startLater(_ key: AttemptKey, gpus: [Int]) {
        state.withLock { $0.attempts[key]?.stage = .queued }
        reporter.yield(.waiting(key, message: "waiting for space on the disk of \(host.dataDirectory)"))
        usleep(FullDisk.pauseMicroseconds)
        submit(key) { $0.start(key, gpus: gpus) }
    }

    /// Looks at an ended attempt again when the disk has room.
    private func collectLater(_ key: AttemptKey) {
        state.withLock { $0.attempts[key]?.stage = .running }
        usleep(FullDisk.pauseMicroseconds)
        submit(key) { $0.collect(key) }
    }

    /// The process runs: tells so, and looks after it.
    private func run(_ key: AttemptKey, startedAt: Timestamp) {
        let attempt = state.withLock { state -> Attempt? in
            guard var attempt = state.attempts[key] else { return nil }
            attempt.stage = .running
            attempt.startedTick = state.ticks
            if attempt.launch.template.daemon {
                attempt.probe = attempt.plan?.mainContainer.flatMap(ReadinessProbe.init)
            }
            state.attempts[key] = attempt
            return attempt
        }
        guard let attempt else { return }
        reporter.yield(.started(key, host: PodFacts.hostName, at: startedAt))
        if attempt.launch.template.daemon && attempt.probe == nil {
            reporter.yield(.ready(key, address: ReadinessProbe.address))
        }
        keepTicking()
    }

    /// Watches what an earlier process started.
    private func adopt(_ key: AttemptKey) {
        guard let attempt = state.withLock({ $0.attempts[key] }), let plan = attempt.plan else { return }
        let gpus = ((try? Disk.read(plan.directory + "/gpus", limitBytes: 4096)) ?? []).split(separator: 44)
            .compactMap {
                Int(String(decoding: $0, as: UTF8.self))
            }
        let request = ResourceRequest(attempt.launch.template)
        state.withLock { state in
            state.admission.occupy(key, request, gpus: gpus)
            state.attempts[key]?.metricsOffset = MetricsTail.keptOffset(attemptDirectory: plan.directory)
        }
        let started = Disk.status(plan.directory + "/started")
        run(key, startedAt: started.map { Timestamp(nanoseconds: $0.modifiedNanoseconds) } ?? Self.now())
        do {
            guard try watcher.adopt(attemptDirectory: plan.directory) else { return collect(key) }
        } catch {
            return fail(key, Self.words(error), .infrastructure)
        }
        signalIfCancelled(key)
    }

    private func signalIfCancelled(_ key: AttemptKey) {
        if let immediately = state.withLock({ $0.attempts[key]?.cancel }) {
            signal(key, immediately: immediately)
        }
    }

    func signal(_ key: AttemptKey, immediately: Bool) {
        let directory = AttemptPaths.attempt(host.dataDirectory, key: key)
        let isKnown = state.withLock { $0.attempts[key] != nil }
        // Work of an engine before this one: ended only if it runs; what it left is for a later launch to
        // find.
        if !isKnown {
            guard case .running = SupervisorClient.state(of: directory) else { return }
        }
        _ = try? SupervisorClient.cancel(attemptDirectory: directory, immediately: immediately)
    }

    // MARK: The end

    func supervisorEnded(_ directory: String) {
        guard let key = state.withLock({ $0.keys[directory] }) else { return }
        submit(key) { $0.collect(key) }
    }

    private func collect(_ key: AttemptKey) {
        let attempt = state.withLock { state -> Attempt? in
            guard let attempt = state.attempts[key], attempt.stage != .collecting else { return nil }
            state.attempts[key]?.stage = .collecting
            return attempt
        }
        guard let attempt, let plan = attempt.plan else { return }
        switch SupervisorClient.state(of: plan.directory) {
        case .finished(let result):
            let judge = StepOutcome(plan: plan, result: result, transfer: transfer(for: attempt))
            guard let outcome = judge.outcome() else { return collectLater(key) }
            takeMetrics(key, plan, isOver: true)
            finish(key, StepSecrets(attempt.launch, values: attempt.values).covering(outcome))
        case .running: adopt(key)
        case .lost:
            takeMetrics(key, plan, isOver: true)
            let message = "the step's supervisor vanished without a result; the attempt does not count"
            finish(
                key,
                AttemptOutcome(phase: .error, message: message, failureClass: .infrastructure, isLost: true))
        case .neverStarted:
            let bytes = (try? Disk.read(plan.directory + "/supervisor.err", limitBytes: 1 << 20)) ?? []
            if FullDisk.isNow(host.dataDirectory)
                || FullDisk.mentionsSpace(String(decoding: bytes, as: UTF8.self))
            {
                return startLater(key, gpus: state.withLock { $0.admission.gpus(of: key) })
            }
            let said =
                String(decoding: bytes.suffix(500), as: UTF8.self).split(separator: "\n").last
                ?? "it said nothing"
            fail(key, "the supervisor ended without starting the step: \(said)", .infrastructure)
        }
    }

    private func fail(_ key: AttemptKey, _ message: String, _ kind: FailureClass) {
        finish(key, AttemptOutcome(phase: .error, message: message, failureClass: kind))
    }

    /// Reports the end and lets others start.
    /// - Parameter isKept: whether the outcome can be told again without writing it down.
    func finish(_ key: AttemptKey, _ outcome: AttemptOutcome, isKept: Bool = false) {
        let directory = AttemptPaths.attempt(host.dataDirectory, key: key)
        // A reporting twice is harmless, so a disk that refuses this costs nothing but work.
        if !isKept && (Disk.exists(directory) || outcome.message == Self.terminated.message) {
            try? Disk.makeDirectories(directory)
            try? Disk.replace(directory + "/outcome", with: outcome.fileContent, durable: false)
        }
        SecretMemory.remove(host.dataDirectory, key)
        let grants = state.withLock { state -> [Admission.Grant] in
            state.attempts[key] = nil
            state.keys[directory] = nil
            return state.admission.release(key)
        }
        reporter.yield(.finished(key, outcome))
        for grant in grants { submit(grant.key) { $0.start(grant.key, gpus: grant.gpus) } }
    }

    private static func words(_ error: any Error) -> String { "\(error)" }

    private static func failureClass(_ error: any Error) -> FailureClass {
        let cause = (error as? StepInputs.Failure)?.cause ?? error
        switch cause {
        case is StepVolumes.Problem, is LaunchValues.Missing: return .user
        case is SecretMemory.Unavailable: return .infrastructure
        case let error as ArtifactError:
            switch error.kind {
            case .notFound, .unsupported, .invalid: return .user
            case .permissionDenied, .noSpace, .transfer, .system: return .infrastructure
            }
        default: return .infrastructure
        }
    }

    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
