// DAG templates: a task starts when all that it depends on is settled.

import Text
import WorkflowLanguage

extension WorkflowState {
    mutating func beginDAG(_ id: NodeID, _ dag: DAG) {
        guard let entry = live[id] else { return }
        if nodes[id]?.phase == .pending { update(id) { $0.phase = .running } }
        var frame = DAGFrame()
        do throws(ExpressionError) {
            for task in dag.tasks { frame.tasks[task.name] = try Self.taskState(task) }
        } catch {
            finish(id, .error, error.message)
            return
        }
        frame.targets = Self.targets(dag, frame)
        if let unknown = frame.targets.first(where: { frame.tasks[$0] == nil }) {
            finish(id, .error, "target \"\(unknown)\" is not a task of the DAG")
            return
        }
        let needed = Self.needed(frame)
        frame.tasks = frame.tasks.filter { needed.contains($0.key) }
        for task in dag.tasks where needed.contains(task.name) {
            for dependency in Set(frame.tasks[task.name]?.dependencies ?? []) {
                frame.tasks[dependency]?.dependents.append(task.name)
            }
        }
        frame.remaining = frame.tasks.count
        live[id]?.dag = frame
        beginBoundary(id, entry.template)
        fireHooks(of: id)
        for task in dag.tasks where frame.tasks[task.name]?.waitingFor == 0 {
            work.append(.startTask(dag: id, name: task.name))
        }
        if frame.remaining == 0 { finishDAG(id) }
    }

    private static func taskState(_ task: DAGTask) throws(ExpressionError) -> DAGFrame.TaskState {
        if let text = task.depends, !text.trimmed.isEmpty {
            let depends = try DependsExpression(text)
            var names: [String] = []
            for name in depends.taskNames where !names.contains(name) { names.append(name) }
            return .init(task: task, depends: depends, dependencies: names, waitingFor: names.count)
        }
        var names: [String] = []
        for name in task.dependencies where !names.contains(name) { names.append(name) }
        return .init(task: task, depends: nil, dependencies: names, waitingFor: names.count)
    }

    private static func targets(_ dag: DAG, _ frame: DAGFrame) -> [String] {
        if let target = dag.target?.trimmed, !target.isEmpty {
            return target.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" }).map(String.init)
        }
        var depended: Set<String> = []
        for state in frame.tasks.values { depended.formUnion(state.dependencies) }
        return dag.tasks.map(\.name).filter { !depended.contains($0) }
    }

    private static func needed(_ frame: DAGFrame) -> Set<String> {
        var needed: Set<String> = []
        var pending = frame.targets
        while let name = pending.popLast() {
            guard needed.insert(name).inserted else { continue }
            pending += frame.tasks[name]?.dependencies ?? []
        }
        return needed
    }

    // MARK: Tasks

    /// Starts a task whose dependencies are all settled.
    mutating func startTask(_ taskName: String, of id: NodeID) {
        guard let state = live[id]?.dag?.tasks[taskName], !state.isStarted, let dagNode = nodes[id],
            !dagNode.phase.isFulfilled
        else { return }
        // Before a copy of the frame is taken below: changing it after that would copy all its tasks.
        live[id]?.dag?.tasks[taskName]?.isStarted = true
        guard let entry = live[id] else { return }
        let nodeName = "\(dagNode.name).\(taskName)"
        let parents =
            state.dependencies.isEmpty
            ? [id] : state.dependencies.flatMap { outbound(of: nodeID("\(dagNode.name).\($0)")) }
        let plain = ExpandedStep(name: taskName, stepName: taskName, step: state.task.step, ending: nil)
        var call = Call(
            invocation: invocation(
                plain, nodeName: nodeName, owner: id, boundary: id, parents: parents, entry), ending: nil)
        do throws(SubstitutionError) {
            guard try dependsHolds(state, of: id) else {
                call.ending = (.omitted, "omitted: depends condition not met")
                work.append(.conclude(call))
                return
            }
            let expanded = try expand(state.task.step, frame: id)
            if state.task.step.loop != nil, !(expanded.count == 1 && expanded[0].name == taskName) {
                startTaskGroup(call.invocation, expanded, entry, dag: id)
            } else if let only = expanded.first {
                call = Call(
                    invocation: invocation(
                        only, nodeName: nodeName, owner: id, boundary: id, parents: parents, entry),
                    ending: only.ending)
                work.append(.conclude(call))
            }
        } catch {
            fail(call.invocation, .error, error.message)
        }
    }

