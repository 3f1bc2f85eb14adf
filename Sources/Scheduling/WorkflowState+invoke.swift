// Calling a template: finding it, giving it its inputs, and the gates before its work begins.

import Text
import WorkflowLanguage

/// Why a template could not be called.
struct CallError: Error {
    var message: String
}

extension WorkflowState {
    /// How deep templates may call each other, as in Argo: what goes further has lost its way.
    package static var depthLimit: Int { 100 }

    /// Calls a template. The node may be there already, made before the last driver ended.
    mutating func invoke(_ invocation: Invocation) {
        let id = nodeID(invocation.nodeName)
        guard live[id] == nil else { return }
        let existing = nodes[id]
        if existing == nil {
            if isHeldBack(invocation) {
                held.append(.invoke(invocation))
                return
            }
            guard passesBoundary(invocation) else { return }
        }
        guard invocation.depth <= Self.depthLimit else {
            fail(
                invocation, .error,
                "maximum recursion depth exceeded: templates call each other more than \(Self.depthLimit) levels deep"
            )
            return
        }
        guard let resolved = templates.resolve(invocation.reference, from: invocation.scope) else {
            fail(invocation, .error, "template \(Self.text(of: invocation.reference)) is not defined")
            return
        }
        do throws(CallError) {
            let template = try processed(resolved, invocation, inputs: existing?.inputs)
            var entry = LiveNode(invocation: invocation, template: template, scope: resolved.scope)
            entry.holdsBoundarySlot = takesBoundarySlot(invocation, existing)
            addNode(newNode(id, invocation, resolved, template))
            live[id] = entry
        } catch {
            fail(invocation, .error, error.message)
            return
        }
        if existing != nil { resumeHooks(of: id) }
        if let existing, existing.phase.isFulfilled {
            work.append(.settled(id))
        } else {
            proceed(id)
        }
    }

    /// Whether nothing new begins because a person has suspended the run. What is to end must not wait for
    /// that.
    func isHeldBack(_ invocation: Invocation) -> Bool {
        isSuspended && shutdown == nil && !isBlockedByShutdown(invocation)
    }

    private func newNode(
        _ id: NodeID, _ invocation: Invocation, _ resolved: ResolvedTemplate, _ template: Template
    ) -> Node {
        let type = template.retryStrategy != nil ? NodeType.retry : Self.nodeType(of: template)
        let display = template.annotations["workflows.argoproj.io/display-name"] ?? invocation.displayName
        var node = Node(id: id, name: invocation.nodeName, displayName: display, type: type, phase: .pending)
        node.boundaryID = invocation.boundary
        node.parents = invocation.parents
        node.templateName = resolved.reference == nil ? resolved.name : ""
        node.templateRef = resolved.reference
        node.templateScope = Self.text(of: resolved.scope, workflow: name)
        node.startedAt = now
        node.inputs = template.inputs
        node.isHook = invocation.isHook
        return node
    }

    /// Makes a node that has ended before its work began.
    mutating func fail(_ invocation: Invocation, _ phase: Phase, _ message: String) {
        let id = nodeID(invocation.nodeName)
        if nodes[id] == nil {
            var node = Node(
                id: id, name: invocation.nodeName, displayName: invocation.displayName, type: .skipped,
                phase: .pending)
            node.boundaryID = invocation.boundary
            node.parents = invocation.parents
            node.isHook = invocation.isHook
            node.startedAt = now
            if case .name(let name) = invocation.reference { node.templateName = name }
            addNode(node)
        }
        if live[id] == nil {
            live[id] = LiveNode(invocation: invocation, template: Template(.object([:])), scope: .workflow)
        }
        if nodes[id]?.phase.isFulfilled == true {
            // An earlier driver came to the same end.
            resumeHooks(of: id)
            work.append(.settled(id))
            return
        }
        if phase.isUnsuccessful, !invocation.isHook, let boundary = invocation.boundary {
            live[boundary]?.boundary?.limits.unsuccessful += 1
        }
        finish(id, phase, message)
    }

    // MARK: Inputs

