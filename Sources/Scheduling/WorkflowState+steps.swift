// Steps templates: groups one after another, the steps of a group together.

import Text
import WorkflowLanguage

extension WorkflowState {
    mutating func beginSteps(_ id: NodeID, _ groups: [[Step]]) {
        guard let entry = live[id] else { return }
        if nodes[id]?.phase == .pending { update(id) { $0.phase = .running } }
        live[id]?.steps = StepsFrame(groups: groups)
        beginBoundary(id, entry.template)
        fireHooks(of: id)
        work.append(.startGroup(id))
    }

    /// Notes the limits that a steps or dag template puts on its children.
    mutating func beginBoundary(_ id: NodeID, _ template: Template) {
        let before = inherited[id] ?? (0, 0, [])
        live[id]?.daemons = before.daemons
        live[id]?.boundary = BoundaryFrame(
            limits: .init(
                parallelism: template.parallelism, failFast: template.failFast, active: before.active,
                unsuccessful: before.unsuccessful))
        live[id]?.mentionsResults = template.raw.mentionsResults
    }

    /// Starts the next group, or ends the node after the last.
    mutating func startNextGroup(of id: NodeID) {
        guard var frame = live[id]?.steps, let node = nodes[id], !node.phase.isFulfilled else { return }
        frame.current += 1
        live[id]?.steps = frame
        guard frame.current < frame.groups.count else {
            finishSteps(id)
            return
        }
        let index = frame.current
        let group = addGroupNode(
            "\(node.name)[\(index)]", displayName: "[\(index)]", type: .stepGroup, id, index)
        if let existing = nodes[group], existing.phase.isFulfilled {
            live[group] = nil
            groupSettled(existing, owner: id)
            return
        }
        startSteps(frame.groups[index], of: group, frame: id)
    }

    private mutating func addGroupNode(
        _ groupName: String, displayName: String, type: NodeType, _ owner: NodeID, _ index: Int
    ) -> NodeID {
        let id = nodeID(groupName)
        let entry = live[owner]
        var node = Node(id: id, name: groupName, displayName: displayName, type: type, phase: .running)
        node.boundaryID = owner
        node.templateScope = nodes[owner]?.templateScope ?? ""
        node.startedAt = now
        node.parents =
            index == 0 ? [owner] : outbound(ofGroup: nodeID("\(nodes[owner]?.name ?? "")[\(index - 1)]"))
        addNode(node)
        var invocation = Invocation(
            nodeName: groupName, displayName: displayName, owner: owner, boundary: owner,
            parents: node.parents,
            reference: .missing, scope: entry?.scope ?? .workflow, arguments: Arguments())
        invocation.isExitHandler = entry?.invocation.isExitHandler ?? false
        live[id] = LiveNode(
            invocation: invocation, template: Template(.object([:])), scope: entry?.scope ?? .workflow)
        live[id]?.group = GroupFrame()
        return id
    }

    private mutating func startSteps(_ steps: [Step], of group: NodeID, frame: NodeID) {
        guard let groupName = nodes[group]?.name, let entry = live[frame] else { return }
        var calls: [Call] = []
        for step in steps {
            do throws(SubstitutionError) {
                calls += try expand(step, frame: frame).map { expanded in
                    Call(
                        invocation: invocation(
                            expanded, nodeName: "\(groupName).\(expanded.name)", owner: group,
                            boundary: frame,
                            parents: [group], entry), ending: expanded.ending)
                }
            } catch {
                finish(group, .error, error.message)
                return
            }
        }
        live[group]?.group?.remaining = calls.count
        for call in calls { work.append(.conclude(call)) }
        if calls.isEmpty { finish(group, .succeeded) }
    }

    /// A child that is about to be made: called, or ended at once.
    struct Call {
        var invocation: Invocation
        var ending: (phase: Phase, message: String)?
    }

    /// Makes a child; those of a group go through the queue, so that they come to be in their order.
    mutating func conclude(_ call: Call) {
        let id = nodeID(call.invocation.nodeName)
        // What an earlier driver has begun goes on, even if its condition, which may ask for the time, no
        // longer holds.
        guard let ending = call.ending, nodes[id]?.phase.isFulfilled ?? true else {
            invoke(call.invocation)
            return
        }
        var node = Node(
            id: id, name: call.invocation.nodeName, displayName: call.invocation.displayName, type: .skipped,
            phase: .pending)
        node.boundaryID = call.invocation.boundary
        node.parents = call.invocation.parents
        node.startedAt = now
        if case .name(let name) = call.invocation.reference { node.templateName = name }
        node.templateScope = Self.text(of: call.invocation.scope, workflow: name)
        addNode(node)
        if live[id] == nil {
            live[id] = LiveNode(
                invocation: call.invocation, template: Template(.object([:])), scope: call.invocation.scope)
        }
        if let known = nodes[id], known.phase.isFulfilled {
            resumeHooks(of: id)
            work.append(.settled(id))
        } else {
            finish(id, ending.phase, ending.message)
        }
    }