    private mutating func startTaskGroup(
        _ invocation: Invocation, _ items: [ExpandedStep], _ entry: LiveNode, dag: NodeID
    ) {
        let id = nodeID(invocation.nodeName)
        var node = Node(
            id: id, name: invocation.nodeName, displayName: invocation.displayName, type: .taskGroup,
            phase: .running)
        node.boundaryID = dag
        node.parents = invocation.parents
        if case .name(let name) = invocation.reference { node.templateName = name }
        node.templateScope = nodes[dag]?.templateScope ?? ""
        node.startedAt = now
        addNode(node)
        var own = invocation
        own.hooks = [:]
        live[id] = LiveNode(invocation: own, template: Template(.object([:])), scope: entry.scope)
        live[id]?.group = GroupFrame(remaining: items.count)
        if nodes[id]?.phase.isFulfilled == true {
            work.append(.settled(id))
            return
        }
        for item in items {
            let nodeName = "\(nodes[dag]?.name ?? "").\(item.name)"
            let call = Call(
                invocation: self.invocation(
                    item, nodeName: nodeName, owner: id, boundary: dag, parents: [id], entry),
                ending: item.ending)
            work.append(.conclude(call))
        }
    }

    private func dependsHolds(_ state: DAGFrame.TaskState, of id: NodeID) throws(SubstitutionError) -> Bool {
        guard let depends = state.depends else {
            return state.dependencies.allSatisfy { holds($0, nil, of: id) }
        }
        do throws(ExpressionError) {
            return try depends.evaluate { holds($0, $1, of: id) }
        } catch {
            throw .expression(source: state.task.depends ?? "", message: error.message)
        }
    }

    private func holds(_ task: String, _ result: TaskResult?, of id: NodeID) -> Bool {
        guard let dag = nodes[id], let node = nodes[nodeID("\(dag.name).\(task)")] else { return false }
        guard let result else {
            let step = live[id]?.dag?.tasks[task]?.task.step
            return node.phase == .succeeded || node.phase == .skipped
                || (node.isDaemoned && node.phase != .pending)
                || (node.phase == .failed && step?.continueOnFailed == true)
                || (node.phase == .error && step?.continueOnError == true)
        }
        let items =
            node.type == .taskGroup ? node.children.compactMap { nodes[$0] }.filter { !$0.isHook } : []
        switch result {
        case .succeeded: return node.phase == .succeeded
        case .failed: return node.phase == .failed
        case .errored: return node.phase == .error
        case .skipped: return node.phase == .skipped
        case .omitted: return node.phase == .omitted
        case .daemoned: return node.isDaemoned && node.phase != .pending
        case .anySucceeded: return items.contains { $0.phase == .succeeded }
        case .allFailed: return !items.isEmpty && items.allSatisfy { $0.phase == .failed }
        }
    }

    /// A task is settled: those that waited for it only may start.
    mutating func taskSettled(_ taskName: String, _ node: Node, dag id: NodeID) {
        guard let state = live[id]?.dag?.tasks[taskName], !state.isSettled else { return }
        live[id]?.dag?.tasks[taskName]?.isSettled = true
        live[id]?.dag?.remaining -= 1
        for dependent in state.dependents {
            live[id]?.dag?.tasks[dependent]?.waitingFor -= 1
            if live[id]?.dag?.tasks[dependent]?.waitingFor == 0 {
                work.append(.startTask(dag: id, name: dependent))
            }
        }
        if live[id]?.dag?.remaining == 0 { finishDAG(id) }
    }

    // MARK: The end

    private mutating func finishDAG(_ id: NodeID) {
        guard let frame = live[id]?.dag, let node = nodes[id] else { return }
        let ends = frame.targets.flatMap { outbound(of: nodeID("\(node.name).\($0)")) }
        update(id) { $0.outboundNodes = ends }
        var branches: [String: Phase] = [:]
        for target in frame.targets {
            let phase = branchPhase(target, frame, node.name, &branches)
            guard phase.isUnsuccessful else { continue }
            let step = frame.tasks[target]?.task.step
            if phase == .failed, step?.continueOnFailed == true { continue }
            if phase == .error, step?.continueOnError == true { continue }
            finish(id, phase)
            return
        }
        finishComposite(id)
    }

    /// The phase of a task, or for one that was omitted or skipped the worst of what it depends on. Written
    /// as a loop over an explicit stack: a chain may be 100,000 tasks deep.
    private func branchPhase(
        _ task: String, _ frame: DAGFrame, _ dagName: String, _ known: inout [String: Phase]
    ) -> Phase {
        var stack = [task]
        while let current = stack.last {
            if known[current] != nil {
                stack.removeLast()
                continue
            }
            let node = nodes[nodeID("\(dagName).\(current)")]
            let state = frame.tasks[current]
            if let node, node.phase.isCompleted || node.isDaemoned {
                known[current] = node.isDaemoned ? .succeeded : node.phase
                continue
            }
            let dependencies = state?.dependencies ?? []
            let unknown = dependencies.filter { known[$0] == nil }
            if !unknown.isEmpty {
                stack += unknown
                continue
            }
            // As in Argo, a failure goes on to what was skipped after it even where `continueOn` let that be
            // looked at.
            known[current] =
                dependencies.compactMap { known[$0] }.first(where: \.isUnsuccessful) ?? .succeeded
        }
        return known[task] ?? .succeeded
    }
}