    /// The template with inputs given and tags replaced, as far as they are known now.
    /// - Parameter stored: the inputs that the node was made with by an earlier driver. What they came from may have
    ///   changed since, and the same attempt must not be launched with others.
    func processed(_ resolved: ResolvedTemplate, _ invocation: Invocation, inputs stored: Inputs?)
        throws(CallError) -> Template
    {
        var template = resolved.template
        if case .martlet(let step) = template.kind {
            // What a step of ours reads need not be declared.
            let contract = MartletStepContract(step.kind)
            template.inputs.artifacts += invocation.arguments.artifacts.filter {
                template.inputs.artifact($0.name) == nil && contract.takes($0.name)
            }.map { Artifact(name: $0.name) }
        }
        guard resolved.hasTags || !template.inputs.isEmpty else { return template }
        let locals = localEntries(resolved, invocation)
        let outer = VariableScope(base: globals, entries: locals, context: context)
        let kept = stored.flatMap { $0.isEmpty ? nil : $0 }
        let inputs = if let kept { kept } else { try suppliedInputs(template, invocation.arguments, outer) }
        if resolved.hasTags {
            template.inputs = inputs
            var scope = outer
            scope.entries.merge(inputEntries(template)) { $1 }
            do throws(SubstitutionError) {
                template = Template(try scope.replace(in: template.raw))
            } catch {
                throw CallError(message: error.message)
            }
        }
        var given = inputs
        for index in given.artifacts.indices where kept == nil {
            // Paths and modes may have held tags; locations came from the caller.
            let name = given.artifacts[index].name
            guard let declared = template.inputs.artifact(name) else { continue }
            guard let argument = invocation.arguments.artifact(name), argument.location != nil else {
                given.artifacts[index] = declared
                continue
            }
            given.artifacts[index] = declared.located(as: argument)
            if let subPath = argument.subPath {
                given.artifacts[index] = given.artifacts[index].with("subPath", .string(subPath))
            }
        }
        template.inputs = given
        return template
    }

    private func localEntries(_ resolved: ResolvedTemplate, _ invocation: Invocation) -> [String: ScopeEntry]
    {
        var entries: [String: ScopeEntry] = [:]
        entries["node.name"] = .text(invocation.nodeName)
        entries["pod.name"] = .text(
            Node.podName(workflow: name, nodeName: invocation.nodeName, template: resolved.name))
        if let boundary = invocation.boundary, let node = nodes[boundary] {
            entries[node.type == .dag ? "tasks.name" : "steps.name"] = .text(invocation.stepName)
        }
        return entries
    }

    /// The inputs with values: arguments first, then what the declaration says.
    private func suppliedInputs(_ template: Template, _ arguments: Arguments, _ scope: VariableScope)
        throws(CallError) -> Inputs
    {
        var inputs = template.inputs
        var defaulted: [Int] = []
        for index in inputs.parameters.indices {
            var parameter = inputs.parameters[index]
            let argument = arguments.parameter(parameter.name)
            var value = argument?.valueOrDefault ?? argument.flatMap(configMapValue)
            if value == nil, let own = parameter.value ?? configMapValue(parameter) ?? parameter.default {
                value = (try? scope.replace(in: own)) ?? own
                defaulted.append(index)
            }
            guard let value else {
                throw CallError(message: "inputs.parameters.\(parameter.name) was not supplied")
            }
            if let allowed = parameter.enum, !allowed.isEmpty, !allowed.contains(value), !Tag.isIn(value) {
                throw CallError(
                    message: "inputs.parameters.\(parameter.name): \"\(value)\" is not one of "
                        + allowed.joined(separator: ", "))
            }
            parameter.value = value
            parameter.valueFrom = nil
            inputs.parameters[index] = parameter
        }
        resolveDefaults(defaulted, &inputs, scope)
        for index in inputs.artifacts.indices {
            if let argument = arguments.artifact(inputs.artifacts[index].name), argument.location != nil {
                inputs.artifacts[index] = inputs.artifacts[index].located(as: argument)
                if let subPath = argument.subPath {
                    inputs.artifacts[index] = inputs.artifacts[index].with("subPath", .string(subPath))
                }
            } else if inputs.artifacts[index].location == nil, !inputs.artifacts[index].optional {
                throw CallError(message: "inputs.artifacts.\(inputs.artifacts[index].name) was not supplied")
            }
        }
        return inputs
    }

