// Templates, cluster templates, cron workflows and named values: checked and stored, and shown as Kubernetes does.

package import Persistence
package import Text
import WorkflowLanguage

extension WorkflowOperations {
    /// Checks and stores a definition: a template, cluster template or cron workflow; other kinds are stored as they
    /// are.
    /// - Parameters:
    ///   - document: `kind` and `apiVersion` may be missing.
    ///   - namespace: wins over the document's; left aside for cluster-wide kinds.
    ///   - strict: whether unknown fields are errors.
    /// - Throws: `OperationError`: `invalid` with all diagnostics; `conflict` or `notFound` if the condition does not
    ///   hold.
    package func put(
        _ kind: DefinitionKind, _ document: JSONValue, namespace: String, if condition: WriteCondition,
        strict: Bool = false
    ) async throws -> DefinitionRow {
        try await OperationError.naming {
            let sent = try SentDocument.read(document, kind: kind.rawValue)
            if Self.checkedKinds.contains(kind) {
                let lint = try await lint([sent], namespace: namespace, strict: strict)
                try SentDocument.refuse(SentDocument.withoutPlaces(lint.diagnostics), "the \(kind.rawValue)")
            }
            return try await store(kind, sent.json, namespace: namespace, if: condition)
        }
    }

    private static let checkedKinds: Set<DefinitionKind> = [
        .workflowTemplate, .clusterWorkflowTemplate, .cronWorkflow,
    ]

    /// Stores a definition that was checked.
    package func store(
        _ kind: DefinitionKind, _ checked: JSONValue, namespace: String, if condition: WriteCondition
    ) async throws -> DefinitionRow {
        let rows = try await store([(kind, checked)], namespace: namespace, if: condition)
        guard let row = rows.first else { throw OperationError(.unavailable, "nothing was stored") }
        return row
    }

    /// Stores definitions that were checked, all of them or none.
    package func store(
        _ checked: [(kind: DefinitionKind, document: JSONValue)], namespace: String,
        if condition: WriteCondition
    ) async throws -> [DefinitionRow] {
        try await OperationError.naming {
            let orders = try checked.map { kind, document in
                let metadata = ObjectMetadata(document["metadata"])
                let name = metadata.name.isEmpty ? Submission.generated(metadata.generateName) : metadata.name
                try ArgumentCheck.check(name: name)
                return DefinitionOrder(kind, namespace: namespace, name: name, body: document)
            }
            return try await store.putDefinitions(orders, at: now(), if: condition)
        }
    }

    /// A stored definition.
    /// - Throws: `OperationError` (`notFound`).
    package func definition(_ kind: DefinitionKind, name: String, namespace: String) async throws
        -> DefinitionRow
    {
        try await OperationError.naming {
            if let row = try await store.definition(kind, namespace: namespace, name: name) { return row }
            let known = try await store.definitions(kind, namespace: namespace).prefix(20).map(\.name)
            throw OperationError(.notFound, Self.missing(kind, name, known: known))
        }
    }

    /// What is said of a definition that is not there.
    /// - Parameter known: names of some that are.
    package static func missing(_ kind: DefinitionKind, _ name: String, known: [String]) -> String {
        "there is no \(kind.rawValue) \"\(name.prefix(100))\""
            + (known.isEmpty ? "; none is stored" : "; there are \(known.joined(separator: ", "))")
    }
}

extension DefinitionRow {
    /// The document with what the store knows of it, as Kubernetes shows it.
    package var documentJSON: JSONValue {
        var members = body.objectValue ?? [:]
        members["apiVersion"] = members["apiVersion"] ?? .string("argoproj.io/v1alpha1")
        members["kind"] = .string(kind.rawValue)
        var metadata = members["metadata"]?.objectValue ?? [:]
        metadata["name"] = .string(name)
        if !namespace.isEmpty { metadata["namespace"] = .string(namespace) }
        metadata["creationTimestamp"] = .string(createdAt.rfc3339)
        metadata["generation"] = .int(generation)
        metadata["resourceVersion"] = .string("\(resourceVersion)")
        members["metadata"] = .object(metadata)
        if status != .null { members["status"] = status }
        return .object(members)
    }
}
