// Regular expressions of Python's `re`, in which the answers of published tasks are extracted, on the
// linear-time matcher.

package import Text

/// A pattern of Python's language, as far as it can be matched in linear time: back references and lookaround
/// are errors. `\d`, `\w` and `\s` mean Unicode's digits, letters and blanks, `$` also matches before a last
/// line end, and `\Z` is the end; `\b` looks at ASCII letters only.
package struct PythonPattern: Sendable {
    package let source: String
    private let expression: RegularExpression
    /// `$` has Python's meaning, which Go's matcher does not have.
    private let hasSoftEnd: Bool

    package init(_ source: String) throws(RegularExpressionError) {
        self.source = source
        let (translated, hasSoftEnd) = Self.translate(source)
        self.hasSoftEnd = hasSoftEnd
        expression = try RegularExpression(translated)
    }

    /// What `re.findall` gives, several groups of a match being its first that is not empty.
    /// - Parameter limit: of matches.
    package func findAll(_ text: String, limit: Int = 100_000) -> [String] {
        let bytes = Array(text.utf8)
        return matches(text, limit: limit).map { match in
            let groups = match.groups.count > 1 ? Array(match.groups.dropFirst()) : match.groups
            let found = groups.lazy.compactMap { $0 }.first { !$0.isEmpty }
            return found.map { String(decoding: bytes[$0], as: UTF8.self) } ?? ""
        }
    }

    /// What `re.sub` with an empty text gives.
    package func deletingAll(in text: String) -> String {
        guard hasSoftEnd, text.utf8.last == 0x0A else {
            return expression.replacingAll(in: text, literal: "")
        }
        // Whatever stands before the last line end counts as standing at the end.
        let body = String(decoding: text.utf8.dropLast(), as: UTF8.self)
        return expression.replacingAll(in: body, literal: "") + "\n"
    }

    package func matches(_ text: String) -> Bool { !matches(text, limit: 1).isEmpty }

    private func matches(_ text: String, limit: Int) -> [RegularExpression.Match] {
        if hasSoftEnd, text.utf8.last == 0x0A {
            let body = String(decoding: text.utf8.dropLast(), as: UTF8.self)
            let found = expression.allMatches(in: body, limit: limit)
            if !found.isEmpty { return found }
        }
        return expression.allMatches(in: text, limit: limit)
    }

    /// The same pattern in Go's language.
    private static func translate(_ source: String) -> (pattern: String, hasSoftEnd: Bool) {
        var result = ""
        var hasDollar = false
        var isInClass = false
        var scalars = Array(source.unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\\":
                guard let letter = scalars.popFirst() else {
                    result += "\\"
                    break
                }
                result += escape(letter, isInClass: isInClass)
            case "[" where !isInClass:
                isInClass = true
                result.unicodeScalars.append(scalar)
                // A bracket that closes at once is a member of the class.
                if scalars.first == "^", let mark = scalars.popFirst() { result.unicodeScalars.append(mark) }
                if scalars.first == "]" {
                    scalars.removeFirst()
                    result += "\\]"
                }
            case "[": result += "\\["
            case "]" where isInClass:
                isInClass = false
                result += "]"
            default:
                if scalar == "$", !isInClass { hasDollar = true }
                result.unicodeScalars.append(scalar)
            }
        }
        let isMultiline = source.contains("(?m") || source.contains("(?im") || source.contains("(?sm")
        return (result, hasDollar && !isMultiline)
    }

    private static func escape(_ letter: Unicode.Scalar, isInClass: Bool) -> String {
        let blanks = "\\t-\\r\\x1c-\\x20\\x85\\p{Z}"
        switch letter {
        case "Z": return "\\z"
        case "d": return "\\p{Nd}"
        case "D": return "\\P{Nd}"
        case "w": return isInClass ? "\\p{L}\\p{N}_" : "[\\p{L}\\p{N}_]"
        case "W": return isInClass ? "\\W" : "[^\\p{L}\\p{N}_]"
        case "s": return isInClass ? blanks : "[\(blanks)]"
        case "S": return isInClass ? "\\S" : "[^\(blanks)]"
        default: return "\\" + String(letter)
        }
    }
}
