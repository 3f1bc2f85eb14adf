// The texts of the numbers that a schema allows, as an automaton over digits.

/// Where in a number's text one is, and how its digits so far compare with the bounds.
private struct NumberPosition: Hashable {
    enum Part: Hashable {
        case begin, minus, zero, integer, point, fraction, exponentMark, exponentSign, exponent
    }

    var part = Part.begin
    var isNegative = false
    var isZero = true
    /// Digits in the current part.
    var digits = 0
    var totalDigits = 0
    var remainder = 0
    /// The order of the digits so far and as many of the bound's; behind the integer part, of the magnitudes.
    var lowerOrder = 0
    var upperOrder = 0
}

extension NumberShape {
    /// Digits before the point, enough for any number of days, bytes or dollars, and exact in a Double.
    private static let integerDigits = 15
    /// The digits of an integer if a bound asks for more; they still fit 64 bits.
    private static let longIntegerDigits = 18
    /// Digits behind the point: a Double written in full has up to 17.
    private static let fractionDigits = 17
    /// All digits where a bound is exclusive. So many tell numbers apart as Doubles, too; of more, a text
    /// below the bound might be read as the bound.
    private static let exactDigits = 15

    private var isWhole: Bool { isInteger || multipleOf > 1 }
    private var isBounded: Bool { lower != nil || upper != nil }

    private var maximumIntegerDigits: Int {
        let needed =
            if let lower, !lower.value.isNegative {
                lower.value.integer.count
            } else if let upper, upper.value.isNegative {
                upper.value.integer.count
            } else {
                0
            }
        return max(Self.integerDigits, min(needed, Self.longIntegerDigits))
    }

    /// The automaton of the shape's numbers in JSON. Numbers with bounds have no exponents.
    func automaton() throws(ConstraintError) -> ByteAutomaton {
        try ByteAutomaton.exploring(
            from: NumberPosition(), alphabet: Array("+-.0123456789Ee".utf8).sorted(),
            step: { step($0, $1) }, isFinal: { isFinal($0) })
    }

    private func step(_ position: NumberPosition, _ byte: UInt8) -> NumberPosition? {
        var next = position
        switch (position.part, byte) {
        case (.begin, UInt8(ascii: "-")):
            next.part = .minus
            next.isNegative = true
        case (.begin, UInt8(ascii: "0")), (.minus, UInt8(ascii: "0")):
            // The number has no integer digits, as far as comparing goes.
            next.part = .zero
        case (.begin, UInt8(ascii: "1")...UInt8(ascii: "9")),
            (.minus, UInt8(ascii: "1")...UInt8(ascii: "9")),
            (.integer, UInt8(ascii: "0")...UInt8(ascii: "9")):
            guard takeIntegerDigit(Int(byte) - 0x30, &next) else { return nil }
        case (.zero, UInt8(ascii: ".")), (.integer, UInt8(ascii: ".")):
            guard !isWhole else { return nil }
            next.lowerOrder = integerOrder(position.lowerOrder, digits: position.digits, bound: lower)
            next.upperOrder = integerOrder(position.upperOrder, digits: position.digits, bound: upper)
            next.part = .point
            next.digits = 0
        case (.point, UInt8(ascii: "0")...UInt8(ascii: "9")),
            (.fraction, UInt8(ascii: "0")...UInt8(ascii: "9")):
            guard takeFractionDigit(byte - 0x30, &next) else { return nil }
        default: return exponentStep(position, byte)
        }
        return simplified(next)
    }

    private func takeIntegerDigit(_ digit: Int, _ next: inout NumberPosition) -> Bool {
        guard next.digits < maximumIntegerDigits else { return false }
        for (path, bound) in [(\NumberPosition.lowerOrder, lower), (\.upperOrder, upper)] {
            guard let bound, next[keyPath: path] == 0, next.digits < bound.value.integer.count else {
                continue
            }
            let wanted = Int(bound.value.integer[next.digits])
            next[keyPath: path] = digit < wanted ? -1 : digit > wanted ? 1 : 0
        }
        next.part = .integer
        next.isZero = false
        next.digits += 1
        next.totalDigits += 1
        next.remainder = (next.remainder * 10 + digit) % multipleOf
        return true
    }

