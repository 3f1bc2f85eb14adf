// Escapes and bracketed classes of regular expressions.

extension PatternParser {
    /// An escape outside of brackets, the position being at its backslash.
    mutating func parseEscape() throws(ConstraintError) -> PatternSyntax {
        guard position + 1 < pattern.count else { throw failure("the pattern ends in a backslash") }
        switch pattern[position + 1] {
        case "A":
            position += 2
            return .textBegin
        case "Z", "z":
            position += 2
            return .textEnd
        case "b", "B": throw unsupported("the word boundary \\\(pattern[position + 1])")
        case "G", "K", "R", "X": throw unsupported("\\\(pattern[position + 1])")
        case "1"..."9": throw unsupported("the back-reference \\\(pattern[position + 1])")
        case "k", "g": throw unsupported("the back-reference \\\(pattern[position + 1])")
        default: break
        }
        if let members = try takeNamedClass() {
            return .character(flags.foldsCase ? members.foldingCase.sure : members.sure)
        }
        return literal(try takeEscapedScalar())
    }

    /// A class in brackets, the position being at the opening one.
    mutating func parseClass() throws(ConstraintError) -> CodePointSet {
        let start = position
        position += 1
        let isNegated = take("^")
        var members = PatternClass([])
        var isFirst = true
        while true {
            guard let scalar = peek else {
                position = start
                throw failure("missing ]")
            }
            // To Python a bracket that comes first is a member, to ECMAScript it ends an empty class.
            if scalar == "]" {
                guard !isFirst else { throw unsupported("a class that begins with ]") }
                break
            }
            isFirst = false
            try parseMember(into: &members)
        }
        position += 1
        if flags.foldsCase { members = members.foldingCase }
        return isNegated ? members.negated.sure : members.sure
    }

    private mutating func parseMember(into members: inout PatternClass) throws(ConstraintError) {
        if take("[:") {
            position -= 2
            throw unsupported("a POSIX class such as [:alpha:]")
        }
        if let named = try takeNamedClass() {
            members = members.union(named)
            if peek == "-", position + 1 < pattern.count, pattern[position + 1] != "]" {
                throw failure("a range that begins with a class")
            }
            return
        }
        let low = try takeMemberScalar()
        var high = low
        if peek == "-", position + 1 < pattern.count, pattern[position + 1] != "]" {
            position += 1
            high = try takeMemberScalar()
        }
        guard low <= high else { throw failure("the range \(low)-\(high) is the wrong way round") }
        members = members.union(PatternClass([low.value...high.value]))
    }

    private mutating func takeMemberScalar() throws(ConstraintError) -> Unicode.Scalar {
        guard let scalar = peek else { throw failure("missing ]") }
        if scalar == "\\" {
            if position + 1 < pattern.count, pattern[position + 1] == "b" {
                position += 2
                return "\u{8}"
            }
            return try takeEscapedScalar()
        }
        position += 1
        return scalar
    }

    /// Takes `\d`, `\w`, `\s`, their negations, and `\p{...}`.
    private mutating func takeNamedClass() throws(ConstraintError) -> PatternClass? {
        guard peek == "\\", position + 1 < pattern.count else { return nil }
        let members: PatternClass
        switch pattern[position + 1] {
        case "d": members = .digit
        case "D": members = .digit.negated
        case "w": members = .word
        case "W": members = .word.negated
        case "s": members = .space
        case "S": members = .space.negated
        case "p", "P": return try takeProperty()
        default: return nil
        }
        position += 2
        return members
    }

    private mutating func takeProperty() throws(ConstraintError) -> PatternClass {
        let isNegated = pattern[position + 1] == "P"
        guard position + 2 < pattern.count, pattern[position + 2] == "{",
            let end = pattern[position...].firstIndex(of: "}")
        else { throw failure("a property without its name in braces") }
        var name = String(String.UnicodeScalarView(pattern[(position + 3)..<end]))
        for prefix in ["General_Category=", "gc="] where name.hasPrefix(prefix) {
            name.removeFirst(prefix.count)
        }
        guard let set = PropertyClasses.set(named: name) else {
            throw unsupported("the property \\p{\(name)}")
        }
        position = end + 1
        let members = PatternClass(set)
        return isNegated ? members.negated : members
    }

