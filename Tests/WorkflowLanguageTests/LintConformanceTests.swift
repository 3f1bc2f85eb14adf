// Manifests from elsewhere: those that must be accepted and those that must be refused. They lie beside the
// repository or where $MARTLET_CONFORMANCE says; without them these tests are skipped.

import Foundation
import Testing
import Text

@testable import WorkflowLanguage

enum Conformance {
    /// The directory with the folders `argo-examples`, `argo-semantics` and `argo-invalid`.
    static let directory: URL? = {
        let given = ProcessInfo.processInfo.environment["MARTLET_CONFORMANCE"].map {
            URL(fileURLWithPath: $0)
        }
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
            .deletingLastPathComponent()
        let directory = given ?? repository.deletingLastPathComponent().appendingPathComponent("shared")
        let probe = directory.appendingPathComponent("argo-examples").path
        return FileManager.default.fileExists(atPath: probe) ? directory : nil
    }()

    /// Rows of a folder's `expected.tsv`, by the names of its columns.
    static func rows(_ folder: String) throws -> [[String: String]] {
        guard let directory else { return [] }
        let file = directory.appendingPathComponent(folder).appendingPathComponent("expected.tsv")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        let columns = lines[0].split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        return lines.dropFirst().map { line in
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            return Dictionary(zip(columns, cells), uniquingKeysWith: { first, _ in first })
        }
    }

    static func read(_ folder: String, _ file: String) throws -> ([ManifestDocument], [Diagnostic]) {
        guard let directory else { return ([], []) }
        let url = directory.appendingPathComponent(folder).appendingPathComponent(file)
        let result = ManifestReader.read([UInt8](try Data(contentsOf: url)), file: file)
        return (result.documents, result.diagnostics)
    }

    static func lint(
        _ folder: String, _ file: String, catalog: TemplateCatalog, options: ValidationOptions = .init()
    ) throws -> [Diagnostic] {
        let (documents, problems) = try read(folder, file)
        return problems + Linter.lint(documents, catalog: catalog, options: options)
    }
}

@Suite(
    .enabled(if: Conformance.directory != nil, "skipped: there is no ../shared and no $MARTLET_CONFORMANCE"))
struct LintConformanceTests {
    @Test("Every manifest that Argo accepts lints clean", arguments: ["argo-examples", "argo-semantics"])
    func accepted(folder: String) throws {
        var catalog = TemplateCatalog()
        for row in try Conformance.rows("argo-examples") where row["group"] == "fixture" {
            for document in try Conformance.read("argo-examples", row["file"] ?? "").0 {
                catalog.add(document.json)
            }
        }
        let rows = try Conformance.rows(folder)
        #expect(rows.count > 50)
        for row in rows {
            let file = row["file"] ?? ""
            let problems = try Conformance.lint(folder, file, catalog: catalog)
            #expect(problems.map(\.description) == [], "\(file)")
        }
    }

    @Test("Every manifest that Argo refuses is refused, and the mistake is named")
    func refused() throws {
        var options = ValidationOptions()
        options.allowMissingImage = false
        let rows = try Conformance.rows("argo-invalid")
        #expect(rows.count > 50)
        for row in rows {
            let file = row["file"] ?? ""
            let catalog = TemplateCatalog(timeZones: ["Europe/Paris"])
            let errors = try Conformance.lint("argo-invalid", file, catalog: catalog, options: options)
                .filter { $0.severity == .error }
            #expect(!errors.isEmpty, "\(file)")
            let text = errors.map(\.description).joined(separator: "\n")
            for word in Self.words(of: row["argo_error_contains"] ?? "") {
                #expect(text.contains(word), "\(file): '\(word)' is not in \(text)")
            }
        }
    }

    /// What a message must name: everything in quotes and braces in Argo's message.
    private static func words(of message: String) -> [String] {
        var words: [String] = []
        for (open, close) in [("'", "'"), ("{{", "}}"), ("\"", "\"")] {
            let parts = message.replacing("\\\"", with: "\"").split(
                separator: open, omittingEmptySubsequences: false)
            if open == close {
                words += stride(from: 1, to: parts.count - 1, by: 2).map { String(parts[$0]) }
            } else {
                words += parts.dropFirst().compactMap { $0.split(separator: close).first.map(String.init) }
            }
        }
        return words.filter { !["help: ", "_"].contains($0) && !$0.contains("/") && !$0.hasPrefix("spec.") }
    }
}
