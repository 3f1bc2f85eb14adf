// The work itself: leaf templates go to the executor, suspend templates wait.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// How often one node's work is launched again after it was lost, before the machine is taken to be at
    /// fault.
    static var lostLaunchLimit: Int { 20 }
    /// The first launch after a loss is at once; before the others there is this, twice as much each time.
    private static var firstRelaunchPause: Duration { .seconds(1) }
    private static var longestRelaunchPause: Duration { .seconds(60) }

    /// Begins a node's work by the kind of its template.
    mutating func begin(_ id: NodeID) {
        guard let entry = live[id], let node = nodes[id], !node.phase.isFulfilled else { return }
        if node.phase == .pending, !node.isLaunched, isHeldBack(entry.invocation) {
            live[id]?.gate = .held
            held.append(.begin(id))
            return
        }
        live[id]?.gate = .none
        switch entry.template.kind {
        case .steps(let groups): beginSteps(id, groups)
        case .dag(let dag): beginDAG(id, dag)
        case .suspend(let duration): beginSuspend(id, duration)
        case .missing: finish(id, .error, "the template has no kind of work")
        case .container, .script, .containerSet, .http, .resource, .data, .plugin, .martlet: beginLeaf(id)
        }
    }

    /// Whether a node must not begin because the run is being ended.
    func isBlockedByShutdown(_ invocation: Invocation) -> Bool {
        if shutdown == .terminate { return true }
        return !invocation.isExitHandler && (shutdown != nil || isPastDeadline)
    }

    private mutating func beginLeaf(_ id: NodeID) {
        guard let entry = live[id], let node = nodes[id] else { return }
        let isBlocked = isBlockedByShutdown(entry.invocation)
        if !node.isLaunched {
            if isBlocked {
                finish(id, .failed, blockedText)
                return
            }
            if let limit = definition.spec.parallelism, activePods >= limit {
                live[id]?.gate = .slot
                waitingForPodSlot.append(id)
                return
            }
            activePods += 1
        }
        live[id]?.holdsPodSlot = !node.isDaemoned
        if !node.isDaemoned { startTimers(id, entry.template) }
        launch(id)
        if node.isDaemoned {
            serveDaemon(id)
        } else if isBlocked {
            // Taken over from a driver that ended before it could end this.
            end(id, blockedText)
        }
    }

    /// Why a node does not begin any more.
    var blockedText: String {
        if let shutdown { return shutdownMessage ?? "workflow shutdown with strategy: \(shutdown.rawValue)" }
        return "Step exceeded its deadline"
    }

    mutating func startTimers(_ id: NodeID, _ template: Template) {
        guard let started = nodes[id]?.startedAt else { return }
        if let timeout = template.timeout.flatMap(GoDuration.parse) {
            timers.insert(.init(at: started + timeout, kind: .timeout, node: id))
        }
        if let timeout = template.pendingTimeout.flatMap(GoDuration.parse) {
            timers.insert(.init(at: started + timeout, kind: .pendingTimeout, node: id))
        }
    }

    private mutating func launch(_ id: NodeID) {
        guard let launch = makeLaunch(id) else { return }
        addContainerNodes(id)
        live[id]?.isLaunched = true
        if nodes[id]?.isLaunched == false { update(id) { $0.isLaunched = true } }
        effects.append(.launch(launch))
    }

    private func makeLaunch(_ id: NodeID) -> Launch? {
        guard let entry = live[id], let node = nodes[id] else { return nil }
        var launch = Launch(
            key: attemptKey(of: node), workflowName: name, namespace: definition.namespace,
            nodeName: node.name,
            podName: Node.podName(workflow: name, nodeName: node.name, template: entry.template.name),
            template: entry.template, inputs: entry.template.inputs)
        let scope = scope(for: id)
        launch.volumes =
            entry.template.volumes + definition.spec.volumes.map { (try? scope.replace(in: $0)) ?? $0 }
        launch.volumeClaimTemplates = definition.spec.volumeClaimTemplates
        launch.serviceAccountName = definition.spec.serviceAccountName ?? "default"
        launch.labels = metadata.labels.merging(entry.template.metadata.labels) { $1 }
        launch.annotations = entry.template.metadata.annotations
        launch.capturesResult = wantsResult(entry.invocation)
        launch.archivesLogs = entry.template.archiveLogs ?? definition.spec.archiveLogs ?? false
        launch.deadlineSeconds = entry.template.activeDeadlineSeconds.flatMap { Double($0) }
        launch.priority = definition.spec.priority ?? 0
        launch.podSettings = PodSettingKeys.settings(of: definition.spec, scope)
        if node.isRetryAttempt, let owner = entry.invocation.owner, let retry = live[owner]?.retry {
            launch.retryOrdinal = retry.attempts.firstIndex(of: id) ?? 0
            launch.checkpointNodeID = owner
            if launch.retryOrdinal > 0, let limit = maxDurationEnd(owner), let started = node.startedAt {
                let left = max((limit - started).inSeconds, 0.001)
                launch.deadlineSeconds = min(launch.deadlineSeconds ?? left, left)
            }
        }
        return launch
    }

    func attemptKey(of node: Node) -> AttemptKey {
        AttemptKey(workflowUID: uid, nodeID: node.id, attempt: node.attempt)
    }

    /// Whether a step's output is mentioned by the template that holds the step; only then it is kept.
    private func wantsResult(_ invocation: Invocation) -> Bool {
        guard let boundary = invocation.boundary, let frame = live[boundary] else { return false }
        if frame.mentionsResults == nil { return true }
        return frame.mentionsResults == true
    }

    /// Nodes for the containers of a set, below the node of the pod.
    private mutating func addContainerNodes(_ id: NodeID) {
        guard case .containerSet(let set) = live[id]?.template.kind, let pod = nodes[id] else { return }
        for container in set.containers {
            let nodeName = "\(pod.name).\(container.name)"
            var node = Node(
                id: nodeID(nodeName), name: nodeName, displayName: container.name, type: .container,
                phase: .pending)
            node.boundaryID = id
            node.templateName = pod.templateName
            node.templateScope = pod.templateScope
            node.startedAt = now
            node.parents =
                container.dependencies.isEmpty
                ? [id] : container.dependencies.map { nodeID("\(pod.name).\($0)") }
            addNode(node)
        }
    }

    // MARK: Reports

    mutating func started(_ id: NodeID, host: String) {
        guard nodes[id]?.phase == .pending else { return }
        update(id) {
            $0.phase = .running
            $0.message = ""
            $0.hostNodeName = host
        }
        for child in nodes[id]?.children ?? [] where nodes[child]?.type == .container {
            if nodes[child]?.phase == .pending { update(child) { $0.phase = .running } }
        }
        fireHooks(of: id)
    }

    mutating func daemonIsReady(_ id: NodeID, address: String) {
        guard live[id]?.template.daemon == true, let node = nodes[id] else { return }
        started(id, host: node.hostNodeName)
        if node.podIP != address { update(id) { $0.podIP = address } }
        guard !node.isDaemoned else { return }
        guard live[id]?.invocation.boundary != nil else {
            // Nothing is around it that would need it any longer.
            finish(id, .succeeded)
            return
        }
        update(id) { $0.isDaemoned = true }
        releasePodSlot(id)
        serveDaemon(id)
    }

    /// A daemon is ready: its owner goes on once the hooks that it fired have ended, and its work ends with
    /// the node around it.
    mutating func serveDaemon(_ id: NodeID) {
        guard let entry = live[id], !entry.isServing, entry.hooks.values.allSatisfy(\.isSettled) else {
            return
        }
        live[id]?.isServing = true
        // First, since giving the place back may end the boundary.
        if let boundary = entry.invocation.boundary { live[boundary]?.daemons.append(id) }
        releaseBoundarySlot(id)
        tellOwner(of: id)
    }

    mutating func leafEnded(_ id: NodeID, _ outcome: AttemptOutcome) {
        if outcome.isLost, live[id]?.cancelMessage == nil {
            relaunchLost(id, outcome.message)
            return
        }
        for container in outcome.containers { containerEnded(container, of: id) }
        update(id) {
            $0.isLaunched = false
            $0.outputs = outcome.outputs
            $0.resourcesDuration = outcome.resourcesDuration
            $0.failureClass = outcome.failureClass
        }
        if nodes[id]?.isDaemoned == true, live[id]?.cancelMessage != nil {
            finish(id, .succeeded)
        } else if let message = live[id]?.cancelMessage {
            finish(id, .failed, message)
        } else {
            finish(id, outcome.phase, outcome.message)
        }
    }

    /// A power cut, a killed supervisor, a pod that was taken away: the attempt does not count, and the work is
    /// launched again.
    private mutating func relaunchLost(_ id: NodeID, _ reason: String) {
        guard let node = nodes[id] else { return }
        let losses = node.attempt - (attemptFloor[id] ?? 0)
        guard losses < Self.lostLaunchLimit else {
            finish(
                id, .error,
                "the step was lost \(losses + 1) times, at last because \(reason); see the log of the machine "
                    + "or the events of the cluster")
            return
        }
        let pause = Self.relaunchPause(losses)
        let words = pause == .zero ? "launched again" : "launched again after \(GoDuration.format(pause))"
        update(id) {
            $0.attempt += 1
            $0.phase = .pending
            $0.message = "attempt \(node.attempt) was lost: \(reason); \(words)"
            $0.failureClass = .infrastructure
        }
        guard pause > .zero else { return launch(id) }
        live[id]?.isLaunched = false
        live[id]?.gate = .relaunch
        timers.insert(.init(at: now + pause, kind: .relaunch, node: id))
    }

    /// - Parameter losses: before this one.
    package static func relaunchPause(_ losses: Int) -> Duration {
        guard losses > 0 else { return .zero }
        return min(firstRelaunchPause * (1 << min(losses - 1, 30)), longestRelaunchPause)
    }

    mutating func relaunch(_ id: NodeID) {
        guard live[id]?.gate == .relaunch, nodes[id]?.phase == .pending else { return }
        live[id]?.gate = .none
        launch(id)
    }

    private mutating func containerEnded(_ outcome: AttemptOutcome.ContainerOutcome, of id: NodeID) {
        guard let pod = nodes[id] else { return }
        let child = nodeID("\(pod.name).\(outcome.name)")
        guard let node = nodes[child], !node.phase.isFulfilled else { return }
        let moment = now
        update(child) {
            $0.phase = outcome.phase
            $0.message = outcome.message
            $0.startedAt = outcome.startedAt ?? $0.startedAt
            $0.finishedAt = outcome.finishedAt ?? moment
            $0.outputs.exitCode = outcome.exitCode.map(String.init)
        }
    }

    // MARK: Time

    mutating func timeOut(_ id: NodeID, whilePending: Bool) {
        guard let node = nodes[id], live[id] != nil, !node.phase.isFulfilled, !node.isDaemoned else { return }
        if whilePending {
            guard node.phase == .pending else { return }
            end(id, "Pod was pending for longer than its pendingTimeout")
        } else {
            end(id, "Step exceeded its deadline")
        }
    }

    /// Ends a leaf: at once if it waits, by cancelling if it was launched.
    mutating func end(_ id: NodeID, _ message: String) {
        if live[id]?.isLaunched == true, let node = nodes[id] {
            guard live[id]?.cancelMessage == nil else { return }
            live[id]?.cancelMessage = message
            effects.append(.cancel(attemptKey(of: node), immediately: false))
        } else {
            finish(id, .failed, message)
        }
    }

    mutating func passDeadline() {
        guard !isPastDeadline, shutdown == nil, settledEntry == nil else { return }
        isPastDeadline = true
        isHeaderChanged = true
        endBlocked()
    }

    /// Ends nodes that do work or wait to; those that arrange others end through them.
    mutating func endIfLeaf(_ id: NodeID, _ entry: LiveNode, _ message: String) {
        guard let node = nodes[id], !node.phase.isFulfilled else { return }
        if entry.retry != nil {
            if entry.retry?.isWaiting == true { work.append(.attempt(id)) }
        } else if entry.gate != .none, node.phase == .running {
            // An earlier driver had begun it: it goes on, so that what is below it is ended one by one.
            proceed(id)
        } else if entry.gate != .none || node.type == .suspend {
            finish(id, .failed, message)
        } else if entry.isLaunched {
            end(id, message)
        }
    }

    // MARK: Suspend

    private mutating func beginSuspend(_ id: NodeID, _ duration: String?) {
        guard let entry = live[id], let node = nodes[id] else { return }
        if isBlockedByShutdown(entry.invocation) {
            finish(id, .failed, blockedText)
            return
        }
        if node.phase == .pending {
            update(id) {
                $0.phase = .running
                $0.outputs.parameters = entry.template.outputs.parameters
            }
        }
        if let duration, !duration.isEmpty {
            guard let span = Self.span(duration), let started = nodes[id]?.startedAt else {
                finish(
                    id, .error, "suspend.duration \"\(duration)\" is not a duration; write for example 30s")
                return
            }
            timers.insert(.init(at: started + span, kind: .suspendEnd, node: id))
        }
        fireHooks(of: id)
    }

    mutating func suspendEnded(_ id: NodeID) {
        guard nodes[id]?.type == .suspend, nodes[id]?.phase.isFulfilled == false else { return }
        resumeSuspended(id)
    }

    /// Ends a suspend node well, if all its supplied outputs have a value.
    mutating func resumeSuspended(_ id: NodeID) {
        guard let entry = live[id] else { return }
        var parameters = nodes[id]?.outputs.parameters ?? []
        for index in parameters.indices where parameters[index].value == nil {
            let name = parameters[index].name
            guard
                let value = parameters[index].valueFrom?.default ?? parameters[index].default
                    ?? entry.template.inputs.parameter(name)?.value
            else {
                finish(
                    id, .error,
                    "raw output parameter '\(name)' has not been set and does not have a default value")
                return
            }
            parameters[index].value = value
        }
        update(id) { $0.outputs.parameters = parameters }
        finish(id, .succeeded)
    }

    /// A duration in Argo's two forms: a bare number is seconds, else Go's form.
    static func span(_ text: String) -> Duration? {
        if let seconds = Int(text) { return .seconds(seconds) }
        return GoDuration.parse(text)
    }
}
