// Retry strategies: whether, when and how a node's work is tried again.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// Attempts that an earlier driver made are taken up; then the next is decided.
    mutating func resumeAttempts(_ id: NodeID) {
        guard let node = nodes[id] else { return }
        let attempts = node.children.filter { nodes[$0]?.isRetryAttempt == true }
        live[id]?.retry?.attempts = attempts
        if let last = attempts.last, nodes[last]?.phase.isFulfilled == false {
            startAttempt(attempts.count - 1, of: id)
        } else {
            work.append(.attempt(id))
        }
    }

    /// Decides after an attempt whether another one follows. The clauses are in Argo's order.
    mutating func advanceRetry(_ id: NodeID) {
        guard let entry = live[id], let frame = entry.retry, let node = nodes[id], !node.phase.isFulfilled
        else {
            return
        }
        live[id]?.retry?.isWaiting = false
        guard let last = frame.attempts.last.flatMap({ nodes[$0] }) else {
            startNextAttempt(of: id)
            return
        }
        guard last.phase.isFulfilled else {
            if last.isDaemoned { retriedDaemonIsReady(id, last) }
            return
        }
        if !last.phase.isUnsuccessful {
            endRetry(id, last, last.phase, "")
            return
        }
        if isBlockedByShutdown(entry.invocation) {
            endRetry(
                id, last, last.phase,
                shutdown.map { "Stopped with strategy '\($0.rawValue)'" }
                    ?? "retry exceeded workflow deadline \(deadlineText)")
            return
        }
        if let reason = RetryCount.refusal(entry.template, last) {
            endRetry(id, last, last.phase, reason)
            return
        }
        let counted = countedAttempts(frame, entry.template)
        if let backoff = frame.strategy.backoff, !passesBackoff(id, backoff, frame, last, counted: counted) {
            return
        }
        guard Self.covers(frame.strategy, last) else {
            endRetry(id, last, last.phase, last.message)
            return
        }
        if let limit = frame.strategy.limit {
            guard let limit = Int(limit) else {
                endRetry(id, last, .error, "retryStrategy.limit \"\(limit)\" is not a whole number")
                return
            }
            if counted > limit {
                endRetry(id, last, last.phase, "No more retries left")
                return
            }
        }
        if let source = frame.strategy.expression, !source.isEmpty, !expressionHolds(id, source, last) {
            return
        }
        startNextAttempt(of: id)
    }

    private mutating func startNextAttempt(of id: NodeID) {
        guard let entry = live[id], let frame = entry.retry else { return }
        if isHeldBack(entry.invocation) {
            live[id]?.retry?.isWaiting = true
            held.append(.attempt(id))
        } else {
            startAttempt(frame.attempts.count, of: id)
        }
    }

    private mutating func retriedDaemonIsReady(_ id: NodeID, _ attempt: Node) {
        update(id) {
            $0.isDaemoned = true
            $0.podIP = attempt.podIP
        }
        serveDaemon(id)
    }

    private var deadlineText: String {
        guard let startedAt, let seconds = definition.spec.activeDeadlineSeconds else { return "" }
        return (startedAt + .seconds(seconds)).rfc3339
    }

    private mutating func endRetry(_ id: NodeID, _ last: Node, _ phase: Phase, _ message: String) {
        update(id) {
            $0.outputs = last.outputs
            $0.failureClass = last.failureClass
        }
        finish(id, phase, message)
    }

    /// Clause 3: the backoff. True if the next clauses are to be looked at now.
    private mutating func passesBackoff(
        _ id: NodeID, _ backoff: RetryStrategy.Backoff, _ frame: RetryFrame, _ last: Node, counted: Int
    ) -> Bool {
        guard let base = backoff.duration.flatMap({ $0.isEmpty ? nil : Self.span($0) }) else {
            endRetry(id, last, .error, "no base duration specified for retryStrategy")
            return false
        }
        let end = maxDurationEnd(id)
        if let end, now > end {
            endRetry(id, last, last.phase, "Max duration limit exceeded")
            return false
        }
        let wait = Self.wait(base, backoff, attempts: frame.attempts.count)
        let finished = last.finishedAt ?? now
        if let end, finished + wait > end {
            endRetry(id, last, last.phase, "Backoff would exceed max duration limit")
            return false
        }
        // Without a limit the wait is not applied, as in Argo.
        guard now < finished + wait, let limit = frame.strategy.limit.flatMap({ Int($0) }),
            counted <= limit, Self.covers(frame.strategy, last)
        else { return true }
        live[id]?.retry?.isWaiting = true
        timers.insert(.init(at: finished + wait, kind: .backoff, node: id))
        let message = "Backoff for \(GoDuration.format(wait))"
        if node(id)?.message != message { update(id) { $0.message = message } }
        return false
    }

    private func node(_ id: NodeID) -> Node? { nodes[id] }

    /// duration × factor^(attempts − 1), at most cap; constant without a positive factor.
    static func wait(_ base: Duration, _ backoff: RetryStrategy.Backoff, attempts: Int) -> Duration {
        var nanoseconds = Double(base.wholeNanoseconds)
        if let factor = backoff.factor.flatMap({ Double($0) }), factor > 0 {
            for _ in 1..<max(attempts, 1) where nanoseconds < 9e18 { nanoseconds *= factor }
        }
        var wait = Duration.nanoseconds(Int64(min(max(nanoseconds, 0), 9e18)))
        if let cap = backoff.cap.flatMap({ $0.isEmpty ? nil : span($0) }) { wait = min(wait, cap) }
        return wait
    }

    /// The end of `maxDuration`, counted from the start of the first attempt.
    func maxDurationEnd(_ id: NodeID) -> Timestamp? {
        guard let frame = live[id]?.retry,
            let limit = frame.strategy.backoff?.maxDuration.flatMap({ $0.isEmpty ? nil : Self.span($0) }),
            let first = frame.attempts.first.flatMap({ nodes[$0]?.startedAt })
        else { return nil }
        return first + limit
    }

    /// Clause 4: the policy.
    static func covers(_ strategy: RetryStrategy, _ last: Node) -> Bool {
        switch strategy.retryPolicy ?? (strategy.expression == nil ? "OnFailure" : "Always") {
        case "Always": return true
        case "OnError": return last.phase == .error
        case "OnTransientError": return TransientErrors.matches(last.message)
        default: return last.phase == .failed
        }
    }

    /// Clause 6: the expression.
    private mutating func expressionHolds(_ id: NodeID, _ source: String, _ last: Node) -> Bool {
        var scope = scope(for: id)
        for (name, value) in Self.lastRetryEntries(last) { scope.entries[name] = value }
        scope.entries["retries"] = .text(String(live[id]?.retry?.attempts.count ?? 0))
        do throws(ExpressionError) {
            if try scope.isTrue(source) { return true }
            endRetry(id, last, last.phase, "retryStrategy.expression evaluated to false")
        } catch {
            endRetry(id, last, .error, "retryStrategy.expression: \(error.message)")
        }
        return false
    }

    static func lastRetryEntries(_ last: Node?) -> [String: ScopeEntry] {
        guard let last else {
            return [
                "lastRetry.exitCode": .text("0"), "lastRetry.status": .text(""),
                "lastRetry.duration": .text("0"),
                "lastRetry.message": .text(""),
            ]
        }
        let span = last.finishedAt.flatMap { end in last.startedAt.map { end - $0 } } ?? .zero
        return [
            "lastRetry.exitCode": .text(last.outputs.exitCode ?? "-1"),
            "lastRetry.status": .text(last.phase.rawValue),
            "lastRetry.duration": .text(String(Int(span.inSeconds))),
            "lastRetry.message": .text(last.message),
        ]
    }

    /// Clause 7: another attempt.
    private mutating func startAttempt(_ ordinal: Int, of id: NodeID) {
        guard let entry = live[id], let frame = entry.retry, let parent = nodes[id] else { return }
        let last = ordinal > 0 ? nodes[frame.attempts[ordinal - 1]] : nil
        var template = entry.template
        let nodeName = "\(parent.name)(\(ordinal))"
        if template.raw.holdsTag {
            var scope = scope(for: id)
            for (name, value) in Self.lastRetryEntries(last) { scope.entries[name] = value }
            scope.entries["retries"] = .text(String(ordinal))
            scope.entries["pod.name"] = .text(
                Node.podName(workflow: name, nodeName: nodeName, template: template.name))
            let inputs = template.inputs
            if let raw = try? scope.replace(in: template.raw) { template = Template(raw) }
            template.inputs = inputs
        }
        let size = last.flatMap { RetryCount.batchSize(entry.template, after: $0) }
        if let size { template = size.applied(to: template) }
        template.retryStrategy = nil
        template.synchronization = nil
        template.memoize = nil
        var invocation = entry.invocation
        invocation.nodeName = nodeName
        invocation.displayName = "\(parent.displayName)(\(ordinal))"
        invocation.owner = id
        invocation.parents = [id]
        invocation.hooks = [:]
        invocation.isHook = false
        let attempt = nodeID(nodeName)
        var node = Node(
            id: attempt, name: nodeName, displayName: invocation.displayName,
            type: Self.nodeType(of: template),
            phase: .pending)
        node.boundaryID = invocation.boundary
        node.parents = [id]
        node.templateName = parent.templateName
        node.templateRef = parent.templateRef
        node.templateScope = parent.templateScope
        node.startedAt = now
        node.inputs = template.inputs
        node.isRetryAttempt = true
        node.batchSize = size
        addNode(node)
        if let size, let last, last.batchSize != size { noteAdaptation(size, of: last.id) }
        if !frame.attempts.contains(attempt) { live[id]?.retry?.attempts.append(attempt) }
        live[attempt] = LiveNode(invocation: invocation, template: template, scope: entry.scope)
        if !parent.message.isEmpty { update(id) { $0.message = "" } }
        if nodes[attempt]?.phase.isFulfilled == true {
            work.append(.settled(attempt))
        } else {
            work.append(.begin(attempt))
        }
    }
}

extension WorkflowState {
    /// How many attempts count against the limit.
    private func countedAttempts(_ frame: RetryFrame, _ template: Template) -> Int {
        RetryCount.counted(frame.attempts.compactMap { nodes[$0] }, template, lostLimit: Self.lostLaunchLimit)
    }

    /// Says at the attempt that ran out of memory what the next one has instead.
    private mutating func noteAdaptation(_ size: BatchSize, of id: NodeID) {
        let note = "; the next attempt has \(size.text)"
        guard let message = nodes[id]?.message, !message.hasSuffix(note) else { return }
        update(id) { $0.message = message + note }
    }
}

/// Failures that are worth another try whatever the policy says of failures: what Argo holds to be transient.
enum TransientErrors {
    static let patterns = [
        "exceeded quota", "connection refused", "connection reset by peer", "i/o timeout",
        "TLS handshake timeout",
        "no such host", "timed out", "too many requests", "service unavailable", "internal error occurred",
        "etcdserver:", "net/http: request canceled",
    ]

    static func matches(_ message: String) -> Bool {
        let message = message.lowercased()
        return patterns.contains { message.contains($0.lowercased()) }
    }
}
