// The operators of expressions: Go's arithmetic, comparison and membership.

import Glibc
import Text

/// What two values give.
enum Operation {
    static func compute(
        _ symbol: BinaryOperator, _ left: ExpressionValue, _ right: ExpressionValue,
        _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        switch symbol {
        case .equal: return .bool(try equal(left, right, &context))
        case .notEqual: return .bool(!(try equal(left, right, &context)))
        case .less: return .bool(try isLess(left, right, symbol))
        case .greater: return .bool(try isLess(right, left, symbol))
        case .lessOrEqual: return .bool(try isLessOrEqual(left, right, symbol))
        case .greaterOrEqual: return .bool(try isLessOrEqual(right, left, symbol))
        case .isIn: return .bool(try contains(right, left, &context))
        case .contains, .startsWith, .endsWith: return .bool(try search(symbol, left, right, &context))
        case .range: return try range(left, right, &context)
        case .plus: return try add(left, right, &context)
        case .minus: return try subtract(left, right)
        case .times, .divided, .remainder, .power: return try multiply(symbol, left, right)
        case .and, .or, .coalesce, .matches: throw mismatch(symbol, left, right)
        }
    }

    static func mismatch(
        _ symbol: BinaryOperator, _ left: ExpressionValue, _ right: ExpressionValue
    ) -> ExpressionError {
        var message = "invalid operation: \(left.kindName) \(symbol.rawValue) \(right.kindName)"
        if symbol == .plus {
            if case .string = left { message += "; make the other side a string with string()" }
            if case .string = right { message += "; make the other side a string with string()" }
        }
        return ExpressionError(message)
    }
}

// MARK: - Comparison

extension Operation {
    /// Numbers are equal by value, whatever their kind; values of different kinds are not equal.
    static func equal(
        _ left: ExpressionValue, _ right: ExpressionValue, _ context: inout ExpressionContext, depth: Int = 0
    ) throws(ExpressionError) -> Bool {
        guard depth <= JSONValue.maximumDepth else { throw ExpressionError("the values nest too deep") }
        try context.spend(steps: 1)
        switch (left, right) {
        case (.int(let left), .double(let right)): return Double(left) == right
        case (.double(let left), .int(let right)): return left == Double(right)
        case (.string(let left), .string(let right)):
            try context.spend(bytes: min(left.utf8.count, right.utf8.count))
            // Go compares bytes; Swift's == would take canonically equivalent texts for the same.
            return left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)):
            guard left.count == right.count else { return false }
            for (left, right) in zip(left, right) {
                guard try equal(left, right, &context, depth: depth + 1) else { return false }
            }
            return true
        case (.object(let left), .object(let right)):
            guard left.count == right.count else { return false }
            for (key, value) in left {
                guard let other = right[key], try equal(value, other, &context, depth: depth + 1) else {
                    return false
                }
            }
            return true
        case (.time(let left, _), .time(let right, _)): return left == right
        default: return left == right
        }
    }

    /// - Parameter symbol: what stands in the source, for the message.
    static func isLess(
        _ left: ExpressionValue, _ right: ExpressionValue, _ symbol: BinaryOperator
    ) throws(ExpressionError) -> Bool {
        switch (left, right) {
        case (.int(let left), .int(let right)): return left < right
        case (.string(let left), .string(let right)): return left.precedesBytewise(right)
        case (.time(let left, _), .time(let right, _)): return left < right
        case (.duration(let left), .duration(let right)): return left < right
        default:
            guard let first = left.doubleValue, let second = right.doubleValue else {
                throw mismatch(symbol, left, right)
            }
            return first < second
        }
    }

    private static func isLessOrEqual(
        _ left: ExpressionValue, _ right: ExpressionValue, _ symbol: BinaryOperator
    ) throws(ExpressionError) -> Bool {
        // Not simply "not greater", since no comparison with NaN holds.
        if let first = left.doubleValue, let second = right.doubleValue {
            if case .int(let left) = left, case .int(let right) = right { return left <= right }
            return first <= second
        }
        return !(try isLess(right, left, symbol))
    }

    private static func contains(
        _ collection: ExpressionValue, _ wanted: ExpressionValue, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> Bool {
        switch collection {
        case .none: return false
        case .array(let elements):
            for element in elements {
                if try equal(element, wanted, &context) { return true }
            }
            return false
        case .object(let members):
            guard let key = wanted.keyText else { return false }
            return members[key] != nil
        default: throw mismatch(.isIn, wanted, collection)
        }
    }

    private static func search(
        _ symbol: BinaryOperator, _ left: ExpressionValue, _ right: ExpressionValue,
        _ context: inout ExpressionContext
    ) throws(ExpressionError) -> Bool {
        if left == .none || right == .none { return false }
        guard case .string(let text) = left, case .string(let part) = right else {
            throw mismatch(symbol, left, right)
        }
        try context.spend(bytes: text.utf8.count + part.utf8.count)
        switch symbol {
        case .startsWith: return text.utf8.starts(with: part.utf8)
        case .endsWith: return text.utf8.reversed().starts(with: part.utf8.reversed())
        default: return SprigText.index(of: Array(part.utf8), in: Array(text.utf8)) != nil
        }
    }
}

