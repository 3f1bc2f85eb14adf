// The way in: the bytes of a manifest file become documents whose values know where they stand.

import Text

/// Why reading stopped before the end of a file.
struct ReadFailure: Error {
    var line: Int
    var column: Int
    var path: [PathElement] = []
    var message: String
    var remedy: String?

    func diagnostic(file: String) -> Diagnostic {
        Diagnostic(
            file: file, line: line, column: column, path: path.text, message: message, remedy: remedy)
    }
}

/// What one of the two parsers found: documents up to the first failure, and every problem.
struct ReadResult {
    var roots: [MarkedValue] = []
    var failures: [ReadFailure] = []
}

package enum ManifestReader {
    /// Reads YAML or JSON. Values come out as Argo's command line has them: see `YAMLScalar` for words
    /// without quotes, `SchemaTable.textified` for numbers where text belongs.
    ///
    /// - Returns: the documents before the first error of syntax, empty ones left out and lists taken apart;
    ///   and what is wrong, all of it errors. Documents may be used only when there are no errors. A file
    ///   without any document is an error too, because whoever named it wanted something done.
    package static func read(
        _ bytes: [UInt8], file: String, limits: ReadLimits = .init()
    ) -> (documents: [ManifestDocument], diagnostics: [Diagnostic]) {
        var result = ReadResult()
        do throws(ReadFailure) {
            let source = try SourceText(bytes, limits: limits)
            result = readJSON(source, limits: limits) ?? YAMLStream.read(source, limits: limits)
            result.roots = try result.roots.filter { !$0.isNull }.flattened(limit: limits.documents)
        } catch {
            result.failures.append(error)
        }
        if result.roots.isEmpty, result.failures.isEmpty {
            result.failures = [
                ReadFailure(
                    line: 1, column: 1, message: "nothing to run: the file holds no document",
                    remedy:
                        "a manifest begins with apiVersion: argoproj.io/v1alpha1 and kind: Workflow"
                )
            ]
        }
        return (
            result.roots.map { ManifestDocument(file: file, value: ManifestSchema.textified($0)) },
            result.failures.map { $0.diagnostic(file: file) }
        )
    }

    /// JSON by its own parser: it is faster, and knows what YAML's does not (escapes of surrogate pairs, keys
    /// of any length). Nil when the file is not JSON, which for one that begins with a brace may still be
    /// YAML.
    private static func readJSON(_ source: SourceText, limits: ReadLimits) -> ReadResult? {
        guard source.looksLikeJSON else { return nil }
        var parser = MarkedJSONParser(source.bytes, limits: limits)
        switch parser.parse() {
        case .value(let root): return ReadResult(roots: [root], failures: parser.duplicates)
        case .limit(let failure): return ReadResult(failures: [failure])
        case .notJSON: return nil
        }
    }
}

extension [MarkedValue] {
    /// Lists as `kubectl get -o yaml` writes them, taken apart into their items.
    fileprivate func flattened(limit: Int) throws(ReadFailure) -> [MarkedValue] {
        var documents: [MarkedValue] = []
        for root in self {
            if let items = root.listItems { documents += items } else { documents.append(root) }
            if documents.count > limit {
                throw ReadFailure(
                    line: root.line, column: root.column,
                    message: "the file holds more than \(limit) documents",
                    remedy: "split it into several files")
            }
        }
        return documents
    }
}

extension MarkedValue {
    var isNull: Bool {
        if case .scalar(.null) = content { return true }
        return false
    }

    /// The member of an object.
    func member(_ key: String) -> Member? {
        guard case .object(let members) = content else { return nil }
        return members.last { $0.key == key }
    }

    /// The items of a document of kind List, WorkflowList and the like; nil for other documents.
    fileprivate var listItems: [MarkedValue]? {
        guard let kind = member("kind")?.value, let list = member("items")?.value,
            case .scalar(.string(let name)) = kind.content, name.hasSuffix("List"),
            case .array(let items) = list.content
        else { return nil }
        return items
    }
}