    /// Takes an escape that stands for one character.
    private mutating func takeEscapedScalar() throws(ConstraintError) -> Unicode.Scalar {
        let start = position
        position += 1
        guard let scalar = peek else { throw failure("the pattern ends in a backslash") }
        position += 1
        switch scalar {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "f": return "\u{C}"
        case "v": return "\u{B}"
        case "a": return "\u{7}"
        case "0":
            if let next = peek, ("0"..."9").contains(next) { throw unsupported("an octal escape") }
            return "\0"
        case "x": return try takeHexadecimal(digits: 2, start: start)
        case "u": return try takeUnicodeEscape(start: start)
        case "U": return try takeHexadecimal(digits: 8, start: start)
        case "A"..."Z", "a"..."z", "1"..."9":
            position = start
            throw failure("unknown escape \\\(scalar)")
        default: return scalar
        }
    }

    private mutating func takeHexadecimal(digits: Int, start: Int) throws(ConstraintError) -> Unicode.Scalar {
        let value = try takeHexadecimalValue(digits: digits, start: start)
        guard let scalar = Unicode.Scalar(value) else {
            position = start
            throw failure("the escape is no character")
        }
        return scalar
    }

    private mutating func takeHexadecimalValue(digits: Int, start: Int) throws(ConstraintError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = peek.flatMap({ Character($0).hexDigitValue }), value < 0x1000_0000 else {
                position = start
                throw failure("expected \(digits) hexadecimal digits")
            }
            value = value * 16 + UInt32(digit)
            position += 1
        }
        return value
    }

    /// `\uHHHH`, a pair of them for a character beyond the first 65,536, or `\u{H...}`.
    private mutating func takeUnicodeEscape(start: Int) throws(ConstraintError) -> Unicode.Scalar {
        if take("{") {
            var value: UInt32 = 0
            var count = 0
            while let digit = peek.flatMap({ Character($0).hexDigitValue }), count < 6 {
                value = value * 16 + UInt32(digit)
                position += 1
                count += 1
            }
            guard count > 0, take("}"), let scalar = Unicode.Scalar(value) else {
                position = start
                throw failure("the escape is no character")
            }
            return scalar
        }
        let value = try takeHexadecimalValue(digits: 4, start: start)
        if (0xD800...0xDBFF).contains(value), take("\\u") {
            let low = try takeHexadecimalValue(digits: 4, start: start)
            if (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (value - 0xD800) << 10 + (low - 0xDC00))
            {
                return scalar
            }
        }
        guard let scalar = Unicode.Scalar(value) else {
            position = start
            throw failure("half a surrogate pair is no character")
        }
        return scalar
    }
}

/// The classes of `\p{...}`: general categories, a letter for a group of them.
enum PropertyClasses {
    private static let names: [(name: String, category: Unicode.GeneralCategory)] = [
        ("Lu", .uppercaseLetter), ("Ll", .lowercaseLetter), ("Lt", .titlecaseLetter), ("Lm", .modifierLetter),
        ("Lo", .otherLetter), ("Mn", .nonspacingMark), ("Mc", .spacingMark), ("Me", .enclosingMark),
        ("Nd", .decimalNumber), ("Nl", .letterNumber), ("No", .otherNumber), ("Pc", .connectorPunctuation),
        ("Pd", .dashPunctuation), ("Ps", .openPunctuation), ("Pe", .closePunctuation),
        ("Pi", .initialPunctuation), ("Pf", .finalPunctuation), ("Po", .otherPunctuation),
        ("Sm", .mathSymbol), ("Sc", .currencySymbol), ("Sk", .modifierSymbol), ("So", .otherSymbol),
        ("Zs", .spaceSeparator), ("Zl", .lineSeparator), ("Zp", .paragraphSeparator),
    ]

    static func set(named name: String) -> CodePointSet? {
        let long = ["Letter": "L", "Mark": "M", "Number": "N", "Punctuation": "P", "Symbol": "S"]
        let short = long[name] ?? name
        let categories = names.filter {
            $0.name == short || (short.utf8.count == 1 && $0.name.hasPrefix(short))
        }
        .map(\.category)
        return categories.isEmpty ? nil : .matching { categories.contains($0.generalCategory) }
    }
}
