// The one switch over events, and the queue that carries out what follows from them.

package import Text
import WorkflowLanguage

extension WorkflowState {
    /// Takes an event and answers what the shell must do, after it has saved what changed.
    package mutating func handle(_ event: Event, at moment: Timestamp) -> [Effect] {
        now = max(now, moment)
        if !isFinished { apply(event) }
        drain()
        defer { effects = [] }
        return effects
    }

    private mutating func apply(_ event: Event) {
        if case .attached = event {
            attach()
            return
        }
        guard isAttached else { return }
        if mentionsDuration { refreshDynamicGlobals() }
        switch event {
        case .attached: return
        case .report(let report): take(report)
        case .timer: fireTimers()
        case .locksAcquired(let id): locksAcquired(id)
        case .locksWaiting(let id, let lock, let message): locksWaiting(id, lock: lock, message: message)
        case .cacheAnswered(let id, let outputs): cacheAnswered(id, outputs)
        case .contentAnswered(let id, let answer): contentAnswered(id, answer)
        case .refused(let id, let message): refuse(id, message)
        case .command(let command): obey(command)
        }
    }

    /// Carries out what is queued, and ends the run when nothing is left of it.
    private mutating func drain() {
        repeat {
            while let next = work.popFirst() { perform(next) }
            if isAttached { finishIfDone() }
        } while !work.isEmpty
    }

    private mutating func perform(_ item: Work) {
        switch item {
        case .invoke(let invocation): invoke(invocation)
        case .conclude(let call): conclude(call)
        case .settled(let id): settle(id)
        case .admit(let boundary): admitWaiting(at: boundary)
        case .startGroup(let id): startNextGroup(of: id)
        case .startTask(let dag, let name): startTask(name, of: dag)
        case .attempt(let id): advanceRetry(id)
        case .begin(let id): begin(id)
        case .admitPods: admitPods()
        }
    }

    /// Takes a report of the executor. Executors may report twice and late: a report for an attempt that is
    /// no longer awaited changes nothing.
    private mutating func take(_ report: ExecutorReport) {
        let key = report.key
        guard let entry = live[key.nodeID], entry.isLaunched, let node = nodes[key.nodeID],
            node.attempt == key.attempt, !node.phase.isFulfilled
        else { return }
        switch report {
        case .started(_, let host, _): started(key.nodeID, host: host)
        case .waiting(_, let message):
            guard node.phase == .pending, node.message != message else { return }
            update(key.nodeID) { $0.message = message }
        case .progress(_, let progress):
            guard node.progress != progress else { return }
            update(key.nodeID) { $0.progress = progress }
        case .ready(_, let address): daemonIsReady(key.nodeID, address: address)
        case .finished(_, let outcome): leafEnded(key.nodeID, outcome)
        }
    }

    private mutating func fireTimers() {
        while let entry = timers.popDue(at: now) {
            switch entry.kind {
            case .workflowDeadline: passDeadline()
            case .backoff: if live[entry.node]?.retry?.isWaiting == true { work.append(.attempt(entry.node)) }
            case .suspendEnd: suspendEnded(entry.node)
            case .relaunch: relaunch(entry.node)
            case .timeout: timeOut(entry.node, whilePending: false)
            case .pendingTimeout: timeOut(entry.node, whilePending: true)
            }
        }
    }

    // MARK: Changing nodes

    /// Changes a node and notes that its row must be written.
    mutating func update(_ id: NodeID, _ change: (inout Node) -> Void) {
        guard nodes[id] != nil else { return }
        change(&nodes[id, default: Node(id: id, name: "", displayName: "", type: .pod, phase: .error)])
        changedNodes.insert(id)
    }

    /// Adds a node unless an earlier driver has; hangs it under its parents.
    mutating func addNode(_ node: Node) {
        guard nodes[node.id] == nil else { return }
        var node = node
        node.sequence = nextSequence
        node.attempt = attemptFloor[node.id] ?? 0
        nextSequence += 1
        nodes[node.id] = node
        changedNodes.insert(node.id)
        if node.id != Node.id(workflow: name, nodeName: node.name) { collidedIDs[node.name] = node.id }
        for parent in node.parents { nodes[parent]?.children.append(node.id) }
    }

    /// The id of a node by its name. 32 bits of hash collide among 100,000 names more often than not: then
    /// the later node's name is hashed again with a mark.
    func nodeID(_ name: String) -> NodeID {
        if !collidedIDs.isEmpty, let id = collidedIDs[name] { return id }
        for probe in 0..<64 {
            let id = Node.id(workflow: self.name, nodeName: name, probe: probe)
            guard let taken = nodes[id], taken.name != name else { return id }
        }
        preconditionFailure("no free id for node \(name)")
    }
}
