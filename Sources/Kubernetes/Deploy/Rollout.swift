// One roll-out of a model in a cluster: objects made or changed, watched, and taken back when they do not
// come up.

import Scheduling
import Text
import WorkflowLanguage

struct Rollout: Sendable {
    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(30)
    /// How often a change is tried again that somebody else came before.
    private static let conflictTries = 10
    /// A roll-out that comes no further for so long has failed, whatever the cluster says of it: a Deployment
    /// that was scaled up from nothing is not measured by its own deadline any more. The cluster speaks first
    /// where it does, since it knows more.
    private static let stallLimit = Duration.seconds(DeployRenderer.progressSeconds + 60)

    let client: KubernetesClient
    let launch: Launch
    let settings: PodSettings
    let token: String
    /// SHA-256 of the model that is brought along; empty without one.
    let modelHash: String
    let pause: Duration
    let now: @Sendable () -> Timestamp
    /// The ConfigMaps and Secrets of the run that a template of pods refers to.
    let values: @Sendable (_ template: JSONValue) -> RunValues
    let started: @Sendable () -> Void
    /// Told why nothing has been made yet.
    let waiting: @Sendable (String) -> Void
    let isCancelled: @Sendable () -> Bool

    var identity: String { DeployMarks.identity(launch) }

    /// Somebody else's object has the name, or another launch took the deployment over.
    struct Failure: Error {
        var message: String
    }

    /// The step ends before everything was made.
    private struct Stopped: Error {
        var reason: String
        /// What is told instead of the whole.
        var told: String?
    }

    func path(_ group: String, _ resource: String) -> String {
        let root = group == "v1" ? "/api/v1" : "/apis/\(group)"
        return "\(root)/namespaces/\(launch.namespace)/\(resource)"
    }

    var deployments: String { path("apps/v1", "deployments") }

    /// - Returns: nil when the task was cancelled, which says nothing about the roll-out.
    func run() async -> AttemptOutcome? {
        do throws(PodProblem) {
            let plan = try DeployPlan(launch, settings)
            let objects = try DeployRenderer(settings).objects(for: launch, token: token)
            return await run(plan, objects)
        } catch {
            return Self.failed(error.description, .error)
        }
    }

    private static func failed(_ message: String, _ phase: Phase = .failed) -> AttemptOutcome {
        AttemptOutcome(phase: phase, message: message, failureClass: .user)
    }

    private func run(_ plan: DeployPlan, _ objects: [JSONValue]) async -> AttemptOutcome? {
        do {
            let made: JSONValue
            do {
                made = try await beginning { try await self.apply(plan, objects) }
            } catch let stop as Stopped {
                return await stopped(plan, stop)
            } catch let failure as Failure {
                return await stopped(plan, Stopped(reason: failure.message))
            } catch let error as KubernetesError {
                var outcome = await stopped(plan, Stopped(reason: "deployment \(plan.name): \(error)"))
                outcome?.phase = .error
                outcome?.failureClass = .infrastructure
                return outcome
            }
            if let known = note(made, DeployMarks.failure) { return Self.failed(known) }
            started()
            // It was ready when an earlier process looked; what has become of its pods since is no roll-out.
            if note(made, DeployMarks.ready) != nil { return outcome(plan, made) }
            return try await watch(plan)
        } catch is CancellationError {
            return nil
        } catch let failure as Failure {
            return Self.failed(failure.message)
        } catch let error as KubernetesError {
            return AttemptOutcome(
                phase: .error, message: "deployment \(plan.name): \(error)", failureClass: .infrastructure)
        } catch {
            return AttemptOutcome(phase: .error, message: "\(error)", failureClass: .infrastructure)
        }
    }

    private func watch(_ plan: DeployPlan) async throws -> AttemptOutcome {
        var (furthest, since) = (Int.min, now())
        while true {
            let deployment = try await passing { try await self.current(plan) }
            if isCancelled() { return try await back(plan, "the step was ended", "terminated") }
            let verdict = RolloutVerdict(deployment)
            if case .failed(let reason) = verdict { return try await back(plan, reason, nil) }
            if verdict == .complete { return try await settled(plan, deployment) }
            let reached = RolloutVerdict.distance(deployment)
            if reached > furthest { (furthest, since) = (reached, now()) }
            if let deadline = deadline(deployment), deadline <= now() {
                return try await back(plan, launch.deadlineMessage, nil)
            }
            if case .progressing(let words) = verdict, since + Self.stallLimit <= now() {
                return try await back(plan, "it was not ready in time: \(words)", nil)
            }
            try await Task.sleep(for: pause)
        }
    }

    /// When the step's own time is over, counted from when its launch changed the Deployment.
    private func deadline(_ deployment: JSONValue) -> Timestamp? {
        guard let seconds = launch.deadlineSeconds,
            let begun = note(deployment, DeployMarks.begun).flatMap({ Timestamp(rfc3339: $0) })
        else { return nil }
        return begun + .milliseconds(Int64(seconds * 1000))
    }

