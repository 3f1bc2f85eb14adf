// What the driver of a run wants written after it has handled an event.

package import Scheduling
package import Text

/// An effect that was decided and is not known to be done.
package struct EffectRow: Sendable, Hashable {
    /// Unique within the workflow; doing the same key twice does no harm.
    package var key: String
    package var kind: String
    package var body: JSONValue

    package init(key: String, kind: String, body: JSONValue) {
        self.key = key
        self.kind = kind
        self.body = body
    }
}

/// Something that happened in a run, for people to read.
package struct EventRow: Sendable, Hashable {
    package var at: Timestamp
    package var nodeID: NodeID?
    package var kind: String
    package var message: String

    package init(at: Timestamp, nodeID: NodeID? = nil, kind: String, message: String) {
        self.at = at
        self.nodeID = nodeID
        self.kind = kind
        self.message = message
    }
}

/// The workflow's own row. The first four are always written; of the others nil leaves what is stored.
package struct HeaderUpdate: Sendable, Hashable {
    package var phase: String
    package var message: String
    package var startedAt: Timestamp?
    package var finishedAt: Timestamp?
    package var state: JSONValue?
    package var labels: [String: String]?
    package var annotations: [String: String]?
    /// Nodes done and nodes in all: "3/5".
    package var progress: String?

    package init(
        phase: String, message: String = "", startedAt: Timestamp? = nil, finishedAt: Timestamp? = nil,
        state: JSONValue? = nil, labels: [String: String]? = nil, annotations: [String: String]? = nil,
        progress: String? = nil
    ) {
        self.phase = phase
        self.message = message
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.state = state
        self.labels = labels
        self.annotations = annotations
        self.progress = progress
    }
}

/// The change of one run between two states. Members left empty cost nothing.
package struct WorkflowChange: Sendable, Hashable {
    /// The end of a command, kept with what it brought about.
    package struct FinishedCommand: Sendable, Hashable {
        package var id: Int64
        package var error: String?

        package init(id: Int64, error: String? = nil) {
            self.id = id
            self.error = error
        }
    }

    package var uid: String
    /// The run itself, where it is not stored yet.
    package var insertion: WorkflowRow?
    /// If given, the change is refused unless this is still the run's driver epoch.
    package var driverEpoch: Int?
    package var header: HeaderUpdate?
    /// "3/5", where the header is not written; nil leaves what is stored.
    package var progress: String?
    /// Replaces what the run was made from: a retry with other arguments.
    package var manifest: JSONValue?
    /// Nodes that are new or have changed, whole.
    package var nodes: [Node]
    package var deletedNodes: [NodeID]
    package var newEffects: [EffectRow]
    /// Keys of effects that are done. Removed before `newEffects` are added.
    package var doneEffects: [String]
    package var events: [EventRow]
    package var finishedCommands: [FinishedCommand]
    /// What is to be told of this change, kept in the outbox with it.
    package var notifications: [NewNotification] = []

    package init(
        uid: String, driverEpoch: Int? = nil, header: HeaderUpdate? = nil, nodes: [Node] = [],
        deletedNodes: [NodeID] = [], newEffects: [EffectRow] = [], doneEffects: [String] = [],
        events: [EventRow] = [], finishedCommands: [FinishedCommand] = [],
        progress: String? = nil
    ) {
        self.uid = uid
        self.driverEpoch = driverEpoch
        self.header = header
        self.nodes = nodes
        self.deletedNodes = deletedNodes
        self.newEffects = newEffects
        self.doneEffects = doneEffects
        self.events = events
        self.finishedCommands = finishedCommands
        self.progress = progress
    }

    /// Whether readers see a difference. The driver's own notes are none of theirs.
    var isVisible: Bool {
        header != nil || progress != nil || manifest != nil || !nodes.isEmpty || !deletedNodes.isEmpty
            || !events.isEmpty
    }
}
