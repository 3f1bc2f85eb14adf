// What must hold in a simulated world after every save, and at the end of the run.

import Scheduling
import Text
import WorkflowLanguage

extension World {
    /// After each save: limits hold, and now and then that the rows say the same as the memory.
    func checkNodes(_ state: WorkflowState) throws {
        if let limit = definition.spec.parallelism, executor.open.count > limit + readyDaemons {
            throw SimulationFailure("\(executor.open.count) pods run although parallelism is \(limit)")
        }
        for (name, size) in [("mutexed", 1), ("counted", 2)] {
            let holders = executor.open.filter { executor.attempts[$0]?.launch.template.name == name }
            if holders.count > size {
                throw SimulationFailure("\(holders.count) pods of template \(name) run at once")
            }
        }
        try checkBoundaries(state)
        if state.isFinished || handled % 64 == 0 { try compareWithRows(state) }
    }

    private var readyDaemons: Int {
        executor.open.filter {
            executor.attempts[$0]?.isReady == true || executor.attempts[$0]?.isCanceled == true
        }
        .count
    }

    /// Steps and dag nodes have at most so many children at work as their template says.
    private func checkBoundaries(_ state: WorkflowState) throws {
        let limits = Dictionary(
            definition.spec.templates.compactMap { template in
                template.parallelism.map { (template.name, $0) }
            },
            uniquingKeysWith: { first, _ in first })
        guard !limits.isEmpty else { return }
        var active: [NodeID: Int] = [:]
        for node in state.nodes.values where node.isDirectChild && !node.isFulfilled {
            if let boundary = node.boundaryID { active[boundary, default: 0] += 1 }
        }
        for (id, count) in active {
            guard let node = state.nodes[id], let limit = limits[node.templateName], count > limit else {
                continue
            }
            throw SimulationFailure(
                "\(node.name) has \(count) children at work although its parallelism is \(limit)")
        }
    }

    /// What a new controller would find is what this one has.
    func compareWithRows(_ state: WorkflowState) throws {
        let loaded = try store.load(definition, at: clock)
        guard loaded.nodes != state.nodes || loaded.headerJSON != state.headerJSON else { return }
        for (id, node) in state.nodes where loaded.nodes[id] != node {
            throw SimulationFailure("\(node)\nis stored as\n\(String(describing: loaded.nodes[id]))")
        }
        for (id, node) in loaded.nodes where state.nodes[id] == nil {
            throw SimulationFailure("\(node.name) (\(id)) is stored but not in memory")
        }
        throw SimulationFailure("the stored header \(loaded.headerJSON) is not \(state.headerJSON)")
    }

    /// At the end: everything has ended, nothing is held, and the tree is one.
    func checkEnd(_ state: WorkflowState) throws {
        for node in state.nodes.values where !node.phase.isFulfilled {
            throw SimulationFailure("the run has ended but \(node.name) is \(node.phase)\n" + describe(state))
        }
        if let key = executor.open.first { throw SimulationFailure("the run has ended but \(key) goes on") }
        if !locks.isEmpty { throw SimulationFailure("the run has ended but holds locks: \(locks.holders)") }
        if state.phase?.isCompleted != true {
            throw SimulationFailure("the run ended as \(String(describing: state.phase))")
        }
        for node in state.nodes.values {
            for parent in node.parents {
                guard let found = state.nodes[parent] else {
                    throw SimulationFailure("\(node.name) hangs under \(parent), which is not there")
                }
                guard found.children.filter({ $0 == node.id }).count == 1 else {
                    throw SimulationFailure("\(found.name) does not know its child \(node.name) once")
                }
            }
            for child in node.children where state.nodes[child]?.parents.contains(node.id) != true {
                throw SimulationFailure("\(node.name) has a child \(child) that does not know it")
            }
            if node.parents.isEmpty, node.id != state.name, !node.name.hasPrefix(state.name + ".onExit"),
                !node.name.hasPrefix(state.name + ".hooks.")
            {
                throw SimulationFailure("\(node.name) hangs under nothing")
            }
        }
    }

    /// The tree in a few lines.
    func describe(_ state: WorkflowState) -> String {
        var lines = ["\(state.phase?.rawValue ?? "-") \(state.message)"]
        for node in state.nodes.values.sorted(by: { $0.sequence < $1.sequence }) {
            lines.append("  \(node.name) \(node.type.rawValue) \(node.phase.rawValue) \(node.message)")
        }
        lines += executor.open.map { "  open: \($0.nodeID) \($0.attempt)" }
        return lines.joined(separator: "\n")
    }
}

extension Node {
    /// Whether the node takes one of its boundary's places.
    var isDirectChild: Bool {
        guard boundaryID != nil, !isHook, !isRetryAttempt else { return false }
        switch type {
        case .stepGroup, .taskGroup, .container: return false
        default: return true
        }
    }
}
