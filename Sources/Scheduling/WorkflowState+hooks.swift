// Lifecycle hooks: templates called when a node or the workflow reaches a state.

import Text
import WorkflowLanguage

extension WorkflowState {
    func hookNodeName(_ parent: String, _ hook: String) -> String {
        hook == "exit" ? "\(parent).onExit" : "\(parent).hooks.\(hook)"
    }

    /// Fires the hooks of a node whose condition holds now, each at most once; the exit hook when it
    /// completed.
    mutating func fireHooks(of id: NodeID) {
        guard let entry = live[id], let node = nodes[id], !entry.invocation.hooks.isEmpty else { return }
        for (name, hook) in entry.invocation.hooks.sorted(by: { $0.key < $1.key })
        where entry.hooks[name] == nil {
            let isExit = name == "exit"
            if isExit {
                guard node.phase.isCompleted, shutdown != .terminate else { continue }
            } else if hook.expression == nil || hook.expression == "" {
                continue
            }
            do throws(SubstitutionError) {
                guard try isDue(hook, of: node, entry.invocation) else { continue }
                fire(name, hook, on: node, arguments: try hookArguments(hook, node, entry.invocation), isExit)
            } catch {
                failHook(id, name, error.message)
            }
        }
    }

    private func isDue(_ hook: LifecycleHook, of node: Node, _ invocation: Invocation)
        throws(SubstitutionError) -> Bool
    {
        guard let source = hook.expression, !source.isEmpty else { return true }
        let scope = hookScope(node, invocation, TagReferences(expression: source))
        do throws(ExpressionError) {
            return try scope.isTrue(source)
        } catch {
            // A condition over something that is not there yet does not hold yet.
            if node.phase.isFulfilled { throw .expression(source: source, message: error.message) }
            return false
        }
    }

    private func hookArguments(_ hook: LifecycleHook, _ node: Node, _ invocation: Invocation)
        throws(SubstitutionError) -> Arguments
    {
        let scope = hookScope(node, invocation, TagReferences(in: hook.arguments.json))
        return try resolvedArguments(hook.arguments, in: scope, consumer: (hook.reference, invocation.scope))
    }

    /// What a hook's text may use: what the step's own text may, and the step itself.
    private func hookScope(_ node: Node, _ invocation: Invocation, _ references: TagReferences)
        -> VariableScope
    {
        guard let boundary = invocation.boundary, let frame = live[boundary] else { return scope(for: nil) }
        var scope = stepScope(boundary, references)
        let prefix = frame.dag == nil ? "steps" : "tasks"
        // The step itself wins over the loop that it is an item of.
        for (key, value) in entries(of: node) {
            scope.entries["\(prefix).\(invocation.stepName).\(key)"] = value
        }
        return scope
    }

    private mutating func fire(
        _ name: String, _ hook: LifecycleHook, on node: Node, arguments: Arguments, _ isExit: Bool
    ) {
        guard let entry = live[node.id] else { return }
        live[node.id]?.hooks[name] = .init()
        let nodeName = hookNodeName(node.name, name)
        var invocation = Invocation(
            nodeName: nodeName, displayName: Self.hookDisplayName(entry.invocation.displayName, name),
            owner: node.id, boundary: entry.invocation.boundary, parents: [node.id],
            reference: hook.reference,
            scope: entry.invocation.scope, arguments: arguments)
        invocation.isHook = true
        invocation.stepName = name
        invocation.isExitHandler = entry.invocation.isExitHandler || isExit
        work.append(.invoke(invocation))
    }

    private static func hookDisplayName(_ parent: String, _ hook: String) -> String {
        hook == "exit" ? "\(parent).onExit" : "\(parent).hooks.\(hook)"
    }

    /// A hook that could not be called ends the step in Error.
    private mutating func failHook(_ id: NodeID, _ name: String, _ message: String) {
        live[id]?.hooks[name] = .init(isSettled: true)
        let text = "hook \(name): \(message)"
        if nodes[id]?.phase.isFulfilled == true {
            update(id) {
                $0.phase = .error
                $0.message = text
            }
        } else {
            // Its work goes on, and is not to be left alone.
            live[id]?.hookFailure = text
        }
    }

    mutating func hookSettled(_ hook: Node, owner: NodeID) {
        guard let parent = nodes[owner], let entry = live[owner] else { return }
        for name in entry.hooks.keys where hookNodeName(parent.name, name) == hook.name {
            live[owner]?.hooks[name]?.isSettled = true
        }
        work.append(.settled(owner))
    }

    /// A node that an earlier driver made: the hooks that it fired are taken up again.
    mutating func resumeHooks(of id: NodeID) {
        guard let entry = live[id], let node = nodes[id] else { return }
        for (name, hook) in entry.invocation.hooks.sorted(by: { $0.key < $1.key })
        where nodes[nodeID(hookNodeName(node.name, name))] != nil {
            // The node has its inputs already.
            fire(name, hook, on: node, arguments: Arguments(), name == "exit")
        }
        if node.phase.isFulfilled { fireHooks(of: id) }
    }

    // MARK: The workflow's own hooks

    /// Fires the workflow's hooks whose condition holds now.
    mutating func fireWorkflowHooks() {
        guard startedAt != nil else { return }
        for (name, hook) in definition.spec.hooks.sorted(by: { $0.key < $1.key }) where name != "exit" {
            let nodeName = "\(self.name).hooks.\(name)"
            guard workflowHooks[nodeName] == nil, let source = hook.expression, !source.isEmpty,
                nodes[nodeID(nodeName)] != nil
                    || (shutdown != .terminate && (try? scope(for: nil).isTrue(source)) == true)
            else { continue }
            workflowHooks[nodeName] = .init()
            invokeWorkflowHook(hook, nodeName: nodeName, isExitHandler: false)
        }
    }
}
