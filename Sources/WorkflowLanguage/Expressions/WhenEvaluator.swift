// Computes `when` conditions with govaluate's operators and its rules of kinds.

import Glibc
import Text

struct WhenEvaluator {
    let bareWordsAreStrings: Bool

    /// Bytes of text times the length of a pattern's program: some seconds at most.
    private static let maximumMatchWork = 100_000_000

    func evaluate(_ node: WhenNode) throws(ExpressionError) -> WhenValue {
        switch node {
        case .value(let value): return value
        case .word(let word):
            guard bareWordsAreStrings else { throw ExpressionError("No parameter '\(word)' found") }
            return .string(word)
        case .prefix(let symbol, let operand): return try negate(symbol, evaluate(operand))
        case .list(let nodes):
            var values: [WhenValue] = []
            for node in nodes { values.append(try evaluate(node)) }
            return .list(values)
        case .chain(let first, let links):
            var value = try evaluate(first)
            for link in links { value = try apply(link, to: value) }
            return value
        }
    }

    private func negate(_ symbol: String, _ value: WhenValue) throws(ExpressionError) -> WhenValue {
        switch (symbol, value) {
        case ("!", .bool(let flag)): return .bool(!flag)
        case ("-", .number(let number)): return .number(-number)
        case ("~", .number(let number)): return .number(Double(~Self.integer(number)))
        default: throw ExpressionError("Value '\(value.shown)' cannot be used with the prefix '\(symbol)'")
        }
    }

    private func apply(_ link: WhenNode.WhenLink, to left: WhenValue) throws(ExpressionError) -> WhenValue {
        switch link.symbol {
        case "&&", "||":
            let isDecided = try flag(left, link, "logical operator") == (link.symbol == "||")
            if isDecided { return left }
            return .bool(try flag(evaluate(link.operand), link, "logical operator"))
        case "?": return try flag(left, link, "ternary operator") ? evaluate(link.operand) : .none
        case ":", "??": return left == .none ? try evaluate(link.operand) : left
        default: return try compute(link, left, evaluate(link.operand))
        }
    }

    private func flag(
        _ value: WhenValue, _ link: WhenNode.WhenLink, _ role: String
    ) throws(ExpressionError) -> Bool {
        if case .bool(let flag) = value { return flag }
        throw ExpressionError(
            "Value '\(value.shown)' cannot be used with the \(role) '\(link.symbol)', it is not a bool",
            offset: link.offset)
    }

    private func compute(
        _ link: WhenNode.WhenLink, _ left: WhenValue, _ right: WhenValue
    ) throws(ExpressionError) -> WhenValue {
        switch link.symbol {
        case "==": return .bool(left == right)
        case "!=": return .bool(left != right)
        case "<", "<=", ">", ">=": return .bool(try compare(link, left, right))
        case "=~": return .bool(try matches(link, left, right))
        case "!~": return .bool(!(try matches(link, left, right)))
        case "in":
            if case .list(let values) = right { return .bool(values.contains(left)) }
            return .bool(right == left)
        case "+":
            if case .number(let left) = left, case .number(let right) = right { return .number(left + right) }
            // One text makes a text of the sum.
            switch (left, right) {
            case (.string, _), (_, .string): return .string(left.shown + right.shown)
            default: throw notNumber(left, link, "modifier")
            }
        default:
            guard case .number(let first) = left else { throw notNumber(left, link, "modifier") }
            guard case .number(let second) = right else { throw notNumber(right, link, "modifier") }
            return .number(arithmetic(link.symbol, first, second))
        }
    }

    private func notNumber(_ value: WhenValue, _ link: WhenNode.WhenLink, _ role: String) -> ExpressionError {
        ExpressionError(
            "Value '\(value.shown)' cannot be used with the \(role) '\(link.symbol)', it is not a number",
            offset: link.offset)
    }

    private func compare(
        _ link: WhenNode.WhenLink, _ left: WhenValue, _ right: WhenValue
    ) throws(ExpressionError) -> Bool {
        switch (left, right) {
        case (.number(let left), .number(let right)):
            switch link.symbol {
            case "<": return left < right
            case "<=": return left <= right
            case ">": return left > right
            default: return left >= right
            }
        case (.string(let left), .string(let right)):
            switch link.symbol {
            case "<": return left.precedesBytewise(right)
            case "<=": return !right.precedesBytewise(left)
            case ">": return right.precedesBytewise(left)
            default: return !left.precedesBytewise(right)
            }
        case (.number, _): throw notNumber(right, link, "comparator")
        default: throw notNumber(left, link, "comparator")
        }
    }

    private func matches(
        _ link: WhenNode.WhenLink, _ left: WhenValue, _ right: WhenValue
    ) throws(ExpressionError) -> Bool {
        guard case .string(let text) = left, case .string(let pattern) = right else {
            throw ExpressionError(
                "'\(link.symbol)' needs a text and a pattern, not '\(left.shown)' and '\(right.shown)'",
                offset: link.offset)
        }
        guard text.utf8.count <= Self.maximumMatchWork / PatternCost.perByte(of: pattern) else {
            throw ExpressionError("the text is too long for this pattern", offset: link.offset)
        }
        do {
            return try RegularExpression(pattern).matches(text)
        } catch {
            throw ExpressionError(error.description, offset: link.offset)
        }
    }

    private func arithmetic(_ symbol: String, _ left: Double, _ right: Double) -> Double {
        switch symbol {
        case "-": left - right
        case "*": left * right
        case "/": left / right
        case "%": fmod(left, right)
        case "**": pow(left, right)
        case "&": Double(Self.integer(left) & Self.integer(right))
        case "|": Double(Self.integer(left) | Self.integer(right))
        case "^": Double(Self.integer(left) ^ Self.integer(right))
        case "<<": Double(Self.unsigned(left) << Self.unsigned(right))
        default: Double(Self.unsigned(left) >> Self.unsigned(right))
        }
    }

    /// The number without its fraction; one beyond 64 bits becomes the least integer, as in Go on amd64.
    private static func integer(_ number: Double) -> Int64 { Int64(exactly: trunc(number)) ?? .min }

    private static func unsigned(_ number: Double) -> UInt64 {
        UInt64(exactly: trunc(number)) ?? UInt64(bitPattern: integer(number))
    }
}