    func invocation(
        _ expanded: ExpandedStep, nodeName: String, owner: NodeID, boundary: NodeID, parents: [NodeID],
        _ entry: LiveNode
    ) -> Invocation {
        var invocation = Invocation(
            nodeName: nodeName, displayName: expanded.name, owner: owner, boundary: boundary,
            parents: parents,
            reference: expanded.step.reference, scope: entry.scope, arguments: expanded.step.arguments)
        invocation.hooks = expanded.step.hooks
        invocation.stepName = expanded.stepName
        invocation.continueOnError = expanded.step.continueOnError
        invocation.continueOnFailed = expanded.step.continueOnFailed
        invocation.isExitHandler = entry.invocation.isExitHandler
        invocation.depth = entry.invocation.depth + 1
        return invocation
    }

    // MARK: Ends

    /// One child of a group is settled; the group ends with its last.
    mutating func groupChildSettled(_ child: Node, _ invocation: Invocation, group: NodeID) {
        guard var frame = live[group]?.group, frame.remaining > 0 else { return }
        frame.remaining -= 1
        let isTaskGroup = nodes[group]?.type == .taskGroup
        if child.phase.isUnsuccessful, isTaskGroup || !invocation.continues(on: child.phase) {
            if frame.firstFailure.map({ child.sequence < $0.sequence }) ?? true {
                frame.firstFailure = (child.sequence, child.id, child.phase)
            }
        }
        live[group]?.group = frame
        guard frame.remaining == 0 else { return }
        guard let failure = frame.firstFailure else {
            finish(group, .succeeded)
            return
        }
        if isTaskGroup {
            finish(group, failure.phase)
        } else {
            finish(group, .failed, "child '\(failure.id)' failed")
        }
    }

    /// A group of a steps node has ended.
    mutating func groupSettled(_ group: Node, owner: NodeID) {
        if group.phase.isUnsuccessful {
            finishOutbound(owner)
            finish(owner, .failed, group.message)
        } else {
            work.append(.startGroup(owner))
        }
    }

    private mutating func finishSteps(_ id: NodeID) {
        finishOutbound(id)
        finishComposite(id)
    }

    private mutating func finishOutbound(_ id: NodeID) {
        guard let node = nodes[id], let frame = live[id]?.steps, !frame.groups.isEmpty else { return }
        let last = min(frame.current, frame.groups.count - 1)
        guard last >= 0 else { return }
        let ends = outbound(ofGroup: nodeID("\(node.name)[\(last)]"))
        update(id) { $0.outboundNodes = ends }
    }

    /// The nodes that what comes after a step group hangs under.
    func outbound(ofGroup id: NodeID) -> [NodeID] {
        guard let group = nodes[id] else { return [] }
        let direct = group.children.filter {
            nodes[$0]?.boundaryID == group.boundaryID && nodes[$0]?.isHook != true
        }
        return direct.isEmpty ? [id] : direct.flatMap(outbound(of:))
    }

    /// The nodes that what comes after a node hangs under.
    func outbound(of id: NodeID) -> [NodeID] {
        guard let node = nodes[id] else { return [] }
        switch node.type {
        case .pod, .http, .plugin, .suspend, .skipped, .container: return [id]
        case .retry:
            let attempts = node.children.filter { nodes[$0]?.isRetryAttempt == true }
            return attempts.last.map(outbound(of:)) ?? [id]
        case .taskGroup:
            let items = node.children.filter { nodes[$0]?.isHook != true }
            return items.isEmpty ? [id] : items.flatMap(outbound(of:))
        case .stepGroup: return outbound(ofGroup: id)
        case .steps, .dag: return node.outboundNodes.isEmpty ? [id] : node.outboundNodes
        }
    }
}

extension JSONValue {
    /// Whether any text in the value mentions the result of a step.
    var mentionsResults: Bool { mentions("result") }

    /// Whether any text in the value contains a word.
    func mentions(_ word: String) -> Bool {
        switch self {
        case .string(let text): return text.hasBytes(of: word)
        case .array(let elements): return elements.contains { $0.mentions(word) }
        case .object(let members): return members.values.contains { $0.mentions(word) }
        default: return false
        }
    }
}

extension String {
    /// Whether a word's bytes stand in the text. The library's `contains` looks at characters, and needs a third of a
    /// millisecond to get going.
    fileprivate func hasBytes(of word: String) -> Bool {
        let (text, word) = (Array(utf8), Array(word.utf8))
        guard let first = word.first else { return true }
        guard text.count >= word.count else { return false }
        return (0...(text.count - word.count)).contains {
            text[$0] == first && text[$0..<($0 + word.count)].elementsEqual(word)
        }
    }
}