// MARK: - Arithmetic

extension Operation {
    static func add(
        _ left: ExpressionValue, _ right: ExpressionValue, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        switch (left, right) {
        case (.int(let left), .int(let right)): return .int(left &+ right)
        case (.string(let left), .string(let right)):
            try context.spend(bytes: left.utf8.count + right.utf8.count)
            return .string(left + right)
        case (.time(let moment, let zone), .duration(let span)),
            (.duration(let span), .time(let moment, let zone)):
            return .time(moment + span, zone)
        case (.duration(let left), .duration(let right)):
            return .duration(.nanoseconds(left.wholeNanoseconds &+ right.wholeNanoseconds))
        default:
            guard let first = left.doubleValue, let second = right.doubleValue else {
                throw mismatch(.plus, left, right)
            }
            return .double(first + second)
        }
    }

    private static func subtract(
        _ left: ExpressionValue, _ right: ExpressionValue
    ) throws(ExpressionError) -> ExpressionValue {
        switch (left, right) {
        case (.int(let left), .int(let right)): return .int(left &- right)
        case (.time(let left, _), .time(let right, _)): return .duration(left - right)
        case (.time(let moment, let zone), .duration(let span)):
            return .time(Timestamp(nanoseconds: moment.nanoseconds &- span.wholeNanoseconds), zone)
        case (.duration(let left), .duration(let right)):
            return .duration(.nanoseconds(left.wholeNanoseconds &- right.wholeNanoseconds))
        default:
            guard let first = left.doubleValue, let second = right.doubleValue else {
                throw mismatch(.minus, left, right)
            }
            return .double(first - second)
        }
    }

    private static func multiply(
        _ symbol: BinaryOperator, _ left: ExpressionValue, _ right: ExpressionValue
    ) throws(ExpressionError) -> ExpressionValue {
        switch (symbol, left, right) {
        case (.times, .int(let left), .int(let right)): return .int(left &* right)
        case (.times, .duration(let span), .int(let factor)), (.times, .int(let factor), .duration(let span)):
            return .duration(.nanoseconds(span.wholeNanoseconds &* Int64(factor)))
        case (.times, .duration(let span), .double(let factor)),
            (.times, .double(let factor), .duration(let span)):
            guard let product = Int64(exactly: trunc(Double(span.wholeNanoseconds) * factor)) else {
                throw ExpressionError("the duration is too long")
            }
            return .duration(.nanoseconds(product))
        case (.remainder, .int(let left), .int(let right)):
            guard right != 0 else { throw ExpressionError("integer divide by zero") }
            return .int(left.remainderReportingOverflow(dividingBy: right).partialValue)
        case (.remainder, _, _): throw mismatch(symbol, left, right)
        default: break
        }
        guard let first = left.doubleValue, let second = right.doubleValue else {
            throw mismatch(symbol, left, right)
        }
        switch symbol {
        case .times: return .double(first * second)
        case .divided: return .double(first / second)
        default: return .double(pow(first, second))
        }
    }

    /// The integers from one to the other, both included.
    private static func range(
        _ left: ExpressionValue, _ right: ExpressionValue, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        guard let lower = left.indexValue, let upper = right.indexValue else {
            throw mismatch(.range, left, right)
        }
        guard lower <= upper else { return .array([]) }
        let (count, overflow) = upper.subtractingReportingOverflow(lower)
        try context.spend(steps: overflow || count == .max ? .max : count + 1)
        return .array((lower...upper).map(ExpressionValue.int))
    }
}
