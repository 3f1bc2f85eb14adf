// Reads sets of characters in patterns: what stands between brackets, and escapes for classes.

struct PatternClassParser {
    private static let maximumDepth = 50

    let scalars: [UInt32]
    var position: Int
    let ignoresCase: Bool
    private var depth = 0

    init(scalars: [UInt32], position: Int, ignoresCase: Bool) {
        self.scalars = scalars
        self.position = position
        self.ignoresCase = ignoresCase
    }

    /// Reads to the closing bracket; the opening one is before the position.
    mutating func parse() throws(PatternError) -> PatternClass {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw failure("brackets nested too deep") }
        let isNegated = take("^")
        var parts: [PatternClass] = []
        var set = PatternClass(ignoresCase: ignoresCase)
        var isFirst = true
        while true {
            guard position < scalars.count else { throw failure("a \"[\" without \"]\"") }
            if at("]"), !isFirst { break }
            isFirst = false
            if at("&"), position + 1 < scalars.count, scalars[position + 1] == 0x26 {
                position += 2
                parts.append(set)
                set = PatternClass(ignoresCase: ignoresCase)
                continue
            }
            try parseItem(into: &set)
        }
        position += 1
        if !parts.isEmpty {
            let all = parts + [set]
            set = PatternClass(intersections: all)
        }
        set.isNegated = isNegated
        return set
    }

    private mutating func parseItem(into set: inout PatternClass) throws(PatternError) {
        if at("[") {
            position += 1
            if let named = try parseNamed() {
                set.members.append(named)
            } else {
                set.members.append(try parse())
            }
            return
        }
        let first = try parseMember()
        guard case .scalar(let low) = first else {
            if case .set(let inner) = first { set.members.append(inner) }
            return
        }
        // A "-" before the closing bracket is a member.
        guard at("-"), position + 1 < scalars.count, scalars[position + 1] != 0x5D,
            scalars[position + 1] != 0x5B
        else {
            set.ranges.append(low...low)
            return
        }
        position += 1
        switch try parseMember() {
        case .scalar(let high):
            guard low <= high else { throw failure("a range whose end is before its beginning") }
            set.ranges.append(low...high)
        case .set(let inner):
            set.ranges += [low...low, 0x2D...0x2D]
            set.members.append(inner)
        }
    }

    private enum Member {
        case scalar(UInt32)
        case set(PatternClass)
    }

    private mutating func parseMember() throws(PatternError) -> Member {
        let value = scalars[position]
        position += 1
        guard value == 0x5C else { return .scalar(value) }
        guard position < scalars.count else { throw failure("the pattern ends in a backslash") }
        if scalars[position] == 0x62 {
            position += 1
            return .scalar(0x08)
        }
        let set = try parseEscape()
        if set.ranges.count == 1, let range = set.ranges.first, range.count == 1, !set.isNegated,
            set.categories.isEmpty, set.members.isEmpty
        {
            return .scalar(range.lowerBound)
        }
        return .set(set)
    }

    /// `[:alpha:]` behind the opening bracket; nil if it is not of that kind.
    private mutating func parseNamed() throws(PatternError) -> PatternClass? {
        let start = position
        guard take(":") else { return nil }
        let isNegated = take("^")
        var name = ""
        while position < scalars.count, let scalar = Unicode.Scalar(scalars[position]),
            scalar.properties.isAlphabetic
        {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take(":"), take("]") else {
            position = start
            return nil
        }
        guard var set = PatternClassNames.named(name) else { throw failure("unknown class [:\(name):]") }
        set.isNegated = isNegated
        return set
    }

    /// What stands behind a backslash, as a set.
    mutating func parseEscape() throws(PatternError) -> PatternClass {
        let value = scalars[position]
        position += 1
        switch Unicode.Scalar(value) {
        case "s": return PatternClass(categories: .whitespace)
        case "S": return PatternClass(categories: .whitespace).negated
        case "d": return PatternClass(categories: .decimalNumber)
        case "D": return PatternClass(categories: .decimalNumber).negated
        case "w": return PatternClassNames.word
        case "W": return PatternClassNames.word.negated
        case "h": return PatternClassNames.hexadecimal
        case "H": return PatternClassNames.hexadecimal.negated
        case "p", "P": return try parseProperty(isNegated: value == 0x50)
        case "n": return single(0x0A)
        case "r": return single(0x0D)
        case "t": return single(0x09)
        case "v": return single(0x0B)
        case "f": return single(0x0C)
        case "a": return single(0x07)
        case "e": return single(0x1B)
        case "0": return single(try parseNumber(radix: 8, digits: 0...2))
        case "x":
            if take("{") {
                let number = try parseNumber(radix: 16, digits: 1...8)
                guard take("}") else { throw failure("a \"{\" without \"}\"") }
                return single(number)
            }
            return single(try parseNumber(radix: 16, digits: 1...2))
        case "u": return single(try parseNumber(radix: 16, digits: 4...4))
        case .some(let scalar) where scalar.value < 0x80 && scalar.properties.isAlphabetic:
            throw failure("the escape \\\(scalar) is not supported")
        default: return single(value)
        }
    }

    private func single(_ value: UInt32) -> PatternClass {
        PatternClass(ranges: [value...value], ignoresCase: ignoresCase)
    }

    private mutating func parseProperty(isNegated: Bool) throws(PatternError) -> PatternClass {
        var name = ""
        var isNegated = isNegated
        if take("{") {
            if take("^") { isNegated.toggle() }
            while position < scalars.count, !at("}"), let scalar = Unicode.Scalar(scalars[position]) {
                name.unicodeScalars.append(scalar)
                position += 1
            }
            guard take("}") else { throw failure("a \"{\" without \"}\"") }
        } else {
            throw failure("expected \"{\" after \\p")
        }
        guard var set = PatternClassNames.named(name) else { throw failure("unknown property \"\(name)\"") }
        set.isNegated = isNegated
        return set
    }

    private mutating func parseNumber(radix: UInt32, digits: ClosedRange<Int>) throws(PatternError) -> UInt32
    {
        var number: UInt32 = 0
        var count = 0
        while count < digits.upperBound, position < scalars.count,
            let scalar = Unicode.Scalar(scalars[position]),
            let digit = Character(scalar).hexDigitValue, digit < Int(radix)
        {
            number = number << (radix == 8 ? 3 : 4) | UInt32(digit)
            position += 1
            count += 1
        }
        guard digits.contains(count), number <= 0x10FFFF else {
            throw failure("not the number of a character")
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
