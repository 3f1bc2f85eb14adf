// A person's retry and resubmit: which nodes are made anew, and which keep what they did.

package import Text
import WorkflowLanguage

/// Why a retry or resubmit was refused.
package struct RefusedRequest: Error, Sendable, Equatable {
    package var message: String
    package init(_ message: String) { self.message = message }
}

/// What a manual retry is asked to do.
package struct RetryRequest: Sendable {
    /// Run matching nodes again although they succeeded.
    package var restartSuccessful: Bool
    package var selector: NodeSelector?
    package var parameters: [(name: String, value: String)]

    package init(
        restartSuccessful: Bool = false, selector: NodeSelector? = nil,
        parameters: [(name: String, value: String)] = []
    ) {
        self.restartSuccessful = restartSuccessful
        self.selector = selector
        self.parameters = parameters
    }
}

extension WorkflowState {
    /// The run made ready to go on: what failed is to be done again, what succeeded stays. Name and uid are
    /// kept.
    ///
    /// - Throws: `RefusedRequest` when the run has not failed.
    package func retried(_ request: RetryRequest, at now: Timestamp) throws(RefusedRequest) -> WorkflowState {
        switch phase {
        case .failed, .error: break
        case .succeeded:
            guard request.restartSuccessful, request.selector != nil else {
                throw RefusedRequest(
                    "workflow \(name) succeeded; retrying it needs --restart-successful and "
                        + "--node-field-selector to say which nodes run again")
            }
        default:
            throw RefusedRequest(
                "workflow \(name) has not ended (\(phase?.rawValue ?? "Pending")); stop it first")
        }
        let doomed = doomedNodes(request)
        let definition =
            request.parameters.isEmpty ? definition : definition.with(parameters: request.parameters)
        return restarted(definition, without: doomed, at: now, hasNewParameters: !request.parameters.isEmpty)
    }

    /// A copy in which some nodes are gone and all that encloses them goes on.
    private func restarted(
        _ definition: RunDefinition, without doomed: Set<NodeID>, at now: Timestamp, hasNewParameters: Bool
    ) -> WorkflowState {
        var kept = nodes.values.filter { !doomed.contains($0.id) }
        let open = reopened(without: doomed)
        for index in kept.indices {
            kept[index].children = []
            guard open.contains(kept[index].id) else { continue }
            // Inputs are kept with the node; those that came from a parameter must be given anew.
            if hasNewParameters { kept[index].inputs = Inputs() }
            kept[index].phase = .running
            kept[index].message = ""
            kept[index].finishedAt = nil
            kept[index].startedAt = now
            kept[index].outputs = Outputs()
        }
        var floor = attemptFloor
        for id in doomed { floor[id] = max(floor[id] ?? 0, (nodes[id]?.attempt ?? 0) + 1) }
        var state = WorkflowState(
            definition: definition, header: .object([:]), nodes: kept.sorted { $0.sequence < $1.sequence },
            at: now)
        state.metadata = metadata
        state.outputs = outputs
        state.attemptFloor = floor
        state.shutdown = nil
        state.isSuspended = false
        state.nextSequence = nextSequence
        state.removedNodes = doomed
        state.changedNodes = Set(state.nodes.keys.filter { state.nodes[$0] != nodes[$0] })
        state.isHeaderChanged = true
        return state
    }

    private func doomedNodes(_ request: RetryRequest) -> Set<NodeID> {
        var roots: [NodeID] = []
        let succeeded = nodesAboveSuccess()
        let history = earlierAttempts()
        for node in nodes.values where !history.contains(node.id) {
            if node.name == "\(name).onExit" || node.name.hasPrefix("\(name).hooks.") {
                roots.append(node.id)
            } else if let selector = request.selector, selector.matches(node),
                request.restartSuccessful || node.phase.isUnsuccessful
            {
                roots.append(node.id)
            } else if node.phase.isUnsuccessful, node.type.isExecutable || node.type == .skipped,
                !succeeded.contains(node.id)
            {
                roots.append(node.id)
            } else if node.phase == .omitted, phase != .succeeded {
                roots.append(node.id)
            } else if !request.parameters.isEmpty, isLoopItem(node), isInUnsuccessfulGroup(node) {
                // With other parameters a loop may expand otherwise.
                roots.append(node.id)
            }
        }
        return below(roots)
    }

    /// Nodes and everything below them. A composite node's own children include only the first of what is in
    /// it; the rest carry its id as boundary.
    private func below(_ roots: [NodeID]) -> Set<NodeID> {
        let inside = Dictionary(
            grouping: nodes.values.filter { $0.boundaryID != nil }, by: { $0.boundaryID ?? "" })
        var found: Set<NodeID> = []
        var pending = roots
        while let id = pending.popLast() {
            guard found.insert(id).inserted else { continue }
            pending += nodes[id]?.children ?? []
            pending += (inside[id] ?? []).map(\.id)
        }
        return found
    }

    /// What is in steps and dag attempts that another attempt followed: it stays as it is, as history. The
    /// work of the last attempt goes on. Attempts that are pods are all made anew.
    private func earlierAttempts() -> Set<NodeID> {
        let inside = Dictionary(
            grouping: nodes.values.filter { $0.boundaryID != nil }, by: { $0.boundaryID ?? "" })
        var found: Set<NodeID> = []
        var pending: [NodeID] = []
        for node in nodes.values where node.type == .retry {
            let attempts = node.children.filter { nodes[$0]?.isRetryAttempt == true }
            pending += attempts.dropLast().filter { nodes[$0]?.type.isExecutable == false }
        }
        while let id = pending.popLast() {
            guard found.insert(id).inserted else { continue }
            pending += (inside[id] ?? []).map(\.id)
        }
        return found
    }