    private func takeFractionDigit(_ digit: UInt8, _ next: inout NumberPosition) -> Bool {
        guard next.digits < Self.fractionDigits else { return false }
        let isExclusive = lower?.isExclusive == true || upper?.isExclusive == true
        guard !isExclusive || next.totalDigits < Self.exactDigits else { return false }
        for (path, bound) in [(\NumberPosition.lowerOrder, lower), (\.upperOrder, upper)] {
            guard let bound, next[keyPath: path] == 0 else { continue }
            let wanted = next.digits < bound.value.fraction.count ? bound.value.fraction[next.digits] : 0
            next[keyPath: path] = digit < wanted ? -1 : digit > wanted ? 1 : 0
        }
        next.part = .fraction
        next.isZero = next.isZero && digit == 0
        next.digits += 1
        next.totalDigits += 1
        return true
    }

    private func exponentStep(_ position: NumberPosition, _ byte: UInt8) -> NumberPosition? {
        guard !isWhole, !isBounded else { return nil }
        var next = position
        switch (position.part, byte) {
        case (.zero, UInt8(ascii: "E")), (.zero, UInt8(ascii: "e")), (.integer, UInt8(ascii: "E")),
            (.integer, UInt8(ascii: "e")), (.fraction, UInt8(ascii: "E")), (.fraction, UInt8(ascii: "e")):
            next = NumberPosition(part: .exponentMark)
        case (.exponentMark, UInt8(ascii: "+")), (.exponentMark, UInt8(ascii: "-")):
            next.part = .exponentSign
        case (.exponentMark, UInt8(ascii: "0")...UInt8(ascii: "9")),
            (.exponentSign, UInt8(ascii: "0")...UInt8(ascii: "9")),
            (.exponent, UInt8(ascii: "0")...UInt8(ascii: "9")):
            // Two digits keep every number far from infinity.
            guard position.part != .exponent || position.digits < 2 else { return nil }
            next.part = .exponent
            next.digits += 1
        default: return nil
        }
        return next
    }

    /// Forgets what can make no difference, so that fewer states are made.
    private func simplified(_ position: NumberPosition) -> NumberPosition {
        var result = position
        if !isBounded {
            result.totalDigits = 0
            if result.part != .minus {
                result.isNegative = isWhole && result.isNegative && result.isZero
                result.isZero = isWhole && result.isZero
            }
        } else if lower?.isExclusive != true, upper?.isExclusive != true {
            result.totalDigits = 0
        }
        return result
    }

    /// The order of the integer parts, once all digits are there.
    private func integerOrder(_ order: Int, digits: Int, bound: Bound?) -> Int {
        guard let bound else { return 0 }
        let wanted = bound.value.integer.count
        return digits < wanted ? -1 : digits > wanted ? 1 : order
    }

    private func isFinal(_ position: NumberPosition) -> Bool {
        switch position.part {
        case .begin, .minus, .point, .exponentMark, .exponentSign: return false
        case .exponent: return true
        case .zero, .integer, .fraction: break
        }
        if isWhole || isBounded, position.isNegative, position.isZero { return false }
        guard position.remainder == 0 else { return false }
        if let lower {
            let order = order(of: position, position.lowerOrder, bound: lower)
            if order < 0 || (order == 0 && lower.isExclusive) { return false }
        }
        if let upper {
            let order = order(of: position, position.upperOrder, bound: upper)
            if order > 0 || (order == 0 && upper.isExclusive) { return false }
        }
        return true
    }

    /// How the number that ends here compares with a bound.
    private func order(of position: NumberPosition, _ order: Int, bound: Bound) -> Int {
        guard position.isNegative == bound.value.isNegative else { return position.isNegative ? -1 : 1 }
        var magnitude = order
        var fractionDigits = position.digits
        if position.part != .fraction {
            magnitude = integerOrder(order, digits: position.digits, bound: bound)
            fractionDigits = 0
        }
        if magnitude == 0, fractionDigits < bound.value.fraction.count { magnitude = -1 }
        return position.isNegative ? -magnitude : magnitude
    }
}
