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

    let client: KubernetesClient
    let launch: Launch
    let settings: PodSettings
    let token: String
    /// SHA-256 of the model that is brought along; empty without one.
    let modelHash: String
    let pause: Duration
    let started: @Sendable () -> Void
    let isCancelled: @Sendable () -> Bool

    private var identity: String { DeployMarks.identity(launch) }

    /// Somebody else's object has the name, or another launch took the deployment over.
    private struct Failure: Error {
        var message: String
    }

    private func path(_ group: String, _ resource: String) -> String {
        let root = group == "v1" ? "/api/v1" : "/apis/\(group)"
        return "\(root)/namespaces/\(launch.namespace)/\(resource)"
    }

    private var deployments: String { path("apps/v1", "deployments") }

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
            let made = try await passing { try await self.apply(plan, objects) }
            if let known = note(made, DeployMarks.failure) { return Self.failed(known) }
            started()
            while true {
                let deployment = try await passing { try await self.current(plan) }
                if isCancelled() { return try await back(plan, "the step was ended", "terminated") }
                switch RolloutVerdict(deployment) {
                case .complete: return outcome(plan, deployment)
                case .failed(let reason): return try await back(plan, reason, nil)
                case .progressing: try await Task.sleep(for: pause)
                }
            }
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

    /// Repeats what fails for reasons that pass, however long they last.
    private func passing<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        var wait = Self.firstPause
        while true {
            do {
                return try await body()
            } catch let error as KubernetesError where error.isPassing || error.isConflict {
                try await Task.sleep(for: wait)
                wait = min(wait * 2, Self.longestPause)
            }
        }
    }

    private func note(_ object: JSONValue, _ name: String) -> String? {
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

    // MARK: There

    /// - Returns: the Deployment.
    private func apply(_ plan: DeployPlan, _ objects: [JSONValue]) async throws -> JSONValue {
        let deployment = try await put(deployment: objects[0], plan)
        for object in objects.dropFirst() { try await put(object, plan) }
        let kinds = Set(objects.compactMap { $0["kind"]?.stringValue })
        for (kind, group, resource) in DeployRenderer.optional where !kinds.contains(kind) {
            try await remove("\(path(group, resource))/\(plan.name)")
        }
        return deployment
    }

    private func put(deployment: JSONValue, _ plan: DeployPlan) async throws -> JSONValue {
        do {
            return try await client.create(deployments, with(deployment, plan, revision: 1, after: nil))
        } catch let error as KubernetesError where error.isAlreadyThere {
            let known = try await client.get("\(deployments)/\(plan.name)")
            try checkOwn(known, plan)
            // An earlier process of this launch has done it.
            if note(known, DeployMarks.launch) == identity { return known }
            let revision = note(known, DeployMarks.revision).flatMap { Int($0) } ?? 1
            var changed = with(deployment, plan, revision: revision + 1, after: known)
            changed = Self.setting(
                changed, "metadata", "resourceVersion", known["metadata"]?["resourceVersion"])
            // How many there are is the autoscaler's to say, where there is one.
            if plan.largest != nil {
                changed = Self.setting(changed, "spec", "replicas", known["spec"]?["replicas"])
            }
            return try await client.replace("\(deployments)/\(plan.name)", changed)
        }
    }

    private func with(_ deployment: JSONValue, _ plan: DeployPlan, revision: Int, after known: JSONValue?)
        -> JSONValue
    {
        var notes = deployment["metadata"]?["annotations"]?.objectValue ?? [:]
        notes[DeployMarks.revision] = .string(String(revision))
        notes[DeployMarks.about] = .string(about(plan, revision: revision).compactText)
        if let known {
            // After a failure that still serves which served before it.
            let last = note(known, DeployMarks.failure) == nil ? DeployMarks.about : DeployMarks.served
            notes[DeployMarks.served] = note(known, last).map(JSONValue.string)
        }
        let text = known?["spec"]?["template"]?.compactText ?? ""
        if !text.isEmpty && text.utf8.count <= DeployMarks.previousLimitBytes {
            notes[DeployMarks.previous] = .string(text)
        }
        return Self.setting(deployment, "metadata", "annotations", .object(notes))
    }

    private func about(_ plan: DeployPlan, revision: Int) -> JSONValue {
        [
            "revision": .int(revision),
            "model": .string(plan.bringsModel ? "from \(launch.workflowName)" : plan.model),
            "modelHash": .string(modelHash),
            "quant": .string(plan.step.value("quant")?.scalarText ?? "stored"),
            "workflow": .string(launch.workflowName), "workflowUID": .string(launch.key.workflowUID),
            "url": .string(plan.host.map { "http://\($0)/v1" } ?? address(plan)),
        ]
    }

    private func address(_ plan: DeployPlan) -> String {
        "http://\(plan.name).\(launch.namespace).svc:8000/v1"
    }

    private static func setting(
        _ object: JSONValue, _ part: String, _ key: String, _ value: JSONValue?
    ) -> JSONValue {
        var members = object.objectValue ?? [:]
        var inner = members[part]?.objectValue ?? [:]
        inner[key] = value
        members[part] = .object(inner)
        return .object(members)
    }

    private func checkOwn(_ object: JSONValue, _ plan: DeployPlan) throws {
        let labels = Fields(object["metadata"]).textMap("labels")
        guard labels[PodMarks.managedBy] == "martlet", labels[DeployMarks.deployment] == plan.name else {
            throw Failure(
                message:
                    "\(object["kind"]?.stringValue ?? "an object") \(plan.name) is there already and not "
                    + "Martlet's; give the deployment another name")
        }
    }

    private func put(_ object: JSONValue, _ plan: DeployPlan) async throws {
        let kind = object["kind"]?.stringValue ?? ""
        let found = DeployRenderer.optional.first { $0.kind == kind }
        let list = path(found?.group ?? "v1", found?.resource ?? "services")
        do {
            _ = try await client.create(list, object)
        } catch let error as KubernetesError where error.isAlreadyThere {
            let known = try await client.get("\(list)/\(plan.name)")
            try checkOwn(known, plan)
            // A Service is always the same, and has an address that must not change.
            guard found != nil else { return }
            let version = known["metadata"]?["resourceVersion"]
            _ = try await client.replace(
                "\(list)/\(plan.name)", Self.setting(object, "metadata", "resourceVersion", version))
        }
    }

    private func remove(_ path: String) async throws {
        do {
            let known = try await client.get(path)
            let labels = Fields(known["metadata"]).textMap("labels")
            guard labels[PodMarks.managedBy] == "martlet" else { return }
            try await client.delete(path)
        } catch let error as KubernetesError where error.isNotFound {
            return
        }
    }

    // MARK: Back

    /// Goes back to what was served before; a first revision is taken down to no pods, and kept for a look.
    private func back(_ plan: DeployPlan, _ reason: String, _ told: String?) async throws -> AttemptOutcome {
        var message = ""
        for attempt in 1...Self.conflictTries {
            let known = try await passing { try await self.current(plan) }
            let revision = note(known, DeployMarks.revision) ?? "1"
            let previous = note(known, DeployMarks.previous).flatMap {
                try? JSONValue(parsingUTF8: Array($0.utf8))
            }
            let kept = previous == nil ? "; nothing was served before" : "; what was served before goes on"
            message =
                told ?? "revision \(revision) of deployment \(plan.name) was rolled back: \(reason)\(kept)"
            var notes = known["metadata"]?["annotations"]?.objectValue ?? [:]
            notes[DeployMarks.failure] = .string(message)
            notes[DeployMarks.previous] = nil
            var changed = Self.setting(known, "metadata", "annotations", .object(notes))
            changed =
                if let previous { Self.setting(changed, "spec", "template", previous) } else {
                    Self.setting(changed, "spec", "replicas", 0)
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
}
