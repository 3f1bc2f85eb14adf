// Kubernetes' label selectors: `team=nlp,tier!=test,env in (a, b),!old`.

package import Persistence
import Text

package enum LabelSelector {
    /// A selector may have so many requirements.
    static let requirementLimit = 100

    /// - Throws: `OperationError` (`invalid`) for text that is no selector.
    package static func parse(_ text: String) throws(OperationError) -> [LabelRequirement] {
        let parts = parts(of: text)
        guard parts.count <= requirementLimit else {
            throw OperationError(
                .invalid, "label selector: \(parts.count) requirements; it may have \(requirementLimit)")
        }
        var requirements: [LabelRequirement] = []
        for part in parts { requirements.append(try requirement(part)) }
        return requirements
    }

    /// The parts between commas that are not inside parentheses.
    private static func parts(of text: String) -> [String] {
        var parts: [String] = []
        var current = ""
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append(current)
                current = ""
            } else {
                current.append(character)
            }
        }
        parts.append(current)
        return parts.map(trimmed).filter { !$0.isEmpty }
    }

    private static func requirement(_ text: String) throws(OperationError) -> LabelRequirement {
        if let equals = text.firstIndex(of: "="), !text.contains("(") {
            var key = String(text[..<equals])
            var value = String(text[text.index(after: equals)...])
            if value.hasPrefix("=") { value.removeFirst() }
            let isNegated = key.hasSuffix("!")
            if isNegated { key.removeLast() }
            key = try checked(key, text)
            return isNegated
                ? .notEquals(key: key, value: trimmed(value)) : .equals(key: key, value: trimmed(value))
        }
        if let open = text.firstIndex(of: "("), text.hasSuffix(")") {
            let words = text[..<open].split(separator: " ")
            let inside = text[text.index(after: open)...].dropLast()
            let values = inside.split(separator: ",").map { trimmed(String($0)) }
            if words.count == 2, !values.isEmpty {
                if words[1] == "in" { return .isIn(key: try checked(String(words[0]), text), values: values) }
                if words[1] == "notin" {
                    return .notIn(key: try checked(String(words[0]), text), values: values)
                }
            }
            throw problem(text)
        }
        if text.hasPrefix("!") { return .absent(key: try checked(String(text.dropFirst()), text)) }
        return .exists(key: try checked(text, text))
    }

    private static func checked(_ key: String, _ text: String) throws(OperationError) -> String {
        let key = trimmed(key)
        let isLegal = key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./".contains($0)) }
        guard !key.isEmpty, isLegal else { throw problem(text) }
        return key
    }

    private static func problem(_ text: String) -> OperationError {
        OperationError(
            .invalid,
            "label selector: \"\(text.prefix(200))\" is none of a=b, a!=b, a in (b,c), a notin (b,c), a, !a")
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.first == " " { text = text.dropFirst() }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
