// A document that came as JSON over the network: completed, read as a manifest file is, and its problems told by path.

package import Text
package import WorkflowLanguage

package enum SentDocument {
    /// So many problems are told in the message itself; the rest only as diagnostics.
    private static let toldProblems = 5
    /// What Kubernetes notes in the metadata of an object, and what nobody sends on purpose.
    private static let serverFields = [
        "creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink", "uid",
        "ownerReferences",
    ]

    /// Reads a document whose `kind` and `apiVersion` may be missing; its status is left aside.
    /// - Throws: `OperationError` (`invalid`).
    package static func read(_ json: JSONValue, kind: String) throws(OperationError) -> ManifestDocument {
        guard var members = json.objectValue else {
            throw OperationError(.invalid, "a \(kind) is an object with metadata and spec")
        }
        if let given = members["kind"]?.stringValue, !given.isEmpty, given != kind {
            throw OperationError(.invalid, "kind is \"\(given.prefix(100))\"; it must be \(kind)")
        }
        members["kind"] = .string(kind)
        if members["apiVersion"]?.stringValue?.isEmpty ?? true {
            members["apiVersion"] = .string("argoproj.io/v1alpha1")
        }
        members["status"] = nil
        if var metadata = members["metadata"]?.objectValue {
            for field in serverFields { metadata[field] = nil }
            members["metadata"] = .object(metadata)
        }
        let (documents, diagnostics) = ManifestReader.read(
            Array(JSONValue.object(members).compactText.utf8), file: "")
        try refuse(withoutPlaces(diagnostics), "the \(kind)")
        guard let document = documents.first, documents.count == 1 else {
            throw OperationError(.invalid, "one \(kind) is wanted; \(documents.count) were sent")
        }
        return document
    }

    /// Diagnostics without lines and columns, which mean nothing in JSON that a program sent.
    package static func withoutPlaces(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        diagnostics.map { diagnostic in
            var told = diagnostic
            told.file = ""
            told.line = 0
            told.column = 0
            return told
        }
    }

    /// - Throws: `OperationError` (`invalid`) if there are errors among the diagnostics.
    package static func refuse(_ diagnostics: [Diagnostic], _ what: String) throws(OperationError) {
        let errors = diagnostics.filter { $0.severity == .error }
        guard !errors.isEmpty else { return }
        let told = errors.prefix(toldProblems).map { error in
            // Argo's clients show the message only, and what to do next must not be lost.
            (error.path.isEmpty ? error.message : "\(error.path): \(error.message)")
                + (error.remedy.map { " (\($0))" } ?? "")
        }
        var message =
            "\(what) has \(errors.count == 1 ? "an error" : "\(errors.count) errors"): "
            + told.joined(separator: "; ")
        if errors.count > toldProblems { message += "; and \(errors.count - toldProblems) more" }
        throw OperationError(.invalid, message, diagnostics: diagnostics)
    }
}
