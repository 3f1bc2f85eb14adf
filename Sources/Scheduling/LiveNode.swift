// What the scheduler keeps in memory of a node that is not settled. All of it follows from the stored nodes
// and the definition, so that a new driver can build it again.

import Text
package import WorkflowLanguage

/// Where the templates that a reference names are looked up.
package enum TemplateScope: Sendable, Hashable {
    case workflow
    case stored(name: String, clusterScope: Bool)
}

/// How a node was asked for.
package struct Invocation: Sendable {
    package var nodeName: String
    package var displayName: String
    /// The node that is told when this one is settled; nil for the entry node.
    package var owner: NodeID?
    package var boundary: NodeID?
    package var parents: [NodeID]
    package var reference: TemplateReference
    package var scope: TemplateScope
    package var arguments: Arguments
    package var hooks: [String: LifecycleHook] = [:]
    /// Name of the step or task, for `steps.name` and the hooks' scope.
    package var stepName: String = ""
    package var isHook = false
    package var isExitHandler = false
    /// How many steps and dag templates are around the call.
    package var depth = 0
    package var continueOnError = false
    package var continueOnFailed = false

    /// Whether the owner may go on although the node ended in this phase.
    package func continues(on phase: Phase) -> Bool {
        switch phase {
        case .error: continueOnError
        case .failed: continueOnFailed
        default: false
        }
    }
}

/// A node that is not settled.
package struct LiveNode: Sendable {
    /// What the node waits for before its work begins.
    enum Gate: Sendable, Hashable {
        case locks, cache, slot, held, none
        /// Its work was lost more than once, and is launched again after a while.
        case relaunch
    }

    /// A hook that was fired.
    struct Hook: Sendable {
        var isSettled = false
    }

    var invocation: Invocation
    /// The template with inputs and globals substituted.
    var template: Template
    var scope: TemplateScope
    var gate = Gate.none
    var holdsLocks = false
    var holdsPodSlot = false
    var holdsBoundarySlot = false
    var isLaunched = false
    /// Set once nothing more is awaited from the node's own work; hooks may still run.
    var hooks: [String: Hook] = [:]
    /// Why a hook could not be called while the node was at work; the node ends in Error then.
    var hookFailure: String?
    var steps: StepsFrame?
    var group: GroupFrame?
    var dag: DAGFrame?
    var retry: RetryFrame?
    var boundary: BoundaryFrame?
    /// What this node says when a cancel that the scheduler asked for ends it.
    var cancelMessage: String?
    /// A daemon that is ready and whose hooks have ended: its owner has gone on.
    var isServing = false
    /// Work that a daemon's boundary must end.
    var daemons: [NodeID] = []
    /// Steps and dag nodes: whether their template mentions results of its steps.
    var mentionsResults: Bool?
}

/// A steps template at work.
struct StepsFrame: Sendable {
    var groups: [[Step]]
    var current = -1
    /// The group that holds each step.
    var groupOfStep: [String: Int]

    init(groups: [[Step]]) {
        self.groups = groups
        var groupOfStep: [String: Int] = [:]
        for (index, group) in groups.enumerated() {
            for step in group { groupOfStep[step.name] = index }
        }
        self.groupOfStep = groupOfStep
    }
}

/// A step group or a task group: children that are awaited together.
struct GroupFrame: Sendable {
    var remaining = 0
    /// The first child, in order, whose failure counts.
    var firstFailure: (sequence: Int, id: NodeID, phase: Phase)?
}

/// A dag template at work.
struct DAGFrame: Sendable {
    struct TaskState: Sendable {
        var task: DAGTask
        var depends: DependsExpression?
        /// Names that must be fulfilled first, in the order in which they are written.
        var dependencies: [String]
        var dependents: [String] = []
        var waitingFor: Int
        var isStarted = false
        var isSettled = false
    }

    var tasks: [String: TaskState] = [:]
    var targets: [String] = []
    /// Tasks that are needed and not settled.
    var remaining = 0
}

/// A retry strategy at work.
struct RetryFrame: Sendable {
    var strategy: RetryStrategy
    var attempts: [NodeID] = []
    var isWaiting = false
}

/// The limits that a steps or dag node puts on its direct children.
struct BoundaryFrame: Sendable {
    /// Apart from the queue, so that looking at them never makes a copy of it.
    struct Limits: Sendable {
        var parallelism: Int?
        var failFast: Bool
        var active = 0
        var unsuccessful = 0

        var isFull: Bool { parallelism.map { active >= $0 } ?? false }
        var isFailing: Bool { failFast && unsuccessful > 0 }
    }

    var limits: Limits
    var waiting = FIFO<Invocation>()
}
