// Cuts an expression's text into tokens, as the language of expr-lang/expr v1.17 defines them.

/// A token and where it begins.
struct ExpressionToken: Sendable, Equatable {
    enum Kind: Sendable {
        case number, string, identifier, symbol, end
    }

    let kind: Kind
    /// The number as written, the string's content, the name or the symbol; empty at the end.
    let text: String
    /// UTF-8 offset in the source.
    let offset: Int

    func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }

    /// The token as a message shows it.
    var shown: String {
        switch kind {
        case .end: "the end"
        case .string: "the text \"\(text.prefix(40))\""
        case .number, .identifier, .symbol: "'\(text.prefix(40))'"
        }
    }
}

struct ExpressionLexer {
    private let source: [Unicode.Scalar]
    private var position = 0
    private var offset = 0
    private var tokens: [ExpressionToken] = []

    /// The words that are operators wherever they do not follow a dot.
    fileprivate static let keywords: Set<String> = [
        "not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else",
    ]
    private static let pairs: Set<String> = [
        "&&", "||", "==", "!=", "<=", ">=", "**", "??", "?.", "..", "::",
    ]
    private static let singles: Set<Unicode.Scalar> = [
        "#", ",", ":", ";", "%", "+", "-", "^", "*", "/", "<", ">", "!", ".", "|", "?", "=", "(", ")", "[",
        "]",
        "{", "}",
    ]

    /// The tokens of a text, the last of which is the end.
    static func tokens(of source: String) throws(ExpressionError) -> [ExpressionToken] {
        var lexer = ExpressionLexer(source: Array(source.unicodeScalars))
        while lexer.position < lexer.source.count { try lexer.readToken() }
        lexer.add(.end, "", at: lexer.offset)
        return lexer.tokens
    }

    private init(source: [Unicode.Scalar]) { self.source = source }

    private mutating func readToken() throws(ExpressionError) {
        let scalar = source[position]
        let start = offset
        switch scalar {
        case _ where scalar.properties.isWhitespace: advance()
        case "'", "\"": try readString(quote: scalar)
        case "`": try readRawString()
        case "0"..."9": try readNumber()
        case "." where peek(1).map(Self.isDecimal) == true: try readNumber()
        case "/" where peek(1) == "/": skipLine()
        case "/" where peek(1) == "*": try skipComment()
        case _ where Self.isNameScalar(scalar):
            let word = read(while: Self.isNameScalar)
            add(Self.keywords.contains(word) ? .symbol : .identifier, word, at: start)
        default: try readSymbol()
        }
    }

    private mutating func readSymbol() throws(ExpressionError) {
        let scalar = source[position]
        let start = offset
        if let next = peek(1) {
            let pair = String(scalar) + String(next)
            // In `c ?.5 : 1` the dot belongs to the number.
            let isConditional = pair == "?." && peek(2).map(Self.isDecimal) == true
            if Self.pairs.contains(pair), !isConditional {
                advance()
                advance()
                add(.symbol, pair, at: start)
                return
            }
        }
        guard Self.singles.contains(scalar) else {
            throw ExpressionError("'\(scalar)' has no meaning in an expression", offset: start)
        }
        advance()
        add(.symbol, String(scalar), at: start)
    }

    /// Whether a scalar may stand in a name.
    static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_", "$": return true
            default: return false
            }
        }
        return SprigText.isLetter(scalar) || scalar.properties.generalCategory == .decimalNumber
    }

    private static func isDecimal(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    private func peek(_ distance: Int) -> Unicode.Scalar? {
        position + distance < source.count ? source[position + distance] : nil
    }

    private mutating func advance() {
        offset += UTF8.width(source[position])
        position += 1
    }

    private mutating func read(while condition: (Unicode.Scalar) -> Bool) -> String {
        let start = position
        while position < source.count, condition(source[position]) { advance() }
        return SprigText.string(source[start..<position])
    }

    private mutating func add(_ kind: ExpressionToken.Kind, _ text: String, at start: Int) {
        tokens.append(ExpressionToken(kind: kind, text: text, offset: start))
    }

    private mutating func skipLine() {
        while position < source.count, source[position] != "\n" { advance() }
    }

    private mutating func skipComment() throws(ExpressionError) {
        let start = offset
        advance()
        advance()
        while position < source.count {
            if source[position] == "*", peek(1) == "/" {
                advance()
                advance()
                return
            }
            advance()
        }
        throw ExpressionError("the comment is not closed", offset: start)
    }
}

