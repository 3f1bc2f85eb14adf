// Functions of expressions that work on numbers.

import Text

enum NumberFunctions {
    static let all: [Builtin] = [
        Builtin("abs", 1...1, abs), Builtin("ceil", 1...1, ceil), Builtin("floor", 1...1, floor),
        Builtin("round", 1...1, round), Builtin("int", 1...1, int), Builtin("asInt", 1...1, int),
        Builtin("float", 1...1, float), Builtin("asFloat", 1...1, float),
        Builtin("max", 1...(.max), max), Builtin("min", 1...(.max), min), Builtin("mean", 1...(.max), mean),
        Builtin("median", 1...(.max), median), Builtin("bitnot", 1...1, bitnot),
        bits("bitand") { $0 & $1 }, bits("bitor") { $0 | $1 }, bits("bitxor") { $0 ^ $1 },
        bits("bitnand") { $0 & ~$1 }, shift("bitshl") { $0 << $1 }, shift("bitshr") { $0 >> $1 },
        shift("bitushr") { Int(bitPattern: UInt(bitPattern: $0) >> UInt($1)) },
    ]

    private static func abs(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        if case .int(let number) = call[0] { return .int(number < 0 ? 0 &- number : number) }
        return .double(Swift.abs(try call.double(0)))
    }

    private static func ceil(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .double(try call.double(0).rounded(.up))
    }

    private static func floor(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .double(try call.double(0).rounded(.down))
    }

    private static func round(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .double(try call.double(0).rounded(.toNearestOrAwayFromZero))
    }

    private static func int(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        switch call[0] {
        case .int(let number): return .int(number)
        case .double(let number):
            guard let whole = Int(exactly: number.rounded(.towardZero)) else {
                throw call.error("the number is beyond 64 bits")
            }
            return .int(whole)
        case .string(let text):
            guard let number = Int(text) else {
                throw call.error("'\(text.prefix(60))' is not a whole number")
            }
            return .int(number)
        case .duration(let span): return .int(Int(span.wholeNanoseconds))
        default: throw call.error("cannot convert \(call[0].kindName)")
        }
    }

    private static func float(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        guard case .string(let text) = call[0] else { return .double(try call.double(0)) }
        // A number too large is read as infinite, which Go refuses unless the text says so.
        guard let number = Double(text), number.isFinite || !text.contains(where: \.isNumber) else {
            throw call.error("'\(text.prefix(60))' is not a number")
        }
        return .double(number)
    }
}

// MARK: - Many numbers

extension NumberFunctions {
    /// The numbers among the arguments and in their lists.
    private static func numbers(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> [ExpressionValue] {
        try context.spend(walking: .array(call.arguments))
        var numbers: [ExpressionValue] = []
        var pending = Array(call.arguments.reversed())
        while let value = pending.popLast() {
            switch value {
            case .int, .double: numbers.append(value)
            case .array(let elements): pending += elements.reversed()
            default: throw call.error("needs numbers, not \(value.kindName)")
            }
        }
        return numbers
    }

    private static func max(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var best: ExpressionValue?
        for number in try numbers(call, &context) {
            if let known = best, !(try Operation.isLess(known, number, .less)) { continue }
            best = number
        }
        return best ?? .none
    }

    private static func min(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var best: ExpressionValue?
        for number in try numbers(call, &context) {
            if let known = best, !(try Operation.isLess(number, known, .less)) { continue }
            best = number
        }
        return best ?? .none
    }

    private static func mean(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let numbers = try numbers(call, &context).compactMap(\.doubleValue)
        return .double(numbers.isEmpty ? 0 : numbers.reduce(0, +) / Double(numbers.count))
    }

    private static func median(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let numbers = try numbers(call, &context).compactMap(\.doubleValue).sorted()
        guard !numbers.isEmpty else { return .double(0) }
        let middle = numbers.count / 2
        if numbers.count % 2 == 1 { return .double(numbers[middle]) }
        return .double((numbers[middle - 1] + numbers[middle]) / 2)
    }
}

// MARK: - Bits

extension NumberFunctions {
    private static func bits(_ name: String, _ operation: @escaping @Sendable (Int, Int) -> Int) -> Builtin {
        Builtin(name, 2...2) { (call, _) throws(ExpressionError) in
            .int(operation(try integer(call, 0), try integer(call, 1)))
        }
    }

    private static func shift(_ name: String, _ operation: @escaping @Sendable (Int, Int) -> Int) -> Builtin {
        Builtin(name, 2...2) { (call, _) throws(ExpressionError) in
            let places = try integer(call, 1)
            guard places >= 0 else { throw call.error("negative shift count \(places)") }
            return .int(operation(try integer(call, 0), places))
        }
    }

    private static func bitnot(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .int(~(try integer(call, 0)))
    }

    private static func integer(_ call: BuiltinCall, _ index: Int) throws(ExpressionError) -> Int {
        guard case .int(let number) = call[index] else {
            throw call.error("argument \(index + 1) must be an integer, not \(call[index].kindName)")
        }
        return number
    }
}