    /// The end came while things were being made: what was made goes back, and what was not needs nothing.
    private func stopped(_ plan: DeployPlan, _ stop: Stopped) async -> AttemptOutcome? {
        do {
            return try await back(plan, stop.reason, stop.told)
        } catch is CancellationError {
            return nil
        } catch {
            return Self.failed(stop.told ?? stop.reason)
        }
    }

    /// Repeats what fails for reasons that pass until the step is to end, and says why it waits.
    private func beginning<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let limit = launch.deadlineSeconds.map { now() + .milliseconds(Int64($0 * 1000)) }
        return try await passing(body) { error in
            if isCancelled() { throw Stopped(reason: "the step was ended", told: "terminated") }
            if let limit, limit <= now() { throw Stopped(reason: launch.deadlineMessage) }
            waiting("\(error)")
        }
    }

    /// Repeats what fails for reasons that pass, however long they last.
    /// - Parameter onFailure: throws what ends this.
    private func passing<Value: Sendable>(
        _ body: () async throws -> Value, onFailure: (KubernetesError) throws -> Void = { _ in }
    ) async throws -> Value {
        var wait = Self.firstPause
        while true {
            do {
                return try await body()
            } catch let error as KubernetesError where error.isPassing || error.isConflict {
                try onFailure(error)
                try await Task.sleep(for: wait)
                wait = min(wait * 2, Self.longestPause)
            }
        }
    }

    func note(_ object: JSONValue, _ name: String) -> String? {
        object["metadata"]?["annotations"]?[name]?.stringValue
    }

    /// The Deployment as it is; it must still be this launch's.
    private func current(_ plan: DeployPlan) async throws -> JSONValue {
        do {
            let known = try await client.get("\(deployments)/\(plan.name)")
            guard note(known, DeployMarks.launch) == identity else {
                throw Failure(message: "another step took deployment \(plan.name) over before it was ready")
            }
            return known
        } catch let error as KubernetesError where error.isNotFound {
            throw Failure(message: "deployment \(plan.name) was deleted by somebody else")
        }
    }

    // MARK: Ended

    /// Notes that these pods have served, so that a later roll-out may go back to them.
    private func settled(_ plan: DeployPlan, _ deployment: JSONValue) async throws -> AttemptOutcome {
        do {
            try await passing {
                let known = try await self.current(plan)
                guard self.note(known, DeployMarks.ready) == nil else { return }
                let changed = known.noting([DeployMarks.ready: "true", DeployMarks.previous: nil])
                _ = try await self.client.replace("\(self.deployments)/\(plan.name)", changed)
            }
        } catch is Failure {
            // It was ready; what became of it afterwards is another step's.
        }
        return outcome(plan, deployment)
    }

    /// Goes back to what was served before; a first revision is taken down to no pods, and kept for a look.
    private func back(_ plan: DeployPlan, _ reason: String, _ told: String?) async throws -> AttemptOutcome {
        var message = ""
        for attempt in 1...Self.conflictTries {
            let known = try await passing { try await self.current(plan) }
            let revision = note(known, DeployMarks.revision) ?? "1"
            let previous = template(noted: known)
            let kept = previous == nil ? "; nothing was served before" : "; what was served before goes on"
            message =
                told ?? "revision \(revision) of deployment \(plan.name) was rolled back: \(reason)\(kept)"
            // What stands there from now on is the former template, which has served.
            let ready: String? = previous == nil ? nil : "true"
            var changed = known.noting(
                [DeployMarks.failure: message, DeployMarks.previous: nil, DeployMarks.ready: ready])
            changed =
                if let previous { changed.setting("spec", "template", previous) } else {
                    changed.setting("spec", "replicas", 0)
                }
            do {
                _ = try await client.replace("\(deployments)/\(plan.name)", changed)
                break
            } catch let error as KubernetesError
                where (error.isConflict || error.isPassing) && attempt < Self.conflictTries
            {
                try await Task.sleep(for: Self.firstPause)
            }
        }
        return Self.failed(message)
    }

    private func outcome(_ plan: DeployPlan, _ deployment: JSONValue) -> AttemptOutcome {
        var outcome = AttemptOutcome(phase: .succeeded, exitCode: 0)
        outcome.outputs.parameters = [
            Parameter(name: "url", value: address(plan)),
            Parameter(name: "deployment", value: plan.name),
            Parameter(name: "revision", value: note(deployment, DeployMarks.revision) ?? "1"),
        ]
        return outcome
    }

    // MARK: Values

    /// The pods' template that is to be gone back to, as it was noted.
    func template(noted deployment: JSONValue) -> JSONValue? {
        note(deployment, DeployMarks.previous).flatMap { try? JSONValue(parsingUTF8: Array($0.utf8)) }
    }
}
