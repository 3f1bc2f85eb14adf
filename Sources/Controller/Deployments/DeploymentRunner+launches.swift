// What becomes of a `deploy` step: its revision is noted, its model laid out, and its end told when the
// roll-out has ended, whoever drives that.

import Artifacts
import Executors
import Glibc
import Persistence
package import Scheduling
import Text
import WorkflowLanguage

/// A step of this process that waits for its revision.
struct PendingLaunch: Sendable {
    enum Stage: Sendable, Equatable {
        /// Its revision is not noted yet.
        case new
        case layingOut(Int)
        case rollingOut(Int)
        case ended(AttemptOutcome)
    }

    var launch: Launch
    var spec: DeploymentSpec
    var stage = Stage.new
    /// When the executor's own limit ends it.
    var deadline: Timestamp?
    var report: @Sendable (ExecutorReport) -> Void

    /// Names the launch for good, also in other processes.
    var identity: String { Self.identity(launch.key) }

    static func identity(_ key: AttemptKey) -> String { "\(key.workflowUID)/\(key.nodeID)/\(key.attempt)" }
}

extension DeploymentRunner {
    /// Takes a `deploy` step on. May be repeated; what happens comes as reports.
    package func launch(_ launch: Launch, report: @escaping @Sendable (ExecutorReport) -> Void) {
        guard launches[launch.key] == nil, case .martlet(let step) = launch.template.kind else { return }
        do throws(DeploymentProblem) {
            let spec = try DeploymentSpec(
                parameters: step.parameters, fallbackName: Self.fallbackName(launch.workflowName))
            var pending = PendingLaunch(launch: launch, spec: spec, report: report)
            pending.deadline = launch.deadlineSeconds.map { now() + .milliseconds(Int64($0 * 1_000)) }
            launches[launch.key] = pending
            report(.started(launch.key, host: "127.0.0.1", at: now()))
            wake()
        } catch {
            report(.finished(launch.key, Self.failure(error.description, .user, at: now())))
        }
    }

    /// Ends a step: what it has begun to roll out is given up.
    /// - Returns: whether it is known here.
    package func cancel(_ key: AttemptKey) async -> Bool {
        guard let pending = launches[key] else { return false }
        let (identity, moment) = (pending.identity, now())
        _ = try? await store.changeDeployment(pending.spec.name) { deployment in
            guard let number = deployment.revision(launch: identity)?.number else { return }
            deployment.fail(number, "the step was ended", at: moment)
        }
        end(key, Self.failure("terminated", .user, at: moment, phase: .failed))
        wake()
        return true
    }

    /// A workflow's name as a deployment's: dots and the like become dashes.
    private static func fallbackName(_ workflow: String) -> String {
        let text = workflow.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        return String(String(text).prefix(63).drop { $0 == "-" }.reversed().drop { $0 == "-" }.reversed())
    }

    static func failure(
        _ message: String, _ kind: FailureClass, at now: Timestamp, phase: Phase = .error
    ) -> AttemptOutcome {
        AttemptOutcome(phase: phase, message: message, failureClass: kind, finishedAt: now)
    }

    private func end(_ key: AttemptKey, _ outcome: AttemptOutcome) { launches[key]?.stage = .ended(outcome) }

    // MARK: Before the roll-out

    /// Notes revisions of new launches.
    /// - Returns: the laying out of their models.
    func advanceLaunches() async throws -> [Job] {
        var jobs: [Job] = []
        for (key, pending) in launches where pending.stage == .new {
            if let job = try await prepare(key, pending) { jobs.append(job) }
        }
        return jobs
    }

    private func prepare(_ key: AttemptKey, _ pending: PendingLaunch) async throws -> Job? {
        let (spec, moment, launch) = (pending.spec, now(), pending.launch)
        let origin = DeploymentOrigin(
            launch: pending.identity, workflow: launch.workflowName, workflowUID: key.workflowUID,
            nodeID: key.nodeID)
        let fresh = Deployment(
            name: spec.name, namespace: launch.namespace, replicas: spec.replicas, at: moment)
        do {
            let (number, deployment) = try await store.changeDeployment(spec.name, orMake: fresh) {
                deployment in
                // Its files are being deleted; the name is free again in a moment.
                deployment.isDeleted ? nil : deployment.prepare(spec, origin, at: moment)
            }
            guard let number else {
                pending.report(.waiting(key, message: "deployment \(spec.name) is being taken down"))
                return nil
            }
            guard launches[key]?.stage == .new else {
                // The step was ended while its revision was being noted.
                _ = try await store.changeDeployment(spec.name) {
                    $0.fail(number, "the step was ended", at: moment)
                }
                return nil
            }
            guard deployment.revision(number)?.phase == .preparing else {
                launches[key]?.stage = .rollingOut(number)
                return nil
            }
            launches[key]?.stage = .layingOut(number)
            return layOut(key, pending, number)
        } catch let error as StoreError {
            guard case .nameTaken = error else { throw error }
            end(
                key,
                Self.failure(
                    "the name \(spec.name) belongs to a deployment of another namespace; take another `name`",
                    .user, at: moment, phase: .failed))
            return nil
        }
    }

