// The way of one group: its Service and Job made or found, watched, judged, read, deleted.

import Executors
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension GroupExecutor {
    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(30)
    /// How long the logs of a group that has ended are waited for.
    private static let logPatience = Duration.seconds(60)
    /// How long, beyond the pods' own grace, a Job may take to go.
    private static let deletePatience = Duration.seconds(120)
    /// Runs whose earlier Jobs were looked for; forgetting them costs one list each.
    private static let recalledLimit = 1000

    static func jobs(_ namespace: String) -> String { "/apis/batch/v1/namespaces/\(namespace)/jobs" }
    static func services(_ namespace: String) -> String { "/api/v1/namespaces/\(namespace)/services" }

    // MARK: Made

    func create(_ key: AttemptKey) async {
        if let outcome = await pods.toldOutcome(key) { return finished(key, outcome) }
        var pause = Self.firstPause
        while let attempt = state.withLock({ $0.attempts[key] }), !Task.isCancelled {
            do {
                let job = try await pods.writes.pass { try await self.made(attempt) }
                guard let job else { return end(key, KubernetesExecutor.terminated) }
                return made(key, job)
            } catch is CancellationError {
                return
            } catch {
                if let end = PodEnd(ofCreate: "group", error) { return self.end(key, end) }
                report(waiting: "\(error)", key)
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// The Job as the API has it, whoever made it; nil for a cancelled group that has none.
    private func made(_ attempt: Attempt) async throws -> JSONValue? {
        let launch = attempt.launch
        let jobs = Self.jobs(launch.namespace)
        if attempt.cancel != nil {
            do {
                let known = try await pods.client.get("\(jobs)/\(attempt.jobName)")
                return PodMarks.key(of: known) == launch.key ? known : nil
            } catch let error as KubernetesError where error.isNotFound {
                return nil
            }
        }
        let owner = try await pods.objects.owner(of: launch)
        let (service, rendered) = try renderer.objects(
            for: launch, group: attempt.group, owner: owner, token: pods.exchange.token(launch.key),
            avoiding: try await pods.failedHosts(of: launch))
        let template = try await pods.withValues(
            rendered["spec"]?["template"] ?? .null, of: launch, owner)
        let job = rendered.setting("spec", "template", template)
        // The Service is there before the first pod asks for the name of another.
        _ = try await ensure(Self.services(launch.namespace), service, attempt)
        return try await ensure(jobs, job, attempt)
    }

    private func ensure(_ path: String, _ object: JSONValue, _ attempt: Attempt) async throws -> JSONValue {
        do {
            return try await pods.client.create(path, object)
        } catch let error as KubernetesError where error.isAlreadyThere {
            let known = try await pods.client.get("\(path)/\(attempt.jobName)")
            if PodMarks.key(of: known) == attempt.launch.key { return known }
            throw PodProblem(
                "the \(object["kind"]?.stringValue ?? "object") \(attempt.jobName) is there already and belongs to "
                    + "something else; delete it, or run the workflow under another name")
        }
    }

    private func made(_ key: AttemptKey, _ job: JSONValue) {
        let attempt = state.withLock { state -> Attempt? in
            guard state.attempts[key]?.stage == .creating else { return nil }
            state.attempts[key]?.stage = .watching
            state.attempts[key]?.jobUID = job["metadata"]?["uid"]?.stringValue ?? ""
            state.attempts[key]?.job = job
            return state.attempts[key]
        }
        guard let attempt else { return }
        if attempt.cancel != nil { end(key, slowly: KubernetesExecutor.terminated) }
        judge(key)
        // What happened to it before this line may have been told to nobody.
        orders.yield(.look(key))
    }

    private func report(waiting message: String, _ key: AttemptKey) {
        let isNew = state.withLock { state in
            guard let attempt = state.attempts[key], attempt.waiting != message else { return false }
            state.attempts[key]?.waiting = message
            return true
        }
        if isNew { reporter.yield(.waiting(key, message: message)) }
    }

    // MARK: Watched

    func watch(_ namespace: String) async {
        let selector = GroupMarks.selector(instance: renderer.settings.instance)
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                let path = Self.jobs(namespace)
                let watch = ResourceWatch(
                    client: pods.client, path: path, labelSelector: selector,
                    onTrouble: { [weak self] in self?.tell($0, of: "Jobs", namespace) })
                await watch.run { [weak self] change in
                    switch change {
                    case .changed(let job): self?.take(job: job, isGone: false)
                    case .deleted(let job): self?.take(job: job, isGone: true)
                    case .part(let jobs):
                        for job in jobs { self?.take(job: job, isGone: false) }
                        self?.state.withLock { $0.due.take(jobs, in: path) }
                    case .all(let names): self?.lookForMissing(among: names, namespace)
                    }
                }
            }
            group.addTask { [self] in
                let watch = ResourceWatch(
                    client: pods.client, path: KubernetesExecutor.pods(namespace), labelSelector: selector,
                    onTrouble: { [weak self] in self?.tell($0, of: "pods", namespace) })
                await watch.run { [weak self] change in
                    switch change {
                    case .changed(let pod): self?.take(pod: pod, isGone: false)
                    case .deleted(let pod): self?.take(pod: pod, isGone: true)
                    case .part(let pods): for pod in pods { self?.take(pod: pod, isGone: false) }
                    case .all(let names): self?.noteGone(allPods: names, namespace)
                    }
                }
            }
        }
    }

    /// Groups that wait say why nothing is heard of them; what comes next from the API says something else.
    private func tell(_ trouble: KubernetesError?, of kind: String, _ namespace: String) {
        guard let trouble else { return }
        let waiting = state.withLock { state in
            state.attempts.filter { $0.value.launch.namespace == namespace && !$0.value.isStarted }.map(\.key)
        }
        for key in waiting {
            report(waiting: "the \(kind) of namespace \(namespace) cannot be watched: \(trouble)", key)
        }
    }

    private func take(job: JSONValue, isGone: Bool) {
        guard let key = PodMarks.key(of: job) else { return }
        let isMeant = state.withLock { state in
            // Late words about a Job that had the name before.
            guard let attempt = state.attempts[key], attempt.stage == .watching,
                job["metadata"]?["uid"]?.stringValue == attempt.jobUID
            else { return false }
            state.attempts[key]?.job = job
            // What a queue took back does not count among what failed.
            if job["spec"]?["suspend"]?.boolValue == true {
                state.attempts[key]?.members = attempt.members.filter { !$0.value.isGone }
            }
            return true
        }
        if isMeant { judge(key, isGone: isGone) }
    }

    private func take(pod: JSONValue, isGone: Bool) {
        guard let key = PodMarks.key(of: pod), let uid = pod["metadata"]?["uid"]?.stringValue else { return }
        let isMeant = state.withLock { state in
            guard let attempt = state.attempts[key], attempt.stage != .finishing else { return false }
            let owners = pod["metadata"]?["ownerReferences"]?.arrayValue ?? []
            let isOwn = owners.contains { $0["uid"]?.stringValue == attempt.jobUID }
            guard attempt.jobUID.isEmpty || isOwn else { return false }
            state.attempts[key]?.members[uid] = GroupVerdict.Member(pod, isGone: isGone)
            return true
        }
        guard isMeant else { return }
        follow(key, uid)
        judge(key)
    }

    /// A list does not say what has gone.
    private func noteGone(allPods names: Set<String>, _ namespace: String) {
        let changed = state.withLock { state in
            var keys: [AttemptKey] = []
            for (key, attempt) in state.attempts where attempt.launch.namespace == namespace {
                for (uid, member) in attempt.members where !member.isGone {
                    if names.contains(member.pod["metadata"]?["name"]?.stringValue ?? "") { continue }
                    state.attempts[key]?.members[uid]?.isGone = true
                    keys.append(key)
                }
            }
            return Set(keys)
        }
        for key in changed { judge(key) }
    }

    private func lookForMissing(among names: Set<String>, _ namespace: String) {
        let missing = state.withLock { state in
            state.attempts.filter { _, attempt in
                attempt.stage == .watching && attempt.launch.namespace == namespace
                    && !names.contains(attempt.jobName)
            }.map(\.key)
        }
        for key in missing { orders.yield(.look(key)) }
    }

    /// Asks for one Job.
    func look(_ key: AttemptKey) async {
        guard let attempt = state.withLock({ $0.attempts[key] }), attempt.stage == .watching else { return }
        do {
            let path = "\(Self.jobs(attempt.launch.namespace))/\(attempt.jobName)"
            let job = try await pods.reads.pass { try await self.pods.client.get(path) }
            let isOther = job["metadata"]?["uid"]?.stringValue != attempt.jobUID
            if isOther { judge(key, isGone: true) } else { take(job: job, isGone: false) }
        } catch let error as KubernetesError where error.isNotFound {
            judge(key, isGone: true)
        } catch {
            // The watch goes on, and lists again when it must.
        }
    }

    // MARK: Judged

    private func judge(_ key: AttemptKey, isGone: Bool = false) {
        let found = state.withLock { $0.attempts[key] }
        guard let attempt = found, attempt.stage == .watching else { return }
        switch verdict(attempt).standing(isGone: isGone) {
        case .ended(let end):
            // What was asked to end has ended so, unless it was quicker.
            if let doom = attempt.doom, end.phase != .succeeded { return self.end(key, doom.end) }
            if !end.isLost { started(key, attempt) }
            self.end(key, end)
        case .waiting(let message, let limits):
            state.withLock { $0.attempts[key]?.limits.take(limits, at: pods.now()) }
            if attempt.cancel == nil && !attempt.isStarted { report(waiting: message, key) }
        case .running(let host):
            state.withLock { $0.attempts[key]?.limits.take([], at: pods.now()) }
            started(key, attempt, host: host)
        }
    }

    private func verdict(_ attempt: Attempt) -> GroupVerdict {
        GroupVerdict(
            attempt.job, Array(attempt.members.values), nodes: attempt.group.nodes,
            deadlineMessage: attempt.launch.deadlineMessage)
    }

    private func started(_ key: AttemptKey, _ attempt: Attempt, host: String = "") {
        let isNew = state.withLock { state in
            guard state.attempts[key]?.isStarted == false else { return false }
            state.attempts[key]?.isStarted = true
            return true
        }
        if isNew { reporter.yield(.started(key, host: host, at: pods.now())) }
    }

    func passLimits() {
        let moment = pods.now()
        let attempts = state.withLock { $0.attempts.filter { $0.value.stage == .watching } }
        for (key, attempt) in attempts {
            if let doom = attempt.doom {
                if doom.at <= moment { end(key, doom.end) }
            } else if let end = attempt.limits.passed(at: moment) {
                self.end(key, slowly: end)
            }
        }
    }

    /// Deletes the Job, and ends the attempt when its pods have gone: two attempts must not write one
    /// checkpoint.
    func end(_ key: AttemptKey, slowly end: PodEnd) {
        let grace = Duration.seconds(renderer.settings.graceSeconds)
        let at = pods.now() + grace + Self.deletePatience
        state.withLock { $0.attempts[key]?.doom = .init(at: at, end: end) }
        orders.yield(.delete(key))
    }

    private func end(_ key: AttemptKey, _ end: PodEnd) {
        let isFirst = state.withLock { state in
            guard let stage = state.attempts[key]?.stage, stage != .finishing else { return false }
            state.attempts[key]?.stage = .finishing
            return true
        }
        if isFirst { orders.yield(.finish(key, end)) }
    }

    // MARK: Read

    /// Brings a pod's log in from when it has begun.
    private func follow(_ key: AttemptKey, _ uid: String) {
        state.withLock { state in
            guard !state.isShutDown, let attempt = state.attempts[key], let member = attempt.members[uid],
                state.followers[key]?[uid] == nil, let rank = GroupMarks.rank(of: member.pod),
                let name = member.pod["metadata"]?["name"]?.stringValue,
                let phase = member.pod["status"]?["phase"]?.stringValue, phase != "Pending"
            else { return }
            let log = state.logs[key] ?? GroupLog(client: pods.client, path: pods.logs.path(key))
            state.logs[key] = log
            let namespace = attempt.launch.namespace
            state.followers[key, default: [:]][uid] = Task { [weak self] in
                await log.follow(namespace: namespace, pod: name, rank: rank) { [weak self] in
                    self?.isOver(key, uid) ?? true
                }
            }
        }
    }

    private func isOver(_ key: AttemptKey, _ uid: String) -> Bool {
        state.withLock { state in
            guard let attempt = state.attempts[key], attempt.stage != .finishing,
                let member = attempt.members[uid]
            else { return true }
            let phase = member.pod["status"]?["phase"]?.stringValue ?? ""
            return member.isGone || ["Succeeded", "Failed"].contains(phase)
        }
    }

    /// Reads the pods once more: the Job's end may be known before what its pods came to.
    private func refresh(_ key: AttemptKey) async {
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        let path = KubernetesExecutor.pods(attempt.launch.namespace)
        let selector =
            "\(PodMarks.selector(instance: renderer.settings.instance)),\(GroupMarks.group)=\(attempt.jobName)"
        let read = try? await pods.reads.pass {
            try await self.pods.client.list(path, labelSelector: selector).items
        }
        guard let list = read else { return }
        state.withLock { state in
            for uid in attempt.members.keys { state.attempts[key]?.members[uid]?.isGone = true }
            for pod in list where PodMarks.key(of: pod) == key {
                guard let uid = pod["metadata"]?["uid"]?.stringValue else { continue }
                state.attempts[key]?.members[uid] = GroupVerdict.Member(pod)
            }
        }
    }

    func finish(_ key: AttemptKey, _ end: PodEnd) async {
        await refresh(key)
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        var end = end
        if attempt.doom == nil, case .ended(let known) = verdict(attempt).standing() { end = known }
        for uid in attempt.members.keys { follow(key, uid) }
        let followers = state.withLock { $0.followers.removeValue(forKey: key) ?? [:] }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for task in followers.values { await task.value } }
            group.addTask { try? await Task.sleep(for: Self.logPatience) }
            await group.next()
            for task in followers.values { task.cancel() }
            group.cancelAll()
        }
        let outcome = await outcome(attempt, end)
        if outcome.phase != .succeeded { pods.noteFailed(Self.hostsOfFailures(attempt), attempt.launch) }
        await pods.note(outcome, key)
        // It may have gone with the object that owns all of the run's.
        if outcome.isLost { pods.objects.forget(key.workflowUID) }
        // Without podGC nobody asks for it; and a Job that was never made ours is another's.
        if let settings = attempt.launch.podSettings["podGC"], !attempt.jobUID.isEmpty {
            let gone = EndedObject(
                attempt.job, PodGarbage(settings), at: pods.now(), in: Self.jobs(attempt.launch.namespace))
            state.withLock {
                _ = $0.ended["\(key.workflowUID)/\(key.nodeID)", default: []].insert(gone)
            }
        }
        finished(key, outcome)
    }

    private func finished(_ key: AttemptKey, _ outcome: AttemptOutcome) {
        state.withLock { state in
            state.attempts[key] = nil
            state.logs[key] = nil
        }
        pods.exchange.forget(key)
        reporter.yield(.finished(key, outcome))
    }

    /// Where pods failed by themselves; those that the Job ended after the first are not to blame.
    private static func hostsOfFailures(_ attempt: Attempt) -> [String] {
        attempt.members.values.compactMap { member in
            let pod = member.pod
            guard pod["status"]?["phase"] == "Failed", pod["metadata"]?["deletionTimestamp"] == nil else {
                return nil
            }
            return pod["spec"]?["nodeName"]?.stringValue
        }
    }

    /// Outputs are those of rank 0.
    private func outcome(_ attempt: Attempt, _ end: PodEnd) async -> AttemptOutcome {
        let key = attempt.launch.key
        let first = attempt.members.values.filter { GroupMarks.rank(of: $0.pod) == 0 }
        let pod = (first.first { !$0.isGone } ?? first.first)?.pod ?? .null
        let taker = PodOutcome(launch: attempt.launch, end: end, pod: pod, exchange: pods.exchange)
        do {
            return try await BlockingCall.run { [logs = pods.logs, lives = pods.lives] in
                lives.handOn(key, isOver: true)
                return taker.outcome(logPath: logs.path(key))
            }
        } catch {
            return AttemptOutcome(phase: .error, message: "\(error)", failureClass: .infrastructure)
        }
    }

    // MARK: Deleted

    /// In the foreground: the Job stays until its pods have gone.
    func delete(_ key: AttemptKey) async {
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        let namespace = attempt.launch.namespace
        if attempt.cancel == true {
            for (uid, member) in attempt.members where !member.isGone {
                let name = member.pod["metadata"]?["name"]?.stringValue ?? ""
                // Not 0: the object would go while processes still run and hold their GPUs.
                await pods.delete(namespace: namespace, pod: name, uid: uid, graceSeconds: 1)
            }
        }
        let path = "\(Self.jobs(namespace))/\(attempt.jobName)"
        await delete(path, uid: attempt.jobUID, propagation: "Foreground")
        orders.yield(.look(key))
    }

    private func delete(_ path: String, uid: String?, propagation: String) async {
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                return try await pods.writes.pass {
                    try await self.pods.client.delete(path, uid: uid, propagation: propagation)
                }
            } catch let error as KubernetesError where error.isPassing && !error.isExpired {
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            } catch {
                // It has gone, is another's, or may not be deleted; the run's object takes it in the end.
                return
            }
        }
    }

    func remove(workflowUID: String, nodeID: NodeID) async {
        await recallEnded(workflowUID, nodeID)
        let known = state.withLock { $0.ended.removeValue(forKey: "\(workflowUID)/\(nodeID)") }
        for job in known ?? [] where job.isSelected {
            if job.due <= pods.now() {
                await remove(job)
            } else {
                state.withLock { $0.due.add(job) }
                await pods.note(due: job)
            }
        }
    }

    /// Called every second.
    func removeDue() {
        let moment = pods.now()
        for job in state.withLock({ $0.due.popReady(at: moment) }) { orders.yield(.removeJob(job)) }
    }

    func remove(_ job: EndedObject) async {
        await delete(job.path, uid: job.uid, propagation: "Background")
        // Made before the Job, and so of the same launch.
        await delete("\(Self.services(job.namespace))/\(job.name)", uid: nil, propagation: "Background")
    }

    /// Finds the Jobs of nodes that ended before this process began: one list for a run, since all that
    /// ends later is noted as it does.
    private func recallEnded(_ uid: String, _ nodeID: NodeID) async {
        let namespaces = pods.state.withLock { $0.namespaces }
        let wanted = state.withLock { state -> Set<String> in
            if state.ended["\(uid)/\(nodeID)"] != nil || state.recalled.contains(uid) { return [] }
            return state.namespaces.union(namespaces)
        }
        let selector =
            GroupMarks.selector(instance: renderer.settings.instance)
            + ",\(PodMarks.runID)=\(PodNames.label(uid))"
        for namespace in wanted {
            let read = try? await pods.reads.pass {
                try await self.pods.client.list(Self.jobs(namespace), labelSelector: selector).items
            }
            // Not now: the next node of the run asks again.
            guard let jobs = read else { return }
            for job in jobs where job["metadata"]?["deletionTimestamp"] == nil {
                guard let key = PodMarks.key(of: job) else { continue }
                let gone = EndedObject(
                    job, PodGarbage(notedAt: job), at: GroupVerdict.endOfWork(job) ?? pods.now(),
                    in: Self.jobs(namespace))
                state.withLock { state in
                    // One at work belongs to its own attempt.
                    guard state.attempts[key] == nil else { return }
                    state.ended["\(uid)/\(key.nodeID)", default: []].insert(gone)
                }
            }
        }
        // Only now: whoever is asked meanwhile must know them, too, and lists them as well.
        guard !wanted.isEmpty else { return }
        state.withLock { state in
            if state.recalled.count >= Self.recalledLimit { state.recalled.removeAll() }
            state.recalled.insert(uid)
        }
    }
}
