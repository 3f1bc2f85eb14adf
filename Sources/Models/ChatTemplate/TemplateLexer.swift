// Splits a template's source into tokens, with whitespace control as transformers sets it for chat templates:
// `trim_blocks` drops the line break behind a block, `lstrip_blocks` the blanks before one at a line's start.

struct TemplateLexer {
    let source: [Unicode.Scalar]
    var position = 0
    var line = 1
    var tokens: [TemplateToken] = []
    /// Whether what was read last ended in a line break, so that blanks that follow begin a line.
    private var atLineStart = true

    /// - Throws: a syntax error, for sources larger than `TemplateLimits.sourceBytes` too.
    static func tokens(of source: String) throws(ChatTemplateError) -> [TemplateToken] {
        guard source.utf8.count <= TemplateLimits.sourceBytes else {
            throw ChatTemplateError(
                kind: .syntax, line: 1,
                problem: "the template is longer than \(TemplateLimits.sourceBytes >> 20) MiB",
                remedy: "check that the file is a chat template")
        }
        var lexer = TemplateLexer(source: normalized(source))
        try lexer.readTemplate()
        return lexer.tokens
    }

    private init(source: [Unicode.Scalar]) { self.source = source }

    /// All line breaks as `\n`, and without the one that ends the source.
    private static func normalized(_ source: String) -> [Unicode.Scalar] {
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(source.utf8.count)
        var afterReturn = false
        for scalar in source.unicodeScalars {
            if scalar == "\n" && afterReturn {
                afterReturn = false
                continue
            }
            afterReturn = scalar == "\r"
            scalars.append(afterReturn ? "\n" : scalar)
        }
        if scalars.last == "\n" { scalars.removeLast() }
        return scalars
    }

    // MARK: Text between tags

    private mutating func readTemplate() throws(ChatTemplateError) {
        while position < source.count {
            guard let tag = nextTag(from: position) else {
                append(.data(PythonString(source[position...])))
                break
            }
            let textStart = position
            let sign = sign(at: tag + 2)
            let isVariable = source[tag + 1] == "{"
            appendText(textStart..<tag, sign: sign, stripsBlanks: !isVariable)
            position = tag + (sign == nil ? 2 : 3)
            switch source[tag + 1] {
            case "#": try readComment()
            case "{":
                append(.variableBegin)
                try readTag(isBlock: false)
            default:
                if try !readRaw() {
                    append(.blockBegin)
                    try readTag(isBlock: true)
                }
            }
        }
        append(.end)
    }

    private func nextTag(from start: Int) -> Int? {
        var index = start
        while index + 1 < source.count {
            let mark = source[index + 1]
            if source[index] == "{", mark == "%" || mark == "{" || mark == "#" { return index }
            index += 1
        }
        return nil
    }

    private func sign(at index: Int) -> Unicode.Scalar? {
        scalar(at: index).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
    }

    /// Appends text that ends at a tag. Leaves `line` at the tag.
    private mutating func appendText(_ range: Range<Int>, sign: Unicode.Scalar?, stripsBlanks: Bool) {
        var end = range.upperBound
        if sign == "-" {
            while end > range.lowerBound, PythonString.isSpace(source[end - 1]) { end -= 1 }
        } else if sign == nil && stripsBlanks {
            var start = end
            while start > range.lowerBound, source[start - 1] != "\n", PythonString.isSpace(source[start - 1])
            {
                start -= 1
            }
            if start > range.lowerBound ? source[start - 1] == "\n" : atLineStart { end = start }
        }
        if end > range.lowerBound { append(.data(PythonString(source[range.lowerBound..<end]))) }
        countLines(range)
    }

    private mutating func readComment() throws(ChatTemplateError) {
        let start = position
        while position < source.count {
            if let end = endOfTag("#", signs: true, trimsLineBreak: true) {
                countLines(start..<end)
                finishTag(at: end)
                return
            }
            position += 1
        }
        throw syntaxError("a comment is not closed", remedy: "end it with `#}`")
    }

    /// Reads a whole `raw` block, if one begins behind `{%`.
    private mutating func readRaw() throws(ChatTemplateError) -> Bool {
        var index = skipSpaces(from: position)
        guard isWord("raw", at: index) else { return false }
        index = skipSpaces(from: index + 3)
        let strips = scalar(at: index) == "-"
        if strips { index += 1 }
        guard scalar(at: index) == "%", scalar(at: index + 1) == "}" else { return false }
        index = strips ? skipSpaces(from: index + 2) : index + 2
        let begin = index
        countLines(position..<begin)
        finishTag(at: begin)
        while let tag = nextTag(from: index) {
            index = tag + 1
            guard source[tag + 1] == "%" else { continue }
            let sign = sign(at: tag + 2)
            let word = skipSpaces(from: tag + (sign == nil ? 2 : 3))
            guard isWord("endraw", at: word) else { continue }
            position = skipSpaces(from: word + 6)
            guard let end = endOfTag("%", signs: true, trimsLineBreak: true) else { continue }
            appendText(begin..<tag, sign: sign, stripsBlanks: true)
            countLines(tag..<end)
            finishTag(at: end)
            return true
        }
        throw syntaxError("a `raw` block is not closed", remedy: "end it with `{% endraw %}`")
    }

    // MARK: Places

    /// Where the reading goes on if a tag ends here: behind `%}` and what its sign takes away.
    /// - Parameters:
    ///   - mark: the character before the closing brace.
    ///   - signs: whether `+` may stand before it; `-` always may.
    func endOfTag(_ mark: Unicode.Scalar, signs: Bool, trimsLineBreak: Bool) -> Int? {
        var index = position
        let first = scalar(at: index)
        let hasSign = first == "-" || (signs && first == "+")
        if hasSign { index += 1 }
        guard scalar(at: index) == mark, scalar(at: index + 1) == "}" else { return nil }
        index += 2
        if hasSign { return first == "-" ? skipSpaces(from: index) : index }
        return trimsLineBreak && scalar(at: index) == "\n" ? index + 1 : index
    }

    /// Goes on behind a tag. The lines must have been counted.
    mutating func finishTag(at end: Int) {
        position = end
        atLineStart = source[end - 1] == "\n"
    }

    func scalar(at index: Int) -> Unicode.Scalar? { index < source.count ? source[index] : nil }

    func skipSpaces(from start: Int) -> Int {
        var index = start
        while index < source.count, PythonString.isSpace(source[index]) { index += 1 }
        return index
    }

    private func isWord(_ word: String, at index: Int) -> Bool {
        source[min(index, source.count)...].starts(with: word.unicodeScalars)
    }

    mutating func countLines(_ range: Range<Int>) {
        for index in range where source[index] == "\n" { line += 1 }
    }

    mutating func append(_ kind: TemplateToken.Kind) { tokens.append(TemplateToken(kind: kind, line: line)) }

    func syntaxError(_ problem: String, remedy: String) -> ChatTemplateError {
        ChatTemplateError(kind: .syntax, line: line, problem: problem, remedy: remedy)
    }
}
