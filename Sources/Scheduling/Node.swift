// A node: one thing that a run did or will do, as Argo's status has it.

package import Text
package import WorkflowLanguage

/// The identity of a node within its workflow: `<workflow>-<FNV-1a of the node's name>`, the workflow's name
/// for the root.
package typealias NodeID = String

/// A node of a run's tree.
package struct Node: Sendable, Hashable {
    package struct Memoization: Sendable, Hashable {
        package var hit: Bool
        package var key: String
        package var cacheName: String
    }

    package var id: NodeID
    package var name: String
    package var displayName: String
    package var type: NodeType
    package var phase: Phase
    package var message: String = ""
    package var boundaryID: NodeID?
    package var templateName: String = ""
    package var templateRef: JSONValue?
    package var templateScope: String = ""
    package var startedAt: Timestamp?
    package var finishedAt: Timestamp?
    package var inputs = Inputs()
    package var outputs = Outputs()
    /// The nodes that this one hangs under; written once, when the node is made. `children` follows from it.
    package var parents: [NodeID] = []
    /// In the order in which they were made; derived from `parents`, not stored.
    package var children: [NodeID] = []
    package var outboundNodes: [NodeID] = []
    package var isHook = false
    package var isRetryAttempt = false
    package var isDaemoned = false
    package var memoization: Memoization?
    /// The lock that the node waits for.
    package var waitingLock: String?
    package var progress: String = ""
    package var hostNodeName: String = ""
    package var podIP: String = ""
    /// How often the node's work was launched; a launch that was lost counts too.
    package var attempt = 0
    /// Whether its work was given to an executor whose end of it has not been heard. A new driver gives such
    /// nodes their places first, and ends their work when they end otherwise.
    package var isLaunched = false
    package var failureClass: FailureClass?
    /// The batch that this attempt has instead of its template's, since memory ran out before.
    package var batchSize: BatchSize?
    /// What the content cache compared: each field with its value or that value's digest. Empty where the cache
    /// was not asked.
    package var contentFields: [String: String] = [:]
    /// Seconds times one unit, by resource name.
    package var resourcesDuration: [String: Int] = [:]
    /// Orders nodes by when they were made.
    package var sequence = 0

    package init(
        id: NodeID, name: String, displayName: String, type: NodeType, phase: Phase, sequence: Int = 0
    ) {
        self.id = id
        self.name = name
        self.displayName = displayName
        self.type = type
        self.phase = phase
        self.sequence = sequence
    }

    /// Nothing more is awaited from the node: it ended, or it is a daemon that is ready.
    package var isFulfilled: Bool { phase.isFulfilled || (isDaemoned && phase != .pending) }

    /// Whether it is a step group or task group that nothing more is awaited from.
    var isEndedGroup: Bool { (type == .stepGroup || type == .taskGroup) && phase.isFulfilled }

    /// Whether the node takes one of the places that the steps or dag node around it has.
    package var takesPlace: Bool {
        guard boundaryID != nil, !isHook, !isRetryAttempt else { return false }
        switch type {
        case .stepGroup, .taskGroup, .container: return false
        default: return true
        }
    }

    /// The id of a node by its name. A probe above 0 gives the id that is tried when another node has the one
    /// before.
    package static func id(workflow: String, nodeName: String, probe: Int = 0) -> NodeID {
        if nodeName == workflow { return workflow }
        return "\(workflow)-\(FNV1a.hash32(probe == 0 ? nodeName : "\(nodeName)\u{0}\(probe)"))"
    }

    /// The pod name that Argo gives a node (version 2 names): clients look logs up by it.
    package static func podName(workflow: String, nodeName: String, template: String) -> String {
        guard nodeName != workflow else { return workflow }
        let prefix = template.isEmpty ? workflow : "\(workflow)-\(template)"
        return "\(String(prefix.prefix(242)))-\(FNV1a.hash32(nodeName))"
    }
}
