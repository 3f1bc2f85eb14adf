// What people ask of a run: stop, terminate, suspend, resume, set.

import Text
import WorkflowLanguage

extension WorkflowState {
    mutating func obey(_ command: Command) {
        switch command {
        case .stop(let message, let selector):
            if let selector {
                failSuspended(selector, message)
            } else {
                shutDown(.stop, message.isEmpty ? nil : message)
            }
        case .terminate: shutDown(.terminate, nil)
        case .interrupt(let message): shutDown(.terminate, message)
        case .suspend:
            guard !isSuspended else { return }
            isSuspended = true
            isHeaderChanged = true
        case .resume(let selector): resume(selector)
        case .set(let selector, let phase, let message, let outputs):
            setNodes(selector, phase, message, outputs)
        }
    }

    private mutating func shutDown(_ strategy: Shutdown, _ message: String?) {
        guard shutdown != .terminate else { return }
        shutdown = strategy
        shutdownMessage = message
        isHeaderChanged = true
        if hasBegun { endBlocked() } else if isAttached { beginRun() }
    }

    /// Ends all that must not go on, in the order in which it was made. What waited to begin begins now or in
    /// its turn, only to end: whoever awaits it hears of it that way.
    mutating func endBlocked() {
        for item in held { work.append(item) }
        held = []
        for id in liveInOrder() {
            guard let entry = live[id], isBlockedByShutdown(entry.invocation) else { continue }
            endIfLeaf(id, entry, shutdown == nil || nodes[id]?.type == .pod ? blockedText : shutdownText)
        }
    }

    /// The nodes that are not settled, in the order in which they were made.
    func liveInOrder() -> [NodeID] {
        live.keys.sorted { (nodes[$0]?.sequence ?? 0, $0) < (nodes[$1]?.sequence ?? 0, $1) }
    }

    private mutating func failSuspended(_ selector: NodeSelector, _ message: String) {
        for id in suspended(selector) {
            finish(id, .failed, message.isEmpty ? "Stopped with strategy 'Stop'" : message)
        }
    }

    private mutating func resume(_ selector: NodeSelector?) {
        if selector == nil, isSuspended {
            isSuspended = false
            isHeaderChanged = true
            for item in held { work.append(item) }
            held = []
        }
        for id in suspended(selector) { resumeSuspended(id) }
    }

    private mutating func setNodes(
        _ selector: NodeSelector?, _ phase: Phase?, _ message: String?, _ outputs: [String: String]
    ) {
        for id in suspended(selector) {
            update(id) { node in
                for (name, value) in outputs {
                    if let index = node.outputs.parameters.firstIndex(where: { $0.name == name }) {
                        node.outputs.parameters[index].value = value
                    } else {
                        node.outputs.parameters.append(Parameter(name: name, value: value))
                    }
                }
                if let message { node.message += node.message.isEmpty ? message : "; " + message }
            }
            guard let phase, phase.isFulfilled, phase != .omitted else { continue }
            if phase == .succeeded {
                resumeSuspended(id)
            } else {
                finish(id, phase, message ?? "")
            }
        }
    }

    /// Suspend nodes that wait and match, in order.
    package func suspended(_ selector: NodeSelector?) -> [NodeID] {
        live.keys.compactMap { nodes[$0] }
            .filter { $0.type == .suspend && $0.phase == .running && (selector?.matches($0) ?? true) }
            .sorted { $0.sequence < $1.sequence }.map(\.id)
    }
}