    /// Puts the model where replicas read it; a run's deletion does not take it away from there.
    private func layOut(_ key: AttemptKey, _ pending: PendingLaunch, _ number: Int) -> Job {
        let layout = RevisionLayout(
            directory: host.directory(pending.spec.name, revision: number), launch: pending.launch,
            spec: pending.spec, artifacts: artifacts, registry: registry)
        return { [weak self] in
            do {
                let hash = try await layout.perform()
                await self?.laidOut(key, number, modelHash: hash)
            } catch is CancellationError {
                await self?.goBack(key)
            } catch {
                await self?.layoutFailed(key, number, error)
            }
        }
    }

    private func goBack(_ key: AttemptKey) {
        if case .layingOut? = launches[key]?.stage { launches[key]?.stage = .new }
    }

    private func laidOut(_ key: AttemptKey, _ number: Int, modelHash: String) async {
        guard let pending = launches[key], pending.stage == .layingOut(number) else { return }
        let moment = now()
        do {
            _ = try await store.changeDeployment(pending.spec.name) { deployment in
                deployment.noteModel(number, hash: modelHash)
                deployment.begin(number, at: moment)
            }
            launches[key]?.stage = .rollingOut(number)
        } catch let error as StoreError {
            if case .notFound = error {
                end(
                    key,
                    Self.failure("the deployment was deleted meanwhile", .user, at: moment, phase: .failed))
            } else {
                // The disk or the database: laying out again finds everything there.
                launches[key]?.stage = .new
            }
        } catch {
            launches[key]?.stage = .new
        }
        wake()
    }

    private func layoutFailed(_ key: AttemptKey, _ number: Int, _ error: any Error) async {
        guard let pending = launches[key] else { return }
        let (moment, text) = (now(), "\(error)")
        _ = try? await store.changeDeployment(pending.spec.name) { $0.fail(number, text, at: moment) }
        let isOurs = (error as? ArtifactError).map { $0.kind != .notFound } ?? false
        end(
            key,
            Self.failure(text, isOurs ? .infrastructure : .user, at: moment, phase: isOurs ? .error : .failed)
        )
        wake()
    }

    // MARK: Behind the roll-out

    /// Tells the ends of steps whose roll-outs have ended.
    func reportLaunches() async throws {
        for (key, pending) in launches {
            switch pending.stage {
            case .new, .layingOut: continue
            case .ended(let outcome): finish(key, pending, outcome)
            case .rollingOut(let number):
                if let deadline = pending.deadline, deadline <= now() {
                    _ = await cancel(key)
                    end(
                        key,
                        Self.failure(pending.launch.deadlineMessage, .user, at: now(), phase: .failed))
                    continue
                }
                let deployment = try await store.deployment(pending.spec.name)
                if let outcome = await outcome(deployment, number) { finish(key, pending, outcome) }
            }
        }
    }

    private func finish(_ key: AttemptKey, _ pending: PendingLaunch, _ outcome: AttemptOutcome) {
        launches[key] = nil
        pending.report(.finished(key, outcome))
    }

    /// Nil while the roll-out goes on.
    private func outcome(_ deployment: Deployment?, _ number: Int) async -> AttemptOutcome? {
        guard let deployment, let revision = deployment.revision(number) else {
            return Self.failure("the deployment was deleted meanwhile", .user, at: now(), phase: .failed)
        }
        switch revision.phase {
        case .preparing, .progressing: return nil
        case .failed:
            let kept = deployment.active.map { "; revision \($0) goes on serving" } ?? ""
            return Self.failure(
                "revision \(number) of deployment \(deployment.name) was rolled back: \(revision.message)\(kept); "
                    + "see `martlet deployments logs \(deployment.name) --revision \(number)`",
                .user, at: now(), phase: .failed)
        case .active, .retired:
            var outcome = AttemptOutcome(phase: .succeeded, exitCode: 0, finishedAt: now())
            let url = await Self.address(host.dataDirectory, deployment.name, table)
            outcome.outputs.parameters = [
                Parameter(name: "url", value: url), Parameter(name: "deployment", value: deployment.name),
                Parameter(name: "revision", value: String(number)),
            ]
            return outcome
        }
    }

    /// Where requests go: to the server, which knows what is ready, or straight to a replica where none
    /// serves.
    private nonisolated static func address(_ dataDirectory: String, _ name: String, _ table: DeploymentTable)
        async
        -> String
    {
        let server = try? await BlockingThreads.run { ServingAddress.current(dataDirectory) }
        if let root = server ?? nil { return "\(root)/deployments/\(name)/v1" }
        let port = table.views(of: name).first { $0.replica.isReady && $0.replica.drainingSince == nil }?.port
        return port.map { "http://127.0.0.1:\($0)/v1" } ?? ""
    }
}

/// The server of a data directory.
package enum ServingAddress {
    /// Its address; nil while none serves.
    package static func current(_ dataDirectory: String) -> String? {
        let lock = open(dataDirectory + "/server.lock", O_RDWR | O_CLOEXEC)
        guard lock >= 0 else { return nil }
        defer { close(lock) }
        guard flock(lock, LOCK_SH | LOCK_NB) != 0,
            let bytes = try? Disk.read(dataDirectory + "/server.json", limitBytes: 64 << 10)
        else { return nil }
        return (try? JSONValue(parsingUTF8: bytes))?["address"]?.stringValue
    }
}
