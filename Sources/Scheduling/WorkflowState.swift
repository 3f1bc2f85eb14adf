// Everything that is known of one run, and the one place where it changes: (state, event) -> (state,
// effects).

package import Text
package import WorkflowLanguage

/// How a run was asked to end early.
package enum Shutdown: String, Sendable, Hashable {
    case stop = "Stop"
    case terminate = "Terminate"
}

/// One run. Definition and status are stored; `live` and what follows from it are built by `.attached`.
package struct WorkflowState: Sendable {
    package let definition: RunDefinition
    package internal(set) var metadata: ObjectMetadata
    package internal(set) var phase: Phase?
    package internal(set) var message = ""
    package internal(set) var startedAt: Timestamp?
    package internal(set) var finishedAt: Timestamp?
    package internal(set) var nodes: [NodeID: Node] = [:]
    /// What steps exported with `globalName`.
    package internal(set) var outputs = Outputs()
    package internal(set) var shutdown: Shutdown?
    package internal(set) var shutdownMessage: String?
    package internal(set) var isSuspended = false
    /// The workflow's deadline passed.
    package internal(set) var isPastDeadline = false
    var nextSequence = 1
    /// The first attempt number of nodes that a manual retry removed: their old working directories stay as
    /// they are.
    var attemptFloor: [NodeID: Int] = [:]

    // Derived from the above.
    var live: [NodeID: LiveNode] = [:]
    var globals: [String: ScopeEntry] = [:]
    var timers = TimerQueue()
    var work = FIFO<Work>()
    var effects: [Effect] = []
    var now: Timestamp
    var activePods = 0
    var waitingForPodSlot = FIFO<NodeID>()
    /// What waits because the run is suspended.
    var held: [Work] = []
    /// Children that were at work, had failed or serve as daemons when this driver began, by the node around
    /// them.
    var inherited: [NodeID: (active: Int, unsuccessful: Int, daemons: [NodeID])] = [:]
    /// Whether the entry node was called; before that the run waits for its own locks.
    var hasBegun = false
    var templates: TemplateCache
    /// Ids of nodes whose hash was taken by another node.
    var collidedIDs: [String: NodeID] = [:]
    var isAttached = false
    /// Whether any text of the run uses `workflow.duration`, which then is kept up to date.
    var mentionsDuration = false
    var workflowHooks: [String: LiveNode.Hook] = [:]

    // What the shell has yet to save.
    package internal(set) var changedNodes: Set<NodeID> = []
    package internal(set) var removedNodes: Set<NodeID> = []
    package internal(set) var isHeaderChanged = true

    /// A run that has not begun.
    package init(definition: RunDefinition, at now: Timestamp) {
        self.definition = definition
        metadata = definition.metadata
        shutdown = definition.spec.shutdown.flatMap(Shutdown.init)
        isSuspended = definition.spec.suspend
        templates = TemplateCache(definition: definition)
        self.now = now
    }

    package var uid: String { definition.uid }
    package var name: String { definition.name }
    package var isFinished: Bool { finishedAt != nil }
    /// The moment at which a `.timer` event is wanted.
    package var nextTimer: Timestamp? { isFinished ? nil : timers.next }

    /// Whether nothing can happen without a person: every unfinished leaf is a suspend node without a
    /// duration, or the run itself is suspended.
    package var waitsForPerson: Bool {
        guard phase == .running || phase == .pending else { return false }
        if isSuspended, activePods == 0 { return true }
        var suspended = false
        for (id, entry) in live {
            guard let node = nodes[id], !node.isFulfilled else { continue }
            // A lock that another node of this run holds comes free when that one does.
            if entry.gate == .locks, let lock = node.waitingLock, holdsLock(lock) { continue }
            guard entry.gate == .none else { return false }
            switch node.type {
            case .suspend:
                if case .suspend(let duration) = entry.template.kind, duration == nil || duration == "" {
                    suspended = true
                } else {
                    return false
                }
            case .pod, .http, .plugin, .container: return false
            case .retry where entry.retry?.isWaiting == true: return false
            default: continue
            }
        }
        return suspended
    }

    private func holdsLock(_ text: String) -> Bool {
        live.contains { id, entry in
            entry.holdsLocks
                && lockKeys(entry.template.synchronization, scope: scope(for: id)).contains {
                    $0.text == text
                }
        }
    }

    /// Takes what changed since the last call; the shell saves it before it runs the effects.
    package mutating func takeChanges() -> (nodes: [Node], removed: [NodeID], header: Bool) {
        defer {
            changedNodes = []
            removedNodes = []
            isHeaderChanged = false
        }
        let changed = changedNodes.compactMap { nodes[$0] }.sorted { $0.sequence < $1.sequence }
        return (changed, removedNodes.sorted(), isHeaderChanged)
    }
}

/// Something that is to be done within one `handle`; a queue instead of recursion, so that depth costs no
/// stack.
enum Work: Sendable {
    case invoke(Invocation)
    case conclude(WorkflowState.Call)
    case settled(NodeID)
    case admit(boundary: NodeID)
    case startGroup(NodeID)
    case startTask(dag: NodeID, name: String)
    case attempt(NodeID)
    case begin(NodeID)
    case admitPods
}
