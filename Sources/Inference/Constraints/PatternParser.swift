// Reads regular expressions in the syntax that Python, ECMAScript and RE2 share. What an automaton cannot do,
// and what the dialects disagree about, is refused by its name.

struct PatternParser {
    struct Flags {
        var foldsCase = false
        var dotMatchesNewline = false
    }

    let pattern: [Unicode.Scalar]
    var position = 0
    var flags = Flags()
    private var depth = 0

    /// The highest count in `{n,m}`.
    static let maximumCount = 5000

    init(_ pattern: String) throws(ConstraintError) {
        guard pattern.utf8.count <= ConstraintLimits.patternBytes else {
            throw ConstraintError(
                place: "", problem: "the pattern is longer than \(ConstraintLimits.patternBytes) bytes",
                remedy: "shorten it")
        }
        self.pattern = Array(pattern.unicodeScalars)
    }

    mutating func parse() throws(ConstraintError) -> PatternSyntax {
        let syntax = try parseAlternatives()
        guard position == pattern.count else { throw failure("unmatched )") }
        return syntax
    }

    var peek: Unicode.Scalar? { position < pattern.count ? pattern[position] : nil }

    mutating func take(_ text: String) -> Bool {
        guard pattern[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    func failure(_ problem: String, remedy: String = "correct the pattern") -> ConstraintError {
        ConstraintError(place: "", problem: "pattern, character \(position + 1): \(problem)", remedy: remedy)
    }

    func unsupported(_ what: String) -> ConstraintError {
        failure("\(what) cannot be used to constrain output", remedy: "write the pattern without it")
    }

    private mutating func parseAlternatives() throws(ConstraintError) -> PatternSyntax {
        depth += 1
        defer { depth -= 1 }
        guard depth <= ConstraintLimits.nesting else { throw failure("groups nest too deeply") }
        var alternatives = [try parseSequence()]
        while take("|") { alternatives.append(try parseSequence()) }
        return alternatives.count == 1 ? alternatives[0] : .alternatives(alternatives)
    }

    private mutating func parseSequence() throws(ConstraintError) -> PatternSyntax {
        var parts: [PatternSyntax] = []
        while let next = peek, next != "|", next != ")" {
            parts.append(try parseQuantified())
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func parseQuantified() throws(ConstraintError) -> PatternSyntax {
        let start = position
        var atom = try parseAtom()
        var isQuantified = false
        while let (minimum, maximum) = try takeQuantifier() {
            guard !isQuantified else { throw failure("multiple repeat") }
            guard start < position else { throw failure("nothing to repeat") }
            switch atom {
            // What is left of a comment or of flags.
            case .empty: throw failure("nothing to repeat")
            case .textBegin, .textEnd: throw failure("an anchor cannot be repeated")
            default: break
            }
            atom = .repetition(atom, minimum: minimum, maximum: maximum)
            isQuantified = true
            // A lazy quantifier prefers other matches but has the same language.
            if peek == "?" {
                position += 1
            } else if peek == "+" {
                throw unsupported("a possessive quantifier")
            }
        }
        return atom
    }

    private mutating func takeQuantifier() throws(ConstraintError) -> (Int, Int?)? {
        switch peek {
        case "*":
            position += 1
            return (0, nil)
        case "+":
            position += 1
            return (1, nil)
        case "?":
            position += 1
            return (0, 1)
        case "{": return try takeCounts()
        default: return nil
        }
    }

    /// `{n}`, `{n,}`, `{,m}` or `{n,m}`; any other brace stands for itself.
    private mutating func takeCounts() throws(ConstraintError) -> (Int, Int?)? {
        let start = position
        position += 1
        let low = takeNumber()
        var high = low
        var hasComma = false
        if take(",") {
            hasComma = true
            high = takeNumber()
        }
        guard take("}"), low != nil || high != nil else {
            position = start
            return nil
        }
        let minimum = low ?? 0
        let maximum = hasComma ? high : low
        guard minimum <= Self.maximumCount, maximum ?? 0 <= Self.maximumCount else {
            throw failure("a count above \(Self.maximumCount)", remedy: "use a smaller count")
        }
        if let maximum, maximum < minimum { throw failure("minimum count is above the maximum") }
        return (minimum, maximum)
    }

    private mutating func takeNumber() -> Int? {
        var value: Int?
        while let scalar = peek, ("0"..."9").contains(scalar) {
            value = min((value ?? 0) * 10 + Int(scalar.value - 0x30), 1_000_000)
            position += 1
        }
        return value
    }

    private mutating func parseAtom() throws(ConstraintError) -> PatternSyntax {
        guard let scalar = peek else { return .empty }
        switch scalar {
        case "(": return try parseGroup()
        case "[": return .character(try parseClass())
        case "\\": return try parseEscape()
        case "^":
            position += 1
            return .textBegin
        case "$":
            position += 1
            return .textEnd
        case ".":
            position += 1
            return .character(flags.dotMatchesNewline ? .all : PatternClass.withinLine.sure)
        case "*", "+", "?": throw failure("nothing to repeat")
        case "{":
            // A count with nothing before it is an error in some dialects and plain text in others.
            if try takeCounts() != nil { throw failure("nothing to repeat") }
            position += 1
            return literal(scalar)
        default:
            position += 1
            return literal(scalar)
        }
    }

    func literal(_ scalar: Unicode.Scalar) -> PatternSyntax {
        let plain = PatternClass([scalar.value...scalar.value])
        return .character(flags.foldsCase ? plain.foldingCase.sure : plain.sure)
    }

    // MARK: Groups

    private mutating func parseGroup() throws(ConstraintError) -> PatternSyntax {
        let outer = flags
        let start = position
        position += 1
        if take("?") {
            if let whole = try parseGroupKind(start: start) { return whole }
        } else if take("*") {
            position = start
            throw unsupported("a verb in (*")
        }
        let inner = try parseAlternatives()
        guard take(")") else {
            position = start
            throw failure("missing )")
        }
        flags = outer
        return inner
    }

    /// What follows `(?`.
    /// - Returns: the group's meaning if it ends with this, as a comment or flags do.
    private mutating func parseGroupKind(start: Int) throws(ConstraintError) -> PatternSyntax? {
        let refused: [(String, String)] = [
            ("=", "look-ahead (?="), ("!", "negative look-ahead (?!"), ("<=", "look-behind (?<="),
            ("<!", "negative look-behind (?<!"), (">", "an atomic group (?>"),
            ("P=", "a back-reference (?P="), ("(", "a conditional group (?("),
            ("|", "a branch reset (?|"), ("R", "recursion (?R)"), ("&", "recursion (?&"),
        ]
        for (prefix, name) in refused where take(prefix) {
            position = start
            throw unsupported(name)
        }
        if take(":") { return nil }
        if take("P<") || take("<") {
            guard let end = pattern[position...].firstIndex(of: ">"), end > position else {
                throw failure("a group's name does not end")
            }
            position = end + 1
            return nil
        }
        if take("#") {
            guard let end = pattern[position...].firstIndex(of: ")") else { throw failure("missing )") }
            position = end + 1
            return .empty
        }
        return try parseFlags(start: start)
    }

    private mutating func parseFlags(start: Int) throws(ConstraintError) -> PatternSyntax? {
        var isOn = true
        while let scalar = peek {
            position += 1
            switch scalar {
            case "i": flags.foldsCase = isOn
            case "s": flags.dotMatchesNewline = isOn
            // The classes are generated so that they hold with either meaning.
            case "a", "u": break
            case "-": isOn = false
            case ":": return nil
            case ")":
                // Python has such flags at the beginning only, where they count for the whole pattern.
                guard start == 0 else { throw failure("flags that are not at the beginning") }
                return .empty
            default:
                position -= 1
                throw unsupported("the group or flag (?\(scalar)")
            }
        }
        throw failure("missing )")
    }
}