    /// A default may be made of other inputs.
    private func resolveDefaults(_ indices: [Int], _ inputs: inout Inputs, _ outer: VariableScope) {
        guard indices.contains(where: { Tag.isIn(inputs.parameters[$0].value ?? "") }) else { return }
        var scope = outer
        for parameter in inputs.parameters {
            scope.set("inputs.parameters.\(parameter.name)", parameter.value)
        }
        for index in indices {
            guard let value = inputs.parameters[index].value, Tag.isIn(value) else { continue }
            inputs.parameters[index].value = (try? scope.replace(in: value)) ?? value
        }
    }

    // MARK: Gates

    /// Whether the enclosing steps or dag node lets another child begin; keeps the invocation for later if
    /// not.
    private mutating func passesBoundary(_ invocation: Invocation) -> Bool {
        guard let boundary = invocation.boundary, !invocation.isHook,
            let limits = live[boundary]?.boundary?.limits, limits.isFull || limits.isFailing
        else { return true }
        live[boundary]?.boundary?.waiting.append(invocation)
        if limits.active == 0 { work.append(.admit(boundary: boundary)) }
        return false
    }

    /// Counts a child of a limited node; true if it must be taken off again at its end.
    private mutating func takesBoundarySlot(_ invocation: Invocation, _ existing: Node?) -> Bool {
        guard let boundary = invocation.boundary, !invocation.isHook, live[boundary]?.boundary != nil else {
            return false
        }
        // Those that an earlier driver made were counted when this one began.
        if let existing { return !existing.phase.isFulfilled || hasOpenHook(existing) }
        live[boundary]?.boundary?.limits.active += 1
        return true
    }

    /// Starts what waited for a child of a limited node to end.
    mutating func admitWaiting(at boundary: NodeID) {
        guard let limits = live[boundary]?.boundary?.limits, nodes[boundary]?.phase.isFulfilled == false
        else {
            return
        }
        if limits.isFailing {
            if limits.active == 0 { failFast(boundary) }
            return
        }
        if limits.isFull || live[boundary]?.boundary?.waiting.isEmpty != false { return }
        if let next = live[boundary]?.boundary?.waiting.popFirst() {
            invoke(next)
            work.append(.admit(boundary: boundary))
        }
    }

    /// Ends a steps or dag node whose children failed, without starting those that waited.
    mutating func failFast(_ id: NodeID) {
        let message = "template has failed or errored children and failFast enabled"
        live[id]?.boundary?.waiting.removeAll()
        for child in liveInOrder() where live[child]?.invocation.boundary == id && live[child]?.group != nil {
            live[child]?.invocation.owner = nil
            finish(child, .failed, message)
        }
        finish(id, .failed, message)
    }

    /// Passes the gates before a node's work one by one: locks, the cache, then the retry strategy or the
    /// work.
    mutating func proceed(_ id: NodeID) {
        guard let entry = live[id], let node = nodes[id], !node.phase.isFulfilled else { return }
        if !entry.holdsLocks, !isBlockedByShutdown(entry.invocation) {
            let keys = lockKeys(entry.template.synchronization, scope: scope(for: id))
            // What was launched before this driver began has held its locks since then.
            if !keys.isEmpty, !node.isLaunched {
                live[id]?.gate = .locks
                if entry.template.retryStrategy == nil { startTimers(id, entry.template) }
                effects.append(
                    .acquireLocks(
                        id, keys, priority: entry.template.priority ?? definition.spec.priority ?? 0))
                return
            }
        }
        if let memoize = entry.template.memoize, node.memoization == nil, node.phase == .pending,
            node.children.isEmpty, !isBlockedByShutdown(entry.invocation)
        {
            lookUpCache(id, memoize)
            return
        }
        if asksContent(entry, node), !isBlockedByShutdown(entry.invocation) {
            lookUpContent(id, entry.template)
            return
        }
        live[id]?.gate = .none
        if let strategy = entry.template.retryStrategy {
            live[id]?.retry = RetryFrame(strategy: strategy)
            if node.phase == .pending { update(id) { $0.phase = .running } }
            resumeAttempts(id)
        } else {
            begin(id)
        }
    }

