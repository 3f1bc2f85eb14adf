// The rules of each kind of document: its name, and what its specification needs.

import Text

/// Checks the meaning of one document whose fields are known to be of the right kinds.
struct DocumentChecker {
    var catalog: TemplateCatalog
    var options: ValidationOptions
    /// Owner IDs of the stored definitions among the documents of the same call.
    var documents: Set<String>

    /// Names become labels, which Kubernetes limits; those of a CronWorkflow get a time appended.
    static let maxNameLength = 63
    static let maxCronNameLength = 52

    func check(_ document: ManifestDocument, into findings: inout Findings) {
        let json = document.json
        let path = FieldPath()["spec"]
        checkName(ObjectMetadata(json["metadata"]), kind: document.kind, into: &findings)
        switch document.kind {
        case "Workflow":
            let workflow = Workflow(json)
            check(workflow.spec, of: workflow.metadata, at: path, into: &findings)
        case "WorkflowTemplate", "ClusterWorkflowTemplate":
            let workflow = Workflow(json)
            check(workflow.spec, of: workflow.metadata, isStored: true, at: path, into: &findings)
        case "CronWorkflow":
            let cron = CronWorkflow(json)
            CronChecker(catalog: catalog).check(cron, at: path, into: &findings)
            check(
                cron.workflowSpec, of: ObjectMetadata(cron.workflowMetadata), needsValues: true,
                at: path["workflowSpec"], into: &findings)
        default:
            break
        }
    }

    private func check(
        _ spec: WorkflowSpec, of metadata: ObjectMetadata, isStored: Bool = false, needsValues: Bool = false,
        at path: FieldPath, into findings: inout Findings
    ) {
        ValidationContext.check(
            spec, of: .init(metadata: metadata, isStored: isStored, needsValues: needsValues), at: path,
            catalog: catalog, options: options, documents: documents, into: &findings)
    }

    private func checkName(_ metadata: ObjectMetadata, kind: String, into findings: inout Findings) {
        let name = metadata.name
        guard !name.isEmpty else { return }
        let path = FieldPath()["metadata"]["name"]
        let limit = kind == "CronWorkflow" ? Self.maxCronNameLength : Self.maxNameLength
        let isDefinition = ["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"]
            .contains(kind)
        if isDefinition, name.utf8.count > limit {
            findings.error(
                "\(words[kind] ?? kind) name \"\(name)\" must not be more than \(limit) characters long"
                    + " (currently \(name.utf8.count))",
                at: path, remedy: "shorten it by \(name.utf8.count - limit) characters")
        }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        if !labels.allSatisfy(ASCII.isDNSLabel) {
            findings.error(
                "name '\(name)' is invalid: it must consist of lowercase letters, digits, '-' and '.', and"
                    + " start and end with a letter or digit",
                at: path,
                remedy: NameRule.container.suggestion(for: name).map { "write for example \"\($0)\"" })
        }
    }

    private var words: [String: String] {
        [
            "Workflow": "workflow", "WorkflowTemplate": "workflow template",
            "ClusterWorkflowTemplate": "cluster workflow template", "CronWorkflow": "cron workflow",
        ]
    }
}
