// The arithmetic operators of Python: numbers, joining and repeating of texts and lists.
import Glibc

extension TemplateValue {
    /// - Throws: for types that the operator does not have, division by zero, and integers beyond 64 bits.
    func apply(
        _ symbol: ArithmeticOperator, _ right: TemplateValue, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> TemplateValue {
        if case .undefined(let missing) = self { throw missing.failure }
        if symbol == .remainder, case .string(let format) = self {
            return .string(try PrintfFormat.format(format, right, budget))
        }
        if case .undefined(let missing) = right { throw missing.failure }
        if let left = number, let right = right.number {
            if case (.int(let left), .int(let right)) = (left, right) {
                return try Self.apply(symbol, left, right)
            }
            return try Self.apply(symbol, left.double, right.double)
        }
        switch (symbol, self, right) {
        case (.add, .string(let left), .string(let right)): return .string(try Self.join(left, right, budget))
        case (.add, .list(let left), .list(let right)):
            return .list(try TemplateList(left.elements + right.elements, budget: budget))
        case (.add, .tuple(let left), .tuple(let right)):
            return .tuple(try TemplateList(left.elements + right.elements, budget: budget))
        case (.multiply, _, _):
            if let times = right.index, let product = try repeated(times, budget) { return product }
            if let times = index, let product = try right.repeated(times, budget) { return product }
        default: break
        }
        throw unsupported(symbol, right)
    }

    private func unsupported(_ symbol: ArithmeticOperator, _ right: TemplateValue) -> TemplateFailure {
        if symbol == .add {
            switch self {
            case .string:
                return .wrongValue("can only concatenate str (not \"\(right.typeName)\") to str")
            case .list, .tuple:
                return .wrongValue(
                    "can only concatenate \(typeName) (not \"\(right.typeName)\") to \(typeName)")
            default: break
            }
        }
        let name = symbol == .power ? "** or pow()" : symbol.rawValue
        return .wrongValue("unsupported operand type(s) for \(name): '\(typeName)' and '\(right.typeName)'")
    }

    /// Text added to HTML is escaped.
    private static func join(
        _ left: PythonString, _ right: PythonString, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        try budget.allow(textBytes: left.utf8.count + right.utf8.count)
        guard left.isMarkup || right.isMarkup else { return left + right }
        var sum = left.escapedForHTML + right.escapedForHTML
        sum.isMarkup = true
        return sum
    }

    private func repeated(_ times: Int, _ budget: TemplateBudget) throws(TemplateFailure) -> TemplateValue? {
        func size(_ count: Int) -> Int {
            let (size, overflow) = count.multipliedReportingOverflow(by: max(times, 0))
            return overflow ? .max : size
        }
        switch self {
        case .string(let text):
            try budget.allow(textBytes: size(text.utf8.count))
            var repeated = text.isEmpty ? text : text.repeated(times)
            repeated.isMarkup = text.isMarkup
            return .string(repeated)
        case .list(let list), .tuple(let list):
            try budget.allow(elements: size(list.elements.count))
            var elements: [TemplateValue] = []
            if !list.elements.isEmpty { for _ in 0..<max(times, 0) { elements += list.elements } }
            let repeated = try TemplateList(elements, budget: budget)
            if case .list = self { return .list(repeated) }
            return .tuple(repeated)
        default: return nil
        }
    }

    // MARK: Numbers

    private static func apply(
        _ symbol: ArithmeticOperator, _ left: Int, _ right: Int
    ) throws(TemplateFailure) -> TemplateValue {
        let result: (partialValue: Int, overflow: Bool)
        switch symbol {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw .wrongValue("division by zero") }
            return .float(Double(left) / Double(right))
        case .floorDivide, .remainder:
            guard right != 0 else { throw .wrongValue("integer division or modulo by zero") }
            // The only quotient beyond 64 bits; its remainder traps too.
            guard left != .min || right != -1 else {
                if symbol == .remainder { return .int(0) }
                throw tooLarge
            }
            let (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
            let goesDown = remainder != 0 && (remainder < 0) != (right < 0)
            if symbol == .remainder { return .int(goesDown ? remainder + right : remainder) }
            return .int(goesDown ? quotient - 1 : quotient)
        case .power:
            if right < 0 {
                guard left != 0 else { throw .wrongValue("0.0 cannot be raised to a negative power") }
                return .float(pow(Double(left), Double(right)))
            }
            return .int(try power(left, right))
        }
        guard !result.overflow else { throw tooLarge }
        return .int(result.partialValue)
    }

    private static func power(_ base: Int, _ exponent: Int) throws(TemplateFailure) -> Int {
        if base == 0 || base == 1 || exponent == 0 { return exponent == 0 ? 1 : base }
        if base == -1 { return exponent % 2 == 0 ? 1 : -1 }
        var result = 1
        for _ in 0..<min(exponent, 64) {
            let (product, overflow) = result.multipliedReportingOverflow(by: base)
            guard !overflow else { throw tooLarge }
            result = product
        }
        guard exponent <= 64 else { throw tooLarge }
        return result
    }

    private static var tooLarge: TemplateFailure {
        .limit("an integer becomes larger than 64 bits can hold")
    }

    private static func apply(
        _ symbol: ArithmeticOperator, _ left: Double, _ right: Double
    ) throws(TemplateFailure) -> TemplateValue {
        switch symbol {
        case .add: return .float(left + right)
        case .subtract: return .float(left - right)
        case .multiply: return .float(left * right)
        case .divide:
            guard right != 0 else { throw .wrongValue("float division by zero") }
            return .float(left / right)
        case .floorDivide:
            guard right != 0 else { throw .wrongValue("float floor division by zero") }
            return .float(flooredQuotient(left, right))
        case .remainder:
            guard right != 0 else { throw .wrongValue("float modulo by zero") }
            return .float(flooredRemainder(left, right))
        case .power:
            guard left != 0 || right >= 0 else {
                throw .wrongValue("0.0 cannot be raised to a negative power")
            }
            guard left >= 0 || right == right.rounded() else {
                throw .wrongValue("the power is a complex number, which templates cannot use")
            }
            let power = pow(left, right)
            if power.isInfinite && left.isFinite && right.isFinite {
                throw .wrongValue("(34, 'Numerical result out of range')")
            }
            return .float(power)
        }
    }

    /// Has the sign of the divisor, also where it is zero.
    private static func flooredRemainder(_ left: Double, _ right: Double) -> Double {
        let remainder = fmod(left, right)
        if remainder == 0 { return Double(signOf: right, magnitudeOf: 0) }
        return (remainder < 0) != (right < 0) ? remainder + right : remainder
    }

    private static func flooredQuotient(_ left: Double, _ right: Double) -> Double {
        var remainder = fmod(left, right)
        var quotient = (left - remainder) / right
        if remainder != 0, (remainder < 0) != (right < 0) {
            remainder += right
            quotient -= 1
        }
        guard quotient != 0 else { return Double(signOf: left / right, magnitudeOf: 0) }
        let down = quotient.rounded(.down)
        return quotient - down > 0.5 ? down + 1 : down
    }

    /// `-self` or `+self`.
    func signed(negative: Bool) throws(TemplateFailure) -> TemplateValue {
        switch (self, number) {
        case (.undefined(let missing), _): throw missing.failure
        case (_, .int(let number)?):
            guard negative else { return .int(number) }
            guard number != .min else { throw Self.tooLarge }
            return .int(-number)
        case (_, .float(let number)?): return .float(negative ? -number : number)
        default: throw .wrongValue("bad operand type for unary \(negative ? "-" : "+"): '\(typeName)'")
        }
    }
}