    func lockKeys(_ synchronization: Synchronization?, scope: VariableScope) -> [LockKey] {
        guard let synchronization else { return [] }
        func text(_ source: String) -> String { (try? scope.replace(in: source)) ?? source }
        let mutexes = synchronization.mutexes.map {
            LockKey(
                namespace: $0.namespace.map(text) ?? definition.namespace, name: text($0.name), limit: .mutex)
        }
        let semaphores = synchronization.semaphores.map { semaphore in
            let namespace = semaphore.namespace.map(text) ?? definition.namespace
            if let reference = semaphore.configMap {
                let (map, key) = (text(reference.name), text(reference.key))
                return LockKey(
                    namespace: namespace, name: "\(map)/\(key)", limit: .configMap(name: map, key: key))
            }
            let key = text(semaphore.databaseKey ?? "")
            return LockKey(namespace: namespace, name: key, limit: .database(key: key))
        }
        return mutexes + semaphores
    }

    mutating func locksAcquired(_ id: NodeID) {
        if id == Self.workflowLockID {
            if !hasBegun { beginRun() }
            return
        }
        guard live[id]?.gate == .locks else {
            // The node ended while it waited.
            if live[id] == nil { effects.append(.releaseLocks(id)) }
            return
        }
        live[id]?.holdsLocks = true
        update(id) {
            $0.waitingLock = nil
            if $0.phase == .pending { $0.message = "" }
        }
        proceed(id)
    }

    mutating func locksWaiting(_ id: NodeID, lock: String, message: String) {
        if id == Self.workflowLockID {
            guard self.message != message else { return }
            self.message = message
            isHeaderChanged = true
            return
        }
        guard live[id]?.gate == .locks, nodes[id]?.waitingLock != lock || nodes[id]?.message != message else {
            return
        }
        update(id) {
            $0.waitingLock = lock
            $0.message = message
        }
    }

    private mutating func lookUpCache(_ id: NodeID, _ memoize: Memoize) {
        guard Names.isCacheKey(memoize.key) else {
            finish(id, .error, "invalid cache key: \"\(memoize.key)\"; letters, digits and - are allowed")
            return
        }
        live[id]?.gate = .cache
        let age = memoize.maxAge.flatMap { $0.isEmpty ? nil : GoDuration.parse($0) }
        effects.append(.lookUpCache(id, cache: memoize.cache, key: memoize.key, maxAge: age))
    }

    mutating func cacheAnswered(_ id: NodeID, _ outputs: Outputs?) {
        guard let entry = live[id], entry.gate == .cache, let memoize = entry.template.memoize else { return }
        update(id) {
            $0.memoization = .init(hit: outputs != nil, key: memoize.key, cacheName: memoize.cache)
        }
        if let outputs {
            update(id) {
                $0.outputs = outputs
                $0.type = Self.nodeType(of: entry.template)
            }
            finish(id, .succeeded)
        } else {
            proceed(id)
        }
    }

    /// A start that the shell could not carry out.
    mutating func refuse(_ id: NodeID, _ message: String) {
        if startedAt != nil, id == Self.workflowLockID || nodes[id]?.phase == .running {
            // An earlier driver had the locks and began; what is at work must not be left alone.
            locksAcquired(id)
        } else if id == Self.workflowLockID {
            phase = .error
            self.message = message
            finishedAt = now
            isHeaderChanged = true
            effects.append(.finished(.error))
        } else {
            finish(id, .error, message)
        }
    }

    // MARK: Names

    static func nodeType(of template: Template) -> NodeType {
        switch template.kind {
        case .steps: .steps
        case .dag: .dag
        case .suspend: .suspend
        case .http: .http
        case .plugin: .plugin
        default: .pod
        }
    }

    static func text(of reference: TemplateReference) -> String {
        switch reference {
        case .name(let name): "\"\(name)\""
        case .stored(let resource, let template, _): "\"\(template)\" of \"\(resource)\""
        case .inline, .missing: "(none)"
        }
    }

    static func text(of scope: TemplateScope, workflow: String) -> String {
        switch scope {
        case .workflow: "local/\(workflow)"
        case .stored(let name, let clusterScope): (clusterScope ? "cluster/" : "namespaced/") + name
        }
    }
}

/// Forms of names that are checked when a run is on its way.
enum Names {
    /// A letter or digit, then letters, digits and dashes.
    static func isCacheKey(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "-") else { return false }
        return text.utf8.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x61 && $0 <= 0x7A)
                || $0 == UInt8(ascii: "-")
        }
    }
}
