// Reads the regular expressions of tokenizer files. Hugging Face matches them with Oniguruma in Ruby's
// syntax, so that is the language: `^` and `$` are ends of lines, `a{2}+` is no possessive quantifier.

/// Why a pattern was refused.
struct PatternError: Error, Sendable, Hashable {
    var message: String
    /// In characters from the beginning of the pattern.
    var offset: Int
}

indirect enum PatternNode: Sendable {
    case empty
    case set(PatternClass)
    case sequence([PatternNode])
    case alternation([PatternNode])
    case repetition(PatternNode, minimum: Int, maximum: Int?, PatternGreed)
    case atomic(PatternNode)
    case look(PatternNode, isBehind: Bool, isNegative: Bool)
    case assertion(PatternAssertion)
}

enum PatternGreed: Sendable, Hashable { case greedy, lazy, possessive }

enum PatternAssertion: Sendable, Hashable {
    case textStart, textEnd, textEndOrNewline, lineStart, lineEnd, wordBoundary, noWordBoundary
}

struct PatternParser {
    static let maximumLength = 10_000
    static let maximumDepth = 50
    /// How many quantifiers may stand behind each other, as in `a+*`.
    static let maximumQuantifiers = 4
    static let maximumRepetition = 1_000

    private let scalars: [UInt32]
    private var position = 0
    private var depth = 0
    private var ignoresCase = false
    private var dotMatchesNewline = false
    private var isExtended = false

    init(_ pattern: String) { scalars = pattern.unicodeScalars.map(\.value) }

    mutating func parse() throws(PatternError) -> PatternNode {
        guard scalars.count <= Self.maximumLength else {
            throw failure("longer than \(Self.maximumLength) characters")
        }
        let node = try parseAlternation()
        guard position == scalars.count else { throw failure("a \")\" without \"(\"") }
        return node
    }

    private mutating func parseAlternation() throws(PatternError) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw failure("groups nested too deep") }
        var branches = [try parseSequence()]
        while take("|") { branches.append(try parseSequence()) }
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    private mutating func parseSequence() throws(PatternError) -> PatternNode {
        var items: [PatternNode] = []
        while position < scalars.count, !at("|"), !at(")") {
            if isExtended, skipExtendedBlank() { continue }
            // `(?i)` without a colon counts to the end of the enclosing group.
            if let node = try parseInlineFlags() {
                items.append(node)
                continue
            }
            var node = try parseAtom()
            var quantifiers = 0
            while let repeated = try parseQuantifier(of: node) {
                node = repeated
                quantifiers += 1
                guard quantifiers <= Self.maximumQuantifiers else { throw failure("repeated too often") }
            }
            items.append(node)
        }
        return items.count == 1 ? items[0] : items.isEmpty ? .empty : .sequence(items)
    }

    private mutating func skipExtendedBlank() -> Bool {
        if at("#") {
            while position < scalars.count, scalars[position] != 0x0A { position += 1 }
            return true
        }
        guard [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20].contains(scalars[position]) else { return false }
        position += 1
        return true
    }

    private mutating func parseAtom() throws(PatternError) -> PatternNode {
        let value = scalars[position]
        position += 1
        switch Unicode.Scalar(value) {
        case "(": return try parseGroup()
        case "[":
            var parser = PatternClassParser(scalars: scalars, position: position, ignoresCase: ignoresCase)
            let set = try parser.parse()
            position = parser.position
            return .set(set)
        case ".":
            let newline = PatternClass(ranges: [0x0A...0x0A])
            return .set(
                dotMatchesNewline ? PatternClass(ranges: [0...0x10FFFF]) : newline.negated)
        case "^": return .assertion(.lineStart)
        case "$": return .assertion(.lineEnd)
        case "*", "+", "?": throw failure("nothing to repeat")
        case "\\": return try parseEscape()
        default: return literal(value)
        }
    }

    private func literal(_ value: UInt32) -> PatternNode {
        .set(PatternClass(ranges: [value...value], ignoresCase: ignoresCase))
    }

    private mutating func parseEscape() throws(PatternError) -> PatternNode {
        guard position < scalars.count else { throw failure("the pattern ends in a backslash") }
        if (0x31...0x39).contains(scalars[position]) {
            throw failure("references to groups are not supported")
        }
        switch Unicode.Scalar(scalars[position]) {
        case "A": return assertion(.textStart)
        case "z": return assertion(.textEnd)
        case "Z": return assertion(.textEndOrNewline)
        case "b": return assertion(.wordBoundary)
        case "B": return assertion(.noWordBoundary)
        case "k", "g": throw failure("references to groups are not supported")
        case "G", "K", "X", "y", "Y", "R", "N", "O", "C", "M": throw failure("this escape is not supported")
        default: break
        }
        var parser = PatternClassParser(scalars: scalars, position: position, ignoresCase: ignoresCase)
        let set = try parser.parseEscape()
        position = parser.position
        return .set(set)
    }

    private mutating func assertion(_ assertion: PatternAssertion) -> PatternNode {
        position += 1
        return .assertion(assertion)
    }

    /// `(?i)` and `(?-i)`: the rest of the group is read with the new flags.
    private mutating func parseInlineFlags() throws(PatternError) -> PatternNode? {
        let start = position
        guard take("("), take("?") else {
            position = start
            return nil
        }
        let flags = (ignoresCase, dotMatchesNewline, isExtended)
        guard parseFlags(), take(")") else {
            (ignoresCase, dotMatchesNewline, isExtended) = flags
            position = start
            return nil
        }
        let rest = try parseAlternation()
        (ignoresCase, dotMatchesNewline, isExtended) = flags
        return rest
    }

    /// - Returns: false if there is another letter than those of flags.
    private mutating func parseFlags() -> Bool {
        var isOn = true
        var count = 0
        while position < scalars.count {
            switch Unicode.Scalar(scalars[position]) {
            case "i": ignoresCase = isOn
            case "m": dotMatchesNewline = isOn
            case "x": isExtended = isOn
            case "-": isOn = false
            default: return count > 0
            }
            position += 1
            count += 1
        }
        return false
    }
}

