// All problems of a set of documents at once, each with its place: what `martlet lint` prints, what the
// server answers to a bad submission, and what `martlet run` says before it runs nothing.

import Text

/// Checks documents.
package enum Linter {
    /// - Parameters:
    ///   - documents: of one call; they may refer to each other.
    ///   - catalog: what is stored already. Of equal names, the documents count.
    /// - Returns: the problems, those of one file together and sorted by line.
    package static func lint(
        _ documents: [ManifestDocument], catalog: TemplateCatalog, options: ValidationOptions
    ) -> [Diagnostic] {
        var catalog = catalog
        var owners: Set<String> = []
        for document in documents {
            catalog.add(document.json)
            if let owner = ownerID(of: document) { owners.insert(owner) }
        }
        var diagnostics: [Diagnostic] = []
        for document in documents {
            let schema = ManifestSchema.check(document, strict: options.strict)
            diagnostics += schema
            // Fields of the wrong kind read as absent, so that further problems would only mislead.
            if schema.contains(where: { $0.severity == .error }) { continue }
            diagnostics += validate(document, catalog: catalog, options: options, documents: owners)
        }
        return unique(sorted(diagnostics, documents: documents))
    }

    private static func ownerID(of document: ManifestDocument) -> String? {
        let name = document.json["metadata"]?["name"]?.stringValue ?? ""
        switch document.kind {
        case "WorkflowTemplate": return ValidationContext.ownerID(name, clusterScope: false)
        case "ClusterWorkflowTemplate": return ValidationContext.ownerID(name, clusterScope: true)
        default: return nil
        }
    }

    private static func validate(
        _ document: ManifestDocument, catalog: TemplateCatalog, options: ValidationOptions,
        documents: Set<String>
    ) -> [Diagnostic] {
        var findings = Findings()
        let checker = DocumentChecker(catalog: catalog, options: options, documents: documents)
        checker.check(document, into: &findings)
        return findings.all.map { finding in
            let place = document.value.place(of: finding.path.elements)
            return Diagnostic(
                file: document.file, line: place.line, column: place.column, path: finding.path.text,
                severity: finding.severity, message: finding.message, remedy: finding.remedy)
        }
    }

    private static func sorted(_ diagnostics: [Diagnostic], documents: [ManifestDocument]) -> [Diagnostic] {
        var order: [String: Int] = [:]
        for document in documents where order[document.file] == nil { order[document.file] = order.count }
        return diagnostics.enumerated().sorted { left, right in
            let (a, b) = (left.element, right.element)
            return (order[a.file] ?? 0, a.line, a.column, left.offset)
                < (order[b.file] ?? 0, b.line, b.column, right.offset)
        }.map(\.element)
    }

    private static func unique(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        var seen: Set<Diagnostic> = []
        return diagnostics.filter { seen.insert($0).inserted }
    }
}