    /// Groups and composite nodes that go on: those around what is made anew, and those that failed, which
    /// decide anew. With each goes what is around it, or nobody would look at it again.
    private func reopened(without doomed: Set<NodeID>) -> Set<NodeID> {
        let history = earlierAttempts()
        let failed = nodes.values.filter {
            $0.phase.isUnsuccessful && !$0.type.isExecutable && $0.type != .skipped
                && !history.contains($0.id)
                && !doomed.contains($0.id)
        }.map(\.id)
        return enclosing(doomed.union(failed)).union(failed).subtracting(doomed)
    }

    private func isLoopItem(_ node: Node) -> Bool {
        node.parents.contains { nodes[$0]?.type == .taskGroup }
            || (node.displayName.hasSuffix(")") && node.parents.contains { nodes[$0]?.type == .stepGroup })
    }

    private func isInUnsuccessfulGroup(_ node: Node) -> Bool {
        node.parents.contains { nodes[$0]?.phase.isUnsuccessful == true }
    }

    /// Nodes that something which succeeded hangs under; hooks do not count.
    private func nodesAboveSuccess() -> Set<NodeID> {
        var above: Set<NodeID> = []
        var pending = nodes.values.filter { $0.phase == .succeeded && $0.type.isExecutable && !$0.isHook }
            .flatMap(\.parents)
        while let id = pending.popLast() {
            guard above.insert(id).inserted else { continue }
            pending += nodes[id]?.parents ?? []
        }
        return above
    }

    /// The groups and composite nodes around some nodes.
    private func enclosing(_ ids: Set<NodeID>) -> Set<NodeID> {
        var open: Set<NodeID> = []
        var pending = Array(ids)
        while let id = pending.popLast() {
            guard let node = nodes[id] else { continue }
            var around = node.parents.filter {
                guard let type = nodes[$0]?.type else { return false }
                return type == .stepGroup || type == .taskGroup || type == .retry
            }
            if let boundary = node.boundaryID { around.append(boundary) }
            // A hook is called again by whoever looks at the node that it watches.
            if node.isHook { pending += node.parents.filter { nodes[$0]?.type.isExecutable == true } }
            for id in around where open.insert(id).inserted { pending.append(id) }
        }
        return open
    }

    /// A new run of the same definition that takes over what this one did well: `resubmit --memoized`.
    ///
    /// - Throws: `RefusedRequest` unless this run failed.
    package func resubmitted(as definition: RunDefinition, at now: Timestamp) throws(RefusedRequest)
        -> WorkflowState
    {
        guard phase == .failed || phase == .error else {
            throw RefusedRequest(
                "workflow \(name) is \(phase?.rawValue ?? "Pending"); --memoized takes over the finished part of a "
                    + "Failed or Error workflow")
        }
        let doomed = doomedNodes(RetryRequest())
        let open = reopened(without: doomed)
        let names = idsOfNodes(renamedAfter: definition.name)
        let kept = nodes.values.filter { !doomed.contains($0.id) }.sorted { $0.sequence < $1.sequence }
            .map { node -> Node in
                var copy = takenOver(node, by: definition.name, names)
                guard open.contains(node.id) else { return copy }
                copy.phase = .running
                copy.message = ""
                copy.finishedAt = nil
                copy.startedAt = now
                return copy
            }
        var state = WorkflowState(definition: definition, header: .object([:]), nodes: kept, at: now)
        state.metadata = definition.metadata
        state.outputs = outputs
        state.shutdown = nil
        state.isSuspended = false
        state.nextSequence = nextSequence
        state.changedNodes = Set(state.nodes.keys)
        state.isHeaderChanged = true
        return state
    }

    /// The ids that the nodes have in a workflow of another name.
    private func idsOfNodes(renamedAfter workflow: String) -> [NodeID: NodeID] {
        var names: [NodeID: NodeID] = [:]
        var taken: Set<NodeID> = []
        for node in nodes.values.sorted(by: { $0.sequence < $1.sequence }) {
            let renamed = workflow + node.name.dropFirst(name.count)
            var probe = 0
            while taken.contains(Node.id(workflow: workflow, nodeName: renamed, probe: probe)) { probe += 1 }
            let id = Node.id(workflow: workflow, nodeName: renamed, probe: probe)
            taken.insert(id)
            names[node.id] = id
        }
        return names
    }

    /// A node under its name in another workflow; work that was done well stands as skipped there.
    private func takenOver(_ node: Node, by workflow: String, _ names: [NodeID: NodeID]) -> Node {
        var copy = node
        copy.id = names[node.id] ?? node.id
        copy.name = workflow + node.name.dropFirst(name.count)
        if node.id == name { copy.displayName = workflow }
        copy.parents = node.parents.compactMap { names[$0] }
        copy.children = []
        copy.outboundNodes = node.outboundNodes.compactMap { names[$0] }
        copy.boundaryID = node.boundaryID.flatMap { names[$0] }
        if node.type == .pod, node.phase == .succeeded {
            copy.type = .skipped
            copy.phase = .skipped
            copy.message = "original pod: \(node.id)"
        }
        return copy
    }
}
