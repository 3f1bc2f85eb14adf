// `resource` templates run in the server: no pod is needed to call the API that the server talks to anyway.

import Artifacts
import Executors
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension KubernetesExecutor {
    /// What is noted of a step, so that a server that restarts does nothing twice.
    private struct Note {
        var begunAt: Timestamp
        var target: ResourceTarget?

        var json: JSONValue {
            var object = ObjectBuilder()
            object.set("begunAt", .int(Int(begunAt.nanoseconds)))
            object.set("target", target?.json)
            return object.json
        }

        init(begunAt: Timestamp) { self.begunAt = begunAt }

        init?(_ bytes: [UInt8]) {
            guard let json = try? JSONValue(parsingUTF8: bytes), let begun = json["begunAt"]?.intValue else {
                return nil
            }
            begunAt = Timestamp(nanoseconds: Int64(begun))
            target = ResourceTarget(json["target"])
        }
    }

    private func notePath(_ key: AttemptKey) -> String {
        AttemptPaths.attempt(logs.dataDirectory, key: key) + "/resource"
    }

    private func write(_ note: Note, _ key: AttemptKey) async throws {
        let path = notePath(key)
        try await BlockingCall.run {
            try Disk.makeDirectories(Disk.parent(of: path))
            try Disk.replace(path, with: Array(note.json.compactText.utf8), durable: false)
        }
    }

    func runResource(_ key: AttemptKey) async {
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        started(key, attempt, host: "")
        var outcome: AttemptOutcome
        do {
            let object = try await carryOut(attempt.launch)
            outcome = AttemptOutcome(phase: .succeeded)
            outcome.outputs.parameters = try ResourceOutput.parameters(of: attempt.launch.template, from: object)
            if attempt.launch.archivesLogs {
                let path = logs.path(key)
                let kept = try await BlockingCall.run { [exchange] in
                    try exchange.archiveLog(path, of: attempt.launch)
                }
                outcome.outputs.artifacts.append(kept)
            }
        } catch is CancellationError {
            // The server ends; the next one takes the step up where it is noted.
            return
        } catch {
            let end = Self.end(error)
            outcome = AttemptOutcome(
                phase: end.phase, message: end.message, failureClass: end.failureClass)
            await say(end.message, key)
        }
        state.withLock { $0.attempts[key] = nil }
        exchange.forget(key)
        reporter.yield(.finished(key, outcome))
    }

    private static func end(_ error: any Error) -> PodEnd {
        switch error {
        case let ended as ResourceRun.Ended: ended.end
        case let problem as PodProblem: PodEnd(.failed, problem.description, .user)
        case let error as KubernetesError where error.status == 403:
            PodEnd(
                .failed,
                "\(error.message); give Martlet's service account the verb in a Role of that namespace", .user)
        case let error as KubernetesError: PodEnd(.failed, error.description, .user)
        default: PodEnd(.error, "\(error)", .infrastructure)
        }
    }

    private func carryOut(_ launch: Launch) async throws -> JSONValue {
        let key = launch.key
        if let name = launch.template.outputs.artifacts.first?.name {
            throw PodProblem(
                "output artifact '\(name)': a resource template leaves no files; take values with jsonPath or jqFilter")
        }
        let path = notePath(key)
        let known = try? await BlockingCall.run { try Disk.read(path, limitBytes: 1 << 20) }
        var note = known.flatMap(Note.init) ?? Note(begunAt: now())
        if known == nil { try await write(note, key) }
        guard case .resource(let json) = launch.template.kind else { return .null }
        let template = try ResourceTemplate(json, manifest: try await manifest(json, launch))
        let run = resourceRun(launch, template, begunAt: note.begunAt)
        var object = JSONValue.null
        if note.target == nil {
            let (target, given) = try await run.act()
            (note.target, object) = (target, given)
            try await write(note, key)
            await say("\(target.shown): \(template.action.rawValue)", key)
        }
        guard let target = note.target else { return object }
        if template.success != nil || template.failure != nil { await say("waits for its conditions", key) }
        object = try await run.awaitEnd(target, object)
        return object
    }

    private func resourceRun(
        _ launch: Launch, _ template: ResourceTemplate, begunAt: Timestamp
    ) -> ResourceRun {
        let key = launch.key
        let limit = launch.deadlineSeconds.map { begunAt + .seconds($0) }
        return ResourceRun(
            launch: launch, template: template, client: client, kinds: kinds,
            owner: { [objects] in try await objects.owner(of: launch) },
            check: { [weak self] in
                guard let self, let attempt = state.withLock({ $0.attempts[key] }) else {
                    throw CancellationError()
                }
                if attempt.cancel != nil { throw ResourceRun.Ended(end: Self.terminated) }
                if let limit, now() >= limit {
                    throw ResourceRun.Ended(end: PodEnd(.failed, launch.deadlineMessage, .user))
                }
            },
            tellWaiting: { [weak self] in self?.report(waiting: $0, key) })
    }

    private func manifest(_ json: JSONValue, _ launch: Launch) async throws -> String? {
        let fields = Fields(json)
        guard let source = fields.object("manifestFrom")?["artifact"] else {
            return fields["manifest"].map { $0.stringValue ?? $0.compactText }
        }
        let given = Artifact(source)
        guard let artifact = launch.inputs.artifact(given.name) ?? (given.location == nil ? nil : given) else {
            throw PodProblem("manifestFrom: there is no input artifact '\(given.name)'")
        }
        return try await BlockingCall.run { [exchange] in try exchange.text(of: artifact, launch) }
    }

    /// A line of the step's log.
    private func say(_ text: String, _ key: AttemptKey) async {
        let (path, moment) = (logs.path(key), now())
        _ = try? await BlockingCall.run {
            let line = text.split(separator: "\n", omittingEmptySubsequences: true).map {
                "\(moment.rfc3339) stdout F \($0)\n"
            }
            try PodLogs.append(Array(line.joined().utf8), to: path)
        }
    }
}
