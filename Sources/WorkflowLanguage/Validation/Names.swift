// Names: which characters they may have, that they are unique, and what a wrong one was probably meant to be.

import Text

/// What a name may look like.
enum NameRule {
    /// Templates, steps and tasks.
    case field
    /// Parameters and artifacts.
    case value
    /// Containers: a label of the Domain Name System.
    case container

    static let maxFieldLength = 128
    static let maxContainerLength = 63

    /// What is wrong with a name; nil if nothing is.
    func problem(with name: String) -> String? {
        switch self {
        case .field:
            if name.utf8.count > Self.maxFieldLength {
                return "it must not be more than \(Self.maxFieldLength) characters long"
                    + " (currently \(name.utf8.count))"
            }
            let starts = name.utf8.first.map(ASCII.isAlphanumeric) ?? false
            let allowed = name.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == ASCII.hyphen }
            return starts && allowed
                ? nil : "it must consist of letters, digits and '-', and start with a letter or digit"
        case .value:
            let allowed = name.utf8.allSatisfy {
                ASCII.isAlphanumeric($0) || $0 == ASCII.hyphen || $0 == ASCII.underscore
            }
            return allowed ? nil : "it must consist of letters, digits, '_' and '-'"
        case .container:
            if name.utf8.count > Self.maxContainerLength {
                return "it must not be more than \(Self.maxContainerLength) characters long"
                    + " (currently \(name.utf8.count))"
            }
            return ASCII.isDNSLabel(name)
                ? nil
                : "it must consist of lowercase letters, digits and '-', and not start or end with '-'"
        }
    }

    /// The text with the characters that the rule forbids replaced; nil if nothing sensible remains.
    func suggestion(for name: String) -> String? {
        let replaced = name.utf8.map { byte -> UInt8 in
            if ASCII.isAlphanumeric(byte) { return byte }
            if self == .value, byte == ASCII.underscore { return byte }
            return ASCII.hyphen
        }
        let text = String(decoding: replaced.drop { $0 == ASCII.hyphen }, as: UTF8.self)
        let wanted = self == .container ? text.lowercased() : text
        return !wanted.isEmpty && wanted != name && problem(with: wanted) == nil ? wanted : nil
    }
}

/// Questions about bytes of names.
enum ASCII {
    static let hyphen = UInt8(ascii: "-")
    static let underscore = UInt8(ascii: "_")

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
    static func isLetter(_ byte: UInt8) -> Bool { isLower(byte) || (0x41...0x5A).contains(byte) }
    static func isAlphanumeric(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }

    static func isDNSLabel(_ text: some StringProtocol) -> Bool {
        let bytes = Array(text.utf8)
        let edge: (UInt8) -> Bool = { isLower($0) || isDigit($0) }
        guard let first = bytes.first, let last = bytes.last, edge(first), edge(last) else { return false }
        return bytes.allSatisfy { edge($0) || $0 == hyphen }
    }

    /// A letter or underscore, then letters, digits and underscores: metrics and their labels.
    static func isIdentifier(_ text: String) -> Bool {
        guard let first = text.utf8.first, isLetter(first) || first == underscore else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == underscore }
    }

    static func isBlank(_ text: some StringProtocol) -> Bool { text.allSatisfy(\.isWhitespace) }

    /// The text without blanks at its ends.
    static func trimmed(_ text: some StringProtocol) -> String {
        var rest = text[...]
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}

/// Names of one list: each is there, well formed and unlike the others.
/// - Parameter paths: where each of the named things stands.
func checkNames(
    _ names: [(name: String, path: FieldPath)], _ rule: NameRule, of thing: String,
    into findings: inout Findings
) {
    var first: [String: FieldPath] = [:]
    for (name, path) in names {
        if name.isEmpty {
            findings.error("name is required", at: path, remedy: "give this \(thing) a name")
            continue
        }
        if let problem = rule.problem(with: name) {
            findings.error(
                "name '\(name)' is invalid: \(problem)", at: path["name"],
                remedy: rule.suggestion(for: name).map { "write for example \"\($0)\"" })
        }
        if let other = first[name] {
            findings.error(
                "name '\(name)' is not unique", at: path["name"],
                remedy: "\(other.text) has the same name; rename one of them")
        } else {
            first[name] = path
        }
    }
}

/// Names of a list's elements with their paths.
func named(_ names: [String], at path: FieldPath) -> [(name: String, path: FieldPath)] {
    names.enumerated().map { ($1, path[$0]) }
}

/// The sentence that helps with an unknown name: what there is, and which of it was probably meant.
func remedy(for wrong: String, among names: some Sequence<String>, called what: String) -> String {
    let sorted = Set(names).filter { !$0.isEmpty }.sorted()
    guard !sorted.isEmpty else { return "there are no \(what)" }
    let shown = 12
    var text = "\(what): " + sorted.prefix(shown).joined(separator: ", ")
    if sorted.count > shown { text += " and \(sorted.count - shown) more" }
    if !wrong.isEmpty, let near = EditDistance.nearest(to: wrong, in: sorted) {
        text += "; did you mean \"\(near)\"?"
    }
    return text
}
