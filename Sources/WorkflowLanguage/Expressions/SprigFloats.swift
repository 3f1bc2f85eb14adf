// Sprig's float arithmetic. Sums and products are computed in decimal, as sprig does with
// github.com/shopspring/decimal, so that 0.1 and 0.2 make 0.3.

import Glibc
import Text

enum SprigFloats {
    static let signatures: [String: String] = [
        "add1f": "number", "addf": "numbers...", "subf": "number numbers...", "divf": "number numbers...",
        "mulf": "number numbers...", "maxf": "number numbers...", "minf": "number numbers...",
        "ceil": "number", "floor": "number", "round": "number places [threshold]",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        let numbers = call.arguments.map(SprigConversions.castToDouble)
        switch call.name {
        case "add1f": return .double(try fold(call, numbers + [1], +, Decimal.add))
        case "addf": return .double(try fold(call, [0] + numbers, +, Decimal.add))
        case "subf": return .double(try fold(call, numbers, -, Decimal.subtract))
        case "mulf": return .double(try fold(call, numbers, *, Decimal.multiply))
        case "divf":
            guard !numbers.dropFirst().contains(0) else { throw call.error("division by zero") }
            return .double(try fold(call, numbers, /, Decimal.divide))
        case "maxf": return .double(numbers.dropFirst().reduce(numbers[0]) { larger($0, $1) })
        case "minf": return .double(-numbers.dropFirst().reduce(-numbers[0]) { larger($0, -$1) })
        case "ceil": return .double(numbers[0].rounded(.up))
        case "floor": return .double(numbers[0].rounded(.down))
        case "round":
            let threshold = numbers.count > 2 ? numbers[2] : 0.5
            return .double(rounded(numbers[0], places: try call.int(1), threshold: threshold))
        default: throw call.error("is not implemented")
        }
    }

    /// Go's math.Max: not a number if either is none, but infinity before that.
    private static func larger(_ left: Double, _ right: Double) -> Double {
        if left == .infinity || right == .infinity { return .infinity }
        return left.isNaN || right.isNaN ? .nan : max(left, right)
    }

    /// Sprig's rounding: the fraction that is left, with its sign, goes up from the threshold on. So a
    /// negative number always goes down.
    private static func rounded(_ number: Double, places: Int, threshold: Double) -> Double {
        let power = pow(10, Double(places))
        let digits = power * number
        let fraction = digits - digits.rounded(.towardZero)
        return (fraction >= threshold ? digits.rounded(.up) : digits.rounded(.down)) / power
    }

    /// Computes in decimal as far as the digits fit, and from there on in binary.
    private static func fold(
        _ call: SprigCall, _ numbers: [Double], _ binary: (Double, Double) -> Double,
        _ decimal: (Decimal, Decimal) -> Decimal?
    ) throws(ExpressionError) -> Double {
        guard numbers.allSatisfy(\.isFinite) else {
            throw call.error("infinity and NaN cannot be computed with")
        }
        var result = numbers[0]
        var exact: Decimal? = Decimal(result)
        for number in numbers.dropFirst() {
            if let left = exact { exact = decimal(left, Decimal(number)) }
            result = exact.map(\.double) ?? binary(result, number)
        }
        return result
    }
}

/// A number of at most 38 decimal digits: coefficient times ten to the exponent.
private struct Decimal {
    var coefficient: Int128
    var exponent: Int

    init(coefficient: Int128, exponent: Int) {
        self.coefficient = coefficient
        self.exponent = exponent
    }

    /// The shortest decimal that reads back as the finite number.
    init(_ number: Double) {
        // Swift's description has the shortest digits, as 12.5 or 1e-05.
        let parts = number.description.split(separator: "e")
        let fraction = parts[0].drop { $0 != "." }.dropFirst()
        coefficient = Int128(parts[0].filter { $0 != "." }) ?? 0
        exponent = (parts.count > 1 ? Int(parts[1]) ?? 0 : 0) - fraction.count
    }

    var double: Double { Double("\(coefficient)e\(exponent)") ?? 0 }

    /// The same number with a smaller exponent, nil if the digits do not fit.
    private func scaled(to target: Int) -> Int128? {
        if coefficient == 0 { return 0 }
        guard exponent - target <= 38 else { return nil }
        var result = coefficient
        for _ in target..<exponent {
            let (product, overflow) = result.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            result = product
        }
        return result
    }

    static func add(_ left: Decimal, _ right: Decimal) -> Decimal? {
        let exponent = min(left.exponent, right.exponent)
        guard let augend = left.scaled(to: exponent), let addend = right.scaled(to: exponent) else {
            return nil
        }
        let (sum, overflow) = augend.addingReportingOverflow(addend)
        return overflow ? nil : Decimal(coefficient: sum, exponent: exponent)
    }

    static func subtract(_ left: Decimal, _ right: Decimal) -> Decimal? {
        let (negated, overflow) = Int128(0).subtractingReportingOverflow(right.coefficient)
        return overflow ? nil : add(left, Decimal(coefficient: negated, exponent: right.exponent))
    }

    static func multiply(_ left: Decimal, _ right: Decimal) -> Decimal? {
        let (product, overflow) = left.coefficient.multipliedReportingOverflow(by: right.coefficient)
        return overflow ? nil : Decimal(coefficient: product, exponent: left.exponent + right.exponent)
    }

    /// Sixteen digits after the point, the last rounded half away from zero, as decimal's Div has it.
    static func divide(_ left: Decimal, _ right: Decimal) -> Decimal? {
        guard right.coefficient != 0 else { return nil }
        let shift = left.exponent - right.exponent + 16
        // A quotient with more digits before the point than fit is left to binary arithmetic.
        guard shift >= 0, shift <= 38 else { return nil }
        let dividend = Decimal(coefficient: left.coefficient, exponent: shift)
        guard let scaled = dividend.scaled(to: 0) else { return nil }
        let (quotient, remainder) = scaled.quotientAndRemainder(dividingBy: right.coefficient)
        let (divisor, rest) = (right.coefficient.magnitude, remainder.magnitude)
        let roundsUp = rest >= divisor - rest
        let negative = (scaled < 0) != (right.coefficient < 0)
        return Decimal(coefficient: roundsUp ? quotient + (negative ? -1 : 1) : quotient, exponent: -16)
    }
}
