// Computes the expressions in filters and scripts of a JSONPath.

import Glibc

extension JSONPathEvaluator {
    mutating func evaluate(
        _ expression: JSONPathExpression, current: JSONValue
    ) throws(JSONPathError) -> JSONValue {
        switch expression {
        case .literal(let value): return value
        case .path(let fromRoot, let steps): return try apply(steps[...], to: fromRoot ? root : current)
        case .not(let inner): return .bool(try !boolean(try evaluate(inner, current: current)))
        case .negative(let inner): return try negated(try evaluate(inner, current: current))
        case .match(let inner, let pattern):
            return .bool(pattern.matches(try string(try evaluate(inner, current: current))))
        case .binary(let symbol, let left, let right):
            // Both sides are always computed: an element lacking a key passes no filter that mentions it.
            let leftValue = try evaluate(left, current: current)
            let rightValue = try evaluate(right, current: current)
            return try compute(symbol, leftValue, rightValue)
        }
    }

    private func compute(
        _ symbol: JSONPathExpression.Operator, _ left: JSONValue, _ right: JSONValue
    ) throws(JSONPathError) -> JSONValue {
        switch symbol {
        case .or:
            let (first, second) = (try boolean(left), try boolean(right))
            return .bool(first || second)
        case .and:
            let (first, second) = (try boolean(left), try boolean(right))
            return .bool(first && second)
        case .equal: return .bool(left.isEqualInPath(to: right))
        case .notEqual: return .bool(!left.isEqualInPath(to: right))
        case .less: return .bool(try number(left) < number(right))
        case .greater: return .bool(try number(left) > number(right))
        case .lessOrEqual: return .bool(try number(left) <= number(right))
        case .greaterOrEqual: return .bool(try number(left) >= number(right))
        case .match:
            do {
                return .bool(try RegularExpression(try string(right)).matches(try string(left)))
            } catch let error as JSONPathError {
                throw error
            } catch {
                throw JSONPathError(message: "invalid expression. invalid argument. expected a valid regexp")
            }
        case .plus, .minus, .times, .divide, .remainder, .power:
            return try arithmetic(symbol, left, right)
        }
    }

    private func arithmetic(
        _ symbol: JSONPathExpression.Operator, _ left: JSONValue, _ right: JSONValue
    ) throws(JSONPathError) -> JSONValue {
        if symbol == .remainder {
            guard let dividend = left.intValue, let divisor = right.intValue, divisor != 0 else {
                throw JSONPathError(message: "invalid expression. invalid argument. expected integer")
            }
            // Remainders by -1 are 0; computing Int.min by -1 would trap.
            return .int(divisor == -1 ? 0 : dividend % divisor)
        }
        let (first, second) = (try number(left), try number(right))
        let result: Double =
            switch symbol {
            case .plus: first + second
            case .minus: first - second
            case .times: first * second
            case .divide: first / second
            default: pow(first, second)
            }
        guard result.isFinite else {
            throw JSONPathError(message: "invalid expression. the result is not finite")
        }
        return Int(exactly: result).map { .int($0) } ?? .double(result)
    }

    private func negated(_ value: JSONValue) throws(JSONPathError) -> JSONValue {
        if case .int(let integer) = value, integer != .min { return .int(-integer) }
        return .double(-(try number(value)))
    }

    private func number(_ value: JSONValue) throws(JSONPathError) -> Double {
        guard let number = value.doubleValue else {
            throw JSONPathError(message: "invalid expression. invalid argument. expected number")
        }
        return number
    }

    private func string(_ value: JSONValue) throws(JSONPathError) -> String {
        guard let text = value.scalarText else {
            throw JSONPathError(message: "invalid expression. invalid argument. expected string")
        }
        return text
    }

    /// Null is false; of numbers 0 and 1 are booleans, as Go's `strconv.ParseBool` has it.
    private func boolean(_ value: JSONValue) throws(JSONPathError) -> Bool {
        switch value {
        case .null: return false
        case .bool(let flag): return flag
        case .int(0), .double(0): return false
        case .int(1), .double(1): return true
        default: throw JSONPathError(message: "invalid expression. invalid argument. expected boolean")
        }
    }
}

extension JSONValue {
    /// Equality that does not tell 1 from 1.0, also inside lists and objects.
    func isEqualInPath(to other: JSONValue) -> Bool {
        switch (self, other) {
        case (.int(let left), .int(let right)): left == right
        case (.int, .double), (.double, .int), (.double, .double): doubleValue == other.doubleValue
        case (.array(let left), .array(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.isEqualInPath(to: $1) }
        case (.object(let left), .object(let right)):
            left.count == right.count
                && left.allSatisfy { key, value in right[key].map { value.isEqualInPath(to: $0) } ?? false }
        default: self == other
        }
    }
}
