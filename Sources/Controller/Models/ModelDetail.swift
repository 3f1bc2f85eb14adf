// One version of a model with all that is known around it, as the command line, the server and the page show it.

package import Persistence
import Scheduling
package import Text

extension ModelOperations {
    /// A version with its family, the evaluations of the whole family, oldest first, and the deployments that serve it.
    /// - Parameter isVisible: whether what lies in a namespace may be told.
    package func detail(
        of row: ModelRow, isVisible: @Sendable (String) -> Bool = { _ in true }
    ) async throws -> JSONValue {
        let family = try await family(of: row).filter { isVisible($0.namespace) }
        let names = Dictionary(family.map { ($0.sha256, $0.words) }, uniquingKeysWith: { _, newer in newer })
        let served = try await deployments(of: row).filter { isVisible($0.namespace) }
        var members = row.json.objectValue ?? [:]
        members["family"] = .array(family.map(\.json))
        members["evaluations"] = .array(
            try await evaluations(of: family).map { evaluation in
                let name = names[evaluation.adapterSHA256] ?? names[evaluation.sha256]
                return evaluation.json(of: name)
            })
        members["deployments"] = .array(served.map { .string($0.name) })
        return .object(members)
    }

    /// The evaluations of all versions of a family, oldest first. Versions may have the same bytes.
    private func evaluations(of family: [ModelRow]) async throws -> [EvaluationRow] {
        var found: Set<EvaluationRow> = []
        for sum in Set(family.map(\.sha256)) {
            found.formUnion(
                try await OperationError.naming { try await store.evaluations(sha256: sum) })
        }
        return found.sorted { ($0.createdAt, $0.nodeID) < ($1.createdAt, $1.nodeID) }
    }
}

extension ModelRow {
    /// `NAME:v3`: what the verbs take.
    package var words: String { "\(repository):v\(version)" }
}

extension EvaluationRow {
    /// - Parameter model: the version that was looked at; nil where it is not known any more.
    fileprivate func json(of model: String?) -> JSONValue {
        .object([
            "model": model.map(JSONValue.string) ?? .null, "sha256": .string(sha256),
            "adapterSha256": adapterSHA256.isEmpty ? .null : .string(adapterSHA256),
            "template": .string(template), "run": ["uid": .string(workflowUID), "name": .string(workflow)],
            "node": .string(nodeID), "metrics": metrics, "createdAt": .string(createdAt.rfc3339),
        ])
    }
}
