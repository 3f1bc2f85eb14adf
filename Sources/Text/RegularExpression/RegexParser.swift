// Reads the text of a regular expression into a syntax tree.

indirect enum RegexSyntax: Sendable {
    case empty
    case scalar(Unicode.Scalar, foldsCase: Bool)
    case set(ScalarSet)
    case any(includingNewline: Bool)
    case assertion(Assertion)
    case group(RegexSyntax, index: Int)
    case sequence([RegexSyntax])
    case alternatives([RegexSyntax])
    case repetition(RegexSyntax, minimum: Int, maximum: Int?, isGreedy: Bool)

    enum Assertion: UInt8, Sendable {
        case textBegin, textEnd, lineBegin, lineEnd, wordBoundary, noWordBoundary
    }
}

struct RegexParser {
    /// Deeper nesting is refused, so that neither reading nor compiling exhausts the stack.
    private static let maximumDepth = 250

    struct Flags {
        var foldsCase = false
        var isMultiline = false
        var dotMatchesNewline = false
        var isUngreedy = false
    }

    let pattern: [Unicode.Scalar]
    var position = 0
    var flags = Flags()
    private(set) var groupNames: [String?] = [nil]
    private var depth = 0

    init(pattern: String) { self.pattern = Array(pattern.unicodeScalars) }

    mutating func parse() throws(RegularExpressionError) -> RegexSyntax {
        let syntax = try parseAlternatives()
        guard position == pattern.count else { throw failure("unexpected )") }
        return .group(syntax, index: 0)
    }