extension PatternParser {
    private mutating func parseGroup() throws(PatternError) -> PatternNode {
        guard take("?") else { return try closed(try parseAlternation()) }
        if take("#") {
            while position < scalars.count, !at(")") { position += 1 }
            return try closed(.empty)
        }
        if take(":") { return try closed(try parseAlternation()) }
        if take(">") { return try closed(.atomic(try parseAlternation())) }
        if take("=") { return try look(isBehind: false, isNegative: false) }
        if take("!") { return try look(isBehind: false, isNegative: true) }
        if take("<") {
            if take("=") { return try look(isBehind: true, isNegative: false) }
            if take("!") { return try look(isBehind: true, isNegative: true) }
            while position < scalars.count, !at(">") { position += 1 }
            guard take(">") else { throw failure("a group's name without \">\"") }
            return try closed(try parseAlternation())
        }
        let flags = (ignoresCase, dotMatchesNewline, isExtended)
        guard parseFlags(), take(":") else { throw failure("this kind of group is not supported") }
        let node = try parseAlternation()
        (ignoresCase, dotMatchesNewline, isExtended) = flags
        return try closed(node)
    }

    private mutating func look(isBehind: Bool, isNegative: Bool) throws(PatternError) -> PatternNode {
        try closed(.look(try parseAlternation(), isBehind: isBehind, isNegative: isNegative))
    }

    private mutating func closed(_ node: PatternNode) throws(PatternError) -> PatternNode {
        guard take(")") else { throw failure("a \"(\" without \")\"") }
        return node
    }

    /// A quantifier after a node, nil if none follows.
    private mutating func parseQuantifier(of node: PatternNode) throws(PatternError) -> PatternNode? {
        var bounds: (minimum: Int, maximum: Int?)
        var isInterval = false
        if take("?") {
            bounds = (0, 1)
        } else if take("*") {
            bounds = (0, nil)
        } else if take("+") {
            bounds = (1, nil)
        } else if let interval = try parseInterval() {
            bounds = interval
            isInterval = true
        } else {
            return nil
        }
        if case .assertion = node { throw failure("nothing to repeat") }
        if case .look = node { throw failure("nothing to repeat") }
        if !isInterval, take("+") {
            return .repetition(node, minimum: bounds.minimum, maximum: bounds.maximum, .possessive)
        }
        if isInterval, bounds.minimum == bounds.maximum, take("?") {
            // In Ruby `a{2}?` is `(?:a{2})?`.
            return .repetition(
                .repetition(node, minimum: bounds.minimum, maximum: bounds.maximum, .greedy), minimum: 0,
                maximum: 1, .greedy)
        }
        let greed: PatternGreed = take("?") ? .lazy : .greedy
        return .repetition(node, minimum: bounds.minimum, maximum: bounds.maximum, greed)
    }

    /// `{2}`, `{2,}`, `{,3}` or `{2,3}`; anything else in braces is text.
    private mutating func parseInterval() throws(PatternError) -> (minimum: Int, maximum: Int?)? {
        let start = position
        guard take("{") else { return nil }
        let minimum = parseNumber()
        let hasComma = take(",")
        let maximum = hasComma ? parseNumber() : minimum
        guard take("}"), minimum != nil || maximum != nil else {
            position = start
            return nil
        }
        let (low, high) = (minimum ?? 0, maximum)
        guard low <= Self.maximumRepetition, (high ?? 0) <= Self.maximumRepetition else {
            throw failure("repeated more than \(Self.maximumRepetition) times")
        }
        if let high, high < low { throw failure("a repetition whose end is before its beginning") }
        return (low, high)
    }

    private mutating func parseNumber() -> Int? {
        var number: Int?
        while position < scalars.count, (0x30...0x39).contains(scalars[position]) {
            number = min((number ?? 0) * 10 + Int(scalars[position] - 0x30), 1_000_000)
            position += 1
        }
        return number
    }

    private func at(_ scalar: Unicode.Scalar) -> Bool {
        position < scalars.count && scalars[position] == scalar.value
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard at(scalar) else { return false }
        position += 1
        return true
    }

    private func failure(_ message: String) -> PatternError {
        PatternError(message: message, offset: position)
    }
}
