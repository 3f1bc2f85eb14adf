// Escapes and character classes of regular expressions.

extension RegexParser {
    /// An escape outside of a class, the position being at its backslash.
    mutating func parseEscape() throws(RegularExpressionError) -> RegexSyntax {
        guard position + 1 < pattern.count else { throw failure("trailing backslash") }
        let assertion: RegexSyntax.Assertion? =
            switch pattern[position + 1] {
            case "A": .textBegin
            case "z": .textEnd
            case "b": .wordBoundary
            case "B": .noWordBoundary
            default: nil
            }
        if let assertion {
            position += 2
            return .assertion(assertion)
        }
        var members = ClassMembers()
        if try takeNamedClass(into: &members) {
            return .set(members.set(isNegated: false, foldsCase: flags.foldsCase))
        }
        return .scalar(try takeEscapedScalar(), foldsCase: flags.foldsCase)
    }

    /// A class in brackets, the position being at the opening one.
    mutating func parseClass() throws(RegularExpressionError) -> ScalarSet {
        let start = position
        position += 1
        let isNegated = take("^")
        var members = ClassMembers()
        var isFirst = true
        while true {
            guard let scalar = peek else {
                position = start
                throw failure("missing closing ]")
            }
            if scalar == "]", !isFirst { break }
            isFirst = false
            if try takePosixClass(into: &members) { continue }
            if try takeNamedClass(into: &members) { continue }
            let low = try takeClassScalar()
            var high = low
            if peek == "-", position + 1 < pattern.count, pattern[position + 1] != "]" {
                position += 1
                high = try takeClassScalar()
            }
            guard low <= high else { throw failure("invalid character class range \(low)-\(high)") }
            members.ranges.append(low.value...high.value)
        }
        position += 1
        return members.set(isNegated: isNegated, foldsCase: flags.foldsCase)
    }

    private mutating func takeClassScalar() throws(RegularExpressionError) -> Unicode.Scalar {
        guard let scalar = peek else { throw failure("missing closing ]") }
        if scalar == "\\" { return try takeEscapedScalar() }
        position += 1
        return scalar
    }

    /// Takes `[:alpha:]` or `[:^alpha:]`.
    private mutating func takePosixClass(into members: inout ClassMembers) throws(RegularExpressionError)
        -> Bool
    {
        guard pattern[position...].starts(with: ["[", ":"]) else { return false }
        var end = position + 2
        while end + 1 < pattern.count, !(pattern[end] == ":" && pattern[end + 1] == "]") { end += 1 }
        guard end + 1 < pattern.count else { return false }
        var name = pattern[(position + 2)..<end]
        let isNegated = name.first == "^"
        if isNegated { name.removeFirst() }
        guard let ranges = NamedClasses.posix[String(String.UnicodeScalarView(name))] else {
            throw failure("unknown character class [:\(String(String.UnicodeScalarView(name))):]")
        }
        members.add(ranges, isNegated: isNegated)
        position = end + 2
        return true
    }

    /// Takes `\d`, `\pL`, `\p{Lu}`, `\P{^Lu}` and their like.
    private mutating func takeNamedClass(into members: inout ClassMembers) throws(RegularExpressionError)
        -> Bool
    {
        guard peek == "\\", position + 1 < pattern.count else { return false }
        let letter = pattern[position + 1]
        switch letter {
        case "d", "D": members.add(NamedClasses.digit, isNegated: letter == "D")
        case "s", "S": members.add(NamedClasses.space, isNegated: letter == "S")
        case "w", "W": members.add(NamedClasses.word, isNegated: letter == "W")
        case "p", "P":
            try takeCategory(into: &members)
            return true
        default: return false
        }
        position += 2
        return true
    }

    private mutating func takeCategory(into members: inout ClassMembers) throws(RegularExpressionError) {
        let start = position
        var isNegated = pattern[position + 1] == "P"
        position += 2
        var name: [Unicode.Scalar] = []
        if take("{") {
            if take("^") { isNegated.toggle() }
            while let scalar = peek, scalar != "}" {
                name.append(scalar)
                position += 1
            }
            guard take("}") else {
                position = start
                throw failure("missing closing }")
            }
        } else if let scalar = peek {
            name = [scalar]
            position += 1
        }
        let text = String(String.UnicodeScalarView(name))
        if text == "Any" {
            members.add([0...0x10FFFF], isNegated: isNegated)
        } else if let categories = NamedClasses.categories(named: text) {
            members.categories.append(.init(categories: categories, isNegated: isNegated))
        } else {
            position = start
            throw failure("unknown Unicode class \(text); general categories such as L, Lu or Nd are known")
        }
    }

    /// The character an escape stands for, the position being at its backslash.
    private mutating func takeEscapedScalar() throws(RegularExpressionError) -> Unicode.Scalar {
        let start = position
        position += 1
        guard let letter = peek else { throw failure("trailing backslash", back: 1) }
        position += 1
        switch letter {
        case "a": return "\u{07}"
        case "f": return "\u{0C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{0B}"
        case "x":
            if let scalar = takeHexadecimal() { return scalar }
        case "0"..."9":
            if let scalar = takeOctal(first: letter) { return scalar }
            position = start
            throw failure("back references are not supported: they need backtracking")
        default:
            let isWord = NamedClasses.posix["alnum"]?.contains { $0.contains(letter.value) } ?? false
            if letter.isASCII, !isWord { return letter }
        }
        position = start
        throw failure("invalid escape sequence \\\(letter)")
    }

    private mutating func takeHexadecimal() -> Unicode.Scalar? {
        func digit(_ scalar: Unicode.Scalar?) -> UInt32? {
            guard let scalar, scalar.isASCII else { return nil }
            return Character(scalar).hexDigitValue.map { UInt32($0) }
        }
        if take("{") {
            var value: UInt32?
            while let next = digit(peek) {
                value = min((value ?? 0) << 4 | next, 0x110000)
                position += 1
            }
            return take("}") ? value.flatMap { Unicode.Scalar($0) } : nil
        }
        guard position + 1 < pattern.count, let high = digit(pattern[position]),
            let low = digit(pattern[position + 1])
        else { return nil }
        position += 2
        return Unicode.Scalar(high << 4 | low)
    }

    /// Up to three octal digits. A digit alone, unless it is 0, would be a back reference.
    private mutating func takeOctal(first: Unicode.Scalar) -> Unicode.Scalar? {
        func digit(_ scalar: Unicode.Scalar?) -> UInt32? {
            guard let value = scalar?.asciiDigitValue, value < 8 else { return nil }
            return UInt32(value)
        }
        guard var value = digit(first), first == "0" || digit(peek) != nil else { return nil }
        var count = 1
        while count < 3, let next = digit(peek) {
            value = value << 3 | next
            position += 1
            count += 1
        }
        return Unicode.Scalar(value)
    }
}

/// What has been read of a class so far.
struct ClassMembers {
    var ranges: [ClosedRange<UInt32>] = []
    var categories: [ScalarSet.CategoryTest] = []

    mutating func add(_ ranges: [ClosedRange<UInt32>], isNegated: Bool) {
        self.ranges += isNegated ? ScalarSet.complement(of: ranges) : ranges
    }

    func set(isNegated: Bool, foldsCase: Bool) -> ScalarSet {
        ScalarSet(ranges: ranges, categories: categories, isNegated: isNegated, foldsCase: foldsCase)
    }
}
