// Numbers digit by digit: bounds of a schema are compared exactly with the digits that a model writes.

/// A decimal number.
struct DecimalNumber: Hashable {
    /// Never of zero.
    var isNegative: Bool
    /// Digits from 0 to 9 without leading zeros; empty for numbers below one.
    var integer: [UInt8]
    /// Digits without trailing zeros.
    var fraction: [UInt8]

    var isZero: Bool { integer.isEmpty && fraction.isEmpty }
    var isInteger: Bool { fraction.isEmpty }

    init(_ value: Int) {
        isNegative = value < 0
        integer = value == 0 ? [] : String(value.magnitude).utf8.map { $0 - 0x30 }
        fraction = []
    }

    /// Reads a JSON number's text.
    /// - Returns: nil for anything else, and for numbers of more than some hundred digits.
    init?(text: String) {
        var bytes = Array(text.utf8)[...]
        isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { bytes.removeFirst() }
        var digits: [UInt8] = []
        var point: Int?
        var exponent = 0
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits.append(byte - 0x30)
            case UInt8(ascii: "."): point = digits.count
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                if bytes.first == UInt8(ascii: "+") { bytes.removeFirst() }
                guard let value = Int(String(decoding: bytes, as: UTF8.self)) else { return nil }
                exponent = value
                bytes = []
            default: return nil
            }
        }
        guard !digits.isEmpty, abs(exponent) <= 400, digits.count <= 400 else { return nil }
        let place = (point ?? digits.count) + exponent
        if place < 0 { digits.insert(contentsOf: repeatElement(0, count: -place), at: 0) }
        if place > digits.count { digits.append(contentsOf: repeatElement(0, count: place - digits.count)) }
        integer = Array(digits[..<max(0, place)].drop { $0 == 0 })
        fraction = Array(digits[max(0, place)...])
        while fraction.last == 0 { fraction.removeLast() }
        if integer.isEmpty, fraction.isEmpty { isNegative = false }
    }

    /// -1, 0 or 1 as this number is below, equal to or above the other.
    func compared(to other: DecimalNumber) -> Int {
        if isNegative != other.isNegative { return isNegative ? -1 : 1 }
        let order = magnitudeOrder(other)
        return isNegative ? -order : order
    }

    private func magnitudeOrder(_ other: DecimalNumber) -> Int {
        if integer.count != other.integer.count { return integer.count < other.integer.count ? -1 : 1 }
        // Without trailing zeros, a prefix is the smaller one, as in a dictionary.
        let (left, right) = (integer + fraction, other.integer + other.fraction)
        if left == right { return 0 }
        return left.lexicographicallyPrecedes(right) ? -1 : 1
    }

    /// The remainder of an integer's magnitude.
    func remainder(dividedBy divisor: Int) -> Int {
        integer.reduce(0) { ($0 * 10 + Int($1)) % divisor }
    }
}

/// What a schema says of numbers.
struct NumberShape: Hashable {
    struct Bound: Hashable {
        var value: DecimalNumber
        var isExclusive = false
    }

    var isInteger = false
    var lower: Bound?
    var upper: Bound?
    /// 1 if any will do; a number with a multiple is an integer.
    var multipleOf = 1

    func accepts(_ number: DecimalNumber) -> Bool {
        if isInteger || multipleOf > 1 {
            guard number.isInteger, number.remainder(dividedBy: multipleOf) == 0 else { return false }
        }
        if let lower {
            let order = number.compared(to: lower.value)
            if order < 0 || (order == 0 && lower.isExclusive) { return false }
        }
        if let upper {
            let order = number.compared(to: upper.value)
            if order > 0 || (order == 0 && upper.isExclusive) { return false }
        }
        return true
    }

    /// - Returns: nil if no number is in both.
    func intersection(_ other: NumberShape) throws(ConstraintError) -> NumberShape? {
        var result = self
        result.isInteger = isInteger || other.isInteger
        if let bound = other.lower {
            let order = lower.map { $0.value.compared(to: bound.value) } ?? -1
            if order < 0 || (order == 0 && bound.isExclusive) { result.lower = bound }
        }
        if let bound = other.upper {
            let order = upper.map { $0.value.compared(to: bound.value) } ?? 1
            if order > 0 || (order == 0 && bound.isExclusive) { result.upper = bound }
        }
        var (divisor, rest) = (multipleOf, other.multipleOf)
        while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
        result.multipleOf = multipleOf / divisor * other.multipleOf
        guard result.multipleOf <= Self.maximumMultiple else {
            throw ConstraintError(
                place: "", problem: "multipleOf above \(Self.maximumMultiple)",
                remedy: "use a smaller one, or leave it out")
        }
        return result.isObviouslyEmpty ? nil : result
    }

    /// The highest `multipleOf`: the automaton has a few states for each remainder.
    static let maximumMultiple = 1000

    private var isObviouslyEmpty: Bool {
        guard let lower, let upper else { return false }
        let order = lower.value.compared(to: upper.value)
        return order > 0 || (order == 0 && (lower.isExclusive || upper.isExclusive))
    }
}