    private mutating func parseAlternatives() throws(RegularExpressionError) -> RegexSyntax {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth)") }
        var alternatives = [try parseSequence()]
        while take("|") { alternatives.append(try parseSequence()) }
        return alternatives.count == 1 ? alternatives[0] : .alternatives(alternatives)
    }

    private mutating func parseSequence() throws(RegularExpressionError) -> RegexSyntax {
        var parts: [RegexSyntax] = []
        while let scalar = peek, scalar != "|", scalar != ")" {
            if pattern[position...].starts(with: ["\\", "Q"]) {
                try parseQuotation(into: &parts)
                continue
            }
            guard let part = try parseAtom() else { continue }
            parts.append(try parseRepetition(of: part))
        }
        switch parts.count {
        case 0: return .empty
        case 1: return parts[0]
        default: return .sequence(parts)
        }
    }

    /// `\Q...\E`: everything between stands for itself; only the last character can be repeated.
    private mutating func parseQuotation(into parts: inout [RegexSyntax]) throws(RegularExpressionError) {
        position += 2
        while position < pattern.count, !pattern[position...].starts(with: ["\\", "E"]) {
            parts.append(.scalar(pattern[position], foldsCase: flags.foldsCase))
            position += 1
        }
        if position < pattern.count { position += 2 }
        if let last = parts.popLast() { parts.append(try parseRepetition(of: last)) }
    }

    /// One atom; nil if it only changed flags.
    private mutating func parseAtom() throws(RegularExpressionError) -> RegexSyntax? {
        let scalar = pattern[position]
        switch scalar {
        case "(": return try parseGroup()
        case "[": return .set(try parseClass())
        case "\\": return try parseEscape()
        case "*", "+", "?": throw failure("missing argument to repetition operator: \(scalar)")
        case ".":
            position += 1
            return .any(includingNewline: flags.dotMatchesNewline)
        case "^":
            position += 1
            return .assertion(flags.isMultiline ? .lineBegin : .textBegin)
        case "$":
            position += 1
            return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
        default:
            position += 1
            return .scalar(scalar, foldsCase: flags.foldsCase)
        }
    }

    // MARK: Repetition

    private mutating func parseRepetition(of part: RegexSyntax) throws(RegularExpressionError) -> RegexSyntax
    {
        guard let (minimum, maximum) = try takeCounts() else { return part }
        let isLazy = take("?")
        let result = RegexSyntax.repetition(
            part, minimum: minimum, maximum: maximum, isGreedy: isLazy == flags.isUngreedy)
        let end = position
        if try takeCounts() != nil {
            position = end
            throw failure("a repetition cannot be repeated without a group around it")
        }
        return result
    }

    /// Takes `*`, `+`, `?` or `{n,m}`; nil if none is here. A brace that is no count stands for itself.
    private mutating func takeCounts() throws(RegularExpressionError) -> (minimum: Int, maximum: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard peek == "{" else { return nil }
        let start = position
        position += 1
        guard let minimum = takeNumber() else {
            position = start
            return nil
        }
        var maximum: Int? = minimum
        if take(",") { maximum = takeNumber() }
        guard take("}") else {
            position = start
            return nil
        }
        guard minimum <= RegularExpression.maximumRepetition,
            maximum ?? minimum <= RegularExpression.maximumRepetition, maximum ?? minimum >= minimum
        else {
            position = start
            throw failure("invalid repeat count; at most \(RegularExpression.maximumRepetition) are allowed")
        }
        return (minimum, maximum)
    }

    private mutating func takeNumber() -> Int? {
        var number: Int?
        while let digit = peek?.asciiDigitValue {
            number = min((number ?? 0) * 10 + digit, 1_000_000)
            position += 1
        }
        return number
    }

    // MARK: Groups

    private mutating func parseGroup() throws(RegularExpressionError) -> RegexSyntax? {
        let start = position
        position += 1
        let outerFlags = flags
        var index: Int?
        if take("?") {
            if let name = try parseGroupName() {
                index = groupNames.count
                groupNames.append(name)
            } else if try parseFlags() {
                return nil
            }
        } else {
            index = groupNames.count
            groupNames.append(nil)
        }
        let content = try parseAlternatives()
        guard take(")") else {
            position = start
            throw failure("missing closing )")
        }
        flags = outerFlags
        guard let index else { return content }
        return .group(content, index: index)
    }

    /// Takes `P<name>` or `<name>`, the question mark being taken already; nil if there is none.
    private mutating func parseGroupName() throws(RegularExpressionError) -> String? {
        for unsupported in ["=", "!", "<=", "<!", ">"]
        where pattern[position...].starts(with: unsupported.unicodeScalars) {
            throw failure("(?\(unsupported) is not supported: lookaround and atomic groups need backtracking")
        }
        if pattern[position...].starts(with: ["P", "<"]) {
            position += 2
        } else if !take("<") {
            return nil
        }
        let start = position
        while let scalar = peek, scalar != ">" {
            let isWord = NamedClasses.word.contains { $0.contains(scalar.value) }
            guard isWord else { throw failure("a group's name has letters, digits and underscores only") }
            position += 1
        }
        let name = String(String.UnicodeScalarView(pattern[start..<position]))
        guard take(">"), !name.isEmpty else { throw failure("invalid group name") }
        guard !groupNames.contains(name) else { throw failure("two groups are named \(name)") }
        return name
    }

    /// Takes flags up to `)` (true: they hold for the rest of the enclosing group) or `:` (false).
    private mutating func parseFlags() throws(RegularExpressionError) -> Bool {
        var isSetting = true
        var count = 0
        while let scalar = peek {
            position += 1
            switch scalar {
            case "i": flags.foldsCase = isSetting
            case "m": flags.isMultiline = isSetting
            case "s": flags.dotMatchesNewline = isSetting
            case "U": flags.isUngreedy = isSetting
            case "-" where isSetting:
                isSetting = false
                count = 0
                continue
            case ")" where count > 0 || isSetting: return true
            case ":" where count > 0 || isSetting: return false
            default: throw failure("unknown flag \(scalar) in a group", back: 1)
            }
            count += 1
        }
        throw failure("missing closing )")
    }

    // MARK: Reading

    var peek: Unicode.Scalar? { position < pattern.count ? pattern[position] : nil }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        position += 1
        return true
    }

    func failure(_ message: String, back: Int = 0) -> RegularExpressionError {
        RegularExpressionError(message: message, offset: max(0, min(position, pattern.count) - back))
    }
}
