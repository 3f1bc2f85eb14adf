// Which linear layers keep their weights.

package import Text

/// Names and patterns of modules that are not quantized (`modules_to_not_convert`).
///
/// A plain name means every module that has it as a part: `down_proj`, `mlp.down_proj`, `layers.0`. With `*`
/// or `?` it is a pattern for the whole name; behind `re:`, or with other signs of one, a regular expression
/// that is searched for.
package struct ModuleSkips: Sendable {
    private enum Rule: Sendable {
        case name(String)
        case expression(RegularExpression)
    }

    private let rules: [Rule]

    /// - Throws: for an expression that is none.
    package init(_ words: [String]) throws(RegularExpressionError) {
        var rules: [Rule] = []
        for word in words {
            if word.hasPrefix("re:") {
                rules.append(.expression(try RegularExpression(String(word.dropFirst(3)))))
            } else if word.contains(where: { "^$()[]{}|\\+".contains($0) }) {
                rules.append(.expression(try RegularExpression(word)))
            } else if word.contains("*") || word.contains("?") {
                rules.append(.expression(try RegularExpression(Self.expression(forGlob: word))))
            } else {
                rules.append(.name(word))
            }
        }
        self.rules = rules
    }

    package func contains(_ module: String) -> Bool {
        rules.contains { rule in
            switch rule {
            case .name(let name): ".\(module).".contains(".\(name).")
            case .expression(let expression): expression.matches(module)
            }
        }
    }

    private static func expression(forGlob glob: String) -> String {
        let body = glob.map { character in
            switch character {
            case "*": ".*"
            case "?": "."
            case ".": "\\."
            default: String(character)
            }
        }
        return "^\(body.joined())$"
    }
}