// MARK: - Literals

extension ExpressionLexer {
    private mutating func readNumber() throws(ExpressionError) {
        let start = offset
        var text = ""
        var isDigit: (Unicode.Scalar) -> Bool = { Self.isDecimal($0) || $0 == "_" }
        if source[position] == "0", let mark = peek(1), "xXoObB".unicodeScalars.contains(mark) {
            advance()
            advance()
            text = "0\(mark)"
            isDigit = { $0.properties.isASCIIHexDigit || $0 == "_" }
        }
        text += read(while: isDigit)
        // In `1..3` the dots are the range operator.
        if peek(0) == ".", peek(1) != "." {
            advance()
            text += "." + read(while: isDigit)
        }
        if let mark = peek(0), mark == "e" || mark == "E" {
            advance()
            text += "e"
            if let sign = peek(0), sign == "+" || sign == "-" {
                advance()
                text.unicodeScalars.append(sign)
            }
            text += read(while: isDigit)
        }
        if let next = peek(0), Self.isNameScalar(next) {
            throw ExpressionError("bad number '\(text)\(next)'", offset: start)
        }
        add(.number, text, at: start)
    }

    private mutating func readRawString() throws(ExpressionError) {
        let start = offset
        advance()
        let content = read(while: { $0 != "`" })
        guard position < source.count else {
            throw ExpressionError("the text is not closed: a ` is missing", offset: start)
        }
        advance()
        add(.string, content, at: start)
    }

    private mutating func readString(quote: Unicode.Scalar) throws(ExpressionError) {
        let start = offset
        advance()
        var content = String.UnicodeScalarView()
        while position < source.count {
            let scalar = source[position]
            switch scalar {
            case quote:
                advance()
                add(.string, String(content), at: start)
                return
            case "\\":
                content.append(try readEscape())
            case "\r":
                // Line ends are the same however the file writes them.
                advance()
                if peek(0) != "\n" { content.append("\n") }
            default:
                content.append(scalar)
                advance()
            }
        }
        throw ExpressionError("the text is not closed: a \(quote) is missing", offset: start)
    }

    private mutating func readEscape() throws(ExpressionError) -> Unicode.Scalar {
        let start = offset
        advance()
        guard let letter = peek(0) else { throw ExpressionError("the text ends after \\", offset: start) }
        advance()
        switch letter {
        case "a": return "\u{07}"
        case "b": return "\u{08}"
        case "f": return "\u{0C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{0B}"
        case "\\", "'", "\"", "`", "?": return letter
        case "x", "X": return try readCode(digits: 2, radix: 16, from: start)
        case "u": return try readCode(digits: 4, radix: 16, from: start)
        case "U": return try readCode(digits: 8, radix: 16, from: start)
        case "0"..."3":
            position -= 1
            offset -= 1
            return try readCode(digits: 3, radix: 8, from: start)
        default:
            throw ExpressionError(
                "unknown escape '\\\(letter)'; write \\\\ for a backslash, or use `...`", offset: start)
        }
    }

    private mutating func readCode(
        digits: Int, radix: Int, from start: Int
    ) throws(ExpressionError) -> Unicode.Scalar {
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = peek(0).flatMap({ Character($0).hexDigitValue }), digit < radix else {
                throw ExpressionError("an escape needs \(digits) digits of base \(radix)", offset: start)
            }
            code = code &* UInt32(radix) &+ UInt32(digit)
            advance()
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw ExpressionError("the escape is no Unicode character", offset: start)
        }
        return scalar
    }
}
