// How a run begins, goes on after its driver was away, and ends.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// The node id under which the workflow's own locks are asked for.
    package static let workflowLockID: NodeID = ""

    /// Begins the run, or builds what a new driver needs to go on with it.
    mutating func attach() {
        guard !isAttached else { return }
        isAttached = true
        countInherited()
        buildGlobals()
        if phase == nil {
            phase = .pending
            isHeaderChanged = true
        }
        applyWorkflowMetadata()
        let keys = lockKeys(definition.spec.synchronization, scope: scope(for: nil))
        if keys.isEmpty || shutdown != nil || isPastDeadline {
            beginRun()
        } else {
            effects.append(
                .acquireLocks(Self.workflowLockID, keys, priority: definition.spec.priority ?? 0))
        }
    }

    /// Counts what an earlier driver left at work: it keeps its places, whatever is looked at first now.
    private mutating func countInherited() {
        for node in nodes.values {
            let isAtWork = !node.isFulfilled
            if node.isLaunched, isAtWork, !node.isDaemoned { activePods += 1 }
            guard let boundary = node.boundaryID else { continue }
            let isDaemon = node.isDaemoned && !node.phase.isFulfilled
            if isDaemon { inherited[boundary, default: (0, 0, [])].daemons.append(node.id) }
            // A daemon gives its place back once its hooks have ended; that of a group that ended has.
            let isSettled = isDaemon && node.parents.contains { nodes[$0]?.isEndedGroup == true }
            if node.takesPlace, isAtWork || isDaemon || hasOpenHook(node), !isSettled {
                inherited[boundary, default: (0, 0, [])].active += 1
            } else if node.takesPlace, node.phase.isUnsuccessful {
                inherited[boundary, default: (0, 0, [])].unsuccessful += 1
            }
        }
        for boundary in inherited.keys {
            inherited[boundary]?.daemons.sort { (nodes[$0]?.sequence ?? 0) < (nodes[$1]?.sequence ?? 0) }
        }
    }

    /// Whether a hook of the node goes on: until then the node keeps its place.
    func hasOpenHook(_ node: Node) -> Bool {
        node.children.contains { nodes[$0]?.isHook == true && nodes[$0]?.phase.isFulfilled == false }
    }

    mutating func beginRun() {
        hasBegun = true
        if phase != .running {
            phase = .running
            isHeaderChanged = true
        }
        message = ""
        if startedAt == nil { startedAt = now }
        refreshDynamicGlobals()
        if let seconds = definition.spec.activeDeadlineSeconds, let startedAt, !isPastDeadline {
            timers.insert(.init(at: startedAt + .seconds(seconds), kind: .workflowDeadline, node: ""))
        }
        invokeEntry()
    }

    private mutating func invokeEntry() {
        var arguments = definition.spec.arguments
        for index in arguments.parameters.indices {
            let parameter = arguments.parameters[index]
            if case .text(let value) = globals["workflow.parameters.\(parameter.name)"] {
                arguments.parameters[index].value = value
            }
        }
        work.append(
            .invoke(
                Invocation(
                    nodeName: name, displayName: name, owner: nil, boundary: nil, parents: [],
                    reference: .name(definition.spec.entrypoint), scope: .workflow, arguments: arguments)))
    }

    /// The node that the entrypoint made, once it is fulfilled and settled.
    var settledEntry: Node? {
        guard let node = nodes[name], node.phase.isFulfilled, live[name] == nil else { return nil }
        return node
    }

    /// Ends the run when the entry node, the workflow's hooks and its exit handler have ended. May queue
    /// work, and is called again after it.
    mutating func finishIfDone() {
        guard !isFinished else { return }
        fireWorkflowHooks()
        guard work.isEmpty, let entry = settledEntry else { return }
        var (phase, message) = outcome(of: entry)
        if globals["workflow.failures"] == nil {
            noteFinalStatus(phase)
            fireWorkflowHooks()
        }
        // After Terminate it does not begin, but one that an earlier driver began must be ended.
        let hasExitHandler = shutdown != .terminate || nodes[nodeID("\(name).onExit")] != nil
        if hasExitHandler, !exitHandlerIsDone() { return }
        guard work.isEmpty, live.isEmpty, workflowHooks.values.allSatisfy(\.isSettled) else { return }
        if phase == .succeeded, let handler = nodes[nodeID("\(name).onExit")], handler.phase.isUnsuccessful {
            (phase, message) = (handler.phase, handler.message)
        }
        end(phase, message)
    }

    private func outcome(of entry: Node) -> (phase: Phase, message: String) {
        switch entry.phase {
        case .skipped, .omitted: return (.succeeded, "")
        case .failed, .error: return (entry.phase, shutdown == nil ? entry.message : shutdownText)
        default: return (entry.phase, entry.message)
        }
    }

    /// Why the run was shut down, as its status says it.
    var shutdownText: String {
        shutdownMessage ?? "Stopped with strategy '\(shutdown?.rawValue ?? "Stop")'"
    }

    private mutating func noteFinalStatus(_ phase: Phase) {
        globals["workflow.status"] = .text(phase.rawValue)
        // Without hooks and what is below them: a driver that begins later must see the same.
        let hooks = ["\(name).onExit", "\(name).hooks."]
        let failures = nodes.values.filter { node in
            node.phase.isUnsuccessful && !hooks.contains(where: node.name.hasPrefix)
        }.sorted { $0.sequence < $1.sequence }
        let list = failures.map { node -> JSONValue in
            .object([
                "displayName": .string(node.displayName), "message": .string(node.message),
                "templateName": .string(node.templateName), "phase": .string(node.phase.rawValue),
                "podName": .string(
                    Node.podName(workflow: name, nodeName: node.name, template: node.templateName)),
                "finishedAt": .string(node.finishedAt?.rfc3339 ?? ""),
            ])
        }
        globals["workflow.failures"] = .text(GoFormat.quote(JSONValue.array(list).compactText))
    }

    /// Whether nothing is awaited from the exit handler; starts it if it has not run.
    private mutating func exitHandlerIsDone() -> Bool {
        guard let hook = definition.spec.hooks["exit"] else { return true }
        let nodeName = "\(name).onExit"
        if let known = workflowHooks[nodeName] { return known.isSettled }
        if nodes[nodeID(nodeName)] == nil, let expression = hook.expression, !expression.isEmpty {
            guard (try? scope(for: nil).isTrue(expression)) == true else { return true }
        }
        workflowHooks[nodeName] = .init()
        invokeWorkflowHook(hook, nodeName: nodeName, isExitHandler: true)
        return false
    }

    mutating func invokeWorkflowHook(_ hook: LifecycleHook, nodeName: String, isExitHandler: Bool) {
        var invocation = Invocation(
            nodeName: nodeName, displayName: nodeName, owner: nil, boundary: nil, parents: [],
            reference: hook.reference, scope: .workflow, arguments: hook.arguments)
        invocation.isHook = true
        invocation.isExitHandler = isExitHandler
        if !isExitHandler { invocation.parents = nodes[name] == nil ? [] : [name] }
        do throws(SubstitutionError) {
            invocation.arguments = try resolvedArguments(hook.arguments, in: scope(for: nil), consumer: nil)
            work.append(.invoke(invocation))
        } catch {
            fail(invocation, .error, error.message)
        }
    }

    private mutating func end(_ phase: Phase, _ message: String) {
        self.phase = phase
        self.message = message
        finishedAt = now
        isHeaderChanged = true
        refreshDynamicGlobals()
        effects.append(.releaseLocks(Self.workflowLockID))
        if !definition.spec.metrics.isEmpty { effects.append(.emitMetrics("", definition.spec.metrics)) }
        collectGarbageAtEnd(phase)
        effects.append(.finished(phase))
    }

    /// What `podGC` and `artifactGC` ask for when a run ends.
    private mutating func collectGarbageAtEnd(_ phase: Phase) {
        let strategy = definition.spec.podGCStrategy
        if strategy == "OnWorkflowCompletion" || (strategy == "OnWorkflowSuccess" && phase == .succeeded) {
            for node in nodes.values where node.type == .pod { effects.append(.removeWorkingFiles(node.id)) }
        }
        for node in nodes.values {
            let doomed = node.outputs.artifacts.filter {
                ($0.garbageCollection ?? definition.spec.artifactGCStrategy) == "OnWorkflowCompletion"
                    && !$0.deleted
            }
            guard !doomed.isEmpty, node.type == .pod else { continue }
            effects.append(.deleteArtifacts(node.id, doomed))
            update(node.id) { node in
                node.outputs.artifacts = node.outputs.artifacts.map { artifact in
                    doomed.contains { $0.name == artifact.name }
                        ? artifact.with("deleted", .bool(true)) : artifact
                }
            }
        }
    }
}
