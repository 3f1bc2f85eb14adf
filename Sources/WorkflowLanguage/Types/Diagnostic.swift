// What is wrong with a manifest, said so that its writer can mend it.

package import Text

/// A step on the way from a document's root to a value.
package enum PathElement: Sendable, Hashable {
    case key(String)
    case index(Int)
}

extension [PathElement] {
    /// The path as people write it: `spec.templates[2].dag.tasks[1].depends`.
    package var text: String {
        var text = ""
        for element in self {
            switch element {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }
}

/// One problem: where it is, what it is, what to do.
package struct Diagnostic: Sendable, Hashable {
    package enum Severity: String, Sendable { case error, warning }

    package var file: String
    /// Counted from 1; 0 where no place is known.
    package var line: Int
    package var column: Int
    package var path: String
    package var severity: Severity
    package var message: String
    package var remedy: String?

    package init(
        file: String = "", line: Int = 0, column: Int = 0, path: String = "", severity: Severity = .error,
        message: String, remedy: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.severity = severity
        self.message = message
        self.remedy = remedy
    }

    /// `train.yaml:41:18: error: spec.templates[2]...: message`, and the remedy on a line of its own.
    package var description: String {
        var text = file.isEmpty ? "" : file + ":"
        if line > 0 { text += "\(line):\(column):" }
        if !text.isEmpty { text += " " }
        text += "\(severity.rawValue): "
        if !path.isEmpty { text += path + ": " }
        text += message
        if let remedy { text += "\n  " + remedy }
        return text
    }

    /// The form of `martlet lint -o json`.
    package var json: JSONValue {
        .object([
            "file": .string(file), "line": .int(line), "column": .int(column), "path": .string(path),
            "severity": .string(severity.rawValue), "message": .string(message),
            "remedy": remedy.map(JSONValue.string) ?? .null,
        ])
    }
}
