// Whether a document has only fields that exist, each holding the kind of value that it takes. What the
// values mean together is checked elsewhere, on typed values that this check made safe to read.

import Text

package enum ManifestSchema {
    /// The apiVersion of each kind of document.
    private static let versions: [String: String] = [
        "Workflow": argo, "WorkflowTemplate": argo, "ClusterWorkflowTemplate": argo, "CronWorkflow": argo,
        "WorkflowEventBinding": argo, "ConfigMap": "v1", "Secret": "v1",
    ]
    private static let argo = "argoproj.io/v1alpha1"

    /// Whether documents of this kind can be read.
    package static func knownKind(_ kind: String) -> Bool { versions[kind] != nil }

    /// Every problem of a document's fields, in the order of the file.
    /// - Parameter strict: whether a field that does not exist is an error; else it is a warning, and has no
    ///   effect.
    package static func check(_ document: ManifestDocument, strict: Bool) -> [Diagnostic] {
        var checker = SchemaChecker(
            table: SchemaTable.shared, file: document.file, unknownField: strict ? .error : .warning)
        guard case .object = document.value.content else {
            checker.report(
                document.value, "a manifest must be a map, not \(document.value.phrase)",
                remedy: "begin with apiVersion: \(argo) and kind: Workflow")
            return checker.diagnostics
        }
        guard let kind = checkedKind(of: document.value, &checker) else { return checker.diagnostics }
        checkVersion(of: document.value, kind: kind, &checker)
        checker.checkObject(document.value, as: kind)
        return checker.diagnostics.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    /// The document with text in the fields that take text; as it is if its kind is unknown.
    static func textified(_ root: MarkedValue) -> MarkedValue {
        guard let kind = root.member("kind")?.value, case .scalar(.string(let name)) = kind.content,
            versions[name] != nil
        else { return root }
        return SchemaTable.shared.textified(root, as: .object(name)) ?? root
    }

    private static func checkedKind(of root: MarkedValue, _ checker: inout SchemaChecker) -> String? {
        let kinds = versions.keys.sorted()
        guard let member = root.member("kind"), !member.value.isNull else {
            checker.report(
                root, "the document has no kind", remedy: "add kind: Workflow, or another of " + list(kinds))
            return nil
        }
        checker.path = [.key("kind")]
        defer { checker.path = [] }
        guard case .scalar(.string(let kind)) = member.value.content else {
            checker.report(member, "must be a string, not \(member.value.phrase)", remedy: nil)
            return nil
        }
        if versions[kind] != nil { return kind }
        let remedy: String
        if let nearest = EditDistance.nearest(to: kind, in: kinds) {
            remedy = "did you mean \"\(nearest)\"?"
        } else {
            remedy =
                "known kinds: \(list(kinds)); a template of type resource can create other Kubernetes objects"
        }
        checker.report(member, "unknown kind \"\(kind)\"", remedy: remedy)
        return nil
    }

    private static func checkVersion(of root: MarkedValue, kind: String, _ checker: inout SchemaChecker) {
        let version = versions[kind] ?? argo
        guard let member = root.member("apiVersion"), !member.value.isNull else {
            checker.report(root, "the document has no apiVersion", remedy: "add apiVersion: \(version)")
            return
        }
        guard case .scalar(.string(let found)) = member.value.content, found != version else { return }
        checker.path = [.key("apiVersion")]
        checker.report(
            member, "\"\(found)\" is not the version of a \(kind)", remedy: "write apiVersion: \(version)")
        checker.path = []
    }

    private static func list(_ words: [String]) -> String { words.joined(separator: ", ") }
}
