// The way of one pod: made or found, watched, judged, read, deleted.

import Executors
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension KubernetesExecutor {
    static let firstPause = Duration.milliseconds(250)
    static let longestPause = Duration.seconds(30)

    // MARK: Made

    /// Tries once, and again later if it may go well then.
    func create(_ key: AttemptKey) async {
        if let outcome = await toldOutcome(key) { return tellAgain(key, outcome) }
        await recallName(key)
        while let attempt = state.withLock({ $0.attempts[key] }), !Task.isCancelled {
            if attempt.cancel != nil { return end(key, Self.terminated) }
            state.withLock { $0.attempts[key]?.listsBefore = $0.lists }
            do {
                let pod = try await writes.pass { try await self.made(attempt) }
                return made(key, pod)
            } catch let ended as EndedBefore {
                return end(key, ended.end)
            } catch is NameTaken {
                await changeName(key)
                continue
            } catch is CancellationError {
                return
            } catch {
                if let end = PodEnd(ofCreate: "pod", error) { return self.end(key, end) }
                report(waiting: "\(error)", key)
            }
            state.withLock { $0.attempts[key]?.pause = min(attempt.pause * 2, Self.longestPause) }
            jobs.yield(.createLater(key, attempt.pause))
            return
        }
    }

    /// The pod as the API has it, whoever made it.
    private func made(_ attempt: Attempt) async throws -> JSONValue {
        let launch = attempt.launch
        if let code = try exchange.result(launch.key)?.exitCode {
            try await checkItIsThere(attempt, exitCode: code)
        }
        let owner = try await objects.owner(of: launch)
        var pod = try renderer.pod(
            for: launch, owner: owner, token: exchange.token(launch.key),
            avoiding: try await failedHosts(of: launch))
        pod = Self.named(attempt.podName, try await withValues(pod, of: launch, owner))
        let path = Self.pods(launch.namespace)
        do {
            return try await client.create(path, pod)
        } catch let error as KubernetesError where error.isAlreadyThere {
            let known = try await client.get("\(path)/\(attempt.podName)")
            if PodMarks.key(of: known) == launch.key { return known }
            if attempt.podName != PodNames.otherPod(launch) { throw NameTaken() }
            throw PodProblem(
                "the pod \(attempt.podName) is there already and belongs to something else; delete it, or run the "
                    + "workflow under another name")
        }
    }

    /// A pod, or the template of one, with what it refers to among the run's values laid into the cluster.
    func withValues(_ pod: JSONValue, of launch: Launch, _ owner: RunOwner) async throws -> JSONValue {
        let values = RunValues(pod, exchange.values(launch.key), mark: exchange.marking(launch))
        try await objects.keep(values.entries, for: launch, owner)
        return values.leading(pod)
    }

    /// Where earlier attempts of the step were, if it is to go elsewhere.
    func failedHosts(of launch: Launch) async throws -> [String] {
        guard launch.retryOrdinal > 0, HostAvoidance.isWanted(launch) else { return [] }
        let selector =
            PodMarks.selector(instance: renderer.settings.instance)
            + ",\(PodMarks.runID)=\(PodNames.label(launch.key.workflowUID))"
        let path = Self.pods(launch.namespace)
        let earlier = try await client.list(path, labelSelector: selector).items.filter { pod in
            let notes = Fields(pod["metadata"]).textMap("annotations")
            return notes[HostAvoidance.annotation] == launch.checkpointNodeID
                && PodMarks.key(of: pod) != launch.key && pod["status"]?["phase"] == "Failed"
        }
        let hosts = earlier.compactMap { $0["spec"]?["nodeName"]?.stringValue }
        let known = state.withLock {
            $0.failedHosts["\(launch.key.workflowUID)/\(launch.checkpointNodeID)"] ?? []
        }
        return Set(hosts).union(known).sorted()
    }

    /// Remembers where an attempt failed, beyond the life of its pods.
    func noteFailed(_ hosts: [String], _ launch: Launch) {
        guard HostAvoidance.isWanted(launch) else { return }
        let owner = "\(launch.key.workflowUID)/\(launch.checkpointNodeID)"
        state.withLock { $0.failedHosts[owner, default: []].formUnion(hosts) }
    }

    /// The step ended while nobody looked, and its pod may have been deleted since: it must not run again.
    private func checkItIsThere(_ attempt: Attempt, exitCode code: Int) async throws {
        do {
            _ = try await client.get("\(Self.pods(attempt.launch.namespace))/\(attempt.podName)")
        } catch let error as KubernetesError where error.isNotFound {
            let message = code == 0 ? "" : "main: Error (exit code \(code))"
            let end = PodEnd(
                code == 0 ? .succeeded : .failed, message, code == 0 ? nil : .user, exitCode: code)
            throw EndedBefore(end: end)
        }
    }

    private struct EndedBefore: Error {
        var end: PodEnd
    }

    private func made(_ key: AttemptKey, _ pod: JSONValue) {
        let found = state.withLock { state -> (Attempt, wasListed: Bool)? in
            guard var attempt = state.attempts[key], attempt.stage == .creating else { return nil }
            attempt.stage = .watching
            attempt.podUID = pod["metadata"]?["uid"]?.stringValue ?? ""
            state.attempts[key] = attempt
            state.attempts[key]?.early = nil
            return (attempt, state.lists != attempt.listsBefore)
        }
        guard let (attempt, wasListed) = found else { return }
        if attempt.cancel != nil { delete(attempt) }
        take(pod, isGone: false)
        var versions = SeenVersions()
        _ = versions.isNew(pod)
        if let early = attempt.early, early.isGone || versions.isNew(early.pod) {
            take(early.pod, isGone: early.isGone)
        }
        // A list says nothing of what had gone before it, and this one was not among the missing yet.
        if wasListed { jobs.yield(.look(key)) }
    }

    func report(waiting message: String, _ key: AttemptKey) {
        let isNew = state.withLock { state in
            guard let attempt = state.attempts[key], attempt.waiting != message else { return false }
            state.attempts[key]?.waiting = message
            return true
        }
        if isNew { reporter.yield(.waiting(key, message: message)) }
    }

    // MARK: Watched

    func watch(_ namespace: String) async {
        let watch = ResourceWatch(
            client: client, path: Self.pods(namespace),
            labelSelector: PodMarks.selector(instance: renderer.settings.instance),
            onTrouble: { [weak self] error in self?.tell(error, of: namespace) })
        await watch.run { [weak self] change in
            guard let self else { return }
            switch change {
            case .changed(let pod): take(pod, isGone: false)
            case .deleted(let pod): take(pod, isGone: true)
            case .part(let pods):
                for pod in pods { take(pod, isGone: false) }
                state.withLock { $0.due.take(pods, in: Self.pods(namespace)) }
            case .all(let names): lookForMissing(among: names, namespace)
            }
        }
    }

    /// Steps that wait say why nothing is heard of their pods; what comes next from the API says something else.
    private func tell(_ trouble: KubernetesError?, of namespace: String) {
        guard let trouble else { return }
        let waiting = state.withLock { state in
            state.attempts.filter { $0.value.launch.namespace == namespace && !$0.value.isStarted }.map(\.key)
        }
        for key in waiting {
            report(waiting: "the pods of namespace \(namespace) cannot be watched: \(trouble)", key)
        }
    }

    /// A list does not say what has gone. It may also be older than what was just made, so each is asked for.
    private func lookForMissing(among names: Set<String>, _ namespace: String) {
        let missing = state.withLock { state in
            state.lists += 1
            return state.attempts.filter { _, attempt in
                attempt.stage == .watching && attempt.launch.namespace == namespace
                    && !names.contains(attempt.podName)
            }.map(\.key)
        }
        for key in missing { jobs.yield(.look(key)) }
    }

    /// Asks for one pod.
    func look(_ key: AttemptKey) async {
        guard let attempt = state.withLock({ $0.attempts[key] }), attempt.stage == .watching else { return }
        do {
            let path = "\(Self.pods(attempt.launch.namespace))/\(attempt.podName)"
            let pod = try await reads.pass { try await self.client.get(path) }
            take(pod, isGone: PodMarks.key(of: pod) != key)
        } catch let error as KubernetesError where error.isNotFound {
            vanished(key)
        } catch {
            // The watch goes on, and lists again when it must.
        }
    }

    private func vanished(_ key: AttemptKey) {
        guard let attempt = state.withLock({ $0.attempts[key] }), attempt.stage == .watching else { return }
        let end = attempt.cancel == nil ? PodEnd.lost("the pod is no longer there") : Self.terminated
        self.end(key, end)
    }

    // MARK: Judged

    func take(_ pod: JSONValue, isGone: Bool) {
        guard let key = PodMarks.key(of: pod) else { return }
        let found = state.withLock { state -> Attempt? in
            guard let attempt = state.attempts[key] else { return nil }
            if attempt.stage == .creating {
                state.attempts[key]?.early = EarlyWord(pod: pod, isGone: isGone)
            }
            guard attempt.stage == .watching else { return nil }
            let uid = pod["metadata"]?["uid"]?.stringValue ?? ""
            // Late words about a pod that had the name before.
            return attempt.podUID.isEmpty || uid == attempt.podUID ? attempt : nil
        }
        guard let attempt = found else { return }
        let verdict = PodVerdict(pod, work: attempt.work, deadlineMessage: attempt.launch.deadlineMessage)
        switch verdict.standing(isGone: isGone) {
        case .waiting(let message, let limits):
            state.withLock { $0.attempts[key]?.limits.take(limits, at: now()) }
            if attempt.cancel == nil && !attempt.isStarted && !message.isEmpty {
                report(waiting: message, key)
            }
        case .running(let host):
            state.withLock { $0.attempts[key]?.limits.take([], at: now()) }
            started(key, attempt, host: host)
            if attempt.launch.template.daemon && verdict.isReady { ready(key, attempt, verdict.address) }
        case .ended(let end):
            guard attempt.cancel == nil || end.phase == .succeeded else {
                return self.end(key, Self.terminated, pod)
            }
            if !end.isLost { started(key, attempt, host: pod["spec"]?["nodeName"]?.stringValue ?? "") }
            self.end(key, end, pod)
        }
    }

    func started(_ key: AttemptKey, _ attempt: Attempt, host: String) {
        let isNew = state.withLock { state in
            guard state.attempts[key]?.isStarted == false else { return false }
            state.attempts[key]?.isStarted = true
            state.attempts[key]?.host = host
            state.attempts[key]?.runningSince = now()
            return true
        }
        if isNew { reporter.yield(.started(key, host: host, at: now())) }
    }

    private func ready(_ key: AttemptKey, _ attempt: Attempt, _ address: String) {
        let isNew = state.withLock { state in
            guard state.attempts[key]?.isReady == false else { return false }
            state.attempts[key]?.isReady = true
            return true
        }
        if isNew { reporter.yield(.ready(key, address: address)) }
    }

    func passLimits() {
        let moment = now()
        let over = state.withLock { state in
            state.attempts.compactMap { key, attempt -> (AttemptKey, Attempt, PodEnd)? in
                guard attempt.stage == .watching, let end = attempt.limits.passed(at: moment) else {
                    return nil
                }
                return (key, attempt, end)
            }
        }
        for (key, attempt, end) in over {
            var doomed = attempt
            doomed.cancel = true
            delete(doomed)
            self.end(key, attempt.cancel == nil ? end : Self.terminated)
        }
    }

    func end(_ key: AttemptKey, _ end: PodEnd, _ pod: JSONValue = .null) {
        let isFirst = state.withLock { state in
            guard let stage = state.attempts[key]?.stage, stage != .finishing else { return false }
            state.attempts[key]?.stage = .finishing
            return true
        }
        if isFirst { jobs.yield(.finish(key, end, pod)) }
    }

    // MARK: Read

    func finish(_ key: AttemptKey, _ end: PodEnd, _ pod: JSONValue) async {
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        if pod != .null {
            await reads.pass { await self.logs.keep(pod, key: key, limit: .seconds(60)) }
        } else {
            logs.abandon(key)
        }
        let taker = PodOutcome(launch: attempt.launch, end: end, pod: pod, exchange: exchange)
        let outcome: AttemptOutcome
        do {
            outcome = try await BlockingCall.run { [logs, lives] in
                lives.handOn(key, isOver: true)
                return taker.outcome(logPath: logs.path(key))
            }
        } catch {
            outcome = AttemptOutcome(phase: .error, message: "\(error)", failureClass: .infrastructure)
        }
        await note(outcome, key)
        // It may have gone with the object that owns all of the run's pods.
        if outcome.isLost { objects.forget(key.workflowUID) }
        let place = Self.place(attempt.launch.namespace, attempt.podName)
        let garbage = PodGarbage(attempt.launch.podSettings["podGC"])
        let gone = EndedObject(
            pod, garbage, at: PodVerdict.endOfWork(pod) ?? now(), in: Self.pods(attempt.launch.namespace))
        state.withLock { state in
            state.attempts[key] = nil
            state.keys[place] = nil
            if pod != .null, attempt.launch.podSettings["podGC"] != nil {
                state.ended["\(key.workflowUID)/\(key.nodeID)", default: []].append(gone)
            }
        }
        if outcome.phase != .succeeded, !attempt.host.isEmpty { noteFailed([attempt.host], attempt.launch) }
        exchange.forget(key)
        reporter.yield(.finished(key, outcome))
        // What goes on in it is wanted by nobody any more: sidecars, a companion.
        if pod["status"]?["phase"]?.stringValue == "Running" {
            jobs.yield(
                .delete(
                    namespace: attempt.launch.namespace, pod: attempt.podName, uid: attempt.podUID,
                    graceSeconds: renderer.settings.graceSeconds))
        }
    }

    // MARK: Deleted

    func delete(namespace: String, pod: String, uid: String?, graceSeconds: Int) async {
        var pause = Self.firstPause
        let path = "\(Self.pods(namespace))/\(pod)"
        while !Task.isCancelled {
            do {
                return try await writes.pass {
                    try await self.client.delete(path, graceSeconds: graceSeconds, uid: uid)
                }
            } catch let error as KubernetesError where error.isPassing && !error.isExpired {
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            } catch {
                // It has gone, or is another's, or may not be deleted, which its watch will show.
                if let key = state.withLock({ $0.keys[Self.place(namespace, pod)] }) {
                    jobs.yield(.look(key))
                }
                return
            }
        }
    }
}
