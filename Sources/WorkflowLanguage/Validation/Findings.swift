// What the validators found, before it is known in which file and line.

/// One problem at a path of the document.
struct Finding: Sendable, Hashable {
    var path: FieldPath
    var severity: Diagnostic.Severity
    var message: String
    var remedy: String?
}

/// A growing list of problems. The same problem is kept once, though several ways may lead to it.
struct Findings: Sendable {
    private struct Key: Hashable {
        var path: FieldPath
        var message: String
    }

    private(set) var all: [Finding] = []
    private var seen: Set<Key> = []

    mutating func add(_ finding: Finding) {
        if seen.insert(Key(path: finding.path, message: finding.message)).inserted { all.append(finding) }
    }

    mutating func error(_ message: String, at path: FieldPath, remedy: String? = nil) {
        add(Finding(path: path, severity: .error, message: message, remedy: remedy))
    }

    mutating func warning(_ message: String, at path: FieldPath, remedy: String? = nil) {
        add(Finding(path: path, severity: .warning, message: message, remedy: remedy))
    }

    /// Whether a problem of the same words stands at the same place.
    func contains(_ finding: Finding) -> Bool {
        seen.contains(Key(path: finding.path, message: finding.message))
    }
}
