// Cuts a `when` condition into tokens, as Knetic/govaluate does.

import Text

/// A token of a condition.
struct WhenToken: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case number(Double)
        case bool(Bool)
        case quoted(String)
        /// A bare word; Argo takes it for a text.
        case word(String)
        case symbol
        case end
    }

    var kind: Kind
    /// As it stands in the source; for symbols what they are.
    var text: String
    /// UTF-8 offset in the source.
    var offset: Int

    func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
}

struct WhenLexer {
    private let source: [Unicode.Scalar]
    private var position = 0
    private var offset = 0
    private var tokens: [WhenToken] = []

    /// Operators, the longest first, since the longest that fits is meant.
    private static let symbols: [[Unicode.Scalar]] = [
        "**", "==", "!=", ">=", "<=", "=~", "!~", "&&", "||", ">>", "<<", "??", "+", "-", "*", "/", "%", "&",
        "|",
        "^", ">", "<", "!", "~", "?", ":", "(", ")", ",",
    ].map { Array($0.unicodeScalars) }

    /// The tokens of a text, the last of which is the end.
    static func tokens(of text: String) throws(ExpressionError) -> [WhenToken] {
        var lexer = WhenLexer(source: Array(text.unicodeScalars))
        while lexer.position < lexer.source.count { try lexer.readToken() }
        lexer.add(.end, from: lexer.position, at: lexer.offset)
        return lexer.tokens
    }

    private init(source: [Unicode.Scalar]) { self.source = source }

    private mutating func advance() {
        offset += UTF8.width(source[position])
        position += 1
    }

    private mutating func add(_ kind: WhenToken.Kind, from start: Int, at offset: Int) {
        tokens.append(WhenToken(kind: kind, text: SprigText.string(source[start..<position]), offset: offset))
    }

    private mutating func readToken() throws(ExpressionError) {
        let scalar = source[position]
        let start = position
        let startOffset = offset
        switch scalar {
        case _ where scalar.properties.isWhitespace: advance()
        case "0"..."9", ".": try readNumber()
        case "'", "\"":
            let content = try readDelimited(by: scalar, name: "text")
            add(.quoted(content), from: start, at: startOffset)
        case "[":
            let name = try readDelimited(by: "]", name: "bracket")
            add(.word(name), from: start, at: startOffset)
        case "\\": try readWord()
        case _ where SprigText.isLetter(scalar): try readWord()
        default: try readSymbol()
        }
    }

    private mutating func readNumber() throws(ExpressionError) {
        let start = position
        let startOffset = offset
        if source[position] == "0", position + 1 < source.count, source[position + 1] == "x" {
            advance()
            advance()
            while position < source.count, source[position].properties.isASCIIHexDigit { advance() }
        } else {
            while position < source.count, source[position] == "." || ("0"..."9").contains(source[position]) {
                advance()
            }
        }
        let text = SprigText.string(source[start..<position])
        let whole =
            text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16).map { Double($0) } : Double(text)
        guard let number = whole, number.isFinite else {
            throw ExpressionError("'\(text)' is not a number", offset: startOffset)
        }
        add(.number(number), from: start, at: startOffset)
    }

    /// What stands between delimiters; a backslash takes the next character as it is.
    private mutating func readDelimited(
        by end: Unicode.Scalar, name: String
    ) throws(ExpressionError) -> String {
        let startOffset = offset
        advance()
        var content = String.UnicodeScalarView()
        while position < source.count {
            if source[position] == end {
                advance()
                return String(content)
            }
            if source[position] == "\\", position + 1 < source.count { advance() }
            content.append(source[position])
            advance()
        }
        throw ExpressionError("unclosed \(name): a \(end) is missing", offset: startOffset)
    }

    /// Letters, digits, underscores and dots, and whatever has a backslash before it.
    private mutating func readWord() throws(ExpressionError) {
        let start = position
        let startOffset = offset
        var word = String.UnicodeScalarView()
        while position < source.count {
            let scalar = source[position]
            if scalar == "\\", position + 1 < source.count {
                advance()
                word.append(source[position])
                advance()
                continue
            }
            let isPart =
                scalar == "_" || scalar == "." || SprigText.isLetter(scalar)
                || scalar.properties.generalCategory == .decimalNumber
            guard isPart else { break }
            word.append(scalar)
            advance()
        }
        guard position > start else {
            throw ExpressionError("Invalid token: '\\'", offset: startOffset)
        }
        switch SprigText.string(source[start..<position]) {
        case "true": add(.bool(true), from: start, at: startOffset)
        case "false": add(.bool(false), from: start, at: startOffset)
        case "in", "IN": tokens.append(WhenToken(kind: .symbol, text: "in", offset: startOffset))
        case let spelling where spelling.contains(".") && !spelling.contains("\\"):
            // govaluate takes it for a field of a structure, and there are no structures here.
            throw ExpressionError(
                "'\(spelling)' has a dot, which means a field of something", offset: startOffset)
        default: add(.word(String(word)), from: start, at: startOffset)
        }
    }

    private mutating func readSymbol() throws(ExpressionError) {
        let startOffset = offset
        let start = position
        guard let symbol = Self.symbols.first(where: { source[position...].starts(with: $0) }) else {
            let run = source[position...].prefix { scalar in
                !scalar.properties.isWhitespace && !SprigText.isLetter(scalar)
                    && !("0"..."9").contains(scalar)
                    && !"()[]'\"".unicodeScalars.contains(scalar)
            }
            let shown = run.isEmpty ? String(source[position]) : SprigText.string(run.prefix(40))
            throw ExpressionError("Invalid token: '\(shown)'", offset: startOffset)
        }
        for _ in symbol { advance() }
        add(.symbol, from: start, at: startOffset)
    }
}
