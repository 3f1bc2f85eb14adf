// How a node ends, and who is told.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// Ends a node. A node that has ended stays as it is.
    mutating func finish(_ id: NodeID, _ phase: Phase, _ message: String = "") {
        guard let old = nodes[id], !old.phase.isFulfilled else { return }
        precondition(
            PhaseTable.allows(old.phase, phase), "node \(old.name) cannot go from \(old.phase) to \(phase)")
        let wasServing = live[id]?.isServing ?? old.isDaemoned
        let moment = now
        var (phase, message) = (phase, message)
        if phase.isCompleted, let failure = live[id]?.hookFailure { (phase, message) = (.error, failure) }
        // Its end was not reported: what was launched must end too.
        if old.isLaunched { effects.append(.cancel(attemptKey(of: old), immediately: false)) }
        update(id) { node in
            node.isLaunched = false
            node.phase = phase
            node.message = message
            node.finishedAt = moment
            node.waitingLock = nil
        }
        endOpenContainers(of: id, phase)
        endDaemons(of: id)
        releasePodSlot(id)
        if let entry = live[id] { afterEnd(id, entry, phase) }
        if wasServing {
            let owner = live[id]?.invocation.owner
            live[id] = nil
            if let owner, nodes[owner]?.type == .retry { finish(owner, phase) }
            return
        }
        fireHooks(of: id)
        work.append(.settled(id))
    }

    private mutating func afterEnd(_ id: NodeID, _ entry: LiveNode, _ phase: Phase) {
        if entry.template.synchronization?.isEmpty == false {
            live[id]?.holdsLocks = false
            effects.append(.releaseLocks(id))
        }
        if phase == .succeeded, let memoize = entry.template.memoize, let node = nodes[id],
            node.memoization?.hit == false
        {
            effects.append(.saveCache(id, cache: memoize.cache, key: memoize.key, node.outputs))
        }
        if phase == .succeeded { saveContent(id) }
        if !entry.template.metrics.isEmpty { effects.append(.emitMetrics(id, entry.template.metrics)) }
        exportGlobals(of: id)
        collectGarbage(id, entry, phase)
    }

    private mutating func collectGarbage(_ id: NodeID, _ entry: LiveNode, _ phase: Phase) {
        guard entry.isLaunched, let strategy = definition.spec.podGCStrategy else { return }
        if strategy == "OnPodCompletion" || (strategy == "OnPodSuccess" && phase == .succeeded) {
            effects.append(.removeWorkingFiles(id))
        }
    }

    private mutating func endOpenContainers(of id: NodeID, _ phase: Phase) {
        for child in nodes[id]?.children ?? [] {
            guard let node = nodes[child], node.type == .container else { continue }
            endOpenContainers(of: child, phase)
            guard !node.phase.isFulfilled else { continue }
            let moment = now
            update(child) {
                $0.phase = phase
                $0.finishedAt = moment
            }
        }
    }

    private mutating func endDaemons(of id: NodeID) {
        for daemon in live[id]?.daemons ?? [] {
            finish(daemon, .succeeded)
        }
    }

    /// Gives back what a node held against the limit of the workflow.
    mutating func releasePodSlot(_ id: NodeID) {
        guard live[id]?.holdsPodSlot == true else { return }
        live[id]?.holdsPodSlot = false
        activePods -= 1
        if !waitingForPodSlot.isEmpty { work.append(.admitPods) }
    }

    /// Begins what waited for a place among the workflow's pods. Whoever does not take the place (because the
    /// run is suspended or ends) leaves it to the next.
    mutating func admitPods() {
        guard let limit = definition.spec.parallelism else { return }
        while activePods < limit, let next = waitingForPodSlot.popFirst() {
            if live[next]?.gate == .slot { begin(next) }
        }
    }

    /// Gives back what a node held against the limit of the enclosing node, once its hooks have ended too: a
    /// node that fails fast must not end before them.
    mutating func releaseBoundarySlot(_ id: NodeID) {
        guard let entry = live[id], entry.holdsBoundarySlot, let boundary = entry.invocation.boundary else {
            return
        }
        live[id]?.holdsBoundarySlot = false
        live[boundary]?.boundary?.limits.active -= 1
        if nodes[id]?.phase.isUnsuccessful == true { live[boundary]?.boundary?.limits.unsuccessful += 1 }
        // Before the owner draws its own conclusion from the child's end.
        if let limits = live[boundary]?.boundary?.limits, limits.isFailing, limits.active == 0 {
            failFast(boundary)
        } else {
            work.append(.admit(boundary: boundary))
        }
    }

    /// Once a node has ended and its hooks too, its owner is told and it is forgotten here.
    mutating func settle(_ id: NodeID) {
        guard let entry = live[id], let node = nodes[id], node.isFulfilled else { return }
        guard node.phase.isFulfilled else {
            serveDaemon(id)
            return
        }
        guard entry.hooks.values.allSatisfy(\.isSettled) else { return }
        releaseBoundarySlot(id)
        tellOwner(of: id)
        live[id] = nil
    }

    /// Tells the node's owner that nothing more is awaited from it.
    mutating func tellOwner(of id: NodeID) {
        guard let entry = live[id], let node = nodes[id] else { return }
        guard let owner = entry.invocation.owner else {
            if entry.invocation.isHook, workflowHooks[node.name] != nil {
                workflowHooks[node.name]?.isSettled = true
            }
            return
        }
        if entry.invocation.isHook {
            hookSettled(node, owner: owner)
        } else if live[owner]?.group != nil {
            groupChildSettled(node, entry.invocation, group: owner)
        } else if live[owner]?.retry != nil {
            work.append(.attempt(owner))
        } else if live[owner]?.steps != nil {
            groupSettled(node, owner: owner)
        } else if live[owner]?.dag != nil {
            taskSettled(entry.invocation.stepName, node, dag: owner)
        }
    }

    /// Puts outputs that carry a `globalName` among the workflow's own.
    private mutating func exportGlobals(of id: NodeID) {
        guard let node = nodes[id], node.phase.isCompleted, !node.outputs.isEmpty,
            node.type != .retry, let template = live[id]?.template
        else { return }
        for parameter in node.outputs.parameters {
            let declared = template.outputs.parameter(parameter.name)
            guard let global = declared?.globalName ?? parameter.globalName, !global.isEmpty,
                let value = parameter.value
            else { continue }
            outputs.parameters.removeAll { $0.name == global }
            outputs.parameters.append(Parameter(name: global, value: value))
            globals["workflow.outputs.parameters.\(global)"] = .text(value)
            isHeaderChanged = true
        }
        for artifact in node.outputs.artifacts {
            let declared = template.outputs.artifact(artifact.name)
            guard let global = declared?.globalName ?? artifact.globalName, !global.isEmpty else { continue }
            let exported = artifact.with("name", .string(global)).with("globalName", nil)
            outputs.artifacts.removeAll { $0.name == global }
            outputs.artifacts.append(exported)
            globals["workflow.outputs.artifacts.\(global)"] = .structure(exported.json)
            isHeaderChanged = true
        }
    }
}
