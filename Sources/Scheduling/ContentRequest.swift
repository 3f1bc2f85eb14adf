// What the content cache is asked and answers: values only, since reading artifacts is for the shell.

package import Text
package import WorkflowLanguage

/// A node's work, as far as it decides what comes out.
package struct ContentRequest: Sendable, Hashable {
    /// By field: what the template says after substitution.
    package var fields: [String: String]
    /// Inputs, whose content the shell finds out.
    package var artifacts: [Artifact]
    /// Whether the work is one of Martlet's own steps, which then depends on Martlet's version too.
    package var isBuiltIn: Bool

    package init(fields: [String: String], artifacts: [Artifact], isBuiltIn: Bool) {
        self.fields = fields
        self.artifacts = artifacts
        self.isBuiltIn = isBuiltIn
    }
}

/// What the cache says.
package struct ContentAnswer: Sendable, Hashable {
    /// The digest of all fields; nil where it cannot be made, so that the node is neither looked up nor kept.
    package var key: String?
    /// The fields of the request, with the inputs' digests and the version.
    package var fields: [String: String]
    /// What the earlier node gave, if there is one and all of it is still there.
    package var outputs: Outputs?
    /// That node, for people: the run's name and the node's.
    package var origin: String

    package init(
        key: String? = nil, fields: [String: String] = [:], outputs: Outputs? = nil, origin: String = ""
    ) {
        self.key = key
        self.fields = fields
        self.outputs = outputs
        self.origin = origin
    }
}

/// What is kept of a finished node.
package struct ContentRecord: Sendable, Hashable {
    package var key: String
    package var fields: [String: String]
    package var outputs: Outputs
    package var workflowName: String
    package var nodeName: String
    package var finishedAt: Timestamp

    package init(
        key: String, fields: [String: String], outputs: Outputs, workflowName: String, nodeName: String,
        finishedAt: Timestamp
    ) {
        self.key = key
        self.fields = fields
        self.outputs = outputs
        self.workflowName = workflowName
        self.nodeName = nodeName
        self.finishedAt = finishedAt
    }

    package var json: JSONValue {
        .object([
            "key": .string(key), "fields": .object(fields.mapValues(JSONValue.string)),
            "outputs": outputs.json, "workflow": .string(workflowName), "node": .string(nodeName),
            "finishedAt": .int(Int(finishedAt.nanoseconds)),
        ])
    }

    /// Nil for what `json` did not write.
    package init?(_ json: JSONValue) {
        let fields = Fields(json)
        guard let key = fields.string("key"), let workflow = fields.string("workflow"),
            let node = fields.string("node")
        else { return nil }
        self.init(
            key: key, fields: fields.textMap("fields"), outputs: Outputs(fields["outputs"]),
            workflowName: workflow, nodeName: node,
            finishedAt: Timestamp(nanoseconds: Int64(fields.int("finishedAt") ?? 0)))
    }
}
