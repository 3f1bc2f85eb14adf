// Models that runs have made, as rows.

package import Text

/// Where a model came from, known by its contents.
package struct ModelInput: Sendable, Hashable {
    /// The input's name: model, adapter, ref_model, dataset.
    package var role: String
    package var sha256: String

    package init(role: String, sha256: String) {
        self.role = role
        self.sha256 = sha256
    }
}

/// A version of a model that is to be recorded.
package struct NewModel: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable { case model, adapter }

    package var namespace: String
    package var name: String
    package var kind: Kind
    /// The kind of the step that made it: sft, quantize.
    package var step: String
    package var sha256: String
    /// Below `models` of the data directory.
    package var place: String
    package var bytes: Int
    package var workflowUID: String
    package var workflow: String
    package var nodeID: String
    package var inputs: [ModelInput] = []
    /// parameters, metrics, codeVersion.
    package var body: JSONValue = .null
    package var createdAt: Timestamp
    /// Set when its bytes were gone before it could be recorded.
    package var deletedAt: Timestamp?

    package init(
        namespace: String, name: String, kind: Kind, step: String, sha256: String, place: String, bytes: Int,
        workflowUID: String, workflow: String, nodeID: String, createdAt: Timestamp
    ) {
        self.namespace = namespace
        self.name = name
        self.kind = kind
        self.step = step
        self.sha256 = sha256
        self.place = place
        self.bytes = bytes
        self.workflowUID = workflowUID
        self.workflow = workflow
        self.nodeID = nodeID
        self.createdAt = createdAt
    }
}

/// A recorded version.
@dynamicMemberLookup
package struct ModelRow: Sendable, Hashable {
    package struct Parent: Sendable, Hashable {
        package var id: Int64
        package var role: String
    }

    package var id: Int64
    /// From 1, within its name.
    package var version: Int
    package var model: NewModel
    package var tags: [String] = []
    package var parents: [Parent] = []

    package subscript<Value>(dynamicMember member: KeyPath<NewModel, Value>) -> Value {
        model[keyPath: member]
    }
}

/// What an `evaluate` step found.
package struct EvaluationRow: Sendable, Hashable {
    package var sha256: String
    package var adapterSHA256: String
    package var workflowUID: String
    package var workflow: String
    package var nodeID: String
    package var template: String
    package var metrics: JSONValue
    package var createdAt: Timestamp

    package init(
        sha256: String, adapterSHA256: String, workflowUID: String, workflow: String, nodeID: String,
        template: String, metrics: JSONValue, createdAt: Timestamp
    ) {
        self.sha256 = sha256
        self.adapterSHA256 = adapterSHA256
        self.workflowUID = workflowUID
        self.workflow = workflow
        self.nodeID = nodeID
        self.template = template
        self.metrics = metrics
        self.createdAt = createdAt
    }
}
