// The conditions of `when`, which Argo hands to Knetic/govaluate after replacing tags.

import Text

/// A parsed condition.
package struct WhenExpression: Sendable {
    private let root: WhenNode
    private let bareWordsAreStrings: Bool

    /// How deep a condition may nest.
    package static let maximumDepth = 200
    /// Longest text in bytes.
    package static let maximumLength = 1 << 20

    /// - Parameter bareWordsAreStrings: as for steps; without it, as for cron workflows, words are an error.
    /// - Throws: for text that is no condition. The message does not repeat the text.
    package init(_ text: String, bareWordsAreStrings: Bool = true) throws(ExpressionError) {
        guard text.utf8.count <= Self.maximumLength else {
            throw ExpressionError("the condition is longer than \(Self.maximumLength) bytes")
        }
        self.bareWordsAreStrings = bareWordsAreStrings
        do {
            var parser = WhenParser(tokens: try WhenLexer.tokens(of: text))
            root = try parser.parse()
        } catch {
            throw Self.hinted(error)
        }
    }

    /// Whether the condition holds.
    /// - Throws: for operands of the wrong kind, and when the result is not a boolean.
    package func evaluate() throws(ExpressionError) -> Bool {
        let value: WhenValue
        do {
            value = try WhenEvaluator(bareWordsAreStrings: bareWordsAreStrings).evaluate(root)
        } catch {
            throw Self.hinted(error)
        }
        guard case .bool(let holds) = value else {
            throw ExpressionError("it gives \(value.shown), not true or false")
        }
        return holds
    }

    /// Whether the condition holds; an empty one does.
    /// - Throws: errors that begin with `Invalid 'when' expression` and the text.
    package static func evaluate(
        _ text: String, bareWordsAreStrings: Bool = true
    ) throws(ExpressionError) -> Bool {
        if text.trimmed.isEmpty { return true }
        do {
            return try WhenExpression(text, bareWordsAreStrings: bareWordsAreStrings).evaluate()
        } catch {
            throw ExpressionError(
                "Invalid 'when' expression '\(text)': \(error.message)", offset: error.offset)
        }
    }

    /// Nearly every mistake is a value with blanks or symbols that stands there without quotes.
    private static func hinted(_ error: ExpressionError) -> ExpressionError {
        ExpressionError(
            error.message + " (hint: try wrapping the affected expression in quotes (\"))",
            offset: error.offset)
    }
}

/// What conditions compute with: all numbers are floats.
enum WhenValue: Sendable, Equatable {
    case none
    case bool(Bool)
    case number(Double)
    case string(String)
    case list([WhenValue])

    var shown: String {
        switch self {
        case .none: "nothing"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let number): GoFormat.double(number)
        case .string(let text): text
        case .list(let values): "[" + values.map(\.shown).joined(separator: " ") + "]"
        }
    }
}

/// A part of a condition. Operators of one level are a flat list, so that long conditions make no deep trees.
indirect enum WhenNode: Sendable {
    case value(WhenValue)
    case word(String)
    case prefix(String, WhenNode)
    case chain(WhenNode, [WhenLink])
    case list([WhenNode])

    struct WhenLink: Sendable {
        let symbol: String
        let operand: WhenNode
        let offset: Int
    }
}

/// Reads tokens by precedence; all operators bind to the left, `?`, `:` and `??` too.
struct WhenParser {
    private let tokens: [WhenToken]
    private var position = 0
    private var depth = 0

    /// From the loosest to the tightest.
    private static let levels: [Set<String>] = [
        ["?", ":", "??"], ["||"], ["&&"], ["==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in"],
        ["&", "|", "^"],
        ["<<", ">>"], ["+", "-"], ["*", "/", "%"], ["**"],
    ]

    init(tokens: [WhenToken]) { self.tokens = tokens }

    mutating func parse() throws(ExpressionError) -> WhenNode {
        let node = try parseLevel(0)
        guard current.kind == .end else { throw unexpected() }
        return node
    }

    private var current: WhenToken { tokens[position] }

    private mutating func advance() { position = min(position + 1, tokens.count - 1) }

    private func unexpected() -> ExpressionError {
        switch current.kind {
        case .end:
            let before = tokens.count > 1 ? " after '\(tokens[tokens.count - 2].text.prefix(40))'" : ""
            return ExpressionError("a value is missing\(before)", offset: current.offset)
        case .symbol where position == 0:
            return ExpressionError("a value is missing before '\(current.text)'", offset: current.offset)
        default:
            let before = position > 0 ? " after '\(tokens[position - 1].text.prefix(40))'" : ""
            return ExpressionError("unexpected '\(current.text.prefix(40))'\(before)", offset: current.offset)
        }
    }

    private mutating func parseLevel(_ level: Int) throws(ExpressionError) -> WhenNode {
        guard level < Self.levels.count else { return try parseOperand() }
        let first = try parseLevel(level + 1)
        var links: [WhenNode.WhenLink] = []
        while current.kind == .symbol, Self.levels[level].contains(current.text) {
            let token = current
            advance()
            let operand = try parseLevel(level + 1)
            links.append(WhenNode.WhenLink(symbol: token.text, operand: operand, offset: token.offset))
        }
        return links.isEmpty ? first : .chain(first, links)
    }

    private mutating func parseOperand() throws(ExpressionError) -> WhenNode {
        guard depth < WhenExpression.maximumDepth else {
            throw ExpressionError("the condition nests more than \(WhenExpression.maximumDepth) levels deep")
        }
        depth += 1
        defer { depth -= 1 }
        let token = current
        switch token.kind {
        case .number(let number):
            advance()
            return .value(.number(number))
        case .bool(let flag):
            advance()
            return .value(.bool(flag))
        case .quoted(let text):
            advance()
            return .value(.string(text))
        case .word(let word):
            advance()
            return .word(word)
        case .symbol where ["!", "-", "~"].contains(token.text):
            advance()
            return .prefix(token.text, try parseOperand())
        case .symbol where token.text == "(":
            advance()
            return try parseList()
        case .symbol, .end: throw unexpected()
        }
    }

    /// What stands in brackets: one value, or several between commas.
    private mutating func parseList() throws(ExpressionError) -> WhenNode {
        var nodes: [WhenNode] = []
        while !current.isSymbol(")") {
            if !nodes.isEmpty {
                guard current.isSymbol(",") else {
                    throw current.kind == .end
                        ? ExpressionError("Unbalanced parenthesis", offset: current.offset) : unexpected()
                }
                advance()
            }
            nodes.append(try parseLevel(0))
        }
        advance()
        return nodes.count == 1 ? nodes[0] : .list(nodes)
    }
}
