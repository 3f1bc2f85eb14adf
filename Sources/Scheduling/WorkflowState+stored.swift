// The part of a run's state that is stored beside its nodes, and back.

package import Text
import WorkflowLanguage

extension WorkflowState {
    /// What is stored in the workflow's row: small, and rewritten only when it changes.
    package var headerJSON: JSONValue {
        var object = ObjectBuilder()
        // Present in every header that a scheduler wrote, however little else there is to say.
        object.set("version", JSONValue.int(1))
        object.set("labels", metadata.labels)
        object.set("annotations", metadata.annotations)
        object.set("phase", phase?.rawValue)
        object.set("message", message)
        object.set("startedAt", startedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        object.set("finishedAt", finishedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        if !outputs.isEmpty { object.set("outputs", outputs.json) }
        object.set("shutdown", shutdown?.rawValue)
        object.set("shutdownMessage", shutdownMessage)
        object.set("suspended", isSuspended)
        object.set("pastDeadline", isPastDeadline)
        if !attemptFloor.isEmpty { object.set("attempts", .object(attemptFloor.mapValues(JSONValue.int))) }
        return object.json
    }

    /// The run as it is shown before a scheduler has looked at it: with the phase and message of its row.
    package func accepted(as phase: Phase, message: String = "") -> WorkflowState {
        guard self.phase == nil else { return self }
        var copy = self
        copy.phase = phase
        copy.message = message
        return copy
    }

    /// A run as it was stored. Call `handle(.attached)` to go on with it.
    package init(definition: RunDefinition, header: JSONValue, nodes: [Node], at now: Timestamp) {
        self.init(definition: definition, at: now)
        let fields = Fields(header)
        for node in nodes {
            self.nodes[node.id] = node
            nextSequence = max(nextSequence, node.sequence + 1)
            if node.id != Node.id(workflow: name, nodeName: node.name) { collidedIDs[node.name] = node.id }
        }
        for node in nodes {
            for parent in node.parents { self.nodes[parent]?.children.append(node.id) }
        }
        // A run that nothing has looked at yet has no header: it begins as its definition says.
        guard !fields.members.isEmpty else { return }
        metadata.labels = fields.textMap("labels")
        metadata.annotations = fields.textMap("annotations")
        phase = fields.string("phase").flatMap(Phase.init)
        message = fields.string("message") ?? ""
        startedAt = fields.int("startedAt").map { Timestamp(nanoseconds: Int64($0)) }
        finishedAt = fields.int("finishedAt").map { Timestamp(nanoseconds: Int64($0)) }
        outputs = Outputs(fields["outputs"])
        shutdown = fields.string("shutdown").flatMap(Shutdown.init)
        shutdownMessage = fields.string("shutdownMessage")
        isSuspended = fields.bool("suspended") ?? false
        isPastDeadline = fields.bool("pastDeadline") ?? false
        attemptFloor = (fields["attempts"]?.objectValue ?? [:]).compactMapValues(\.intValue)
        isHeaderChanged = false
    }
}
