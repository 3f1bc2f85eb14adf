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
        held.removeAll()
        if startedAt == nil {
            // The run waits for its locks: there is nothing to end but itself.
            beginRun()
            return
        }
        for (id, entry) in live where strategy == .terminate || !entry.invocation.isExitHandler {
            live[id]?.boundary?.waiting.removeAll()
            let text = nodes[id]?.type == .pod ? blockedText : shutdownText
            endIfLeaf(id, entry, message ?? text)
        }
        endStuckComposites()
    }

    /// Steps and dag nodes whose children only waited for a slot have nothing left that would end them.
    private mutating func endStuckComposites() {
        for (id, entry) in live where entry.boundary != nil {
            guard entry.boundary?.limits.active == 0, nodes[id]?.phase.isFulfilled == false,
                !live.values.contains(where: { $0.invocation.boundary == id && $0.group == nil })
            else { continue }
            for (child, inner) in live where inner.invocation.boundary == id && inner.group != nil {
                live[child]?.invocation.owner = nil
                finish(child, .failed, blockedText)
            }
            finish(id, .failed, blockedText)
        }
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
            for invocation in held { work.append(.invoke(invocation)) }
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
            guard let phase, phase.isFulfilled else { continue }
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
