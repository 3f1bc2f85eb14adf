// A run's nodes in the order and nesting in which people read them: what is inside a template hangs under it,
// the steps of a group stand side by side, and what says nothing is left out.

import Scheduling
import Text

/// One line of the tree, or a step group: a bundle of lines without one of its own.
struct TreeItem {
    /// nil for a step group.
    var node: Node?
    var children: [TreeItem] = []
}

/// The forest of a run.
struct NodeTree {
    /// The entry node's tree, then those of the run's hooks and of its exit handler.
    let roots: [[TreeItem]]

    /// - Parameter selector: only nodes that match get a line; what is inside the others moves up.
    init(state: WorkflowState, selector: NodeSelector? = nil) {
        var builder = TreeBuilder(nodes: state.nodes, selector: selector)
        builder.attachAll()
        var trees: [[TreeItem]] = []
        let tops = builder.tops.sorted { builder.precedes($0, $1) }
        let entry = tops.filter { $0 == state.name }
        let exit = tops.filter { state.nodes[$0]?.name == "\(state.name).onExit" }
        let hooks = tops.filter { !entry.contains($0) && !exit.contains($0) }
        for group in [entry, hooks, exit] {
            let items = group.flatMap { builder.items(of: $0) }
            if !items.isEmpty { trees.append(items) }
        }
        roots = trees
    }
}

private struct TreeBuilder {
    let nodes: [NodeID: Node]
    let selector: NodeSelector?
    private(set) var tops: [NodeID] = []
    private var inside: [NodeID: [NodeID]] = [:]

    init(nodes: [NodeID: Node], selector: NodeSelector?) {
        self.nodes = nodes
        self.selector = selector
    }

    func precedes(_ left: NodeID, _ right: NodeID) -> Bool {
        let (left, right) = (nodes[left], nodes[right])
        let order = (left?.sequence ?? 0, right?.sequence ?? 0)
        return order.0 == order.1 ? (left?.id ?? "") < (right?.id ?? "") : order.0 < order.1
    }

    /// Finds what each node is drawn under: the group or retry that it belongs to, else the template around
    /// it.
    mutating func attachAll() {
        for node in nodes.values where node.type != .taskGroup {
            // A step group may be the child of the group before it, but it stands beside that, not inside.
            let holder =
                node.type == .stepGroup
                ? nil
                : node.parents.first { parent in
                    guard let type = nodes[parent]?.type else { return false }
                    return type == .stepGroup || type == .retry
                }
            if let around = holder ?? node.boundaryID, nodes[around] != nil {
                inside[around, default: []].append(node.id)
            } else {
                tops.append(node.id)
            }
        }
    }

    /// The lines for one node: none, one with its children, or its children in its stead.
    func items(of id: NodeID) -> [TreeItem] {
        guard let node = nodes[id], node.phase != .omitted else { return [] }
        let children = (inside[id] ?? []).sorted(by: precedes).flatMap(items)
        switch node.type {
        case .stepGroup: return children.isEmpty ? [] : [TreeItem(node: nil, children: children)]
        // One attempt says all that the retry around it would.
        case .retry where children.count == 1 && children[0].node != nil: return children
        default:
            guard selector?.matches(node) ?? true else { return children }
            return [TreeItem(node: node, children: children)]
        }
    }
}
